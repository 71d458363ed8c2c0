"""The posterior as a NumPyro model and as a log density on R^d, against the package's own pieces."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import log_density as numpyro_log_density

import jaxlmt as lmt
from jaxlmt import (
    HiddenPhoton,
    LeptonCharges,
    LogUniform,
    Normal,
    PerCoupling,
    SignedLogUniform,
    SymmetricAsinh,
    TiedToCoupling,
    Uniform,
)
from jaxlmt.inference.target import Target, make_target

TRUTH = lmt.benchmark("BP2")
G, MASS = LogUniform(1e-5, 1e-2), LogUniform(1.0, 1e3)
FREE_CHARGE = LeptonCharges(0.0, 1.0, Uniform(-1.5, 0.5))

PRIORS = {
    "asinh of the ratio": HiddenPhoton(G, MASS, PerCoupling(SymmetricAsinh(0.01, 0.3))),
    "asinh": HiddenPhoton(G, MASS, SymmetricAsinh(1e-6, 1e-4)),
    "negative ratio": HiddenPhoton(G, MASS, PerCoupling(LogUniform(1e-5, 0.3, sign=-1))),
    "positive": HiddenPhoton(G, MASS, LogUniform(1e-9, 1e-4)),
    "both signs of the ratio": HiddenPhoton(G, MASS, PerCoupling(SignedLogUniform(1e-5, 0.3))),
    "both signs": HiddenPhoton(G, MASS, SignedLogUniform(1e-9, 1e-4)),
    "uniform, free charge": HiddenPhoton(G, Uniform(5.0, 50.0), Uniform(-1e-5, 1e-5), FREE_CHARGE),
    "normal": HiddenPhoton(G, 20.0, Normal(-8e-6, 2e-6)),
    "tied": HiddenPhoton(G, MASS, TiedToCoupling(-1.0 / 70.0)),
    "fixed": HiddenPhoton(G, MASS, -8e-6),
}


@pytest.fixture(scope="module")
def joint():
    """A detector that knows every parameter, and one with a nuisance without a closed form."""
    angle = lmt.ess10(sin2_theta_w=Normal(0.2386, 0.002))
    return lmt.Joint([lmt.gminus2().observe(), angle.asimov(TRUTH)])


def points(dimension, n=4):
    return np.random.default_rng(1).normal(0.0, 1.5, (n, dimension))


def sites(target):
    """For every coordinate: (name of the NumPyro site, its value as a function of the coordinate)."""
    found = []
    for name, distribution in {**target.prior.distributions, **target.free}.items():
        label = name
        if isinstance(distribution, PerCoupling):
            label, distribution = "eps_over_g", distribution.ratio
        if isinstance(distribution, SymmetricAsinh):
            scale = distribution.scale
            found.append(
                (f"{label}_asinh", lambda y, d=distribution, s=scale: jnp.arcsinh(d.from_real(y) / s))
            )
        elif isinstance(distribution, SignedLogUniform) or getattr(distribution, "sign", 1) == -1:
            found.append((f"{label}_size", lambda y, d=distribution: jnp.abs(d.from_real(y))))
        else:
            found.append((label, distribution.from_real))
    return found


# --- the NumPyro model ----------------------------------------------------------------------------


@pytest.mark.parametrize("systematics", ("marginal", "sampled"))
@pytest.mark.parametrize("name", PRIORS)
def test_numpyro_density_is_that_of_the_package(name, systematics, joint):
    prior = lmt.Prior(PRIORS[name])
    density = lmt.log_density(joint, prior, systematics=systematics)
    model = lmt.numpyro_model(joint, prior, systematics=systematics)
    found = sites(density.target)
    assert "sin2_theta_w" in dict(found)
    assert ("ess10.signal_norm" in dict(found)) == (systematics == "sampled")
    for z in points(density.dimension):
        values = {site: function(c) for (site, function), c in zip(found, z, strict=True)}
        jacobian = sum(
            jnp.log(jnp.abs(jax.grad(function)(c))) for (_, function), c in zip(found, z, strict=True)
        )
        theirs, trace = numpyro_log_density(model, (), {}, values)
        sampled = {k for k, v in trace.items() if v["type"] == "sample" and not v["is_observed"]}
        assert sampled == set(values)
        assert float(theirs) == pytest.approx(float(density(z) - jacobian), rel=1e-9, abs=1e-9)


def test_numpyro_density_written_out_by_hand(joint):
    # The prior densities of LogUniform and of the asinh coordinate, no code of the package.
    prior = lmt.Prior(PRIORS["asinh of the ratio"])
    g, mass, ratio, angle = 6e-4, 22.0, -0.013, 0.2391
    values = {"g_x": g, "mass": mass, "eps_over_g_asinh": np.arcsinh(ratio / 0.01), "sin2_theta_w": angle}
    result, trace = numpyro_log_density(lmt.numpyro_model(joint, prior), (), {}, values)
    log_likelihood = joint.log_likelihood(
        HiddenPhoton(g, mass, ratio * g), {"sin2_theta_w": angle}, systematics="marginal"
    )
    log_prior = -np.log(g * np.log(1e3)) - np.log(mass * np.log(1e3)) - np.log(2.0 * np.arcsinh(30.0))
    log_prior += -0.5 * ((angle - 0.2386) / 0.002) ** 2 - 0.5 * np.log(2.0 * np.pi) - np.log(0.002)
    assert float(result) == pytest.approx(float(log_likelihood) + log_prior, rel=1e-10)
    assert float(trace["eps_over_g"]["value"]) == pytest.approx(ratio, rel=1e-12)
    assert float(trace["eps_x"]["value"]) == pytest.approx(ratio * g, rel=1e-12)


def test_numpyro_model_sums_both_signs(joint):
    prior = lmt.Prior(PRIORS["both signs of the ratio"])
    g, mass, size, angle = 6e-4, 22.0, 0.013, 0.2386
    values = {"g_x": g, "mass": mass, "eps_over_g_size": size, "sin2_theta_w": angle}
    result, _ = numpyro_log_density(lmt.numpyro_model(joint, prior), (), {}, values)
    both = [
        float(
            joint.log_likelihood(
                HiddenPhoton(g, mass, s * size * g), {"sin2_theta_w": angle}, systematics="marginal"
            )
        )
        for s in (-1.0, 1.0)
    ]
    assert abs(both[0] - both[1]) > 1.0
    log_prior = -np.log(g * np.log(1e3)) - np.log(mass * np.log(1e3)) - np.log(size * np.log(3e4))
    log_prior += -0.5 * np.log(2.0 * np.pi) - np.log(0.002)
    assert float(result) == pytest.approx(np.logaddexp(*both) - np.log(2.0) + log_prior, rel=1e-10)


def test_nuts_of_numpyro_agrees_with_the_grid():
    joint = lmt.Joint([lmt.gminus2().observe()])
    prior = lmt.Prior(HiddenPhoton(G, 20.0, PerCoupling(SymmetricAsinh(0.01, 0.3))))
    kernel = NUTS(lmt.numpyro_model(joint, prior))
    chain = MCMC(kernel, num_warmup=300, num_samples=3000, num_chains=1, progress_bar=False)
    chain.run(jax.random.key(0))
    draws = {name: np.asarray(values) for name, values in chain.get_samples().items()}
    grid = lmt.grid_posterior(joint, prior, points=80)
    for name in grid.names:
        assert abs(draws[name].mean() - grid.mean(name)) < 0.15 * grid.std(name)
        assert draws[name].std() == pytest.approx(grid.std(name), rel=0.1)
    assert np.allclose(draws["eps_x"], draws["eps_over_g"] * draws["g_x"], rtol=1e-12)


def test_model_can_be_traced_with_a_seed(joint):
    prior = lmt.Prior(PRIORS["asinh of the ratio"])
    model = numpyro.handlers.seed(lmt.numpyro_model(joint, prior), jax.random.key(0))
    trace = numpyro.handlers.trace(model).get_trace()
    assert trace["log_likelihood"]["type"] == "sample"
    assert 1e-5 < float(trace["g_x"]["value"]) < 1e-2


# --- the log density ------------------------------------------------------------------------------


def test_log_density_is_likelihood_times_logistic_prior(joint):
    prior = lmt.Prior(PRIORS["asinh of the ratio"])
    density = lmt.log_density(joint, prior)
    assert density.names == ("g_x", "mass", "eps_x", "sin2_theta_w") and density.dimension == 4
    for z in points(4):
        theta = density.theta(z)
        angle = 0.2386 + 0.002 * z[3]
        expected = float(
            joint.log_likelihood(jax.tree.map(float, theta), {"sin2_theta_w": angle}, systematics="marginal")
        )
        share = 1.0 / (1.0 + np.exp(-z[:3]))
        expected += np.sum(np.log(share * (1.0 - share))) - 0.5 * z[3] ** 2 - 0.5 * np.log(2.0 * np.pi)
        assert float(density(z)) == pytest.approx(expected, rel=1e-10)
        assert float(theta.g_x) == pytest.approx(1e-5 * 1e3 ** share[0], rel=1e-10)
        assert float(theta.mass) == pytest.approx(1e3 ** share[1], rel=1e-10)
        ratio = 0.01 * np.sinh((2.0 * share[2] - 1.0) * np.arcsinh(30.0))
        assert float(theta.eps_x / theta.g_x) == pytest.approx(ratio, rel=1e-9)


@pytest.mark.parametrize("name", ("asinh of the ratio", "both signs", "tied"))
def test_log_density_is_the_target(name, joint):
    prior = lmt.Prior(PRIORS[name])
    density, target = lmt.log_density(joint, prior), make_target(joint, prior)
    assert density.names == target.names
    for z in points(density.dimension, 2):
        assert float(density(z)) == pytest.approx(float(target.log_density(jnp.asarray(z))), rel=1e-12)


def far_points(dimension):
    """Every corner of a cube of side 60 and the ends of its axes, and zero; two points further out."""
    corners = np.stack(np.meshgrid(*[(-30.0, 30.0)] * dimension), axis=-1).reshape(-1, dimension)
    ends = 30.0 * np.concatenate([np.eye(dimension), -np.eye(dimension)])
    outward = np.array([[50.0], [90.0]]) * np.ones(dimension)
    return np.concatenate([np.zeros((1, dimension)), corners, ends, outward])


@pytest.fixture(scope="module")
def joint_of_counts():
    observations = [e.asimov(TRUTH) for e in (lmt.na64mu(), lmt.ess(), lmt.ess10())]
    return lmt.Joint([lmt.gminus2().observe(), *observations])


_value_and_gradient = jax.jit(jax.vmap(jax.value_and_grad(Target.log_density, argnums=1), in_axes=(None, 0)))


@pytest.mark.parametrize("name", ("asinh of the ratio", "both signs of the ratio"))
def test_log_density_and_gradient_are_finite_far_away(name, joint_of_counts):
    coherent = lmt.Joint(joint_of_counts.observations[::3])
    # The default prior on everything; both signs, whose sum could overflow, on less: each is compiled.
    density = lmt.log_density(
        joint_of_counts if name == "asinh of the ratio" else coherent, lmt.Prior(PRIORS[name])
    )
    z = far_points(3)
    value, gradient = _value_and_gradient(density.target, z)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()
    # The prior's tails: the density falls, whatever the data say.
    assert float(value[-1] - value[-2]) == pytest.approx(-40.0 * 3, rel=1e-3)


def test_gradient_agrees_with_differences(joint_of_counts):
    density = lmt.log_density(joint_of_counts, lmt.default_prior())
    z = np.array([0.15, -0.3, -0.2])
    stencil = 1e-5 * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    batch = np.concatenate([z + stencil, np.zeros((len(far_points(3)) - 7, 3))])  # one program for all
    value, gradient = map(np.asarray, _value_and_gradient(density.target, batch))
    assert gradient[0] == pytest.approx((value[1:4] - value[4:7]) / 2e-5, rel=1e-6)


def test_density_can_be_differentiated_as_it_is(joint):
    density = lmt.log_density(joint, lmt.Prior(PRIORS["tied"]))
    value, gradient = jax.value_and_grad(density)(np.full(3, 30.0))
    assert np.isfinite(value) and np.isfinite(gradient).all() and gradient.shape == (3,)


def test_log_density_of_another_data_set_is_not_compiled_again(joint):
    prior = lmt.Prior(PRIORS["tied"])
    z = np.zeros(3)
    first = float(lmt.log_density(joint, prior)(z))
    events = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(duration)

    angle = lmt.ess10(sin2_theta_w=Normal(0.2386, 0.002))
    other = lmt.Joint([lmt.gminus2("2025").observe(), angle.asimov(lmt.benchmark("BP4"))])
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        second = float(lmt.log_density(other, prior)(z))
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert second != first
    assert len(events) == 0
