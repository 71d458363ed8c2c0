"""Response and backgrounds of liquid-xenon detectors: LZ, XENONnT and DARWIN.

2104.03297, section 5. Recoil energies are in keV_nr, as the nucleus has them, or in keV_ee, as an electron
that makes the same signal has them; :func:`quenched` leads from the one to the other. DARWIN has XENONnT's
efficiency and resolution.
"""

import functools
import tomllib
import warnings
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr

from ..validation import choose, number
from .curve import Curve, extended, half_point

EXPERIMENTS = ("lz", "xenonnt", "darwin")
CHANNELS = ("nr", "er")
SEARCHES = (*CHANNELS, "nr+er")
BEYOND = ("hold", "one")

LINDHARD_K = 0.1735  # as in the code of the authors of 2104.03297; 0.166 is the classic value for xenon
LOWEST_QUENCHED = 0.7  # keV_nr; LUX, 1608.05381, measured the charge yield down to it

# sigma/E = a/sqrt(E/keV_ee) + b: LUX, 1610.02076, for LZ; XENON1T, 2006.09721
RESOLUTIONS = {"lz": (0.33, 0.0), "xenonnt": (0.310, 0.0037), "darwin": (0.310, 0.0037)}
_RESPONSE_OF = {"lz": "lz", "xenonnt": "xenonnt", "darwin": "xenonnt"}


@functools.cache
def _tables():
    text = resources.files("jaxlmt").joinpath("data/xenon.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


# ------------------------------------------------------------------------------------------------- quenching
def _lindhard(recoil_energy_keV, k):
    reduced = 11.5 * 54.0 ** (-7.0 / 3.0) * recoil_energy_keV
    kg = k * (3.0 * reduced**0.15 + 0.7 * reduced**0.6 + reduced)
    return kg / (1.0 + kg)


def quenched(recoil_energy_keV, k=LINDHARD_K):
    """Electron-equivalent energy [keV_ee] of a nuclear recoil [keV_nr] in xenon, after Lindhard.

    L(E) E with L = k g/(1 + k g), g = 3 e^0.15 + 0.7 e^0.6 + e, e = 11.5 Z^(-7/3) E/keV (Lindhard et al.,
    Mat. Fys. Medd. Dan. Vid. Selsk. 33 (1963) 10; Lewin & Smith, Astropart. Phys. 6 (1996) 87). Any shape,
    >= 0; k: a number, may be traced. Measured in xenon above 0.7 keV_nr (:func:`check_window`).
    """
    energy = jnp.asarray(recoil_energy_keV)
    is_positive = energy > 0.0
    safe = jnp.where(is_positive, energy, 1.0)
    return jnp.where(is_positive, safe * _lindhard(safe, k), 0.0)


@jax.custom_jvp
def _recoil(energy_ee, k):
    # Newton's method for ln E: the logarithmic slope of quenched lies between 1 and 1.24, so that the
    # first step reduces the error four times at least, and the others square it.
    log_energy = jnp.log(energy_ee)

    def step(_, log_recoil):
        value, slope = jax.jvp(
            lambda x: x + jnp.log(_lindhard(jnp.exp(x), k)), (log_recoil,), (jnp.ones_like(log_recoil),)
        )
        return log_recoil - (value - log_energy) / slope

    return jnp.exp(jax.lax.fori_loop(0, 8, step, log_energy))


@_recoil.defjvp
def _recoil_jvp(primals, tangents):
    (energy_ee, k), (d_energy, d_k) = primals, tangents
    recoil = _recoil(energy_ee, k)
    _, slope = jax.jvp(lambda e: e * _lindhard(e, k), (recoil,), (jnp.ones_like(recoil),))
    _, by_k = jax.jvp(lambda k: recoil * _lindhard(recoil, k), (k,), (d_k,))
    return recoil, (d_energy - by_k) / slope


def recoil_of(energy_ee, k=LINDHARD_K):
    """Recoil energy [keV_nr] of ``energy_ee`` [keV_ee] (>= 0), the inverse of :func:`quenched`, to rounding.

    Differentiable any number of times, in k too; at energy 0, where the slope is infinite, it is given as 0.
    """
    energy = jnp.asarray(energy_ee)
    is_positive = energy > 0.0
    safe = jnp.where(is_positive, energy, 1.0)
    return jnp.where(is_positive, _recoil(safe, jnp.asarray(k)), 0.0)


# ------------------------------------------------------------------------------------ efficiency and window
@functools.cache
def _efficiency(table, channel):
    knots = _tables()["efficiency"][table][channel]
    return Curve.smooth(knots["energy"], knots["value"])


def efficiency(experiment, channel, threshold=None):
    """Efficiency as a :class:`Curve`: of ``"nr"`` at a true energy in keV_nr, of ``"er"`` in keV_ee.

    LZ (1802.06039); XENONnT and DARWIN: nr 1805.12562, er 2006.09721. threshold: moves the energy of 50% down
    to it (:func:`extended`); see :func:`nominal_threshold`. Raises ValueError for invalid arguments.
    """
    choose("experiment", experiment, EXPERIMENTS)
    curve = _efficiency(_RESPONSE_OF[experiment], choose("channel", channel, CHANNELS))
    return curve if threshold is None else extended(curve, threshold)


def nominal_threshold(experiment, channel):
    """Energy of 50% efficiency, keV_nr or keV_ee: 3.83 and 1.47 (LZ), 5.67 and 1.51 (XENONnT, DARWIN)."""
    return half_point(efficiency(experiment, channel))


def check_window(threshold_keV, maximum_keV, *, channel):
    """(threshold_keV, maximum_keV) as floats: keV_nr for channel ``"nr"``, keV_ee for ``"er"``, ``"nr+er"``.

    Raises ValueError for a window that is empty or inverted. Warns where nuclear recoils are counted below
    0.7 keV_nr, which is 0.106 keV_ee.
    """
    choose("channel", channel, SEARCHES)
    low = number("threshold_keV", threshold_keV, low=0.0, low_open=True)
    high = number("maximum_keV", maximum_keV, low=0.0, low_open=True)
    if high <= low:
        raise ValueError(f"maximum_keV must lie above threshold_keV = {low:g}; got {high!r}")
    lowest = LOWEST_QUENCHED if channel == "nr" else float(quenched(LOWEST_QUENCHED))
    if channel != "er" and low < lowest:
        warnings.warn(
            f"threshold_keV = {low:g} lies below {lowest:.3g} ({LOWEST_QUENCHED} keV_nr), the lowest recoil "
            "for which Lindhard's quenching is verified in xenon: counts there rest on an extrapolation",
            stacklevel=2,
        )
    return low, high


# ------------------------------------------------------------------------------------------------ resolution
def resolution(experiment, energy_ee):
    """Standard deviation [keV_ee] of the reconstructed energy at a true ``energy_ee`` [keV_ee] (>= 0).

    sigma/E = 0.33/sqrt(E) for LZ (LUX, 1610.02076), 0.310/sqrt(E) + 0.0037 for the others (2006.09721).
    """
    stochastic, constant = RESOLUTIONS[choose("experiment", experiment, EXPERIMENTS)]
    energy = jnp.asarray(energy_ee)
    is_positive = energy > 0.0
    root = jnp.sqrt(jnp.where(is_positive, energy, 1.0))
    return jnp.where(is_positive, stochastic * root + constant * energy, 0.0)


def shifted_resolution(experiment, energy_ee, nominal, threshold):
    """:func:`resolution` [keV_ee] with the threshold lowered from ``nominal`` to ``threshold`` [keV_ee].

    The relative resolution R(E) = sigma/E is what is capped, at R(nominal) below the threshold, and shifted
    above it: sigma(E) = E R(max(E - threshold + nominal, nominal)), all in keV_ee (2104.03297, section 5:
    otherwise R would grow without limit). A threshold above nominal shifts nothing. Kink at the threshold.
    """
    energy = jnp.asarray(energy_ee)
    capped = jnp.maximum(energy + jnp.maximum(nominal - threshold, 0.0), nominal)
    return energy * resolution(experiment, capped) / capped


def window(name, kind, threshold, energy, edges_ee):
    """Probability (n_bins, n) that an event of true ``energy`` (n,) is seen in a bin of reconstructed energy.

    name: of the response; kind: ``"nr"``, energy and threshold in keV_nr, or ``"er"``, in keV_ee; edges_ee:
    (n_bins + 1,) [keV_ee]. A kernel, differentiable in threshold and edges.
    """
    seen = efficiency(name, kind, threshold)(energy)
    nominal = nominal_threshold(name, kind)
    if kind == "nr":
        energy, nominal, threshold = (quenched(e) for e in (energy, nominal, threshold))
    sigma = shifted_resolution(name, energy, nominal, threshold)
    distance = (edges_ee[:, None] - energy[None]) / sigma[None]
    return seen[None] * jnp.diff(ndtr(distance), axis=0)


def out_of_reach(energy_ee):
    """Energy [keV_ee] from which ``energy_ee`` lies six standard deviations below, for every detector."""
    root, linear = (6.0 * max(part) for part in zip(*RESOLUTIONS.values(), strict=True))
    share = 1.0 - linear
    return ((root + np.sqrt(root**2 + 4.0 * share * energy_ee)) / (2.0 * share)) ** 2


# ----------------------------------------------------------------------------- electrons and their background
@functools.cache
def _shells():
    table = _tables()["electrons"]
    binding, number_of = np.array(table["binding_keV"]), np.array(table["number"], float)
    return binding, np.append(0.0, np.cumsum(number_of))


@functools.cache
def _rrpa():
    table = _tables()["rrpa"]
    return Curve.straight(table["energy_keV"], table["ratio"])


def bound_electrons(energy_ee, rrpa=True, beyond="hold"):
    """Effective number of free electrons of a xenon atom at a recoil of ``energy_ee`` [keV_ee], any shape.

    The number of electrons bound by less, times the ratio of the rate in the relativistic random-phase
    approximation to that of such steps (1610.04177), if ``rrpa``. It is known from 0.254 to 28.354 keV_ee;
    beyond, its last values are held (``"hold"``) or it is 1 (``"one"``, as in 2104.03297). It is that of
    pp and 7Be neutrinos in the Standard Model. Constant or smooth between :func:`electron_breaks`.
    """
    choose("beyond", beyond, BEYOND)
    energy = jnp.asarray(energy_ee)
    binding, electrons = _shells()
    free = jnp.asarray(electrons)[jnp.searchsorted(jnp.asarray(binding), energy, side="right")]
    if not rrpa:
        return free
    ratio = _rrpa()
    is_known = (energy >= ratio.breaks[0]) & (energy <= ratio.breaks[-1])
    return free * jnp.where(is_known | (beyond == "hold"), ratio(energy), 1.0)


def electron_breaks():
    """Energies [keV_ee] of every step, kink and jump of :func:`bound_electrons`, increasing."""
    return np.unique(np.concatenate([_shells()[0], _rrpa().breaks]))


def background(experiment, energy_ee):
    """Expected electron-recoil background per (tonne year keV_ee) at ``energy_ee`` <= 40 keV_ee, any shape.

    Solar neutrinos are a signal here, and not in it. LZ (2102.11740): 222Rn, 220Rn, 85Kr, detector and
    surroundings, 2 nu beta beta of 136Xe; XENONnT (2007.08796): the total without solar neutrinos; DARWIN
    (1309.7024): flat 1.844 and 2 nu beta beta, before any rejection of electron recoils. Smooth; >= 0.
    """
    flat, linear, quadratic = _tables()["background"][choose("experiment", experiment, EXPERIMENTS)]
    energy = jnp.asarray(energy_ee)
    return flat + energy * (linear + energy * quadratic)
