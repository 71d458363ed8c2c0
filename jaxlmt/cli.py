"""The command line: ``jaxlmt reconstruct BP1``."""

import argparse
import os
import sys
import time
from pathlib import Path

EPS_HELP = """prior of the kinetic mixing:
  free        eps_x/g_x flat in asinh(100 eps_x/g_x) on [-0.3, 0.3]; both signs, no hole at zero (default)
  tied        eps_x = -g_x/70, the prediction of Lmu-Ltau
  one-loop    eps_x = -g_x/69.29, the same unrounded (eq 11)
  negative    ln(-eps_x/g_x) flat on [1e-5, 0.3]; one sign
  both-signs  ln|eps_x/g_x| flat on [1e-5, 0.3], the signs summed and drawn afterwards
  NUMBER      eps_x/g_x fixed at this value"""

EPILOG = """Default box: ln g_x flat on [1e-5, 1e-2], ln M_A' flat on [1, 1000] MeV.
Data: the measured (g-2)_mu, and for every other experiment what it expects at the truth (Asimov), or
random counts (--data toy).
"""


class UserError(Exception):
    """Something the user can mend; shown as one line."""


class _Parser(argparse.ArgumentParser):
    def parse_known_args(self, args=None, namespace=None):
        return super().parse_known_args(_join_numbers(sys.argv[1:] if args is None else args), namespace)


def parser():
    """The argument parser of ``jaxlmt``."""
    formatter = argparse.RawTextHelpFormatter
    top = _Parser(
        prog="jaxlmt",
        description="Is it really Lmu-Ltau? Likelihoods of a light hidden photon, in JAX.",
        formatter_class=formatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser(
        "reconstruct",
        help="posterior of (g_x, M_A', eps_x) for a benchmark point",
        description="Reconstruct (g_x, M_A', eps_x) of a true A' from simulated and measured data.",
        epilog=EPILOG,
        formatter_class=formatter,
    )
    run.add_argument("benchmark", nargs="?", metavar="BENCHMARK", help="BP1 ... BP4 (2104.03297, Table 1)")
    truth = run.add_argument_group("another truth, instead of a benchmark")
    truth.add_argument("--mass", type=float, metavar="MEV", help="mass of the true A' in MeV")
    truth.add_argument("--coupling", type=float, metavar="G", help="its coupling g_x")
    truth.add_argument("--mixing", type=float, metavar="RATIO", help="its eps_x/g_x (default -1/70)")
    what = run.add_argument_group("the analysis")
    what.add_argument(
        "--experiments",
        default="gminus2,na64mu,cenns610,ccm,ess,ess10",
        metavar="LIST",
        help="comma-separated, from gminus2, na64mu, cenns610, ccm, ess, ess10 (default: all)",
    )
    what.add_argument(
        "--model",
        default="lmu-ltau",
        metavar="NAME",
        help="hypothesis that is fitted: lmu-ltau (default) or lmu;\nthe truth is Lmu-Ltau",
    )
    what.add_argument("--eps", default="free", metavar="PRIOR", help=EPS_HELP)
    what.add_argument(
        "--kernel", default="ww", metavar="NAME", help="NA64mu cross section: ww (default) or paper"
    )
    what.add_argument("--gminus2", default="2021", metavar="YEAR", help="measurement: 2021 (default) or 2025")
    what.add_argument("--data", default="asimov", metavar="KIND", help="asimov (default) or toy")
    how = run.add_argument_group("the sampler")
    how.add_argument("--chains", type=int, default=4, metavar="N", help="default 4")
    how.add_argument("--draws", type=int, default=5000, metavar="N", help="per chain, default 5000")
    how.add_argument("--warmup", type=int, default=400, metavar="N", help="default 400")
    how.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    where = run.add_argument_group("output")
    where.add_argument(
        "--output", type=Path, metavar="DIR", help="default runs/BENCHMARK, or the next free name"
    )
    where.add_argument("--overwrite", action="store_true", help="replace the files of an existing --output")
    where.add_argument("--resume", type=Path, metavar="DIR", help="go on with an interrupted run")
    where.add_argument(
        "--no-cache", action="store_true", help="do not keep compiled programs for the next run"
    )
    where.add_argument("--quiet", action="store_true", help="no progress bar")
    return top


def main(arguments=None):
    """Entry point; returns the exit status: 0, 1 for an error, 130 when interrupted."""
    top = parser()
    options = top.parse_args(arguments)
    if options.version:
        from . import __version__

        print(f"jaxlmt {__version__}")
        return 0
    if options.command is None:
        top.print_help()
        return 0
    try:
        return _reconstruct(options)
    except (UserError, ValueError) as error:
        print(f"jaxlmt: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interruption:
        print(f"\njaxlmt: {interruption or 'interrupted'}", file=sys.stderr)
        return 130


def _join_numbers(arguments):
    """``--mixing=-1e-2`` for ``--mixing -1e-2``: argparse takes -1e-2 for an option."""
    joined = []
    for argument in arguments:
        if joined and joined[-1] in ("--mixing", "--eps", "--mass", "--coupling") and _is_number(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _reconstruct(options):
    from .reconstruction import Reconstruction

    started = time.perf_counter()
    if options.resume and (options.benchmark or options.mass is not None or options.output):
        raise UserError("--resume takes the settings of its folder; give no benchmark, truth or --output")
    run = Reconstruction.resume(options.resume) if options.resume else _new_run(options)
    for warning in run.warnings():
        print(f"jaxlmt: warning: {warning}", file=sys.stderr)
    if not options.no_cache:
        run.use_cache()
    show = sys.stderr.isatty() and not options.quiet
    print(run.headline(), flush=True)
    complete = run.sample(progress=show)
    failures = run.report(print)
    print(f"\n{time.perf_counter() - started:.1f} s; results in {os.path.relpath(run.folder)}{os.sep}")
    for failure in failures:
        print(f"jaxlmt: {failure}", file=sys.stderr)
    if not complete:
        print(f"jaxlmt: interrupted; go on with: {run.resume_command}", file=sys.stderr)
        return 130
    return 1 if failures else 0


def _new_run(options):
    from .config import Settings
    from .reconstruction import Reconstruction

    custom = options.mass is not None or options.coupling is not None
    if custom == (options.benchmark is not None):
        raise UserError("give either a benchmark (BP1 ... BP4) or both --mass and --coupling")
    if custom and (options.mass is None or options.coupling is None):
        raise UserError("--mass and --coupling belong together")
    settings = Settings.resolve(
        benchmark=options.benchmark,
        mass=options.mass,
        coupling=options.coupling,
        mixing=options.mixing,
        experiments=options.experiments.split(","),
        model=options.model,
        eps=options.eps,
        kernel=options.kernel,
        gminus2=options.gminus2,
        data=options.data,
        chains=options.chains,
        draws=options.draws,
        warmup=options.warmup,
        seed=options.seed,
    )
    folder = _folder(options, settings)
    return Reconstruction(settings, folder, overwrite=options.overwrite)


def _folder(options, settings):
    if options.output is None:
        base = Path("runs") / settings.label
        names = [base, *(base.with_name(f"{base.name}-{i}") for i in range(2, 10_000))]
        return next(name for name in names if not name.exists())
    for place in (options.output, *options.output.parents):
        if place.exists() and not place.is_dir():
            raise UserError(f"--output {options.output}: {place} is a file; give a folder")
    if options.output.exists() and not options.overwrite and any(options.output.iterdir()):
        raise UserError(
            f"--output {options.output} exists and is not empty; give another one, --overwrite, "
            "or --resume for an interrupted run"
        )
    return options.output
