"""The best fit: where it is, what it is worth, and how surely it is found."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import optimize

import jaxlmt as lmt
from jaxlmt import (
    HiddenPhoton,
    LogUniform,
    PerCoupling,
    SignedLogUniform,
    TiedToCoupling,
    Uniform,
)
from jaxlmt.inference.fit import FitResult, covariance_from, curvature, fit, minimise, starting_points
from jaxlmt.inference.priors import Prior, default_prior
from jaxlmt.inference.target import as_likelihood, make_target, potentials_and_gradients
from tests.validation import independent

COUPLING, MASS = LogUniform(1e-5, 1e-2), LogUniform(1.0, 1e3)
TIED = Prior(HiddenPhoton(COUPLING, MASS, TiedToCoupling(-1 / 70)))
HEAVY = Prior(HiddenPhoton(COUPLING, 100.0, TiedToCoupling(-1 / 70)))  # at the mass of BP4
STARTS = 32

COMPILED = []  # one entry a program
jax.monitoring.register_event_duration_secs_listener(
    lambda event, duration, **_: (
        COMPILED.append(event) if event == "/jax/core/compile/backend_compile_duration" else None
    )
)


def data(name="BP1"):
    return lmt.Joint.asimov([lmt.na64mu(), lmt.ess10(), lmt.ess()], lmt.benchmark(name))


def light(name="BP4", *, toy=None, truth=None, **fields):
    """Delta a_mu for g_x and two CEvNS detectors with these fields: quick to compile."""
    experiments = [lmt.gminus2(), lmt.ess10(**fields), lmt.ess(**fields)]
    if toy is not None:
        return lmt.Joint.toy(jax.random.key(toy), experiments, lmt.benchmark(name))
    return lmt.Joint.asimov(experiments, lmt.benchmark(name), truth)


def same(one, other):
    """Every number of two results is the same."""
    leaves = [jax.tree.leaves((r.theta, r.nuisances, r.terms, r.covariance)) for r in (one, other)]
    return all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))


# --------------------------------------------------------------------------------------------- Asimov data
@pytest.mark.parametrize("name", ["BP1", "BP2", "BP4"])
def test_recovers_the_truth(name):
    """All three parameters free: NA64mu gives g_x, the shape of CEvNS the mass, its size eps_x."""
    truth = lmt.benchmark(name)
    best = fit(data(name), default_prior(), starts=STARTS)
    assert isinstance(best, FitResult) and best.names == ("g_x", "mass", "eps_x")
    assert 0.0 <= best.minus_two_log_likelihood < 1e-6
    assert set(best.terms) == {"na64mu", "ess10", "ess"}
    assert sum(best.terms.values()) == pytest.approx(best.minus_two_log_likelihood, abs=1e-15)
    assert best.theta.g_x == pytest.approx(truth.g_x, rel=1e-5)
    assert best.theta.mass == pytest.approx(truth.mass, rel=1e-4)
    assert best.theta.eps_x == pytest.approx(truth.eps_x, rel=1e-4)
    assert (best.theta.charges.e, best.theta.charges.mu, best.theta.charges.tau) == (0.0, 1.0, -1.0)
    assert best.nuisances == {}
    assert "best fit" in str(best) and "g_x" in str(best)


@pytest.mark.parametrize("name", ["BP1", "BP2", "BP4"])
def test_recovers_the_truth_with_tied_mixing(name):
    truth = lmt.benchmark(name)
    best = fit(data(name), TIED, starts=STARTS)
    assert 0.0 <= best.minus_two_log_likelihood < 1e-6
    assert best.theta.g_x == pytest.approx(truth.g_x, rel=1e-5)
    assert best.theta.mass == pytest.approx(truth.mass, rel=1e-4)
    assert best.theta.eps_x == pytest.approx(-best.theta.g_x / 70, rel=1e-14)


def test_one_parameter():
    """One free parameter, off its best value in the rest: scipy's bounded minimiser finds the same."""
    joint = light("BP1")
    prior = Prior(HiddenPhoton(COUPLING, 20.0, TiedToCoupling(-1 / 70)))
    best = fit(joint, prior, starts=STARTS)

    def minus_two(log_g):
        theta = HiddenPhoton(np.exp(log_g), 20.0, -np.exp(log_g) / 70)
        return -2.0 * float(joint.log_likelihood(theta, systematics="profiled"))

    exact = optimize.minimize_scalar(
        minus_two, bounds=(np.log(1e-4), np.log(5e-3)), method="bounded", options={"xatol": 1e-9}
    )
    assert best.minus_two_log_likelihood == pytest.approx(exact.fun, rel=1e-9)
    assert best.theta.g_x == pytest.approx(np.exp(exact.x), rel=1e-6)
    assert best.covariance.shape == (1, 1)


@pytest.mark.parametrize("name", ["BP1", "BP4"])
def test_best_of_both_signs(name):
    """A SignedLogUniform parameter: the larger of the two likelihoods is maximised, not their sum."""
    prior = Prior(HiddenPhoton(COUPLING, MASS, SignedLogUniform(1e-8, 1e-3)))
    truth = lmt.benchmark(name)
    best = fit(light(name), prior, starts=STARTS)
    assert 0.0 <= best.minus_two_log_likelihood < 1e-6
    assert best.theta.mass == pytest.approx(truth.mass, rel=1e-2)
    assert best.theta.eps_x == pytest.approx(truth.eps_x, rel=1e-2)  # sign included
    positive = HiddenPhoton(truth.g_x, truth.mass, -truth.eps_x)
    mirrored = lmt.Joint.asimov([lmt.gminus2(), lmt.ess10(), lmt.ess()], positive)
    assert fit(mirrored, prior, starts=STARTS).theta.eps_x == pytest.approx(-truth.eps_x, rel=1e-2)


@pytest.mark.parametrize("eps", [-1e-5, -5e-6, 5e-6])
def test_sign_of_a_small_mixing(eps):
    """Where the other sign is not much worse, the sum of both would be largest far from either's best."""
    truth = HiddenPhoton(1e-3, 100.0, eps)
    joint = lmt.Joint.asimov([lmt.gminus2(), lmt.ess10(), lmt.ess()], truth)
    prior = Prior(HiddenPhoton(1e-3, 100.0, SignedLogUniform(1e-8, 1e-3)))
    best = fit(joint, prior, starts=STARTS)
    assert 0.0 <= best.minus_two_log_likelihood < 1e-6
    assert best.theta.eps_x == pytest.approx(eps, rel=1e-2)


def test_measured_data_against_scipy():
    """Random data, far from any Asimov set: no simplex search of scipy's finds anything better."""
    joint = lmt.Joint.toy(jax.random.key(5), [lmt.na64mu(), lmt.ess10(), lmt.ess()], lmt.benchmark("BP3"))
    best = fit(joint, TIED, starts=STARTS)

    def minus_two(x):
        g, mass = np.exp(np.clip(x, np.log([1e-5, 1.0]), np.log([1e-2, 1e3])))
        theta = HiddenPhoton(g, mass, -g / 70)
        return -2.0 * float(joint.log_likelihood(theta, systematics="profiled"))

    found = []
    for start in ((6e-4, 50.0), (6e-4, 4.0), (1e-3, 200.0)):
        result = optimize.minimize(
            minus_two, np.log(start), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}
        )
        found.append(result.fun)
    assert best.minus_two_log_likelihood == pytest.approx(min(found), rel=1e-8)
    terms = joint.terms(best.theta, systematics="profiled")
    for experiment, value in terms.items():
        assert best.terms[experiment] == pytest.approx(-2.0 * float(value), rel=1e-9, abs=1e-12)


# --------------------------------------------------------------------------------------------- the search
@pytest.mark.parametrize("name", ["BP1", "BP2", "BP4"])
def test_nearly_all_starts_end_at_a_minimum(name):
    """Every search ends where the gradient vanishes. Below BP4 there are two such places: a light A' looks
    nearly the same, and is less than 0.2 worse in ln L; each must be one of the two."""
    target = as_likelihood(make_target(data(name), default_prior(), systematics="profiled"))
    ends, values = minimise(target, starting_points(target, jax.random.key(0), STARTS), every=True)
    _, gradients = potentials_and_gradients(target, ends)
    settled = np.linalg.norm(gradients, axis=1) < 1e-4
    best = values < values.min() + 1e-3
    print(f"{name}: {settled.mean():.0%} of {STARTS} starts settle, {best.mean():.0%} at the global minimum")
    assert settled.sum() >= STARTS - 1
    if name == "BP4":
        assert best.sum() >= STARTS - 2
        return
    assert best.sum() >= STARTS // 2
    others = settled & ~best
    assert np.ptp(values[others]) < 1e-6 and np.ptp(ends[others], axis=0).max() < 1e-2
    assert values[others][0] - values.min() < 0.2
    # a true minimum, not a slow search: all eigenvalues of the Hessian are positive there
    assert np.linalg.eigvalsh(curvature(target, ends[others][0])).min() > 0.0


def test_deterministic_for_a_key():
    joint, prior = data("BP2"), default_prior()
    one, again = (fit(joint, prior, key=jax.random.key(4), starts=STARTS) for _ in range(2))
    assert same(one, again) and np.array_equal(one.optimum.y, again.optimum.y)
    default = fit(joint, prior, starts=STARTS)
    assert same(default, fit(joint, prior, key=jax.random.key(0), starts=STARTS))
    # another key starts elsewhere and ends at the same place
    other = fit(joint, prior, key=jax.random.key(5), starts=STARTS)
    assert not np.array_equal(one.optimum.y, other.optimum.y)
    assert other.minus_two_log_likelihood == pytest.approx(one.minus_two_log_likelihood, abs=1e-9)


def test_new_data_compile_nothing():
    fit(data("BP1"), TIED, starts=STARTS)
    joints = [data("BP3"), lmt.Joint.toy(jax.random.key(1), data().experiments, lmt.benchmark("BP2"))]
    box = Prior(HiddenPhoton(LogUniform(1e-4, 5e-3), LogUniform(2, 500), TiedToCoupling(-0.02)))
    before = len(COMPILED)
    for joint, prior in zip(joints, (TIED, box), strict=True):
        fit(joint, prior, starts=STARTS, key=jax.random.key(9))
    assert 0 < before == len(COMPILED)


# ---------------------------------------------------------------------------------------------- covariance
def physical_covariance(joint, prior, best):
    """Inverse Hessian of -ln L by jax.hessian in the free physical parameters themselves."""
    names = prior.names

    def minus_log(values):
        theta = prior.fill(dict(zip(names, values, strict=True)))
        return -joint.log_likelihood(theta, systematics="profiled")

    ratios = [isinstance(d, PerCoupling) for d in prior.distributions.values()]
    values = prior.values(best.theta)
    at = np.array([values[n] / (best.theta.g_x if r else 1.0) for n, r in zip(names, ratios, strict=True)])
    covariance = np.linalg.inv(np.asarray(jax.hessian(minus_log)(at)))
    slope = np.eye(at.size)
    for i, is_ratio in enumerate(ratios):  # eps = ratio g
        if is_ratio:
            slope[i, i], slope[i, names.index("g_x")] = best.theta.g_x, at[i]
    return slope @ covariance @ slope.T


def test_covariance_is_the_inverse_hessian():
    """At the optimum the coordinates drop out; a sharp Delta a_mu and 100 t of argon measure everything well.

    Correlations of 0.99 ask for more digits of the Hessian than its largest eigenvalue shows.
    """
    large = lmt.ess(mass_tonne=100.0, signal_norm=lmt.Normal(1.0, 1e-4))
    sharp = replace(lmt.gminus2(), sigma=np.array([1e-11]))
    joint = lmt.Joint.asimov([sharp, large], lmt.benchmark("BP4"))
    prior = default_prior()
    best = fit(joint, prior, starts=STARTS)
    assert best.minus_two_log_likelihood < 1e-6
    expected = physical_covariance(joint, prior, best)
    sigma = np.sqrt(np.diag(expected))
    assert (np.linalg.eigvalsh(expected / np.outer(sigma, sigma)) > 0.0).all()
    np.testing.assert_allclose(
        best.covariance / np.outer(sigma, sigma), expected / np.outer(sigma, sigma), atol=1e-4
    )


def test_covariance_of_one_gaussian():
    """Delta a_mu alone measures g_x at a fixed mass: a = g^2 K, so that sigma_g = sigma_a/(2 g K)."""
    prior = Prior(HiddenPhoton(Uniform(1e-4, 2e-3), 100.0, 0.0))
    best = fit(lmt.Joint([lmt.gminus2().observe()]), prior, starts=STARTS)
    per_square = independent.delta_a_mu(1.0, 100.0)
    g = np.sqrt(251e-11 / per_square)
    assert best.theta.g_x == pytest.approx(g, rel=1e-6)
    assert best.minus_two_log_likelihood < 1e-9
    assert best.covariance[0, 0] ** 0.5 == pytest.approx(59e-11 / (2.0 * g * per_square), rel=1e-4)


def test_covariance_without_information():
    """The floor of the eigenvalues is that of the box, so that an unmeasured direction stays finite."""
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    for floored, values in (((3.0, 40.0, 0.7, 1e4),) * 2, ((0.05, 0.05, 0.05, 7.0), (-3.0, 0.0, 1e-9, 7.0))):
        hessian = (vectors * values) @ vectors.T
        expected = (vectors / floored) @ vectors.T
        np.testing.assert_allclose(covariance_from(hessian), expected, rtol=1e-9, atol=1e-12)
    best = fit(lmt.Joint([lmt.gminus2().observe()]), default_prior(), starts=STARTS)
    assert np.isfinite(best.covariance).all()
    assert (np.linalg.eigvalsh(best.covariance) > -1e-18).all()


# ----------------------------------------------------------------------------------------------- nuisances
def test_sampled_and_profiled_norms_agree():
    """The closed form, or one more coordinate a norm: same theta, same -2 ln L, same covariance of theta."""
    joint = light(toy=2)
    closed = fit(joint, TIED, starts=STARTS)
    sampled = fit(joint, TIED, starts=STARTS, systematics="sampled")
    assert closed.nuisances == {} and set(sampled.nuisances) == {"ess10.signal_norm", "ess.signal_norm"}
    assert sampled.minus_two_log_likelihood == pytest.approx(closed.minus_two_log_likelihood, rel=1e-7)
    assert closed.minus_two_log_likelihood > 1.0
    assert sampled.theta.g_x == pytest.approx(closed.theta.g_x, rel=1e-4)
    assert sampled.theta.mass == pytest.approx(closed.theta.mass, rel=1e-3)
    # the norms at the optimum are those that the closed form implies: eq 34's a
    for observation in joint.observations[1:]:
        experiment = observation.experiment
        theory = np.asarray(experiment.expected(sampled.theta))
        counts = np.asarray(observation.counts)
        _, a = independent.chi2_eq34_minimum(
            counts - experiment.background, theory, experiment.background, 0.05
        )
        # _minimum divides by N_obs + N_bkg, the total count, as the package does
        assert sampled.nuisances[f"{experiment.name}.signal_norm"] == pytest.approx(1.0 + a, abs=1e-5)
    picked = [sampled.names.index(name) for name in closed.names]
    block = sampled.covariance[np.ix_(picked, picked)]
    scale = np.sqrt(np.outer(*[np.diag(closed.covariance)] * 2))
    np.testing.assert_allclose(block / scale, closed.covariance / scale, atol=2e-3)


@pytest.mark.parametrize("systematics", ["profiled", "sampled"])
def test_covariance_rows_belong_to_their_names(systematics):
    """Nuisances of very different constraints, in experiments that are not in alphabetical order."""
    angle = lmt.Normal(0.2386, 1e-5)
    joint = light(sin2_theta_w=angle)
    assert joint.names == ("gminus2", "ess10", "ess")
    best = fit(joint, HEAVY, starts=STARTS, systematics=systematics)
    sigma = dict(zip(best.names, np.sqrt(np.diag(best.covariance)), strict=True))
    # an angle known to 1e-5 stays so, a norm known to 5% does not get worse
    assert sigma["sin2_theta_w"] == pytest.approx(1e-5, rel=1e-2)
    if systematics == "sampled":
        assert 1e-3 < sigma["ess.signal_norm"] < 0.051
        assert 1e-3 < sigma["ess10.signal_norm"] < 0.051
    assert best.minus_two_log_likelihood < 1e-6


def test_poisson_norm_is_searched():
    """Without a closed form the norm is a coordinate; its constraint counts as data."""
    joint = light(toy=7, statistic="poisson")
    best = fit(joint, HEAVY, starts=STARTS)
    names = ("ess10.signal_norm", "ess.signal_norm")
    assert set(best.nuisances) == set(names)

    def minus_two(nuisances):
        constraints = sum(((nuisances[name] - 1.0) / 0.05) ** 2 for name in names)
        return -2.0 * np.asarray(joint.log_likelihood(best.theta, nuisances)) + constraints

    value = float(minus_two(best.nuisances))
    assert best.minus_two_log_likelihood == pytest.approx(value, rel=1e-9)
    for name in names:
        moved = {**best.nuisances, name: best.nuisances[name] + np.array([-2e-4, 2e-4])}
        assert (minus_two(moved) > value).all()


def test_box_nuisances_have_no_constraint():
    """A flat angle is free in its box: data at another angle are described perfectly, at no price."""
    angle = Uniform(0.20, 0.27)
    truth = lmt.benchmark("BP4")
    joint = light("BP4", truth={"sin2_theta_w": 0.215}, sin2_theta_w=angle)
    best = fit(joint, HEAVY, starts=STARTS)
    assert best.theta.g_x == pytest.approx(truth.g_x, rel=1e-4)
    assert best.nuisances["sin2_theta_w"] == pytest.approx(0.215, rel=1e-4)
    assert 0.0 <= best.minus_two_log_likelihood < 1e-6


# ------------------------------------------------------------------------------------- the box, and refusals
def test_optimum_stays_in_the_box():
    """Data that pull g_x over the edge: the fit ends at the edge, finite."""
    prior = Prior(HiddenPhoton(LogUniform(1e-5, 3e-4), LogUniform(1.0, 1e3), TiedToCoupling(-1 / 70)))
    best = fit(data("BP4"), prior, starts=STARTS)
    assert best.theta.g_x <= 3e-4 * (1.0 + 1e-12)
    assert best.theta.g_x == pytest.approx(3e-4, rel=1e-3)
    assert np.isfinite(best.minus_two_log_likelihood) and np.isfinite(best.covariance).all()


def test_prior_density_is_not_used():
    """Two priors on the same box, flat and logarithmic, have one best fit."""
    joint = light(toy=3)
    flat = Prior(HiddenPhoton(Uniform(1e-5, 1e-2), 100.0, TiedToCoupling(-1 / 70)))
    one, other = fit(joint, HEAVY, starts=STARTS), fit(joint, flat, starts=STARTS)
    assert one.theta.g_x == pytest.approx(other.theta.g_x, rel=1e-5)
    assert one.minus_two_log_likelihood == pytest.approx(other.minus_two_log_likelihood, rel=1e-8)
    assert one.minus_two_log_likelihood > 0.1


@pytest.mark.parametrize(
    "arguments,named",
    [
        ({"starts": 0}, "starts"),
        ({"starts": -3}, "starts"),
        ({"starts": 2.5}, "starts"),
        ({"systematics": "fixed"}, "systematics must be one of"),
        ({"joint": lmt.BENCHMARKS}, "joint must be"),
        ({"prior": 5}, "prior must be"),
    ],
    ids=repr,
)
def test_bad_arguments(arguments, named):
    arguments = {"joint": light(), "prior": HEAVY, **arguments}
    with pytest.raises(ValueError, match=named):
        fit(arguments.pop("joint"), arguments.pop("prior"), **arguments)
