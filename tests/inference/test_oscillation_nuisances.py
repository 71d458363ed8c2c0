"""Oscillations as nuisances of solar neutrinos: NUTS against grids on which nothing is left out."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt import results

TRUTH = lmt.benchmark("BP1")
# Coupling free, mass known, mixing tied: what is left has few enough dimensions for a grid.
PRIOR = lmt.Prior(lmt.HiddenPhoton(lmt.LogUniform(1e-5, 1e-2), TRUTH.mass, lmt.TiedToCoupling(-1 / 70)))
HALF = lmt.Uniform(0.0, 180.0)


def joint_with(darwin, nuisances=None):
    """(g-2)_mu as measured; NA64mu, ESS10 and DARWIN as BP1 gives on average."""
    simulated = [lmt.na64mu().asimov(TRUTH), lmt.ess10().asimov(TRUTH), darwin.asimov(TRUTH, nuisances)]
    return lmt.Joint([lmt.gminus2().observe(), *simulated])


def darwin(exposure=200.0, **given):
    """DARWIN's nuclear recoils with today's oscillation parameters, some of them ``given``."""
    oscillation = replace(lmt.oscillation("nufit6"), **given)
    return lmt.darwin(threshold_keV=1.0, exposure=exposure, oscillation=oscillation)


def cells(low, high, n):
    """Centres of ``n`` cells."""
    return low + (high - low) * (np.arange(n) + 0.5) / n


def grid(joint, **axes):
    """Posterior probabilities (n, ...) of cells in ln g_x and in nuisances with flat priors."""
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    coupling, *values = mesh
    theta = lmt.HiddenPhoton(coupling, TRUTH.mass, -coupling / 70)
    nuisances = dict(zip(list(axes)[1:], values, strict=True))
    log_density = np.asarray(joint.log_likelihood(theta, nuisances, systematics="marginal"))
    weight = np.exp(log_density - log_density.max())
    return weight / weight.sum()


def effective(run):
    """The smallest effective number of draws, after the quality gates."""
    quality = results.diagnostics(run)
    assert quality.worst_rhat < 1.01 and quality.divergent_fraction < 1e-3
    return min(*quality.ess_bulk.values(), *quality.ess_tail.values())


def assert_agrees(draws, values, weight, ess):
    """Mean, width and quantiles of ``draws`` are those of ``weight`` at ``values``, both (n,): to four
    standard errors of ``ess`` draws."""
    mean = weight @ values
    std = np.sqrt(weight @ (values - mean) ** 2)
    assert abs(draws.mean() - mean) < 4.0 * std / np.sqrt(ess)
    kurtosis = weight @ (values - mean) ** 4 / std**4
    assert draws.std() == pytest.approx(std, rel=4.0 * np.sqrt((kurtosis - 1.0) / (4.0 * ess)))
    cumulative = np.cumsum(weight)
    for share in (0.05, 0.16, 0.5, 0.84, 0.95):
        below = np.mean(draws < np.interp(share, cumulative - 0.5 * weight, values))
        assert below == pytest.approx(share, abs=4.0 * np.sqrt(share * (1.0 - share) / ess))


COUPLINGS = np.exp(cells(*np.log([2e-4, 9e-4]), 160))


@pytest.mark.slow
@pytest.mark.parametrize("exposure", (200.0, 800.0))
@pytest.mark.parametrize("true", (10.0, 90.0, 148.0))
def test_delta_cp_agrees_with_the_grid(exposure, true):
    """From one end of the half circle to the other, where the information on delta_CP is in its cosine."""
    joint = joint_with(darwin(exposure, delta_cp=HALF), {"delta_cp": true})
    delta = cells(0.0, 180.0, 180)
    weight = grid(joint, g_x=COUPLINGS, delta_cp=delta)
    run = lmt.sample(joint, PRIOR, key=jax.random.key(0), progress=False)
    ess = effective(run)
    assert ess > 1000
    draws = {name: values.ravel() for name, values in results.draws(run).items()}
    assert_agrees(draws["delta_cp"], delta, weight.sum(axis=0), ess)
    assert_agrees(np.log(draws["g_x"]), np.log(COUPLINGS), weight.sum(axis=1), ess)
    cosines = np.cos(np.radians(delta))[::-1]
    assert_agrees(np.cos(np.radians(draws["delta_cp"])), cosines, weight.sum(axis=0)[::-1], ess)


@pytest.mark.slow
def test_theta23_and_delta_cp_agree_with_the_grid():
    """Each makes up for the other: a curved band, from which nothing is missing."""
    joint = joint_with(darwin(800.0, delta_cp=HALF, theta23=lmt.Uniform(38.0, 54.0)), {"delta_cp": 148.0})
    theta23, delta = cells(38.0, 54.0, 64), cells(0.0, 180.0, 60)
    couplings = COUPLINGS[::2] * (COUPLINGS[1] / COUPLINGS[0]) ** 0.5
    weight = grid(joint, g_x=couplings, theta23=theta23, delta_cp=delta)
    run = lmt.sample(joint, PRIOR, key=jax.random.key(0), draws=5000, progress=False)
    ess = effective(run)
    assert ess > 1000
    draws = {name: values.ravel() for name, values in results.draws(run).items()}
    pair = weight.sum(axis=0)
    assert_agrees(draws["theta23"], theta23, pair.sum(axis=1), ess)
    assert_agrees(draws["delta_cp"], delta, pair.sum(axis=0), ess)
    # The two together: half the sum of differences over a partition into 48 rectangles.
    edges = np.linspace(38.0, 54.0, 9), np.linspace(0.0, 180.0, 7)
    found, *_ = np.histogram2d(draws["theta23"], draws["delta_cp"], edges)
    expected = pair.reshape(8, 8, 6, 10).sum(axis=(1, 3))
    assert 0.5 * np.abs(found / found.sum() - expected).sum() < 0.05


def test_a_whole_circle_has_the_mirror_image_of_every_mode():
    """The likelihood is even in delta_CP, which is why a flat prior should be on half of the circle."""
    with pytest.warns(UserWarning, match="even in delta_cp"):
        detector = darwin(800.0, delta_cp=lmt.Uniform(0.0, 360.0))
    joint = joint_with(detector, {"delta_cp": 90.0})
    delta = cells(0.0, 360.0, 72)
    marginal = grid(joint, g_x=COUPLINGS, delta_cp=delta).sum(axis=0)
    np.testing.assert_allclose(marginal, marginal[::-1], rtol=1e-9)
    assert marginal[36] < 0.02 * marginal.max()  # nothing in between: a chain that starts in one stays there


@pytest.mark.slow
def test_all_oscillation_parameters_and_fluxes():
    """The joint fit, everything free that is uncertain: the quality gates, and what the data leave alone."""
    oscillation = lmt.oscillation("nufit6", uncertainties=True)
    detector = lmt.darwin(threshold_keV=1.0, oscillation=oscillation, flux_norms="uncertain")
    run = lmt.sample(joint_with(detector), lmt.default_prior(), key=jax.random.key(0), progress=False)
    assert effective(run) > 2000
    draws = results.draws(run)
    assert set(detector.nuisances) <= set(draws)
    for name in ("theta12", "theta13"):  # which nothing here measures better than it is known
        prior = getattr(oscillation, name)
        assert abs(draws[name].mean() - prior.mean) < 0.1 * prior.std
        assert draws[name].std() == pytest.approx(prior.std, rel=0.05)
