"""The relic density against scipy's quadrature, closed forms and published numbers; its inverse."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxlmt as lmt
from benchmarks.reference import darkmatter as reference
from jaxlmt.darkmatter import formula
from jaxlmt.processes.annihilation import relative_width

G, MASS = 5e-4, 15.0


def at(delta, **changes):
    return replace(lmt.DarkMatter.from_delta(G, MASS, delta), **changes)


slope = jax.jit(jax.grad(lambda theta: jax.numpy.log(lmt.relic_density(theta))))


@pytest.mark.parametrize(
    "point",
    [
        (G, 15.0, 3.5, 1.0),
        (G, 15.0, 5.0, 1.0),
        (3e-4, 40.0, 19.9, 0.7),
        (G, 15.0, 7.6, 1.0),
        (1e-3, 20, 15, 2.0),
    ],
)
def test_against_scipy(point):
    found = float(lmt.relic_density(lmt.DarkMatter(*point)))
    assert found == pytest.approx(reference.relic_density(*point), rel=1e-6)


def test_published_numbers():
    """The right density 31% below and 1.7% above m_X/2."""
    theta = lmt.DarkMatter(G, MASS, 7.0)
    below, above = (
        float(lmt.dm_mass_for_relic_density(theta, branch=b)) / 7.5 - 1 for b in ("below", "above")
    )
    assert below == pytest.approx(-0.31, abs=0.005)
    assert above == pytest.approx(0.017, abs=0.0005)
    printed = lmt.dm_mass_for_relic_density(theta, branch="above", normalisation="printed")
    assert float(printed) / 7.5 - 1 == pytest.approx(0.060, abs=0.001)
    # what would put it at the paper's 1.2%
    needed = 0.12 / float(lmt.relic_density(lmt.DarkMatter(G, MASS, 7.5 * 1.012)))
    assert needed == pytest.approx(1.58, abs=0.01)


def test_normalisations():
    theta = at(0.03)
    ratio = lmt.relic_density(theta, normalisation="printed") / lmt.relic_density(theta)
    assert float(ratio) == pytest.approx(0.5 / np.sqrt(10.75), rel=1e-13)


def test_closed_form_far_above_the_pole():
    """An s-wave: J -> sigma v/x_f, with the first correction of the average in 1/x."""
    theta = at(8.0, mass=150.0)
    past = jax.jit(formula.history)(theta, 10.75)
    assert float(past.integral * past.x_f) == pytest.approx(float(past.sigma_v), rel=0.15)
    rate = 0.076 * 1.22089e22 * float(theta.dm_mass) * float(past.sigma_v) / np.sqrt(10.75 * float(past.x_f))
    assert float(past.x_f) == pytest.approx(np.log(rate), rel=1e-12)


@pytest.mark.parametrize("over_gamma", [0.0, 1.0, -1.0, 3.0])
def test_closed_form_at_the_pole(over_gamma):
    """J -> (3 C/2 m^2 gamma)(pi/2 - arctan(delta/gamma)), C = g^4/(12 pi), where 1/gamma >> x_f."""
    small = 1e-6
    gamma = float(relative_width(lmt.DarkMatter.from_delta(small, MASS, 0.0)))
    theta = lmt.DarkMatter.from_delta(small, MASS, over_gamma * gamma)
    gamma = float(relative_width(theta))
    past = jax.jit(formula.history)(theta, 10.75)
    scale = small**4 / (12 * np.pi) / float(theta.dm_mass) ** 2
    closed = 1.5 * scale / gamma * (np.pi / 2 - np.arctan(float(theta.delta) / gamma))
    electrons = 1 + float(lmt.branching_ratios(theta)["e"]) / float(lmt.invisible_branching_ratio(theta))
    assert float(past.integral) == pytest.approx(closed * electrons, rel=1e-4)


@pytest.mark.parametrize("delta", [-0.6, -0.1, -1e-3, -1e-7, 0.0, 1e-7, 1e-3, 0.03, 1.0])
def test_gradients(delta):
    """Implicit differentiation against differences of fourth order; at the pole the width has a kink."""
    theta = at(delta, dark_decays=delta != 0.0)
    found = slope(theta)
    sizes = {"g_x": G, "mass": MASS, "dm_charge": 1.0, "delta": max(abs(delta), 3e-9) * min(1.0, 1 + delta)}
    for name, size in sizes.items():
        step = 1e-3 * size

        def logarithm(k, name=name, step=step):
            shifted = replace(theta, **{name: getattr(theta, name) + k * step})
            return np.log(float(lmt.relic_density(shifted)))

        expected = (8 * (logarithm(1) - logarithm(-1)) - (logarithm(2) - logarithm(-2))) / (12 * step)
        assert float(getattr(found, name)) == pytest.approx(expected, rel=2e-6, abs=1e-7 / size)


def test_accuracy_of_the_temperatures(monkeypatch):
    """J with 36 temperatures against 300."""
    delta = np.concatenate([-np.geomspace(0.9, 1e-10, 25), [0.0], np.geomspace(1e-10, 5.0, 25)])
    theta = lmt.batch(at(delta))
    monkeypatch.setattr(formula, "_NODES", 36)
    few = jax.jit(jax.vmap(lambda t: formula.history(t, 10.75).integral))(theta)
    monkeypatch.setattr(formula, "_NODES", 300)
    many = jax.jit(jax.vmap(lambda t: formula.history(t, 10.75).integral))(theta)
    np.testing.assert_allclose(few, many, rtol=1e-9)


def test_inverse_in_a_batch():
    """Mass and charge give the density back; points without solution say so; nothing is NaN."""
    coupling = np.array([1e-7, 1e-4, 5e-4, 2e-3])
    theta = lmt.DarkMatter(coupling, MASS, 7.0)
    for branch in ("below", "above"):
        delta = np.asarray(lmt.delta_for_relic_density(theta, branch=branch))
        found = delta > -1.0
        assert found.tolist() == ([False, True, True, True] if branch == "above" else found.tolist())
        assert np.all(delta[found] < 0.0 if branch == "below" else delta[found] > -1e-3)
        solved = lmt.DarkMatter.from_delta(coupling[found], MASS, delta[found])
        np.testing.assert_allclose(lmt.relic_density(solved), 0.12, rtol=1e-9)
        mass = np.asarray(lmt.dm_mass_for_relic_density(theta, branch=branch))
        assert np.all(mass[~found] == 0.0)
        np.testing.assert_allclose(mass[found], 7.5 * np.sqrt(1 + delta[found]), rtol=1e-14)
    charge = np.asarray(lmt.dm_charge_for_relic_density(replace(theta, dm_mass=7.6)))
    assert np.all(np.isfinite(charge)) and charge[2] == pytest.approx(0.8516515, rel=1e-6)
    found = charge > 0.0
    right = lmt.DarkMatter(coupling[found], MASS, 7.6, charge[found])
    assert found.tolist() == [False, True, True, True]
    np.testing.assert_allclose(lmt.relic_density(right), 0.12, rtol=1e-9)


def test_inverse_has_derivatives():
    def delta(g_x):
        return lmt.delta_for_relic_density(lmt.DarkMatter(g_x, MASS, 7.6), branch="above")

    step = 1e-7
    expected = (delta(G + step) - delta(G - step)) / (2 * step)
    assert float(jax.jit(jax.grad(delta))(G)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("g_x", [0.0, 1e-12, 1e-8])
def test_no_freeze_out(g_x):
    """Finite: that of a relativistic relic, m_psi 45 zeta(3)/(2 pi^4) 3/g_* s/rho_c."""
    theta = lmt.DarkMatter(g_x, MASS, 7.6)
    assert float(lmt.freeze_out(theta).x) == 1.0
    expected = 7.6 * 45 * 1.2020569 / (2 * np.pi**4) * 3 / 10.75 * 2891.2 / 1.053672e-2
    assert float(lmt.relic_density(theta)) == pytest.approx(expected, rel=1e-6)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(slope(lmt.batch(theta))))


def test_boost_factor():
    theta = at(1e-3)
    x, sigma_v = lmt.freeze_out(theta)
    assert float(sigma_v) == pytest.approx(float(lmt.sigma_v(theta, float(x))), rel=1e-10)
    expected = lmt.halo_sigma_v(theta, velocity=1e-3, channel="e") / lmt.sigma_v(theta, float(x), channel="e")
    assert float(lmt.boost_factor(theta, channel="e")) == pytest.approx(float(expected), rel=1e-10)
    assert 100.0 < expected < 1e4  # eq 4.7: 100, as an order of magnitude


@pytest.mark.parametrize(
    "call,words",
    [
        (lambda t: lmt.relic_density(t, method="micromegas"), "method must be one of 'formula'"),
        (lambda t: lmt.relic_density(t, normalisation="paper"), "normalisation must be one of 'corrected'"),
        (lambda t: lmt.relic_density(t, g_star=0.0), "g_star must be a finite number"),
        (lambda t: lmt.delta_for_relic_density(t, branch="left"), "branch must be one of 'below', 'above'"),
        (lambda t: lmt.dm_charge_for_relic_density(t, omega_h2=-0.1), "omega_h2 must be finite and > 0"),
        (lambda t: lmt.relic_density(replace(t, dm_charge=0.0)), "theta.dm_charge must not be 0"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call(lmt.DarkMatter(G, MASS, 7.0))


def test_only_for_dark_matter():
    with pytest.raises(TypeError, match=r"must be a jaxlmt\.DarkMatter; got HiddenPhoton"):
        lmt.relic_density(lmt.benchmark("BP1"))
