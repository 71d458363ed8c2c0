"""Wall time of ``jaxlmt reconstruct BP1`` as a user sees it: ``python -m benchmarks.cold_start``.

Cold runs have empty caches, warm ones the compiled programs that a first run kept. Prints the median of each,
the smallest effective sample size, and where a cold run's time goes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def reconstruct(cache, folder, point):
    """(seconds, summary.json) of one run in a fresh process."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "jaxlmt", "reconstruct", point, "--output", str(folder), "--quiet"]
    started = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    return seconds, json.loads((folder / "summary.json").read_text())


def main():
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--point", default="BP1")
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} before the first run")
        runs, point = range(options.runs), options.point
        cold = [reconstruct(root / f"cache{i}", root / f"cold{i}", point) for i in runs]
        warm = [reconstruct(root / "cache0", root / f"warm{i}", point) for i in runs]
        for label, measured in (("cold", cold), ("warm", warm)):
            seconds = [run[0] for run in measured]
            ess = min(row["ess_bulk"] for run in measured for row in run[1]["summary"]["variables"].values())
            listed = ", ".join(f"{s:.1f}" for s in seconds)
            print(f"{label}: median {statistics.median(seconds):.1f} s ({listed}); smallest ESS {ess:.0f}")
        print("a cold run's sampler:", cold[0][1]["run"]["seconds"])


if __name__ == "__main__":
    main()
