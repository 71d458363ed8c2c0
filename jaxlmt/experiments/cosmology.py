"""Relic abundance, radiation and the ionisation history of the universe, as terms of a likelihood."""

import functools

from ..darkmatter.n_eff import N_NU, NEUTRINO_DECOUPLING, effective_neutrinos, hidden_species
from ..darkmatter.recombination import EFFICIENCY_E, EFFICIENCY_MU, ionising_power
from ..pytrees import pytree
from ..validation import choose, has_dark_matter
from .base import nuisances_of, start_fold
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
    nominal, nuisances = nuisances_of({"neutrino_decoupling": neutrino_decoupling, "n_nu": n_nu}, low=1e-3)
    return published(
        made, name="radiation", measured=measured, sigma=sigma, nominal=nominal, nuisances=nuisances
    )


@pytree
class CmbAnnihilation(UpperBound, Measurement):
    """f_eff <sigma v>/(2 m_psi) at recombination [cm^3 s^-1 GeV^-1], bounded from above."""

    axis_label = r"$f_{\rm eff}\langle\sigma v\rangle/2m_\psi$ [cm$^3$/s/GeV]"
    title = "CMB"
    needs_dark_matter = True

    def rate(self, theta, parameters):
        efficiencies = (parameters[f"{self.name}.{name}"] for name in ("f_e", "f_mu"))
        return ionising_power(has_dark_matter(theta, self.name), *efficiencies)[None]


@functools.cache
def cmb_annihilation(*, f_e=EFFICIENCY_E, f_mu=EFFICIENCY_MU):
    """Dark matter that annihilates at recombination, as the CMB bounds it.

    f_eff <sigma v>/2 <= 4.1e-28 (m_psi/GeV) cm^3/s, one-sided, best value 0, taken as a 95% limit; Drees &
    Zhao 2107.14528, eq 3.14, after Slatyer 1506.03811. Psi is all dark matter. f_e, f_mu: f_eff of e+e- and
    of muon pairs, each a number or a prior, and nuisances ``"cmb_annihilation.f_e"``,
    ``"cmb_annihilation.f_mu"``. f_e = 0.3 is Slatyer's at 10 MeV; f_mu = 0.35 f_e, the electron's share of
    a muon's decay, is our estimate. Needs a model with dark matter. Raises ValueError for other values.
    """
    start_fold()
    entry = table("dark_sector")["annihilation"]["planck2015"]
    name = "cmb_annihilation"
    nominal, nuisances = nuisances_of({f"{name}.f_e": f_e, f"{name}.f_mu": f_mu}, low=0.0)
    sigma = sigma_of_limit(entry["limit"], entry["level"])
    return published(
        CmbAnnihilation, name=name, measured=0.0, sigma=sigma, nominal=nominal, nuisances=nuisances
    )
