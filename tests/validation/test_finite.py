"""A million points of the whole box, for every experiment, kernel and model: everything is finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt import constants
from jaxlmt.likelihood import analytic_terms, fixed_terms
from jaxlmt.quadrature import map_chunks
from jaxlmt.validation import to_float64

POINTS, CHUNK = 1_000_000, 512
COUPLINGS, MASSES, BOUND = (1e-6, 1e-1), (0.1, 1e4), 0.3  # of the box: MeV; the bound is on eps/g
DETECTORS = {"cenns610": lmt.cenns610, "ccm": lmt.ccm, "ess": lmt.ess, "ess10": lmt.ess10}
EXPERIMENTS = {
    "na64mu": lambda kernel: lmt.na64mu(kernel=kernel),
    **{
        name: lambda kernel, detector=detector: detector(preset="paper" if kernel == "paper" else None)
        for name, detector in DETECTORS.items()
    },
    "gminus2": lambda kernel: lmt.gminus2("2021" if kernel == "paper" else "2025"),
}
XENON_POINTS = 100_000
XENON = [(name, channel) for name in ("darwin", "lz", "xenonnt") for channel in ("nr", "er", "nr+er")]
MODELS = {"lmu-ltau": lmt.LMU_LTAU, "lmu": lmt.LMU}


def edges():
    """(g, M, eps/g) at every corner, and at every threshold with both neighbouring numbers."""
    thresholds = [2.0 * getattr(constants, f"MASS_{lepton}") for lepton in ("ELECTRON", "MUON", "TAU")]
    masses = [np.nextafter(m, end) for m in thresholds for end in (0.0, m, np.inf)]
    ratios = (-BOUND, -1 / 70, 0.0, BOUND)
    return np.stack(np.meshgrid(COUPLINGS, [*MASSES, *masses], ratios), axis=-1).reshape(-1, 3).T


def box(charges, *, running=False, n=POINTS):
    """``n`` points of the box, its edges first; ratios of both signs and all sizes down to 1e-8."""
    random = np.random.default_rng(20210403)
    g, mass = (np.exp(random.uniform(*np.log(ends), n)) for ends in (COUPLINGS, MASSES))
    size = np.where(random.random(n) < 0.5, random.random(n), 10.0 ** random.uniform(-8.0, 0.0, n))
    ratio = BOUND * size * random.choice([-1.0, 1.0], n)
    special = edges()
    for array, first in zip((g, mass, ratio), special, strict=True):
        array[: first.size] = first
    return lmt.HiddenPhoton(g, mass, ratio * g, charges, running=running)


@jax.jit
def failures(joint, g, mass, eps, fixed, varied):
    """How many of the points give (counts, likelihoods, gradients) that are not finite, or counts below 0.

    varied: nuisances, (n,) each; the others are nominal.
    """
    (experiment,) = joint.experiments

    def every(theta, parameters):
        terms = [fixed_terms(joint, theta, parameters)]
        terms += [analytic_terms(joint, theta, parameters, marginal) for marginal in (0.0, 1.0)]
        return jnp.stack([term[experiment.name] for term in terms])

    def one(point, varied):
        parameters = {**joint.nominal, **varied}
        leaves = dict(zip(("g_x", "mass", "eps_x"), point, strict=True))
        theta = lmt.HiddenPhoton(**leaves, charges=fixed.charges, running=fixed.running)
        counts = experiment.rate(theta, parameters)
        values, pull = jax.vjp(every, theta, parameters)
        gradients = jax.tree.leaves(jax.vmap(pull)(np.eye(3)))
        finite = [counts, values, *gradients]
        bad = [~jnp.isfinite(leaf).all() for leaf in finite]
        return jnp.stack([jnp.stack(bad).any(), (counts < 0.0).any(), (values > 1e-9).any()])

    points = (g, mass, eps), varied
    return map_chunks(lambda chunk: jax.vmap(one)(*chunk), points, CHUNK).sum(axis=0)


def check(experiment, label, model, *, running=False, varied=None, points=POINTS):
    joint = to_float64(lmt.Joint.asimov([experiment], lmt.benchmark("BP1")))
    theta = box(MODELS[model], running=running, n=points)
    fixed = jax.tree.map(np.float64, lmt.HiddenPhoton(0.0, 0.0, 0.0, MODELS[model], running=running))
    found = np.asarray(failures(joint, theta.g_x, theta.mass, theta.eps_x, fixed, varied or {}))
    switch = ", running mixing" if running else ""
    print(
        f"\n{label}, {model}{switch}: of {points} points {found[0]} not finite, {found[1]} with "
        f"negative counts, {found[2]} more likely than a perfect description"
    )
    assert not found.any()


def test_the_box_has_its_edges_and_both_signs():
    theta = box(lmt.LMU, n=5000)
    assert theta.mass.min() == MASSES[0] and theta.mass.max() == MASSES[1]
    assert theta.g_x.min() == COUPLINGS[0] and theta.g_x.max() == COUPLINGS[1]
    ratio = theta.eps_x / theta.g_x
    assert ratio.min() == pytest.approx(-BOUND) and ratio.max() == pytest.approx(BOUND)
    assert 0.45 < np.mean(ratio > 0.0) < 0.55
    for lepton in ("ELECTRON", "MUON", "TAU"):
        assert np.sum(theta.mass == 2.0 * getattr(constants, f"MASS_{lepton}")) >= 8


def test_failures_are_counted():
    """A mass that is not a number, among good points."""
    joint = to_float64(lmt.Joint.asimov([lmt.gminus2()], lmt.benchmark("BP1")))
    theta = box(lmt.LMU, n=700)
    theta.mass[5:8] = np.nan
    fixed = jax.tree.map(np.float64, lmt.HiddenPhoton(0.0, 0.0, 0.0, lmt.LMU))
    found = failures(joint, theta.g_x, theta.mass, theta.eps_x, fixed, {})
    np.testing.assert_array_equal(found, [3, 0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kernel", ("ww", "paper"))
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_everything_is_finite_over_the_whole_box(name, kernel, model):
    """Expected counts, and the log-likelihood (nuisances fixed, profiled, marginal; data of BP1) with its
    gradient in every parameter, charges and nuisances included."""
    check(EXPERIMENTS[name](kernel), f"{name}, {kernel}", model)


@pytest.mark.slow
@pytest.mark.parametrize("name", ("na64mu", "ess10"))
def test_everything_is_finite_with_running_mixing(name):
    check(EXPERIMENTS[name]("ww"), name, "lmu-ltau", running=True)


def of_the_sun(experiment, n):
    """Nuisances (n,) each: angles anywhere, dm21 over the range that is allowed, fluxes from zero up."""
    random = np.random.default_rng(20210404)
    found = {name: random.uniform(0.0, 3.0, n) for name in experiment.nominal if name.startswith("flux.")}
    for name, ends in (("theta12", (2, 88)), ("theta13", (1, 45)), ("theta23", (2, 88))):
        found[name] = random.uniform(*ends, n)
    found["delta_cp"] = random.uniform(-360.0, 360.0, n)
    found["dm21"] = np.exp(random.uniform(*np.log([1e-6, 1e-3]), n))
    found["sin2_theta_w"] = random.uniform(0.2, 0.28, n)
    found["shape.8B"] = random.normal(0.0, 3.0, n)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("running", (False, True))
@pytest.mark.parametrize("preset", (None, "paper"))
@pytest.mark.parametrize(("name", "channel"), XENON)
def test_everything_is_finite_in_xenon(name, channel, preset, running):
    """The same, oscillations, fluxes and sin^2 theta_W at random too."""
    experiment = getattr(lmt, name)(channel=channel, preset=preset)
    model, varied = "lmu" if running else "lmu-ltau", of_the_sun(experiment, XENON_POINTS)
    label = f"{name} {channel}, {preset}"
    check(experiment, label, model, running=running, varied=varied, points=XENON_POINTS)
