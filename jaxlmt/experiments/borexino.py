"""The rate of 7Be solar neutrinos in Borexino, scattering off electrons."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import AVOGADRO, MASS_ELECTRON
from ..mixing import lepton_loops, loop_real, mixing
from ..model import HiddenPhoton
from ..processes import electron_scattering as electron
from ..pytrees import pytree
from ..quadrature import unit_gauss
from ..sources import solar
from ..sources.oscillation import DENSITY, Oscillation, flavour_coefficients, matter_cosine
from ..sources.oscillation import oscillation as presets
from ..validation import choose, number, to_float64
from .base import frozen, nuisance, start_fold
from .measurement import Measurement, published, table
from .solar_recoils import ANGLES, flux_name
from .xenon_search import oscillation_nuisances

SOURCE = "7Be"
ELECTRONS = 1e8 * 66.0 * AVOGADRO / 120.19  # in 100 tonnes of pseudocumene, C9H12: 3.307e31
_TARGETS = ELECTRONS * 86400.0  # times a day
_NODES = 24  # Gauss nodes in recoil energy


@pytree
class Borexino(Measurement):
    """Counts per day and 100 t of the lines (L,) of 7Be: measured +- sigma.

    energy: (L,) [MeV]; density, weight: (L, m) of their production; recoil_keV: (L, n) nodes; moments:
    (3, L, n), those of the recoil spectrum times rates, in the window; whole: (3, L), over all recoils.
    """

    energy: np.ndarray
    density: np.ndarray
    weight: np.ndarray
    recoil_keV: np.ndarray
    moments: np.ndarray
    whole: np.ndarray
    loops: np.ndarray

    axis_label = "cpd per 100 t"
    value_label = "rate"
    title = r"Borexino ${}^7$Be"

    def rate(self, theta, parameters):
        osc = Oscillation(*(parameters[name] for name in ANGLES))
        constant, slope = flavour_coefficients(osc)
        cosine = matter_cosine(osc, self.energy, self.density, self.weight)
        flavours = constant[:, None] + slope[:, None] * cosine[None]  # (3, L)
        charges = jnp.stack([jnp.asarray(q) for q in (theta.charges.e, theta.charges.mu, theta.charges.tau)])
        eps = mixing(theta, -2e-3 * MASS_ELECTRON * self.recoil_keV, self.loops)
        eps = jnp.broadcast_to(eps, self.recoil_keV.shape)[None]
        shift = electron.mediator_shift(theta, eps, charges[:, None, None], self.recoil_keV[None])
        usual = [g[:, None, None] for g in electron.couplings(parameters["sin2_theta_w"])]
        window = jnp.sum(self.moments[None] * _squares(*(g + shift for g in usual)), axis=(1, 3))
        standard = _squares(*usual)
        usual_window = jnp.sum(self.moments[None] * standard, axis=(1, 3))
        usual_whole = jnp.sum(self.whole[None] * standard[..., 0], axis=1)
        seen, usual_seen, all_of_it = (jnp.sum(flavours * n) for n in (window, usual_window, usual_whole))
        return (parameters[flux_name(SOURCE)] * all_of_it * seen / usual_seen)[None]


def _squares(left, right):
    """What the moments multiply: (flavours, 3, L, n)."""
    return jnp.stack([left**2, right**2, left * right], axis=1)


@jax.jit
def _moments(recoil_keV, energy):
    return electron.moments(recoil_keV, energy)


@jax.jit
def _loops(q2):
    return lepton_loops(loop_real, q2)


@jax.jit
def _rate(experiment, theta, parameters):
    return experiment.rate(theta, parameters)


def _over(low, energy):
    """Nodes (L, n) between ``low`` and the endpoints [keV], and moments times weights there (3, L, n)."""
    top = np.array([float(electron.maximum_recoil_keV(e)) for e in energy])
    if np.any(low >= top.max()):
        raise ValueError(f"threshold_keV must lie below {top.max():.1f}, the largest recoil; got {low!r}")
    nodes, weights = unit_gauss(_NODES)
    width = np.maximum(top - low, 0.0)[:, None]
    recoil = np.minimum(low, top)[:, None] + width * nodes
    return recoil, np.asarray(_moments(recoil, energy[:, None])) * width * weights


def _published_over_tree(sin2_theta_w):
    """Rate of 2011 over that of the flux which it is equivalent to, 862 keV nu_e, at tree level: 0.95."""
    entry = table("borexino")["2011"]
    energy, share = solar.LINES[SOURCE][0]
    left, right = (float(g[0]) for g in electron.couplings(sin2_theta_w))
    _, moments = _over(0.0, np.array([energy]))
    tree = np.sum(moments, axis=(1, 2)) @ np.array([left**2, right**2, left * right])
    return entry["rate"] / (entry["equivalent_flux"] * share * _TARGETS * tree)


@functools.cache
def _borexino(measurement, threshold_keV, solar_model, oscillation, flux_norm, sin2_theta_w):
    entry = table("borexino")[measurement]
    lines = [line for line in solar.LINES[SOURCE] if round(1e3 * line[0]) in entry["lines_keV"]]
    energy, share = np.array(lines).T
    flux, flux_error = solar.FLUXES[solar_model][SOURCE]
    sin2_nominal, sin2_prior = nuisance("sin2_theta_w", sin2_theta_w, low=0.0)
    scale = (_published_over_tree(sin2_nominal["sin2_theta_w"]) * flux * _TARGETS * share)[:, None]
    recoil, moments = _over(number("threshold_keV", threshold_keV, low=0.0), energy)
    _, whole = _over(0.0, energy)
    density, weight = (np.tile(part, (energy.size, 1)) for part in DENSITY[solar_model][SOURCE])
    traced = {
        **oscillation_nuisances(oscillation),
        "flux": nuisance(flux_name(SOURCE), 1.0 if flux_norm is None else flux_norm, low=0.0),
        "sin2_theta_w": (sin2_nominal, sin2_prior),
    }
    made = published(
        Borexino,
        name="borexino",
        measured=entry["rate"],
        sigma=np.hypot(entry["statistical"], np.mean(entry["systematic"])),
        nominal={k: v for nominal, _ in traced.values() for k, v in nominal.items()},
        nuisances={k: v for _, priors in traced.values() for k, v in priors.items()},
        energy=frozen(energy),
        density=frozen(density),
        weight=frozen(weight),
        recoil_keV=frozen(recoil),
        moments=frozen(scale * moments),
        whole=frozen(np.sum(scale * whole, axis=2)),
        loops=frozen(_loops(-2e-3 * MASS_ELECTRON * recoil)),
    )
    given = {flux_name(SOURCE): flux_error if flux_norm is None else 0.0, **_angle_errors(oscillation)}
    theory = [_half_difference(made, name, error) for name, error in given.items()]
    return replace(made, sigma=frozen(np.hypot(made.sigma, np.linalg.norm(theory))))


def _angle_errors(oscillation):
    """{parameter: standard deviation} of a preset that has some."""
    if oscillation != "nufit6":
        return {}
    angles = presets(oscillation, uncertainties=True)
    return {name: getattr(angles, name).std for name in ANGLES}


def _half_difference(made, name, error):
    """What one standard deviation of a parameter is worth in the rate of the Standard Model."""
    theta = HiddenPhoton(*np.float64([0.0, 1.0, 0.0]))
    shifted = ({**made.nominal, name: made.nominal[name] + sign * error} for sign in (1.0, -1.0))
    above, below = (float(_rate(made, *to_float64((theta, values)))[0]) for values in shifted)
    return 0.5 * (above - below)


def borexino(
    measurement="2017",
    *,
    threshold_keV=190.0,
    oscillation="nufit6",
    solar_model="gs98",
    flux_norm=None,
    sin2_theta_w=0.23857,
):
    """The rate of 7Be neutrinos in Borexino, in counts per day and 100 t: a measurement, Gaussian.

    ``"2017"``: 48.3 +- 1.1 +0.4 -0.7 (1707.09279, phase II, both lines); ``"2011"``: 46.0 +- 1.5 +1.6 -1.5
    (1104.1816, phase I, the line of 862 keV); systematic errors are symmetrised. The rate was found by
    fitting the Standard Model's spectrum to recoils above a threshold: here the A' changes the number of
    recoils above ``threshold_keV``, and the rate by as much. That is exact where it changes the number alone,
    M^2 >> 2 m_e E_R (M above about 3 MeV), and an approximation for lighter ones. Rates of the Standard
    Model are scaled by 0.95, so that nu_e have the rate that the collaboration finds for them in 2011: the
    tree level with sin2_theta_w lacks radiative corrections.

    What is given by name has its uncertainty in sigma, at the Standard Model: the flux of ``solar_model``
    (6%), ``"gs98"`` or ``"agss09"``, unless flux_norm is given; the mixing angles of oscillation ``"nufit6"``
    (``"paper2021"`` has none). flux_norm, relative to the solar model, sin2_theta_w and the leaves of a
    :class:`jaxlmt.Oscillation`: numbers, which are exact, or priors, which are nuisances. Raises ValueError
    for invalid arguments.
    """
    start_fold()
    choose("measurement", measurement, table("borexino"))
    choose("solar_model", solar_model, solar.FLUXES)
    return _borexino(measurement, threshold_keV, solar_model, oscillation, flux_norm, sin2_theta_w)
