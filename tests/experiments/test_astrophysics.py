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


# ------------------------------------------------------------------------------------- the 511 keV line
def with_injection(value):
    """A model with this <sigma v>/(2 m^2): far above the pole the charge scales it."""
    theta = lmt.DarkMatter.from_delta(4.5e-4, 23.0, 0.01)
    unit = float(lmt.positron_injection(theta))
    return lmt.DarkMatter.from_delta(4.5e-4, 23.0, 0.01, np.sqrt(value / unit))


@pytest.mark.parametrize("value, ratio", [(1e-5, 100.0), (0.9e-3, 1 / 0.9), (7.0, 7.0)])
def test_the_line_costs_outside_its_range(value, ratio):
    theta = with_injection(value)
    for edge in (0.5, 0.2):
        joint = lmt.Joint([lmt.positron_line(edge=edge).observe()])
        assert float(joint.log_likelihood(theta)) == pytest.approx(
            -0.5 * (np.log(ratio) / edge) ** 2, rel=1e-9
        )
    slope = jax.grad(joint.log_likelihood)(theta).dm_charge
    sign = 1.0 if value < 1e-3 else -1.0
    expected = sign * 2 * np.log(ratio) / 0.2**2 / float(theta.dm_charge)
    assert float(slope) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [1.001e-3, 0.03, 0.999])
def test_the_line_is_flat_inside(value):
    joint = lmt.Joint([lmt.positron_line().observe()])
    value, gradient = jax.value_and_grad(joint.log_likelihood)(with_injection(value))
    assert float(value) == 0.0 and float(gradient.dm_charge) == 0.0


def test_the_line_is_made_above_the_pole_alone():
    joint = lmt.Joint([lmt.positron_line().observe()])
    value, gradient = jax.value_and_grad(joint.log_likelihood)(lmt.DarkMatter(4.5e-4, 23.0, 8.0))
    assert value < -100.0 and all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradient))


def test_the_velocity_is_a_nuisance():
    term = lmt.positron_line(halo_velocity=lmt.Uniform(3e-4, 1e-3))
    theta = lmt.DarkMatter.from_delta(4.5e-4, 23.0, 1e-6)
    assert set(term.nuisances) == {"halo_velocity"}
    found = term.expected(theta, {"halo_velocity": 5e-4})
    assert float(found[0]) == pytest.approx(
        float(lmt.positron_injection(theta, halo_velocity=5e-4)), rel=1e-12
    )
    with pytest.raises(ValueError, match=r"edge must be a finite number in \(0, inf\]; got 0.0"):
        lmt.positron_line(edge=0.0)
