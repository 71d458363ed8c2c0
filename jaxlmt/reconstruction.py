"""One reconstruction, from settings to a folder of results: what ``jaxlmt reconstruct`` runs."""

import json
import shlex
from pathlib import Path

import jax
import numpy as np
import platformdirs

from . import results
from .config import Settings
from .distributions import TiedToCoupling
from .experiments.gminus2 import GMinus2
from .likelihood import Joint
from .model import MIXING_RATIO_PAPER, HiddenPhoton
from .settings import enable_compilation_cache, enable_x64

# What a run leaves in its folder.
SETTINGS, POSTERIOR, SUMMARY, CHECKPOINT = "settings.toml", "posterior.nc", "summary.json", "chains.npz"
PICTURES = ("corner.png", "spectra.png")


class Reconstruction:
    """A reconstruction in ``folder``: :meth:`sample`, then :meth:`report`.

    The folder is made when the likelihood has been built. Raises ValueError if it holds a finished run and
    ``overwrite`` is not set.
    """

    def __init__(self, settings, folder, *, overwrite=False, resumed=False):
        self.settings, self.folder, self.resumed = settings, Path(folder), resumed
        if (self.folder / POSTERIOR).exists() and not overwrite:
            raise ValueError(f"folder {self.folder} already holds {POSTERIOR}")

    def _prepare_folder(self):
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"folder {self.folder} cannot be made: {error.strerror}") from error
        if not self.resumed:  # nothing of an older run may stand beside these settings
            for name in (POSTERIOR, SUMMARY, CHECKPOINT, *PICTURES):
                (self.folder / name).unlink(missing_ok=True)
        self.settings.write(self.folder / SETTINGS)

    @classmethod
    def resume(cls, folder):
        """The interrupted run in ``folder``. Raises ValueError if there is none."""
        folder = Path(folder)
        for name in (SETTINGS, CHECKPOINT):
            if not (folder / name).is_file():
                raise ValueError(f"--resume {folder}: there is no interrupted run, {name} is missing")
        return cls(Settings.read(folder / SETTINGS), folder, overwrite=True, resumed=True)

    def use_cache(self):
        """Keep compiled programs in the user's cache folder."""
        enable_compilation_cache(platformdirs.user_cache_path("jaxlmt") / "xla")

    def warnings(self):
        """What the user should know before the run."""
        return self.settings.warnings()

    def headline(self):
        """One line that says what is being reconstructed from what."""
        s = self.settings
        names = ", ".join(s.experiments)
        point = f"M_A' = {s.mass:g} MeV, g_x = {s.coupling:g}, eps_x/g_x = {s.mixing:.4g}"
        return f"{s.label} ({point}) from {names}; {s.data} data, model {s.model}, eps {s.eps}"

    @property
    def resume_command(self):
        """What to type to go on with this run once it has been interrupted."""
        return f"jaxlmt reconstruct --resume {shlex.quote(str(self.folder))}"

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
        enable_x64()
        from .inference.sample import sample  # loads NumPyro

        s = self.settings
        key_data, key_sample = jax.random.split(jax.random.key(s.seed))
        self.joint = self._joint(key_data)
        self.prior = s.prior()
        self._prepare_folder()
        self.posterior = sample(
            self.joint,
            self.prior,
            key=key_sample,
            chains=s.chains,
            draws=s.draws,
            warmup=s.warmup,
            progress=progress,
            checkpoint=self.folder / CHECKPOINT,
            resume=self.resumed,
            attrs={"label": s.label, "model": s.model},
        )
        results.save(self.posterior, self.folder / POSTERIOR, overwrite=True)
        complete = results.attributes(self.posterior)["complete"]
        if complete:
            (self.folder / CHECKPOINT).unlink(missing_ok=True)
        return complete

    def _joint(self, key):
        """(g-2)_mu as measured, everything else as simulated at the truth."""
        experiments = self.settings.build_experiments()
        observations = []
        for i, experiment in enumerate(experiments):
            if isinstance(experiment, GMinus2):
                observations.append(experiment.observe())
            elif self.settings.data == "toy":
                observations.append(experiment.toy(jax.random.fold_in(key, i), self.settings.truth))
            else:
                observations.append(experiment.asimov(self.settings.truth))
        return Joint(observations)

    def report(self, show):
        """Summary, best fit and pictures, to ``show`` (a print function) and the folder.

        Returns sentences about what failed; the posterior is safe by then.
        """
        from .inference.fit import fit

        summary = results.summary(self.posterior)
        best = fit(self.joint, self.prior)
        show(f"\n{summary}\n\n{best}\n\n{self._verdict(summary)}")
        content = {
            "settings": json.loads(json.dumps(vars(self.settings))),
            "summary": summary.to_dict(),
            "best_fit": best.to_dict(),
            "run": results.attributes(self.posterior),
        }
        text = json.dumps(content, indent=1, allow_nan=False)
        (self.folder / SUMMARY).write_text(text + "\n", encoding="utf-8")
        failures = []
        for name, draw in zip(PICTURES, (self._corner, self._spectra), strict=True):
            try:
                draw().savefig(self.folder / name)
            except Exception as error:  # whatever goes wrong in a picture, the numbers are kept
                failures.append(f"picture {name} failed ({error}); posterior and summary are saved")
        return failures

    def _verdict(self, summary):
        """What the posterior says about P2, the mixing that Lmu-Ltau predicts."""
        prediction = f"eps_x/g_x = -1/70 = {MIXING_RATIO_PAPER:.4f}"
        if isinstance(self.prior.theta.eps_x, TiedToCoupling):
            return f"P2 was assumed: eps_x/g_x = {float(self.prior.theta.eps_x.ratio):.4f}."
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

        return plots.corner(self.posterior, truth=self.settings.truth)

    def _spectra(self):
        from . import plots

        experiments = self.joint.experiments
        nothing = HiddenPhoton(0.0, self.settings.mass, 0.0)
        means = {
            which: {e.name: np.asarray(e.expected(theta)) + e.background for e in experiments}
            for which, theta in (("truth", self.settings.truth), ("sm", nothing))
        }
        return plots.spectra(
            self.posterior,
            experiments=[e.name for e in experiments],
            bin_edges={e.name: e.bin_edges for e in experiments},
            labels={e.name: (e.axis_label, e.value_label, e.title) for e in experiments},
            truth=means["truth"],
            standard_model=means["sm"],
            sigma={e.name: e.sigma for e in experiments if isinstance(e, GMinus2)},
        )
