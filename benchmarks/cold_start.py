"""Wall time of ``jaxlmt reconstruct BP1`` as a user sees it, in processes of their own."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 3
TITLE = "`jaxlmt reconstruct BP1`"
COLUMNS = ("", "median [s]", "runs [s]", "smallest ESS", "fit, compile, sample of the first [s]")


def reconstruct(cache, folder):
    """(seconds, summary.json) of one run in a fresh process."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "jaxlmt", "reconstruct", "BP1", "--output", str(folder), "--quiet"]
    started = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    return seconds, json.loads((folder / "summary.json").read_text())


def rows():
    """Cold runs have empty caches, warm ones the compiled programs that the first run kept."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for label in ("cold", "warm"):
            caches = [root / (f"cache{i}" if label == "cold" else "cache0") for i in range(RUNS)]
            runs = [reconstruct(cache, root / f"{label}{i}") for i, cache in enumerate(caches)]
            seconds = [run[0] for run in runs]
            ess = min(row["ess_bulk"] for run in runs for row in run[1]["summary"]["variables"].values())
            stages = runs[0][1]["run"]["seconds"]
            listed = ", ".join(f"{s:.1f}" for s in seconds)
            stages = ", ".join(f"{stages[k]:.1f}" for k in ("fit", "compile", "sample"))
            yield label, f"{statistics.median(seconds):.1f}", listed, f"{ess:.0f}", stages
