"""The command line: what it leaves, what it says, how it fails, and how it goes on after Ctrl-C."""

import importlib.metadata
import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt import Analysis, cli, figures, results
from jaxlmt.config import EXPERIMENTS, MIXING_PRIORS, SMALLEST_RATIO
from jaxlmt.inference.priors import COUPLING_BOX, MASS_BOX, MIXING_BOUND, MIXING_SCALE
from jaxlmt.inference.sample import BLOCK, Sampler
from jaxlmt.run import Run

FILES = {"analysis.toml", "posterior.nc", "summary.json", "corner.png", "spectra.png"}
# One experiment, whose program compiles in seconds, and few draws.
QUICK = ("--experiments", "gminus2", "--draws", "200", "--warmup", "100", "--no-cache", "--quiet")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reconstruct(*arguments):
    return cli.main(["reconstruct", *map(str, arguments)])


def names(folder):
    return {path.name for path in folder.iterdir()}


def posterior(folder):
    return results.draws(results.load(folder / "posterior.nc"))


def strict_json(path):
    def refuse(constant):
        raise AssertionError(f"{path} holds {constant}, which is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def assert_not_blank(path):
    pixels = matplotlib.image.imread(path)[..., :3]
    assert min(pixels.shape[:2]) > 300
    assert pixels.mean(axis=-1).std() > 0.03, path
    for quarter in np.array_split(pixels, 2, axis=0):  # and neither half of it is
        assert quarter.std() > 0.01, path


def assert_one_line(error, *words):
    assert error.startswith("jaxlmt: ") and error.endswith("\n") and error.count("\n") == 1, error
    assert "Traceback" not in error
    for word in words:
        assert word in error


# --- the main job ---------------------------------------------------------------------------------


def test_benchmark_1_leaves_its_files(here, capsys):
    assert reconstruct("BP1", "--draws", "200", "--no-cache") == 0
    folder = here / "runs" / "BP1"
    assert names(here) == {"runs"} and names(folder) == FILES
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.startswith(
        "BP1 (M_A' = 15 MeV, g_x = 0.0005, eps_x/g_x = -0.01429) from gminus2, na64mu"
    )
    for text in ("best fit", "P2: the prediction of Lmu-Ltau", "P(eps_x < 0)", "results in runs/BP1/"):
        assert text in output.out

    analysis = tomllib.loads((folder / "analysis.toml").read_text())
    assert analysis["label"] == "BP1" and analysis["truth"]["mass"] == 15.0
    assert analysis["sampler"]["draws"] == 200
    usual = ("gminus2", "na64mu", "cenns610", "ccm", "ess", "ess10", "darwin")
    assert tuple(analysis["experiments"]) == usual
    assert analysis["experiments"]["darwin"]["threshold_keV"] == 1.0

    container = results.load(folder / "posterior.nc")
    assert {n: v.shape for n, v in results.draws(container).items()} == {
        name: (4, 200) for name in ("g_x", "mass", "eps_x", "eps_over_g")
    }
    attributes = results.attributes(container)
    assert attributes["complete"] is True
    assert attributes["label"] == "BP1" and attributes["model"] == "lmu-ltau"
    assert attributes["truth"]["mass"] == 15.0
    assert attributes["truth"]["eps_over_g"] == pytest.approx(-1.0 / 70.0, rel=1e-14)
    assert set(attributes["data_sha256"]) == set(usual)

    summary = strict_json(folder / "summary.json")
    assert set(summary) == {"analysis", "summary", "best_fit", "run"}
    assert summary["analysis"] == analysis
    assert set(summary["summary"]["variables"]) == {"g_x", "mass", "eps_x", "eps_over_g"}
    row = summary["summary"]["variables"]["g_x"]
    assert row["mean"] == pytest.approx(results.draws(container)["g_x"].mean(), rel=1e-12)
    assert row["wide_interval"][0] < 5e-4 < row["wide_interval"][1]
    assert 0.0 <= summary["best_fit"]["minus_two_log_likelihood"] < 1.0  # Asimov data, but for (g-2)_mu
    assert summary["run"]["versions"]["jaxlmt"] == lmt.__version__
    for name in ("corner.png", "spectra.png"):
        assert_not_blank(folder / name)


def test_default_folder_is_never_reused(here, capsys):
    assert reconstruct("BP1", *QUICK) == 0
    first = (here / "runs" / "BP1" / "posterior.nc").read_bytes()
    assert reconstruct("BP1", *QUICK, "--seed", "1") == 0
    assert names(here / "runs") == {"BP1", "BP1-2"}
    assert (here / "runs" / "BP1" / "posterior.nc").read_bytes() == first
    assert not np.array_equal(*(posterior(here / "runs" / n)["g_x"] for n in ("BP1", "BP1-2")))
    assert "results in runs/BP1-2/" in capsys.readouterr().out


def test_another_truth_names_its_folder(here):
    assert reconstruct("--mass", "20", "--coupling", "6e-4", "--mixing", "-0.02", *QUICK) == 0
    (folder,) = (here / "runs").iterdir()
    truth = tomllib.loads((folder / "analysis.toml").read_text())["truth"]
    assert (truth["mass"], truth["g_x"], truth["eps_over_g"]) == (20.0, 6e-4, -0.02)
    assert names(folder) == FILES and folder.name == "M20-g0.0006"


# What every mixing prior says of the draws of eps_x/g_x.
MIXINGS = {
    "tied": lambda ratio: np.allclose(ratio, -1.0 / 70.0, rtol=1e-12),
    "one-loop": lambda ratio: np.allclose(ratio, lmt.MIXING_RATIO_ONE_LOOP, rtol=1e-12),
    "-0.02": lambda ratio: np.allclose(ratio, -0.02, rtol=1e-12),
    "negative": lambda ratio: np.all((ratio < -0.99e-5) & (ratio > -0.301)),
    "both-signs": lambda ratio: np.any(ratio < -1e-5) and np.any(ratio > 1e-5),
}


SIGNED = ("negative", "both-signs")  # each compiles a program of its own


@pytest.mark.parametrize(
    "eps", [pytest.param(e, marks=[pytest.mark.slow] if e in SIGNED else []) for e in MIXINGS]
)
def test_every_mixing_prior_runs_to_the_end(eps, here, capsys):
    assert reconstruct("BP1", *QUICK, "--eps", eps) == 0
    folder = here / "runs" / "BP1"
    assert names(folder) == FILES
    assert MIXINGS[eps](posterior(folder)["eps_over_g"])
    variables = strict_json(folder / "summary.json")["summary"]["variables"]
    fixed = eps not in SIGNED
    assert (variables["eps_over_g"]["status"] == "fixed") == fixed
    assert ("P2 was assumed" in capsys.readouterr().out) == fixed


# --- output folder --------------------------------------------------------------------------------


def test_output_that_is_not_empty_is_refused_unless_overwritten(here, capsys):
    folder = here / "kept"
    folder.mkdir()
    assert reconstruct("BP1", *QUICK, "--output", folder) == 0  # empty is fine
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    assert reconstruct("BP1", *QUICK, "--output", folder, "--seed", "1") == 1
    assert_one_line(capsys.readouterr().err, "--output", "kept", "--overwrite")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert reconstruct("BP1", *QUICK, "--output", folder, "--seed", "1", "--overwrite") == 0
    assert names(folder) == FILES and not (here / "runs").exists()
    assert (folder / "posterior.nc").read_bytes() != before["posterior.nc"]
    assert tomllib.loads((folder / "analysis.toml").read_text())["sampler"]["seed"] == 1


def test_overwriting_leaves_nothing_of_the_old_run_beside_the_new_analysis(here, monkeypatch):
    assert reconstruct("BP1", *QUICK, "--output", "run") == 0
    interrupt_after(monkeypatch, 1)  # in warmup: there is no new posterior
    assert reconstruct("BP1", *QUICK, "--output", "run", "--seed", "1", "--overwrite") == 130
    assert tomllib.loads((here / "run" / "analysis.toml").read_text())["sampler"]["seed"] == 1
    assert names(here / "run") == {"analysis.toml", "chains.npz"}


# --- mistakes -------------------------------------------------------------------------------------

OTHER = ("--mass", "15", "--coupling", "5e-4")
MISTAKES = {
    "unknown benchmark": (["BP9"], ["benchmark", "'BP1'", "'BP4'", "'BP9'"]),
    "benchmark in lower case": (["bp1"], ["benchmark", "'bp1'"]),
    "unknown experiment": (["BP1", "--experiments", "ess,xenon"], ["experiments", "'ess10'", "'xenon'"]),
    "misspelt experiment": (["BP1", "--experiments", "na64"], ["did you mean 'na64mu'"]),
    "no experiment": (["BP1", "--experiments", ""], ["experiments", "na64mu"]),
    "commas alone": (["BP1", "--experiments", " , ,"], ["experiments", "na64mu"]),
    "experiment twice": (["BP1", "--experiments", "ess,ccm,ess"], ["experiments", "distinct"]),
    "unknown kernel": (["BP1", "--kernel", "exact"], ["kernel", "'ww'", "'paper'", "'exact'"]),
    "unknown model": (["BP1", "--model", "le-lmu"], ["model", "'lmu-ltau'", "'lmu'", "'le-lmu'"]),
    "unknown eps": (["BP1", "--eps", "freee"], ["eps", *map(repr, MIXING_PRIORS), "number", "'freee'"]),
    "eps nan": (["BP1", "--eps", "nan"], ["eps", "'nan'"]),
    "unknown gminus2": (["BP1", "--gminus2", "2006"], ["gminus2", "'2021'", "'2025'", "'2006'"]),
    "threshold negative": (["BP1", "--threshold", "-1"], ["threshold", "-1"]),
    "unknown oscillation": (["BP1", "--oscillation", "nufit5"], ["oscillation", "'nufit6'", "'nufit5'"]),
    "unknown solar": (["BP1", "--solar", "free"], ["solar", "'fixed'", "'uncertain'", "'free'"]),
    "uncertainties unknown": (
        ["BP1", "--oscillation", "paper2021", "--solar", "uncertain"],
        ["uncertainties", "'paper2021'"],
    ),
    "unknown data": (["BP1", "--data", "real"], ["data", "'asimov'", "'toy'", "'real'"]),
    "mass nan": (["--mass", "nan", "--coupling", "5e-4"], ["mass", "nan"]),
    "mass negative": (["--mass", "-15", "--coupling", "5e-4"], ["mass", "-15"]),
    "mass zero": (["--mass", "0", "--coupling", "5e-4"], ["mass", "0"]),
    "mass infinite": (["--mass", "inf", "--coupling", "5e-4"], ["mass", "inf"]),
    "coupling nan": (["--mass", "15", "--coupling", "nan"], ["coupling", "nan"]),
    "coupling negative": (["--mass", "15", "--coupling", "-0.0005"], ["coupling", "-0.0005"]),
    "coupling zero": (["--mass", "15", "--coupling", "0"], ["coupling", "0"]),
    "mixing nan": (["BP1", "--mixing", "nan"], ["mixing", "nan"]),
    "no chains": (["BP1", "--chains", "0"], ["chains", "0"]),
    "negative chains": (["BP1", "--chains", "-2"], ["chains", "-2"]),
    "no draws": (["BP1", "--draws", "0"], ["draws", "0"]),
    "short warmup": (["BP1", "--warmup", "99"], ["warmup", "100", "99"]),
    "negative seed": (["BP1", "--seed", "-1"], ["seed", "-1"]),
    "huge seed": (["BP1", "--seed", "1" + 30 * "0"], ["seed"]),
    "mass alone": (["--mass", "15"], ["--mass", "--coupling"]),
    "coupling alone": (["--coupling", "5e-4"], ["--mass", "--coupling"]),
    "benchmark and mass": (["BP1", "--mass", "15"], ["benchmark", "--mass"]),
    "benchmark and truth": (["BP1", *OTHER], ["benchmark", "--mass"]),
    "no truth": ([], ["benchmark", "--mass"]),
    "nothing to resume": (["--resume", "nowhere"], ["--resume", "nowhere"]),
    "resume and a benchmark": (["BP1", "--resume", "nowhere"], ["--resume", "benchmark"]),
    "output within a file": (["BP1", "--output", "file/run"], ["file"]),
    "output is a file": (["BP1", "--output", "file"], ["--output", "file"]),
    "resume and an output": (["--resume", "nowhere", "--output", "run"], ["--resume", "--output"]),
    "output overwrites a file": (["BP1", "--output", "file", "--overwrite"], ["file"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_one_line_and_leaves_nothing(mistake, here, capsys, monkeypatch):
    def too_late(*_, **__):
        pytest.fail("the run has begun")

    monkeypatch.setattr(Analysis, "joint", property(too_late))
    (here / "file").write_text("precious")
    arguments, words = MISTAKES[mistake]
    assert reconstruct(*arguments, "--no-cache") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert_one_line(captured.err, *words)
    assert names(here) == {"file"} and (here / "file").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--mass", "heavy", "--coupling", "1e-3"], "--mass"),
        (["BP1", "--chains", "2.5"], "--chains"),
        (["BP1", "--seed", "x"], "--seed"),
        (["BP1", "--drawz", "10"], "--drawz"),
        (["BP1", "--draw", "10"], "--draw"),  # no abbreviations: a later option must not change a meaning
        (["BP1", "BP2"], "BP2"),
    ],
)
def test_argparse_has_its_own_status(arguments, option, here, capsys):
    with pytest.raises(SystemExit) as stop:
        reconstruct(*arguments)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jaxlmt") and "error:" in line and option in line
    assert names(here) == set()


def test_truth_that_overflows_is_one_line(here, capsys):
    arguments = ("--mass", "15", "--coupling", "1e200", "--experiments", "ess10", "--no-cache")
    assert reconstruct(*arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if not line.startswith("jaxlmt: warning: the true coupling")] == lines[1:]
    assert len(lines) == 2 and lines[1].startswith("jaxlmt: ")
    assert names(here) == set()


@pytest.mark.parametrize("text", ("-1e-2", "-0.01", "-1E-2", "-.01"))
def test_negative_numbers_can_be_written_in_any_way(text):
    options = cli.parser().parse_args(["reconstruct", "BP1", "--mixing", text, "--eps", text])
    assert options.mixing == -0.01 and float(options.eps) == -0.01


@pytest.mark.parametrize(
    ("mass", "warned"), [("0.015", True), ("0.11", True), ("0.12", False), ("1.5", False)]
)
def test_mass_that_looks_like_gev_is_warned_of(mass, warned, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Analysis, "joint", property(stop))
    assert reconstruct("--mass", mass, "--coupling", "5e-4", *QUICK) == 130
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("jaxlmt: warning: masses are in MeV") for line in lines) == warned


# --- failing pictures -----------------------------------------------------------------------------


def test_failing_picture_keeps_the_numbers(here, capsys, monkeypatch):
    def fail(self):
        raise RuntimeError("no ink")

    monkeypatch.setattr(Run, "_corner", fail)
    assert reconstruct("BP1", *QUICK) == 1
    captured = capsys.readouterr()
    assert_one_line(captured.err, "corner.png", "no ink", "saved")
    folder = here / "runs" / "BP1"
    assert names(folder) == FILES - {"corner.png"}
    assert posterior(folder)["g_x"].shape == (4, 200)
    assert strict_json(folder / "summary.json")["summary"]["variables"]
    assert "g_x" in captured.out


# --- Ctrl-C ---------------------------------------------------------------------------------------


def interrupt_after(monkeypatch, blocks):
    advance = Sampler.advance

    def interrupted(self, pool, program):
        if len(self.blocks) >= blocks:
            raise KeyboardInterrupt
        advance(self, pool, program)

    monkeypatch.setattr(Sampler, "advance", interrupted)


@pytest.mark.parametrize("folder", ("run", "a run"))
def test_interrupted_run_is_resumed_by_the_printed_command(folder, here, capsys, monkeypatch):
    arguments = ("BP1", *QUICK, "--draws", 3 * BLOCK)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        assert reconstruct(*arguments, "--output", folder) == 130
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert names(here / folder) == FILES | {"chains.npz"}
    part = results.load(here / folder / "posterior.nc")
    assert results.attributes(part)["complete"] is False
    assert results.draws(part)["g_x"].shape == (4, BLOCK)

    (line,) = captured.err.splitlines()
    assert line.startswith("jaxlmt: interrupted; go on with: ")
    program, *command = shlex.split(line.split("go on with: ")[1])
    assert program == "jaxlmt"
    assert cli.main([*command, "--no-cache"]) == 0
    assert names(here / folder) == FILES

    assert reconstruct(*arguments, "--output", "whole") == 0
    resumed, whole = posterior(here / folder), posterior(here / "whole")
    assert set(resumed) == set(whole)
    for name, values in whole.items():
        assert np.array_equal(values, resumed[name]), name


def test_interruption_in_warmup_can_be_resumed(here, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        assert reconstruct("BP1", *QUICK, "--output", "run") == 130
    error = capsys.readouterr().err
    assert "Traceback" not in error and "interrupted" in error
    assert names(here / "run") == {"analysis.toml", "chains.npz"}
    assert reconstruct("--resume", "run", "--no-cache") == 0
    assert names(here / "run") == FILES
    assert posterior(here / "run")["g_x"].shape == (4, 200)
    assert "--resume run" in error  # and the user is told that it would work


def test_finished_run_cannot_be_resumed(here, capsys):
    assert reconstruct("BP1", *QUICK, "--output", "run") == 0
    before = {path.name: path.read_bytes() for path in (here / "run").iterdir()}
    capsys.readouterr()
    assert reconstruct("--resume", "run", "--no-cache") == 1
    assert_one_line(capsys.readouterr().err, "--resume run", "no interrupted run")
    assert {path.name: path.read_bytes() for path in (here / "run").iterdir()} == before


def test_resuming_a_changed_analysis_is_refused(here, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        assert reconstruct("BP1", *QUICK, "--output", "run") == 130
    analysis = here / "run" / "analysis.toml"
    text = analysis.read_text()
    assert 'measurement = "2021"' in text
    analysis.write_text(text.replace('measurement = "2021"', 'measurement = "2025"'))
    capsys.readouterr()
    assert reconstruct("--resume", "run", "--no-cache") == 1
    assert_one_line(capsys.readouterr().err, "chains.npz", "belongs to other data")


# --- analyses as files ----------------------------------------------------------------------------

FILE = """
[truth]
benchmark = "BP2"
[experiments.gminus2]
[experiments.near]
type = "ess"
baseline_m = 15
data = "near.csv"
[prior]
eps_x = "tied"
[sampler]
draws = 200
warmup = 100
"""
COUNTS = (9040, 3660, 1220, 370)  # about what is expected at BP2


def write_analysis(here, text=FILE):
    (here / "near.csv").write_text("\n".join(map(str, COUNTS)))
    (here / "mine.toml").write_text(text)
    return "mine.toml"


def run_file(*arguments):
    return cli.main(["run", *map(str, arguments), "--no-cache", "--quiet"])


def test_analysis_file_leaves_a_run_that_its_own_file_repeats(here, capsys):
    assert run_file(write_analysis(here)) == 0
    folder = here / "runs" / "mine"
    assert names(folder) == FILES
    output = capsys.readouterr()
    assert output.err == ""
    assert (
        output.out.startswith("mine (M_A' = 25 MeV") and "given data, model lmu-ltau, eps tied" in output.out
    )
    observed = results.group(results.load(folder / "posterior.nc"), "observed_data")
    assert tuple(observed["near"].values) == COUNTS

    (here / "near.csv").unlink()  # the counts are in the folder's file
    assert run_file(folder / "analysis.toml") == 0
    assert names(here / "runs") == {"mine", "mine-2"}
    again = here / "runs" / "mine-2"
    assert (again / "analysis.toml").read_bytes() == (folder / "analysis.toml").read_bytes()
    first, second = posterior(folder), posterior(again)
    assert all(np.array_equal(values, second[name]) for name, values in first.items())


def test_reconstruct_is_the_analysis_of_its_file(here):
    assert reconstruct("BP1", *QUICK, "--gminus2", "2025") == 0
    first = here / "runs" / "BP1"
    assert run_file(first / "analysis.toml", "--output", "again") == 0
    assert (here / "again" / "analysis.toml").read_bytes() == (first / "analysis.toml").read_bytes()
    assert np.array_equal(posterior(first)["mass"], posterior(here / "again")["mass"])


def test_plots_are_those_that_were_asked_for(here):
    quick = "[experiments.gminus2]\n[sampler]\ndraws = 200\nwarmup = 100\n"
    assert run_file(write_analysis(here, 'label = "a"\nplots = []\n' + quick)) == 0
    assert names(here / "runs" / "a") == FILES - {"corner.png", "spectra.png"}
    assert run_file(write_analysis(here, 'label = "b"\nplots = ["spectra"]\n' + quick)) == 0
    assert names(here / "runs" / "b") == FILES - {"corner.png"}


RUN_MISTAKES = {
    "no file": ([], ["TOML file", "--resume"]),
    "file and resume": (["mine.toml", "--resume", "run"], ["--resume"]),
    "missing": (["absent.toml"], ["absent.toml", "cannot be read"]),
    "folder": (["."], ["cannot be read"]),
    "nothing to resume": (["--resume", "nowhere"], ["--resume nowhere", "no interrupted run"]),
}


@pytest.mark.parametrize("mistake", RUN_MISTAKES)
def test_mistakes_of_run(mistake, here, capsys):
    write_analysis(here)
    arguments, words = RUN_MISTAKES[mistake]
    assert run_file(*arguments) == 1
    assert_one_line(capsys.readouterr().err, *words)
    assert names(here) == {"mine.toml", "near.csv"}


# --- compare --------------------------------------------------------------------------------------


@pytest.fixture
def runs(here):
    assert reconstruct("BP1", *QUICK) == 0
    assert reconstruct("BP1", *QUICK, "--gminus2", "2025", "--eps", "tied") == 0
    return here / "runs"


def test_compare_draws_and_tabulates(runs, here, capsys):
    capsys.readouterr()
    assert cli.main(["compare", "runs/BP1", "runs/BP1-2"]) == 0
    output = capsys.readouterr()
    assert output.err == "" and "picture in compare.png" in output.out
    gates, table = output.out.split("parameter")
    assert "runs/BP1 " in gates and "runs/BP1-2" in gates and gates.count("quality gates") == 2
    for name in ("g_x", "mass [MeV]", "eps_over_g"):
        assert name in table
    assert "(fixed)" in table  # the tied mixing
    assert_not_blank(here / "compare.png")
    first = (here / "compare.png").read_bytes()
    assert cli.main(["compare", "runs/BP1", "runs/BP1-2", "--labels", "2021, 2025"]) == 0
    assert names(here) == {"runs", "compare.png", "compare-2.png"}
    assert (here / "compare.png").read_bytes() == first
    assert "2025" in capsys.readouterr().out


def test_mistakes_of_compare(runs, here, capsys):
    odd = results.build({"other": np.random.default_rng(0).normal(size=(4, 200))}, attrs={"label": "odd"})
    results.save(odd, here / "odd.nc")
    capsys.readouterr()
    both = ["runs/BP1", "runs/BP1-2"]
    mistakes = [
        (["runs/BP1"], "at least two"),
        (["runs/BP1", "runs/BP1"], "distinct"),
        (["runs/BP1", "nowhere"], "nowhere is not a run"),
        (["runs/BP1", "runs"], "runs is not a run"),
        (["runs/BP1", "runs/BP1/summary.json"], "summary.json is not a run"),
        (["runs/BP1", "odd.nc"], "no parameter varies in all posteriors (BP1: "),
        ([*both, "--labels", "one"], "labels must be 2"),
        ([*both, "--variables", "mas"], "variables: got 'mas'"),
        ([*both, "--variables", "eps_over_g"], "'eps_over_g' is fixed"),
        ([*both, "--output", "odd.nc"], "--output odd.nc must be a .png, .pdf, .svg file"),
        ([*both, "--output", "no/c.png"], "--output no/c.png must be"),
    ]
    for arguments, words in mistakes:
        assert cli.main(["compare", *arguments]) == 1, arguments
        captured = capsys.readouterr()
        assert captured.out == ""
        assert_one_line(captured.err, words)
    assert names(here) == {"runs", "odd.nc"}
    assert cli.main(["compare", *both, "--output", "c.png"]) == 0
    capsys.readouterr()
    assert cli.main(["compare", *both, "--output", "c.png"]) == 1
    assert_one_line(capsys.readouterr().err, "--output c.png exists", "--overwrite")
    assert cli.main(["compare", *both, "--output", "c.png", "--overwrite"]) == 0


# --- figure ---------------------------------------------------------------------------------------


def draw(*arguments):
    return cli.main(["figure", *map(str, arguments), "--no-cache"])


def test_figure_leaves_a_picture_and_a_note(here, capsys):
    assert draw(4) == 0
    assert names(here) == {"figure-4.png"}
    assert_not_blank(here / "figure-4.png")
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out.startswith("NA64mu: constant photon flux")
    assert captured.out.endswith("picture in figure-4.png\n")
    assert draw(4, "--data", "toy", "--seed", 3) == 0  # the next free name
    assert names(here) == {"figure-4.png", "figure-4-2.png"}
    one, other = (matplotlib.image.imread(here / name) for name in ("figure-4.png", "figure-4-2.png"))
    assert not np.array_equal(one, other)


def test_figure_goes_where_it_is_told_and_replaces_nothing(here, capsys):
    (here / "mine.svg").write_text("precious")
    assert draw(4, "--output", "mine.svg") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert_one_line(captured.err, "--output mine.svg exists", "--overwrite")
    assert (here / "mine.svg").read_text() == "precious"
    assert draw(4, "--output", "mine.svg", "--overwrite") == 0
    assert "<svg" in (here / "mine.svg").read_text() and names(here) == {"mine.svg"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["15"], ["figure must be one of '1', '4', '5', '6'", "'13', '14', 'dz", "; got '15'"]),
        (["8", "--kernel", "papre"], ["kernel", "did you mean 'paper'?"]),
        (["8", "--data", "measured"], ["data must be one of 'asimov', 'toy'"]),
        (["8", "--points", "5"], ["points", "[10, 2000]", "got 5"]),
        (["8", "--seed=-1"], ["seed"]),
        (["8", "--output", "figure.gif"], ["--output figure.gif must be a .png, .pdf, .svg file"]),
        (["8", "--output", "nowhere/figure.png"], ["--output nowhere/figure.png", "in a folder that exists"]),
    ],
)
def test_mistakes_of_figure(arguments, words, here, capsys, monkeypatch):
    def too_late(*_, **__):
        pytest.fail("drawing has begun")

    monkeypatch.setattr(figures, "FIGURES", dict.fromkeys(figures.FIGURES, too_late))
    assert draw(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert_one_line(captured.err, *words)
    assert names(here) == set()


# --- help, version, a process of its own ----------------------------------------------------------


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "jaxlmt", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )


def test_help_states_every_box(capsys):
    with pytest.raises(SystemExit) as stop:
        reconstruct("--help")
    assert stop.value.code == 0
    text = capsys.readouterr().out.replace("1e-05", "1e-5").replace("0.01]", "1e-2]")

    def box(low, high):
        return f"[{low:g}, {high:g}]".replace("1e-05", "1e-5").replace("0.01]", "1e-2]")

    for name in MIXING_PRIORS:
        assert f"\n                        {name} " in text, name
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert f"asinh({1.0 / MIXING_SCALE:g} eps_x/g_x)" in lines["free"]
    assert box(-MIXING_BOUND, MIXING_BOUND) in lines["free"]
    assert "-g_x/70" in lines["tied"]
    assert f"-g_x/{-1.0 / lmt.MIXING_RATIO_ONE_LOOP:.2f}" in lines["one-loop"]
    for name in ("negative", "both-signs"):
        assert box(SMALLEST_RATIO, MIXING_BOUND) in lines[name]
    assert f"ln g_x flat on {box(*COUPLING_BOX)}" in text
    assert f"ln M_A' flat on {box(*MASS_BOX)} MeV" in text
    for word in (*EXPERIMENTS, *lmt.BENCHMARKS[::3], "ww", "paper", "2021", "2025", "asimov", "toy", "lmu"):
        assert word in text
    for default in ("default 4", "default 2000", "default 400", "default -1/70"):
        assert default in text


def test_without_a_command_it_prints_help(capsys):
    assert cli.main([]) == 0
    assert "reconstruct" in capsys.readouterr().out


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"jaxlmt {lmt.__version__}\n"


def test_entry_point_is_installed():
    (entry,) = (e for e in importlib.metadata.entry_points(group="console_scripts") if e.name == "jaxlmt")
    assert entry.load() is cli.main


def test_mistake_in_a_process(here):
    done = run("reconstruct", "BP7")
    assert done.returncode == 1 and done.stdout == ""
    assert_one_line(done.stderr, "'BP7'")
    assert names(here) == set()


def test_run_in_a_process_with_a_cache_of_its_own(here):
    # Nothing has switched JAX to double precision there, and the compilation cache is on.
    home = here / "home"
    home.mkdir()
    done = run(
        "reconstruct",
        "BP1",
        *(a for a in QUICK if a != "--no-cache"),
        HOME=home,
        XDG_CACHE_HOME=home / "cache",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert names(here / "runs" / "BP1") == FILES
    (cache,) = home.rglob("xla")
    assert any(cache.iterdir())


# --- dark matter ----------------------------------------------------------------------------------


def dark_analysis(*arguments):
    return cli._dark(cli.parser().parse_args(["darkmatter", *arguments]))


def test_dark_matter_analysis():
    analysis = dark_analysis("--draws", "300", "--seed", "4")
    assert analysis.label == "darkmatter-2021" and analysis.truth is None
    assert analysis.prior.names == ("g_x", "mass", "delta", "dm_charge")
    assert analysis.table["experiments"]["gminus2"]["measurement"] == "2021"
    assert analysis.table["experiments"]["radiation"]["measurement"] == "bbn"
    assert all(entry["data"] == "measured" for entry in analysis.table["experiments"].values())
    assert analysis.table["sampler"] | {"draws": 300, "seed": 4, "split": {"delta": 0.0}} == analysis.table[
        "sampler"
    ]


def test_dark_matter_example_is_the_command():
    """docs/examples/dark_matter.toml says what `jaxlmt darkmatter --inputs today` does."""
    example = Analysis.read(Path(__file__).parents[1] / "docs" / "examples" / "dark_matter.toml").table
    command = dark_analysis("--inputs", "today").table
    assert {**example, "label": ""} == {**command, "label": ""}


def test_dark_matter_runs(here, capsys):
    """Without the relic density, whose program takes a minute to compile: the split alone."""
    arguments = ("--experiments", "gminus2,radiation", "--draws", "200", "--warmup", "100", "--quiet")
    assert cli.main(["darkmatter", *arguments, "--no-cache", "--output", "run"]) == 0
    printed = capsys.readouterr().out
    assert "part 1: probability" in printed and "part 2: probability" in printed
    assert names(here / "run") == FILES
    found = posterior(here / "run")
    ratio = found["dm_mass"] / found["mass"]
    np.testing.assert_allclose(found["delta"], 4.0 * ratio**2 - 1.0, atol=1e-12)
    assert strict_json(here / "run" / "summary.json")["summary"]["quality"]["parts"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--inputs", "2022"), "--inputs must be one of '2021', 'today'; got '2022'"),
        (("--experiments", "na64mu"), "--experiments must be one of"),
        (("--method", "exact"), "method must be one of"),
    ],
)
def test_wrong_dark_matter_commands(capsys, arguments, message):
    assert cli.main(["darkmatter", *arguments]) == 1
    assert message in capsys.readouterr().err
