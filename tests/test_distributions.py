"""Every prior against scipy.stats, quadrature and autodiff."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit

from jaxlmt.distributions import (
    AsinhUniform,
    Box,
    Distribution,
    LogUniform,
    Normal,
    PerCoupling,
    SignedLogUniform,
    SymmetricAsinh,
    TiedToCoupling,
    Uniform,
    check_distribution,
)

EPS = np.finfo(float).eps

BOXES = {
    "uniform": Uniform(-1.5, 0.5),
    "uniform far from zero": Uniform(1e3, 1.001e3),
    "loguniform": LogUniform(1e-5, 1e-2),
    "loguniform wide": LogUniform(1e-12, 1e6),
    "loguniform negative": LogUniform(1e-8, 1e-3, sign=-1),
    "asinh": SymmetricAsinh(0.01, 0.3),
    "asinh wide": SymmetricAsinh(1e-9, 1.0),
    "signed": SignedLogUniform(1e-8, 1e-3),
}
ALL = {**BOXES, "normal": Normal(0.2386, 0.0005), "normal wide": Normal(-3.0, 20.0)}

box_case = pytest.mark.parametrize("prior", BOXES.values(), ids=BOXES)
all_case = pytest.mark.parametrize("prior", ALL.values(), ids=ALL)


@jax.jit
def log_prob(prior, value):
    return prior.log_prob(value)


@jax.jit
def log_prob_and_slope(prior, value):
    return jax.vmap(jax.value_and_grad(prior.log_prob))(value)


@jax.jit
def from_real_and_slope(prior, y):
    return jax.vmap(jax.value_and_grad(prior.from_real))(y)


@jax.jit
def log_density_real_and_slope(prior, y):
    return jax.vmap(jax.value_and_grad(prior.log_density_real))(y)


def is_signed(prior):
    return isinstance(prior, SignedLogUniform)


class Asinh(stats.rv_continuous):
    """The closed form of SymmetricAsinh: density 1/(2 asinh(b/s) sqrt(x^2 + s^2))."""

    def _pdf(self, x, s, b):
        return 1.0 / (2.0 * math.asinh(b[0] / s[0]) * np.sqrt(x**2 + s**2))

    def _ppf(self, q, s, b):
        return s * np.sinh((2.0 * q - 1.0) * np.arcsinh(b / s))

    def _get_support(self, s, b):
        return -b, b

    def _argcheck(self, s, b):
        return (s > 0) & (b > 0)


def reference(prior):
    """(scipy distribution of +-value, sign): the positive half where both signs are possible."""
    if isinstance(prior, Uniform):
        return stats.uniform(prior.low, prior.high - prior.low), 1.0
    if isinstance(prior, LogUniform):
        return stats.loguniform(prior.low, prior.high), float(prior.sign)
    if isinstance(prior, SignedLogUniform):
        return stats.loguniform(prior.low, prior.high), 1.0
    if isinstance(prior, SymmetricAsinh):
        return Asinh()(prior.scale, prior.bound), 1.0
    return stats.norm(prior.mean, prior.std), 1.0


def inside(prior, n=41):
    """Values strictly inside the support, spread evenly in its own coordinate."""
    if isinstance(prior, Normal):
        return prior.mean + prior.std * np.linspace(-8.0, 8.0, n)
    low, high = map(float, prior.warped_bounds())
    return np.asarray(prior.unwarp(low + (high - low) * np.linspace(0.001, 0.999, n)))


@pytest.mark.parametrize("low, high", [(-0.9, 0.2), (-0.5, -1e-4), (1e-6, 0.9)])
def test_asinh_on_any_interval(low, high, scale=0.01):
    """The closed form, 1/(sqrt(x^2 + s^2) (asinh(high/s) - asinh(low/s))), and the way there and back."""
    prior = AsinhUniform(scale, low, high)
    assert prior.bounds == (low, high) and prior.flat_in == SymmetricAsinh(scale, 1.0).flat_in
    x = inside(prior)
    norm = math.asinh(high / scale) - math.asinh(low / scale)
    np.testing.assert_allclose(prior.log_prob(x), -np.log(np.sqrt(x**2 + scale**2) * norm), rtol=1e-12)
    np.testing.assert_array_equal(prior.log_prob(np.array([low - 1e-3, high + 1e-3])), -np.inf)
    np.testing.assert_allclose(prior.from_real(prior.to_real(x)), x, rtol=1e-9, atol=1e-15)
    with pytest.raises(ValueError, match=r"delta\.high must be a finite number"):
        check_distribution("delta", AsinhUniform(scale, high, low))


# ------------------------------------------------------------------------------------- density in the value
@all_case
def test_log_prob_is_scipys(prior):
    exact, sign = reference(prior)
    x = inside(prior)
    expected = exact.logpdf(sign * x) - (math.log(2.0) if is_signed(prior) else 0.0)
    scale = 1.0 + abs(prior.mean) / prior.std if isinstance(prior, Normal) else 1.0
    np.testing.assert_allclose(prior.log_prob(x), expected, rtol=1e-13 * scale, atol=1e-13)
    assert prior.log_prob(float(x[3])) == pytest.approx(expected[3], rel=1e-13 * scale, abs=1e-13)
    if is_signed(prior):
        np.testing.assert_array_equal(prior.log_prob(-x), prior.log_prob(x))


@all_case
def test_log_prob_integrates_to_one(prior):
    def density(x):
        return math.exp(log_prob(prior, x))

    if isinstance(prior, Normal):
        knots = prior.mean + prior.std * np.array([-12.0, -4.0, 0.0, 4.0, 12.0])
    elif isinstance(prior, Uniform):
        knots = np.array([prior.low, prior.high])
    else:  # quad wants one panel a decade where the density is a power law
        largest = max(map(abs, prior.bounds))
        smallest = 1e-2 * prior.scale if isinstance(prior, SymmetricAsinh) else prior.low
        decades = np.geomspace(smallest, largest, 2 + round(math.log10(largest / smallest)))
        both = [-decades[::-1], decades] if prior.bounds[0] < 0.0 < prior.bounds[1] else [decades]
        knots = np.concatenate(both) if prior.bounds[1] > 0.0 else -decades[::-1]
        if is_signed(prior):  # nothing between the signs
            assert density(0.5 * smallest) == density(-0.5 * smallest) == 0.0
    panels = [quad(density, a, b, epsrel=1e-10)[0] for a, b in itertools.pairwise(knots)]
    assert math.fsum(panels) == pytest.approx(1.0, rel=1e-8)


@box_case
def test_no_density_outside(prior):
    low, high = prior.bounds
    width = high - low
    outside = [low - 1e-6 * width, low - 10.0 * width, high + 1e-6 * width, high + 10.0 * width]
    if isinstance(prior, LogUniform | SignedLogUniform):
        outside += [0.0, 0.999 * prior.low, -0.999 * prior.low]
    if isinstance(prior, LogUniform):
        outside += [-prior.sign * 0.5 * (prior.low + prior.high)]
    value, slope = log_prob_and_slope(prior, np.array(outside))
    assert (value == -np.inf).all() and np.isfinite(slope).all()


@box_case
def test_box_is_closed(prior):
    """The edges of the support as they were given have the density of the points next to them."""
    if isinstance(prior, SymmetricAsinh):
        given = [-prior.bound, prior.bound]
    else:
        given = [getattr(prior, "sign", 1) * prior.low, getattr(prior, "sign", 1) * prior.high]
    exact, sign = reference(prior)
    for value, other in zip(given, given[::-1], strict=True):
        towards = math.copysign(1e-12 * min(abs(value), abs(other - value)), other - value)
        expected = exact.logpdf(sign * (value + towards)) - (math.log(2.0) if is_signed(prior) else 0.0)
        assert log_prob(prior, value) == pytest.approx(expected, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize(
    "prior,expected",
    [
        (Uniform(-1.5, 0.5), (-1.5, 0.5)),
        (LogUniform(1e-5, 1e-2), (1e-5, 1e-2)),
        (LogUniform(1e-5, 1e-2, sign=-1), (-1e-2, -1e-5)),
        (SymmetricAsinh(0.01, 0.3), (-0.3, 0.3)),
        (SignedLogUniform(1e-5, 1e-2), (-1e-2, 1e-2)),
        (Normal(0.2, 0.1), (-np.inf, np.inf)),
    ],
)
def test_bounds(prior, expected):
    assert prior.bounds == pytest.approx(expected, rel=4 * EPS)
    assert all(type(b) is float for b in prior.bounds)


@box_case
def test_no_value_leaves_the_bounds(prior):
    y = np.linspace(-700.0, 700.0, 2001)
    value = np.asarray(prior.from_real(y))
    low, high = prior.bounds
    slack = 16.0 * EPS * max(abs(low), abs(high))  # of exp(log(edge))
    assert value.min() >= low - slack and value.max() <= high + slack
    assert value.min() == pytest.approx(prior.low if is_signed(prior) else low, rel=1e-13)
    assert value.max() == pytest.approx(high, rel=1e-13)
    steps = np.diff(value) * (getattr(prior, "sign", 1))
    assert (steps >= 0.0).all() and (steps[np.abs(y[1:]) < 15.0] > 0.0).all()


# --------------------------------------------------------------------------------- unconstrained coordinate
@all_case
def test_from_real_is_the_quantile_function(prior):
    """A box has y logistic, a Gaussian has it normal: value(y) = ppf(cdf(y))."""
    y = np.linspace(-6.0, 6.0, 31)
    exact, sign = reference(prior)
    if isinstance(prior, Normal):
        expected = np.where(y < 0.0, exact.ppf(stats.norm.cdf(y)), exact.isf(stats.norm.sf(y)))
    else:  # LogUniform runs outwards from zero for either sign
        expected = sign * exact.ppf(expit(y))
    np.testing.assert_allclose(prior.from_real(y), expected, rtol=1e-9, atol=1e-13 * np.abs(expected).max())


@all_case
def test_log_density_real_is_scipys(prior):
    y = np.concatenate([np.linspace(-700.0, 700.0, 101), np.linspace(-3.0, 3.0, 13)])
    exact = stats.norm if isinstance(prior, Normal) else stats.logistic
    np.testing.assert_allclose(prior.log_density_real(y), exact.logpdf(y), rtol=1e-14, atol=1e-14)


@all_case
def test_change_of_variables(prior):
    """log density in y = log density in the value + ln |dvalue/dy|, both signs summed."""
    y = np.array([-9.0, -4.0, -1.0, -0.3, -1e-3, 0.0, 1e-3, 0.3, 1.0, 4.0, 9.0])
    value, slope = from_real_and_slope(prior, y)
    expected = np.asarray(log_prob(prior, value)) + np.log(np.abs(slope))
    if is_signed(prior):
        expected = np.logaddexp(expected, np.asarray(log_prob(prior, -value)) + np.log(np.abs(slope)))
    np.testing.assert_allclose(log_density_real_and_slope(prior, y)[0], expected, rtol=1e-12, atol=1e-12)


@all_case
def test_gradient_of_from_real(prior):
    """Against dvalue/dy = density in y / density in the value, in closed form and free of cancellation."""
    exact, sign = reference(prior)
    base = stats.norm if isinstance(prior, Normal) else stats.logistic
    y = np.array([-20.0, -5.0, -1e-3, 0.0, 1e-3, 5.0, 20.0])
    value, slope = from_real_and_slope(prior, y)
    expected = sign * base.pdf(y) / exact.pdf(np.clip(sign * np.asarray(value), *exact.support()))
    np.testing.assert_allclose(slope, expected, rtol=1e-11)


@box_case
def test_round_trip_of_boxes(prior):
    """To the digits that the value has: y moves by d(warped)/(share (1 - share) width)."""
    y = np.linspace(-20.0, 20.0, 161)
    low, high = map(float, prior.warped_bounds())
    share = expit(y)
    rounding = 8.0 * EPS * (1.0 + max(abs(low), abs(high))) / ((high - low) * share * (1.0 - share))
    error = np.abs(np.asarray(prior.to_real(prior.from_real(y))) - y)
    assert (error <= rounding + 8.0 * EPS * np.abs(y)).all()
    x = inside(prior)
    np.testing.assert_allclose(prior.from_real(prior.to_real(x)), x, rtol=1e-12)
    if is_signed(prior):
        np.testing.assert_allclose(prior.to_real(-x), prior.to_real(x))


@pytest.mark.parametrize("prior", [ALL["normal"], ALL["normal wide"]])
def test_round_trip_of_normal(prior):
    y = np.linspace(-50.0, 50.0, 101)
    digits = EPS * (1.0 + abs(prior.mean) / prior.std)
    np.testing.assert_allclose(prior.to_real(prior.from_real(y)), y, rtol=1e-14, atol=2.0 * digits)


@all_case
def test_finite_everywhere(prior):
    """Values and gradients over all that a sampler may try."""
    y = np.concatenate([np.linspace(-700.0, 700.0, 401), [-1e-300, 0.0, 1e-300, -1e-12, 1e-12]])
    for function in (from_real_and_slope, log_density_real_and_slope):
        value, slope = function(prior, y)
        assert np.isfinite(value).all() and np.isfinite(slope).all()
    expected = -y if isinstance(prior, Normal) else -np.tanh(0.5 * y)
    np.testing.assert_allclose(slope, expected, rtol=1e-12, atol=1e-15)


@box_case
def test_values_outside_go_to_the_nearest_coordinate(prior):
    """What to_real promises: a finite coordinate beyond either edge."""
    low, high = prior.bounds
    for value in (low, low - 1.0, high, high + 1.0):
        y = float(prior.to_real(value))
        assert np.isfinite(y) and abs(y) > 20.0
    assert np.isfinite(float(prior.to_real(0.0)))


def test_numbers_of_every_type():
    """Python ints are numbers too."""
    priors = Uniform(0, 10), LogUniform(1, 10), SymmetricAsinh(1, 10), SignedLogUniform(1, 10), Normal(5, 1)
    for prior in priors:
        exact, _ = reference(prior)
        expected = exact.logpdf(5.0) - (math.log(2.0) if is_signed(prior) else 0.0)
        for five in (5, 5.0, np.float64(5), np.int64(5), jnp.asarray(5.0)):
            assert prior.log_prob(five) == pytest.approx(expected, rel=1e-14)


# ------------------------------------------------------------------------------------------------- pytrees
@all_case
def test_immutable_pytrees_with_numeric_leaves(prior):
    leaves, structure = jax.tree.flatten(prior)
    assert len(leaves) == 2 and all(isinstance(leaf, float) for leaf in leaves)
    again = jax.tree.unflatten(structure, leaves)
    x = inside(prior)
    np.testing.assert_array_equal(again.log_prob(x), prior.log_prob(x))
    with pytest.raises(AttributeError):
        setattr(prior, prior.__dataclass_fields__.copy().popitem()[0], 1.0)
    traced = jax.jit(lambda p, v: p.log_prob(v))(prior, x)
    np.testing.assert_allclose(traced, prior.log_prob(x), rtol=1e-14)


def test_classes_have_distinct_tree_structures():
    """jit tells arguments apart by tree structure: JAX 0.10 takes two registered dataclasses for the same.

    Where the structures of a Uniform and a Normal compare equal, jit runs the program of the one on the other
    as soon as seven bits of two hashes, which change from process to process, agree.
    """
    examples = [Uniform(1.0, 2.0), LogUniform(1.0, 2.0), LogUniform(1.0, 2.0, sign=-1)]
    examples += [SymmetricAsinh(1.0, 2.0), SignedLogUniform(1.0, 2.0), Normal(1.0, 2.0), TiedToCoupling(1.0)]
    examples += [PerCoupling(Uniform(1.0, 2.0)), PerCoupling(SymmetricAsinh(1.0, 2.0))]
    same = [
        f"{a!r} and {b!r}"
        for a, b in itertools.combinations(examples, 2)
        if jax.tree.structure(a) == jax.tree.structure(b)
    ]
    assert not same


def test_flat_in():
    """The coordinate that pictures use: log_prob plus ln |dvalue/dwarp| is constant."""
    labels = {"uniform": "linear", "loguniform": "log", "signed": "log", "normal": "linear"}
    assert {name: ALL[name].flat_in for name in labels} == labels
    assert float(ALL["asinh"].flat_in.split(":")[1]) == 0.01
    for prior in BOXES.values():
        x = inside(prior)
        slope = jax.vmap(jax.grad(prior.warp))(x)
        density = np.asarray(prior.log_prob(x)) - np.log(np.abs(slope))
        low, high = map(float, prior.warped_bounds())
        sides = 2.0 if is_signed(prior) else 1.0
        np.testing.assert_allclose(density, -math.log(sides * (high - low)), rtol=1e-12)


# ---------------------------------------------------------------------------------------------- bad numbers
@pytest.mark.parametrize(
    "prior,named",
    [
        (Uniform(1.0, 1.0), "mass.high"),
        (Uniform(2.0, 1.0), "mass.high"),
        (Uniform(-np.inf, 1.0), "mass.low"),
        (Uniform(0.0, np.inf), "mass.high"),
        (Uniform(np.nan, 1.0), "mass.low"),
        (Uniform("a", 1.0), "mass.low"),
        (Uniform(True, 2.0), "mass.low"),
        (Uniform(None, 2.0), "mass.low"),
        (Uniform(np.array([0.0, 1.0]), 2.0), "mass.low"),
        (LogUniform(0.0, 1.0), "mass.low"),
        (LogUniform(-1.0, 1.0), "mass.low"),
        (LogUniform(1.0, 0.5), "mass.high"),
        (LogUniform(1.0, 2.0, sign=0), "mass.sign"),
        (LogUniform(1.0, 2.0, sign=2), "mass.sign"),
        (LogUniform(1.0, 2.0, sign=-0.5), "mass.sign"),
        (SignedLogUniform(0.0, 1.0), "mass.low"),
        (SignedLogUniform(1.0, 1.0), "mass.high"),
        (SymmetricAsinh(0.0, 1.0), "mass.scale"),
        (SymmetricAsinh(-1.0, 1.0), "mass.scale"),
        (SymmetricAsinh(0.1, 0.0), "mass.bound"),
        (SymmetricAsinh(0.1, np.nan), "mass.bound"),
        (Normal(0.0, 0.0), "mass.std"),
        (Normal(0.0, -1.0), "mass.std"),
        (Normal(np.inf, 1.0), "mass.mean"),
        (TiedToCoupling(np.nan), "mass.ratio"),
        (PerCoupling(Normal(0.0, 1.0)), "mass"),
        (PerCoupling(0.1), "mass"),
        (PerCoupling(Uniform(1.0, 0.0)), "mass.ratio.high"),
        ("LogUniform", "mass"),
        (0.5, "mass"),
        (None, "mass"),
    ],
)
def test_bad_parameters_are_named(prior, named):
    with pytest.raises(ValueError, match=rf"(^|\W){named.replace('.', chr(92) + '.')}(\W|$)"):
        check_distribution("mass", prior)


def test_good_parameters_pass():
    for prior in (*ALL.values(), TiedToCoupling(-1 / 70), *map(PerCoupling, BOXES.values())):
        assert isinstance(prior, Distribution)
        assert check_distribution("eps_x", prior) is None
    assert not isinstance(ALL["normal"], Box)
