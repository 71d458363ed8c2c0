"""Neutrino tridents as measured by CCFR and CHARM-II, over the Standard Model."""

import functools
from dataclasses import field

from ..processes.trident import BEAMS, fold, ratio
from ..pytrees import pytree
from ..validation import choose
from .base import nuisance, start_fold
from .measurement import Measurement, published, table

TITLES = {"ccfr": "CCFR tridents", "charm2": "CHARM-II tridents"}


@pytree
class Trident(Measurement):
    """sigma/sigma_SM of nu_mu N -> nu_mu N mu+ mu-: measured +- sigma.

    folded: the beam, a ``jaxlmt.processes.trident.Fold``.
    """

    beam: str = field(metadata={"static": True})
    folded: tuple

    axis_label = r"$\sigma/\sigma_{\rm SM}$"

    @property
    def title(self):
        """Name for people."""
        return TITLES[self.beam]

    def rate(self, theta, parameters):
        return ratio(theta, self.folded, parameters["sin2_theta_w"])[None]


def trident(beam="ccfr", *, sin2_theta_w=0.23857):
    """The measured rate of neutrino tridents over the Standard Model's, by beam.

    ``"ccfr"``: 0.82 +- 0.28 (PRL 66 (1991) 3117), in which a background of diffractive charm is not
    subtracted (1902.07715); ``"charm2"``: 1.58 +- 0.57 (PLB 245 (1990) 271). sin2_theta_w: a number or a
    prior. The prediction is :func:`jaxlmt.trident_ratio`. Raises ValueError for invalid arguments.
    """
    start_fold()
    return _trident(choose("beam", beam, BEAMS), sin2_theta_w)


@functools.cache
def _trident(beam, sin2_theta_w):
    nominal, nuisances = nuisance("sin2_theta_w", sin2_theta_w, low=0.0)
    entry = table("trident")[beam]
    return published(
        Trident,
        name=f"trident_{beam}",
        measured=entry["ratio"],
        sigma=entry["sigma"],
        nominal=nominal,
        nuisances=nuisances,
        beam=beam,
        folded=fold(BEAMS[beam]),
    )
