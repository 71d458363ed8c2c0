"""Discovery reach against scipy's incomplete gamma functions and root finder."""

import math
from dataclasses import field, replace

import jax
import numpy as np
import pytest
from scipy import optimize, special, stats

import jaxlmt as lmt
from jaxlmt.experiments.base import Counting, Experiment, frozen
from jaxlmt.inference.reach import discovery_exposure, discovery_threshold, required_exposure
from jaxlmt.pytrees import pytree
from jaxlmt.statistics import significance


@pytree
class Fake(Counting, Experiment):
    """Two bins whose counts are (1 + slope g_x)^2 times the Standard Model's; ``background`` is in counts."""

    name: str = field(metadata={"static": True})
    bin_edges: np.ndarray
    background: np.ndarray
    standard_model: np.ndarray  # per tonne year
    slope: float
    exposure: float  # t yr
    nominal: dict
    nuisances: dict

    def rate(self, theta, parameters):
        return parameters["flux"] * self.exposure * self.standard_model * (1.0 + self.slope * theta.g_x) ** 2


def fake(slope=200.0, exposure=20.0, background=(1.5, 2.0)):
    return Fake(
        name="fake",
        bin_edges=frozen([1.0, 2.0, 3.0]),
        background=frozen(np.multiply(background, exposure)),
        standard_model=frozen([0.7, 0.3]),
        slope=slope,
        exposure=exposure,
        nominal={"flux": 1.0},
        nuisances={},
    )


BP1 = lmt.benchmark("BP1")


def scipy_exposure(total, background, sigma=5.0):
    """Where scipy's tails of the median outcome reach the p-value; for at most some 1e5 counts.

    Above that scipy 1.17 sums too few terms of a series and is off by a percent at five sigma.
    """
    log_p = math.log(stats.norm.sf(sigma))

    def excess(exposure):
        if total > background:
            return math.log(special.gammainc(total * exposure, background * exposure)) - log_p
        return math.log(special.gammaincc(total * exposure + 1.0, background * exposure)) - log_p

    largest = -log_p / (total * math.log(total / background) - total + background)
    assert largest * total < 3e5
    return optimize.brentq(excess, largest * 1e-2, largest * 1.01, xtol=1e-300, rtol=1e-13)


@pytest.mark.parametrize("background", [1e-3, 0.4, 17.0, 3e4])
@pytest.mark.parametrize("excess", [0.02, 0.11, 1.5, 30.0])
@pytest.mark.parametrize("sigma", [0.5, 3.0, 5.0])
def test_exposure_is_scipys(background, excess, sigma):
    got = float(required_exposure(background * (1.0 + excess), background, sigma=sigma))
    assert got == pytest.approx(scipy_exposure(background * (1.0 + excess), background, sigma), rel=1e-8)


@pytest.mark.parametrize("background", [1e-3, 0.4, 17.0])
@pytest.mark.parametrize("deficit", [0.01, 0.3, 0.95])
def test_deficit_is_scipys(background, deficit):
    total = background * (1.0 - deficit)
    got = float(required_exposure(total, background, deficit=True))
    assert got == pytest.approx(scipy_exposure(total, background), rel=1e-8)
    assert float(required_exposure(total, background)) == np.inf


def test_closed_forms():
    """Nothing expected where b counts are: p = exp(-b). And many counts: (S/sqrt B)^2 = 25."""
    assert float(required_exposure(0.0, 0.2, deficit=True)) == pytest.approx(
        -math.log(stats.norm.sf(5.0)) / 0.2, rel=1e-12
    )
    gaussian = 25.0 / 1e-8  # to first order in the excess
    assert float(required_exposure(1.0001, 1.0)) == pytest.approx(gaussian, rel=1e-4)
    assert float(required_exposure(0.9999, 1.0, deficit=True)) == pytest.approx(gaussian, rel=1e-4)


def test_significance_at_the_exposure():
    """The root is one, over rates and levels of many sizes, with the bracket's ends among them."""
    rng = np.random.default_rng(3)
    background = 10.0 ** rng.uniform(-6, 5, 400)
    more = background * (1.0 + 10.0 ** rng.uniform(-4, 3, 400))
    less = background * (1.0 - np.minimum(10.0 ** rng.uniform(-4, 0.1, 400), 1.0))
    for sigma in (1e-3, 0.3, 2.0, 5.0, 30.0):
        exposure = np.asarray(required_exposure(more, background, sigma=sigma))
        np.testing.assert_allclose(significance(more * exposure, background * exposure), sigma, atol=1e-9)
        exposure = np.asarray(required_exposure(less, background, sigma=sigma, deficit=True))
        reached = significance(less * exposure, background * exposure, tail="lower")
        np.testing.assert_allclose(reached, sigma, atol=1e-9)


def test_no_excess():
    """Infinite with gradient zero; zero without any background."""
    for total, background in ((1.0, 1.0), (0.5, 1.0), (0.0, 0.0), (0.0, 2.0)):
        value, slopes = jax.value_and_grad(required_exposure, argnums=(0, 1))(total, background)
        assert (float(value), *map(float, slopes)) == (np.inf, 0.0, 0.0)
    value, slopes = jax.value_and_grad(required_exposure, argnums=(0, 1))(0.3, 0.0)
    assert (float(value), *map(float, slopes)) == (0.0, 0.0, 0.0)
    assert float(required_exposure(1.0, 1.0, deficit=True)) == np.inf


@pytest.mark.parametrize(
    "total,background,deficit", [(1.3, 1.0, False), (9.0, 0.02, False), (0.7, 1.0, True)]
)
def test_gradients_of_the_exposure(total, background, deficit):
    """Implicit differentiation against differences of scipy's roots; sigma too."""

    def exposure(total, background, sigma):
        return required_exposure(total, background, sigma=sigma, deficit=deficit)

    point = (total, background, 5.0)
    slopes = jax.grad(exposure, argnums=(0, 1, 2))(*point)
    for i, slope in enumerate(slopes):
        h = 1e-4 * point[i]
        up, down = ([x + s * h * (j == i) for j, x in enumerate(point)] for s in (1.0, -1.0))
        difference = (scipy_exposure(*up) - scipy_exposure(*down)) / (2.0 * h)
        assert float(slope) == pytest.approx(difference, rel=1e-5)
    # scaling both rates scales the exposure (Euler)
    scaled = slopes[0] * total + slopes[1] * background
    assert float(scaled) == pytest.approx(-float(exposure(*point)), rel=1e-10)


def test_second_derivative():
    slope = jax.jit(jax.jacfwd(required_exposure))
    h = 1e-4
    difference = (slope(1.3 + h, 1.0) - slope(1.3 - h, 1.0)) / (2.0 * h)
    assert float(jax.jacfwd(slope)(1.3, 1.0)) == pytest.approx(float(difference), rel=1e-6)


def test_vmap_and_jit():
    total, background = np.array([1.3, 0.9, 2.0]), np.array([1.0, 1.0, 0.0])
    expected = [float(required_exposure(*pair)) for pair in zip(total, background, strict=True)]
    np.testing.assert_allclose(required_exposure(total, background), expected, rtol=1e-13)
    np.testing.assert_allclose(jax.jit(jax.vmap(required_exposure))(total, background), expected, rtol=1e-13)
    slopes = jax.vmap(jax.grad(required_exposure))(total, background)
    assert np.isfinite(slopes).all() and slopes[1] == slopes[2] == 0.0


# ------------------------------------------------------------------------------------------- of an experiment
def test_of_an_experiment():
    """Counts summed over bins against theta with g_x = 0; its own exposure drops out."""
    total, background = (1.0 + 200.0 * BP1.g_x) ** 2 + 3.5, 4.5
    expected = scipy_exposure(total, background)
    assert float(discovery_exposure(fake(), BP1)) == pytest.approx(expected, rel=1e-9)
    assert float(discovery_exposure(fake(exposure=3.0), BP1)) == pytest.approx(expected, rel=1e-9)
    assert float(discovery_exposure(fake(), BP1, sigma=3)) == pytest.approx(
        scipy_exposure(total, background, 3.0), rel=1e-9
    )
    double = float(discovery_exposure(fake(), BP1, nuisances={"flux": 2.0}))
    assert double == pytest.approx(scipy_exposure(2.0 * total - 3.5, 5.5), rel=1e-9)


def test_of_a_deficit():
    negative = fake(slope=-200.0)
    assert float(discovery_exposure(negative, BP1)) == np.inf
    expected = scipy_exposure((1.0 - 200.0 * BP1.g_x) ** 2 + 3.5, 4.5)
    assert float(discovery_exposure(negative, BP1, deficit=True)) == pytest.approx(expected, rel=1e-9)
    assert float(discovery_exposure(fake(), BP1, deficit=True)) == float(discovery_exposure(fake(), BP1))


def test_of_many_points():
    couplings = np.array([0.0, 2e-4, 5e-4])
    exposure = discovery_exposure(fake(), replace(BP1, g_x=couplings))
    assert exposure.shape == (3,) and exposure[0] == np.inf and exposure[1] > exposure[2]


def test_gradients_of_an_experiment():
    """In the coupling, the mixing of nothing, the flux and the background, against scipy's roots."""
    experiment = fake()

    def reference(g_x=BP1.g_x, flux=1.0, background=3.5):
        return scipy_exposure(flux * (1.0 + 200.0 * g_x) ** 2 + background, flux + background)

    slope = jax.grad(lambda theta: discovery_exposure(experiment, theta))(BP1)
    h = 1e-4 * BP1.g_x
    assert float(slope.g_x) == pytest.approx(
        (reference(BP1.g_x + h) - reference(BP1.g_x - h)) / (2.0 * h), rel=1e-5
    )
    assert slope.mass == 0.0
    slope = jax.grad(lambda flux: discovery_exposure(experiment, BP1, nuisances={"flux": flux}))(1.0)
    difference = (reference(flux=1.0 + 1e-4) - reference(flux=1.0 - 1e-4)) / 2e-4
    assert float(slope) == pytest.approx(difference, rel=1e-5)
    slope = jax.grad(lambda b: discovery_exposure(replace(experiment, background=b), BP1))(
        experiment.background
    )
    difference = (reference(background=3.5 + 1e-4) - reference(background=3.5 - 1e-4)) / 2e-4
    np.testing.assert_allclose(np.asarray(slope) * 20.0, [difference] * 2, rtol=1e-5)


# ------------------------------------------------------------------------------------------------- thresholds
def falling(threshold):
    """A signal that needs a low threshold, over a background that is flat up to 10."""
    signal = 0.5 * np.exp(-np.asarray(threshold))
    background = 0.1 * (10.0 - np.asarray(threshold))
    return signal + background, background


def test_threshold():
    calls = []

    def rates(threshold):
        calls.append(np.size(threshold))
        return falling(threshold)

    found = discovery_threshold(rates, np.linspace(0.5, 5.0, 10), 1500.0)
    assert scipy_exposure(*map(float, falling(found))) == pytest.approx(1500.0, rel=1e-7)
    assert len(calls) < 15 and calls[0] == 10
    # as steep as it is traced: the slope of the exposure in the threshold
    slope = jax.grad(lambda t: required_exposure(0.5 * jax.numpy.exp(-t) + 1.0 - 0.1 * t, 1.0 - 0.1 * t))(
        found
    )
    ends = [discovery_threshold(falling, np.linspace(0.5, 5.0, 10), 1500.0 + d) for d in (1.0, -1.0)]
    assert (ends[0] - ends[1]) / 2.0 == pytest.approx(1.0 / float(slope), rel=1e-4)


def test_threshold_out_of_range():
    grid = np.linspace(0.5, 5.0, 10)
    assert math.isnan(discovery_threshold(falling, grid, 1e-3))
    assert discovery_threshold(falling, grid, 1e12) == math.inf


def test_threshold_next_to_nothing():
    """Beyond 2 there is no excess at all: the exposure goes to infinity there."""

    def rates(threshold):
        background = np.ones_like(threshold)
        return background + np.maximum(2.0 - threshold, 0.0), background

    found = discovery_threshold(rates, np.linspace(0.5, 5.0, 10), 1e4)
    assert scipy_exposure(3.0 - found, 1.0) == pytest.approx(1e4, rel=1e-6)


@pytest.mark.parametrize(
    "call,message",
    [
        (
            lambda: discovery_exposure(lmt.ess(), BP1),
            "experiment must be one that counts and has an exposure",
        ),
        (lambda: discovery_exposure("darwin", BP1), "experiment must be one that counts"),
        (lambda: discovery_exposure(fake(), BP1, sigma=0.0), "sigma must be a finite number in"),
        (lambda: discovery_exposure(fake(), BP1, deficit="yes"), "deficit must be True or False"),
        (lambda: discovery_exposure(fake(), BP1, nuisances={"flx": 1.0}), "nuisances of fake must be among"),
        (lambda: required_exposure(-1.0, 1.0), "total must be finite and >= 0"),
        (lambda: required_exposure(1.0, math.inf), "background must be finite and >= 0"),
        (lambda: discovery_threshold(falling, [2.0, 1.0], 1.0), "thresholds must be at least two increasing"),
        (lambda: discovery_threshold(falling, [1.0, 2.0], -1.0), "exposure must be a finite number in"),
        (lambda: discovery_threshold(lambda t: (1.0, 1.0), [1.0, 2.0], 1.0), "total rate must have shape"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
