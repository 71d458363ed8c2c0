"""Both solutions of the relic density in one posterior, with the weights that a grid gives them."""

import jax
import numpy as np
import pytest

import jaxlmt as lmt

MASS, DELTA = (12.0, 60.0), (1e-5, -0.9, 0.5)


@pytest.mark.slow
def test_weights_agree_with_a_grid():
    joint = lmt.Joint([lmt.gminus2().observe(), lmt.radiation().observe(), lmt.relic_abundance().observe()])
    box = lmt.AsinhUniform(*DELTA)
    prior = lmt.Prior(lmt.DarkMatter.from_delta(5e-4, lmt.LogUniform(*MASS), box))
    posterior = lmt.sample(joint, prior, key=jax.random.key(0), split={"delta": 0.0}, draws=1000)
    below, above = lmt.results.attributes(posterior)["parts"]
    assert all(part["passed"] and part["worst_rhat"] < 1.01 for part in (below, above))

    # midpoints in the coordinates in which the prior is flat; the lower solution is 25 steps in delta wide
    low, high = map(float, box.warped_bounds())
    delta = np.asarray(box.unwarp(low + (high - low) * (np.arange(40_000) + 0.5) / 40_000))
    mass = MASS[0] * (MASS[1] / MASS[0]) ** ((np.arange(24) + 0.5) / 24)
    populated = (delta > 1e-4) | ((delta < -0.2) & (delta > -0.8))  # at -0.2 and beyond Omega is off by 1e3
    theta = lmt.DarkMatter.from_delta(5e-4, mass[:, None], delta[populated])
    log_likelihood = np.asarray(joint.log_likelihood(theta))
    probability = np.exp(log_likelihood - log_likelihood.max())
    share = probability[:, delta[populated] < 0.0].sum() / probability.sum()
    assert below["probability"] + above["probability"] == pytest.approx(1.0, rel=1e-12)
    assert abs(below["probability"] - share) < 4 * below["probability_error"] + 2e-3
    log_evidence = np.log(probability.sum() / (delta.size * mass.size)) + log_likelihood.max()
    found, error = lmt.results.attributes(posterior)["log_evidence"]
    assert abs(found - log_evidence) < 4 * error + 5e-3
