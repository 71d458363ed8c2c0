"""CEvNS detectors against nested adaptive quadrature of eqs 31-33, over the whole documented box.

Accuracy asked for: 1e-8 of the expected counts with a floor of 1e-10 of the Standard Model's. Measured with
the nuclear mass of the reference: 3e-15 with a threshold of 20 keV.
"""

import functools
import itertools
import pickle
from dataclasses import fields, replace
from math import exp, log, pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import jaxlmt as lmt
from jaxlmt.experiments import base
from jaxlmt.processes.cevns import KINEMATICS
from tests.validation import independent
from tests.validation.independent import log_slope

DETECTORS = {"cenns610": lmt.cenns610, "ccm": lmt.ccm, "ess": lmt.ess, "ess10": lmt.ess10}
SIN2 = 0.23857
# The reference's mass number differs by 4e-11, which the counts near an endpoint magnify to 2e-10.
ARGON = lmt.Isotope("40Ar", 18, 40, independent.AR40_ATOMIC_U)
XENON_131 = lmt.Isotope("131Xe", 54, 131, 130.90508406)


def numbers(theta):
    """The arguments of independent functions: g, mass, eps, charges."""
    q = theta.charges
    return theta.g_x, theta.mass, theta.eps_x, (q.e, q.mu, q.tau)


def random_points(seed, n):
    """Points of the documented box, both models and both signs of eps in turn."""
    rng = np.random.default_rng(seed)
    points = []
    for index in range(n):
        g = 10 ** rng.uniform(-6, -1)
        eps = (-1) ** (index // 2) * g * 10 ** rng.uniform(-4, 0)
        charges = (lmt.LMU_LTAU, lmt.LMU)[index % 2]
        points.append(lmt.HiddenPhoton(float(g), float(10 ** rng.uniform(-1, 4)), float(eps), charges))
    return points


def running(points):
    """The same points with a running mixing, every third one with an electron's charge as well."""
    charges = [lmt.LeptonCharges(-0.3, 1.0, 0.4) if i % 3 == 2 else t.charges for i, t in enumerate(points)]
    return [replace(t, charges=q, running=True) for t, q in zip(points, charges, strict=True)]


def describe(theta):
    model = {lmt.LMU: "lmu", lmt.LMU_LTAU: "lmu-ltau"}.get(theta.charges, "electrophilic")
    switch = " running" if theta.running else ""
    return f"{model} g={theta.g_x:.3g} M={theta.mass:.4g} eps={theta.eps_x:.3g}{switch}"


@functools.cache
def standard_model(detector, sin2, kinematics):
    if not isinstance(detector, str):
        detector = dict(detector)
    counts = independent.spallation_counts(0.0, 1.0, 0.0, (0, 1, 0), detector, sin2, kinematics)
    return np.array(counts)


def compare(experiment, detector, theta, kinematics="exact", rtol=1e-8, floor=1e-10):
    """Expected counts at relative ``rtol`` with an absolute ``floor`` in units of the Standard Model's."""
    arguments = (*numbers(theta), detector, SIN2, kinematics, theta.running)
    expected = np.array(independent.spallation_counts(*arguments))
    key = detector if isinstance(detector, str) else tuple(detector.items())
    difference = np.abs(experiment.expected(theta) - expected)
    tolerance = rtol * expected + floor * standard_model(key, SIN2, kinematics)
    assert np.all(difference < tolerance), f"in units of the tolerance: {difference / tolerance}"


# ------------------------------------------------------------------------------------- values
@pytest.mark.parametrize("kinematics", KINEMATICS)
@pytest.mark.parametrize("theta", random_points(1, 12), ids=describe)
def test_expected_counts(theta, kinematics):
    for name, factory in DETECTORS.items():
        compare(factory(kinematics=kinematics, isotope=ARGON), name, theta, kinematics)
        if name != "ess10":
            compare(factory(kinematics=kinematics, isotope=ARGON), name, theta, kinematics, 1e-12, 1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("kinematics", KINEMATICS)
@pytest.mark.parametrize("theta", random_points(2, 60), ids=describe)
def test_expected_counts_at_many_points(theta, kinematics):
    for name, factory in DETECTORS.items():
        compare(factory(kinematics=kinematics, isotope=ARGON), name, theta, kinematics)
        if name != "ess10":
            compare(factory(kinematics=kinematics, isotope=ARGON), name, theta, kinematics, 1e-12, 1e-13)


@pytest.mark.parametrize("theta", running(random_points(6, 6)), ids=describe)
def test_running_mixing(theta):
    for name in ("ess10", "cenns610"):
        compare(DETECTORS[name](isotope=ARGON), name, theta)
    compare(lmt.ess(kinematics="paper", isotope=ARGON), "ess", theta, "paper", 1e-11, 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kinematics", KINEMATICS)
@pytest.mark.parametrize("theta", running(random_points(7, 30)), ids=describe)
def test_running_mixing_at_many_points(theta, kinematics):
    for name, factory in DETECTORS.items():
        compare(factory(kinematics=kinematics, isotope=ARGON), name, theta, kinematics)


@pytest.mark.parametrize("charges", [lmt.LMU, lmt.LeptonCharges(1.0, 1.0, -1.0)], ids=["lmu", "electron"])
def test_running_mixing_alone(charges):
    # No mixing at q^2 = 0, so that kappa is all loop; nodes from a threshold of 10 eV.
    for edges in ((0.01, 20, 100), (20, 140)):
        experiment, detector = own_detector(edges)
        for mass in (0.1, 10.0):
            compare(experiment, detector, lmt.HiddenPhoton(3e-3, mass, 0.0, charges, running=True))


def test_running_mixing_where_the_amplitudes_cancel():
    momentum2 = 2 * independent.AR40_NUCLEAR * 0.03 + 15.0**2
    unit = independent.E_CHARGE * 18 / (sqrt(2) * independent.G_F * momentum2)
    eps = -0.5 * independent.weak_charge(18, 22, SIN2) / unit
    theta = lmt.HiddenPhoton(1.0, 15.0, eps, running=True)
    # g = 1 with so small a mixing is all loop; in these units they are comparable.
    compare(lmt.ess10(isotope=ARGON), "ess10", replace(theta, g_x=1e-2, eps_x=1e2 * eps))
    compare(lmt.ess10(isotope=ARGON), "ess10", theta)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("mass", [0.1, 1.0, 4.2, 6.4, 15.0, 30.0, 1e4])
def test_expected_counts_where_the_propagator_bends(mass, name):
    # The square alone (kappa >> Q), and where the two terms cancel somewhere in the window.
    momentum2 = 2 * independent.AR40_NUCLEAR * 0.03 + mass**2
    unit = independent.E_CHARGE * 18 / (sqrt(2) * independent.G_F * momentum2)
    for kappa in (-50.0, -0.5 * independent.weak_charge(18, 22, SIN2), 1e3):
        compare(DETECTORS[name](isotope=ARGON), name, lmt.HiddenPhoton(1.0, mass, kappa / unit))


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("preset", [None, "paper"])
def test_standard_model(name, preset):
    sin2, kinematics = {None: (SIN2, "exact"), "paper": (0.23122, "paper")}[preset]
    experiment = DETECTORS[name](preset=preset, isotope=ARGON)
    expected = standard_model(name, sin2, kinematics)
    published = DETECTORS[name](preset=preset).expected(lmt.HiddenPhoton(0.0, 1.0, 0.0))
    np.testing.assert_allclose(published, expected, rtol=3e-10)
    for theta in (lmt.HiddenPhoton(0.0, 15.0, 0.0), lmt.HiddenPhoton(0.0, 15.0, 1e-3)):
        np.testing.assert_allclose(experiment.expected(theta), expected, rtol=2e-12)
    np.testing.assert_allclose(experiment.background, expected / 10, rtol=2e-12)
    assert experiment.nominal["sin2_theta_w"] == sin2


def own_detector(edges, name="own", **options):
    """An experiment of 10 kg at the ESS with other edges, and its description for the reference."""
    arguments = {
        "mass_tonne": 0.01,
        "protons_on_target": 2.8e23,
        "neutrinos_per_proton": 0.3,
        "isotope": ARGON,
    }
    experiment = lmt.spallation(name, bin_edges=edges, baseline_m=20.0, **{**arguments, **options})
    detector = {"tonne": 0.01, "edges_keV": edges, "npot": 2.8e23, "r": 0.3, "L_m": 20.0, "tanh": False}
    return experiment, detector


@pytest.mark.parametrize("edges", [(20, 140), (1, 47.6, 47.7, 160), (0.3, 2, 9), (0.1, 100), (0.01, 20, 100)])
def test_other_bins(edges):
    # Thresholds down to 10 eV, bins across the endpoints at 47.6 and 149.6 keV and beyond.
    experiment, detector = own_detector(edges)
    for mass in (0.1, 3.0, 10.0, 50.0):
        for product in (-1e-5, 1e-8, -1e-8):
            compare(experiment, detector, lmt.HiddenPhoton(1e-3, mass, 1e3 * product))


def test_efficiency_option():
    experiment, detector = own_detector((5, 15, 25), efficiency="cenns10")
    compare(experiment, {**detector, "tanh": True}, lmt.benchmark("BP2"))


@pytest.mark.parametrize("kinematics", KINEMATICS)
def test_isotopes(kinematics):
    # Xenon-131 by nested quadrature over the same fluxes, with the nucleus the only change.
    edges, mass = (1.0, 5.0, 12.0, 20.0), XENON_131.mass
    experiment, _ = own_detector(edges, isotope=XENON_131, kinematics=kinematics)
    theta = lmt.HiddenPhoton(5e-4, 15.0, 1e-5, lmt.LeptonCharges(0.5, 1.0, 0.0))
    arguments = (theta.g_x, theta.mass, theta.eps_x)

    def rate(recoil):
        start = independent.neutrino_energy_min(recoil, mass, kinematics)

        def dsigma(energy, charge):
            nucleus = (mass, 54, 77)
            return independent.cevns_dsigma_dE(recoil, energy, *arguments, charge, SIN2, kinematics, *nucleus)

        total = independent.integrate(
            lambda e: independent.flux_nue(e) * dsigma(e, 0.5) + independent.flux_numubar(e) * dsigma(e, 1.0),
            start,
            independent.E_END,
        )
        return total + (dsigma(independent.E_LINE, 1.0) if start < independent.E_LINE else 0.0)

    line = independent.recoil_max(independent.E_LINE, mass, kinematics)
    targets = 0.01 * 1e6 * independent.N_A / XENON_131.atomic_mass_u
    fluence = 0.3 * 2.8e23 / (4 * pi * 2000.0**2)
    expected = [
        targets * fluence * independent.integrate(rate, 1e-3 * low, 1e-3 * high, (line,), 1e-10)
        for low, high in itertools.pairwise(edges)
    ]
    np.testing.assert_allclose(experiment.expected(theta), expected, rtol=1e-9)


# ---------------------------------------------------------------------------------- gradients
def compare_gradient(experiment, detector, theta, kinematics="exact"):
    """g d/dg, M d/dM, eps d/deps: 1e-8 of the slope, the counts or the Standard Model's, the largest."""
    counts, jacobian = experiment.expected(theta), jax.jacfwd(experiment.expected)(theta)
    arguments = (*numbers(theta), detector, SIN2, kinematics, theta.running)
    for index, name in enumerate(("g_x", "mass", "eps_x")):
        expected = log_slope(independent.spallation_counts, arguments, index, 0.1)
        found = np.asarray(getattr(jacobian, name)) * getattr(theta, name)
        scale = np.maximum(np.maximum(np.abs(expected), counts), standard_model(detector, SIN2, kinematics))
        np.testing.assert_allclose(found / scale, expected / scale, rtol=0.0, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("theta", random_points(3, 3), ids=describe)
def test_gradient(theta, name):
    compare_gradient(DETECTORS[name](isotope=ARGON), name, theta)


@pytest.mark.parametrize("theta", running(random_points(8, 3)), ids=describe)
def test_gradient_with_a_running_mixing(theta):
    compare_gradient(lmt.ess(isotope=ARGON), "ess", theta)


@pytest.mark.slow
@pytest.mark.parametrize("kinematics", KINEMATICS)
@pytest.mark.parametrize("theta", random_points(4, 20), ids=describe)
def test_gradient_at_many_points(theta, kinematics):
    for name, factory in DETECTORS.items():
        compare_gradient(factory(kinematics=kinematics, isotope=ARGON), name, theta, kinematics)


@pytest.mark.parametrize(
    ("name", "running"),
    [(n, False) for n in ("sin2_theta_w", "e", "mu")] + [(n, True) for n in ("e", "mu", "tau")],
)
def test_gradient_in_the_angle_and_the_charges(name, running):
    experiment, g, mass, eps = lmt.ess(isotope=ARGON), 5e-4, 20.0, 1e-5
    values = {"sin2_theta_w": 0.23, "e": -0.4, "mu": 0.9, "tau": -0.7}

    def reference(sin2, e, mu, tau):
        return independent.spallation_counts(g, mass, eps, (e, mu, tau), "ess", sin2, running=running)

    def function(sin2_theta_w, e, mu, tau):
        theta = lmt.HiddenPhoton(g, mass, eps, lmt.LeptonCharges(e, mu, tau), running=running)
        return experiment.expected(theta, {"sin2_theta_w": sin2_theta_w})

    index = list(values).index(name)
    expected = log_slope(reference, tuple(values.values()), index, 0.1)
    found = jax.jacfwd(function, index)(*values.values()) * values[name]
    counts = np.array(reference(*values.values()))
    # The tau acts through its loop alone: 1e-6 of the counts, of which differences are good to a few 1e-14.
    np.testing.assert_allclose(found / counts, expected / counts, rtol=1e-8, atol=1e-13)
    np.testing.assert_allclose(function(*values.values()), counts, rtol=1e-12)


def test_no_interaction_and_smallest_couplings():
    experiment = lmt.ess10()
    jacobian = jax.jacfwd(experiment.expected)(lmt.HiddenPhoton(0.0, 15.0, 0.0))
    for leaf in jax.tree.leaves(jacobian):
        np.testing.assert_array_equal(leaf, np.zeros(5))
    # linear in g eps near zero, and its slope the interference term of either sign
    sm = experiment.expected(lmt.HiddenPhoton(0.0, 15.0, 0.0))
    shift = [experiment.expected(lmt.HiddenPhoton(1e-6, 15.0, sign * 1e-6)) - sm for sign in (1, -1)]
    np.testing.assert_allclose(shift[0], -shift[1], rtol=1e-3)
    assert np.all(np.asarray(shift[0]) > 0.0)


@jax.jit
def counts_and_jacobian(experiment, theta):
    return experiment.expected(theta), jax.jacfwd(experiment.expected)(theta)


@settings(deadline=None, max_examples=200)
@given(
    st.floats(log(1e-6), log(1e-1)),
    st.floats(log(0.1), log(1e4)),
    st.floats(log(1e-6), 0.0),
    st.sampled_from((-1, 1)),
    st.sampled_from([lmt.LMU, lmt.LMU_LTAU]),
    st.sampled_from(sorted(DETECTORS)),
)
@example(log(1e-1), log(0.1), 0.0, -1, lmt.LMU, "ess10")
@example(log(1e-6), log(1e4), log(1e-6), 1, lmt.LMU_LTAU, "cenns610")
def test_finite_and_never_negative_in_the_whole_box(log_g, log_mass, log_ratio, sign, charges, name):
    g = exp(log_g)
    theta = lmt.HiddenPhoton(g, exp(log_mass), sign * g * exp(log_ratio), charges)
    counts, jacobian = counts_and_jacobian(DETECTORS[name](), theta)
    assert np.all(np.isfinite(counts)) and np.all(np.asarray(counts) > 0.0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(jacobian))


# ------------------------------------------------------------------------------ dependence on fields
def test_table_2():
    for name, factory in DETECTORS.items():
        experiment = factory()
        np.testing.assert_array_equal(experiment.bin_edges, independent.DETECTORS[name]["edges_keV"])
        prior = experiment.nuisances[f"{name}.signal_norm"]
        assert (prior.mean, prior.std) == (1.0, independent.SIGMA_SYS[name])
        assert experiment.nominal[f"{name}.signal_norm"] == 1.0
        assert experiment.statistic == "gaussian" and experiment.name == name
        assert experiment.analytic == (f"{name}.signal_norm",)


@pytest.mark.parametrize(
    ("field", "value", "factor"),
    [
        ("mass_tonne", 3.0, 3.0),
        ("protons_on_target", 5.6e23, 2.0),
        ("neutrinos_per_proton", 0.1, 1 / 3),
        ("baseline_m", 60.0, 1 / 9),
        ("signal_norm", 1.25, 1.25),
    ],
)
def test_rates_scale_with(field, value, factor):
    theta = lmt.benchmark("BP3")
    reference, scaled = lmt.ess(), lmt.ess(**{field: value})
    np.testing.assert_allclose(scaled.expected(theta), factor * reference.expected(theta), rtol=1e-13)
    expected = reference.background * (1.0 if field == "signal_norm" else factor)
    np.testing.assert_allclose(scaled.background, expected, rtol=1e-13)


def test_background_ratio():
    for ratio in (0.0, 1.0):
        experiment = lmt.ess(background_ratio=ratio, isotope=ARGON)
        expected = ratio * standard_model("ess", SIN2, "exact")
        np.testing.assert_allclose(experiment.background, expected, rtol=1e-10)
        data = experiment.asimov(lmt.benchmark("BP1")).counts
        np.testing.assert_allclose(data, experiment.expected(lmt.benchmark("BP1")) + expected, rtol=1e-10)


def test_weak_angle_as_a_nuisance():
    experiment = lmt.ess(sin2_theta_w=lmt.Normal(0.23857, 0.0005))
    assert set(experiment.nuisances) == {"ess.signal_norm", "sin2_theta_w"}
    theta = lmt.benchmark("BP1")
    for sin2 in (0.23, 0.25):
        expected = independent.spallation_counts(*numbers(theta), "ess", sin2)
        np.testing.assert_allclose(experiment.expected(theta, {"sin2_theta_w": sin2}), expected, rtol=1e-9)
    # the background keeps the value it was built with
    np.testing.assert_array_equal(experiment.background, lmt.ess().background)


def test_bins_add_up():
    theta = lmt.benchmark("BP1")
    one = lmt.ess(bin_edges=(20, 100)).expected(theta)
    assert float(one[0]) == pytest.approx(float(lmt.ess().expected(theta).sum()), rel=1e-9)


# ----------------------------------------------------------------------------------- interface
def test_shapes_and_broadcasting():
    experiment = lmt.ess10()
    assert experiment.n_bins == 5
    assert experiment.expected(lmt.benchmark("BP1")).shape == (5,)
    theta = lmt.HiddenPhoton(np.geomspace(1e-4, 1e-3, 3)[:, None], np.array([1.0, 100.0, 300.0, 1e3]), -1e-5)
    counts = experiment.expected(theta)
    assert counts.shape == (3, 4, 5)
    mapped = jax.vmap(jax.vmap(experiment.expected))(lmt.batch(theta))
    np.testing.assert_allclose(mapped, counts, rtol=1e-13)
    one = experiment.expected(lmt.HiddenPhoton(theta.g_x[2, 0], theta.mass[1], -1e-5))
    np.testing.assert_allclose(counts[2, 1], one, rtol=1e-13)
    angles = np.array([0.23, 0.24])
    counts = experiment.expected(lmt.benchmark("BP1"), {"sin2_theta_w": angles})
    one = experiment.expected(lmt.benchmark("BP1"), {"sin2_theta_w": 0.24})
    np.testing.assert_allclose(counts[1], one, rtol=1e-13)


def test_leaf_types_and_new_experiments_do_not_retrace():
    results, sizes = [], set()
    for mass in (15, 15.0, np.float32(15), np.float64(15), np.int32(15), np.array(15), jnp.asarray(15.0)):
        experiment = lmt.ess(background_ratio=float(mass) + len(results))  # another object, the same program
        results.append(np.asarray(experiment.expected(lmt.HiddenPhoton(5e-4, mass, -1e-5))))
        sizes.add(base._evaluate._cache_size())
    assert len(sizes) == 1
    assert all(np.array_equal(result, results[0]) for result in results)


def test_strict_promotion_of_types():
    with jax.numpy_dtype_promotion("strict"):
        experiment = lmt.ess10()
        parameters = experiment.parameters()
        jax.eval_shape(lambda theta: experiment.rate(theta, parameters), lmt.benchmark("BP1"))


def test_factories_are_cached():
    for factory in DETECTORS.values():
        assert factory() is factory()
        assert factory(kinematics="paper") is factory(kinematics="paper")
        assert factory() is not factory(kinematics="paper")
    assert lmt.ess(bin_edges=[20, 50]) is lmt.ess(bin_edges=(20.0, 50.0))
    assert lmt.ess(kinematics="paper", mass_tonne=2.0) is lmt.ess(mass_tonne=2.0, kinematics="paper")


def test_pytree():
    experiment = lmt.ess10()
    static = [f.name for f in fields(experiment) if f.metadata.get("static")]
    assert static == ["name", "isotope", "statistic"]  # no arrays
    again = pickle.loads(pickle.dumps(experiment))
    theta = lmt.benchmark("BP1")
    np.testing.assert_array_equal(again.expected(theta), experiment.expected(theta))
    assert jax.tree.structure(replace(experiment, background=np.ones(5))) == jax.tree.structure(experiment)
    with pytest.raises(ValueError, match="read-only"):
        experiment.response[0] = 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinematics": "none"}, "kinematics must be one of 'exact', 'paper'; got 'none'"),
        ({"preset": "2021"}, "preset must be one of 'paper'; got '2021'"),
        ({"statistic": "normal"}, "statistic must be one of 'gaussian', 'poisson'; got 'normal'"),
        ({"efficiency": 0.5}, "efficiency must be one of 'full', 'cenns10'; got 0.5"),
        ({"mass_tonne": -1}, "mass_tonne must be a finite number"),
        ({"baseline_m": 0.0}, "baseline_m must be a finite number"),
        ({"bin_edges": (0, 20)}, "bin_edges must be finite and > 0; got 0.0"),
        ({"bin_edges": (20,)}, "bin_edges must be at least two strictly increasing edges"),
        ({"background_ratio": -0.1}, "background_ratio must be a finite number"),
        ({"signal_norm": "free"}, r"ess\.signal_norm must be a finite number"),
        ({"mass_ton": 1.0}, "option of ess must be one of .*did you mean 'mass_tonne'"),
    ],
)
def test_invalid_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        lmt.ess(**options)
