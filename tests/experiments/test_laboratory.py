"""Laboratory bounds as experiments: tridents, BaBar, Borexino, single photons."""

import pickle
from dataclasses import fields
from importlib import resources
from itertools import pairwise

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtri
from scipy.stats import norm

import jaxlmt as lmt
from jaxlmt.experiments.measurement import table

STANDARD_MODEL = lmt.HiddenPhoton(0.0, 15.0, 0.0)
MADE = {
    "trident_ccfr": lambda: lmt.trident("ccfr"),
    "trident_charm2": lambda: lmt.trident("charm2"),
    "babar": lmt.babar,
    "borexino": lmt.borexino,
    "belle2": lmt.belle2,
    "tau_charm": lmt.tau_charm,
}
CHARGES = [lmt.LMU_LTAU, lmt.LMU, lmt.LeptonCharges(0.2, -1.0, 0.0), lmt.LeptonCharges(0.0, 0.0, -1.0)]


# --- all of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MADE)
def test_is_named_cached_and_a_pytree(name):
    made = MADE[name]()
    assert made.name == name and made is MADE[name]()
    assert {f.name for f in fields(made) if f.metadata.get("static")} <= {"name", "beam", "branching"}
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.expected(STANDARD_MODEL), made.expected(STANDARD_MODEL))


def failures(joint, theta):
    """How many points have a likelihood or a slope that is not finite."""
    value, slope = jax.vmap(jax.value_and_grad(lambda t: joint.log_likelihood(t)))(theta)
    parts = [value, *jax.tree.leaves(slope)]
    return sum(int((~np.isfinite(np.asarray(part))).sum()) for part in parts)


@pytest.mark.parametrize("charges", CHARGES, ids=repr)
def test_finite_in_the_whole_box(charges):
    rng = np.random.default_rng(5)
    n = 1000
    g, mass = (
        np.exp(rng.uniform(np.log(1e-6), np.log(1e-1), n)),
        np.exp(rng.uniform(np.log(0.1), np.log(1e4), n)),
    )
    ratio = 0.3 * rng.uniform(-1.0, 1.0, n) ** 5
    special = [0.1, 1e4, 4e3, 1.058e4, 2 * 105.6583755, 212.0, 213.71, 7681.8, 2 * 1776.93, 2 * 0.51099895069]
    mass[: len(special)], ratio[:20] = special, 0.0
    theta = lmt.batch(lmt.HiddenPhoton(g, mass, ratio * g, charges))
    joint = lmt.Joint(
        [MADE[n]().observe() for n in ("trident_ccfr", "trident_charm2", "babar", "borexino")]
        + [MADE[n]().asimov(lmt.benchmark("BP1")) for n in ("belle2", "tau_charm")]
    )
    assert failures(joint, theta) == 0


@pytest.mark.parametrize("name", MADE)
def test_gradients_are_differences(name):
    made = MADE[name]()
    mass = {"babar": 700.0, "belle2": 900.0}.get(name, 20.0)
    theta = lmt.HiddenPhoton(2e-4, mass, -1e-5)
    slope = jax.jacfwd(made.expected)(theta)
    for leaf, step in (("g_x", 1e-8), ("mass", 1e-4 * mass), ("eps_x", 1e-9)):
        up, down = (lmt.HiddenPhoton(**{**vars(theta), leaf: vars(theta)[leaf] + s * step}) for s in (1, -1))
        difference = (np.asarray(made.expected(up)) - np.asarray(made.expected(down))) / (2 * step)
        scale = np.abs(difference).max()
        np.testing.assert_allclose(np.asarray(getattr(slope, leaf)), difference, atol=1e-5 * scale + 1e-12)


# --- tridents --------------------------------------------------------------------------------------


@pytest.mark.parametrize("beam, value, error", [("ccfr", 0.82, 0.28), ("charm2", 1.58, 0.57)])
def test_trident_is_gaussian(beam, value, error):
    made = lmt.trident(beam)
    joint = lmt.Joint([made.observe()])
    for theta in (STANDARD_MODEL, lmt.benchmark("BP1"), lmt.benchmark("BP4")):
        mean = float(lmt.trident_ratio(theta, beam=beam))
        expected = norm(mean, error).logpdf(value) - norm(0.0, error).logpdf(0.0)
        assert float(joint.log_likelihood(theta)) == pytest.approx(expected, rel=1e-9)


def test_weak_mixing_angle_is_shared():
    prior = lmt.Normal(0.2386, 0.001)
    made = lmt.trident("ccfr", sin2_theta_w=prior)
    assert made.nuisances == {"sin2_theta_w": prior}
    theta = lmt.benchmark("BP2")
    for s2 in (0.22, 0.25):
        found = float(made.expected(theta, {"sin2_theta_w": s2})[0])
        assert found == pytest.approx(float(lmt.trident_ratio(theta, sin2_theta_w=s2)), rel=1e-13)
    lmt.Joint([lmt.trident("ccfr").observe(), lmt.trident("charm2").observe(), lmt.borexino().observe()])


# --- BaBar -----------------------------------------------------------------------------------------

# A few points of the published curve (1606.03501, figure 5): where it is lowest and around
LOWEST = 226.62, 6.7362e-4


def limit(experiment, mass, charges=lmt.LMU_LTAU, **dark):
    """g at which the events are what the published limit allows."""
    kind = lmt.DarkMatter if dark else lmt.HiddenPhoton
    at = kind(g_x=1e-3, mass=mass, eps_x=-1e-3 / 70, charges=charges, **dark)
    return 1e-3 / np.sqrt(float(experiment.expected(at)[0]))


def test_babar_is_the_curve_of_its_table():
    text = resources.files("jaxlmt").joinpath("data/babar.csv").read_text()
    table = np.loadtxt(text.splitlines(), delimiter=",", skiprows=1)
    assert 40 <= len(table) <= 80
    for mass, coupling in table:  # masses are rounded to 10 keV
        assert limit(lmt.babar(), 1e3 * mass * (1 - 1e-9)) == pytest.approx(coupling, rel=2e-4)


def test_babar_meets_the_published_minimum_within_its_scatter():
    assert 1.0 < limit(lmt.babar(), LOWEST[0]) / LOWEST[1] < 1.0 + 3 * 0.17


def test_babar_is_one_sided_and_90_percent():
    joint, mass = lmt.Joint([lmt.babar().observe()]), 1000.0
    at = limit(lmt.babar(), mass)
    for share, expected in ((0.0, 0.0), (1.0, ndtri(0.9) ** 2), (2.0, 4 * ndtri(0.9) ** 2)):
        g = at * np.sqrt(share)
        found = -2.0 * float(joint.log_likelihood(lmt.HiddenPhoton(g, mass, -g / 70)))
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_babar_outside():
    for mass in (0.1, 15.0, 211.9, 7700.0, 1e4):
        assert float(lmt.babar().expected(lmt.HiddenPhoton(1e-1, mass, -1e-3))[0]) == 0.0
    assert float(lmt.babar().expected(lmt.HiddenPhoton(1e-3, 213.0, -1e-5))[0]) > 0.1


def test_babar_for_other_decays():
    """Lmu: sqrt(3)/2 of the coupling below the ditau threshold, 1/sqrt(2) far above, as in the caption of
    2104.03297, figure 1; dark matter: the square root of what it leaves to muons."""
    assert limit(lmt.babar(), 2000.0, lmt.LMU) / limit(lmt.babar(), 2000.0) == pytest.approx(0.866, abs=1e-3)
    assert limit(lmt.babar(), 7600.0, lmt.LMU) / limit(lmt.babar(), 7600.0) == pytest.approx(0.71, abs=0.01)
    dark = lmt.DarkMatter(1e-3, 1000.0, 300.0)
    share = float(
        lmt.branching_ratios(dark)["mu"] / lmt.branching_ratios(lmt.HiddenPhoton(1e-3, 1e3, -1e-3 / 70))["mu"]
    )
    found = limit(lmt.babar(), 1000.0, dm_mass=300.0) / limit(lmt.babar(), 1000.0)
    assert 0.3 < share < 0.9 and found == pytest.approx(share**-0.5, rel=1e-9)


def test_babar_as_the_paper_reads_it():
    """A limit for BR = 1: that on g is weaker by the square root of the branching ratio."""
    for mass in (230.0, 1000.0, 5000.0):
        ratio = float(lmt.branching_ratios(lmt.HiddenPhoton(1e-3, mass, -1e-3 / 70))["mu"])
        found = limit(lmt.babar(preset="paper"), mass) / limit(lmt.babar(), mass)
        assert found == pytest.approx(ratio**-0.5, rel=1e-9)


# --- Borexino --------------------------------------------------------------------------------------


def by_hand(theta, *, lines, low, s2=0.23857, norm=1.0):
    """Rate above ``low`` [MeV], tree level, free electrons: quadrature over recoils, line by line."""
    gf, me, e = 1.1663787e-11, 0.51099895069, np.sqrt(4 * np.pi / 137.035999)
    total = 0.0
    probabilities = np.asarray(
        lmt.oscillation("nufit6").probabilities([line for line, _ in lines], source="7Be")
    )
    charges = theta.charges.e, theta.charges.mu, theta.charges.tau
    for (energy, share), shares in zip(lines, probabilities, strict=True):
        top = 2 * energy**2 / (me + 2 * energy)
        for flavour, (p, charge) in enumerate(zip(shares, charges, strict=True)):

            def integrand(t, flavour=flavour, charge=charge, energy=energy):
                d = theta.g_x * charge * (e * theta.eps_x + theta.g_x * theta.charges.e)
                d /= 2 * np.sqrt(2) * gf * (2 * me * t + theta.mass**2)
                left, right = s2 + (0.5 if flavour == 0 else -0.5) + d, s2 + d
                shape = left**2 + right**2 * (1 - t / energy) ** 2 - left * right * me * t / energy**2
                return 2 * gf**2 * me / np.pi * shape

            if low < top:
                found = quad(integrand, low, top, epsabs=0.0, epsrel=1e-11)[0]
                total += p * share * found
    return norm * 4.93e9 * total * 1.973269804593025e-11**2 * 66e8 * 6.02214076e23 / 120.19 * 86400


BOTH = [(0.8618, 0.897), (0.3843, 0.103)]


@pytest.mark.parametrize("measurement, lines", [("2017", BOTH), ("2011", BOTH[:1])])
def test_borexino_against_quadrature(measurement, lines):
    made = lmt.borexino(measurement)
    standard = by_hand(STANDARD_MODEL, lines=lines, low=0.0)
    scale = float(made.expected(STANDARD_MODEL)[0]) / standard
    for theta in (
        lmt.HiddenPhoton(5e-4, 15.0, -5e-4 / 70),
        lmt.HiddenPhoton(3e-5, 0.4, 3e-5 / 70),
        lmt.HiddenPhoton(1e-6, 0.1, 2e-7, lmt.LeptonCharges(0.5, 1.0, -1.5)),
    ):
        window = by_hand(theta, lines=lines, low=0.19) / by_hand(STANDARD_MODEL, lines=lines, low=0.19)
        expected = scale * standard * window
        assert float(made.expected(theta)[0]) == pytest.approx(expected, rel=1e-9)


def test_borexino_and_what_the_collaboration_expects():
    """A flux of 3.10e9 of nu_e alone is equivalent to 46.0 (PRL 107 (2011) 141302): the scale of the rates.
    The tree level gives 5% more; with oscillations the solar models are met within 1.5 sigma."""
    nu_e = lmt.Oscillation(2.0, 0.0, 45.0, 0.0, 7.5e-5, 2.5e-3)  # as little mixing as is allowed
    alone = lmt.borexino("2011", oscillation=nu_e, flux_norm=3.10 / 4.93)
    assert float(alone.expected(STANDARD_MODEL)[0]) == pytest.approx(46.0, rel=3e-3)
    tree = by_hand(STANDARD_MODEL, lines=BOTH, low=0.0)
    assert float(lmt.borexino().expected(STANDARD_MODEL)[0]) / tree == pytest.approx(0.955, abs=2e-3)
    for model in ("gs98", "agss09"):
        for measurement in ("2011", "2017"):
            made = lmt.borexino(measurement, solar_model=model)
            pull = (float(made.expected(STANDARD_MODEL)[0]) - made.measured) / made.sigma[0]
            assert abs(pull) < 1.9


def test_borexino_errors():
    """What is given by name is in sigma: 6% of the flux, and the mixing angles."""
    rate = float(lmt.borexino().expected(STANDARD_MODEL)[0])
    bare = np.hypot(1.1, 0.55)
    angles = lmt.borexino(flux_norm=1.0).sigma[0]
    assert bare < angles < 1.1 * bare
    assert lmt.borexino().sigma[0] == pytest.approx(np.hypot(angles, 0.06 * rate), rel=1e-12)
    assert lmt.borexino(flux_norm=1.0, oscillation=lmt.oscillation("nufit6")).sigma[0] == pytest.approx(bare)
    free = lmt.borexino(
        flux_norm=lmt.Normal(1.0, 0.06), oscillation=lmt.oscillation("nufit6", uncertainties=True)
    )
    assert free.sigma[0] == pytest.approx(bare)
    assert set(free.nuisances) == {"flux.7Be", "theta12", "theta13", "theta23", "delta_cp", "dm21"}
    assert float(free.expected(STANDARD_MODEL, {"flux.7Be": 1.1})[0]) == pytest.approx(1.1 * rate, rel=1e-12)
    assert table("borexino")["2017"]["rate"] == lmt.borexino().measured == 48.3


def test_borexino_has_the_strength_of_white_dwarfs():
    """The 95% limit, both signs of the mixing, is within 10% of 5.17e-4 (M/10 MeV) where M is not small."""
    joint = lmt.Joint([lmt.borexino().observe()])
    for mass in (5.0, 10.0, 50.0):
        for sign in (-1.0, 1.0):
            grid = 5.17e-4 * mass / 10.0 * np.linspace(0.5, 1.5, 201)
            theta = lmt.batch(lmt.HiddenPhoton(grid, mass, sign * grid / 70))
            deviance = -2.0 * np.asarray(joint.log_likelihood(theta))
            deviance = deviance - min(deviance.min(), -2.0 * float(joint.log_likelihood(STANDARD_MODEL)))
            reached = np.interp(3.84, deviance, grid) / (5.17e-4 * mass / 10.0)
            assert 0.85 < reached < 1.05


# --- single photons --------------------------------------------------------------------------------


def test_belle2_expects_26_events():
    theta = lmt.HiddenPhoton(5e-4, 15.0, -5e-4 / 70)
    counts = np.asarray(lmt.belle2(preset="paper").expected(theta))
    assert counts.sum() == pytest.approx(26.0, abs=0.3)
    assert np.asarray(lmt.tau_charm().expected(theta)).sum() == pytest.approx(6.5, abs=0.05)
    sigma = float(lmt.monophoton_cross_section(theta, energy=10.58e3))
    found = np.asarray(lmt.belle2(efficiency=0.5, luminosity_per_ab=10.0).expected(theta)).sum()
    unseen = float(lmt.invisible_branching_ratio(theta))
    assert found == pytest.approx(0.5 * 10.0 * sigma * 1e42 * unseen, rel=1e-6)


def test_line_in_its_bins():
    """A Gaussian of 2% of the photon's energy around 1 - M^2/s, times the invisible branching ratio."""
    made, theta = lmt.belle2(), lmt.HiddenPhoton(1e-2, 5000.0, -1e-4)
    x = 1.0 - (5.0 / 10.58) ** 2
    shares = np.diff(norm(x, 0.02 * x).cdf(made.bin_edges))
    counts = np.asarray(made.expected(theta))
    sigma = float(lmt.monophoton_cross_section(theta, energy=10.58e3))
    expected = 50.0 * sigma * 1e42 * float(lmt.invisible_branching_ratio(theta)) * shares
    np.testing.assert_allclose(counts, expected, rtol=1e-9, atol=1e-12 * expected.max())
    assert float(lmt.invisible_branching_ratio(theta)) < 0.6
    dark = lmt.DarkMatter(1e-2, 5000.0, 1000.0, eps_x=-1e-4)
    gain = np.asarray(made.expected(dark)).sum() / counts.sum()
    assert gain == pytest.approx(
        float(lmt.invisible_branching_ratio(dark) / lmt.invisible_branching_ratio(theta)), rel=1e-9
    )


def test_neutrino_background():
    """One bin by quadrature; the bins above x = 1 have what the resolution carries there."""
    from jaxlmt.processes.monophoton import neutrino_spectrum

    made = lmt.tau_charm()
    for index in (10, 40, 45):
        low, high = made.bin_edges[index : index + 2]

        def integrand(x, low=low, high=high):
            seen = norm(x, 0.02 * x).cdf(high) - norm(x, 0.02 * x).cdf(low)
            return float(neutrino_spectrum(x, 4e3, 0.985)) * seen

        pieces = [p for p in (0.7 * low, low, high, 1.3 * high) if p < 1.0] + [1.0]
        expected = sum(quad(integrand, a, b, epsabs=0.0, epsrel=1e-8)[0] for a, b in pairwise(pieces))
        assert made.background[index] == pytest.approx(2e42 * expected, rel=1e-6)
    np.testing.assert_array_equal(lmt.belle2(background=0.0).background, np.zeros(50))


def test_other_fields():
    made = lmt.belle2(bin_edges=[0.9, 1.1], background=[3.0], signal_norm=lmt.Normal(1.0, 0.05))
    assert made.n_bins == 1 and set(made.nuisances) == {"belle2.signal_norm"}
    assert made is not lmt.belle2(bin_edges=(0.9, 1.1), background=(3.0,))
    assert lmt.belle2(bin_edges=[0.9, 1.1]) is lmt.belle2(bin_edges=np.array([0.9, 1.1]))
    for given, message in (
        ({"luminosity": 3.0}, "option of belle2 must be one of"),
        ({"energy_GeV": 0.0}, "energy_GeV must be"),
        ({"efficiency": 1.5}, "efficiency must be"),
        ({"resolution": 0.0}, "resolution must be"),
        ({"bin_edges": [0.5]}, "bin_edges must be"),
        ({"background": -1.0}, "background must be"),
    ):
        with pytest.raises(ValueError, match=message):
            lmt.belle2(**given)
