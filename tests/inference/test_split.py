"""Posteriors of two modes: each part of the prior is sampled on its own, and they are mixed by evidence."""

import jax
import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt.experiments.measurement import Measurement, published
from jaxlmt.inference import sample as module
from jaxlmt.pytrees import pytree


@pytree
class Square(Measurement):
    """A measured square, in which both signs of the mixing are solutions, the positive ones a bit worse."""

    def rate(self, theta, parameters):
        x = 1e4 * theta.eps_x
        return (x**2 + 0.05 * x)[None]


JOINT = lmt.Joint([published(Square, name="square", measured=1.0, sigma=0.1).observe()])
PRIOR = lmt.Prior(lmt.HiddenPhoton(1e-3, lmt.LogUniform(1.0, 100.0), lmt.AsinhUniform(1e-5, -3e-4, 1e-3)))


@pytest.fixture(scope="module")
def posterior():
    return lmt.sample(JOINT, PRIOR, key=jax.random.key(1), split={"eps_x": 0.0}, draws=1000)


def test_both_modes_have_their_weight(posterior):
    grid = lmt.grid_posterior(JOINT, PRIOR, points=600, coarse=200)
    values, density = grid.marginal("eps_x")
    exact = float(np.sum((density * grid.widths["eps_x"])[values < 0.0]))
    attributes = lmt.results.attributes(posterior)
    first, second = attributes["parts"]
    assert first["probability"] + second["probability"] == pytest.approx(1.0, rel=1e-12)
    assert abs(first["probability"] - exact) < 4 * first["probability_error"] + 1e-3
    assert first["probability_error"] < 0.01
    assert abs(attributes["log_evidence"][0] - grid.log_evidence) < 4 * attributes["log_evidence"][1] + 1e-3
    drawn = lmt.results.draws(posterior)["eps_x"]
    assert np.mean(drawn < 0.0) == pytest.approx(first["probability"], abs=1e-3)
    assert np.mean(drawn) == pytest.approx(grid.mean("eps_x"), abs=0.02 * grid.std("eps_x"))


def test_quality_of_the_parts(posterior):
    summary = lmt.summary(posterior)
    assert summary.diagnostics.passed
    assert all(part["passed"] and part["worst_rhat"] < 1.01 for part in summary.diagnostics.parts)
    assert "part 2: probability" in str(summary)
    stats = lmt.results.group(posterior, "sample_stats")
    negative = lmt.results.draws(posterior)["eps_x"] < 0.0
    np.testing.assert_array_equal(stats["part"].values == 0, negative)


def test_a_part_that_fails_fails_the_whole(posterior):
    attributes = lmt.results.attributes(posterior)
    attributes["parts"][1] |= {"passed": False, "worst_rhat": 1.5}
    values = lmt.results.draws(posterior)
    quality = lmt.diagnostics(lmt.results.build(values, attrs=attributes))
    assert not quality.passed and "does not pass on its own" in quality.warnings[0]
    attributes["parts"][1] |= {"probability": 1e-5}
    assert lmt.diagnostics(lmt.results.build(values, attrs=attributes)).passed


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.999, 0.001), (1.0 - 1e-9, 1e-9), (0.3, 0.7)])
def test_interleaving(weights):
    part, draw = module._interleave(np.array(weights), 1000)
    assert part.shape == draw.shape == (1000,)
    for i, weight in enumerate(weights):
        mine = draw[part == i]
        assert len(mine) == round(1000 * weight)
        assert np.all(np.diff(mine) > 0) and (not mine.size or (0 <= mine.min() and mine.max() < 1000))


def test_an_interrupted_split_goes_on(tmp_path, monkeypatch):
    """The second part is interrupted; resumed, the result is that of one go."""
    file = tmp_path / "chains.npz"
    settings = {"key": jax.random.key(2), "split": {"eps_x": 0.0}, "draws": 200, "chains": 2}
    whole = lmt.sample(JOINT, PRIOR, **settings)
    advance, calls = module.Sampler.advance, []

    def interrupt(self, *arguments):
        calls.append(None)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return advance(self, *arguments)

    monkeypatch.setattr(module.Sampler, "advance", interrupt)
    with pytest.raises(KeyboardInterrupt, match="interrupted in part 2 of 2"):
        lmt.sample(JOINT, PRIOR, **settings, checkpoint=file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chains-2.npz", "chains.npz"]
    again = lmt.sample(JOINT, PRIOR, **settings, checkpoint=file, resume=True)
    assert len(calls) < 16  # the first part is not sampled again
    for name, values in lmt.results.draws(whole).items():
        np.testing.assert_array_equal(lmt.results.draws(again)[name], values)


@pytest.mark.parametrize(
    "split, message",
    [
        ({"eps_x": 0.0, "mass": 3.0}, "split must be a dict of one parameter"),
        ("eps_x", "split must be a dict of one parameter"),
        ({"delta": 0.0}, "name must be one of 'mass', 'eps_x'; got 'delta'"),
    ],
)
def test_wrong_splits(split, message):
    with pytest.raises(ValueError, match=message):
        lmt.sample(JOINT, PRIOR, key=jax.random.key(0), split=split)


def test_few_draws_have_a_posterior_and_no_evidence():
    posterior = lmt.sample(JOINT, PRIOR, key=jax.random.key(0), draws=1, chains=1)
    assert "log_evidence" not in lmt.results.attributes(posterior)
    assert lmt.results.draws(posterior)["eps_x"].shape == (1, 1)
    with pytest.raises(ValueError, match="draws must tell the evidence of part 1 of the split; got 1"):
        lmt.sample(JOINT, PRIOR, key=jax.random.key(0), draws=1, chains=1, split={"eps_x": 0.0})
