"""Settings of a reconstruction: checked, resolved to every default, written to and read from TOML."""

import json
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from .distributions import LogUniform, PerCoupling, SignedLogUniform, TiedToCoupling
from .experiments.gminus2 import gminus2, measurements
from .experiments.na64mu import na64mu
from .experiments.spallation import ccm, cenns610, ess, ess10
from .inference.priors import COUPLING_BOX, MASS_BOX, MIXING_BOUND, default_prior
from .model import BENCHMARKS, MIXING_RATIO_ONE_LOOP, MIXING_RATIO_PAPER, MODELS, HiddenPhoton, benchmark
from .processes.bremsstrahlung import KERNELS
from .validation import choose, number

SPALLATION = {"cenns610": cenns610, "ccm": ccm, "ess": ess, "ess10": ess10}
EXPERIMENTS = ("gminus2", "na64mu", *SPALLATION)
DATA = ("asimov", "toy")
SMALLEST_RATIO = 1e-5  # of |eps_x|/g_x in the logarithmic mixing priors
MIXING_PRIORS = {
    "free": None,  # default_prior's own
    "tied": TiedToCoupling(MIXING_RATIO_PAPER),
    "one-loop": TiedToCoupling(MIXING_RATIO_ONE_LOOP),
    "negative": PerCoupling(LogUniform(SMALLEST_RATIO, MIXING_BOUND, sign=-1)),
    "both-signs": PerCoupling(SignedLogUniform(SMALLEST_RATIO, MIXING_BOUND)),
}


@dataclass(frozen=True)
class Settings:
    """Everything that decides the outcome of a reconstruction, resolved; plain numbers and strings.

    label: name of the truth; mass [MeV], coupling, mixing (eps_x/g_x): the truth, with Lmu-Ltau charges;
    model: the hypothesis that is fitted; eps: its mixing prior, a name or a number as text.
    """

    label: str
    mass: float
    coupling: float
    mixing: float
    experiments: tuple
    model: str
    eps: str
    kernel: str
    gminus2: str
    data: str
    chains: int
    draws: int
    warmup: int
    seed: int

    @classmethod
    def resolve(cls, *, benchmark=None, mass=None, coupling=None, mixing=None, **rest):
        """Settings of a benchmark, or of a truth given by mass and coupling. Raises ValueError."""
        if benchmark is not None:
            point = _benchmark(benchmark)
            mass, coupling, label = point.mass, point.g_x, benchmark
        else:
            label = f"M{mass:g}-g{coupling:g}"
        mixing = MIXING_RATIO_PAPER if mixing is None else mixing
        return cls(label=label, mass=mass, coupling=coupling, mixing=mixing, **rest).checked()

    def checked(self):
        """These settings with clean types. Raises ValueError that names what is wrong."""
        if isinstance(self.experiments, str) or not all(
            isinstance(name, str) for name in (self.experiments if np.iterable(self.experiments) else [None])
        ):
            raise ValueError(f"experiments must be a list of names; got {self.experiments!r}")
        names = tuple(name.strip() for name in self.experiments if name.strip())
        if not names:
            raise ValueError(
                f"experiments must name at least one of {', '.join(EXPERIMENTS)}; got an empty list"
            )
        for name in names:
            choose("experiments", name, EXPERIMENTS)
        if len(set(names)) != len(names):
            raise ValueError(f"experiments must be distinct; got {', '.join(names)}")
        choose("model", self.model, MODELS)
        choose("kernel", self.kernel, KERNELS)
        choose("gminus2", self.gminus2, measurements())
        choose("data", self.data, DATA)
        if not isinstance(self.eps, str) or self.eps not in MIXING_PRIORS:
            try:
                number("eps", self.eps if isinstance(self.eps, str) else None)
            except ValueError as error:
                allowed = ", ".join(map(repr, MIXING_PRIORS))
                raise ValueError(f"eps must be one of {allowed} or a number; got {self.eps!r}") from error
        return Settings(
            label=str(self.label),
            mass=number("mass", self.mass, low=0.0, low_open=True),
            coupling=number("coupling", self.coupling, low=0.0, low_open=True),
            mixing=number("mixing", self.mixing),
            experiments=names,
            model=self.model,
            eps=self.eps,
            kernel=self.kernel,
            gminus2=self.gminus2,
            data=self.data,
            chains=_whole("chains", self.chains, 1),
            draws=_whole("draws", self.draws, 1),
            warmup=_whole("warmup", self.warmup, 100),
            seed=_whole("seed", self.seed, 0),
        )

    @property
    def truth(self):
        """The true :class:`jaxlmt.HiddenPhoton`."""
        return HiddenPhoton(self.coupling, self.mass, self.mixing * self.coupling)

    def prior(self):
        """The :class:`jaxlmt.Prior` of the hypothesis that is fitted."""
        ratio = MIXING_PRIORS[self.eps] if self.eps in MIXING_PRIORS else TiedToCoupling(float(self.eps))
        return default_prior(mixing=ratio, charges=MODELS[self.model])

    def build_experiments(self):
        """The experiments, in order."""
        factories = {
            **SPALLATION,
            "gminus2": lambda: gminus2(self.gminus2),
            "na64mu": lambda: na64mu(kernel=self.kernel),
        }
        return [factories[name]() for name in self.experiments]

    def warnings(self):
        """Sentences about settings that are allowed and look like mistakes."""
        found = []
        if self.mass <= 0.11:
            found.append(
                f"masses are in MeV: {self.mass:g} MeV would be {1e3 * self.mass:g} MeV if GeV were meant"
            )
        for name, value, (low, high) in (
            ("mass", self.mass, MASS_BOX),
            ("coupling", self.coupling, COUPLING_BOX),
        ):
            if not low <= value <= high:
                found.append(f"the true {name}, {value:g}, lies outside the prior's box [{low:g}, {high:g}]")
        return found

    def write(self, path):
        """Write TOML that :meth:`read` takes."""
        lines = [f"{key} = {json.dumps(value)}" for key, value in asdict(self).items()]
        Path(path).write_text(
            "\n".join(["# jaxlmt reconstruct, resolved settings", *lines, ""]), encoding="utf-8"
        )

    @classmethod
    def read(cls, path):
        """Settings from the TOML that :meth:`write` wrote. Raises ValueError for anything else."""
        try:
            table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path} is not TOML: {error}") from error
        names = [field.name for field in fields(cls)]
        for key in table:
            choose(f"key of {path}", key, names)
        missing = [name for name in names if name not in table]
        if missing:
            raise ValueError(f"{path} lacks {', '.join(missing)}")
        return cls(**table).checked()


def _benchmark(name):
    return benchmark(choose("benchmark", name, BENCHMARKS))


def _whole(name, value, low):
    return int(number(name, value, low=low, high=2**53, whole=True))
