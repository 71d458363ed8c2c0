"""The measured anomalous magnetic moment of the muon."""

import functools

from ..processes.gminus2 import coupling_from_delta_a_mu, magnetic_moment
from ..pytrees import pytree
from ..validation import choose
from .base import start_fold
from .measurement import Measurement, published, table


@pytree
class GMinus2(Measurement):
    """Delta a_mu = measured +- sigma."""

    axis_label = r"$\Delta a_\mu$"
    title = r"$(g-2)_\mu$"

    def rate(self, theta, parameters):
        del parameters
        return magnetic_moment(theta)[None]

    def coupling_band(self, mass, sigmas=2.0):
        """(lowest, highest) coupling within ``sigmas`` standard deviations, of the shape of ``mass`` [MeV].

        The lowest is 0 where no Delta a_mu at all is within them.
        """
        reach = sigmas * float(self.sigma[0])
        highest = coupling_from_delta_a_mu(self.measured + reach, mass)
        if self.measured <= reach:
            return 0.0 * highest, highest
        return coupling_from_delta_a_mu(self.measured - reach, mass), highest


def measurements():
    """Published comparisons of experiment and Standard Model: {name: dict}, see data/gminus2.toml."""
    return table("gminus2")


@functools.cache
def gminus2(measurement="2021"):
    """The measurement of Delta a_mu by name: ``"2021"``, 251(59)e-11 (2104.03281), the one of the papers,
    or ``"2025"``, consistent with zero. Raises ValueError for other names."""
    start_fold()
    entry = measurements()[choose("measurement", measurement, measurements())]
    return published(GMinus2, name="gminus2", measured=entry["delta_a_mu"], sigma=entry["sigma"])
