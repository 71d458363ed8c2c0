"""The evidence of a model, from draws of its posterior: bridge sampling (Meng & Wong, Statistica Sinica 6
(1996) 831) against a Gaussian in the coordinates of the sampler, where the posterior nearly is one."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from .target import potentials_and_gradients

PROPOSALS = 2048
_LOG_2PI = np.log(2.0 * np.pi)


@dataclass(frozen=True)
class Evidence:
    """ln of the integral of likelihood ratio times prior, and the standard error of that logarithm.

    Both NaN where the draws do not tell: fewer than ten a dimension, or chains that did not move.
    """

    log: float
    error: float

    @property
    def known(self):
        """Whether the draws told."""
        return bool(np.isfinite(self.log) and np.isfinite(self.error))


UNKNOWN = Evidence(np.nan, np.nan)


def bridge(target, z, potential, random):
    """The :class:`Evidence` of ``target``.

    z: (chains, draws, d) of its posterior; potential: (chains, draws), -log density there; random: a NumPy
    ``Generator``. The Gaussian is fitted to the first half of every chain, and the second half is used. The
    error counts the draws by their effective number (Fruehwirth-Schnatter, Econometrics J. 7 (2004) 143).
    """
    half, d = z.shape[1] // 2, z.shape[2]
    fitted = z[:, :half].reshape(-1, d)
    if len(fitted) < 10 * d:
        return UNKNOWN
    centre = fitted.mean(axis=0)
    try:
        factor = np.linalg.cholesky(np.cov(fitted.T).reshape(d, d))
    except np.linalg.LinAlgError:
        return UNKNOWN

    def log_gaussian(points):
        standard = np.linalg.solve(factor, (points - centre).T)
        return -0.5 * np.sum(standard**2, axis=0) - np.log(np.diag(factor)).sum() - 0.5 * d * _LOG_2PI

    used = z[:, half:]
    proposed = centre + random.normal(size=(PROPOSALS, d)) @ factor.T
    values, _ = potentials_and_gradients(target, proposed)
    drawn = -potential[:, half:].ravel() - log_gaussian(used.reshape(-1, d))
    proposed = np.where(np.isfinite(values), -values, -np.inf) - log_gaussian(proposed)
    n = _effective(drawn.reshape(used.shape[:2]))
    weight = n / (n + PROPOSALS)

    log_z = np.median(drawn)
    for _ in range(1000):
        numerator = proposed - np.logaddexp(np.log(weight) + proposed, np.log1p(-weight) + log_z)
        denominator = -np.logaddexp(np.log(weight) + drawn, np.log1p(-weight) + log_z)
        new = _log_mean(numerator) - _log_mean(denominator)
        if abs(new - log_z) < 1e-10:
            break
        log_z = new
    squares = _relative_variance(numerator) / PROPOSALS + _relative_variance(denominator) / n
    return Evidence(float(new), float(np.sqrt(squares)))


def _log_mean(logarithms):
    return logsumexp(logarithms) - np.log(logarithms.size)


def _relative_variance(logarithms):
    values = np.exp(logarithms - logarithms.max())
    return values.var() / values.mean() ** 2


def _effective(series):
    """Effective number of draws in ``series`` (chains, n), by Geyer's initial positive sequence."""
    n = series.shape[1]
    centred = series - series.mean()
    padded = np.fft.rfft(centred, 2 * n, axis=1)
    covariance = np.fft.irfft(np.abs(padded) ** 2, axis=1)[:, :n].mean(axis=0) / n
    if covariance[0] == 0.0:
        return series.size
    pairs = covariance[: n - n % 2].reshape(-1, 2).sum(axis=1) / covariance[0]
    ends = np.flatnonzero(pairs <= 0.0)
    time = 2.0 * pairs[: ends[0] if ends.size else None].sum() - 1.0
    return series.size / max(time, 1.0)
