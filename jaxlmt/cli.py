"""The command line: ``jaxlmt reconstruct BP1``, ``jaxlmt darkmatter``, ``jaxlmt run analysis.toml``,
``jaxlmt compare RUN RUN``, ``jaxlmt figure 8``.

Every command is a pair of functions, one that adds its parser and one that does it.
"""

import argparse
import itertools
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


PICTURES = (".png", ".pdf", ".svg")


class UserError(Exception):
    """Something the user can mend; shown as one line."""


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options):
        options.setdefault("formatter_class", argparse.RawTextHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(self, args=None, namespace=None):
        return super().parse_known_args(_join_numbers(sys.argv[1:] if args is None else args), namespace)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {_one_line(message)}; see {self.prog} --help\n")


def _one_line(text):
    return " ".join(str(text).split())


def _listed(text):
    """Comma-separated names as a list; None stays None."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


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


def parser():
    """The argument parser of ``jaxlmt``."""
    top = _Parser(
        prog="jaxlmt",
        description="Is it really Lmu-Ltau? Likelihoods of a light hidden photon, in JAX.",
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for add in (_add_reconstruct, _add_darkmatter, _add_run, _add_compare, _add_figure):
        add(commands)
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
        return options.action(options)
    except (UserError, ValueError, OSError) as error:
        print(f"jaxlmt: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interruption:
        print(f"\njaxlmt: {interruption or 'interrupted'}", file=sys.stderr)
        return 130


# --- reconstruct ----------------------------------------------------------------------------------


def _add_reconstruct(commands):
    command = commands.add_parser(
        "reconstruct",
        help="posterior of (g_x, M_A', eps_x) for a benchmark point",
        description="Reconstruct (g_x, M_A', eps_x) of a true A' from simulated and measured data.",
        epilog=EPILOG,
    )
    command.set_defaults(action=_reconstruct)
    command.add_argument(
        "benchmark", nargs="?", metavar="BENCHMARK", help="BP1 ... BP4 (2104.03297, Table 1)"
    )
    truth = command.add_argument_group("another truth, instead of a benchmark")
    truth.add_argument("--mass", type=float, metavar="MEV", help="mass of the true A' in MeV")
    truth.add_argument("--coupling", type=float, metavar="G", help="its coupling g_x")
    truth.add_argument("--mixing", type=float, metavar="RATIO", help="its eps_x/g_x (default -1/70)")
    what = command.add_argument_group("the analysis")
    what.add_argument(
        "--experiments",
        default="gminus2,na64mu,cenns610,ccm,ess,ess10,darwin",
        metavar="LIST",
        help="comma-separated, from gminus2, na64mu, cenns610, ccm, ess, ess10, darwin,\n"
        "lz, xenonnt, trident_ccfr, trident_charm2, babar, borexino, belle2, tau_charm,\n"
        "radiation, white_dwarfs (default: the first seven); relic_abundance,\n"
        "cmb_annihilation, positron_line, sensei need dark matter, which an analysis\n"
        "file can have",
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
    what.add_argument(
        "--threshold", type=float, default=1.0, metavar="KEV", help="of darwin, in keV_nr (default 1)"
    )
    what.add_argument(
        "--oscillation",
        default="nufit6",
        metavar="NAME",
        help="of solar neutrinos: nufit6 (default) or paper2021",
    )
    what.add_argument(
        "--solar",
        default="fixed",
        metavar="HOW",
        help="fluxes and oscillations of solar neutrinos: fixed (default), or\n"
        "uncertain: sampled within what is known of them",
    )
    what.add_argument("--data", default="asimov", metavar="KIND", help="asimov (default) or toy")
    _add_sampler(command)
    _add_output(command, default="runs/BENCHMARK")


def _add_sampler(command):
    how = command.add_argument_group("the sampler")
    how.add_argument("--chains", type=int, default=4, metavar="N", help="default 4")
    how.add_argument("--draws", type=int, default=2000, metavar="N", help="per chain, default 2000")
    how.add_argument("--warmup", type=int, default=400, metavar="N", help="default 400")
    how.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")


def _sampler(options):
    return {name: getattr(options, name) for name in ("chains", "draws", "warmup", "seed")}


def _experiments(text, allowed):
    """Names from the option ``--experiments``."""
    from .validation import choose

    names = _listed(text)
    for name in names:
        choose("--experiments", name, allowed)
    if not names or len(set(names)) != len(names):
        raise UserError(
            f"--experiments must be distinct names, at least one of {', '.join(allowed)}; got {text!r}"
        )
    return names


def _reconstruct(options):
    if options.resume and (options.benchmark or options.mass is not None):
        raise UserError("--resume takes the analysis of its folder; give no benchmark or truth")
    return _execute(options, _described)


def _described(options):
    """The analysis that the options of ``reconstruct`` describe."""
    from .analysis import Analysis
    from .config import EXPERIMENTS, PUBLISHED, SOLAR
    from .distributions import Normal
    from .experiments.gminus2 import measurements
    from .processes.bremsstrahlung import KERNELS
    from .sources.oscillation import PRESETS, oscillation
    from .sources.solar import FLUXES
    from .validation import choose, number

    truth, label = _truth(options)
    names = _experiments(options.experiments, EXPERIMENTS)
    fields = {
        "gminus2": {"measurement": choose("--gminus2", options.gminus2, measurements())},
        "na64mu": {"kernel": choose("--kernel", options.kernel, KERNELS)},
        "darwin": {"threshold_keV": number("--threshold", options.threshold, low=0.0, low_open=True)},
    }
    solar = borexino = {"oscillation": choose("--oscillation", options.oscillation, PRESETS)}
    if choose("--solar", options.solar, ("fixed", "uncertain")) == "uncertain":
        angles = oscillation(options.oscillation, uncertainties=True)
        solar = {"oscillation": angles, "flux_norms": "uncertain"}
        borexino = {"oscillation": angles, "flux_norm": Normal(1.0, FLUXES["gs98"]["7Be"][1])}
    fields = {n: {**fields.get(n, {}), **(solar if n in SOLAR else {})} for n in EXPERIMENTS}
    fields["borexino"] = borexino
    data = {"data": choose("--data", options.data, ("asimov", "toy"))}
    experiments = {n: {**({} if n in PUBLISHED else data), **fields.get(n, {})} for n in names}
    ratio = _is_number(options.eps) and abs(float(options.eps)) < float("inf")
    return Analysis(
        {
            "label": label,
            "truth": truth,
            "model": {"name": options.model},
            "prior": {"eps_x": {"tied": float(options.eps)} if ratio else options.eps},
            "experiments": experiments,
            "sampler": _sampler(options),
        }
    )


def _truth(options):
    """The section [truth], and its name."""
    from .validation import number

    custom = options.mass is not None or options.coupling is not None
    if custom == (options.benchmark is not None):
        raise UserError("give either a benchmark (BP1 ... BP4) or both --mass and --coupling")
    if custom and (options.mass is None or options.coupling is None):
        raise UserError("--mass and --coupling belong together")
    mixing = {} if options.mixing is None else {"eps_over_g": number("--mixing", options.mixing)}
    if not custom:
        return {"benchmark": options.benchmark, **mixing}, options.benchmark
    mass = number("--mass", options.mass, low=0.0, low_open=True)
    g_x = number("--coupling", options.coupling, low=0.0, low_open=True)
    return {"mass": mass, "g_x": g_x, **mixing}, f"M{mass:g}-g{g_x:g}"


# --- dark matter ----------------------------------------------------------------------------------

DARK_EPILOG = """Priors: ln g_x flat on [1e-5, 1e-2], ln M_A' on [5, 150] MeV, delta = 4 m_psi^2/M_A'^2 - 1 in
asinh(1e5 delta) on [-0.9, 0.5], ln q_psi on [0.1, 3]: psi is lighter than the muon. eps_x = -g_x/69.29.
The posterior has a part below the pole, delta < 0, and one above; each is sampled on its own, and the
evidence mixes them.
"""
INPUTS = {  # the measurements that have changed since 2107.14528
    "2021": {"gminus2": {"measurement": "2021"}, "radiation": {"measurement": "bbn"}},
    "today": {"gminus2": {"measurement": "2025"}, "radiation": {"measurement": "act_dr6"}},
}
DARK_PRIOR = {
    "mass": {"log_uniform": [5.0, 150.0]},
    "eps_x": "one-loop",
    "delta": {"asinh_uniform": [1e-5, -0.9, 0.5]},
    "dm_charge": {"log_uniform": [0.1, 3.0]},
}


def _add_darkmatter(commands):
    command = commands.add_parser(
        "darkmatter",
        help="posterior of A' and a dark fermion psi from what is measured",
        description="Fit (g_x, M_A', m_psi, q_psi) to (g-2)_mu, relic density, N_eff and bounds.",
        epilog=DARK_EPILOG,
    )
    command.set_defaults(action=lambda options: _execute(options, _dark))
    what = command.add_argument_group("the analysis")
    what.add_argument(
        "--inputs",
        default="2021",
        metavar="WHEN",
        help="(g-2)_mu and N_eff as in 2107.14528, 2021 (default), or as of today",
    )
    what.add_argument(
        "--experiments",
        default="gminus2,relic_abundance,radiation,cmb_annihilation,white_dwarfs,trident_ccfr,babar",
        metavar="LIST",
        help="comma-separated (default: gminus2, relic_abundance, radiation,\n"
        "cmb_annihilation, white_dwarfs, trident_ccfr, babar)",
    )
    what.add_argument(
        "--method",
        default="formula",
        metavar="NAME",
        help="relic density: formula (default), to 20%%; boltzmann or kinetic, better\nand ten times slower",
    )
    _add_sampler(command)
    _add_output(command, default="runs/darkmatter-WHEN")


def _dark(options):
    """The analysis that the options of ``darkmatter`` describe."""
    from .analysis import Analysis
    from .config import PUBLISHED
    from .validation import choose

    inputs = INPUTS[choose("--inputs", options.inputs, INPUTS)]
    fields = {**inputs, "relic_abundance": {"method": options.method}}
    names = _experiments(options.experiments, PUBLISHED)
    return Analysis(
        {
            "label": f"darkmatter-{options.inputs}",
            "prior": DARK_PRIOR,
            "experiments": {name: fields.get(name, {}) for name in names},
            "sampler": {**_sampler(options), "split": {"delta": 0.0}},
        }
    )


# --- run ------------------------------------------------------------------------------------------


def _add_run(commands):
    command = commands.add_parser(
        "run",
        help="the analysis of a TOML file",
        description="Do the analysis that a TOML file describes: docs/examples/analysis.toml shows how.",
    )
    command.set_defaults(action=_run)
    command.add_argument("file", nargs="?", type=Path, metavar="ANALYSIS.toml", help="what to do")
    _add_output(command, default="runs/LABEL")


def _run(options):
    if (options.file is None) == (options.resume is None):
        raise UserError("give either the TOML file of an analysis or --resume and the folder of a run")
    return _execute(options, lambda options: _read(options.file))


def _read(path):
    from .analysis import Analysis

    return Analysis.read(path)


def _add_output(command, *, default):
    where = command.add_argument_group("output")
    where.add_argument("--output", type=Path, metavar="DIR", help=f"default {default}, or the next free name")
    where.add_argument("--overwrite", action="store_true", help="replace the files of an existing --output")
    where.add_argument("--resume", type=Path, metavar="DIR", help="go on with an interrupted run")
    where.add_argument(
        "--no-cache", action="store_true", help="do not keep compiled programs for the next run"
    )
    where.add_argument("--quiet", action="store_true", help="no progress bar")


def _execute(options, analyse):
    """Do the analysis that ``analyse(options)`` makes, or resume the one of a folder."""
    from .run import Run, unfinished
    from .settings import enable_x64

    started = time.perf_counter()
    enable_x64()
    if options.resume:
        if options.output:
            raise UserError("--resume goes on in its own folder; give no --output")
        analysis, folder = _read(unfinished(options.resume)), options.resume
    else:
        analysis = analyse(options)
        folder = _folder(options, analysis.label)
    run = Run(analysis, folder, overwrite=options.overwrite, resume=options.resume is not None)
    for warning in analysis.warnings():
        print(f"jaxlmt: warning: {warning}", file=sys.stderr)
    if not options.no_cache:
        _use_cache()
    print(analysis.headline(), flush=True)
    complete = run.sample(progress=sys.stderr.isatty() and not options.quiet)
    failures = run.report(print)
    print(f"\n{time.perf_counter() - started:.1f} s; results in {os.path.relpath(run.folder)}{os.sep}")
    for failure in failures:
        print(f"jaxlmt: {failure}", file=sys.stderr)
    if not complete:
        print(f"jaxlmt: interrupted; go on with: {run.resume_command}", file=sys.stderr)
        return 130
    return 1 if failures else 0


def _use_cache():
    """Keep compiled programs in the user's cache folder."""
    import platformdirs

    from .settings import enable_compilation_cache

    enable_compilation_cache(platformdirs.user_cache_path("jaxlmt") / "xla")


def _folder(options, label):
    if options.output is None:
        return _free(Path("runs"), label)
    for place in (options.output, *options.output.parents):
        if place.exists() and not place.is_dir():
            raise UserError(f"--output {options.output}: {place} is a file; give a folder")
    if options.output.exists() and not options.overwrite and any(options.output.iterdir()):
        raise UserError(
            f"--output {options.output} exists and is not empty; give another one, --overwrite, "
            "or --resume for an interrupted run"
        )
    return options.output


def _free(folder, stem, suffix=""):
    """folder/stem + suffix, or the first of stem-2, stem-3, ... that does not exist."""
    names = (folder / f"{stem}{f'-{i}' if i > 1 else ''}{suffix}" for i in itertools.count(1))
    return next(name for name in names if not name.exists())


# --- compare --------------------------------------------------------------------------------------


def _add_compare(commands):
    command = commands.add_parser(
        "compare",
        help="posteriors of several runs in one picture and one table",
        description="Overlay the posteriors of runs: a picture, and a table of every parameter.",
    )
    command.set_defaults(action=_compare)
    command.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    command.add_argument("--labels", metavar="LIST", help="comma-separated names for the legend, one a run")
    command.add_argument(
        "--variables", metavar="LIST", help="comma-separated (default: parameters that vary in all runs)"
    )
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help=".png, .pdf or .svg; default compare.png, or the next free",
    )
    command.add_argument("--overwrite", action="store_true", help="replace an existing --output")


def _compare(options):
    from . import plots
    from .compare import common_truth, load_runs, table

    if len(options.runs) < 2:
        raise UserError(f"compare takes at least two runs; got {options.runs[0]}")
    path = _picture(options, "compare")
    runs = load_runs(options.runs, _listed(options.labels))
    picture = plots.compare(runs, truth=common_truth(runs), variables=_listed(options.variables))
    print(table(runs))
    picture.savefig(path)
    print(f"\npicture in {os.path.relpath(path)}")
    return 0


def _picture(options, stem):
    """Where a picture goes: --output if it can be written, or the first free name."""
    path = options.output or _free(Path(), stem, ".png")
    if path.suffix not in PICTURES or path.is_dir() or not path.parent.is_dir():
        raise UserError(f"--output {path} must be a {', '.join(PICTURES)} file in a folder that exists")
    if path.exists() and not options.overwrite:
        raise UserError(f"--output {path} exists; give another one or --overwrite")
    return path


# --- figure ---------------------------------------------------------------------------------------


def _add_figure(commands):
    command = commands.add_parser(
        "figure",
        help="a figure of the papers, and what differs from the printed one",
        description="Draw a figure of 2104.03297, or of 2107.14528 (dz...), and say what differs from the "
        "printed one and why.",
    )
    command.set_defaults(action=_figure)
    command.add_argument("name", metavar="FIGURE", help="1, 4 to 14, or dz1 to dz4")
    command.add_argument(
        "--kernel",
        default="paper",
        metavar="NAME",
        help="paper (default) for all choices of the paper, ww for those of jaxlmt",
    )
    command.add_argument("--data", default="asimov", metavar="KIND", help="asimov (default) or toy")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of toy data, default 0")
    command.add_argument("--points", type=int, default=160, metavar="N", help="of either axis, default 160")
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help=".png, .pdf or .svg; default figure-N.png, or the next free",
    )
    command.add_argument("--overwrite", action="store_true", help="replace an existing --output")
    command.add_argument(
        "--no-cache", action="store_true", help="do not keep compiled programs for the next figure"
    )


def _figure(options):
    from .figures import check, draw
    from .settings import enable_x64

    started = time.perf_counter()
    enable_x64()
    settings = {name: getattr(options, name) for name in ("kernel", "data", "seed", "points")}
    check(options.name, **settings)  # before the long part
    path = _picture(options, f"figure-{options.name}")
    if not options.no_cache:
        _use_cache()
    made, note = draw(options.name, **settings)
    made.savefig(path)
    print(f"{note}\n\n{time.perf_counter() - started:.1f} s; picture in {os.path.relpath(path)}")
    return 0
