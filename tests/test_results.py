"""The container, its file, its quality gates and its summary, against exact answers and arviz."""

import json
import subprocess
import sys
import threading

import arviz
import numpy as np
import pytest
from scipy import stats

from jaxlmt import results
from jaxlmt.experiments.solar_recoils import ANGLES, SHAPE, flux_name
from jaxlmt.sources.solar import SOURCES

CHAINS, DRAWS = 4, 1000
ATTRS = {
    "bounds": {"g_x": (1e-5, 1e-2), "mass": [1.0, 1e3]},
    "flat_in": {"g_x": "log", "mass": "log"},
    "versions": {"jaxlmt": "0.1", "nested": [1, 2.5, None, True, {"deep": "yes"}]},
    "title": "BP1",
    "greek": "εx, λ",
    "empty": "",
    "tricky": "json:not json",
    "seed": 0,
    "numpy": np.float64(0.1),
    "array": np.array([1.0, 2.0]),
    "nothing": None,
    "flag": True,
}


def normal(seed=0, shape=(CHAINS, DRAWS)):
    return np.random.default_rng(seed).standard_normal(shape)


def autoregressive(rho, seed=0, shape=(CHAINS, DRAWS)):
    noise = normal(seed, shape)
    x = noise.copy()
    for i in range(1, shape[1]):
        x[:, i] = rho * x[:, i - 1] + np.sqrt(1 - rho**2) * noise[:, i]
    return x


def full_container():
    rng = np.random.default_rng(3)
    return results.build(
        {"g_x": 5e-4 * np.exp(0.04 * normal(1)), "charges.tau": normal(2), "count": normal(2) > 0},
        sample_stats={"diverging": rng.random((CHAINS, DRAWS)) < 0.01, "lp": normal(4)},
        log_likelihood={"na64mu": normal(5), "ess10": normal(6)},
        posterior_predictive={"na64mu": rng.random((CHAINS, DRAWS, 9)), "2g": normal(7)[..., None]},
        observed={"na64mu": np.arange(9), "2g": [np.nan]},
        attrs=ATTRS,
    )


# --- container and file


def test_container_is_that_of_the_arviz_line_and_arviz_reads_it():
    container = full_container()
    if int(arviz.__version__.split(".")[0]) < 1:
        assert type(container) is arviz.InferenceData
    else:
        import xarray

        assert type(container) is xarray.DataTree
    predictive = results.group(container, "posterior_predictive")
    assert predictive["na64mu"].dims == ("chain", "draw", "na64mu_bin")
    assert results.group(container, "observed_data")["na64mu"].dims == ("na64mu_bin",)
    assert set(results.group(container, "log_likelihood").data_vars) == {"na64mu", "ess10"}
    table = arviz.summary(container, var_names=["charges.tau"])
    assert float(table["sd"].iloc[0]) == pytest.approx(1.0, abs=0.05)


def test_draws_are_the_arrays_given_in_their_order():
    x, y = normal(1), normal(2)
    found = results.draws(results.build({"y": y, "x": x}))
    assert list(found) == ["y", "x"]
    np.testing.assert_array_equal(found["x"], x)
    np.testing.assert_array_equal(found["y"], y)


def test_groups_not_given_do_not_exist():
    container = results.build({"x": normal()})
    with pytest.raises(ValueError, match="no group 'sample_stats'"):
        results.group(container, "sample_stats")
    with pytest.raises(ValueError, match="container: got dict"):
        results.draws({"x": 1})


def test_file_round_trip_is_exact(tmp_path):
    container = full_container()
    path = results.save(container, tmp_path / "posterior.nc")
    back = results.load(path)
    assert type(back) is type(container)
    names = ("posterior", "sample_stats", "log_likelihood", "posterior_predictive", "observed_data")
    for name in names:
        before, after = results.group(container, name), results.group(back, name)
        assert before.identical(after), name
        for variable in before.variables:
            assert before[variable].dtype == after[variable].dtype
    assert list(results.draws(back)) == list(results.draws(container))
    assert results.attributes(back) == results.attributes(container)
    path.unlink()  # nothing is read lazily, no handle is left
    assert np.all(np.isfinite(results.draws(back)["g_x"]))


def test_attributes_are_decoded():
    found = results.attributes(full_container())
    expected = {**ATTRS, "bounds": {"g_x": [1e-5, 1e-2], "mass": [1.0, 1e3]}, "array": [1.0, 2.0]}
    assert found == expected
    assert type(found["seed"]) is int and found["flag"] is True
    assert type(found["numpy"]) is float


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "posterior.nc"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        results.save(results.build({"x": normal()}), path)
    assert path.read_bytes() == b"precious"
    results.save(results.build({"x": normal()}), path, overwrite=True)
    np.testing.assert_array_equal(results.draws(results.load(path))["x"], normal())
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_no_half_file(tmp_path, monkeypatch):
    import xarray

    path = tmp_path / "posterior.nc"
    written = []

    def interrupted(self, target, **_):
        with open(target, "wb") as file:
            file.write(b"half")
        written.append(target)
        raise KeyboardInterrupt

    monkeypatch.setattr(xarray.DataTree, "to_netcdf", interrupted)
    with pytest.raises(KeyboardInterrupt):
        results.save(results.build({"x": normal()}), path)
    assert written and list(tmp_path.iterdir()) == []


def test_load_refuses_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.nc"):
        results.load(tmp_path / "nothing.nc")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"posterior": {}}, "posterior: got {}"),
        ({"posterior": {"x": np.zeros(5)}}, r"posterior\['x'\]: got shape \(5,\)"),
        ({"posterior": {"x": normal(), "y": normal()[:2]}}, r"posterior\['y'\]: got shape"),
        ({"posterior": {"a/b": normal()}}, "got the name 'a/b'"),
        ({"posterior": {"chain": normal()}}, "got the name 'chain'"),
        ({"posterior": {"x": normal() + 1j}}, "dtype complex128"),
        ({"sample_stats": {"diverging": normal()}}, "must be bool"),
        ({"sample_stats": {"lp": normal()[:, :5]}}, r"sample_stats\['lp'\]: got shape"),
        ({"log_likelihood": {"ess-10": normal()}}, "letters, digits and underscore"),
        ({"posterior_predictive": {"a": normal()}}, r"must be \(4, 1000, bins,\)"),
        ({"observed": {"a": np.zeros((2, 2))}}, r"must be \(bins,\)"),
        (
            {"posterior_predictive": {"a": normal()[..., None]}, "observed": {"a": [1, 2]}},
            "another group has 1",
        ),
        ({"observed": {"a": [1], "a_bin": [1]}}, "bin dimension"),
        ({"attrs": {"prior": object()}}, r"attrs\['prior'\]: got <object"),
        ({"attrs": {"a": {1: 2}}}, "keys must be strings"),
        ({"attrs": {"a/b": 2}}, "must start with a letter"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        results.build(**{"posterior": {"x": normal()}, **arguments})


def test_import_needs_neither_arviz_nor_matplotlib():
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('results', {results.__file__!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['results'] = module\n"
        "spec.loader.exec_module(module)\n"
        "print([m for m in ('arviz', 'matplotlib', 'xarray', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- quality


def test_rhat_and_ess_are_those_of_arviz_for_the_container():
    container = results.build({"x": autoregressive(0.6), "y": normal(1) ** 3})
    quality = results.diagnostics(container)
    rhat, bulk = arviz.rhat(container), arviz.ess(container, method="bulk")
    tail = arviz.ess(container, method="tail", prob=0.9)
    if hasattr(rhat, "children") and "posterior" in rhat.children:
        rhat, bulk, tail = rhat["posterior"], bulk["posterior"], tail["posterior"]
    for name in ("x", "y"):
        assert quality.rhat[name] == pytest.approx(float(rhat[name]), rel=1e-12)
        assert quality.ess_bulk[name] == pytest.approx(float(bulk[name]), rel=1e-12)
        assert quality.ess_tail[name] == pytest.approx(float(tail[name]), rel=1e-12)
    assert quality.passed and quality.warnings == ()
    assert quality.worst_rhat == max(quality.rhat.values())
    assert quality.smallest_ess == min(*quality.ess_bulk.values(), *quality.ess_tail.values())


def test_ess_of_an_autoregression_is_the_exact_one():
    rho = 0.8
    x = autoregressive(rho, shape=(4, 25_000))
    quality = results.diagnostics(results.build({"x": x}))
    assert quality.ess_bulk["x"] == pytest.approx(x.size * (1 - rho) / (1 + rho), rel=0.15)
    assert quality.total_draws == 100_000 and quality.chains == 4


def test_chains_that_disagree_do_not_pass():
    x = normal() + np.array([[0.0], [0.0], [0.0], [1.0]])
    quality = results.diagnostics(results.build({"x": x, "good": normal(9)}))
    # split R-hat^2 = 1 + B/W with the variance 3/12 of the means about theirs, ddof 1 over 8 halves
    assert quality.rhat["x"] == pytest.approx(np.sqrt(1 + 0.25 * 8 / 7 * 0.75), rel=0.02)
    assert not quality.passed
    assert any("R-hat" in w and "x (1." in w and "good" not in w for w in quality.warnings)


def test_few_effective_draws_do_not_pass():
    quality = results.diagnostics(results.build({"x": autoregressive(0.95)}))
    assert quality.smallest_ess < 400 and not quality.passed
    assert any(w.startswith("Bulk ESS") for w in quality.warnings)
    assert any(w.startswith("Tail ESS") for w in quality.warnings)


@pytest.mark.parametrize(("number", "passed"), [(0, True), (1, True), (3, True), (4, False)])
def test_divergences_are_counted_and_gated_at_a_thousandth(number, passed):
    diverging = np.zeros(CHAINS * DRAWS, bool)
    diverging[:number] = True
    container = results.build({"x": normal()}, sample_stats={"diverging": diverging.reshape(CHAINS, DRAWS)})
    quality = results.diagnostics(container)
    assert quality.divergences == number
    assert quality.passed is passed
    assert len(quality.warnings) == (number > 0)
    if number:
        assert f"{number} divergent" in quality.warnings[0]
        assert f"{number / 40:.2g}%" in quality.warnings[0]
        assert ("biased" in quality.warnings[0]) is not passed


def test_one_chain_has_no_rhat_and_does_not_pass():
    quality = results.diagnostics(results.build({"x": normal(shape=(1, 4000))}))
    assert np.isnan(quality.worst_rhat) and quality.smallest_ess > 400
    assert not quality.passed
    assert "two" in quality.warnings[0]


def test_fixed_variables_are_set_aside():
    fixed = np.full((CHAINS, DRAWS), 0.1)
    container = results.build({"x": normal(), "charges.tau": fixed})
    quality = results.diagnostics(container)
    assert quality.constant == ("charges.tau",)
    assert set(quality.rhat) == set(quality.ess_bulk) == {"x"}
    assert quality.passed
    row = results.summary(container)["charges.tau"]
    assert (row.status, row.median, row.sd) == ("fixed", 0.1, 0.0)
    assert not results.diagnostics(results.build({"charges.tau": fixed})).passed


def test_bad_draws_do_not_pass():
    x = normal()
    x[2] = x[2, 0]  # a chain that never moved
    assert not results.diagnostics(results.build({"x": x})).passed
    x = normal()
    x[0, 0] = np.nan
    container = results.build({"x": x})
    assert not results.diagnostics(container).passed
    with pytest.raises(ValueError, match="1 draws of 'x' are not finite"):
        results.summary(container)


# --- intervals and limits


@pytest.mark.parametrize("prob", [0.5, 0.68, 0.95])
def test_hdi_of_a_normal_is_the_exact_one(prob):
    x = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000).reshape(4, -1)
    exact = stats.norm.interval(prob)
    assert results.hdi(x, prob) == pytest.approx(exact, abs=2e-3)


def test_hdi_of_an_exponential_starts_at_zero():
    x = stats.expon.ppf((np.arange(100_000) + 0.5) / 100_000)
    low, high = results.hdi(x, 0.9)
    assert low < 1e-4 and high == pytest.approx(np.log(10), abs=1e-3)


@pytest.mark.parametrize("prob", [0.68, 0.95])
def test_hdi_is_that_of_arviz(prob):
    x = np.random.default_rng(0).gamma(3.0, size=5001)
    keyword = "hdi_prob" if int(arviz.__version__.split(".")[0]) < 1 else "prob"
    # arviz may count one draw more or less: a spacing near the ends of the interval
    np.testing.assert_allclose(results.hdi(x, prob), arviz.hdi(x, **{keyword: prob}), atol=0.01)


def test_hdi_refuses_bad_input():
    for prob in (0.0, 1.0, 68):
        with pytest.raises(ValueError, match=f"prob: got {prob}"):
            results.hdi(np.zeros(3), prob)
    with pytest.raises(ValueError, match="1 of them not finite"):
        results.hdi([1.0, np.inf], 0.5)


def truncated(centre, low=0.0, high=50.0, seed=0):
    """A normal of unit width in the box [low, high]."""
    u = np.random.default_rng(seed).random((CHAINS, DRAWS))
    return stats.truncnorm.ppf(u, low - centre, high - centre, loc=centre)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("centre", "expected"),
    [
        (10.0, (False, False)),
        (3.0, (False, False)),  # 1.1% of the peak at the edge
        (1.6, (True, False)),  # 28%
        (0.0, (True, False)),
        (-5.0, (True, False)),  # an exponential at the edge of a box 250 times as wide
        (25.0, (False, False)),
        (47.0, (False, False)),
        (48.4, (False, True)),
        (52.0, (False, True)),
    ],
)
def test_open_edges_of_truncated_normals(centre, expected, seed):
    assert results.open_edges(truncated(centre, seed=seed), (0.0, 50.0)) == expected


def test_open_edges_of_the_prior_itself_whatever_its_coordinate():
    u = np.random.default_rng(1).random((CHAINS, DRAWS))
    boxes = {
        "linear": ((-3.0, 8.0), lambda t: t),
        "log": ((np.log(1e-3), np.log(1e3)), np.exp),
        "asinh:1e-3": ((-np.arcsinh(100.0), np.arcsinh(100.0)), lambda t: 1e-3 * np.sinh(t)),
    }
    for flat_in, ((low, high), back) in boxes.items():
        values = back(low + (high - low) * u)
        box = (back(low), back(high))
        assert results.open_edges(values, box, flat_in=flat_in) == (True, True), flat_in
    # in the wrong coordinate a flat prior in log looks closed at its high edge
    assert results.open_edges(np.exp(13.8 * u), (1.0, np.exp(13.8))) == (True, False)


def test_open_edges_with_heavy_tails_two_modes_and_no_edge():
    rng = np.random.default_rng(2)
    tails = 1e-6 * rng.standard_cauchy((CHAINS, DRAWS)).clip(-900, 900)
    assert results.open_edges(tails, (-1e-3, 1e-3)) == (False, False)
    modes = np.where(rng.random((CHAINS, DRAWS)) < 0.3, 5.0, -5.0) + 0.1 * normal()
    assert results.open_edges(modes, (-10.0, 10.0)) == (False, False)
    piled = np.where(modes > 0, 10 - np.abs(modes - 5), modes)
    assert results.open_edges(piled, (-10.0, 10.0)) == (False, True)
    assert results.open_edges(truncated(0.0), (None, np.inf)) == (False, False)


def test_open_edges_refuses_bad_input():
    with pytest.raises(ValueError, match=r"bounds\['x'\].*must contain them"):
        results.open_edges(normal(), (0.0, 10.0))
    with pytest.raises(ValueError, match=r"flat_in\['m'\]: got 'cube'"):
        results.open_edges(normal(), (-9, 9), flat_in="cube", name="m")
    for bounds in ((3.0, 1.0), (1.0,), "ab", (0.0, np.nan)):
        with pytest.raises(ValueError, match=r"bounds\['x'\]: got"):
            results.open_edges(normal(), bounds)


def open_container():
    u = np.random.default_rng(5).random((CHAINS, DRAWS))
    return results.build(
        {
            "g_x": 5e-4 * np.exp(0.04 * normal(1)),
            "mass": 25.0**u,  # flat in log from the edge of the box at 1 MeV
            "eps_x": -7e-6 + 2e-6 * normal(2),
            "charges.tau": -1.5 + 2 * u,
            "charges.mu": 0.5 - truncated(0.0) / 10,
            "norm": 1 + 0.05 * normal(3),
        },
        attrs={
            **ATTRS,
            "bounds": {
                **ATTRS["bounds"],
                "charges.tau": [-1.5, 0.5],
                "charges.mu": [-5.0, 0.5],
            },
        },
    )


def test_summary_quotes_intervals_where_closed_and_limits_where_open():
    summary = results.summary(open_container())
    g = summary["g_x"]
    assert (g.status, g.limit, g.scale, g.unit) == ("interval", None, "log", "")
    assert np.log(g.interval[1] / g.interval[0]) == pytest.approx(2 * 0.9945 * 0.04, rel=0.06)
    assert np.log(g.wide_interval[1] / g.wide_interval[0]) == pytest.approx(3.92 * 0.04, rel=0.06)
    mass = summary["mass"]
    assert (mass.status, mass.open, mass.unit) == ("upper limit", "low", "MeV")
    assert mass.limit == pytest.approx(25**0.95, rel=0.02)
    mu = summary["charges.mu"]
    assert (mu.status, mu.open) == ("lower limit", "high")
    assert mu.limit == pytest.approx(0.5 - 0.196, abs=0.01)
    assert summary["charges.tau"].status == "unconstrained"
    assert summary["charges.tau"].limit is None
    eps = summary["eps_x"]
    assert (eps.status, eps.scale) == ("interval", "linear")
    assert eps.mean == pytest.approx(-7e-6, abs=1e-7)
    assert eps.sd == pytest.approx(2e-6, rel=0.05)
    assert eps.interval == results.hdi(results.draws(open_container())["eps_x"], 0.68)


def test_hpd_of_a_log_variable_is_narrowest_in_the_logarithm():
    u = (np.arange(CHAINS * DRAWS) + 0.5) / (CHAINS * DRAWS)
    mass = np.random.default_rng(0).permutation(np.exp(3 + 0.8 * stats.norm.ppf(u)))
    row = results.summary(results.build({"mass": mass.reshape(CHAINS, DRAWS)}))["mass"]
    exact = 3 + 0.8 * np.array(stats.norm.interval(0.68))
    assert np.log(row.interval) == pytest.approx(exact, abs=0.04)


def test_summary_options():
    container = open_container()
    summary = results.summary(
        container, variables=["norm", "mass"], prob=0.9, limit_prob=0.99, bounds={"mass": (0.1, 50)}
    )
    assert [row.name for row in summary.rows] == ["norm", "mass"]
    assert summary["mass"].status == "interval"  # the given box replaces the stored one
    low, high = summary["norm"].interval
    assert high - low == pytest.approx(2 * 1.645 * 0.05, rel=0.06)
    low, high = summary["norm"].wide_interval
    assert high - low == pytest.approx(2 * 2.576 * 0.05, rel=0.1)
    with pytest.raises(KeyError, match="'g_x' is not in this summary"):
        summary["g_x"]
    with pytest.raises(ValueError, match="variables: got 'm'"):
        results.summary(container, variables=["m"])
    with pytest.raises(ValueError, match="bounds: got 'm'"):
        results.summary(container, bounds={"m": (0, 1)})
    with pytest.raises(ValueError, match="limit_prob: got 95"):
        results.summary(container, limit_prob=95)


def test_printed_summary_starts_with_the_warnings():
    good = str(results.summary(open_container()))
    assert "WARNING" not in good
    assert "upper limit (95%): < " in good and "lower limit (95%): > " in good
    assert "unconstrained" in good and "mass [MeV]" in good and "68% HPD" in good
    bad = str(results.summary(results.build({"x": autoregressive(0.97)})))
    assert bad.startswith("WARNING")
    assert bad.index("ESS is not above 400") < bad.index("variable")
    table = [line for line in good.splitlines() if line.startswith(("variable", "g_x", "eps_x"))]
    assert len({line.index("[") for line in table[1:]}) == 1  # columns line up
    assert table[0].index("68% HPD") == table[1].index("[")


def test_summary_is_strict_json():
    for container in (open_container(), results.build({"x": normal(shape=(1, 50))})):
        summary = results.summary(container)
        text = json.dumps(summary.to_dict(), allow_nan=False)
        back = json.loads(text)
        for row in summary.rows:
            found = back["variables"][row.name]
            assert found["status"] == row.status
            assert found["median"] == row.median
            assert found["interval"] == list(row.interval)
        assert back["quality"]["warnings"] == list(summary.diagnostics.warnings)
        assert back["quality"]["passed"] is summary.diagnostics.passed


def test_labels():
    assert results.DISPLAY["mass"].label == r"$M_{A^\prime}$ [MeV]"
    assert results.DISPLAY["g_x"].label == "$g_x$"
    assert results.DISPLAY["theta23"].label == r"$\theta_{23}$ [deg]"
    for name in (*ANGLES, SHAPE, *map(flux_name, SOURCES), "sin2_theta_w"):  # what experiments share
        assert results.DISPLAY[name].nuisance
    assert results.axis_scale(open_container(), "mass") == "log"
    assert results.axis_scale(results.build({"mass": normal()}), "mass") == "linear"
    container = results.build({"mass": np.exp(normal())}, attrs={"flat_in": {"mass": "linear"}})
    assert results.axis_scale(container, "mass") == "linear"


def test_two_threads(tmp_path):
    failures = []

    def work(i):
        try:
            path = results.save(results.build({"x": normal(i)}), tmp_path / f"{i}.nc")
            np.testing.assert_array_equal(results.draws(results.load(path))["x"], normal(i))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
