"""Gases in equilibrium against adaptive quadrature with 20 digits, and their limits."""

from functools import cache

import jax
import mpmath
import numpy as np
import pytest

from jaxlmt.darkmatter.thermodynamics import (
    BOSON,
    FERMION,
    PHOTON_ENERGY,
    energy_and_pressure,
    entropy,
    relative_entropy,
)

RATIOS = (0.0, 1e-6, 1e-3, 0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 600.0)


@cache
def exact(ratio, sign):
    """(rho, p)/T^4 by integration over the momentum."""
    with mpmath.workdps(20):
        scale = 1 + mpmath.sqrt(ratio)
        breaks = [0.0, *([ratio] if 0 < ratio < 1 else []), *(b * scale for b in (1, 3, 10, 30, 80))]

        def moment(power):
            def integrand(p):
                e = mpmath.sqrt(p**2 + ratio**2)
                occupied = mpmath.exp(ratio) / (mpmath.exp(e) + sign)  # quad stops at absolute errors
                return p**2 * e * (p / e) ** power * occupied / (2 * mpmath.pi**2)

            return mpmath.quad(integrand, sorted(breaks))

        return tuple(float(value * mpmath.exp(-ratio)) for value in (moment(0), moment(2) / 3))


@pytest.mark.parametrize("sign", [FERMION, BOSON])
@pytest.mark.parametrize("ratio", RATIOS)
def test_moments(ratio, sign):
    rtol = 1e-12 if ratio <= 10.0 else 1e-10
    np.testing.assert_allclose(energy_and_pressure(ratio, sign), exact(ratio, sign), rtol=rtol)


def test_massless():
    np.testing.assert_allclose(relative_entropy(0.0, FERMION), 1.0, rtol=1e-14)
    np.testing.assert_allclose(relative_entropy(0.0, BOSON), 8 / 7, rtol=1e-14)
    np.testing.assert_allclose(
        energy_and_pressure(0.0, BOSON), [PHOTON_ENERGY, PHOTON_ENERGY / 3], rtol=1e-14
    )


@pytest.mark.parametrize("sign", [FERMION, BOSON])
def test_relative_entropy_is_the_papers_integral(sign):
    """Eq 3.13 as printed, with its energies as variable."""
    for ratio in (0.1, 2.0, 15.0):
        with mpmath.workdps(20):

            def integrand(y, ratio=ratio):
                momentum = mpmath.sqrt(abs(y**2 - ratio**2))
                return (4 * y**2 - ratio**2) * momentum * mpmath.exp(ratio) / (mpmath.exp(y) + sign)

            breaks = [ratio + b for b in (0, 0.1, 1, 5, 20, 80)]
            expected = mpmath.quad(integrand, breaks) * mpmath.exp(-ratio) * 30 / (7 * mpmath.pi**4)
        np.testing.assert_allclose(relative_entropy(ratio, sign), float(expected), rtol=1e-11)


@pytest.mark.parametrize("sign", [FERMION, BOSON])
def test_gradient(sign):
    """ds/dT = (drho/dT)/T, and finite from massless to where nothing is left."""
    for ratio in (0.3, 5.0, 40.0):
        energy, slope = jax.jvp(lambda z: energy_and_pressure(z, sign)[0], (ratio,), (1.0,))
        s, s_slope = jax.jvp(lambda z: entropy(z, sign), (ratio,), (1.0,))
        np.testing.assert_allclose(3.0 * s - ratio * s_slope, 4.0 * energy - ratio * slope, rtol=1e-9)
    for ratio in (0.0, 1e4, 1e12):
        value, slope = jax.value_and_grad(relative_entropy)(ratio, sign)
        assert np.isfinite(value) and np.isfinite(slope)
    assert slope == value == 0.0


def test_shapes():
    ratio = np.geomspace(0.1, 10.0, 6)
    np.testing.assert_array_equal(
        entropy(ratio.reshape(2, 3), BOSON).ravel(), jax.vmap(lambda z: entropy(z, BOSON))(ratio)
    )
