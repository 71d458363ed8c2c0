"""Relic abundance, radiation and the ionisation history of the universe, as terms of a likelihood."""

import functools

from ..darkmatter.n_eff import N_NU, NEUTRINO_DECOUPLING, effective_neutrinos, hidden_species
from ..pytrees import pytree
from ..validation import choose
from .base import nuisance, start_fold
from .measurement import Measurement, UpperBound, published, sigma_of_limit, table


@pytree
class Radiation(Measurement):
    """N_eff = measured +- sigma."""

    axis_label = r"$N_{\rm eff}$"
    title = "radiation"

    def rate(self, theta, parameters):
        species = hidden_species(theta)
        return effective_neutrinos(species, parameters["neutrino_decoupling"], parameters["n_nu"])[None]


@pytree
class RadiationBound(UpperBound, Radiation):
    """N_eff, bounded from above."""


@functools.cache
def radiation(measurement="bbn", *, neutrino_decoupling=NEUTRINO_DECOUPLING, n_nu=N_NU):
    """The effective number of neutrinos as ``"bbn"``, ``"planck2018"`` or ``"act_dr6"`` has it.

    ``"bbn"``: N_eff <= 3.4 at 95%, one-sided, its best value at the Standard Model's 3.044; the bound of
    Drees & Zhao 2107.14528. ``"planck2018"``: 2.99 +- 0.17 (1807.06209, with BAO). ``"act_dr6"``: 2.86 +-
    0.13 (2503.14454, with Planck, lensing and BAO). The last two are Gaussians, on both sides.
    neutrino_decoupling [MeV], n_nu: as in :func:`jaxlmt.n_eff`, each a number or a prior, and nuisances of
    these names. For a model without dark matter the A' alone counts. Raises ValueError for other values.
    """
    start_fold()
    known = table("dark_sector")["n_eff"]
    entry = known[choose("measurement", measurement, known)]
    made, measured, sigma = Radiation, entry.get("value"), entry.get("sigma")
    if "limit" in entry:
        made, measured = RadiationBound, entry["best"]
        sigma = sigma_of_limit(entry["limit"], entry["level"], measured)
    nominal, nuisances = nuisances_of(1e-3, neutrino_decoupling=neutrino_decoupling, n_nu=n_nu)
    return published(
        made, name="radiation", measured=measured, sigma=sigma, nominal=nominal, nuisances=nuisances
    )


def nuisances_of(low, **fields):
    """(nominal, nuisances) of fields >= ``low``, numbers or distributions."""
    nominal, nuisances = {}, {}
    for name, value in fields.items():
        fixed, varied = nuisance(name, value, low=low)
        nominal |= fixed
        nuisances |= varied
    return nominal, nuisances
