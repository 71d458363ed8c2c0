"""The benchmarks compare the same physics: their references agree with the package."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxlmt as lmt
from benchmarks import __main__ as command
from benchmarks import problem
from benchmarks.reference import adaptive, folded, unfolded

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def joint():
    return problem.joint()


def compare(joint, reference, n, rtol):
    """log L at random points of the box; the data are those of the package."""
    points = problem.points(n)
    counts = {o.name: np.asarray(o.counts) for o in joint.observations}
    found = reference.log_likelihood(counts, *points)
    ours = joint.log_likelihood(lmt.HiddenPhoton(*points), systematics="profiled")
    np.testing.assert_allclose(found, ours, rtol=rtol)


@pytest.mark.parametrize("reference", [unfolded, folded])
def test_numpy_versions(joint, reference):
    # Six Gauss nodes a piece: 2e-6 at the worst of 2000 points, 3e-10 in the median.
    compare(joint, reference, 300, 1e-5)


def test_adaptive_quadrature(joint):
    compare(joint, adaptive, 4, 1e-8)


def test_the_folded_version_sees_what_the_other_one_sees(joint):
    """Both NumPy versions at the same grid of recoils differ by the spline in ln M alone."""
    points = problem.points(300)
    counts = {o.name: np.asarray(o.counts) for o in joint.observations}
    pair = [reference.log_likelihood(counts, *points) for reference in (unfolded, folded)]
    np.testing.assert_allclose(*pair, rtol=1e-7)


@pytest.fixture(scope="module")
def xenon():
    """The module, which keeps to one core from its import on: a benchmark, not the tests."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    from benchmarks import xenon as module

    if cores is not None:
        os.sched_setaffinity(0, cores)
    return module


def test_the_frozen_likelihood_of_xenon_is_the_traced_one(xenon):
    detectors = [lmt.darwin(channel=channel, threshold_keV=1.0) for channel in ("nr", "er")]
    joint = lmt.Joint.asimov(detectors, lmt.benchmark("BP1"))
    theta = lmt.HiddenPhoton(*problem.points(100))
    parts = tuple(xenon.freeze(observation) for observation in joint.observations)
    found = xenon.evaluate(xenon._frozen, (parts,), theta, {})
    np.testing.assert_allclose(found, joint.log_likelihood(theta), rtol=1e-9, atol=1e-9)


def test_every_module_is_a_section():
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert modules - {"__init__", "__main__", "problem"} == set(command.SECTIONS)


def test_an_unknown_section_is_refused():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "speed"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 2
    assert "section must be one of likelihood, peak, xenon, darkmatter, sampling" in run.stderr
    assert "'speed'" in run.stderr


def test_a_table_is_markdown():
    class Section:
        TITLE, COLUMNS = "What", ("", "time [s]")

        @staticmethod
        def rows():
            yield "a", 1.5

    lines = command.table(Section).splitlines()
    assert lines[:5] == ["### What", "", "|  | time [s] |", "|---|---|", "| a | 1.5 |"]
    assert lines[6].startswith("Load ")
