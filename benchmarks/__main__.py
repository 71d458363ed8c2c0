"""Speed, as Markdown tables for ``benchmarks/README.md``: ``python -m benchmarks [section ...]``.

Every section is a module of this package with ``TITLE``, ``COLUMNS`` and ``rows()``, run in a process of its
own, so that none sees another's compiled programs or memory.
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

SECTIONS = ("likelihood", "peak", "xenon", "darkmatter", "sampling", "profile", "memory", "cold_start")
LONG = ("cold_start",)  # run by name alone: minutes
NAMES = f"{', '.join(SECTIONS)}; all but {', '.join(LONG)} unless named"
PACKAGES = ("jax", "jaxlib", "numpyro", "numpy", "scipy", "emcee", "jaxlmt")


def processor():
    """Name of the processor, from Linux if it tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def header():
    """Date, machine and versions, one paragraph."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    today = datetime.datetime.now(datetime.UTC).date()
    return f"{today}, {processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}."


def table(module):
    """The section's table in Markdown, with the load of the machine and how long it took."""
    started, load = time.perf_counter(), os.getloadavg()[0]
    lines = [f"| {' | '.join(module.COLUMNS)} |", f"|{'---|' * len(module.COLUMNS)}"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in module.rows()]
    took = time.perf_counter() - started
    note = f"Load {load:.2f} before it, {os.getloadavg()[0]:.2f} after; {took:.0f} s."
    return "\n".join([f"### {module.TITLE}", "", *lines, "", note, ""])


def main():
    """Print the header and the sections asked for, all unless any is named."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    options.add_argument("sections", nargs="*", metavar="section", help=NAMES)
    options.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    unknown = sorted(set(arguments.sections) - set(SECTIONS))
    if unknown:
        options.error(f"section must be one of {', '.join(SECTIONS)}; got {unknown[0]!r}")
    if find_spec("emcee") is None:
        options.error('emcee is missing: pip install -e ".[bench,test]"')
    if arguments.bare:
        print(table(import_module(f"benchmarks.{arguments.sections[0]}")), flush=True)
        return
    print(header(), flush=True)
    for section in arguments.sections or [name for name in SECTIONS if name not in LONG]:
        print(flush=True)
        subprocess.run([sys.executable, "-m", "benchmarks", "--bare", section], check=True)


if __name__ == "__main__":
    main()
