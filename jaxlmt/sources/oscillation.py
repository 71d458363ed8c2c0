"""Flavour of solar neutrinos at Earth: adiabatic conversion in the Sun, incoherent between Sun and Earth.

nu_e -> nu_alpha has the probability A_alpha + B_alpha D(E), where D = <cos 2 theta_m> averages the mixing in
matter over where the neutrinos are made, and A, B depend on the oscillation parameters alone. The third
state is taken as decoupled from matter (dm31 large); with a finite dm31 each probability would differ by at
most 1.8e-3 up to 19 MeV. Regeneration in the Earth is left out: at the latitude of Gran Sasso, averaged over
the year, day and night, it would raise P_e by 0.0027 over the 8B spectrum (0.7% of P_e), by 0.004 (1.2%) when
weighted with E^2 as coherent scattering does, by 0.010 at 16 MeV, and by less than 1e-3 below 4 MeV.
"""

import functools
from collections.abc import Mapping
from dataclasses import fields
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import AVOGADRO, FERMI_CONSTANT, HBARC_MEV_CM
from ..distributions import Distribution, Normal
from ..pytrees import pytree
from ..validation import choose, is_traced, number, switch, to_float64, values
from .solar import FLUXES, SOURCES

# 2 sqrt2 G_F n_e E [eV^2] for n_e of N_A/cm^3 and E of 1 MeV
_MATTER = 2.0 * np.sqrt(2.0) * FERMI_CONSTANT * AVOGADRO * HBARC_MEV_CM**3 * 1e12


@pytree
class Oscillation:
    """Parameters of three-flavour oscillations, an immutable pytree.

    theta12, theta13, theta23, delta_cp: degrees; dm21, dm31: m_2^2 - m_1^2 > 0 and m_3^2 - m_1^2 [eV^2],
    the latter negative in the inverted ordering. Leaves may be numbers, scalars under transformation, or
    (in a prior) distributions. dm31 does not enter here: every gradient with respect to it is zero.
    """

    theta12: float
    theta13: float
    theta23: float
    delta_cp: float
    dm21: float
    dm31: float

    def probabilities(self, energy, source="8B", model="gs98"):
        """nu_e -> nu_e, nu_mu, nu_tau at Earth for ``energy`` [MeV] (n,): shape (n, 3), rows add up to one.

        source, model: where the neutrinos are made, names as in ``jaxlmt.sources.solar.FLUXES``. Any
        energy >= 0; a scalar gives (3,). Raises ValueError for other names, negative energies, and parameters
        out of range (``check_oscillation``).
        """
        density, weight = DENSITY[model][choose("source", source, SOURCES)]
        osc = check_oscillation(self)
        energy = to_float64(energy) if is_traced(energy) else values("energy", energy, low=0.0)
        return _probabilities(osc, energy, density, weight)


def flavour_coefficients(osc):
    """A, B, each (3,), of P(nu_e -> nu_alpha) = A_alpha + B_alpha D; alpha = e, mu, tau. Pure kernel.

    sum_i |U_alpha i|^2 P_i over mass states, with P_3 = s13^2 and P_1, P_2 = c13^2 (1 +- D)/2. A adds up to
    one and B to zero.
    """
    rad = jnp.pi / 180.0
    twice12, delta = 2.0 * rad * osc.theta12, rad * osc.delta_cp
    s13, c13 = jnp.sin(rad * osc.theta13), jnp.cos(rad * osc.theta13)
    s23, c23 = jnp.sin(rad * osc.theta23), jnp.cos(rad * osc.theta23)
    split = jnp.cos(twice12)
    interference = jnp.sin(twice12) * s13 * s23 * c23 * jnp.cos(delta)  # mu and tau with opposite signs
    a = jnp.stack(
        [
            0.5 * c13**4 + s13**4,
            c13**2 * (0.5 * c23**2 + 1.5 * (s13 * s23) ** 2),
            c13**2 * (0.5 * s23**2 + 1.5 * (s13 * c23) ** 2),
        ]
    )
    b = jnp.stack(
        [
            0.5 * c13**4 * split,
            c13**2 * (0.5 * split * ((s13 * s23) ** 2 - c23**2) + interference),
            c13**2 * (0.5 * split * ((s13 * c23) ** 2 - s23**2) - interference),
        ]
    )
    return a, b


def matter_cosine(osc, energy, density, weight):
    """D = <cos 2 theta_m> at ``energy`` [MeV] (k,), averaged over ``density`` [N_A/cm^3]: (k,). Pure kernel.

    density, weight: (k, m), the weights of each row adding up to one. cos 2 theta12 without matter, -1 in
    dense matter.
    """
    rad = jnp.pi / 180.0
    cosine, sine = jnp.cos(2.0 * rad * osc.theta12), jnp.sin(2.0 * rad * osc.theta12)
    scale = _MATTER * jnp.cos(rad * osc.theta13) ** 2 / osc.dm21
    distance = cosine - scale * energy[:, None] * density
    return jnp.sum(weight * distance / jnp.sqrt(distance**2 + sine**2), axis=1)


@jax.jit
def _probabilities(osc, energy, density, weight):
    flat = jnp.ravel(energy)
    nodes = (jnp.broadcast_to(part[None], (flat.size, part.size)) for part in (density, weight))
    a, b = flavour_coefficients(osc)
    result = a[None] + b[None] * matter_cosine(osc, flat, *nodes)[:, None]
    return result.reshape(*jnp.shape(energy), 3)


@functools.cache
def _densities():
    text = resources.files("jaxlmt").joinpath("data/solar_densities.csv").read_text(encoding="utf-8")
    rules = {model: {source: ([], []) for source in SOURCES} for model in FLUXES}
    for row in text.splitlines()[1:]:
        model, source, *node = row.split(",")
        for column, entry in zip(rules[model][source], node):
            column.append(float(entry))
    size = max(len(density) for rule in rules.values() for density, _ in rule.values())

    def padded(density, weight):
        missing = (0, size - len(density))
        nodes = np.pad(density, missing, "edge"), np.pad(weight, missing) / sum(weight)
        for part in nodes:
            part.setflags(write=False)
        return nodes

    return {model: {s: padded(*nodes) for s, nodes in rule.items()} for model, rule in rules.items()}


class _Densities(Mapping):
    """{solar model: {source: nodes}}, whose table is read when it is first asked for."""

    def __getitem__(self, model):
        return _densities()[choose("model", model, FLUXES)]

    def __iter__(self):
        return iter(FLUXES)

    def __len__(self):
        return len(FLUXES)


# DENSITY[model][source]: electron densities [N_A/cm^3] and weights, each (5,), a Gauss rule of the
# distribution of n_e where the neutrinos are made. Three nodes, five for hep; the others are filled up with
# weight zero. With "nufit6" D is that of the full radial table to 5e-6 (8B), 7e-5 (hep), 3e-8 (the others).
DENSITY = _Densities()

# Best fit and standard deviation, the mean of upper and lower error where these differ.
_PRESETS = {
    # Inferred from the figures of 2104.03297, which does not print its choice; dm31 does not enter.
    ("paper2021", "normal"): {
        "theta12": (34.3, None),
        "theta13": (8.58, None),
        "theta23": (49.26, None),
        "delta_cp": (0.0, None),
        "dm21": (7.50e-5, None),
        "dm31": (2.55e-3, None),
    },
    # I. Esteban et al. (NuFIT 6.0), JHEP 12 (2024) 216, arXiv:2410.05380, Table 1, "IC24 with SK-atm".
    ("nufit6", "normal"): {
        "theta12": (33.68, 0.715),
        "theta13": (8.56, 0.11),
        "theta23": (43.3, 0.9),
        "delta_cp": (212.0, 33.5),
        "dm21": (7.49e-5, 0.19e-5),
        "dm31": (2.513e-3, 0.020e-3),
    },
    ("nufit6", "inverted"): {
        "theta12": (33.68, 0.715),
        "theta13": (8.59, 0.11),
        "theta23": (47.9, 0.8),
        "delta_cp": (274.0, 23.5),
        "dm21": (7.49e-5, 0.19e-5),
        "dm31": (-2.484e-3 + 7.49e-5, 0.020e-3),  # printed as dm32
    },
}
PRESETS = tuple(sorted({name for name, _ in _PRESETS}))
ORDERINGS = ("normal", "inverted")


def oscillation(preset="nufit6", *, ordering="normal", uncertainties=False):
    """Oscillation parameters of a published fit, as an :class:`Oscillation`.

    preset: "nufit6", the fit of 2024 with atmospheric data of IceCube and Super-Kamiokande, or "paper2021",
    the choice of 2104.03297; ordering: "normal" or "inverted" (nufit6 alone). uncertainties: True makes every
    leaf a Normal prior of the printed error, symmetrised (nufit6 alone); what is not Gaussian, such as the
    other octant of theta23, and correlations are left out. Raises ValueError for anything else.
    """
    choose("preset", preset, PRESETS)
    choose("ordering", ordering, ORDERINGS)
    if (preset, ordering) not in _PRESETS:
        raise ValueError(f"preset {preset!r} has the normal ordering alone; got ordering {ordering!r}")
    table = _PRESETS[preset, ordering]
    if not switch("uncertainties", uncertainties):
        return Oscillation(**{name: value for name, (value, _) in table.items()})
    if any(std is None for _, std in table.values()):
        raise ValueError(f"uncertainties must be False for preset {preset!r}, which has none")
    return Oscillation(**{name: Normal(*entry) for name, entry in table.items()})


# Angles [degrees]: what lies below is taken for radians (zero is allowed for theta13).
_RANGES = {
    "theta12": (2.0, 88.0),
    "theta13": (1.0, 45.0),
    "theta23": (2.0, 88.0),
}


def check_oscillation(osc, argument="oscillation"):
    """``osc`` with float64 leaves; ValueError where a concrete value cannot be meant.

    Angles are degrees: theta12 and theta23 in [2, 88], theta13 zero or in [1, 45] (smaller ones look like
    radians), delta_cp in [-360, 360]; dm21 in [1e-6, 1e-3] eV^2, dm31 of either sign in [1e-4, 1e-1] eV^2.
    """
    if not isinstance(osc, Oscillation):
        raise TypeError(f"{argument} must be a jaxlmt.Oscillation; got {type(osc).__name__}")
    for name in (field.name for field in fields(osc)):
        leaf, label = getattr(osc, name), f"{argument}.{name}"
        if isinstance(leaf, Distribution):
            raise ValueError(f"{label} must be a number here, not a distribution; got {leaf!r}")
        if not is_traced(leaf):
            _check_leaf(label, name, leaf)
    return to_float64(osc)


def _check_leaf(label, name, leaf):
    value = number(label, leaf)
    if name in _RANGES:
        low, high = _RANGES[name]
        if not (low <= value <= high or (name == "theta13" and value == 0.0)):
            radians = f" ({value:g} radians are {np.degrees(value):.2f} degrees)" if 0.0 < value < low else ""
            raise ValueError(f"{label} must be in degrees, in [{low:g}, {high:g}]; got {leaf!r}{radians}")
    elif name == "delta_cp":
        number(label, leaf, low=-360.0, high=360.0)
    elif name == "dm21":
        number(label, leaf, low=1e-6, high=1e-3)
    elif not 1e-4 <= abs(value) <= 1e-1:
        raise ValueError(f"{label} must be of size 1e-4 to 0.1 eV^2, of either sign; got {leaf!r}")
