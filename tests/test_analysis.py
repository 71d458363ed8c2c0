"""Analyses: from a file and back, with every kind of data, in Python, and the example that is shipped."""

from pathlib import Path

import jax
import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt import results
from jaxlmt.formats import read_toml
from jaxlmt.run import Run

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "analysis.toml"
TRUTH = {"benchmark": "BP1"}


def analysis(experiments, **sections):
    return lmt.Analysis({"truth": TRUTH, "experiments": experiments, **sections})


def counts(made, name="ess10"):
    (found,) = [o.counts for o in made.joint.observations if o.name == name]
    return np.asarray(found)


# --- data -----------------------------------------------------------------------------------------


def test_asimov_data_are_those_of_the_experiment():
    made = analysis({"ess10": {}, "gminus2": {}})
    assert made.joint.names == ("ess10", "gminus2")
    assert np.array_equal(counts(made), np.asarray(lmt.ess10().asimov(made.truth).counts))
    assert np.array_equal(counts(made, "gminus2"), np.asarray(lmt.gminus2().observe().counts))


def test_toy_data_depend_on_the_seed_alone():
    one, two = (analysis({"ess10": {"data": "toy"}}, sampler={"seed": 3}) for _ in range(2))
    other = analysis({"ess10": {"data": "toy"}}, sampler={"seed": 4})
    assert np.array_equal(counts(one), counts(two)) and not np.array_equal(counts(one), counts(other))
    assert np.all(counts(one) == np.round(counts(one)))


@pytest.mark.parametrize("header", ("", "counts\n"))
def test_counts_from_a_csv_beside_the_file(header, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.csv").write_text(header + "10\n20\n30\n40\n50\n")
    (tmp_path / "a.toml").write_text('[experiments.ess10]\ndata = "data/mine.csv"\n')
    monkeypatch.chdir("/")
    made = lmt.Analysis.read(tmp_path / "a.toml")
    assert counts(made).tolist() == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert made.label == "a" and made.truth is None and made.warnings() == []
    assert made.table["experiments"]["ess10"]["data"] == [10.0, 20.0, 30.0, 40.0, 50.0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1.0, 2.0], r"shape \(5,\); got shape \(2,\)"),
        ([1.0, 2.0, 3.0, 4.0, -5.0], "counts of ess10 must be finite and >= 0; got -5.0"),
        ({"lower_edge": [0.1, 20, 40, 60], "counts": [1, 2, 3, 4]}, r"lower_edge must have shape \(5,\)"),
        ({"lower_edge": [0.1, 20, 40, 60, 81], "counts": [1, 2, 3, 4, 5]}, r"lower_edge must be \[0.1, 20"),
        ({"lower_edge": [0.1, 20, 40, 60, 80], "counts": [1, 2, 3]}, "counts of ess10 must have shape"),
    ],
)
def test_counts_that_do_not_fit_are_refused(data, message):
    with pytest.raises(ValueError, match=rf"experiments\.ess10\.data: .*{message}"):
        _ = analysis({"ess10": {"data": data}}).joint


def test_shared_nuisances_must_agree():
    made = analysis({"ess": {"sin2_theta_w": {"normal": [0.2386, 0.001]}}, "ess10": {}})
    with pytest.raises(ValueError, match="experiments: nuisance 'sin2_theta_w' is shared"):
        _ = made.joint


# --- files ----------------------------------------------------------------------------------------


def test_written_file_is_the_same_analysis(tmp_path):
    made = analysis(
        {
            "gminus2": {"measurement": "2025"},
            "ess10": {"data": {"lower_edge": [0.1, 20, 40, 60, 80], "counts": [700, 390, 150, 64, 26]}},
            "near": {"type": "ess", "baseline_m": 1.0 / 3.0, "data": "toy"},
        },
        label="µ test",
        plots=["corner"],
        prior={"eps_x": "both-signs"},
        model={"name": "lmu", "charges": {"tau": {"uniform": [-1.5, 0.5]}}},
    )
    made.write(tmp_path / "x.toml")
    back = lmt.Analysis.read(tmp_path / "x.toml")
    assert back.table == made.table and back.label == "µ test"
    assert repr(back.prior) == repr(made.prior)
    for name in made.joint.names:
        assert np.array_equal(counts(made, name), counts(back, name))
    assert made.joint.log_likelihood(made.truth) == back.joint.log_likelihood(made.truth)


def test_mistakes_name_the_file(tmp_path):
    (tmp_path / "a.toml").write_text("[experiments.gminus2]\n[sampler]\ndrawz = 3\n")
    with pytest.raises(ValueError, match=r"a\.toml: unknown key sampler\.drawz"):
        lmt.Analysis.read(tmp_path / "a.toml")


# --- warnings and words ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "prior", "expected"),
    [
        ({"benchmark": "BP1"}, {}, []),
        ({"mass": 0.11, "g_x": 1e-3}, {}, ["MeV", "mass"]),
        ({"mass": 0.5, "g_x": 1e-3}, {}, ["mass"]),
        ({"mass": 1001.0, "g_x": 1e-3}, {}, ["mass"]),
        ({"mass": 15.0, "g_x": 2e-2}, {}, ["coupling"]),
        ({"mass": 15.0, "g_x": 9e-6}, {}, ["coupling"]),
        ({"mass": 1.0, "g_x": 1e-2}, {}, []),
        ({"mass": 15.0, "g_x": 1e-3}, {"mass": {"uniform": [20, 30]}, "g_x": 5e-4}, ["mass"]),
    ],
)
def test_warnings(truth, prior, expected):
    found = lmt.Analysis({"truth": truth, "prior": prior, "experiments": {"gminus2": {}}}).warnings()
    assert len(found) == len(expected)
    for sentence, word in zip(found, expected, strict=True):
        assert word in sentence
        assert f"{truth['g_x' if word == 'coupling' else 'mass']:g}" in sentence


def test_headline():
    made = analysis({"gminus2": {}, "ess10": {"data": "toy"}, "ess": {"data": [1, 2, 3, 4]}})
    assert made.headline() == (
        "analysis (M_A' = 15 MeV, g_x = 0.0005, eps_x/g_x = -0.01429) from gminus2, ess10, ess; "
        "given and toy data, model lmu-ltau, eps free"
    )
    made = lmt.Analysis({"experiments": {"gminus2": {}}, "prior": {"eps_x": {"tied": -0.02}}})
    assert made.headline() == "analysis from gminus2; measured data, model lmu-ltau, eps -0.02 g_x"
    assert "Analysis(analysis: gminus2)" in repr(made)


# --- runs from Python -----------------------------------------------------------------------------


def test_run_from_python_leaves_its_folder_and_returns_the_posterior(tmp_path, monkeypatch):
    made = lmt.Analysis(
        {
            "label": "no truth",
            "experiments": {"gminus2": {}, "one": {"type": "ess", "bin_edges": [20, 100], "data": [14000]}},
            "prior": {"eps_x": -7e-6},
            "sampler": {"draws": 200, "warmup": 100, "chains": 2},
        }
    )
    posterior = made.run(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "analysis.toml",
        "posterior.nc",
        "summary.json",
        "corner.png",
        "spectra.png",
    }
    draws = results.draws(results.load(tmp_path / "run" / "posterior.nc"))
    assert np.array_equal(draws["g_x"], results.draws(posterior)["g_x"]) and draws["g_x"].shape == (2, 200)
    direct = lmt.sample(
        made.joint,
        made.prior,
        key=jax.random.split(jax.random.key(0))[1],
        draws=200,
        warmup=100,
        chains=2,
    )
    assert np.array_equal(results.draws(direct)["mass"], draws["mass"])
    with pytest.raises(ValueError, match=r"already holds posterior\.nc"):
        made.run(tmp_path / "run")
    with pytest.raises(ValueError, match="no interrupted run"):
        made.run(tmp_path / "run", resume=True)

    def fail(self):
        raise RuntimeError("no ink")

    monkeypatch.setattr(Run, "_corner", fail)
    with pytest.warns(RuntimeWarning, match=r"corner\.png failed \(no ink\)"):
        made.run(tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "spectra.png").exists() and not (tmp_path / "run" / "corner.png").exists()


# --- the example ----------------------------------------------------------------------------------


def test_example_shows_every_section_and_is_what_it_says():
    from jaxlmt.config import SECTIONS

    assert set(read_toml(EXAMPLE)) == set(SECTIONS)
    made = lmt.Analysis.read(EXAMPLE)
    assert made.label == "BP2-upgraded" and made.warnings() == []
    gminus2, na64, ess10, near = made.joint.experiments
    assert (gminus2.name, near.name) == ("gminus2", "near_detector")
    ratio = np.asarray(na64.expected(made.truth)) / np.asarray(lmt.na64mu().expected(made.truth))
    assert ratio == pytest.approx(3.0, rel=1e-12)  # three times the muons
    same_bin = np.asarray(near.expected(made.truth))[1:], np.asarray(lmt.ess().expected(made.truth))
    assert same_bin[0] / same_bin[1] == pytest.approx((20.0 / 15.0) ** 2, rel=1e-9)  # nearer
    assert float(near.nuisances["near_detector.signal_norm"].std) == 0.03
    expected = np.asarray(ess10.expected(made.truth)) + ess10.background
    assert np.all(np.abs(counts(made) - expected) < 4.0 * np.sqrt(expected))  # random data at its truth


def test_example_runs(tmp_path, monkeypatch, capsys):
    """Its text with fewer draws, from its own folder, to the end."""
    from jaxlmt import cli

    for source in EXAMPLE.parent.iterdir():
        text = source.read_text(encoding="utf-8").replace("draws = 2000", "draws = 200")
        (tmp_path / source.name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "analysis.toml", "--no-cache", "--quiet"]) == 0
    output = capsys.readouterr()
    assert output.err == "" and output.out.startswith("BP2-upgraded (M_A' = 25 MeV")
    folder = tmp_path / "runs" / "BP2-upgraded"
    assert {"analysis.toml", "posterior.nc", "corner.png", "spectra.png"} < {p.name for p in folder.iterdir()}
    draws = results.draws(results.load(folder / "posterior.nc"))
    low, high = np.quantile(draws["g_x"], [0.001, 0.999])
    assert draws["g_x"].shape == (4, 200) and low < 6e-4 < high
