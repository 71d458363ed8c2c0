"""The Boltzmann equation against SciPy's solution of it, the paper's figure 1, limits, the whole range."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt.darkmatter import boltzmann
from jaxlmt.darkmatter.background import expansion, plasma, plasma_state, plasma_temperature
from jaxlmt.darkmatter.boltzmann import interpolation, log_x_grid, relic_density_boltzmann
from jaxlmt.darkmatter.n_eff import hidden_species
from jaxlmt.validation import to_float64
from tests.validation import relic

_tables = plasma(), interpolation()
_one = jax.jit(lambda theta, decoupling: relic_density_boltzmann(theta, decoupling, *_tables))
_many = jax.jit(jax.vmap(lambda theta: relic_density_boltzmann(theta, 2.3, *_tables)))
_slopes = jax.jit(jax.vmap(jax.value_and_grad(lambda theta: relic_density_boltzmann(theta, 2.3, *_tables))))


def density(g, mass, ratio, **options):
    return float(_one(to_float64(lmt.DarkMatter(g, mass, ratio * mass, **options)), 2.3))


def batch(g, mass, delta):
    return to_float64(lmt.batch(lmt.DarkMatter.from_delta(g, mass, delta)))


@pytest.mark.parametrize(
    ("g", "mass", "delta"),
    [
        (5e-4, 15.0, 4 * 0.35**2 - 1),
        (5e-4, 15.0, 0.03),
        (5e-4, 15.0, -1e-8),
        (5e-4, 15.0, 1e-4),
        (1e-3, 3.0, 1.45),  # psi freezes out as neutrinos decouple
        (1e-3, 1.0, -0.36),
        (5e-3, 200.0, -0.84),
        (1e-1, 1000.0, -0.64),
    ],
)
def test_against_scipy(g, mass, delta):
    found = float(_one(to_float64(lmt.DarkMatter.from_delta(g, mass, delta)), 2.3))
    assert found == pytest.approx(relic.relic_density(relic.Point(g, mass, delta=delta)), rel=5e-6)


def test_figure_1():
    """Omega h^2 = 0.12 some 31% below and 1.5% above m_X/2, for m_X = 15 MeV and g = 5e-4."""
    below, above = (density(5e-4, 15.0, 0.5 * factor) for factor in (0.6863, 1.01458))
    assert below == pytest.approx(0.12, rel=1e-3)
    assert above == pytest.approx(0.12, rel=1e-3)


@pytest.mark.parametrize("ratio", [0.33, 0.39, 0.45])
def test_decays_to_psi(ratio):
    """Without them in the width, as in the paper, the resonance is too strong and Omega too small."""
    lowered = 1.0 - density(5e-4, 15.0, ratio, dark_decays=False) / density(5e-4, 15.0, ratio)
    assert 0.255 < lowered < 0.325


def test_without_interactions():
    """N stays that of equilibrium at x = 1."""
    found = float(_one(to_float64(lmt.DarkMatter(0.0, 20.0, 15.0, eps_x=0.0)), 2.3))
    point = relic.Point(1e-9, 20.0, 15.0)
    background = relic.Background(point)
    volume = background(point.m, coupled=True)[0]
    expected = relic.density(point, background, float(background.equilibrium(point.m, volume)))
    assert found == pytest.approx(expected, rel=1e-6)  # digits of rho_crit


def test_expansion():
    """Both temperatures and H at a few neutrino temperatures; (4/11)^(1/3) and the entropy of psi and A'."""
    theta = to_float64(lmt.DarkMatter(5e-4, 15.0, 5.25))
    t = np.array([20.0, 5.0, 2.3, 1.0, 0.1, 1e-3])
    together, apart, _ = expansion(plasma(), hidden_species(theta), t, 2.3)
    background = relic.Background(relic.Point(5e-4, 15.0, 5.25))
    for found, coupled, where in ((together, True, slice(0, 3)), (apart, False, slice(2, 6))):
        volume, hubble = background(t[where], coupled)
        np.testing.assert_allclose(3.0 * found.log_scale[where], np.log(volume), rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(found.log_hubble[where], np.log(hubble), rtol=0.0, atol=1e-9)


def test_plasma():
    """The inverse of the entropy, and neutrinos that stay behind by (4/11)^(1/3)."""
    log_t = np.linspace(np.log(1e-6), np.log(5e3), 40)
    log_entropy, _ = plasma_state(plasma(), log_t)
    np.testing.assert_allclose(plasma_temperature(plasma(), log_entropy), log_t, atol=1e-9)
    hot, cold = (float(plasma_state(plasma(), np.log([t]))[0][0]) - 3.0 * np.log(t) for t in (30.0, 1e-3))
    with_muons = float(plasma_state(plasma(), np.log([1e4]))[0][0]) - 3.0 * np.log(1e4)
    assert np.exp(cold - with_muons) == pytest.approx(2 / 9, rel=1e-3)
    assert np.exp(cold - hot) == pytest.approx(4 / 11, rel=0.2)


def test_grid_has_the_kink():
    """At a point of the coarsest grid, wherever it is; increasing; unmoved without one."""
    for kink in (0.3, 1.9, 3.0, 7.7, 15.0):
        log_x = np.asarray(log_x_grid(kink))
        assert np.all(np.diff(log_x) > 0.0)
        assert np.min(np.abs(log_x[::8] - kink)) < 1e-12
    for kink in (-5.0, 30.0):
        log_x = np.asarray(log_x_grid(kink))
        assert log_x[[0, -1]] == pytest.approx([0.0, np.log(1e10)], abs=1e-12)


def test_convergence():
    """The steps make an error of a few per mille without extrapolation: it is needed, and it works."""
    assert boltzmann.EXTRAPOLATION.sum() == pytest.approx(1.0)
    powers = np.array([1.0, 2.0, 4.0, 8.0])[:, None] ** [1, 2, 3]
    np.testing.assert_allclose(boltzmann.EXTRAPOLATION @ powers, 0.0, atol=1e-12)


@pytest.mark.slow
def test_gradient():
    """Against differences, below, at and above the pole."""
    delta = np.array([-0.5, -1e-6, 1e-3, 0.5])
    theta = batch(np.full(4, 5e-4), np.full(4, 15.0), delta)
    _, slope = _slopes(theta)
    for name, step in (("g_x", 5e-8), ("mass", 1e-3), ("delta", 1e-4 * np.abs(delta)), ("dm_charge", 1e-4)):
        up, down = (_many(_shift(theta, name, sign * step)) for sign in (1.0, -1.0))
        np.testing.assert_allclose(getattr(slope, name), (up - down) / (2.0 * step), rtol=2e-4)
    decoupling = jax.grad(_one, 1)(jax.tree.map(lambda leaf: leaf[0], theta), 2.3)
    first = jax.tree.map(lambda leaf: leaf[0], theta)
    difference = (_one(first, 2.3 + 1e-3) - _one(first, 2.3 - 1e-3)) / 2e-3
    assert float(decoupling) == pytest.approx(float(difference), rel=1e-2)


def _shift(theta, name, step):
    return replace(theta, **{name: getattr(theta, name) + step})


@pytest.mark.slow
def test_finite():
    """Values and gradients over the documented range, and its corners."""
    rng = np.random.default_rng(3)
    corners = [
        (g, m, d) for g in (1e-6, 1e-1) for m in (1.0, 1000.0) for d in (-0.96, -1e-9, 0.0, 1e-9, 15.0)
    ]
    corner = np.array(corners).T
    n = 64 - corner.shape[1]
    ratio = rng.uniform(0.1, 2.0, n)
    inside = [10.0 ** rng.uniform(-6, -1, n), 10.0 ** rng.uniform(0, 3, n), 4.0 * ratio**2 - 1.0]
    value, slope = _slopes(batch(*np.concatenate([corner, inside], axis=1)))
    assert np.all(value > 0.0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((value, slope)))
    assert jnp.shape(value) == (64,)
