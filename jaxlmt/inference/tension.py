"""Whether data sets agree with each other within a hypothesis: the parameter goodness of fit."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, norm

from ..likelihood import Joint
from ..validation import choose
from .fit import fit


@dataclass(frozen=True)
class Tension:
    """-2 ln L of all data at their best fit less that of every data set at its own: zero for agreement.

    value: the difference, >= 0; dof: degrees of freedom; p_value: probability of a larger one if the
    hypothesis is true, sigma: the same in standard deviations of a Gaussian (two-sided); together: the
    :class:`jaxlmt.FitResult` of all data; apart: {data set: its FitResult}.
    """

    value: float
    dof: int
    p_value: float
    sigma: float
    together: object
    apart: dict

    def __str__(self):
        sets = " against ".join(self.apart)
        return f"{sets}: {self.value:.3g} for {self.dof} degrees of freedom, {self.sigma:.2g} sigma"


def tension(joint, prior, *, groups=None, key=None):
    """:class:`Tension` between data sets under the hypothesis of ``prior``, such as a mixing tied to the
    coupling.

    joint: a :class:`jaxlmt.Joint`; groups: lists of names of experiments, every experiment on its own
    unless given; key: as for :func:`jaxlmt.fit`. A data set of ``n`` bins counts as min(n, free parameters)
    degrees of freedom, the joint fit takes the number of free parameters. Raises ValueError for unknown or
    repeated names and fewer than two data sets. Source: Maltoni and Schwetz, hep-ph/0304176.
    """
    groups = _groups(joint, groups)
    chosen = joint.only(*(name for group in groups for name in group))
    together = fit(chosen, prior, key=key)
    apart = {" + ".join(group): fit(joint.only(*group), prior, key=key) for group in groups}
    value = together.minus_two_log_likelihood - sum(best.minus_two_log_likelihood for best in apart.values())
    value = max(value, 0.0)  # rounding of the minima
    free = len(prior.names)
    bins = [sum(e.n_bins for e in joint.only(*group).experiments) for group in groups]
    dof = sum(min(n, free) for n in bins) - min(sum(bins), free)
    p_value = float(chi2.sf(value, dof)) if dof else 1.0
    return Tension(value, dof, p_value, float(norm.isf(0.5 * p_value)), together, apart)


def _groups(joint, groups):
    if not isinstance(joint, Joint):
        raise ValueError(f"joint must be a jaxlmt.Joint; got {joint!r}")
    if groups is None:
        groups = [[name] for name in joint.names]
    if not isinstance(groups, list | tuple):
        raise ValueError(f"groups must be at least two lists of names; got {groups!r}")
    groups = [np.atleast_1d(group).tolist() for group in groups]
    names = [choose("groups", name, joint.names) for group in groups for name in group]
    if len(groups) < 2 or not all(groups):
        raise ValueError(f"groups must be at least two lists of names; got {groups!r}")
    if len(set(names)) != len(names):
        raise ValueError(f"groups must name every experiment once; got {groups!r}")
    return groups
