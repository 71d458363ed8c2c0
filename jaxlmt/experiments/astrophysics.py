"""White dwarfs, the galactic 511 keV line and dark matter on electrons, as terms of a likelihood."""

import functools
from math import log, sqrt

import jax.numpy as jnp

from ..darkmatter.positrons import HALO_VELOCITY, injection
from ..darkmatter.white_dwarfs import extra_emission
from ..processes import dark_electron
from ..pytrees import pytree
from ..validation import has_dark_matter, number
from .base import nuisances_of, start_fold
from .measurement import Logarithmic, Measurement, UpperBound, published, sigma_of_limit, table


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
class PositronLine(Logarithmic, Measurement):
    """<sigma v>(e+e-)/(2 m_psi^2) [fb/MeV^2], its logarithm within ``half_range`` of that of the datum."""

    half_range: float

    axis_label = r"$\langle\sigma v\rangle/2m_\psi^2$ [fb/MeV$^2$]"
    title = "511 keV line"
    needs_dark_matter = True

    def rate(self, theta, parameters):
        return injection(has_dark_matter(theta, self.name), parameters["halo_velocity"])[None]

    def residual(self, counts, mean):
        distance = super().residual(counts, mean)
        return distance - jnp.clip(distance, -self.half_range, self.half_range)


@functools.cache
def positron_line(*, halo_velocity=HALO_VELOCITY, edge=0.5):
    """The galactic 511 keV line, made by psi psibar -> e+e- alone.

    :func:`jaxlmt.positron_injection` between 1e-3 and 1 fb/MeV^2 costs nothing; beyond, -2 ln L is the
    square of the logarithm of the ratio to the nearer end over ``edge`` (> 0), 0.5 unless given. That is no
    measurement: the range, Drees & Zhao 2107.14528, eq 4.1, stands for the unknown density near the
    galactic centre, and ``edge`` for how sharp its ends are meant. Leave the term out to let something else
    make the line. halo_velocity: v0/c, a number or a prior, a nuisance of that name. Needs a model with
    dark matter. Raises ValueError for others.
    """
    start_fold()
    entry = table("dark_sector")["positron_line"]
    nominal, nuisances = nuisances_of({"halo_velocity": halo_velocity}, low=1e-6)
    return published(
        PositronLine,
        name="positron_line",
        measured=sqrt(entry["low"] * entry["high"]),
        sigma=number("edge", edge, low=0.0, low_open=True),
        nominal=nominal,
        nuisances=nuisances,
        half_range=0.5 * log(entry["high"] / entry["low"]),
    )


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
