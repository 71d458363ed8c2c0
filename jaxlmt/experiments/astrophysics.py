"""White dwarfs, the galactic 511 keV line and dark matter on electrons, as terms of a likelihood."""

import functools

from ..darkmatter.white_dwarfs import extra_emission
from ..processes import dark_electron
from ..pytrees import pytree
from ..validation import has_dark_matter
from .base import start_fold
from .measurement import Measurement, UpperBound, published, sigma_of_limit, table


@pytree
class WhiteDwarfs(UpperBound, Measurement):
    """Neutrino emission through the A' over that of the Standard Model, bounded from above."""

    axis_label = "extra / SM neutrino emission"
    title = "white dwarfs"

    def rate(self, theta, parameters):
        del parameters
        return extra_emission(theta)[None]


@functools.cache
def white_dwarfs():
    """White dwarfs cool no faster than with twice the Standard Model's neutrino emission.

    One-sided (:class:`~jaxlmt.experiments.measurement.UpperBound`): the best value of
    :func:`jaxlmt.white_dwarf_emission` is 0; 1, beyond which the source excludes, is taken as its 95% limit,
    as no level is quoted there. Drees & Zhao 2107.14528, eq 3.18, after Dreiner et al. 1303.7232. For M_A'
    above about 1 MeV.
    """
    start_fold()
    entry = table("dark_sector")["white_dwarfs"]
    sigma = sigma_of_limit(entry["limit"], entry["level"])
    return published(WhiteDwarfs, name="white_dwarfs", measured=0.0, sigma=sigma)


@pytree
class Sensei(UpperBound, Measurement):
    """Cross section of psi on electrons [cm^2], bounded from above."""

    axis_label = r"$\bar\sigma_e$ [cm$^2$]"
    needs_dark_matter = True

    def rate(self, theta, parameters):
        del parameters
        return dark_electron.cross_section(has_dark_matter(theta, self.name))[None]


@functools.cache
def sensei():
    """SENSEI's bound on psi e scattering at m_psi = 10 MeV, 0.5e-36 cm^2, taken as a 90% limit.

    One-sided, best value 0. The number is what Drees & Zhao 2107.14528 quote; the published limit is a
    function of m_psi, for which this stands at every mass. No conclusion depends on it: at the couplings of
    (g-2)_mu the cross section of this model is 1e7 times smaller. Needs a model with dark matter.
    """
    start_fold()
    entry = table("dark_sector")["sensei"]
    sigma = sigma_of_limit(entry["limit"], entry["level"])
    return published(Sensei, name="sensei", measured=0.0, sigma=sigma)
