"""White dwarfs and dark matter on electrons: limits met at their level, models that they need."""

from math import sqrt

import jax
import numpy as np
import pytest
from scipy.stats import chi2

import jaxlmt as lmt


def test_white_dwarfs_exclude_twice_the_emission_at_95():
    experiment = lmt.white_dwarfs()
    joint = lmt.Joint([experiment.observe()])
    g_x = 5.1925e-4  # where the emission is doubled, for eps_x = -g_x/70
    theta = lmt.HiddenPhoton(g_x, 10.0, -g_x / 70)
    assert float(experiment.expected(theta)[0]) == pytest.approx(1.0, abs=1e-4)
    deviance = -2 * float(joint.log_likelihood(theta))
    assert chi2.sf(deviance, 1) / 2 == pytest.approx(0.05, abs=2e-4)
    assert float(joint.log_likelihood(lmt.HiddenPhoton(0.0, 10.0, 0.0))) == 0.0
    gradient = jax.grad(joint.log_likelihood)(theta)
    assert float(gradient.mass) == pytest.approx(4 * deviance / 10.0, rel=1e-2)


def test_sensei_is_far_from_this_model():
    experiment = lmt.sensei()
    joint = lmt.Joint([experiment.observe()])
    theta = lmt.DarkMatter(1e-3, 10.0, 10.0)
    assert float(joint.log_likelihood(theta)) == pytest.approx(0.0, abs=1e-12)
    # the coupling at which the limit is met: the cross section goes with its fourth power
    g_x = 1e-3 * (0.5e-36 / float(lmt.dm_electron_cross_section(theta))) ** 0.25
    deviance = -2 * float(joint.log_likelihood(lmt.DarkMatter(g_x, 10.0, 10.0)))
    assert chi2.sf(deviance, 1) / 2 == pytest.approx(0.1, rel=1e-9)
    assert sqrt(deviance) == pytest.approx(1.2816, abs=1e-4)


def test_dark_matter_is_asked_for():
    joint = lmt.Joint([lmt.sensei().observe()])
    with pytest.raises(
        ValueError, match=r"sensei needs a model with dark matter, jaxlmt.DarkMatter; got Hidd"
    ):
        joint.log_likelihood(lmt.benchmark("BP1"))
    assert np.isfinite(
        lmt.Joint([lmt.white_dwarfs().observe()]).log_likelihood(lmt.DarkMatter(5e-4, 15.0, 8.0))
    )


def test_factories_are_cached():
    assert lmt.white_dwarfs() is lmt.white_dwarfs() and lmt.sensei() is lmt.sensei()
