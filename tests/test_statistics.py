"""The likelihood terms against scipy.stats, mpmath and a minimiser."""

import math

import jax
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from jaxlmt.statistics import (
    excess_significance,
    gaussian_log_ratio,
    log_p_value,
    normalisation_pull,
    poisson_log_ratio,
    significance,
)
from tests.validation import independent

EPS = np.finfo(float).eps
TINY = 1e-300  # above what doubles hold with all their digits: ln(1 - p) for smaller p

ratio_and_slope = jax.jit(jax.value_and_grad(poisson_log_ratio, argnums=1))
_pull = jax.jit(normalisation_pull)


def pull(*arguments):
    """(profile, volume) as floats."""
    return tuple(map(float, _pull(*arguments)))


def one(n, mu):
    """(ln ratio, d/dmu) of one bin."""
    value, slope = ratio_and_slope(np.array([n], float), np.array([mu], float))
    return float(value), float(slope[0])


# ------------------------------------------------------------------------------------------------- Poisson
@pytest.mark.parametrize("mean", [1e-6, 0.3, 1.0, 7.5, 120.0, 5e4])
def test_poisson_is_scipys(mean):
    """ln Poisson(n|mu) - ln Poisson(n|n) at integer n, zero included."""
    law = stats.poisson(mean)
    n = np.unique(np.concatenate([[0.0, 1.0, 2.0, 3.0], law.ppf([1e-9, 0.1, 0.5, 0.9, 1 - 1e-9])]))
    expected = law.logpmf(n) - stats.poisson.logpmf(n, n)
    for count, value in zip(n, expected, strict=True):
        # scipy's own terms are of the size n ln n, and so is its rounding
        assert one(count, mean)[0] == pytest.approx(value, rel=1e-12, abs=1e-14 * (1.0 + count) * 20.0)
    together, _ = ratio_and_slope(n, np.full(n.size, mean))
    assert float(together) == pytest.approx(expected.sum(), rel=1e-12, abs=1e-12 * (1.0 + n.max()))


def test_poisson_edges():
    assert one(0.0, 0.0) == (0.0, -1.0)
    assert one(0.0, 3.25) == (-3.25, -1.0)
    assert one(4.0, 0.0) == (-np.inf, 0.0)
    assert one(4.0, 4.0) == (0.0, 0.0)
    # one impossible bin makes the whole impossible, without a NaN in the others' gradients
    value, slope = ratio_and_slope(np.array([2.0, 0.0, 3.0]), np.array([0.0, 1.0, 1.5]))
    assert value == -np.inf
    np.testing.assert_allclose(slope, [0.0, -1.0, 1.0])


@pytest.mark.parametrize("n", [1e-3, 1.0, 20.0, 1e4, 1e9])
@pytest.mark.parametrize("residual", [0.0, 1e-13, -1e-11, 1e-9, -1e-6, 1e-4, -1e-2, 0.3, -0.9, 9.0, 1e6])
def test_poisson_keeps_its_digits_near_the_optimum(n, residual):
    """Against 50 digits, to rounding: the error of r = (mu - n)/n is eps |r|, that of the sum n eps |r|."""
    mu = n * (1.0 + residual)
    value, slope = one(n, mu)
    r = (mu - n) / n
    expected = independent.poisson_log_ratio(n, mu)
    assert value == pytest.approx(expected, rel=4.0 * EPS, abs=4.0 * n * EPS * abs(r))
    assert abs(expected) < 40.0 * (1.0 + n * r**2)
    assert slope == pytest.approx((n - mu) / mu, rel=8.0 * EPS, abs=4.0 * EPS)


@pytest.mark.parametrize("share", [1e-2, 1e-5, 1e-8, 1e-12, 1e-15, 1e-17, 1e-30, 1e-100, 1e-280])
def test_poisson_far_below_the_data(share):
    """mu << n is unlikely, not impossible: n ln(mu/n) + n - mu, as a weak coupling gives."""
    for n in (1e-3, 1.0, 7.0, 1e6):
        mu = n * share
        value, slope = one(n, mu)
        assert value == pytest.approx(independent.poisson_log_ratio(n, mu), rel=1e-12)
        assert slope == pytest.approx(n / mu - 1.0, rel=1e-12)


@given(
    st.floats(1e-3, 1e7).flatmap(lambda n: st.tuples(st.just(n), st.floats(1e-5, 1e2))),
)
@settings(max_examples=60, deadline=None)
def test_poisson_anywhere(pair):
    n, share = pair
    value, slope = one(n, n * share)
    expected = independent.poisson_log_ratio(n, n * share)
    r = share - 1.0
    # eps/(1 + r) is the error of ln(1 + r) that rounding mu - n leaves
    assert value == pytest.approx(expected, rel=8.0 * EPS, abs=8.0 * EPS * n * (abs(r) + 1.0 / share))
    assert value <= 0.0
    assert slope == pytest.approx(1.0 / share - 1.0, abs=8.0 * EPS * (1.0 + 1.0 / share) ** 2)


def test_poisson_gradient_with_many_bins():
    rng = np.random.default_rng(1)
    counts, mean = rng.poisson(4.0, 30).astype(float), rng.uniform(0.1, 9.0, 30)
    _, slope = ratio_and_slope(counts, mean)
    np.testing.assert_allclose(slope, counts / mean - 1.0, rtol=1e-13, atol=1e-14)
    hessian = jax.jit(jax.hessian(poisson_log_ratio, argnums=1))(counts, mean)
    np.testing.assert_allclose(hessian, np.diag(-counts / mean**2), rtol=1e-12, atol=1e-14)
    counts = np.maximum(counts, 1.0)
    in_counts = jax.jit(jax.grad(poisson_log_ratio))(counts, mean)
    np.testing.assert_allclose(in_counts, np.log(mean / counts), rtol=1e-12, atol=1e-14)


# ------------------------------------------------------------------------------------------------ Gaussian
def test_gaussian_is_scipys():
    rng = np.random.default_rng(2)
    observed, mean, variance = rng.normal(size=7), rng.normal(size=7), rng.uniform(0.1, 5.0, 7)
    law = stats.norm(mean, np.sqrt(variance))
    expected = (law.logpdf(observed) - law.logpdf(mean)).sum()
    assert gaussian_log_ratio(observed, mean, variance) == pytest.approx(expected, rel=1e-13)
    slope = jax.grad(gaussian_log_ratio, argnums=1)(observed, mean, variance)
    np.testing.assert_allclose(slope, (observed - mean) / variance, rtol=1e-14)
    assert gaussian_log_ratio(mean, mean, variance) == 0.0


# ---------------------------------------------------------------------------------------- the normalisation
def bins(seed, size):
    """(N_obs, N_th, N_bkg, sigma) of eq 34, counts between 1e-3 and 1e7."""
    rng = np.random.default_rng(seed)
    theory = 10.0 ** rng.uniform(-3.0, 7.0, size)
    background = theory * rng.uniform(0.0, 1.0, size)
    observed = theory * rng.uniform(0.5, 1.5, size)
    return observed, theory, background, 10.0 ** rng.uniform(-2.5, -0.5)


CASES = [(seed, size) for size in (1, 2, 5, 12) for seed in range(3)]


@pytest.mark.parametrize("seed,size", CASES)
def test_pull_is_eq_34(seed, size):
    observed, theory, background, sigma = bins(seed, size)
    profile, _ = pull(observed, theory, observed + background, 1.0, sigma)
    expected = independent.chi2_eq34(observed, theory, background, sigma)
    assert -2.0 * profile == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("seed,size", CASES)
def test_marginal_is_the_integral_over_the_pull(seed, size):
    observed, theory, background, sigma = bins(seed, size)
    profile, volume = pull(observed, theory, observed + background, 1.0, sigma)
    expected = independent.chi2_eq34_marginal(observed, theory, background, sigma)
    assert -2.0 * (profile + volume) == pytest.approx(expected, rel=1e-10)
    assert volume < 0.0


@pytest.mark.parametrize("seed,size", CASES[::2])
@pytest.mark.parametrize("norm", [0.7, 1.0, 1.3])
def test_profile_is_a_minimisers(seed, size, norm):
    """scipy's minimum over the normalisation itself, constraint norm +- sigma around any centre."""
    observed, theory, background, sigma = bins(seed, size)
    variance = observed + background

    def chi2(nu):
        return math.fsum((observed - nu * theory) ** 2 / variance) + ((nu - norm) / sigma) ** 2

    best = optimize.minimize_scalar(chi2, bracket=(norm - sigma, norm + sigma), options={"xtol": 1e-10})
    profile, volume = pull(observed, theory, variance, norm, sigma)
    assert -2.0 * profile == pytest.approx(best.fun, rel=1e-10)
    # the second derivative of chi2 at its minimum gives the volume: a Gaussian integral
    step = 0.1 * sigma
    curvature = (chi2(best.x + step) - 2.0 * best.fun + chi2(best.x - step)) / step**2
    assert volume == pytest.approx(-0.5 * math.log(0.5 * curvature * sigma**2), rel=1e-5, abs=1e-6)


def test_pull_keeps_its_digits_at_the_optimum():
    """Counts of 1e7 whose residual is 1e-3 counts: the expanded form would leave nothing."""
    theory = np.array([1e7, 2e7, 5e6])
    observed = theory * 1.01 + np.array([1e-3, -2e-3, 1.5e-3])
    variance, sigma = 1.1 * observed, 0.05
    with mpmath.workdps(50):
        n, t, v = ([mpmath.mpf(float(x)) for x in column] for column in (observed, theory, variance))
        slope = sum((a - b) * b / c for a, b, c in zip(n, t, v, strict=True))
        curvature = sum(b * b / c for b, c in zip(t, v, strict=True)) + 1 / mpmath.mpf(sigma) ** 2
        a = slope / curvature
        chi2 = sum((x - y * (1 + a)) ** 2 / z for x, y, z in zip(n, t, v, strict=True))
        expected = float(chi2 + (a / mpmath.mpf(sigma)) ** 2)
    profile, _ = pull(observed, theory, variance, 1.0, sigma)
    assert -2.0 * profile == pytest.approx(expected, rel=1e-9)
    exact, _ = pull(theory, theory, variance, 1.0, sigma)
    assert exact == 0.0


def test_pull_without_signal():
    """Nothing to scale: the nuisance stays where it is, and there is no volume."""
    profile, volume = pull(np.array([0.3, -0.2]), np.zeros(2), np.ones(2), 1.0, 0.05)
    assert -2.0 * profile == pytest.approx(0.13, rel=1e-15)
    assert volume == 0.0


def test_pull_gradients():
    """Envelope theorem: d profile/d mean at the minimum, and d volume/d mean, in closed form."""
    observed, theory, background, sigma = bins(5, 4)
    variance = observed + background
    _, a = independent.chi2_eq34_minimum(observed, theory, background, sigma)
    profile_slope, volume_slope = jax.jit(jax.jacrev(normalisation_pull, argnums=1))(
        observed, theory, variance, 1.0, sigma
    )
    expected = (observed - (1.0 + a) * theory) / variance * (1.0 + a)
    np.testing.assert_allclose(profile_slope, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())
    curvature = np.sum(theory**2 / variance)
    expected = -theory / variance * sigma**2 / (1.0 + sigma**2 * curvature)
    np.testing.assert_allclose(volume_slope, expected, rtol=1e-12)


def test_small_and_large_constraints():
    """sigma -> 0 is the fixed normalisation; sigma -> infinity fits it freely."""
    observed, theory, background, _ = bins(7, 6)
    variance = observed + background
    fixed = float(gaussian_log_ratio(observed, theory, variance))
    profile, volume = pull(observed, theory, variance, 1.0, 1e-12)
    assert profile == pytest.approx(fixed, rel=1e-9) and abs(volume) < 1e-9
    weights = theory / variance
    best = np.sum(weights * observed) / np.sum(weights * theory)
    free = float(gaussian_log_ratio(observed, best * theory, variance))
    assert pull(observed, theory, variance, 1.0, 1e8)[0] == pytest.approx(free, rel=1e-9)


# ------------------------------------------------------------------------------- p-values and significances
def exact_log_tails(n, b):
    """(ln P(N >= n), ln P(N < n)) by mpmath: a series, a continued fraction, or its adaptive quadrature."""
    n, b = mpmath.mpf(n), mpmath.mpf(b)
    density = n * mpmath.log(b) - b - mpmath.loggamma(n)  # of ln t at t = b
    if n > 1e4:
        side = 1 if b > n else -1
        width = 1 / (mpmath.sqrt(b) + abs(b - n))
        grid = [b * mpmath.exp(side * k * width) for k in (0, 1, 2, 4, 7, 12, 20, 40)]
        ratio = mpmath.quad(lambda t: mpmath.exp((n - 1) * mpmath.log(t / b) + b - t), grid)
        tail = mpmath.exp(density) * abs(ratio) / b
    elif b < n:
        side, tail = -1, mpmath.exp(density) / n * mpmath.hyp1f1(1, n + 1, b, maxterms=10**6)
    else:
        side, tail = 1, mpmath.gammainc(n, b, regularized=True)
    both = mpmath.log(tail), mpmath.log1p(-tail)
    return both if side < 0 else both[::-1]


def exact_sigma(n, b):
    """Deviate of a unit Gaussian whose upper tail is P(N >= n)."""
    upper, lower = exact_log_tails(n, b)
    log_p = min(upper, lower)

    def excess(y):
        if y < 60:
            return mpmath.log(mpmath.erfc(y / mpmath.sqrt(2)) / 2) - log_p
        series = 1 - 1 / y**2 + 3 / y**4 - 15 / y**6 + 105 / y**8
        return mpmath.log(series / (y * mpmath.sqrt(2 * mpmath.pi))) - y**2 / 2 - log_p

    start = mpmath.sqrt(max(-2 * log_p - mpmath.log(-2 * log_p) - 1, 0.01))
    return (1 if upper < lower else -1) * mpmath.findroot(excess, start)


def random_counts(seed, size):
    """Half of them anywhere in the range, half where n is near b, or near the median of a small b."""
    rng = np.random.default_rng(seed)
    b = 10.0 ** rng.uniform(-6, 7, size)
    anywhere = 10.0 ** rng.uniform(-6, 7, size)
    near = np.abs(b + rng.normal(size=size) * (6.0 * np.sqrt(b) + 0.5))
    return np.where(np.arange(size) % 2, near, anywhere), b


def test_five_sigma():
    """Eq 38's discovery: p = 2.87e-7, at a whole number of counts by scipy's Poisson law."""
    n, b = 35.0, 12.5
    assert float(log_p_value(n, b)) == pytest.approx(math.log(stats.poisson.sf(34, b)), rel=1e-13)
    assert float(significance(n, b)) == pytest.approx(stats.norm.isf(stats.poisson.sf(34, b)), abs=1e-12)
    solved = optimize.brentq(
        lambda b: float(log_p_value(35.0, b)) - math.log(2.866515718791946e-7), 5.0, 20.0
    )
    assert float(significance(35.0, solved)) == pytest.approx(5.0, abs=1e-10)


def test_significance_is_mpmaths():
    n, b = random_counts(1, 160)
    upper, lower = np.asarray(log_p_value(n, b)), np.asarray(log_p_value(n, b, tail="lower"))
    sigma, deficit = np.asarray(significance(n, b)), np.asarray(significance(n, b, tail="lower"))
    assert upper.min() < -1e7 and upper.max() > -1e-3  # far into both tails
    with mpmath.workdps(30):
        for i in range(n.size):
            exact = exact_log_tails(n[i], b[i])[0]
            assert abs(upper[i] - exact) <= 1e-11 * abs(exact) + TINY
            assert abs(sigma[i] - exact_sigma(n[i], b[i])) < 1e-9
            exact = exact_log_tails(n[i] + 1.0, b[i])[1]
            assert abs(lower[i] - exact) <= 1e-11 * abs(exact) + TINY
            assert abs(deficit[i] + exact_sigma(n[i] + 1.0, b[i])) < 1e-9


def test_gradients_of_significance():
    """Both arguments, the real-valued count too, against differences of mpmath in 40 digits."""
    n, b = random_counts(2, 60)
    slopes = jax.jit(jax.vmap(jax.grad(excess_significance, argnums=(0, 1))))(n, b)
    logs = jax.vmap(jax.grad(log_p_value, argnums=(0, 1)))(n, b)
    with mpmath.workdps(40):
        for i in range(n.size):
            for argument, step in ((0, mpmath.mpf(n[i]) / 10**9), (1, mpmath.mpf(b[i]) / 10**9)):
                sides = [[mpmath.mpf(n[i]), mpmath.mpf(b[i])] for _ in range(2)]
                sides[0][argument] += step
                sides[1][argument] -= step
                for got, exact in ((slopes, exact_sigma), (logs, lambda n, b: exact_log_tails(n, b)[0])):
                    up, down = (exact(*side) for side in sides)
                    assert float(got[argument][i]) == pytest.approx(
                        float((up - down) / (2 * step)), rel=1e-8, abs=TINY
                    )


def test_significance_is_smooth_and_monotone():
    """Increasing in n, decreasing in b, also where the smaller tail changes and where exponents overflow."""
    for b in (1e-6, 1e-3, 0.1, 0.7, 1.0, 8.0, 300.0, 1e5, 1e7):
        n = np.unique(
            np.concatenate(
                [
                    np.geomspace(1e-7, 1e7, 300),
                    np.clip(b + np.sqrt(b) * np.linspace(-3.0, 3.0, 301), 1e-9, None),
                ]
            )
        )
        assert np.all(np.diff(np.asarray(significance(n, b))) > 0.0)
        background = np.unique(np.clip(np.concatenate([n, n + 1e-6]), 1e-6, 1e7))
        assert np.all(np.diff(np.asarray(significance(b, background))) < 0.0)


def test_finite_everywhere():
    n, b = (a.ravel() for a in np.meshgrid(np.geomspace(1e-8, 1e7, 60), np.geomspace(1e-6, 1e7, 60)))
    n = np.concatenate([n, b, np.nextafter(b, 0.0)])
    b = np.concatenate([b, b, b])
    for tail in ("upper", "lower"):
        for function in (significance, log_p_value):
            value, slopes = jax.vmap(
                jax.value_and_grad(lambda n, b: function(n, b, tail=tail), argnums=(0, 1))  # noqa: B023
            )(n, b)
            assert np.isfinite(value).all() and np.isfinite(slopes).all()


def test_significance_at_the_edges():
    """What is certain, what is impossible; gradients are zero there, and a deficit to nothing is finite."""
    value_and_slopes = jax.value_and_grad(significance, argnums=(0, 1))
    assert value_and_slopes(0.0, 3.0) == (-np.inf, (0.0, 0.0))
    assert value_and_slopes(2.0, 0.0) == (np.inf, (0.0, 0.0))
    assert value_and_slopes(0.0, 0.0) == (-np.inf, (0.0, 0.0))
    assert float(log_p_value(0.0, 3.0)) == 0.0 and float(log_p_value(2.0, 0.0)) == -np.inf
    assert float(log_p_value(0.0, 3.0, tail="lower")) == pytest.approx(-3.0, rel=1e-14)
    assert float(significance(0.0, 3.0, tail="lower")) == pytest.approx(
        stats.norm.isf(math.exp(-3.0)), rel=1e-12
    )
    assert float(significance(2.0, 0.0, tail="lower")) == -np.inf


def test_significance_far_beyond_doubles():
    """p = 1e-300 and less, against the Gaussian limit's own tail and an exact sum."""
    with mpmath.workdps(40):
        for n, b in ((400.0, 40.0), (1000.0, 1.0), (5e3, 1e3)):
            first = mpmath.exp(-mpmath.mpf(b)) * mpmath.mpf(b) ** int(n) / mpmath.factorial(int(n))
            term, total = first, mpmath.mpf(0)
            for k in range(1, 4000):
                total += term
                term *= mpmath.mpf(b) / (int(n) + k)
            assert mpmath.log(total) < -300
            assert float(log_p_value(n, b)) == pytest.approx(float(mpmath.log(total)), rel=1e-13)


def test_significance_transforms():
    n, b = np.array([5.0, 40.0, 3e4]), np.array([2.0, 30.0, 2.9e4])
    one_by_one = [float(significance(*pair)) for pair in zip(n, b, strict=True)]
    np.testing.assert_allclose(significance(n, b), one_by_one, rtol=1e-13)
    np.testing.assert_allclose(jax.jit(jax.vmap(significance))(n, b), one_by_one, rtol=1e-13)
    assert significance(n[:, None], b).shape == (3, 3)
    second = jax.grad(jax.grad(significance))(5.0, 2.0)
    h = 1e-4
    differences = (jax.grad(significance)(5.0 + h, 2.0) - jax.grad(significance)(5.0 - h, 2.0)) / (2.0 * h)
    assert float(second) == pytest.approx(float(differences), rel=1e-7)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ((-1.0, 2.0), "n_obs must be finite and >= 0; got -1"),
        ((1.0, math.nan), "background must be finite and >= 0; got nan"),
        (("five", 2.0), "n_obs must be numbers"),
        ((np.ones(2), np.ones(3)), "shapes that broadcast"),
    ],
)
def test_significance_refuses(arguments, message):
    for function in (significance, log_p_value):
        with pytest.raises(ValueError, match=message):
            function(*arguments)


def test_significance_refuses_tails():
    with pytest.raises(ValueError, match="tail must be one of 'upper', 'lower'"):
        significance(1.0, 2.0, tail="both")
