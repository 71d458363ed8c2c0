"""An analysis from a table or a TOML file: truth, hypothesis, prior, experiments with data, sampler."""

import functools
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax

from . import config
from .config import named
from .formats import read_toml, write_toml
from .likelihood import Joint


class Analysis:
    """Everything that decides the outcome of an analysis, from a dict of the same layout as the TOML file.

    folder: where relative names of CSV files start; label: the name of an analysis that has none of its own.
    ``table`` is the analysis with every default filled in, as plain values. Raises ValueError that names the
    key of whatever is unknown, missing or wrong; what only an experiment can judge, such as the number of
    counts, is checked by :attr:`joint`.
    """

    def __init__(self, table, *, folder=".", label="analysis"):
        self.table = config.resolve(table, label=label, folder=folder)

    @classmethod
    def read(cls, path):
        """The analysis in a TOML file, named after the file unless it has a label."""
        path = Path(path)
        table = read_toml(path)
        with named(path):
            return cls(table, folder=path.parent, label=path.stem)

    def write(self, path):
        """Write TOML that :meth:`read` takes, every default and the counts of CSV files included."""
        comment = "A jaxlmt analysis with every default; jaxlmt run takes it."
        write_toml(path, self.table, comment=comment, nested=("experiments",))

    def __repr__(self):
        return f"Analysis({self.label}: {', '.join(self.table['experiments'])})"

    @property
    def label(self):
        """Its name."""
        return self.table["label"]

    @functools.cached_property
    def truth(self):
        """The :class:`jaxlmt.HiddenPhoton` at which data are simulated, or None."""
        return config.truth(self.table)

    @functools.cached_property
    def prior(self):
        """The :class:`jaxlmt.Prior` of the hypothesis that is fitted."""
        return config.prior(self.table)

    @functools.cached_property
    def joint(self):
        """The :class:`jaxlmt.Joint` of all experiments with their data; built on first use.

        Raises ValueError if an experiment refuses a field or its counts, RuntimeError in float32.
        """
        key, _ = self._keys
        entries = enumerate(self.table["experiments"].items())
        arguments = [(*entry, self.truth, jax.random.fold_in(key, i)) for i, entry in entries]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # folding compiles, which one thread does slowly
            found = [job.result() for job in [pool.submit(config.observation, *a) for a in arguments]]
        with named("experiments"):
            return Joint(found)

    @property
    def _keys(self):
        """Random keys: of the data, of the sampler."""
        return jax.random.split(jax.random.key(self.table["sampler"]["seed"]))

    def sampling(self):
        """The keywords of :func:`jaxlmt.sample` that the analysis decides."""
        settings = {k: v for k, v in self.table["sampler"].items() if k != "seed"}
        attrs = {"label": self.label, "model": self.table["model"]["name"]}
        if self.truth is not None:
            attrs["truth"] = _coordinates(self.truth)
        return {**settings, "key": self._keys[1], "attrs": attrs}

    def run(self, folder, *, overwrite=False, resume=False, progress=None):
        """Do the analysis and keep it in ``folder``, as ``jaxlmt run`` does; returns the posterior.

        overwrite: replace a finished run; resume: go on with an interrupted one; progress: a bar on standard
        error, by default on a terminal only. A failing picture is a warning. Raises ValueError if the folder
        holds another run or what is to be resumed is not this analysis, KeyboardInterrupt before the first
        draw.
        """
        from .run import Run

        run = Run(self, folder, overwrite=overwrite, resume=resume)
        run.sample(progress=progress)
        for failure in run.report():
            warnings.warn(failure, RuntimeWarning, stacklevel=2)
        return run.posterior

    def headline(self):
        """One line that says what is found from what."""
        table, point = self.table, ""
        data = [entry["data"] for entry in table["experiments"].values()]
        words = {word if isinstance(word, str) else "given" for word in data} - {"measured"} or {"measured"}
        if self.truth is not None:
            t = _coordinates(self.truth)
            point = f" (M_A' = {t['mass']:g} MeV, g_x = {t['g_x']:g}, eps_x/g_x = {t['eps_over_g']:.4g})"
        names, kinds = ", ".join(table["experiments"]), " and ".join(sorted(words))
        model, mixing = table["model"]["name"], config.mixing_name(table)
        return f"{self.label}{point} from {names}; {kinds} data, model {model}, eps {mixing}"

    def warnings(self):
        """Sentences about what is allowed and looks like a mistake."""
        if self.truth is None:
            return []
        mass, found = self.truth.mass, []
        if mass <= 0.11:
            found.append(f"masses are in MeV: {mass:g} MeV would be {1e3 * mass:g} MeV if GeV were meant")
        for key, name in (("mass", "mass"), ("g_x", "coupling")):
            value, prior = getattr(self.truth, key), self.prior.distributions.get(key)
            low, high = (value, value) if prior is None else prior.bounds
            if not low * (1.0 - 1e-12) <= value <= high * (1.0 + 1e-12):
                found.append(f"the true {name}, {value:g}, lies outside the prior's box [{low:g}, {high:g}]")
        return found


def _coordinates(theta):
    """{name of a posterior variable: value}."""
    charges = {f"charges.{name}": float(getattr(theta.charges, name)) for name in ("e", "mu", "tau")}
    names = ["g_x", "mass", "eps_x", *(name for name in config.DARK if hasattr(theta, name))]
    point = {name: float(getattr(theta, name)) for name in names}
    return {**point, "eps_over_g": point["eps_x"] / point["g_x"], **charges}
