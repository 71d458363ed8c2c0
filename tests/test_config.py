"""Settings: resolved, checked, written to TOML and read back."""

import dataclasses
import re
import tomllib

import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt import LogUniform, PerCoupling, SignedLogUniform, SymmetricAsinh, TiedToCoupling
from jaxlmt.config import EXPERIMENTS, MIXING_PRIORS, Settings

DEFAULTS = {
    "experiments": EXPERIMENTS,
    "model": "lmu-ltau",
    "eps": "free",
    "kernel": "ww",
    "gminus2": "2021",
    "data": "asimov",
    "chains": 4,
    "draws": 5000,
    "warmup": 400,
    "seed": 0,
}


def resolve(**changes):
    changes = changes if {"mass", "benchmark"} & set(changes) else {"benchmark": "BP1", **changes}
    return Settings.resolve(**{**DEFAULTS, **changes})


def table(settings):
    return dataclasses.asdict(settings)


# --- resolving ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", lmt.BENCHMARKS)
def test_benchmark_is_resolved_to_its_numbers(name):
    settings, point = resolve(benchmark=name), lmt.benchmark(name)
    assert settings.label == name
    assert (settings.mass, settings.coupling) == (point.mass, point.g_x)
    assert settings.truth.eps_x == pytest.approx(point.eps_x, rel=1e-14)
    assert settings.truth.charges is lmt.LMU_LTAU


def test_another_truth_has_its_own_label():
    settings = resolve(mass=20.0, coupling=6e-4, mixing=-0.02)
    assert settings.label == "M20-g0.0006"
    assert settings.truth.eps_x == -0.02 * 6e-4


def test_spaces_in_the_list_of_experiments_do_not_matter():
    assert resolve(experiments=(" ess", "na64mu ", "")).experiments == ("ess", "na64mu")


def test_experiments_are_built_in_order_with_their_options():
    settings = resolve(experiments=("ess10", "gminus2", "na64mu"), kernel="paper", gminus2="2025")
    ess10, moment, na64 = settings.build_experiments()
    assert [e.name for e in (ess10, moment, na64)] == ["ess10", "gminus2", "na64mu"]
    assert na64.kernel == "paper"
    assert moment is lmt.gminus2("2025") and moment.measured != lmt.gminus2("2021").measured


@pytest.mark.parametrize(
    ("eps", "kind", "numbers"),
    [
        ("free", PerCoupling, {"scale": 0.01, "bound": 0.3}),
        ("tied", TiedToCoupling, {"ratio": -1.0 / 70.0}),
        ("one-loop", TiedToCoupling, {"ratio": lmt.MIXING_RATIO_ONE_LOOP}),
        ("negative", PerCoupling, {"low": 1e-5, "high": 0.3, "sign": -1}),
        ("both-signs", PerCoupling, {"low": 1e-5, "high": 0.3}),
        ("-0.02", TiedToCoupling, {"ratio": -0.02}),
        ("0", TiedToCoupling, {"ratio": 0.0}),
    ],
)
def test_mixing_prior(eps, kind, numbers):
    mixing = resolve(eps=eps).prior().theta.eps_x
    assert isinstance(mixing, kind)
    core = getattr(mixing, "ratio", mixing) if kind is PerCoupling else mixing
    expected = {"free": SymmetricAsinh, "negative": LogUniform, "both-signs": SignedLogUniform}
    assert isinstance(core, expected.get(eps, TiedToCoupling))
    assert {name: float(getattr(core, name)) for name in numbers} == pytest.approx(numbers)


def test_prior_is_that_of_the_fitted_model():
    for model, tau in (("lmu-ltau", -1.0), ("lmu", 0.0)):
        theta = resolve(model=model).prior().theta
        assert float(theta.charges.tau) == tau
        assert theta.g_x.bounds == pytest.approx((1e-5, 1e-2))
        assert theta.mass.bounds == pytest.approx((1.0, 1e3))
    assert resolve(model="lmu").truth.charges is lmt.LMU_LTAU  # the truth stays


# --- warnings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"benchmark": "BP1"}, []),
        ({"mass": 0.11, "coupling": 1e-3}, ["MeV", "mass"]),
        ({"mass": 0.5, "coupling": 1e-3}, ["mass"]),
        ({"mass": 1001.0, "coupling": 1e-3}, ["mass"]),
        ({"mass": 15.0, "coupling": 2e-2}, ["coupling"]),
        ({"mass": 15.0, "coupling": 9e-6}, ["coupling"]),
        ({"mass": 1.0, "coupling": 1e-2}, []),
    ],
)
def test_warnings(changes, expected):
    found = resolve(**changes).warnings()
    assert len(found) == len(expected)
    for sentence, word in zip(found, expected, strict=True):
        assert word in sentence
        number = changes["coupling"] if word == "coupling" else changes["mass"]
        assert f"{number:g}" in sentence


# --- TOML -----------------------------------------------------------------------------------------

UNUSUAL = {
    "benchmark": None,
    "mass": 1.0 / 3.0,
    "coupling": 7.123456789012345e-5,
    "mixing": -1e-9,
    "experiments": ("ess10", "gminus2"),
    "model": "lmu",
    "eps": "-0.02",
    "kernel": "paper",
    "gminus2": "2025",
    "data": "toy",
    "chains": 1,
    "draws": 1,
    "warmup": 100,
    "seed": 2**31,
}


@pytest.mark.parametrize("changes", ({}, UNUSUAL, *({"eps": eps} for eps in MIXING_PRIORS)), ids=repr)
def test_round_trip(changes, tmp_path):
    settings, path = resolve(**changes), tmp_path / "settings.toml"
    settings.write(path)
    assert Settings.read(path) == settings
    written = tomllib.loads(path.read_text(encoding="utf-8"))
    assert set(written) == {field.name for field in dataclasses.fields(Settings)}
    for name in ("mass", "coupling", "mixing"):
        assert isinstance(written[name], float) and written[name] == getattr(settings, name)


def write(path, changes, *, drop=()):
    """A file of settings with ``changes``, {key: TOML text}, and without the keys ``drop``."""
    resolve().write(path)
    lines = [line for line in path.read_text().splitlines() if line.split(" = ")[0] not in {*changes, *drop}]
    path.write_text("\n".join([*lines, *(f"{key} = {text}" for key, text in changes.items())]))
    return path


def test_unknown_key_is_named_with_the_nearest_one(tmp_path):
    path = write(tmp_path / "settings.toml", {"drawz": "100"})
    with pytest.raises(ValueError, match=r"settings\.toml.*'drawz' \(did you mean 'draws'\?\)"):
        Settings.read(path)


def test_missing_keys_are_named(tmp_path):
    path = write(tmp_path / "settings.toml", {}, drop=("seed", "mass"))
    with pytest.raises(ValueError, match=r"settings\.toml lacks mass, seed"):
        Settings.read(path)


def test_text_that_is_not_toml_is_named(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("mass = = 3\n")
    with pytest.raises(ValueError, match=r"settings\.toml is not TOML"):
        Settings.read(path)


WRONG = {  # TOML text of one key, and what the message must hold besides the key
    "mass": [
        ("nan", "nan"),
        ("-15.0", "-15"),
        ("0.0", "0"),
        ("inf", "inf"),
        ('"heavy"', "'heavy'"),
        ("true", "True"),
    ],
    "coupling": [("0.0", "0"), ("nan", "nan"), ("[1.0]", r"\[1.0\]")],
    "mixing": [("inf", "inf"), ('"free"', "'free'")],
    "experiments": [
        ("[]", "gminus2"),
        ('["xenon"]', "'xenon'"),
        ('["ess", "ess"]', "ess, ess"),
        ('"ess10"', "got.*ess10|list"),
        ("5", "5"),
        ("[1, 2]", "1"),
    ],
    "model": [('"lmu-ltauu"', "did you mean 'lmu-ltau'"), ("3", "3")],
    "eps": [('"fre"', "'free'"), ('"nan"', "'nan'"), ("[0.1]", r"\[0.1\]"), ("true", "True")],
    "kernel": [('"w"', "'ww'"), ("1.0", "1.0")],
    "gminus2": [("2021", "'2021'"), ('"2020"', "'2021', '2025'")],
    "data": [('"toys"', "did you mean 'toy'"), ("false", "False")],
    "chains": [("0", "0"), ("2.5", "2.5"), ("true", "True"), ('"four"', "'four'"), ("inf", "inf")],
    "draws": [("0", "0"), ("100.5", "100.5")],
    "warmup": [("99", "99"), ("nan", "nan")],
    "seed": [("-1", "-1"), ("0.5", "0.5"), ("1" + 30 * "0", "1000000")],
}
CASES = [(key, text, words) for key, cases in WRONG.items() for text, words in cases]


@pytest.mark.parametrize(("key", "text", "words"), CASES, ids=[f"{k}={t}"[:40] for k, t, _ in CASES])
def test_wrong_value_is_named(key, text, words, tmp_path):
    path = write(tmp_path / "settings.toml", {key: text})
    with pytest.raises(ValueError, match=rf"{key}.*({words})") as error:
        Settings.read(path)
    assert "\n" not in str(error.value)


def test_numbers_of_other_types_are_made_plain():
    settings = resolve(mass=np.float64(20), coupling=1, chains=np.int64(2), draws=10.0, seed=True + 2)
    assert [type(getattr(settings, n)) for n in ("mass", "coupling", "chains", "draws")] == [
        float,
        float,
        int,
        int,
    ]
    assert (settings.mass, settings.coupling, settings.chains, settings.draws) == (20.0, 1.0, 2, 10)


def test_settings_are_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        resolve().mass = 3.0
    assert re.fullmatch(r"BP1", resolve().label)
