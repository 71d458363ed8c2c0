"""Relic abundance, radiation and the ionisation history of the universe, as terms of a likelihood."""

import functools
from dataclasses import field
from math import hypot

from ..darkmatter import formula
from ..darkmatter.background import plasma
from ..darkmatter.boltzmann import interpolation, relic_density_boltzmann
from ..darkmatter.kinetic import relic_density_kinetic
from ..darkmatter.n_eff import N_NU, NEUTRINO_DECOUPLING, effective_neutrinos, hidden_species
from ..darkmatter.recombination import EFFICIENCY_E, EFFICIENCY_MU, ionising_power
from ..pytrees import pytree
from ..validation import choose, has_dark_matter, number
from .base import nuisances_of, start_fold
from .measurement import Logarithmic, Measurement, UpperBound, published, sigma_of_limit, table

G_STAR = 10.75  # of photons, e+- and three neutrinos, for the formula
# How the relic density is computed, and the error of its logarithm that is assumed of it.
METHODS = {"formula": 0.2, "boltzmann": 0.05, "kinetic": 0.02}
PSI = ("all", "at_most_all")


@pytree
class RelicAbundance(Logarithmic, Measurement):
    """Omega h^2 of psi and psibar: ln measured +- sigma.

    method: of ``METHODS``; prepared: what its kernel is given beside theta, computed once.
    """

    method: str = field(metadata={"static": True})
    prepared: tuple

    axis_label = r"$\Omega h^2$"
    title = "relic abundance"
    needs_dark_matter = True

    def rate(self, theta, parameters):
        theta = has_dark_matter(theta, self.name)
        if self.method == "formula":
            return formula.relic_density(theta, G_STAR, formula.NORMALISATIONS["corrected"])[None]
        kernel = {"boltzmann": relic_density_boltzmann, "kinetic": relic_density_kinetic}[self.method]
        return kernel(theta, parameters["neutrino_decoupling"], *self.prepared)[None]


@pytree
class RelicAbundanceBound(UpperBound, RelicAbundance):
    """The same, bounded from above."""


@functools.cache
def relic_abundance(
    measurement="planck2018",
    *,
    method="formula",
    theory_error=None,
    psi="all",
    neutrino_decoupling=None,
):
    """The density of dark matter, Omega h^2 = 0.120 +- 0.001 (1807.06209), as the relic density of psi.

    A Gaussian in ln Omega h^2: both solutions then have a slope towards them from anywhere. Its width is
    the quadratic sum of the measurement's, 0.8%, and of theory_error (>= 0), that of ln Omega h^2 as
    computed: 0.2, 0.05 or 0.02 unless given, by method, each a choice. method: as in
    :func:`jaxlmt.relic_density`, ``"formula"`` (against the Boltzmann equation 15 to 18% low above the
    pole, at M_A' = 15 MeV and g_x = 5e-4), ``"boltzmann"`` (which knows nothing of early kinetic
    decoupling) or ``"kinetic"``. The last two take neutrino_decoupling [MeV], 2.3 unless given, a number or
    a prior, and a nuisance of that name. psi: ``"all"`` dark matter, or ``"at_most_all"``, where less of it
    costs nothing. Needs a model with dark matter. Raises ValueError for other values.
    """
    start_fold()
    known = table("dark_sector")["abundance"]
    entry = known[choose("measurement", measurement, known)]
    usual = METHODS[choose("method", method, METHODS)]
    theory = number("theory_error", usual if theory_error is None else theory_error, low=0.0)
    fields = {}
    if method != "formula":
        given = NEUTRINO_DECOUPLING if neutrino_decoupling is None else neutrino_decoupling
        fields = {"neutrino_decoupling": given}
    elif neutrino_decoupling is not None:
        raise ValueError(f"neutrino_decoupling must be left out of the formula; got {neutrino_decoupling!r}")
    nominal, nuisances = nuisances_of(fields, low=1e-3)
    return published(
        RelicAbundance if choose("psi", psi, PSI) == "all" else RelicAbundanceBound,
        name="relic_abundance",
        measured=entry["value"],
        sigma=hypot(entry["sigma"] / entry["value"], theory),
        nominal=nominal,
        nuisances=nuisances,
        method=method,
        prepared=() if method == "formula" else (plasma(), interpolation()),
    )


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
