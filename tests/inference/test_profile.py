"""Profile likelihoods: against minimisers that share nothing with ours, closed forms and the paper's
statements."""

import jax
import numpy as np
import pytest
from iminuit import Minuit
from scipy.stats import chi2

import jaxlmt as lmt
from jaxlmt import HiddenPhoton, LogUniform, PerCoupling, SignedLogUniform, SymmetricAsinh, TiedToCoupling
from jaxlmt.inference.intervals import ONE_SIGMA, TWO_SIGMA, delta_chi2, interval, last_crossing
from jaxlmt.inference.newton import Deviance, minimise_points
from jaxlmt.inference.target import as_likelihood, make_target

BOX = {"g_x": (1e-5, 1e-2), "mass": (1.0, 1e3)}
TIED = lmt.default_prior(mixing=TiedToCoupling(-1 / 70))
FREE = lmt.default_prior()
BOTH_SIGNS = lmt.default_prior(mixing=PerCoupling(SignedLogUniform(1e-5, 0.3)))


def data(name, *, experiments=(lmt.na64mu, lmt.ess10, lmt.ess), **fields):
    made = [e() if e is lmt.na64mu else e(**fields) for e in experiments]
    return lmt.Joint.asimov(made, lmt.benchmark(name))


def by_minuit(joint, prior, mass, coupling):
    """Lowest -2 ln L over eps/g and the signal norms of Poisson detectors at (mass, coupling), by MIGRAD
    from many starts; the deviance is put together here, from the public log-likelihood and the
    constraints."""
    core = prior.distributions["eps_x"].ratio
    bound = float(core.bound if isinstance(core, SymmetricAsinh) else core.high)
    constraints = {k: p for k, p in joint.nuisances.items() if k not in joint.analytic}
    names = list(constraints)

    def deviance(scaled, *norms):
        # the mixing on a scale that is fine near zero and reaches the edge of the box
        ratio = bound * scaled**3
        nuisances = dict(zip(names, norms, strict=True))
        theta = HiddenPhoton(coupling, mass, ratio * coupling)
        value = -2.0 * float(joint.log_likelihood(theta, nuisances, systematics="profiled"))
        return value + sum(
            ((n - float(p.mean)) / float(p.std)) ** 2 for n, p in zip(norms, constraints.values())
        )

    lowest = np.inf
    starts = [0.0, *(s * (10.0**-k) ** (1 / 3) for k in (0.3, 1.0, 1.7, 2.4, 3.4, 4.5) for s in (-1.0, 1.0))]
    for start in starts:
        if isinstance(core, SignedLogUniform) and start == 0.0:
            continue
        search = Minuit(deviance, start, *(1.0 for _ in names), name=["scaled", *names])
        search.limits["scaled"] = (-1.0, 1.0)
        for name in names:  # ten standard deviations, and positive
            search.limits[name] = (0.15, 1.85)
        search.errordef, search.strategy, search.tol = Minuit.LEAST_SQUARES, 1, 1e-3
        search.migrad()
        lowest = min(lowest, search.fval)
    return lowest


@pytest.mark.parametrize(
    "name, prior, fields",
    [
        pytest.param("BP1", FREE, {}, marks=pytest.mark.slow),
        ("BP4", FREE, {}),
        pytest.param("BP2", BOTH_SIGNS, {}, marks=pytest.mark.slow),
        pytest.param("BP1", FREE, {"statistic": "poisson"}, marks=pytest.mark.slow),
    ],
    ids=["BP1", "BP4", "both signs", "poisson nuisances"],
)
def test_minima_against_minuit(name, prior, fields):
    joint = data(name, **fields)
    scan = lmt.profile(joint, prior, points=(33, 40), x_range=(2.0, 900.0), y_range=(1e-4, 8e-3))
    random = np.random.default_rng(3)
    best = scan.minus_two_log_likelihood
    for _ in range(8):
        i, j = random.integers(33), random.integers(40)
        reference = by_minuit(joint, prior, scan.x_values[i], scan.y_values[j])
        assert scan.delta[i, j] + best < reference + 1e-3, (scan.x_values[i], scan.y_values[j])
        # and it is a value that is taken: no point lies below the likelihood at its own parameters
        at = {k: v[i, j] for k, v in scan.profiled.items()}
        theta = HiddenPhoton(scan.y_values[j], scan.x_values[i], at.pop("eps_over_g") * scan.y_values[j])
        own = -2.0 * float(joint.log_likelihood(theta, at, systematics="profiled"))
        own += sum(((v - 1.0) / float(joint.nuisances[k].std)) ** 2 for k, v in at.items())
        assert own == pytest.approx(scan.delta[i, j] + best, rel=1e-9, abs=1e-7)


def test_without_other_parameters_it_is_the_likelihood():
    joint = data("BP1")
    scan = lmt.profile(joint, TIED, points=(7, 9))
    assert (scan.x, scan.y, scan.profiled) == ("mass", "g_x", {})
    np.testing.assert_allclose(scan.x_values, np.geomspace(*BOX["mass"], 7), rtol=1e-12)
    np.testing.assert_allclose(scan.y_values, np.geomspace(*BOX["g_x"], 9), rtol=1e-12)
    mass, coupling = np.meshgrid(scan.x_values, scan.y_values, indexing="ij")
    expected = -2 * joint.log_likelihood(HiddenPhoton(coupling, mass, -coupling / 70), systematics="profiled")
    np.testing.assert_allclose(scan.delta + scan.minus_two_log_likelihood, expected, rtol=1e-10, atol=1e-9)
    assert scan.delta.min() > 0.0  # the best fit lies between the points


def test_pulls_by_hand_are_those_in_closed_form():
    joint = data("BP1", experiments=(lmt.ess10, lmt.ccm))
    options = {"points": 12, "x_range": (5.0, 100.0), "y_range": (2e-4, 2e-3)}
    closed = lmt.profile(joint, TIED, **options)
    searched = lmt.profile(joint, TIED, systematics="sampled", **options)
    assert set(searched.profiled) == {"ess10.signal_norm", "ccm.signal_norm"}
    np.testing.assert_allclose(searched.delta, closed.delta, rtol=1e-5, atol=2e-5)


def test_other_planes():
    joint = data("BP1")
    scan = lmt.profile(
        joint, FREE, x="eps_over_g", y="g_x", points=(31, 30), x_range=(-0.1, 0.05), y_range=(2e-4, 1e-3)
    )
    assert scan.x_values[0] == pytest.approx(-0.1) and scan.x_values[-1] == pytest.approx(0.05)
    assert np.all(np.diff(scan.x_values) > 0.0) and set(scan.profiled) == {"mass"}
    found = scan.interval("eps_over_g", TWO_SIGMA)
    assert found.pieces[0][0] < -1 / 70 < found.pieces[-1][1]
    scan = lmt.profile(
        joint, lmt.default_prior(mixing=PerCoupling(LogUniform(1e-4, 0.1, sign=-1))), x="eps_over_g", points=8
    )
    assert np.all(np.diff(scan.x_values) > 0.0) and scan.x_values[-1] == pytest.approx(-1e-4)


def test_both_signs_are_tried():
    """With NA64mu silent and a coupling known, the CEvNS deficit wants a negative mixing, an excess a
    positive one."""
    truth = HiddenPhoton(1e-3, 30.0, 1e-3 / 20)  # positive: nu_mu interfere constructively
    joint = lmt.Joint.asimov([lmt.ess10(), lmt.ess()], truth)
    scan = lmt.profile(joint, BOTH_SIGNS, points=9, x_range=(20.0, 45.0), y_range=(7e-4, 1.5e-3))
    assert np.all(scan.profiled["eps_over_g"][scan.delta < 20.0] > 0.0)


@pytest.mark.parametrize("seed", range(12))
def test_profiles_of_random_data(seed):
    """Finite, never negative, and never above the likelihood at the inner parameters of the truth."""
    random = np.random.default_rng(seed)
    g, mass, ratio = np.exp(random.uniform(np.log([1e-4, 2.0, 1e-3]), np.log([3e-3, 500.0, 0.2])))
    ratio *= random.choice([-1.0, 1.0])
    experiments = [lmt.na64mu(), lmt.ess10(), lmt.ess()]
    joint = lmt.Joint.toy(jax.random.key(seed), experiments, HiddenPhoton(g, mass, ratio * g))
    scan = lmt.profile(joint, FREE, points=20)
    assert np.all(np.isfinite(scan.delta)) and np.all(scan.delta >= 0.0)
    assert np.isfinite(scan.minus_two_log_likelihood) and scan.minus_two_log_likelihood >= 0.0
    masses, couplings = np.meshgrid(scan.x_values, scan.y_values, indexing="ij")

    def at(ratios):
        theta = HiddenPhoton(couplings, masses, ratios * couplings)
        return -2 * np.asarray(joint.log_likelihood(theta, systematics="profiled"))

    own = scan.delta + scan.minus_two_log_likelihood
    assert np.all(own <= at(ratio) * (1 + 1e-9) + 1e-6)
    for _ in range(20):  # nor at any other mixing of the box
        size = 0.3 * 10.0 ** random.uniform(-4.0, 0.0, own.shape)
        assert np.all(own <= at(size * random.choice([-1.0, 1.0], own.shape)) * (1 + 1e-9) + 1e-4)
    np.testing.assert_allclose(own, at(scan.profiled["eps_over_g"]), rtol=1e-8, atol=1e-6)
    best = -2 * float(joint.log_likelihood(scan.theta, systematics="profiled"))
    assert best == pytest.approx(scan.minus_two_log_likelihood, rel=1e-8, abs=1e-6)


def test_newton_steps_end_at_a_known_minimum():
    """Projected steps on the quartic valley of a CEvNS likelihood in eps, started at the edges of the box."""
    joint = data("BP1", experiments=(lmt.ess10,))
    deviance = Deviance(as_likelihood(make_target(joint, FREE)))
    t = np.tile([np.log(5e-4), np.log(15.0), 0.0], (2, 1))
    t[:, 2] = [edge[2] for edge in deviance.box]
    moved, value = minimise_points(deviance, t, np.ones(2), (2,))
    ratio = 0.01 * np.sinh(moved[:, 2])
    assert value.min() < 1e-6 and ratio[np.argmin(value)] == pytest.approx(-1 / 70, rel=1e-3)
    np.testing.assert_array_equal(moved[:, :2], t[:, :2])


def test_a_second_data_set_compiles_nothing():
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration, **_: compiled.append(event) if "backend_compile" in event else None
    )
    options = {"points": 20, "x_range": (3.0, 200.0), "y_range": (1e-4, 3e-3)}
    lmt.profile(data("BP1"), FREE, **options)
    compiled.clear()
    lmt.profile(data("BP2"), FREE, **options)
    assert not compiled


# ------------------------------------------------------------------------------------ regions and limits
def test_levels_are_those_of_chi_squared():
    assert delta_chi2(ONE_SIGMA, 2) == pytest.approx(2.30, abs=5e-3)
    assert delta_chi2(TWO_SIGMA, 2) == pytest.approx(6.18, abs=5e-3)
    assert delta_chi2(0.9, 2) == pytest.approx(4.605, abs=1e-3)
    assert delta_chi2(0.9, 1) == pytest.approx(2.706, abs=1e-3)
    assert chi2.cdf(delta_chi2(0.37, 2), 2) == pytest.approx(0.37)


def test_intervals_of_known_curves():
    grid = np.linspace(-5.0, 5.0, 101)
    closed = interval("q", grid, (grid - 1.0) ** 2 / 4.0, ONE_SIGMA, 1)
    assert closed.closed and closed.pieces == ((pytest.approx(-1.0, abs=1e-3), pytest.approx(3.0, abs=1e-3)),)
    assert str(closed) == "q -1 ... 3 at 0.6827"
    below = interval("q", grid, np.where(grid < 0, 0.0, grid**2), ONE_SIGMA, 1)
    assert below.open_low and not below.open_high and not below.closed
    assert below.pieces[0] == (-5.0, pytest.approx(1.0, abs=1e-3)) and "open below" in str(below)
    above = interval("q", grid, np.where(grid > 0, 0.0, grid**2), ONE_SIGMA, 1)
    assert above.open_high and "open above" in str(above)
    both = interval("q", grid, 0.0 * grid, ONE_SIGMA, 1)
    assert both.pieces == ((-5.0, 5.0),) and "not bounded" in str(both)
    two = interval("q", grid, (grid**2 - 9.0) ** 2, ONE_SIGMA, 1)
    assert len(two.pieces) == 2 and " or " in str(two)
    none = interval("q", grid, 7.0 + 0.0 * grid, ONE_SIGMA, 1)
    assert none.pieces == () and not none.closed and "nowhere" in str(none)


def test_limits_of_known_curves():
    grid = np.geomspace(1e-4, 1e-2, 60)
    threshold = delta_chi2(0.9, 2)
    assert last_crossing(grid, (grid / 1e-3) ** 4, threshold) == pytest.approx(
        1e-3 * threshold**0.25, rel=1e-4
    )
    assert np.isinf(last_crossing(grid, 0.0 * grid, threshold))
    assert np.isnan(last_crossing(grid, 0.0 * grid + 5.0, threshold))
    infinite = np.where(grid > 5e-3, np.inf, (grid / 1e-3) ** 4)
    assert last_crossing(grid, infinite, threshold) == pytest.approx(1e-3 * threshold**0.25, rel=1e-3)


@pytest.mark.parametrize("name", lmt.BENCHMARKS)
def test_upper_limit_of_ccm(name):
    """7e-4 at light masses (90%, two parameters; 2104.03297, section 4), against a scan over g at 1 MeV."""
    joint = data(name, experiments=(lmt.ccm,))
    scan = lmt.profile(joint, TIED, points=(40, 200))
    limit = scan.upper_limit(0.9)[0]
    assert limit == pytest.approx(7e-4, rel=0.15)
    g = np.geomspace(1e-5, 1e-2, 20_001)
    line = -2 * np.asarray(joint.log_likelihood(HiddenPhoton(g, 1.0, -g / 70), systematics="profiled"))
    line -= scan.minus_two_log_likelihood
    assert limit == pytest.approx(g[line < delta_chi2(0.9, 2)].max(), rel=2e-3)
    alone = scan.upper_limit(0.9, dof=1)[0]
    assert alone == pytest.approx(g[line - line.min() < delta_chi2(0.9, 1)].max(), rel=2e-3)
    assert alone < limit


@pytest.mark.parametrize("detector", (lmt.cenns610, lmt.ccm, lmt.ess, lmt.ess10), ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", lmt.BENCHMARKS)
def test_which_contours_close(name, detector):
    """Closed in g for BP1 and BP2 at ESS and ESS10, open below for BP3 and BP4 and at the other detectors
    (fig 7)."""
    scan = lmt.profile(data(name, experiments=(detector,)), TIED, points=100)
    found = scan.interval("g_x", TWO_SIGMA, dof=2)
    closes = name in ("BP1", "BP2") and detector in (lmt.ess, lmt.ess10)
    assert found.open_low == (not closes)


# --------------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    "options, named",
    [
        ({"x": "masss"}, "x must be one of .*did you mean 'mass'"),
        ({"y": "eps_x"}, "y must be one of"),
        ({"x": "g_x"}, "two parameters"),
        ({"points": 2}, "points"),
        ({"points": (10, 10, 10)}, "points"),
        ({"points": 20.5}, "points"),
        ({"x_range": (0.1, 10.0)}, r"x_range.*\[1, 1000\]"),
        ({"y_range": (1e-3, 1e-4)}, "y_range"),
        ({"y_range": (1e-3,)}, "y_range"),
        ({"x_range": (np.nan, 10.0)}, "x_range"),
        ({"systematics": "marginals"}, "systematics"),
    ],
    ids=str,
)
def test_bad_arguments_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        lmt.profile(data("BP1", experiments=(lmt.ess10,)), FREE, **options)


def test_axes_need_a_box_of_one_sign():
    joint = data("BP1", experiments=(lmt.ess10,))
    with pytest.raises(ValueError, match="y must be a parameter with a box prior of one sign"):
        lmt.profile(joint, BOTH_SIGNS, y="eps_over_g")


@pytest.mark.parametrize("level", (0.0, 1.0, 68, np.nan, "most"))
def test_levels_are_probabilities(level):
    with pytest.raises(ValueError, match="level"):
        delta_chi2(level, 2)
