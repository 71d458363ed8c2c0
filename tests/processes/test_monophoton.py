"""Single photons: eq 5.1 by quadrature, printed numbers, the photon's spectrum from another reference."""

import jax
import numpy as np
import pytest
from scipy.integrate import quad

import jaxlmt as lmt
from jaxlmt.processes.monophoton import neutrino_spectrum

ALPHA, CM2 = 1 / 137.035999, 1.973269804593025e-11**2  # CM2: MeV^-2
AB = 1e-42


def by_hand(coupling, mass, energy, cos_max):
    """Drees & Zhao 2107.14528, eq 5.1, with the factor 1/s, [cm^2]; coupling: e eps."""
    s, m2 = energy**2, mass**2

    def integrand(c):
        bracket = (s**2 + m2**2) / (1 - c * c) - 0.5 * (s - m2) ** 2
        return ALPHA * coupling**2 / (s**2 * (s - m2)) * bracket

    return quad(integrand, -cos_max, cos_max, epsabs=0.0, epsrel=1e-11)[0] * CM2


@pytest.mark.parametrize("mass", [0.1, 15.0, 1e3, 9.9e3])
@pytest.mark.parametrize("cos_max", [0.3, 0.985, 0.9999])
def test_against_quadrature(mass, cos_max):
    theta = lmt.HiddenPhoton(1e-3, mass, -2e-5)
    found = float(lmt.monophoton_cross_section(theta, energy=1e4, cos_max=cos_max))
    expected = by_hand(np.sqrt(4 * np.pi * ALPHA) * 2e-5, mass, 1e4, cos_max)
    assert found == pytest.approx(expected, rel=1e-10)


def test_printed_numbers():
    """2.1 ab at g = 1e-3 and 10 GeV, not the 20 ab that are printed; it goes as g^2/s."""
    sigma = float(lmt.monophoton_cross_section(lmt.HiddenPhoton(1e-3, 15.0, -1e-3 / 70), energy=1e4))
    assert sigma / AB == pytest.approx(2.1, abs=0.05)
    less = float(lmt.monophoton_cross_section(lmt.HiddenPhoton(5e-4, 15.0, -5e-4 / 70), energy=4e3))
    assert less == pytest.approx(sigma / 4.0 * (10 / 4) ** 2, rel=1e-4)


def test_couplings():
    """The mixing squared, on shell and complex where it runs; an electron's charge adds to it."""
    theta = lmt.HiddenPhoton(1e-3, 400.0, -1e-5, running=True)
    fixed = lmt.HiddenPhoton(1e-3, 400.0, float(np.sqrt(lmt.kinetic_mixing_squared(theta, 400.0**2))))
    found, expected = (float(lmt.monophoton_cross_section(t, energy=1e4)) for t in (theta, fixed))
    assert found == pytest.approx(expected, rel=1e-12) and found > 1.3 * by_hand(
        np.sqrt(4 * np.pi * ALPHA) * 1e-5, 400.0, 1e4, 0.985
    )
    charged = lmt.HiddenPhoton(1e-3, 15.0, -1e-5, lmt.LeptonCharges(0.5, 1.0, -1.0))
    coupling = 0.5e-3 - np.sqrt(4 * np.pi * ALPHA) * 1e-5
    found = float(lmt.monophoton_cross_section(charged, energy=1e4))
    assert found == pytest.approx(by_hand(coupling, 15.0, 1e4, 0.985), rel=1e-10)


def test_threshold():
    """Zero from sqrt(s) on, and finite slopes on both sides."""
    mass = np.array([3999.9, 4000.0, 4000.1, 1e4])
    theta = lmt.batch(lmt.HiddenPhoton(1e-3, mass, -1e-5))
    sigma = np.asarray(lmt.monophoton_cross_section(theta, energy=4e3))
    assert sigma[0] > 0.0 and np.all(sigma[1:] == 0.0)
    slopes = jax.grad(lambda t: lmt.monophoton_cross_section(t, energy=4e3).sum())(theta)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_neutrinos():
    """gamma nu nubar by the formula of E. Ma and J. Okada, Phys. Rev. Lett. 41 (1978) 287: dsigma/dx dcos."""
    s2, energy, cos_max = 0.23857, 1e4, 0.9
    # sum over flavours of g_L^2 + g_R^2; nu_e exchange a W
    strength = (0.5 + s2) ** 2 + s2**2 + 2 * ((-0.5 + s2) ** 2 + s2**2)
    for x in (0.05, 0.5, 0.98):

        def integrand(c, x=x):
            photon = (1 - x / 2) ** 2 + (x * c / 2) ** 2
            return 2 * ALPHA / np.pi * photon / (x * (1 - c * c))

        angles = quad(integrand, -cos_max, cos_max, epsrel=1e-11)[0]
        # (G_F^2 s'/6 pi) (g_L^2 + g_R^2) for nu nubar of one flavour at s' = s (1 - x)
        expected = angles * (1.1663787e-11 * energy) ** 2 * (1 - x) / (6 * np.pi) * strength * CM2
        assert float(neutrino_spectrum(x, energy, cos_max)) == pytest.approx(expected, rel=1e-9)


def test_invalid():
    theta = lmt.benchmark("BP1")
    with pytest.raises(ValueError, match="energy must be"):
        lmt.monophoton_cross_section(theta, energy=0.0)
    for cos_max, message in (
        (1.0, "cos_max must lie below 1"),
        (0.0, "cos_max must be"),
        (1.5, "cos_max must"),
    ):
        with pytest.raises(ValueError, match=message):
            lmt.monophoton_cross_section(theta, energy=1e4, cos_max=cos_max)
