"""Annihilation against integrands written down anew: geometric panels around the pole, and mpmath."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.special import kve

import jaxlmt as lmt
from jaxlmt.bessel import scaled_k
from jaxlmt.constants import MASS_ELECTRON, MASS_MUON
from jaxlmt.processes.annihilation import (
    CHANNELS,
    MEV2_TO_CM3_PER_S,
    cross_section,
    relative_width,
    thermal_average,
)

RATIOS = (0.2, 0.33, 0.45, 0.49, 0.4999999, 0.5, 0.5000001, 0.501, 0.51, 0.6, 0.7)
X = np.array([1.0, 1.5, 3.0, 10.0, 30.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10])
G, MASS = 5e-4, 15.0
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)

average = jax.jit(thermal_average, static_argnames="channel")


@functools.cache
def slopes(channel):
    return jax.jit(jax.value_and_grad(lambda theta, x: thermal_average(x, theta, channel), argnums=(0, 1)))


def model(ratio, mass=MASS, **changes):
    return lmt.DarkMatter(**{"g_x": G, "mass": mass, "dm_mass": ratio * mass, **changes})


def bessel_k(order, w):
    """exp(w) K_n(w); scipy gives up at large argument."""
    large = np.sqrt(np.pi / (2 * w)) * (1 + (4 * order**2 - 1) / (8 * w))
    return np.where(w < 1e6, kve(order, np.minimum(w, 1e6)), large)


def by_panels(x, theta, lepton_mass):
    """Eq 3.2 without coupling of the final state, in double precision: panels around the pole."""
    m, big = theta.dm_mass, max(theta.dm_mass, lepton_mass)
    small, t = min(m, lepton_mass), m / x
    gap = theta.mass**2 * float(theta.delta) + 4 * (big**2 - m**2)
    width = float(relative_width(theta)) * theta.mass**2
    pole = np.sqrt(max(-gap, 0.0))
    last = max(120 * np.sqrt(big * t), 80 * t)
    steps = np.geomspace(1e-13 * theta.mass, last, 300)
    breaks = [-pole, *steps]
    if pole:
        breaks = [*breaks, *-steps[steps < pole], *(pole * (np.geomspace(1e-6, 0.999, 60) - 1.0))]
    breaks = np.unique(breaks)
    low, high = breaks[:-1, None], breaks[1:, None]
    away = 0.5 * (low + high) + 0.5 * (high - low) * NODES
    u2 = (pole + away) ** 2
    off = away * (2 * pole + away) if pole else u2 + gap
    s = 4 * big**2 + u2
    energy = np.sqrt(s)
    thermal = bessel_k(1, energy / t) * np.exp(-(u2 / (energy + 2 * big) + 2 * (big - m)) / t)
    shape = 2 * u2 * np.sqrt(u2 + 4 * (big**2 - small**2)) * (s + 2 * m**2) * (s + 2 * lepton_mass**2)
    total = np.sum(0.5 * (high - low) * WEIGHTS * shape * thermal / (energy * (off**2 + width**2)))
    coupling2 = (theta.g_x * theta.dm_charge) ** 2
    return coupling2 / (12 * np.pi) * total / (8 * m**4 * t * bessel_k(2, x) ** 2)


@pytest.mark.parametrize("ratio", RATIOS)
def test_neutrinos_and_electrons(ratio):
    theta = model(ratio)
    electric2 = 4 * np.pi / 137.035999 * (G / 70) ** 2
    for channel, coupling2, mass in (("nu", G**2, 0.0), ("e", electric2, MASS_ELECTRON)):
        expected = [coupling2 * by_panels(x, theta, mass) for x in X]
        np.testing.assert_allclose(average(X, theta, channel), expected, rtol=1e-11)


@pytest.mark.parametrize("ratio", [0.3, 0.49, 0.501, 0.52, 0.528, 0.529, 0.6, 0.7])
def test_muons(ratio):
    """Forbidden and open, through the pole at m_psi = 100 MeV and both sides of the muon's mass."""
    theta = model(ratio, mass=200.0)
    x = X[:5]
    expected = [G**2 * by_panels(each, theta, MASS_MUON) for each in x]
    np.testing.assert_allclose(average(x, theta, "mu"), expected, rtol=5e-12)


def test_muons_as_heavy_as_psi():
    """The documented exception."""
    theta = lmt.DarkMatter(G, 200.0, MASS_MUON)
    expected = [G**2 * by_panels(each, theta, MASS_MUON) for each in X[:5]]
    np.testing.assert_allclose(average(X[:5], theta, "mu"), expected, rtol=1e-7)


def in_high_precision(x, delta, gamma, *, derivative=None):
    """Eq 3.2 with m_f = 0 and without couplings, m_psi = 1; derivative: "x" or "delta", by differences."""
    if derivative:
        step = mpmath.mpf("1e-9") * (1 if derivative == "x" else max(abs(delta), gamma))
        shift = {"x": (step * x, 0), "delta": (0, step)}[derivative]
        up, down = (in_high_precision(x + s * shift[0], delta + s * shift[1], gamma) for s in (1, -1))
        return (up - down) / (2 * sum(shift))
    x, delta, gamma = (mpmath.mpf(a) for a in (x, delta, gamma))
    photon2 = 4 / (1 + delta)

    def integrand(u):
        s = 4 + u**2
        propagator = (u**2 + photon2 * delta) ** 2 + (photon2 * gamma) ** 2
        w = x * mpmath.sqrt(s)
        return u**2 * s * (s + 2) / propagator * mpmath.besselk(1, w) * mpmath.exp(2 * x) * 2

    scale = 2 / mpmath.sqrt(x)
    breaks = [0] + [scale * mpmath.mpf(2) ** k for k in range(-3, 6, 2)]
    center = mpmath.sqrt(photon2 * abs(delta)) if delta else mpmath.sqrt(photon2 * gamma)
    breaks += [center * mpmath.mpf(10) ** k for k in (-1, 1)]
    if delta < 0:
        sharp = photon2 * gamma / (2 * center)
        breaks += [center] + [center + s * sharp * 10**k for k in range(0, 9, 2) for s in (1, -1)]
    breaks = sorted({b for b in breaks if 0 <= b <= 32 * scale})
    total = mpmath.quad(integrand, breaks, maxdegree=5)
    return total * x / (8 * (mpmath.besselk(2, x) * mpmath.exp(x)) ** 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "delta,x", [(-0.05, 200), (-1e-3, 1), (-1e-7, 1e4), (0, 1e8), (1e-7, 30), (0.02, 1e10)]
)
def test_against_mpmath(delta, x):
    theta = lmt.DarkMatter.from_delta(G, MASS, delta)
    unit = G**4 / (12 * np.pi) / float(theta.dm_mass) ** 2
    with mpmath.workdps(25):
        expected = in_high_precision(x, delta, float(relative_width(theta)))
        assert float(average(x, theta, "nu")) == pytest.approx(unit * float(expected), rel=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("delta,x", [(-1e-3, 200.0), (0.0, 1e7), (1e-7, 1e4), (0.02, 200.0)])
def test_gradients_against_mpmath(delta, x):
    """At fixed Gamma/M and m_psi: the width as a function of delta is the model's own business."""
    theta = lmt.DarkMatter.from_delta(G, MASS, delta, dark_decays=False)
    unit = G**4 / (12 * np.pi)

    def scaled(delta, x):
        point = replace(theta, delta=delta)
        return thermal_average(x, point, "nu") * point.dm_mass**2 / unit

    found = jax.jit(jax.grad(scaled, argnums=(0, 1)))(delta, x)
    with mpmath.workdps(35):
        for slope, name in zip(found, ("delta", "x")):
            expected = in_high_precision(x, delta, float(relative_width(theta)), derivative=name)
            assert float(slope) == pytest.approx(float(expected), rel=1e-8)


@pytest.mark.parametrize("delta", [-0.9, -1e-3, -1e-7, -1e-12, 0.0, 1e-12, 1e-7, 1e-3, 0.04, 0.96, 10.0])
@pytest.mark.parametrize("channel", ["total", "mu"])
def test_finite_everywhere(delta, channel):
    for g_x in (0.0, 1e-12, 5e-4, 1.0):
        for x in (1.0, 20.0, 1e4, 1e10):
            theta = jax.tree.map(jnp.asarray, lmt.DarkMatter.from_delta(g_x, MASS, delta))
            value, tree = slopes(channel)(theta, x)
            assert value >= 0.0 and all(np.isfinite(leaf) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("x", [1.0, 20.0, 1e3])
def test_average_of_the_cross_section(x):
    """sigma(s) and its average are two programs: Gauss-Legendre over the one gives the other."""
    theta = model(0.65)
    m, t = theta.dm_mass, theta.dm_mass / x
    nodes, weights = np.polynomial.legendre.leggauss(400)
    last = max(30 * np.sqrt(m * t), 60 * t)
    u = 0.5 * last * (nodes + 1)
    s = 4 * m**2 + u**2
    thermal = bessel_k(1, np.sqrt(s) / t) * np.exp(-(u**2) / (np.sqrt(s) + 2 * m) / t)
    for channel in CHANNELS[:-2]:
        sigma = np.asarray(cross_section(s, theta, channel))
        total = np.sum(0.5 * last * weights * 2 * u * sigma * np.sqrt(s) * u**2 * thermal)
        expected = total / (8 * m**4 * t * bessel_k(2, x) ** 2)
        assert float(average(x, theta, channel)) == pytest.approx(expected, rel=1e-10)


def test_channels_add_up():
    theta = model(0.52, mass=300.0)
    for function in (lambda c: lmt.sigma_v(theta, 15.0, channel=c), lambda c: average(15.0, theta, c)):
        each = {channel: float(function(channel)) for channel in CHANNELS}
        assert each["total"] == pytest.approx(sum(each[c] for c in ("nu", "e", "mu", "tau")), rel=1e-12)
        assert each["nu"] == pytest.approx(sum(each[f"nu_{c}"] for c in ("e", "mu", "tau")), rel=1e-12)


def test_closed_form_at_rest():
    """sigma v -> 12 C/(m^2 (D^2 + G^2)), C = g^4 q^2/(12 pi), up to O(1/x); eq 4.6 is half of it."""
    theta = lmt.DarkMatter.from_delta(G, MASS, 0.02, 1.3)
    gap = 0.02 * MASS**2
    expected = (1.3 * G**2) ** 2 / np.pi * float(theta.dm_mass) ** 2 / gap**2
    assert float(average(1e10, theta, "nu")) == pytest.approx(expected, rel=1e-7)
    eq_4_6 = (1.3 * G**2) ** 2 / (8 * np.pi * MASS**2) / 0.02**2 * 1.02
    assert float(average(1e10, theta, "nu_mu")) == pytest.approx(eq_4_6, rel=1e-7)


def test_halo_is_a_cold_thermal_bath():
    """Against the average over Maxwellian relative velocities of eq 2.3, whose pole is 1e-6 wide in v^2."""
    theta, v0 = lmt.DarkMatter.from_delta(G, MASS, 3e-6), 1e-3
    v = v0 * np.linspace(0.0, 12.0, 40001)[1:]
    flux = v * np.asarray(lmt.annihilation_cross_section(theta.dm_mass**2 * (4 + v**2), theta, channel="e"))
    weight = v**2 * np.exp(-(v**2) / (2 * v0**2))
    expected = np.trapezoid(flux * weight, v) / np.trapezoid(weight, v) * 2.99792458e10
    assert float(lmt.halo_sigma_v(theta, velocity=v0, channel="e")) == pytest.approx(expected, rel=3e-6)


def test_below_thresholds_nothing():
    theta = model(0.6, mass=100.0)
    assert float(lmt.annihilation_cross_section(4 * 60.0**2, theta)) == 0.0
    assert float(lmt.annihilation_cross_section(4 * 100.0**2, theta, channel="mu")) == 0.0
    assert float(lmt.annihilation_cross_section(4 * 106.0**2, theta, channel="mu")) > 0.0


def test_shapes_and_units():
    theta = model(np.array([0.4, 0.5, 0.6])[:, None])
    found = lmt.sigma_v(theta, X)
    assert found.shape == (3, X.size) and found.dtype == np.float64
    np.testing.assert_allclose(found[2], MEV2_TO_CM3_PER_S * average(X, model(0.6), "total"), rtol=1e-13)


@pytest.mark.parametrize(
    "call,words",
    [
        (lambda: lmt.sigma_v(model(0.6), 0.5), "x must be finite and >= 1; got 0.5"),
        (lambda: lmt.sigma_v(model(0.6), 20.0, channel="muon"), "channel must be one of .*'muon'"),
        (lambda: lmt.halo_sigma_v(model(0.6), velocity=2.0), "velocity must not exceed 1; got 2.0"),
        (lambda: lmt.halo_sigma_v(model(0.6), velocity=0.0), "velocity must be finite and > 0"),
        (lambda: lmt.annihilation_cross_section(-1.0, model(0.6)), "s must be finite and > 0"),
        (lambda: lmt.sigma_v(model(-0.6), 20.0), "theta.dm_mass must be finite and > 0"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("order", [1, 2])
def test_bessel_functions(order):
    with mpmath.workdps(30):
        for w in np.geomspace(1.0, 1e12, 40):
            expected = mpmath.sqrt(w) * mpmath.exp(w) * mpmath.besselk(order, mpmath.mpf(float(w)))
            assert float(scaled_k(order, w)) == pytest.approx(float(expected), rel=1e-14)
        for w in (1.5 + 1e-9j, 2.0 + 0.2j, 50.0 + 1e-3j):  # the pole's, whose imaginary part matters
            expected = mpmath.sqrt(w) * mpmath.exp(w) * mpmath.besselk(order, mpmath.mpc(w))
            found = complex(scaled_k(order, jnp.asarray(w)))
            assert found.real == pytest.approx(float(expected.real), rel=1e-14)
            assert found.imag == pytest.approx(float(expected.imag), rel=1e-11)
