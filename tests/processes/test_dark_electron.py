"""psi e scattering: the paper's numbers, its formula with constants of its own, gradients."""

import jax
import numpy as np
import pytest

import jaxlmt as lmt

ALPHA, ELECTRON, HBARC2 = 1 / 137.036, 0.510999, 3.893794e-22  # MeV, MeV^2 cm^2


def sigma(g, mass, dm_mass, q, ratio=70.0):
    reduced = 1.0 / (1.0 / dm_mass + 1.0 / ELECTRON)
    coupling = np.sqrt(4 * np.pi * ALPHA) * (g / ratio) * q * g
    return reduced**2 / np.pi * (coupling / (mass**2 + (ALPHA * ELECTRON) ** 2)) ** 2 * HBARC2


def test_reference_point():
    """6.06e-44 cm^2 with mu_e = m_e, which a heavy psi has; 5.5e-44 for psi of 10 MeV."""
    heavy = lmt.dm_electron_cross_section(lmt.DarkMatter(1e-3, 10.0, 1e9))
    light = lmt.dm_electron_cross_section(lmt.DarkMatter(1e-3, 10.0, 10.0))
    assert float(heavy) == pytest.approx(6.06e-44, abs=0.005e-44)
    assert float(light) == pytest.approx(5.5e-44, abs=0.05e-44)


@pytest.mark.parametrize("point", [(1e-3, 10.0, 10.0, 1.0), (5e-4, 1e-3, 7.5, -2.0), (1e-4, 300.0, 0.1, 0.3)])
def test_formula(point):
    assert float(lmt.dm_electron_cross_section(lmt.DarkMatter(*point))) == pytest.approx(
        sigma(*point), rel=1e-5
    )


def test_shapes_and_gradients():
    theta = lmt.DarkMatter.from_delta(np.array([0.0, 5e-4]), 15.0, np.array([[-0.5], [0.0], [0.1]]))
    assert lmt.dm_electron_cross_section(theta).shape == (3, 2)
    point = lmt.DarkMatter(5e-4, 15.0, 8.0)
    gradient = jax.grad(lambda t: lmt.dm_electron_cross_section(t) / 1e-44)(point)
    value = float(lmt.dm_electron_cross_section(point)) / 1e-44
    assert float(gradient.dm_charge) == pytest.approx(2 * value, rel=1e-12)
    assert float(gradient.dm_mass) == pytest.approx(2 * value * ELECTRON / 8.0 / (8.0 + ELECTRON), rel=1e-5)


def test_needs_dark_matter():
    with pytest.raises(TypeError, match=r"must be a jaxlmt.DarkMatter; got HiddenPhoton"):
        lmt.dm_electron_cross_section(lmt.benchmark("BP1"))
