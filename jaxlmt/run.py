"""One analysis, run: from the likelihood to a folder of results, what ``jaxlmt run`` does."""

import json
import shlex
from pathlib import Path

import numpy as np

from . import results
from .config import PLOTS
from .distributions import Distribution, TiedToCoupling
from .experiments.measurement import Measurement
from .model import MIXING_RATIO_PAPER, STANDARD_MODEL

# What a run leaves in its folder.
ANALYSIS, POSTERIOR, SUMMARY, CHECKPOINT = "analysis.toml", "posterior.nc", "summary.json", "chains.npz"


def _predicts(experiment, theta):
    return hasattr(theta, "dm_charge") or not experiment.needs_dark_matter


def unfinished(folder):
    """The analysis file of the interrupted run in ``folder``. Raises ValueError if there is none."""
    for name in (ANALYSIS, CHECKPOINT):
        if not (Path(folder) / name).is_file():
            raise ValueError(f"--resume {folder}: there is no interrupted run, {name} is missing")
    return Path(folder) / ANALYSIS


class Run:
    """A run of ``analysis`` in ``folder``: :meth:`sample`, then :meth:`report`.

    The folder is made when the likelihood has been built. Raises ValueError if it holds a finished run and
    ``overwrite`` is not set, or no interrupted one and ``resume`` is.
    """

    def __init__(self, analysis, folder, *, overwrite=False, resume=False):
        self.analysis, self.folder, self.resumed = analysis, Path(folder), resume
        if resume:
            unfinished(folder)
        elif (self.folder / POSTERIOR).exists() and not overwrite:
            raise ValueError(f"folder {self.folder} already holds {POSTERIOR}")

    def _prepare_folder(self):
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"folder {self.folder} cannot be made: {error.strerror}") from error
        if not self.resumed:  # nothing of an older run may stand beside this analysis
            for name in (POSTERIOR, SUMMARY, *(f"{plot}.png" for plot in PLOTS)):
                (self.folder / name).unlink(missing_ok=True)
            self._forget_chains()
        self.analysis.write(self.folder / ANALYSIS)

    @property
    def resume_command(self):
        """What to type to go on with this run once it has been interrupted."""
        return f"jaxlmt run --resume {shlex.quote(str(self.folder))}"

    def sample(self, *, progress=False):
        """Build the likelihood and sample it; keeps chains, posterior and data. False if interrupted.

        Raises KeyboardInterrupt, which says how to go on, when interrupted before the first draw.
        """
        try:
            return self._sample(progress)
        except KeyboardInterrupt as interruption:
            hint = f"; go on with: {self.resume_command}" if (self.folder / CHECKPOINT).exists() else ""
            raise KeyboardInterrupt(f"{interruption or 'interrupted'}{hint}") from None

    def _sample(self, progress):
        from .inference.sample import sample  # loads NumPyro

        self.joint, self.prior = self.analysis.joint, self.analysis.prior
        self._prepare_folder()
        self.posterior = sample(
            self.joint,
            self.prior,
            **self.analysis.sampling(),
            progress=progress,
            checkpoint=self.folder / CHECKPOINT,
            resume=self.resumed,
        )
        results.save(self.posterior, self.folder / POSTERIOR, overwrite=True)
        complete = results.attributes(self.posterior)["complete"]
        if complete:
            self._forget_chains()
        return complete

    def _forget_chains(self):
        for file in self.folder.glob(f"{Path(CHECKPOINT).stem}*.npz"):
            file.unlink()

    def report(self, show=None):
        """Summary, best fit and pictures, into the folder and to ``show``, a print function.

        Returns sentences about what failed; the posterior is safe by then.
        """
        from .inference.fit import fit

        summary = results.summary(self.posterior)
        best = fit(self.joint, self.prior)
        if show is not None:
            show(f"\n{summary}\n\n{best}\n\n{self._verdict(summary)}")
        content = {
            "analysis": self.analysis.table,
            "summary": summary.to_dict(),
            "best_fit": best.to_dict(),
            "run": results.finite(results.attributes(self.posterior)),
        }
        text = json.dumps(content, indent=1, allow_nan=False)
        (self.folder / SUMMARY).write_text(text + "\n", encoding="utf-8")
        failures = []
        for name in self.analysis.table["plots"]:
            try:
                getattr(self, f"_{name}")().savefig(self.folder / f"{name}.png")
            except Exception as error:  # whatever goes wrong in a picture, the numbers are kept
                failures.append(f"picture {name}.png failed ({error}); posterior and summary are saved")
        return failures

    def _verdict(self, summary):
        """What the posterior says about P2, the mixing that Lmu-Ltau predicts."""
        prediction = f"eps_x/g_x = -1/70 = {MIXING_RATIO_PAPER:.4f}"
        mixing = self.prior.theta.eps_x
        if isinstance(mixing, TiedToCoupling):
            return f"P2 was assumed: eps_x/g_x = {float(mixing.ratio):.4f}."
        if not isinstance(mixing, Distribution):
            return f"The mixing was fixed: eps_x = {float(mixing):.4g}."
        row = summary["eps_over_g"]
        negative = np.mean(results.draws(self.posterior)["eps_over_g"] < 0.0)
        where = "outside the 95%"
        if row.interval[0] <= MIXING_RATIO_PAPER <= row.interval[1]:
            where = "inside the 68%"
        elif row.wide_interval[0] <= MIXING_RATIO_PAPER <= row.wide_interval[1]:
            where = "inside the 95%"
        return (
            f"P2: the prediction of Lmu-Ltau, {prediction}, lies {where} interval; "
            f"P(eps_x < 0) = {negative:.3f}."
        )

    def _corner(self):
        from . import plots

        return plots.corner(self.posterior, truth=self.analysis.truth)

    def _spectra(self):
        from . import plots

        experiments, truth = self.joint.experiments, self.analysis.truth
        points = {"standard_model": STANDARD_MODEL, "truth": truth}
        means = {
            which: {e.name: e.asimov(theta).counts for e in experiments if _predicts(e, theta)}
            for which, theta in points.items()
            if theta is not None
        }
        measured = [e for e in experiments if isinstance(e, Measurement)]
        return plots.spectra(
            self.posterior,
            experiments=[e.name for e in experiments],
            bin_edges={e.name: e.bin_edges for e in experiments},
            labels={e.name: (e.axis_label, e.value_label, e.title) for e in experiments},
            background={e.name: 0.0 for e in experiments if e.n_bins == 1 and e not in measured},
            sigma={e.name: e.error_bar for e in measured},
            **means,
        )
