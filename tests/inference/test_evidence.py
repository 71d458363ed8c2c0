"""The evidence by bridge sampling, against closed forms and against the grid."""

import jax
import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt.inference import evidence
from jaxlmt.inference.sample import run_chains
from jaxlmt.inference.target import make_target


class Gaussian:
    """Stands for a target: a normal density with a known integral."""

    log_norm = 3.7


def test_a_gaussian_is_exact(monkeypatch):
    d, random = 3, np.random.default_rng(1)
    mixing = np.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-0.3, 0.1, 0.2]])
    precision = np.linalg.inv(mixing @ mixing.T)
    constant = 0.5 * d * np.log(2 * np.pi) + np.log(np.diag(mixing)).sum()

    def potentials(target, z):
        return 0.5 * np.einsum("ni,ij,nj->n", z, precision, z) + constant - target.log_norm, None

    monkeypatch.setattr(evidence, "potentials_and_gradients", potentials)
    z = random.normal(size=(4, 2000, d)) @ mixing.T
    found = evidence.bridge(Gaussian, z, potentials(Gaussian, z.reshape(-1, d))[0].reshape(4, -1), random)
    assert 0.0 < found.error < 0.01
    assert abs(found.log - Gaussian.log_norm) < 4 * found.error + 1e-9


def test_errors_are_honest(monkeypatch):
    """A logistic density, which is not the proposal: pulls of 60 repetitions have unit width."""
    random = np.random.default_rng(2)

    def potentials(target, z):
        return np.sum(np.abs(z) + 2 * np.log1p(np.exp(-np.abs(z))), axis=1), None

    monkeypatch.setattr(evidence, "potentials_and_gradients", potentials)
    pulls = []
    for _ in range(60):
        z = random.logistic(size=(4, 300, 2))
        found = evidence.bridge(None, z, potentials(None, z.reshape(-1, 2))[0].reshape(4, -1), random)
        pulls.append(found.log / found.error)
    assert abs(np.mean(pulls)) < 4 / np.sqrt(60)
    assert 0.6 < np.std(pulls) < 1.5


def test_effective_number_of_a_correlated_series():
    random, rho = np.random.default_rng(3), 0.8
    noise = random.normal(size=(4, 20000))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0]
    for i in range(1, noise.shape[1]):
        series[:, i] = rho * series[:, i - 1] + np.sqrt(1 - rho**2) * noise[:, i]
    expected = series.size * (1 - rho) / (1 + rho)
    assert evidence._effective(series) == pytest.approx(expected, rel=0.1)
    assert evidence._effective(np.ones((2, 10))) == 20


@pytest.mark.parametrize("z", [np.ones((4, 100, 2)), np.zeros((1, 1, 2)), np.zeros((4, 6, 2))])
def test_draws_that_do_not_tell(z):
    assert not evidence.bridge(None, z, np.zeros(z.shape[:2]), np.random.default_rng(0)).known


@pytest.mark.slow
@pytest.mark.parametrize(
    "eps_x", [lmt.TiedToCoupling(-1 / 70), lmt.PerCoupling(lmt.SymmetricAsinh(0.01, 0.3))]
)
def test_evidence_agrees_with_the_grid(eps_x):
    joint = lmt.Joint.asimov([lmt.gminus2(), lmt.na64mu(), lmt.ess10()], lmt.benchmark("BP2"))
    prior = lmt.Prior(lmt.HiddenPhoton(lmt.LogUniform(1e-5, 1e-2), lmt.LogUniform(1.0, 1e3), eps_x))
    run = run_chains(make_target(joint, prior), key=jax.random.key(5), draws=1000)
    found = evidence.bridge(run.target, run.z, run.stats["potential_energy"], np.random.default_rng(0))
    grid = lmt.grid_posterior(joint, prior)
    assert found.error < 0.02
    assert abs(found.log - grid.log_evidence) < 4 * found.error + 0.005
