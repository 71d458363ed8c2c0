"""Relic abundance, N_eff and ionisation as terms: published numbers, meaning, nuisances."""

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import chi2, norm

import jaxlmt as lmt


def entropy_share(x, sign):
    """F of eq 3.13, by adaptive quadrature."""

    def integrand(y):
        return (4 * y**2 - x**2) * np.sqrt(y**2 - x**2) / (np.exp(y) + sign)

    return 30 / (7 * np.pi**4) * quad(integrand, x, x + 60, epsabs=0, epsrel=1e-11, limit=200)[0]


def n_eff(mass, r, n_nu=3.0, decoupling=2.3):
    share = 1.5 * entropy_share(mass / decoupling, -1.0)
    if r is not None:
        share += 2.0 * entropy_share(r * mass / decoupling, 1.0)
    return n_nu * (1 + share / n_nu) ** (4 / 3)


# ------------------------------------------------------------------------------------------- relic density
def test_the_abundance_is_found_on_both_sides_of_the_pole():
    """M = 15 MeV, g = 5e-4: about 31% below the pole and 1.5% above, and nowhere between."""
    term = lmt.relic_abundance(method="boltzmann")
    joint = lmt.Joint([term.observe()])
    m = 7.5 * np.array([0.5, 0.675, 0.7, 0.95, 1.0, 1.012, 1.018, 1.1])
    theta = lmt.DarkMatter(5e-4, 15.0, m)
    predicted = np.asarray(term.expected(theta))[:, 0]
    deviance = -2 * np.asarray(joint.log_likelihood(theta))
    sigma = np.hypot(0.001 / 0.120, 0.05)
    np.testing.assert_allclose(deviance, (np.log(predicted / 0.120) / sigma) ** 2, rtol=1e-9, atol=1e-12)
    assert [int(s) for s in np.sign(predicted - 0.120)] == [1, 1, -1, -1, -1, -1, 1, 1]
    for point, slope in ((7.5 * 0.75, -1.0), (7.5 * 1.005, 1.0)):  # towards the nearer solution
        gradient = jax.grad(joint.log_likelihood)(lmt.DarkMatter(5e-4, 15.0, point))
        assert float(gradient.dm_mass) * slope > 0.0


def test_psi_may_be_a_part_of_the_dark_matter():
    term = lmt.relic_abundance(method="boltzmann", psi="at_most_all", theory_error=0.0)
    joint = lmt.Joint([term.observe()])
    less, more = (lmt.DarkMatter(5e-4, 15.0, 7.5 * r) for r in (1.005, 1.03))
    assert float(joint.log_likelihood(less)) == 0.0
    excess = np.log(float(term.expected(more)[0]) / 0.120) / (0.001 / 0.120)
    assert float(joint.log_likelihood(more)) == pytest.approx(-0.5 * excess**2, rel=1e-9)


@pytest.mark.parametrize("method, tolerance", [("formula", 0.2), ("boltzmann", 0.05), ("kinetic", 0.02)])
def test_the_error_is_that_of_the_method(method, tolerance):
    term = lmt.relic_abundance(method=method)
    assert float(term.sigma[0]) == pytest.approx(np.hypot(tolerance, 1 / 120), rel=1e-12)
    assert set(term.nominal) == (set() if method == "formula" else {"neutrino_decoupling"})
    assert lmt.relic_abundance(method=method) is term


def test_invalid_relic_abundance():
    with pytest.raises(ValueError, match=r"method must be one of .*'boltzmann'.*; got 'micromegas'"):
        lmt.relic_abundance(method="micromegas")
    with pytest.raises(ValueError, match=r"psi must be one of 'all', 'at_most_all'; got 'some'"):
        lmt.relic_abundance(psi="some")
    with pytest.raises(ValueError, match=r"theory_error must be a finite number in \[0, inf\]; got -0.1"):
        lmt.relic_abundance(theory_error=-0.1)
    with pytest.raises(ValueError, match=r"neutrino_decoupling must be left out of the formula; got 2.0"):
        lmt.relic_abundance(neutrino_decoupling=2.0)
    with pytest.raises(ValueError, match=r"relic_abundance needs a model with dark matter"):
        lmt.Joint([lmt.relic_abundance().observe()]).log_likelihood(lmt.benchmark("BP1"))


# ------------------------------------------------------------------------------------------- N_eff
@pytest.mark.parametrize("name, mean, sigma", [("planck2018", 2.99, 0.17), ("act_dr6", 2.86, 0.13)])
def test_radiation_is_gaussian(name, mean, sigma):
    joint = lmt.Joint([lmt.radiation(name).observe()])
    for mass in (8.0, 25.0, 200.0):
        predicted = n_eff(mass, 0.51, 3.044)
        expected = norm(predicted, sigma).logpdf(mean) - norm(0, sigma).logpdf(0)
        found = float(joint.log_likelihood(lmt.DarkMatter(5e-4, mass, 0.51 * mass)))
        assert found == pytest.approx(expected, rel=1e-8)


def test_bbn_excludes_masses_below_the_paper_s():
    """N_eff = 3.4 at 95%: 22.2 MeV for r = 0.51 and N_nu = 3; nothing is learnt where N_eff is small."""
    mass = brentq(lambda m: n_eff(m, 0.51) - 3.4, 10.0, 50.0)
    assert mass == pytest.approx(22.2, abs=0.05)
    joint = lmt.Joint([lmt.radiation("bbn", n_nu=3.0).observe()])
    deviance = -2 * float(joint.log_likelihood(lmt.DarkMatter(5e-4, mass, 0.51 * mass)))
    assert chi2.sf(deviance, 1) / 2 == pytest.approx(0.05, rel=1e-6)
    assert float(joint.log_likelihood(lmt.DarkMatter(5e-4, 100.0, 51.0))) == 0.0


def test_a_hidden_photon_alone_radiates_less():
    both, alone = (
        lmt.radiation().expected(theta)
        for theta in (lmt.DarkMatter(5e-4, 15.0, 7.65), lmt.HiddenPhoton(5e-4, 15.0, 0.0))
    )
    assert float(both[0]) == pytest.approx(n_eff(15.0, 0.51, 3.044), rel=1e-9)
    assert float(alone[0]) == pytest.approx(n_eff(15.0, None, 3.044), rel=1e-9)


def test_the_decoupling_temperature_is_a_nuisance():
    experiment = lmt.radiation("act_dr6", neutrino_decoupling=lmt.Normal(2.3, 0.2))
    assert set(experiment.nuisances) == {"neutrino_decoupling"}
    theta = lmt.DarkMatter(5e-4, 20.0, 10.2)
    for decoupling in (1.9, 2.7):
        found = experiment.expected(theta, {"neutrino_decoupling": decoupling})
        assert float(found[0]) == pytest.approx(n_eff(20.0, 0.51, 3.044, decoupling), rel=1e-9)
    slope = jax.grad(lambda t: experiment.expected(theta, {"neutrino_decoupling": t})[0])(2.3)
    step = n_eff(20.0, 0.51, 3.044, 2.301) - n_eff(20.0, 0.51, 3.044, 2.299)
    assert float(slope) == pytest.approx(step / 0.002, rel=1e-5)


def test_invalid_radiation():
    with pytest.raises(
        ValueError, match=r"measurement must be one of 'bbn', 'planck2018', 'act_dr6'; got 'cmb'"
    ):
        lmt.radiation("cmb")
    with pytest.raises(ValueError, match=r"neutrino_decoupling must be"):
        lmt.radiation(neutrino_decoupling=-1.0)


# ------------------------------------------------------------------------------------------- CMB
def test_annihilation_is_excluded_at_95_by_eq_3_14():
    theta = lmt.DarkMatter.from_delta(4.5e-4, 23.0, 0.01)
    power = float(lmt.ionising_annihilation(theta))
    joint = lmt.Joint([lmt.cmb_annihilation().observe()])
    for ratio in (0.1, 1.0, 3.0):  # of the limit
        point = lmt.DarkMatter.from_delta(4.5e-4, 23.0, 0.01, np.sqrt(ratio * 4.1e-28 / power))
        deviance = -2 * float(joint.log_likelihood(point))
        assert deviance == pytest.approx((1.6448536 * ratio) ** 2, rel=1e-6)


def test_efficiencies_are_nuisances():
    term = lmt.cmb_annihilation(f_e=lmt.Uniform(0.2, 0.5))
    assert set(term.nuisances) == {"cmb_annihilation.f_e"}
    assert term.nominal["cmb_annihilation.f_mu"] == pytest.approx(0.105)
    theta = lmt.DarkMatter(5e-4, 300.0, 120.0)
    found = term.expected(theta, {"cmb_annihilation.f_e": 0.4, "cmb_annihilation.f_mu": 0.2})
    assert float(found[0]) == pytest.approx(
        float(lmt.ionising_annihilation(theta, f_e=0.4, f_mu=0.2)), rel=1e-12
    )
    with pytest.raises(ValueError, match=r"cmb_annihilation needs a model with dark matter"):
        lmt.Joint([term.observe()]).log_likelihood(lmt.benchmark("BP1"))
