"""Neutrinos of the Sun: fluxes of the eight components, their spectra and lines.

pp, hep, 13N, 15O and 17F are allowed positron decays, whose spectra are computed; 8B is a table of ours
(data/boron8.csv); 7Be and pep are lines, without their thermal width of about 1 keV.
"""

import functools
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import ALPHA, MASS_ELECTRON
from ..quadrature import SPLINE_ORDER, panels, spline, spline_coefficients, unit_gauss
from ..validation import choose, is_traced, require_x64, to_float64

SOURCES = ("pp", "pep", "hep", "7Be", "8B", "13N", "15O", "17F")

# Flux at Earth [cm^-2 s^-1] and its relative error in the B16 solar models: N. Vinyoles et al.,
# Astrophys. J. 835 (2017) 202, arXiv:1611.09867, with the GS98 and the AGSS09met composition.
FLUXES = {
    "gs98": {
        "pp": (5.98e10, 0.006),
        "pep": (1.44e8, 0.01),
        "hep": (7.98e3, 0.30),
        "7Be": (4.93e9, 0.06),
        "8B": (5.46e6, 0.12),
        "13N": (2.78e8, 0.15),
        "15O": (2.05e8, 0.17),
        "17F": (5.29e6, 0.20),
    },
    "agss09": {
        "pp": (6.03e10, 0.005),
        "pep": (1.46e8, 0.009),
        "hep": (8.25e3, 0.30),
        "7Be": (4.50e9, 0.06),
        "8B": (4.50e6, 0.12),
        "13N": (2.04e8, 0.14),
        "15O": (1.44e8, 0.16),
        "17F": (3.26e6, 0.18),
    },
}

# Energy [MeV] and share of the flux. 7Be: J. N. Bahcall, Phys. Rev. D 49 (1994) 3923.
LINES = {"7Be": ((0.8618, 0.897), (0.3843, 0.103)), "pep": ((1.442, 1.0),)}

# Endpoint [MeV] and charge of the nucleus left behind. pp, hep: J. N. Bahcall, Phys. Rev. C 56 (1997) 3391;
# the others: J. N. Bahcall and R. K. Ulrich, Rev. Mod. Phys. 60 (1988) 297.
_BETA = {
    "pp": (0.42341, 1.0),
    "hep": (18.784, 2.0),
    "13N": (1.199, 6.0),
    "15O": (1.732, 7.0),
    "17F": (1.740, 8.0),
}
CONTINUOUS = (*_BETA, "8B")


@jax.jit
def positron_decay(energy, endpoint, charge):
    """Allowed spectrum p W E^2 F of the neutrino at ``energy`` [MeV], not normalised; zero outside
    (0, ``endpoint``).

    W, p: energy and momentum of the positron over m_e; F: the Fermi function of a nucleus of ``charge`` Z,
    as a product of the non-relativistic one, here repulsive, and (W^2 (1 + 4 (alpha Z)^2) - 1)^S,
    S = sqrt(1 - (alpha Z)^2) - 1 (H. A. Bethe and R. F. Bacher, Rev. Mod. Phys. 8 (1936) 82). To the full
    one, with its complex gamma function and a nuclear radius, it is 1e-5 of the peak for 17F, else less.
    """
    strength = ALPHA * charge
    inside = (energy > 0.0) & (energy < endpoint)
    kinetic = (endpoint - jnp.where(inside, energy, 0.5 * endpoint)) / MASS_ELECTRON
    total = 1.0 + kinetic
    sommerfeld = 2.0 * np.pi * strength * total / jnp.sqrt(kinetic * (kinetic + 2.0))
    # p F of a slow positron: x/(e^x - 1) with x = 2 pi alpha Z W/p, written without overflow at p -> 0
    coulomb = 2.0 * np.pi * strength * total * jnp.exp(-sommerfeld) / -jnp.expm1(-sommerfeld)
    exponent = jnp.sqrt(1.0 - strength**2) - 1.0
    relativistic = (total**2 * (1.0 + 4.0 * strength**2) - 1.0) ** exponent
    return jnp.where(inside, energy**2 * total * coulomb * relativistic, 0.0)


@functools.cache
def _beta_norm(source):
    """Integral of :func:`positron_decay`; u = sqrt(1 - E/E_0) makes it smooth, and 200 nodes give 1e-13."""
    require_x64()
    endpoint, charge = _BETA[source]
    u, weight = unit_gauss(200)
    with jax.ensure_compile_time_eval():
        decay = np.asarray(positron_decay(endpoint * (1.0 - u**2), endpoint, charge))
    return float(weight @ (2.0 * u * endpoint * decay))


def _columns(knots, energy):
    """sqrt(lambda)/E [MeV^-3/2] and the tilt of 8B at ``energy`` (...,) in [0, endpoint]: (2, ...)."""
    endpoint, coefficients = knots
    position = jnp.ravel(energy) * ((coefficients.shape[0] - SPLINE_ORDER + 1) / endpoint)
    columns = jax.vmap(spline, in_axes=(None, 0))(coefficients, position)
    return columns.T.reshape(2, *jnp.shape(energy))


_columns_at = jax.jit(_columns)


@functools.cache
def _boron8():
    """Endpoint and spline of the table, scaled to an integral of one; tilt and weight at quadrature nodes."""
    require_x64()
    text = resources.files("jaxlmt").joinpath("data/boron8.csv").read_text(encoding="utf-8")
    energy, root, tilt = np.loadtxt(text.splitlines(), delimiter=",", skiprows=1, unpack=True)
    endpoint, coefficients = float(energy[-1]), spline_coefficients(np.stack([root, tilt], axis=1))
    intervals = energy.size - SPLINE_ORDER + 1
    nodes, weights = (part.ravel() for part in panels(np.linspace(0.0, endpoint, intervals + 1), 8))
    with jax.ensure_compile_time_eval():
        root, tilt = np.asarray(_columns_at((endpoint, coefficients), nodes))
    weights = weights * (nodes * root) ** 2
    total = weights.sum()
    return (endpoint, coefficients / [np.sqrt(total), 1.0]), (tilt, weights / total)


def _factor(tilt, shape, average):
    nodes, weights = average
    return jnp.exp(shape * tilt) / jnp.sum(weights * jnp.exp(shape * nodes))


@jax.jit
def _shape_factor(knots, average, energy, shape):
    return _factor(_columns(knots, jnp.clip(energy, 0.0, knots[0]))[1], shape, average)


@jax.jit
def _positron_spectrum(energy, norm, endpoint, charge):
    return positron_decay(energy, endpoint, charge) / norm


@jax.jit
def _boron8_spectrum(energy, shape, knots, average):
    inside = (energy > 0.0) & (energy < knots[0])
    energy = jnp.where(inside, energy, 0.0)
    root, tilt = _columns(knots, energy)
    return jnp.where(inside, (energy * root) ** 2 * _factor(tilt, shape, average), 0.0)


def shape_factor(energy, shape):
    """What ``shape``, in standard deviations of the theory, makes of the 8B spectrum at ``energy`` [MeV].

    exp(shape t(E)) over its average, so that the flux stays the same: positive, smooth, and one for shape 0.
    t is ln(lambda_+/lambda_-)/6 of the +-3 sigma spectra of J. N. Bahcall et al., Phys. Rev. C 54 (1996) 411,
    which it meets to 0.17% of the peak: 1.0% at 4 MeV, -1.3% at 10 MeV, -16% at 14 MeV. The measurement of
    Winter et al. quotes about a fifth of that. energy: any shape, beyond (0, 16) MeV the factor of the edge;
    shape: a scalar.
    """
    return _shape_factor(*_boron8(), to_float64(energy), to_float64(shape))


def spectrum(source, energy, shape=0.0):
    """Spectrum [1/MeV] of a continuous ``source`` at ``energy`` [MeV], any shape; its integral is one.

    source: "pp", "hep", "13N", "15O", "17F" or "8B"; shape: :func:`shape_factor`, for 8B alone. Zero outside
    (0, endpoint). Raises ValueError for other sources, lines included (:data:`LINES`).

    Against the tables of J. N. Bahcall and of Winter et al. (Phys. Rev. C 73 (2006) 025503), in per cent of
    the peak, at worst: pp 0.090, hep 0.011, 13N 0.025, 15O 0.026, 17F 0.025, 8B 0.024. That of pp is the
    table's normalisation, which is 1 for the trapezoidal rule on its 84 points: with that rule it is 0.005.
    That of 8B is at 15.3 MeV, beyond the last entry of the table (1e-5 of the flux); below, 0.011.
    """
    choose("source", source, CONTINUOUS)
    if source != "8B" and (is_traced(shape) or np.any(np.asarray(shape) != 0.0)):
        raise ValueError(f"shape is for source '8B' alone; got {shape!r} for source {source!r}")
    kernel, arguments = spectrum_kernel(source, to_float64(shape))
    return kernel(to_float64(energy), *arguments)


def spectrum_kernel(source, shape=0.0):
    """(kernel, arguments) with kernel(energy, *arguments) the :func:`spectrum` of ``source``.

    All decays have one kernel, so that a program which takes the arguments as its own serves them all.
    """
    if source == "8B":
        return _boron8_spectrum, (shape, *_boron8())
    return _positron_spectrum, (_beta_norm(source), *_BETA[source])


def breaks(source):
    """Energies [MeV] between which :func:`spectrum` is smooth: 0, the knots of 8B, the endpoint."""
    if choose("source", source, CONTINUOUS) == "8B":
        (endpoint, coefficients), _ = _boron8()
        return np.linspace(0.0, endpoint, coefficients.shape[0] - SPLINE_ORDER + 2)
    return np.array([0.0, _BETA[source][0]])
