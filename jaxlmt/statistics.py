"""Log-likelihood terms, p-values and significances.

A log-likelihood term is relative to a perfect description of the data, so that its maximum is 0; -2 times it
is a deviance: Baker-Cousins for Poisson counts, chi^2 for Gaussian ones. p-values are Poisson tails, as
logarithms, for counts that need not be whole.
"""

import math

import jax
import jax.numpy as jnp

from .quadrature import trailing, unit_gauss
from .validation import choose, is_traced, to_float64, values

TAILS = ("upper", "lower")

_NEGLIGIBLE = 40.0  # integrands are cut where they have fallen by exp(-40)
_NODES = 32  # of a Gauss rule on either half of the range that is left
_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_SHIFT = 8  # of the shape, beyond which the upper tail has one scale only and Stirling's series all digits
# The series: powers of 1/a, from the first on in steps of two
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def poisson_log_ratio(counts, mean):
    """Sum over bins of ln Poisson(n | mu) - ln Poisson(n | n); shapes (bins,), (bins,) -> ().

    -n (r - ln(1 + r)) with r = (mu - n)/n keeps its digits at the optimum; it is -mu for n = 0.
    A bin with n > 0 and mu = 0 gives -inf (gradient 0). Real-valued (Asimov) counts are allowed.
    """
    return jnp.sum(poisson_terms(counts, mean))


def poisson_terms(counts, mean):
    """The summands of :func:`poisson_log_ratio`, shapes (...), (...) -> (...)."""
    seen = counts > 0.0
    possible = mean > 0.0
    safe_counts = jnp.where(seen, counts, 1.0)
    safe_mean = jnp.where(possible, mean, 1.0)
    excess = (safe_mean - safe_counts) / safe_counts
    near = jnp.abs(excess) < 0.5
    far_log = jnp.log(jnp.where(near, 1.0, safe_mean / safe_counts))  # log1p has no digits near -1
    terms = -safe_counts * (excess - jnp.where(near, jnp.log1p(jnp.where(near, excess, 0.0)), far_log))
    return jnp.where(seen, jnp.where(possible, terms, -jnp.inf), -mean)


def gaussian_log_ratio(observed, mean, variance):
    """-chi^2/2 of independent Gaussian bins; shapes (bins,) -> ()."""
    return -0.5 * jnp.sum((observed - mean) ** 2 / variance)


def normalisation_given(observed, mean, variance, norm, norm_std):
    """(mean, standard deviation) of the normalisation of :func:`normalisation_pull`, given the rest."""
    precision = 1.0 + norm_std**2 * jnp.sum(mean**2 / variance)
    pull = jnp.sum(mean * (observed - norm * mean) / variance) * norm_std**2 / precision
    return norm + pull, norm_std / jnp.sqrt(precision)


def normalisation_pull(observed, mean, variance, norm, norm_std):
    """Log-likelihood with a free normalisation, in closed form: 2104.03297, eq 34.

    ``mean`` (bins,) is multiplied by a nuisance with Gaussian constraint ``norm`` +- ``norm_std``. Returns
    (profile, volume): the maximum over it of -chi^2/2, constraint included, and the term to add for the
    *marginal* likelihood, -ln(1 + norm_std^2 S_tt)/2 with S_tt = sum mean^2/variance. The sum is taken
    at the minimum: the expanded form cancels.
    """
    best, _ = normalisation_given(observed, mean, variance, norm, norm_std)
    chi2 = jnp.sum((observed - best * mean) ** 2 / variance) + ((best - norm) / norm_std) ** 2
    return -0.5 * chi2, -0.5 * jnp.log1p(norm_std**2 * jnp.sum(mean**2 / variance))


def _stirling_remainder(a):
    """ln Gamma(a) - [(a - 1/2) ln a - a + ln sqrt(2 pi)] for a > 0."""
    is_small = a < _SHIFT
    inverse = 1.0 / jnp.where(is_small, a + _SHIFT, a)
    series = jnp.zeros_like(inverse)
    for coefficient in reversed(_STIRLING):
        series = series * inverse**2 + coefficient
    small = jnp.where(is_small, a, 1.0)
    product = 1.0  # Gamma(a + 8)/Gamma(a)
    for k in range(_SHIFT):
        product = product * (small + k)
    above = (small + _SHIFT - 0.5) * jnp.log(small + _SHIFT) - _SHIFT
    recurrence = above - (small - 0.5) * jnp.log(small) - jnp.log(product)
    return series * inverse + jnp.where(is_small, recurrence, 0.0)


def _where_negligible(a, x, sign):
    """u > 0 at which a (sign u) - x (exp(sign u) - 1) is about -_NEGLIGIBLE, by Newton steps on a convex
    function."""
    slope = sign * (x - a)
    u = 2.0 * _NEGLIGIBLE / (slope + jnp.sqrt(slope**2 + 2.0 * _NEGLIGIBLE * x))  # exp to second order
    u = jnp.where(sign > 0.0, jnp.minimum(u, jnp.log1p(_NEGLIGIBLE / x) + 2.0), u)  # x << 1: exponential

    def step(_, u):
        fallen = x * jnp.expm1(sign * u) - a * sign * u
        return u - (fallen - _NEGLIGIBLE) / (sign * (x * jnp.exp(sign * u) - a))

    return jax.lax.fori_loop(0, 5, step, u)


def _tail_integral(a, x, sign):
    """Integral of (t/x)^a exp(x - t) dt/t from x to infinity (sign = 1) or to zero (sign = -1)."""
    fixed_a, fixed_x = jax.lax.stop_gradient((a, x))  # the range does not depend on them, but for exp(-40)
    end = _where_negligible(fixed_a, fixed_x, sign)
    # with x << 1 the integrand is flat in u = |ln(t/x)| up to t = 1, and falls at once beyond
    knee = -jnp.log(jnp.minimum(fixed_x, 1.0))
    middle = jnp.where((sign > 0.0) & (knee > 0.0), jnp.minimum(knee, 0.9 * end), 0.5 * end)
    nodes, weights = unit_gauss(_NODES)
    a, x, sign, middle, end = (value[..., None] for value in (a, x, sign, middle, end))
    nodes = trailing(nodes, end[..., 0])
    u = jnp.concatenate([middle * nodes, middle + (end - middle) * nodes], axis=-1)
    width = jnp.concatenate([middle + 0.0 * nodes, end - middle + 0.0 * nodes], axis=-1)
    weight = width * jnp.concatenate([trailing(weights, end[..., 0])] * 2, axis=-1)
    return jnp.sum(weight * jnp.exp(a * sign * u - x * jnp.expm1(sign * u)), axis=-1)


def _smaller_tail(n, b):
    """(ln of the smaller one of P(N >= n) and P(N < n), whether that is the former), for n, b > 0.

    P(N >= n) is the regularised incomplete gamma function P(n, b). Either tail is its integrand at the end of
    the range, b^n exp(-b)/n!, times an integral that a fixed Gauss rule gives to rounding, wherever in the
    tail: derivatives in both arguments are those of the sum.
    """
    # split near the median of a gamma law of shape n; either side would do there
    is_upper = jnp.log(b) < jnp.log(n + 0.5) - math.log(2.0) / n
    shape = jnp.where(is_upper, n + _SHIFT, n)
    sum_of_rest = shape * _tail_integral(shape, b, jnp.where(is_upper, -1.0, 1.0))
    series = sum_of_rest  # of the upper tail: 1 + b/(n + 1) (1 + b/(n + 2) (1 + ...))
    for k in range(_SHIFT, 0, -1):
        series = 1.0 + b / (n + k) * series
    log_point = poisson_terms(n, b) - 0.5 * jnp.log(n) - _LOG_SQRT_2PI - _stirling_remainder(n)
    return log_point + jnp.log(jnp.where(is_upper, series, sum_of_rest)), is_upper


def _mills(y):
    """P(y)/density(y) of the upper tail of a unit Gaussian, y > -1."""
    end = 2.0 * _NEGLIGIBLE / (y + jnp.sqrt(y**2 + 2.0 * _NEGLIGIBLE))
    end = jax.lax.stop_gradient(end)[..., None]
    nodes, weights = (trailing(rule, y) for rule in unit_gauss(_NODES))
    t = end * nodes
    return jnp.sum(end * weights * jnp.exp(-t * (y[..., None] + 0.5 * t)), axis=-1)


@jax.custom_jvp
def gaussian_deviate(log_p):
    """y with P(y) = exp(log_p) above it in a unit Gaussian, for log_p from ln 0.6 down to -1e15."""

    def step(_, y):
        mills = _mills(y)
        return y - mills * (0.5 * y**2 + _LOG_SQRT_2PI - jnp.log(mills) + log_p)

    # P(y) < exp(-y^2/2)/2, and -ln P is convex: Newton's steps come down to the root
    start = jnp.sqrt(2.0 * jnp.maximum(-log_p - math.log(2.0), 0.0))
    return jax.lax.fori_loop(0, 7, step, start)


@gaussian_deviate.defjvp
def _gaussian_deviate_jvp(primals, tangents):
    y = gaussian_deviate(*primals)
    return y, -_mills(y) * tangents[0]


def _positive(n_obs, background):
    """(n_obs, background) as arrays of one shape, where both are positive; 1 elsewhere; and where that is."""
    n, b = jnp.broadcast_arrays(jnp.asarray(n_obs, float), jnp.asarray(background, float))
    inside = (n > 0.0) & (b > 0.0)
    return jnp.where(inside, n, 1.0), jnp.where(inside, b, 1.0), inside


def log_tail(n, b, upper):
    """ln P(N >= n | b) where ``upper``, ln P(N < n | b) elsewhere, a kernel of n, b >= 0 that broadcast.

    On the edges, n = 0 or b = 0, the limit, with gradient 0; that of P(N >= 0) = 1 where both are zero.
    """
    safe_n, safe_b, inside = _positive(n, b)
    smaller, is_upper = _smaller_tail(safe_n, safe_b)
    is_wanted = is_upper == upper
    larger = jnp.log1p(-jnp.exp(jnp.where(is_wanted, -1.0, smaller)))
    edge = jnp.where((n > 0.0) == upper, -jnp.inf, 0.0)
    return jnp.where(inside, jnp.where(is_wanted, smaller, larger), edge)


def log_p_excess(n_obs, background):
    """ln P(N >= n_obs | background), a kernel; shapes that broadcast."""
    return log_tail(n_obs, background, True)


def log_p_deficit(n_obs, background):
    """ln P(N <= n_obs | background), a kernel; shapes that broadcast."""
    return log_tail(n_obs + 1.0, background, False)


def excess_significance(n_obs, background):
    """The deviate y of a unit Gaussian with P(>= y) = P(N >= n_obs | background), a kernel."""
    n, b, inside = _positive(n_obs, background)
    smaller, is_upper = _smaller_tail(n, b)
    y = gaussian_deviate(smaller)
    return jnp.where(inside, jnp.where(is_upper, y, -y), jnp.where(n_obs > 0.0, jnp.inf, -jnp.inf))


def deficit_significance(n_obs, background):
    """The deviate y of a unit Gaussian with P(>= y) = P(N <= n_obs | background), a kernel."""
    return -excess_significance(n_obs + 1.0, background)


_log_p_value = {"upper": jax.jit(log_p_excess), "lower": jax.jit(log_p_deficit)}
_significance = {"upper": jax.jit(excess_significance), "lower": jax.jit(deficit_significance)}


def log_p_value(n_obs, background, *, tail="upper"):
    """ln of the one-tailed Poisson p-value, P(N >= n_obs | background); shapes that broadcast.

    n_obs, background: counts >= 0 that need not be whole: the sum over N is continued by the regularised
    incomplete gamma function P(n_obs, background). tail: ``"lower"`` for a deficit, P(N <= n_obs |
    background). To 1e-11, relative, however far in the tail, for counts up to 1e7; differentiable in
    both arguments. Exactly 0 for n_obs = 0 and -inf for n_obs > 0 without background, with gradient 0 there.
    Raises ValueError for invalid arguments. Source: 2104.03297, eq 38.
    """
    return _log_p_value[choose("tail", tail, TAILS)](*_counts(n_obs, background))


def significance(n_obs, background, *, tail="upper"):
    """Significance of an excess in standard deviations, one-tailed: 5 is a p-value of 2.867e-7.

    The deviate of a unit Gaussian that is exceeded with the probability of :func:`log_p_value`, to 1e-9 for
    counts up to 1e7; increasing in n_obs, decreasing in background, differentiable in both. It has a sign:
    negative for a deficit, where p > 1/2, and zero at the median, n_obs = background + 1/3 for many counts
    (the probability of n_obs itself counts as part of the tail). tail: ``"lower"`` for the significance of a
    deficit, positive where P(N <= n_obs | background) < 1/2. Of an excess, -inf for n_obs = 0 and +inf for
    n_obs > 0 without background; of a deficit, -inf without background; gradients are 0 there. Raises
    ValueError for invalid arguments. Source: 2104.03297, eq 38.

    Its gradient with respect to exposure is that of
    ``significance(total * exposure, background * exposure)``.
    """
    return _significance[choose("tail", tail, TAILS)](*_counts(n_obs, background))


def _counts(n_obs, background):
    def check(argument, value):
        return to_float64(value) if is_traced(value) else values(argument, value, low=0.0)

    n_obs, background = check("n_obs", n_obs), check("background", background)
    try:
        return jnp.broadcast_arrays(n_obs, background)
    except ValueError as error:
        shapes = f"{jnp.shape(n_obs)} and {jnp.shape(background)}"
        raise ValueError(f"n_obs and background must have shapes that broadcast; got {shapes}") from error
