"""The two parametrisations of the dark fermion, and a hidden photon that decays to it."""

import jax
import mpmath
import numpy as np
import pytest

import jaxlmt as lmt

POINT = dict(g_x=5e-4, mass=15.0, dm_charge=1.3)


@pytest.mark.parametrize("dm_mass", [3.0, 7.4999999, 7.5, 7.5000001, 12.0])
def test_both_parametrisations_are_one_model(dm_mass):
    by_mass = lmt.DarkMatter(**POINT, dm_mass=dm_mass)
    by_delta = lmt.DarkMatter.from_delta(**POINT, delta=by_mass.delta)
    assert isinstance(by_delta, lmt.ResonantDarkMatter)
    assert float(by_delta.dm_mass) == pytest.approx(dm_mass, rel=1e-15)
    for channel, width in lmt.partial_widths(by_mass).items():
        assert float(width) == pytest.approx(float(lmt.partial_widths(by_delta)[channel]), rel=1e-14)


@pytest.mark.parametrize("offset", [-1e-3, -1e-9, 1e-12, 0.3])
def test_delta_keeps_its_digits(offset):
    dm_mass = 7.5 + offset
    exact = 4 * mpmath.mpf(dm_mass) ** 2 / mpmath.mpf(15) ** 2 - 1
    assert lmt.DarkMatter(**POINT, dm_mass=dm_mass).delta == pytest.approx(float(exact), rel=1e-15)


def test_width_to_dark_matter():
    """g^2 q^2 m/(12 pi) (1 + 2 r^2) sqrt(1 - 4 r^2): three neutrino flavours' worth at r = 0 and q = 1.22."""
    for r in (0.05, 0.33, 0.4999999):
        theta = lmt.DarkMatter(**POINT, dm_mass=15.0 * r)
        with mpmath.workdps(30):
            r = mpmath.mpf(15.0 * r) / 15
            expected = (1.3 * 5e-4) ** 2 * 15 / (12 * mpmath.pi) * (1 + 2 * r**2) * mpmath.sqrt(1 - 4 * r**2)
        assert float(lmt.partial_widths(theta)["psi"]) == pytest.approx(float(expected), rel=1e-14)
        assert float(lmt.total_width(theta)) > float(lmt.total_width(lmt.benchmark("BP1")))
    assert float(lmt.partial_widths(lmt.DarkMatter(**POINT, dm_mass=7.5))["psi"]) == 0.0
    assert "psi" not in lmt.partial_widths(lmt.DarkMatter(**POINT, dm_mass=5.0, dark_decays=False))
    assert "psi" not in lmt.partial_widths(lmt.benchmark("BP1"))


def test_dark_decays_are_invisible():
    below, above = (lmt.DarkMatter(5e-4, 300.0, dm_mass, 2.0) for dm_mass in (100.0, 200.0))
    assert float(lmt.invisible_branching_ratio(above)) == pytest.approx(
        float(lmt.invisible_branching_ratio(lmt.HiddenPhoton(5e-4, 300.0, -5e-4 / 70))), rel=1e-14
    )
    assert float(lmt.invisible_branching_ratio(below)) > float(lmt.invisible_branching_ratio(above)) + 0.1
    signal = [np.sum(lmt.na64mu().expected(theta)) for theta in (below, above)]
    assert signal[0] > 1.1 * signal[1]


def test_it_stands_for_a_hidden_photon():
    theta, photon = lmt.DarkMatter(**POINT, dm_mass=8.0), lmt.benchmark("BP1")
    assert theta.eps_x == photon.eps_x
    for experiment in (lmt.gminus2(), lmt.na64mu(), lmt.ess10()):
        np.testing.assert_allclose(experiment.expected(theta), experiment.expected(photon), rtol=1e-14)


def test_a_prior_ties_the_mixing():
    prior = lmt.Prior(
        lmt.DarkMatter.from_delta(
            g_x=lmt.LogUniform(1e-5, 1e-2), mass=15.0, delta=lmt.SymmetricAsinh(scale=1e-3, bound=0.9)
        )
    )
    assert prior.names == ("g_x", "delta")
    theta = prior.from_real(np.array([0.3, -0.2]))
    assert float(theta.eps_x) == pytest.approx(float(theta.g_x) * lmt.MIXING_RATIO_PAPER, rel=1e-15)
    assert float(theta.dm_mass) < 7.5


@pytest.mark.parametrize("delta", [-0.5, -1e-9, 0.0, 1e-9, 0.5])
def test_gradients_are_finite(delta):
    theta = lmt.DarkMatter.from_delta(**POINT, delta=delta)
    for tree in (jax.grad(lmt.total_width)(theta), jax.grad(lambda t: t.dm_mass)(theta)):
        assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"dm_mass": -1.0}, r"theta.dm_mass must be finite and > 0; got -1.0"),
        ({"dm_mass": np.nan}, r"theta.dm_mass must be finite and > 0; got nan"),
        ({"dm_charge": 0.0}, r"theta.dm_charge must not be 0"),
        ({"mass": 0.0}, r"theta.mass must be finite and > 0; got 0.0"),
        ({"dark_decays": 1}, r"theta.dark_decays must be True or False; got 1"),
    ],
)
def test_invalid_parameters(change, message):
    from jaxlmt.validation import check_dark_matter

    with pytest.raises(ValueError, match=message):
        check_dark_matter(lmt.DarkMatter(**{**POINT, "dm_mass": 8.0, **change}))
    with pytest.raises(TypeError, match=r"must be a jaxlmt.DarkMatter; got HiddenPhoton"):
        check_dark_matter(lmt.benchmark("BP1"))
