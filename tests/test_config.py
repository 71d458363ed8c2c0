"""The schema of an analysis: every default, every distribution, every mistake by its full name."""

import copy
import inspect

import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt import LogUniform, Normal, PerCoupling, SignedLogUniform, SymmetricAsinh, TiedToCoupling, Uniform
from jaxlmt.config import (
    EXPERIMENTS,
    FACTORIES,
    MIXING_PRIORS,
    SAMPLER,
    TYPES,
    distribution,
    experiment,
    prior,
    resolve,
)
from jaxlmt.formats import read_toml, write_toml

MINIMAL = {"experiments": {"gminus2": {}}}


def resolved(table, **changes):
    return resolve({**table, **changes}, label="test", folder=".")


def refusal(table):
    with pytest.raises(ValueError) as error:
        resolve(table, label="test", folder=".")
    assert "\n" not in str(error.value)
    return str(error.value)


# --- defaults -------------------------------------------------------------------------------------


def test_defaults_of_a_minimal_analysis():
    table = resolved(MINIMAL)
    assert table["label"] == "test" and table["plots"] == ["corner", "spectra"]
    assert "truth" not in table and table["model"] == {"name": "lmu-ltau", "running": False}
    assert table["experiments"] == {"gminus2": {"data": "measured", "measurement": "2021"}}
    assert table["sampler"] == SAMPLER
    default = lmt.default_prior().theta
    for name, leaf in vars(prior(table).theta).items():
        assert repr(leaf) == repr(getattr(default, name))


def test_sampler_defaults_are_those_of_sample():
    signature = inspect.signature(lmt.sample).parameters
    assert {name: signature[name].default for name in SAMPLER if name != "seed"} == {
        name: value for name, value in SAMPLER.items() if name != "seed"
    }


def test_fields_of_experiments_are_those_of_their_factories():
    table = resolved({"truth": {"benchmark": "BP1"}, "experiments": {name: {} for name in EXPERIMENTS}})
    for name, entry in table["experiments"].items():
        parameters = inspect.signature(FACTORIES[name]).parameters
        written = {n for n, p in parameters.items() if p.default is not None}
        assert set(entry) == {"data", *written}, name
    assert table["experiments"]["ess10"]["bin_edges"] == [0.1, 20.0, 40.0, 60.0, 80.0, 100.0]
    assert table["experiments"]["cenns610"]["signal_norm"] == {"normal": [1.0, 0.085]}
    assert table["experiments"]["ccm"]["isotope"] == "40Ar"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_default_experiment_is_that_of_its_factory(name):
    table = resolved({"truth": {"benchmark": "BP1"}, "experiments": {name: {}}})
    assert experiment(name, table["experiments"][name]) is FACTORIES[name]()


def test_resolving_changes_nothing_twice_and_nothing_of_the_given():
    given = {
        "truth": {"benchmark": "BP3", "eps_x": -1e-5},
        "model": {"name": "lmu", "charges": {"tau": {"uniform": [-1.5, 0.5]}}},
        "prior": {"g_x": {"log_uniform": {"low": 1e-4, "high": 1e-2}}, "mass": 50, "eps_x": "negative"},
        "experiments": {
            "na64mu": {"preset": "paper", "signal_norm": {"normal": [1, 0.1]}, "data": "toy"},
            "mine": {"type": "ess", "isotope": {"name": "Ne", "z": 10, "a": 20, "atomic_mass_u": 19.99}},
        },
        "sampler": {"draws": 10.0},
    }
    before = copy.deepcopy(given)
    once = resolved(given)
    assert given == before
    assert resolved(once) == once
    assert once["prior"]["eps_x"] == {"per_coupling": {"log_uniform": [1e-5, 0.3, -1.0]}}
    assert once["experiments"]["na64mu"] == {
        "data": "toy",
        "preset": "paper",
        "signal_norm": {"normal": [1.0, 0.1]},
    }
    assert once["sampler"]["draws"] == 10 and isinstance(once["sampler"]["draws"], int)


# --- distributions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "kind", "numbers"),
    [
        ({"uniform": [1, 2]}, Uniform, {"low": 1.0, "high": 2.0}),
        ({"log_uniform": [1, 2]}, LogUniform, {"low": 1.0, "high": 2.0, "sign": 1}),
        ({"log_uniform": [1, 2, -1]}, LogUniform, {"low": 1.0, "high": 2.0, "sign": -1}),
        ({"log_uniform": {"high": 2, "low": 1}}, LogUniform, {"low": 1.0, "high": 2.0}),
        ({"symmetric_asinh": [0.01, 0.3]}, SymmetricAsinh, {"scale": 0.01, "bound": 0.3}),
        ({"asinh_uniform": [0.01, -0.9, 0.3]}, lmt.AsinhUniform, {"scale": 0.01, "low": -0.9, "high": 0.3}),
        ({"signed_log_uniform": [1e-5, 0.3]}, SignedLogUniform, {"low": 1e-5, "high": 0.3}),
        ({"normal": [1, 0.05]}, Normal, {"mean": 1.0, "std": 0.05}),
        ({"tied": -0.02}, TiedToCoupling, {"ratio": -0.02}),
        ({"tied": [-0.02]}, TiedToCoupling, {"ratio": -0.02}),
    ],
)
def test_distributions_by_name(table, kind, numbers):
    made = distribution("key", table)
    assert type(made) is kind
    assert {name: getattr(made, name) for name in numbers} == numbers
    if kind in (LogUniform, SymmetricAsinh):
        wrapped = distribution("key", {"per_coupling": table})
        assert type(wrapped) is PerCoupling and type(wrapped.ratio) is kind


def test_every_distribution_has_a_name():
    from jaxlmt import distributions
    from jaxlmt.config import DISTRIBUTIONS

    abstract = (distributions.Distribution, distributions.Box, distributions._FlatInAsinh)
    kinds = {
        kind
        for _, kind in inspect.getmembers(distributions, inspect.isclass)
        if issubclass(kind, distributions.Distribution) and kind not in abstract
    }
    assert kinds == set(DISTRIBUTIONS.values())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"loguniform": [1, 2]}, "unknown key k.loguniform (did you mean k.log_uniform?)"),
        ({}, "k must hold one distribution; got none"),
        ({"uniform": [1, 2], "normal": [1, 2]}, "k must hold one distribution; got uniform, normal"),
        ({"uniform": [1]}, "k.uniform.high is missing"),
        ({"uniform": [1, 2, 3]}, "k.uniform takes low, high; got 3 values"),
        ({"uniform": {"low": 1, "hihg": 2}}, "unknown key k.uniform.hihg (did you mean k.uniform.high?)"),
        ({"uniform": [2, 1]}, "k.uniform.high must be"),
        ({"uniform": ["1", 2]}, "k.uniform.low must be a finite number"),
        ({"uniform": [1, float("inf")]}, "k.uniform.high must be a finite number"),
        ({"uniform": [[1], 2]}, "k.uniform.low must be"),
        ({"log_uniform": [0, 1]}, "k.log_uniform.low must be"),
        ({"log_uniform": [1, 2, 3]}, "k.log_uniform.sign must be"),
        ({"log_uniform": [1, 2, 0]}, "k.log_uniform.sign must be 1 or -1"),
        ({"normal": [1, 0]}, "k.normal.std must be"),
        ({"tied": True}, "k.tied.ratio must be a finite number"),
        ({"per_coupling": [1, 2]}, "k.per_coupling must be a table of"),
        ({"per_coupling": {"normal": [0, 1]}}, "k.per_coupling: PerCoupling takes a box prior"),
        ({"per_coupling": {"uniform": [1]}}, "k.per_coupling.uniform.high is missing"),
    ],
)
def test_distributions_that_are_none(table, message):
    with pytest.raises(ValueError) as error:
        distribution("k", table)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("name", MIXING_PRIORS)
def test_named_mixing_prior(name):
    table = resolved(MINIMAL, prior={"eps_x": name})
    mixing = prior(table).theta.eps_x
    assert repr(mixing) == repr(lmt.default_prior(mixing=MIXING_PRIORS[name]).theta.eps_x)
    assert resolved(table) == table


# --- truth and model ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", lmt.BENCHMARKS)
def test_benchmark_is_resolved_to_its_numbers(name):
    from jaxlmt.config import truth

    found, point = truth(resolved(MINIMAL, truth={"benchmark": name})), lmt.benchmark(name)
    assert (found.mass, found.g_x) == (point.mass, point.g_x)
    assert found.eps_x == pytest.approx(point.eps_x, rel=1e-14)
    assert found.charges is lmt.LMU_LTAU


def test_truth_with_charges_of_its_own():
    from jaxlmt.config import truth

    table = {"mass": 20, "g_x": 1e-3, "eps_x": 0, "model": "lmu", "charges": {"e": 0.1}}
    found = truth(resolved(MINIMAL, truth=table))
    assert found.eps_x == 0.0
    assert (found.charges.e, found.charges.mu, found.charges.tau) == (0.1, 1.0, 0.0)


def test_running_mixing_is_that_of_truth_and_hypothesis():
    from jaxlmt.config import truth

    table = resolved(MINIMAL, truth={"benchmark": "BP1", "running": True})
    assert truth(table).running is True and prior(table).theta.running is False
    table = resolved(MINIMAL, truth={"benchmark": "BP1"}, model={"running": True})
    assert truth(table).running is False and prior(table).theta.running is True
    assert resolved(table) == table


def test_hypothesis_with_a_free_charge():
    found = prior(resolved(MINIMAL, model={"charges": {"tau": {"uniform": [-1.5, 0.5]}}}))
    assert "charges.tau" in found.names and float(found.theta.charges.mu) == 1.0


# --- mistakes -------------------------------------------------------------------------------------

ANGLES = vars(lmt.oscillation("nufit6"))
SEEN = tuple(angle for angle in ANGLES if angle != "dm31")  # which changes nothing, and is not sampled

MISTAKES = [
    ({"experiment": {}}, "unknown key experiment (did you mean experiments?)"),
    ({"label": "a/b"}, "label must be the name of a folder"),
    ({"label": ".hidden"}, "label must be"),
    ({"label": ""}, "label must be"),
    ({"label": 3}, "label must be"),
    ({"label": "a\nb"}, "label must be"),
    ({"plots": "corner"}, "plots must be a list"),
    (
        {"plots": ["corners"]},
        "plots must be one of 'corner', 'spectra'; got 'corners' (did you mean 'corner'?)",
    ),
    ({"truth": 3}, "truth must be a table"),
    ({"truth": {}}, "truth.mass is missing"),
    ({"truth": {"mass": 15.0}}, "truth.g_x is missing"),
    ({"truth": {"benchmark": "BP5"}}, "truth.benchmark must be one of"),
    ({"truth": {"benchmark": "BP1", "mass": 3.0}}, "truth.mass and truth.benchmark exclude each other"),
    ({"truth": {"mass": "15", "g_x": 1e-3}}, "truth.mass must be a finite number"),
    ({"truth": {"mass": 15, "g_x": -1e-3}}, "truth.g_x must be"),
    ({"truth": {"mass": 15, "g_x": 10**400}}, "truth.g_x must be"),
    ({"truth": {"benchmark": "BP1", "eps_x": 0, "eps_over_g": 0}}, "truth.eps_x and truth.eps_over_g"),
    ({"truth": {"benchmark": "BP1", "eps_x": float("nan")}}, "truth.eps_x must be a finite number"),
    ({"truth": {"benchmark": "BP1", "model": "lmu"}}, "truth.eps_over_g is missing"),
    ({"truth": {"benchmark": "BP1", "charges": {"tau": {"uniform": [0, 1]}}}}, "truth.charges.tau must be"),
    ({"model": {"name": "lmu-ltauu"}}, "model.name must be one of 'lmu-ltau', 'lmu'"),
    ({"model": {"running": "yes"}}, "model.running must be True or False; got 'yes'"),
    ({"truth": {"benchmark": "BP1", "running": 1}}, "truth.running must be True or False; got 1"),
    ({"model": {"names": "lmu"}}, "unknown key model.names (did you mean model.name?)"),
    ({"model": {"charges": {"muon": 1}}}, "unknown key model.charges.muon (did you mean model.charges.mu?)"),
    ({"model": {"charges": {"tau": "free"}}}, "model.charges.tau must be a number or a distribution"),
    ({"prior": {"coupling": 1}}, "unknown key prior.coupling"),
    ({"prior": {"g_x": 0.0}}, "prior.g_x must be a finite number in (0, inf]"),
    ({"prior": {"g_x": "free"}}, "prior.g_x must be a number or a distribution"),
    ({"prior": {"eps_x": "fre"}}, "prior.eps_x must be one of 'free', 'tied'"),
    ({"prior": {"mass": {"uniform": [-1, 10]}}}, "prior: mass must have a positive support"),
    ({"prior": {"mass": 15, "g_x": 1e-3, "eps_x": 0}}, "prior: theta must leave at least one parameter free"),
    ({"experiments": {}}, "experiments must hold at least one table"),
    ({"experiments": ["ess"]}, "experiments must hold at least one table"),
    ({"experiments": {"ess": 3}}, "experiments.ess must be a table"),
    ({"experiments": {"es10": {}}}, "unknown experiment experiments.es10: "),
    ({"experiments": {"mine": {"type": "esss"}}}, "experiments.mine.type must be one of 'spallation'"),
    ({"experiments": {"my det": {"type": "ess"}}}, "experiments.my det must be named with letters"),
    ({"experiments": {"ess": {"type": "ess10"}}}, "unknown key experiments.ess.type"),
    ({"experiments": {"mine": {"type": "spallation"}}}, "experiments.mine.mass_tonne is missing"),
    (
        {"experiments": {"na64mu": {"muons": 1e12}}},
        "unknown key experiments.na64mu.muons (did you mean experiments.na64mu.muons_on_target?)",
    ),
    ({"experiments": {"ess": {"name": "a"}}}, "unknown key experiments.ess.name"),
    ({"experiments": {"ess": {"mass_tonne": True}}}, "experiments.ess.mass_tonne must be a number"),
    ({"experiments": {"ess": {"mass_tonne": {"a": 1}}}}, "unknown key experiments.ess.mass_tonne.a"),
    ({"experiments": {"ess": {"bin_edges": [10, "20"]}}}, "experiments.ess.bin_edges[1] must be"),
    ({"experiments": {"ess": {"isotope": {"name": "Xe"}}}}, "experiments.ess.isotope.z is missing"),
    ({"experiments": {"ess": {"data": "toys"}}}, "experiments.ess.data, if neither"),
    ({"experiments": {"ess": {"data": 3}}}, "experiments.ess.data must be"),
    ({"experiments": {"ess": {"data": "measured"}}}, "experiments.ess.data: no data of ess are known"),
    ({"experiments": {"ess": {"data": [1, -float("inf")]}}}, "experiments.ess.data[1] must be"),
    ({"experiments": {"ess": {"data": {"counts": [1]}}}}, "experiments.ess.data.lower_edge must be a list"),
    ({"experiments": {"ess": {"data": "no.csv"}}}, "experiments.ess.data: no.csv cannot be read"),
    ({"experiments": {"ess": {}}}, "truth is missing: experiments.ess.data, 'asimov', needs it"),
    ({"experiments": {"darwin": {"oscillation": 3}}}, "experiments.darwin.oscillation must be a table of"),
    ({"experiments": {"darwin": {"oscillation": [34.3]}}}, "experiments.darwin.oscillation must be a table"),
    ({"experiments": {"darwin": {"oscillation": {}}}}, "experiments.darwin.oscillation.theta12 is missing"),
    (
        {"experiments": {"darwin": {"oscillation": {"theta12": 34.3, "theta31": 8.6}}}},
        "unknown key experiments.darwin.oscillation.theta31 (did you mean experiments.darwin.oscillation.",
    ),
    (
        {"experiments": {"darwin": {"oscillation": {**ANGLES, "theta23": {"normal": [43.3]}}}}},
        "experiments.darwin.oscillation.theta23.normal.std is missing",
    ),
    (
        {"experiments": {"darwin": {"oscillation": {**ANGLES, "dm21": "small"}}}},
        "experiments.darwin.oscillation.dm21 must be a number or a distribution",
    ),
    ({"experiments": {"lz": {"flux_norms": 1.1}}}, "experiments.lz.flux_norms must be a table of pp, pep"),
    ({"experiments": {"lz": {"flux_norms": [1.1]}}}, "experiments.lz.flux_norms must be a table of pp, pep"),
    (
        {"experiments": {"lz": {"flux_norms": {"9B": 1.0}}}},
        "unknown key experiments.lz.flux_norms.9B (did you mean experiments.lz.flux_norms.8B?)",
    ),
    (
        {"experiments": {"xenonnt": {"flux_norms": {"8B": {"normal": [1.0, -0.1]}}}}},
        "experiments.xenonnt.flux_norms.8B.normal.std must be",
    ),
    ({"experiments": {"xenonnt": {"channel": True}}}, "experiments.xenonnt.channel must be"),
    ({"experiments": {"xenonnt": {"channel": ["nr"]}}}, "experiments.xenonnt.channel[0] must be"),
    ({"experiments": {"xenonnt": {"target": ["131Xe"]}}}, "experiments.xenonnt.target[0] must be"),
    ({"sampler": {"drawz": 10}}, "unknown key sampler.drawz (did you mean sampler.draws?)"),
    ({"sampler": {"chains": 0}}, "sampler.chains must be a whole number"),
    ({"sampler": {"chains": "4"}}, "sampler.chains must be a whole number"),
    ({"sampler": {"warmup": 99}}, "sampler.warmup must be"),
    ({"sampler": {"seed": 10**30}}, "sampler.seed must be"),
    ({"sampler": {"target_accept": 1.0}}, "sampler.target_accept must be"),
    ({"sampler": {"systematics": "profiled"}}, "sampler.systematics must be one of 'marginal', 'sampled'"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=[str(c)[:60] for c, _ in MISTAKES])
def test_mistake_is_named(changes, message):
    assert refusal({**MINIMAL, **changes}).startswith(message)


FACTORY_MISTAKES = [  # which only the factory can judge
    ("na64mu", {"kernel": "exact"}, "kernel must be one of 'ww', 'paper'"),
    ("na64mu", {"efficiency": 1.5}, "efficiency must be"),
    ("na64mu", {"muons_on_target": "1e11"}, "muons_on_target must be"),
    ("na64mu", {"muons_on_target": [1e11]}, "muons_on_target must be"),
    ("na64mu", {"muons_on_target": {"normal": [1e11, 1e9]}}, "muons_on_target must be"),
    ("na64mu", {"bin_edges_GeV": 10}, "bin_edges_GeV must be"),
    ("na64mu", {"bin_edges_GeV": "10"}, "bin_edges_GeV must be"),
    ("na64mu", {"background": [1.0, 2.0]}, "background must have shape"),
    ("na64mu", {"background": "none"}, "background must be numbers"),
    ("na64mu", {"signal_norm": {"tied": 1.0}}, "na64mu.signal_norm must be"),
    ("gminus2", {"measurement": 2021}, "measurement must be one of '2021', '2025'"),
    ("trident_ccfr", {"sin2_theta_w": -0.1}, "sin2_theta_w must be"),
    ("babar", {"preset": "papers"}, "preset must be one of 'paper'"),
    ("borexino", {"measurement": "2007"}, "measurement must be one of '2011', '2017'"),
    ("borexino", {"threshold_keV": 700.0}, "threshold_keV must lie below 66"),
    ("borexino", {"oscillation": "nufit9"}, "oscillation must be one of"),
    ("belle2", {"cos_max": 1.0}, "cos_max must lie below 1"),
    ("belle2", {"background": "none"}, "background, if no number, must be one of 'neutrinos'"),
    ("tau_charm", {"background": [1.0, 2.0]}, "background must have shape"),
    ("tau_charm", {"preset": "papers"}, "preset must be one of 'paper'"),
    ("ess", {"efficiency": 0.5}, "efficiency must be one of"),
    ("ess", {"bin_edges": [40, 20]}, "bin_edges must be"),
    ("ess", {"isotope": "133Xe"}, "experiments.ess.isotope must be one of '40Ar'"),
    ("ess", {"preset": 3}, "preset must be one of 'paper'"),
    ("ess", {"sin2_theta_w": "paper"}, "sin2_theta_w must be"),
    ("darwin", {"channel": "both"}, "channel must be one of 'nr', 'er', 'nr+er'"),
    ("darwin", {"channel": 3}, "channel must be one of"),
    ("darwin", {"oscillation": "nufit9"}, "oscillation must be one of 'nufit6', 'paper2021'; got 'nufit9'"),
    ("darwin", {"oscillation": {**ANGLES, "theta23": 0.86}}, "oscillation.theta23 must be in degrees"),
    ("darwin", {"oscillation": {**ANGLES, "theta23": {"tied": 1.0}}}, "theta23 must be a number or an indep"),
    ("darwin", {"flux_norms": "free"}, "flux_norms must be"),
    ("darwin", {"flux_norms": {"8B": -1.0}}, "flux.8B must be"),
    ("darwin", {"shape_8b": "wide"}, "shape_8b must be"),
    ("darwin", {"target": "krypton"}, "experiments.darwin.target must be one of 'xenon', '131Xe', 'argon'"),
    ("darwin", {"target": [131.0]}, "experiments.darwin.target must be one of"),
    ("darwin", {"preset": "papers"}, "preset must be one of 'paper'"),
]


@pytest.mark.parametrize(("name", "fields", "message"), FACTORY_MISTAKES, ids=str)
def test_what_a_factory_refuses_is_named(name, fields, message):
    table = resolved({"truth": {"benchmark": "BP1"}, "experiments": {name: fields}})
    with pytest.raises(ValueError) as error:
        experiment(name, table["experiments"][name])
    text = str(error.value)
    assert text.startswith(f"experiments.{name}: {message}") or text.startswith(message)


@pytest.mark.parametrize(
    ("fields", "varying"),
    [
        ({}, ()),
        ({"preset": "paper"}, ()),
        ({"oscillation": "paper2021", "flux_norms": "uncertain"}, ("flux.8B", "flux.hep")),
        ({"oscillation": ANGLES, "flux_norms": {}}, ()),
        ({"oscillation": lmt.oscillation("nufit6", uncertainties=True)}, SEEN),
        (
            {"oscillation": {**ANGLES, "delta_cp": {"uniform": [0, 180]}}, "flux_norms": {"hep": 1.2}},
            ("delta_cp",),
        ),
        (
            {"channel": "er", "flux_norms": {"pp": {"normal": [1, 0.006]}, "7Be": 0.9, "8B": Normal(1, 0.1)}},
            ("flux.pp", "flux.8B"),
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("own", (False, True))
def test_xenon_survives_a_file(fields, varying, own, tmp_path):
    name, kind = ("mine", {"type": "darwin"}) if own else ("darwin", {})
    once = resolved({"truth": {"benchmark": "BP1"}, "experiments": {name: {**kind, **fields}}})
    write_toml(tmp_path / "analysis.toml", once, comment="resolved")
    again = resolve(read_toml(tmp_path / "analysis.toml"), label="test", folder=".")
    assert again == once
    made = experiment(name, again["experiments"][name])
    assert made.name == name and set(made.nuisances) == set(varying)
    given = fields.get("oscillation")
    if isinstance(given, lmt.Oscillation):
        assert all(repr(made.nuisances[angle]) == repr(getattr(given, angle)) for angle in SEEN)
    elif isinstance(given, dict):
        fixed = {angle: value for angle, value in given.items() if angle not in varying}
        assert {angle: made.nominal[angle] for angle in fixed} == fixed


def test_detector_of_ones_own():
    fields = {
        "mass_tonne": 1.0,
        "bin_edges": [20, 40, 60, 80, 100],
        "protons_on_target": 2.8e23,
        "neutrinos_per_proton": 0.3,
        "baseline_m": 20.0,
        "signal_norm": {"normal": [1.0, 0.05]},
    }
    entries = {"mine": {"type": "spallation", **fields}, "yours": {"type": "ess"}}
    table = resolved({"truth": {"benchmark": "BP1"}, "experiments": entries})
    truth = lmt.benchmark("BP1")
    expected = np.asarray(lmt.ess().expected(truth))
    for name, entry in table["experiments"].items():
        made = experiment(name, entry)
        assert made.name == name and set(made.nuisances) == {f"{name}.signal_norm"}
        assert np.array_equal(np.asarray(made.expected(truth)), expected)


def test_every_detector_can_be_renamed():
    detectors = {"spallation", "cenns610", "ccm", "ess", "ess10", "xenon", "lz", "xenonnt", "darwin"}
    assert set(TYPES) == detectors


def test_fields_may_be_python_objects():
    table = {
        "prior": {"mass": LogUniform(1.0, 100.0)},
        "experiments": {
            "ess": {
                "signal_norm": Normal(1.0, 0.02),
                "bin_edges": np.array([20.0, 60.0]),
                "data": np.array([3.0]),
                "isotope": lmt.ARGON_40,
            }
        },
    }
    once = resolved(table)
    assert once["prior"]["mass"] == {"log_uniform": [1.0, 100.0]}
    entry = once["experiments"]["ess"]
    assert entry["signal_norm"] == {"normal": [1.0, 0.02]} and entry["isotope"] == "40Ar"
    assert entry["bin_edges"] == [20.0, 60.0] and entry["data"] == [3.0]


# --- dark matter ----------------------------------------------------------------------------------

DARK = {
    "truth": {"g_x": 5e-4, "mass": 15.0, "delta": 0.03, "dm_charge": 0.8},
    "model": {"dark_decays": False},
    "prior": {"eps_x": "tied", "delta": {"asinh_uniform": [1e-3, -0.9, 0.5]}, "dm_charge": 0.8},
    "experiments": {"gminus2": {}},
    "sampler": {"split": {"delta": 0.0}},
}


def test_dark_matter():
    analysis = lmt.Analysis(DARK)
    truth, free = analysis.truth, analysis.prior
    assert isinstance(truth, lmt.ResonantDarkMatter) and isinstance(free.theta, lmt.ResonantDarkMatter)
    assert (truth.delta, truth.dm_charge, truth.dark_decays) == (0.03, 0.8, True)
    assert free.names == ("g_x", "mass", "delta") and not free.theta.dark_decays
    assert analysis.sampling()["split"] == {"delta": 0.0}
    assert analysis.sampling()["attrs"]["truth"]["delta"] == 0.03
    again = lmt.Analysis(analysis.table)
    assert again.table == analysis.table


def test_dark_matter_by_its_mass():
    analysis = lmt.Analysis(
        {
            "truth": {"benchmark": "BP1", "dm_mass": 7.6},
            "prior": {"dm_mass": {"log_uniform": [1.0, 100.0]}},
            "experiments": {"gminus2": {}},
        }
    )
    assert isinstance(analysis.truth, lmt.DarkMatter) and analysis.truth.dm_charge == 1.0
    assert analysis.prior.names == ("g_x", "mass", "dm_mass", "eps_x")
    assert float(analysis.prior.theta.dm_charge) == 1.0


@pytest.mark.parametrize(
    "section, change, message",
    [
        ("prior", {"dm_mass": 7.0}, "prior.dm_mass and prior.delta exclude each other"),
        ("truth", {"dm_mass": 7.0}, "truth.dm_mass and truth.delta exclude each other"),
        ("truth", {"delta": -1.0}, r"truth.delta must be a finite number in \(-1"),
        ("prior", {"delta": {"uniform": [-2.0, 0.5]}}, "delta must have a support above -1"),
        ("prior", {"dm_charge": {"uniform": [-1.0, 1.0]}}, "dm_charge must have a positive support"),
        ("model", {"dark_decays": 1}, "model.dark_decays must be True or False"),
        ("sampler", {"split": 3}, r"sampler.split must be a table such as \{ delta = 0.0 \}; got 3"),
        ("sampler", {"split": {"delta": "x"}}, "sampler.split.delta must be a finite number"),
    ],
)
def test_wrong_dark_matter(section, change, message):
    table = {**DARK, section: {**DARK[section], **change}}
    with pytest.raises(ValueError, match=message):
        lmt.Analysis(table)


def test_a_charge_needs_a_mass():
    with pytest.raises(ValueError, match=r"prior.dm_mass is missing \(or prior.delta\)"):
        lmt.Analysis({"prior": {"dm_charge": 1.0}, "experiments": {"gminus2": {}}})
