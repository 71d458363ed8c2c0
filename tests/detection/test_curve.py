"""Piecewise curves against scipy's monotone interpolation, and their extension to a lower threshold."""

import jax
import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from jaxlmt.detection.curve import Curve, extended, half_point

ENERGIES = [0.5, 0.9, 1.6, 3.0, 5.0, 12.0, 40.0, 60.0, 90.0]
VALUES = [0.0, 0.02, 0.2, 0.55, 0.8, 0.97, 0.97, 0.4, 0.0]
RISE = Curve.smooth(ENERGIES, VALUES)


def pchip(energy):
    """Held beyond the ends."""
    log_energy = np.log(np.clip(energy, ENERGIES[0], ENERGIES[-1]))
    return PchipInterpolator(np.log(ENERGIES), VALUES)(log_energy)


def test_smooth_curve():
    energy = np.concatenate([np.geomspace(0.1, 200.0, 301), ENERGIES])
    np.testing.assert_allclose(RISE(energy), pchip(energy), rtol=1e-12, atol=1e-15)
    assert RISE(energy[None, :, None]).shape == (1, energy.size, 1)
    assert float(RISE(0.0)) == 0.0
    np.testing.assert_array_equal(RISE.breaks, ENERGIES)


def test_smooth_curve_never_overshoots():
    values = np.asarray(RISE(np.geomspace(0.1, 12.0, 2000)))
    assert np.all(np.diff(values) >= -1e-15) and values.min() == 0.0 and values.max() <= 0.97 + 1e-15


def test_straight_curve_with_a_jump():
    curve = Curve.straight([1.0, np.e, np.e, np.e**3], [2.0, 3.0, 10.0, 20.0])
    energy = np.exp([-1.0, 0.0, 0.25, 1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(curve(energy), [2.0, 2.0, 2.25, 10.0, 15.0, 20.0, 20.0], rtol=1e-14)
    assert float(curve(np.e * (1 - 1e-12))) == pytest.approx(3.0, rel=1e-10)
    np.testing.assert_allclose(curve.breaks, [1.0, np.e, np.e**3])


def test_slope():
    derivative = PchipInterpolator(np.log(ENERGIES), VALUES).derivative()
    for energy in (0.2, 0.7, 2.2, 4.0, 20.0, 70.0, 150.0):
        inside = ENERGIES[0] < energy < ENERGIES[-1]
        expected = float(derivative(np.log(energy))) / energy if inside else 0.0
        assert float(jax.grad(RISE)(energy)) == pytest.approx(expected, rel=1e-11, abs=1e-15)
    # a kink has one of its sides' slopes, never a NaN
    assert np.all(np.isfinite(jax.vmap(jax.grad(RISE))(np.array([0.0, *ENERGIES]))))


def test_half_point():
    half = half_point(RISE)
    assert 1.6 < half < 3.0
    assert float(pchip(half)) == pytest.approx(0.5, rel=1e-13)
    at_a_knot = Curve.smooth([1.0, 2.0, 4.0, 7.0], [0.0, 0.5, 0.8, 1.0])
    assert half_point(at_a_knot) == pytest.approx(2.0, rel=1e-13)
    with pytest.raises(ValueError, match=r"curve must rise through 0\.5"):
        half_point(Curve.smooth([1.0, 2.0], [0.0, 0.4]))


@pytest.mark.parametrize("threshold", [0.1, 1.0, 2.0])
def test_extension_to_a_lower_threshold(threshold):
    """curve(E/r) up to r times the first energy of the maximum, the maximum to that energy, then curve."""
    curve, ratio = extended(RISE, threshold), threshold / half_point(RISE)
    energy = np.concatenate([np.geomspace(0.01, 200.0, 501), ratio * np.array(ENERGIES), ENERGIES])
    expected = np.where(
        energy < 12.0 * ratio, pchip(energy / ratio), np.where(energy < 12.0, 0.97, pchip(energy))
    )
    np.testing.assert_allclose(curve(energy), expected, rtol=1e-11, atol=1e-14)
    assert half_point(curve) == pytest.approx(threshold, rel=1e-13)
    assert np.all(np.diff(curve.breaks) > 0.0)
    assert isinstance(curve.breaks, np.ndarray)


def test_extension_of_a_curve_that_stays_on_its_plateau():
    curve = Curve.smooth([1.0, 2.0, 4.0], [0.0, 0.5, 0.9])
    np.testing.assert_allclose(
        extended(curve, 1.0)(np.array([0.5, 1.0, 2.0, 3.0, 50.0])), [0, 0.5, 0.9, 0.9, 0.9]
    )


def test_a_higher_threshold_leaves_the_efficiency():
    assert extended(RISE, 5.0) is RISE
    assert extended(RISE, half_point(RISE)) is RISE
    with pytest.raises(ValueError, match="threshold must be a finite number in"):
        extended(RISE, 0.0)


def test_gradient_in_the_threshold():
    """d curve(E/r)/d ln threshold = -d curve/d ln E; 0 on the plateau, above it, and above the half point."""

    def value(threshold, energy):
        return extended(RISE, threshold)(energy)

    for threshold in (0.3, 1.0):
        ratio = threshold / half_point(RISE)
        for energy in (0.7, 1.1, 2.0, 4.0):
            expected = -energy * float(jax.grad(RISE)(energy)) / threshold
            assert float(jax.grad(value)(threshold, energy * ratio)) == pytest.approx(expected, rel=1e-11)
        for energy in (11.0, 50.0):
            assert abs(float(jax.grad(value)(threshold, energy))) < 1e-14
    for energy in (0.7, 3.0, 50.0):
        assert abs(float(jax.grad(value)(4.0, energy))) < 1e-14
        assert float(jax.jit(value)(4.0, energy)) == pytest.approx(float(RISE(energy)), rel=1e-13)


def test_a_curve_is_an_argument():
    """Two curves of one size share a program."""
    evaluate = jax.jit(lambda curve, energy: curve(energy))
    energy = np.geomspace(0.3, 100.0, 7)
    other = Curve.smooth(ENERGIES, np.array(VALUES) * 0.9)
    np.testing.assert_allclose(evaluate(RISE, energy), pchip(energy), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(evaluate(other, energy), 0.9 * pchip(energy), rtol=1e-12, atol=1e-15)
    assert evaluate._cache_size() == 1


def test_strict_promotion_of_types():
    with jax.numpy_dtype_promotion("strict"):
        jax.eval_shape(jax.grad(RISE), np.float64(2.0))
        jax.eval_shape(lambda t: extended(RISE, t)(np.ones(3)), np.float64(1.0))
