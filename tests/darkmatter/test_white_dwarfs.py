"""Neutrino emission of white dwarfs: published limits, scaling, gradients."""

import jax
import numpy as np
import pytest

import jaxlmt as lmt


def limit(mass, ratio):
    """Coupling at which the emission is doubled, from |G_D| = G_F with numbers of its own."""
    charge, fermi = np.sqrt(4 * np.pi / 137.036), 1.16638e-11
    return mass * np.sqrt(fermi / (charge * ratio))


@pytest.mark.parametrize(
    "ratio, printed", [(lmt.MIXING_RATIO_ONE_LOOP, 5.17e-4), (lmt.MIXING_RATIO_PAPER, 5.19e-4)]
)
def test_emission_doubles_at_the_published_coupling(ratio, printed):
    assert limit(10.0, -ratio) == pytest.approx(printed, abs=0.006e-4)
    for mass in (3.0, 10.0, 200.0):
        g_x = limit(mass, -ratio)
        emission = float(lmt.white_dwarf_emission(lmt.HiddenPhoton(g_x, mass, ratio * g_x)))
        assert emission == pytest.approx(1.0, rel=2e-5)


def test_flavours_add_up():
    """Every charge counts with its square, and only muon and tau neutrinos do."""
    theta = lmt.benchmark("BP1")
    both = float(lmt.white_dwarf_emission(theta))
    one = float(lmt.white_dwarf_emission(lmt.benchmark("BP1", charges=lmt.LMU)))
    tilted = lmt.benchmark("BP1", charges=lmt.LeptonCharges(0.0, 1.0, 0.5))
    assert one == pytest.approx(both / 2, rel=1e-14)
    assert float(lmt.white_dwarf_emission(tilted)) == pytest.approx(1.25 * one, rel=1e-14)


def test_shapes_gradients_and_zero():
    theta = lmt.HiddenPhoton(np.array([[0.0], [5e-4]]), np.array([1.0, 10.0, 100.0]), -7e-6)
    assert lmt.white_dwarf_emission(theta).shape == (2, 3)
    gradient = jax.grad(lmt.white_dwarf_emission)(lmt.benchmark("BP2"))
    value = float(lmt.white_dwarf_emission(lmt.benchmark("BP2")))
    assert float(gradient.mass) == pytest.approx(-4 * value / 25.0, rel=1e-12)
    assert float(gradient.g_x) == pytest.approx(2 * value / 6e-4, rel=1e-12)  # eps_x is a leaf of its own
    assert float(gradient.eps_x) == pytest.approx(-2 * value * 70 / 6e-4, rel=1e-12)
    nothing = jax.grad(lmt.white_dwarf_emission)(lmt.HiddenPhoton(0.0, 10.0, 0.0))
    assert all(float(leaf) == 0.0 for leaf in jax.tree.leaves(nothing))


def test_invalid_parameters():
    with pytest.raises(ValueError, match=r"theta.mass must be finite and > 0; got 0.0"):
        lmt.white_dwarf_emission(lmt.HiddenPhoton(5e-4, 0.0, 0.0))
