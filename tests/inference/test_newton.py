"""Derivatives, steps and chunks of the inner search of profile likelihoods."""

import jax
import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt.inference.newton import Deviance, _solve, deviances, in_chunks
from jaxlmt.inference.target import as_likelihood, make_target

FREE = lmt.default_prior()
SIGNED = lmt.default_prior(mixing=lmt.PerCoupling(lmt.SignedLogUniform(1e-5, 0.3)))


def deviance_of(*, prior=FREE, statistic="gaussian"):
    experiments = [lmt.na64mu(), lmt.ess10(statistic=statistic), lmt.ess(statistic=statistic)]
    joint = lmt.Joint.asimov(experiments, lmt.benchmark("BP1"))
    return Deviance(as_likelihood(make_target(joint, prior)))


def random_points(deviance, n, *, seed=0):
    """Inside the box; Gaussian coordinates within three standard deviations."""
    low, high = (np.clip(edge, -3.0, 3.0) if np.isinf(edge).all() else edge for edge in deviance.box)
    low, high = np.where(np.isinf(low), -3.0, low), np.where(np.isinf(high), 3.0, high)
    return np.random.default_rng(seed).uniform(low, high, (n, low.size))


@jax.jit
def reference(deviance, t, sign):
    """(value, gradient (d,), Hessian (d, d)) of every point by JAX's own nesting of derivatives."""

    def one(point, sign):
        return deviance(point, sign), jax.grad(deviance)(point, sign), jax.hessian(deviance)(point, sign)

    return jax.vmap(one)(t, sign)


@pytest.mark.parametrize(
    "options, inners",
    [
        ({"statistic": "poisson"}, [(2, 3, 4)]),
        pytest.param({"statistic": "poisson"}, [(1, 2, 3, 4), (0, 3), (3,)], marks=pytest.mark.slow),
        pytest.param({"prior": SIGNED}, [(2,), (0, 2)], marks=pytest.mark.slow),
        pytest.param({}, [(0, 1, 2)], marks=pytest.mark.slow),
    ],
    ids=["poisson nuisances", "other coordinates", "both signs", "pulls in closed form"],
)
def test_derivatives_against_the_hessian_of_jax(options, inners):
    deviance = deviance_of(**options)
    t = random_points(deviance, 200)
    both = deviance.target.prior.signed is not None
    sign = np.tile([1.0, -1.0 if both else 1.0], 100)
    expected = [np.asarray(part) for part in reference(deviance, t, sign)]
    assert all(np.isfinite(part).all() for part in expected)
    for inner in inners:
        found = jax.jit(jax.vmap(lambda p, s, inner=inner: deviance.derivatives(p, s, inner)))(t, sign)
        which = np.array(inner)
        wanted = expected[0], expected[1][:, which], expected[2][:, which[:, None], which]
        for got, want in zip(found, wanted, strict=True):
            # relative to the largest entry of a point: what cancels between experiments is rounding
            scale = np.abs(want).reshape(200, -1).max(axis=1).reshape(-1, *[1] * (want.ndim - 1))
            assert np.max(np.abs(np.asarray(got) - want) / (1.0 + scale)) < 1e-8, inner


def test_nuisances_stay_with_their_experiments():
    deviance = deviance_of(statistic="poisson")
    assert list(deviance.distributions) == ["g_x", "mass", "eps_x", "ess.signal_norm", "ess10.signal_norm"]
    assert deviance.dependence((2, 3, 4)) == {(2,): ["na64mu"], (2, 4): ["ess10"], (2, 3): ["ess"]}
    assert deviance.dependence((3,)) == {(): ["na64mu", "ess10"], (3,): ["ess"]}
    np.testing.assert_array_equal(deviance.pulled, [0, 0, 0, 1, 1])
    low, high = deviance.box
    assert np.all(np.isinf(low) == [False] * 3 + [True] * 2) and np.all(low < high)


def test_deviance_is_the_likelihood_with_its_constraints():
    deviance = deviance_of(statistic="poisson")
    joint = deviance.target.joint
    t = random_points(deviance, 20)
    g, mass, ratio = np.exp(t[:, 0]), np.exp(t[:, 1]), 0.01 * np.sinh(t[:, 2])
    nuisances = {
        name: 1.0 + float(joint.nuisances[name].std) * t[:, i]
        for i, name in ((3, "ess.signal_norm"), (4, "ess10.signal_norm"))
    }
    expected = -2.0 * np.asarray(joint.log_likelihood(lmt.HiddenPhoton(g, mass, ratio * g), nuisances))
    expected += t[:, 3] ** 2 + t[:, 4] ** 2
    np.testing.assert_allclose(deviances(deviance, t, np.ones(20)), expected, rtol=1e-9)


@pytest.mark.parametrize("size", (1, 2, 5))
def test_solution_of_small_systems(size):
    random = np.random.default_rng(size)
    root = random.normal(size=(size, size))
    matrix, vector = root @ root.T + 0.1 * np.eye(size), random.normal(size=size)
    np.testing.assert_allclose(_solve(matrix, vector), np.linalg.solve(matrix, vector), rtol=1e-9)


def test_steps_go_downhill_where_the_curvature_is_negative():
    random = np.random.default_rng(7)
    for _ in range(30):
        root = random.normal(size=(3, 3))
        vector = random.normal(size=3)
        assert vector @ np.asarray(_solve(root + root.T, vector)) > 0.0
    assert np.isfinite(_solve(np.zeros((3, 3)), np.ones(3))).all()


@pytest.mark.parametrize("n", (1, 7, 8, 9, 24))
def test_chunks_have_one_size_and_leave_no_seam(n):
    sizes = []

    def program(a, b):
        sizes.append(len(a))
        return a + b[:, 0], {"product": a[:, None] * b}

    a, b = np.arange(n, dtype=float), np.random.default_rng(1).normal(size=(n, 2))
    total, table = in_chunks(program, (a, b), 8)
    np.testing.assert_array_equal(total, a + b[:, 0])
    np.testing.assert_array_equal(table["product"], a[:, None] * b)
    assert set(sizes) == {8}
