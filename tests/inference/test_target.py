"""The sampled density by hand, its coordinates and its gradients."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import stats

import jaxlmt as lmt
from jaxlmt import (
    HiddenPhoton,
    LeptonCharges,
    LogUniform,
    PerCoupling,
    SignedLogUniform,
    TiedToCoupling,
    Uniform,
)
from jaxlmt.inference.coordinates import straighten
from jaxlmt.inference.fit import STARTS, minimise, starting_points
from jaxlmt.inference.priors import Prior, default_prior
from jaxlmt.inference.ridge import KNOTS, REACH, from_columns, identity
from jaxlmt.inference.target import as_likelihood, make_target, potentials_and_gradients

COUPLING, MASS = LogUniform(1e-5, 1e-2), LogUniform(1.0, 1e3)
TIED = Prior(HiddenPhoton(COUPLING, MASS, TiedToCoupling(-1 / 70)))
PRIORS = {
    "default": default_prior(),
    "tied": TIED,
    "mass alone": Prior(HiddenPhoton(5e-4, MASS, TiedToCoupling(-1 / 70))),
    "tau": Prior(
        HiddenPhoton(
            COUPLING, MASS, PerCoupling(Uniform(-0.1, 0.1)), LeptonCharges(0.0, 1.0, Uniform(-1.5, 0.5))
        )
    ),
    "signed": Prior(HiddenPhoton(COUPLING, MASS, SignedLogUniform(1e-8, 1e-3))),
}


def log_density(target, z):
    """(n,), by the program that everything in the package uses."""
    return -potentials_and_gradients(target, z)[0]


@jax.jit
def _map(ridge, z):
    return jax.vmap(ridge)(z), jax.vmap(jax.jacfwd(lambda point: ridge(point)[0]))(z)


def mapped(ridge, z, *, block=256):
    """(y, ln |det|, autodiff's dy/dz) at z (n, d), in blocks of one size."""
    filled = np.concatenate([z, np.broadcast_to(z[-1:], (-len(z) % block, z.shape[1]))])
    parts = [jax.tree.leaves(_map(ridge, part)) for part in filled.reshape(-1, block, z.shape[1])]
    return tuple(np.concatenate([np.asarray(part[i]) for part in parts])[: len(z)] for i in range(3))


def data(name="BP1"):
    return lmt.Joint.asimov([lmt.na64mu(), lmt.ess10()], lmt.benchmark(name))


def light(name="BP1"):
    """Delta a_mu and a CEvNS detector: quick to compile."""
    return lmt.Joint.asimov([lmt.gminus2(), lmt.ess10()], lmt.benchmark(name))


def shared(prior):
    """Two detectors, not in alphabetical order, that share an uncertain angle."""
    detectors = [lmt.ess10(sin2_theta_w=prior), lmt.ess(sin2_theta_w=prior)]
    return lmt.Joint.asimov(detectors, lmt.benchmark("BP1"))


def uniform(seed, n, d, spread=3.0):
    return np.random.default_rng(seed).uniform(-spread, spread, (n, d))


# -------------------------------------------------------------------------------------------- what it adds up
@pytest.mark.parametrize("label", PRIORS)
@pytest.mark.parametrize("systematics", ["marginal", "profiled"])
def test_density_is_likelihood_times_prior(label, systematics):
    """joint.log_likelihood at the point, plus the logistic density of every coordinate."""
    prior, joint = PRIORS[label], (data() if label in ("default", "tied") else light())
    target = make_target(joint, prior, systematics=systematics)
    assert target.names == prior.names and target.dimension == len(prior.names)
    y = uniform(1, 5, target.dimension)
    total = log_density(target, y)
    for point, value in zip(y, total, strict=True):
        likelihood = float(joint.log_likelihood(prior.from_real(point), systematics=systematics))
        if label == "signed":
            other = float(joint.log_likelihood(prior.from_real(point, -1.0), systematics=systematics))
            likelihood = np.logaddexp(likelihood, other) - math.log(2.0)
        expected = likelihood + stats.logistic.logpdf(point).sum()
        assert value == pytest.approx(expected, rel=1e-11)


def test_signs_are_summed():
    """SignedLogUniform = the mean of the two one-signed likelihoods: logaddexp of two LogUniform targets."""
    joint, size = light("BP2"), (1e-8, 1e-3)
    signed = make_target(joint, PRIORS["signed"])
    one = [
        make_target(joint, Prior(HiddenPhoton(COUPLING, MASS, LogUniform(*size, sign=sign))))
        for sign in (1, -1)
    ]
    y = uniform(2, 6, 3)
    halves = [log_density(target, y) for target in one]
    np.testing.assert_allclose(log_density(signed, y), np.logaddexp(*halves) - math.log(2.0), rtol=1e-12)
    assert (np.abs(halves[0] - halves[1]) > 0.1).any()


@pytest.mark.parametrize("angle", [lmt.Normal(0.2386, 0.003), Uniform(0.2, 0.27)], ids=["normal", "uniform"])
def test_sampled_nuisances(angle):
    """A shared angle without closed form is a coordinate; Gaussian norms too, if asked."""
    joint = shared(angle)
    law = stats.norm if isinstance(angle, lmt.Normal) else stats.logistic
    target = make_target(joint, TIED)
    assert target.names == ("g_x", "mass", "sin2_theta_w")
    y = uniform(3, 4, 3)
    values = log_density(target, y)
    for point, value in zip(y, values, strict=True):
        nuisances = {"sin2_theta_w": float(angle.from_real(point[2]))}
        theta = TIED.from_real(point[:2])
        expected = float(joint.log_likelihood(theta, nuisances, systematics="marginal"))
        expected += stats.logistic.logpdf(point[:2]).sum() + law.logpdf(point[2])
        assert value == pytest.approx(expected, rel=1e-11)
    if law is stats.logistic:
        return
    sampled = make_target(joint, TIED, systematics="sampled")
    assert set(sampled.names) == {"g_x", "mass", "sin2_theta_w", "ess10.signal_norm", "ess.signal_norm"}
    point = uniform(4, 1, 5)[0]
    theta, parameters = sampled.split(point)
    assert set(parameters) == set(joint.nominal)
    coordinate = dict(zip(sampled.names, point, strict=True))
    for name in ("ess10.signal_norm", "ess.signal_norm"):
        assert float(parameters[name]) == pytest.approx(1.0 + 0.05 * coordinate[name], rel=1e-14)
    expected = float(joint.log_likelihood(theta, parameters, systematics="fixed"))
    expected += stats.logistic.logpdf([coordinate["g_x"], coordinate["mass"]]).sum()
    expected += law.logpdf(coordinate["sin2_theta_w"])
    expected += stats.norm.logpdf([coordinate[n] for n in ("ess10.signal_norm", "ess.signal_norm")]).sum()
    assert float(log_density(sampled, point[None])[0]) == pytest.approx(expected, rel=1e-11)


def test_coordinates_keep_their_order_under_jit():
    """names tell which coordinate is which: traced or not, whatever the order of the experiments."""
    joint = shared(lmt.Normal(0.2386, 0.003))
    assert joint.names == ("ess10", "ess")
    target = make_target(joint, TIED, systematics="sampled")
    seen = []

    @jax.jit
    def traced(target, z):
        seen.append(target.names)
        return target.log_density(z), target.split(z)

    z = uniform(4, 1, 5)[0]
    value, (_, parameters) = traced(target, z)
    assert seen == [target.names]
    assert float(value) == pytest.approx(float(target.log_density(z)), rel=1e-11)
    for name, number in target.split(z)[1].items():
        assert float(parameters[name]) == pytest.approx(float(number), rel=1e-14), name


def test_marginal_is_the_integral_over_sampled_norms():
    """int exp(sampled) da = exp(marginal): one Gaussian norm, by the trapezoidal rule in its coordinate."""
    joint = light()
    marginal, sampled = make_target(joint, TIED), make_target(joint, TIED, systematics="sampled")
    assert sampled.names == ("g_x", "mass", "ess10.signal_norm")
    a = np.linspace(-12.0, 12.0, 4001)
    for point in uniform(5, 3, 2, spread=1.0):
        line = np.column_stack([np.broadcast_to(point, (a.size, 2)), a])
        values = log_density(sampled, line)
        peak = values.max()
        total = peak + math.log(np.exp(values - peak).sum() * (a[1] - a[0]))
        assert total == pytest.approx(float(log_density(marginal, point[None])[0]), rel=1e-9)


def test_profile_is_the_maximum_over_sampled_norms():
    joint = light()
    profiled = as_likelihood(make_target(joint, TIED, systematics="profiled"))
    sampled = as_likelihood(make_target(joint, TIED, systematics="sampled"))
    for point in uniform(6, 3, 2, spread=1.0):
        # in the norm -chi^2/2 is a parabola: three points give its top
        a = np.array([-1.0, 0.0, 1.0])
        below, middle, above = log_density(sampled, np.column_stack([np.broadcast_to(point, (3, 2)), a]))
        bend, tilt = 0.5 * (below + above) - middle, 0.5 * (above - below)
        best = middle - 0.25 * tilt**2 / bend + 0.5 * math.log(2.0 * math.pi)
        assert best == pytest.approx(float(log_density(profiled, point[None])[0]), rel=1e-9)


def test_as_likelihood_has_no_prior():
    """Same coordinates, no prior density, the profile; a Gaussian nuisance keeps its constraint."""
    joint = shared(lmt.Normal(0.2386, 0.003))
    target = as_likelihood(make_target(joint, TIED))
    y = uniform(7, 4, 3)
    for point, value in zip(y, log_density(target, y), strict=True):
        nuisances = {"sin2_theta_w": 0.2386 + 0.003 * point[2]}
        likelihood = float(joint.log_likelihood(TIED.from_real(point[:2]), nuisances, systematics="profiled"))
        assert value == pytest.approx(likelihood + stats.norm.logpdf(point[2]), rel=1e-11)
    flat = as_likelihood(make_target(shared(Uniform(0.2, 0.27)), TIED))
    theta, parameters = flat.split(y[0])
    expected = float(flat.joint.log_likelihood(theta, parameters, systematics="profiled"))
    assert float(log_density(flat, y[:1])[0]) == pytest.approx(expected, rel=1e-11)


def test_finite_wherever_a_sampler_looks():
    """|y| up to 700 in any coordinate: finite, with finite gradients."""
    for target in (make_target(data(), PRIORS["default"]), make_target(light(), PRIORS["signed"])):
        z = uniform(8, 120, 3, spread=700.0)
        z = np.concatenate([z, 700.0 * np.array(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3)).reshape(3, -1).T])
        values, gradients = potentials_and_gradients(target, z)
        assert np.isfinite(values).all()
        assert np.isfinite(gradients).all()


def test_bad_arguments():
    joint = light()
    with pytest.raises(ValueError, match="joint must be a"):
        make_target([joint], TIED)
    with pytest.raises(ValueError, match="prior must be a"):
        make_target(joint, lmt.benchmark("BP1"))
    with pytest.raises(ValueError, match="systematics must be one of 'marginal', 'profiled', 'sampled'"):
        make_target(joint, TIED, systematics="fixed")


# ------------------------------------------------------------------------------------------------ gradients
@pytest.mark.parametrize("label", ["default", "signed", "tau"])
def test_gradient_is_the_slope(label):
    """Fourth-order central differences of the same density, a little away from M = 2 m_mu, where it bends."""
    target = make_target(data("BP2") if label == "default" else light("BP2"), PRIORS[label])
    d = target.dimension
    z = uniform(9, 40, d, spread=1.5)
    mass = np.array([float(PRIORS[label].from_real(point[: len(PRIORS[label].names)]).mass) for point in z])
    z = z[np.abs(mass / (2.0 * 105.6583755) - 1.0) > 0.02]
    n = len(z)
    assert n > 25
    values, gradients = potentials_and_gradients(target, z)
    assert values.shape == (n,) and gradients.shape == (n, d)
    h = 1e-4
    offsets = h * np.eye(d)
    stencil = np.stack([z[:, None] + k * offsets for k in (1.0, -1.0, 2.0, -2.0)])
    f = potentials_and_gradients(target, stencil.reshape(-1, d))[0].reshape(4, n, d)
    slope = (8.0 * (f[0] - f[1]) - (f[2] - f[3])) / (12.0 * h)
    scale = np.abs(gradients).max(axis=1, keepdims=True) + 1.0
    # rounding of the values over the step; truncation, h^4 of the fifth derivative, is 3e-9 at the edge
    noise = 4.0 * np.finfo(float).eps * np.abs(values)[:, None] / h
    assert (np.abs(slope - gradients) < 1e-8 * scale + noise).all()


def test_any_number_of_points():
    """Chunks are filled up with copies, which nobody sees."""
    target = make_target(data(), TIED)
    z = uniform(10, 300, 2)
    values, gradients = potentials_and_gradients(target, z)
    for n in (1, 127, 128, 129, 256, 257):
        fewer = potentials_and_gradients(target, z[:n])
        assert fewer[0].shape == (n,) and fewer[1].shape == (n, 2)
        np.testing.assert_array_equal(fewer[0], values[:n])
        np.testing.assert_array_equal(fewer[1], gradients[:n])


# ------------------------------------------------------------------------------------------------ the ridge
def random_ridge(dimension, axis, seed):
    """Any smooth columns, with an increasing first one."""
    rng = np.random.default_rng(seed)
    m = 1 + 2 * (dimension - 1) + (dimension - 1) * (dimension - 2) // 2
    waves = sum(
        a * np.sin(k * KNOTS[:, None] + p) for k, (a, p) in enumerate(rng.normal(size=(4, 2, m)) * 0.3)
    )
    waves[:, 0] = np.cumsum(np.exp(0.5 * waves[:, 0])) * 0.1
    return from_columns(waves, axis)


def straightened(name, prior):
    target = make_target(light(name) if prior is PRIORS["mass alone"] else data(name), prior)
    return straighten(target, minimise(target, starting_points(target, jax.random.key(0), STARTS)))


@pytest.fixture(scope="module")
def straight():
    """Targets in their ridge coordinates; the likelihoods of BP1 to BP3 have two modes in the mass."""
    cases = [("BP1", "default"), ("BP4", "default"), ("BP1", "tied"), ("BP2", "tied"), ("BP3", "tied")]
    cases += [("BP4", "tied"), ("BP1", "mass alone")]
    return {f"{name} {label}": straightened(name, PRIORS[label]) for name, label in cases}


SHAPES = [(1, 0), (2, 1), (3, 1), (4, 2), (5, 0)]


def ridges(straight):
    """Every kind of map as (label, ridge, dimension): fitted, identical and made up."""
    for key, target in straight.items():
        yield key, target.ridge, target.dimension
    for dimension, axis in SHAPES:
        yield f"identity {dimension} {axis}", identity(dimension, axis), dimension
        for seed in range(3):
            yield f"random {dimension} {axis}", random_ridge(dimension, axis, seed), dimension


def test_identity():
    for dimension, axis in SHAPES:
        z = uniform(11, 50, dimension, spread=9.0)
        y, log_jacobian, _ = mapped(identity(dimension, axis), z)
        np.testing.assert_allclose(y, z, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(log_jacobian, 0.0, atol=1e-13)


def test_jacobian_is_exact(straight):
    """ln |det dy/dz| against autodiff's Jacobian, inside the table and beyond."""
    for key, ridge, dimension in ridges(straight):
        z = np.concatenate([uniform(12, 180, dimension, spread=3.0), uniform(13, 70, dimension, spread=9.0)])
        _, log_jacobian, slope = mapped(ridge, z)
        sign, expected = np.linalg.slogdet(slope)
        assert np.isfinite(log_jacobian).all(), key
        # the map is triangular up to an exchange of axes: the determinant is positive
        assert (sign == 1.0).all(), key
        np.testing.assert_allclose(log_jacobian, expected, rtol=1e-10, atol=1e-11, err_msg=key)


def test_axis_is_monotone(straight):
    for key, ridge, dimension in ridges(straight):
        z = np.zeros((4096, dimension))
        z[:, ridge.axis] = np.linspace(-1.5 * REACH, 1.5 * REACH, len(z))
        y, log_jacobian, _ = mapped(ridge, z)
        assert (np.diff(y[:, ridge.axis]) > 0.0).all(), key
        assert np.isfinite(log_jacobian).all(), key


def test_one_to_one(straight):
    """Undone by bisection along the axis, for all points at once, and forward substitution across it."""
    for key, ridge, d in ridges(straight):
        axis, others = ridge.axis, [i for i in range(d) if i != ridge.axis]
        z = uniform(14, 40, d, spread=4.0)
        y, _, _ = mapped(ridge, z)
        low, high = np.full(len(z), -9.0), np.full(len(z), 9.0)
        back = np.zeros_like(z)
        for _ in range(55):
            back[:, axis] = 0.5 * (low + high)
            above = mapped(ridge, back)[0][:, axis] > y[:, axis]
            low, high = np.where(above, low, back[:, axis]), np.where(above, back[:, axis], high)
        centre, _, slope = mapped(ridge, back)
        factor = slope[:, others][:, :, others]
        assert (np.triu(factor, 1) == 0.0).all() and (np.einsum("nii->ni", factor) > 0.0).all(), key
        if others:
            rest = (y - centre)[:, others, None]
            back[:, others] = np.linalg.solve(factor, rest)[:, :, 0]
        np.testing.assert_allclose(back, z, rtol=1e-7, atol=1e-7, err_msg=key)


def test_continuous_across_knots(straight):
    """y and dy/dz have no step at any knot; y has none where the table ends."""
    step = 1e-7
    for key, ridge, dimension in ridges(straight):
        z = np.repeat(uniform(15, 1, dimension, spread=1.0), KNOTS.size, axis=0)
        sides = []
        for side in (-step, step):
            z[:, ridge.axis] = KNOTS + side
            sides.append(mapped(ridge, z))
        (y_below, _, slope_below), (y_above, _, slope_above) = sides
        size = np.abs(slope_below).max() + np.abs(slope_above).max()
        assert np.abs(y_above - y_below).max() < 2.0 * step * size, key
        # a slope changes by at most a few times itself over the knots' spacing of 1/4
        assert np.abs(slope_above - slope_below)[1:-1].max() < 100.0 * step * size, key


def test_density_in_ridge_coordinates(straight):
    """p(z) = p(y) |det dy/dz| with autodiff's determinant, in every case."""
    for key, target in straight.items():
        plain = replace(target, ridge=identity(target.dimension, target.ridge.axis))
        z = uniform(17, 64, target.dimension)
        y, _, slope = mapped(target.ridge, z)
        expected = log_density(plain, y) + np.linalg.slogdet(slope)[1]
        np.testing.assert_allclose(log_density(target, z), expected, rtol=1e-9, atol=1e-9, err_msg=key)


@pytest.mark.parametrize("name", ["BP1", "BP2"])
def test_coordinates_leave_the_evidence_alone(name):
    """int p(z) dz = int p(y) dy with the mass alone free: two modes, and both kept."""
    curved = straightened(name, PRIORS["mass alone"])
    plain = replace(curved, ridge=identity(1, 0))
    totals = []
    for target, reach in ((plain, 30.0), (curved, 30.0)):
        z = np.linspace(-reach, reach, 24_001)
        totals.append(np.exp(log_density(target, z[:, None])).sum() * (z[1] - z[0]))
    assert totals[1] == pytest.approx(totals[0], rel=1e-5)
