"""Results in and out: one container per run, its file, its quality gates and its summary.

This is the only file that knows arviz. The container is `arviz.InferenceData` before arviz 1.0 and
`xarray.DataTree` since; both hold the same xarray groups and the same netCDF file, so everything
here is written on xarray, and arviz itself is asked for two numbers only, R-hat and ESS.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

__all__ = [
    "DISPLAY",
    "Diagnostics",
    "Display",
    "Row",
    "Summary",
    "attributes",
    "axis_scale",
    "build",
    "check_attributes",
    "diagnostics",
    "draws",
    "finite",
    "group",
    "hdi",
    "load",
    "open_edges",
    "save",
    "summary",
]

RHAT_GATE = 1.01
ESS_GATE = 400
DIVERGENCE_GATE = 1e-3  # fraction of all draws
NEGLIGIBLE = 1e-3  # probability of a part of a split prior that need not pass
OPEN_FRACTION = 0.1  # an edge is open where the density there exceeds this part of its peak

_GROUPS = (
    "posterior",
    "sample_stats",
    "log_likelihood",
    "posterior_predictive",
    "expected",
    "observed_data",
)
_JSON = "json:"  # marks an attribute that netCDF cannot hold as it is


@dataclass(frozen=True)
class Display:
    """How a variable is shown: LaTeX symbol (without dollars), unit, and `"log"` or `"linear"`.

    nuisance: not what a picture of the model shows unless asked to.
    """

    symbol: str
    unit: str = ""
    scale: str = "linear"
    nuisance: bool = False

    @property
    def label(self) -> str:
        """Axis label, such as `$M_{A^\\prime}$ [MeV]`."""
        return f"${self.symbol}$" + (f" [{self.unit}]" if self.unit else "")


DISPLAY: dict[str, Display] = {
    "g_x": Display("g_x", scale="log"),
    "mass": Display(r"M_{A^\prime}", "MeV", "log"),
    "eps_x": Display(r"\epsilon_x"),
    "eps_over_g": Display(r"\epsilon_x/g_x"),
    "charges.e": Display("Q_e"),
    "charges.mu": Display(r"Q_\mu"),
    "charges.tau": Display(r"Q_\tau"),
    "dm_mass": Display(r"m_\psi", "MeV", "log"),
    "dm_charge": Display(r"q_\psi", scale="log"),
    "delta": Display(r"\delta"),
    "sin2_theta_w": Display(r"\sin^2\theta_W", nuisance=True),
    "theta12": Display(r"\theta_{12}", "deg", nuisance=True),
    "theta13": Display(r"\theta_{13}", "deg", nuisance=True),
    "theta23": Display(r"\theta_{23}", "deg", nuisance=True),
    "delta_cp": Display(r"\delta_{\rm CP}", "deg", nuisance=True),
    "dm21": Display(r"\Delta m^2_{21}", "eV\N{SUPERSCRIPT TWO}", nuisance=True),
    "dm31": Display(r"\Delta m^2_{31}", "eV\N{SUPERSCRIPT TWO}", nuisance=True),
    **{
        f"flux.{source}": Display(rf"\Phi_{{{symbol}}}/\Phi_{{\rm SSM}}", nuisance=True)
        for source, symbol in {
            "pp": r"\rm pp",
            "pep": r"\rm pep",
            "hep": r"\rm hep",
            "7Be": r"\rm ^7Be",
            "8B": r"\rm ^8B",
            "13N": r"\rm ^{13}N",
            "15O": r"\rm ^{15}O",
            "17F": r"\rm ^{17}F",
        }.items()
    },
    "shape.8B": Display(r"s_{\rm ^8B}", nuisance=True),
}


# --- the container --------------------------------------------------------------------------------


@cache
def _has_inference_data() -> bool:
    return int(metadata.version("arviz").split(".")[0]) < 1


def preload():
    """Import arviz now: it takes a second or two, which another thread may have to spare."""
    _arviz()


def _arviz():
    with warnings.catch_warnings():  # 0.23 announces its own successor at every import
        warnings.simplefilter("ignore", FutureWarning)
        import arviz
    return arviz


def _container(groups: dict, attrs: dict):
    """Datasets by group name and encoded root attributes -> the container of this arviz line."""
    if _has_inference_data():
        with warnings.catch_warnings():  # it announces every group that is not of its own scheme
            warnings.simplefilter("ignore", UserWarning)
            return _arviz().InferenceData(attrs=attrs, **groups)
    import xarray as xr

    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(attrs)
    return tree


def _group_names(container) -> list[str]:
    import xarray as xr

    if isinstance(container, xr.DataTree):
        return list(container.children)
    if callable(getattr(container, "groups", None)):
        return list(container.groups())
    raise ValueError(
        f"container: got {type(container).__name__}; it must be what build() or load() returned "
        "(arviz.InferenceData before arviz 1.0, xarray.DataTree since)"
    )


def group(container, name: str):
    """One group of the container as an `xarray.Dataset`.

    Raises ValueError when the container has no such group.
    """
    present = _group_names(container)
    if name not in present:
        raise ValueError(f"name: the container has no group {name!r}; it has {sorted(present)}")
    found = container[name]
    return found.to_dataset() if hasattr(found, "to_dataset") else found


def draws(container) -> dict[str, np.ndarray]:
    """The posterior as {name: (chains, draws) array}, in the units of each variable."""
    posterior = group(container, "posterior")
    found = {}
    for name, variable in posterior.data_vars.items():
        if set(variable.dims) != {"chain", "draw"}:
            raise ValueError(
                f"container: posterior variable {name!r} has dimensions {variable.dims}; only "
                "scalars per draw, dimensions ('chain', 'draw'), are supported"
            )
        found[str(name)] = variable.transpose("chain", "draw").values
    return found


def build(
    posterior: Mapping[str, np.ndarray],
    *,
    sample_stats: Mapping[str, np.ndarray] | None = None,
    log_likelihood: Mapping[str, np.ndarray] | None = None,
    posterior_predictive: Mapping[str, np.ndarray] | None = None,
    expected: Mapping[str, np.ndarray] | None = None,
    observed: Mapping[str, np.ndarray] | None = None,
    attrs: Mapping | None = None,
):
    """Collect a run in arviz's container.

    posterior             {variable: (chains, draws)}, MeV for masses
    sample_stats          {name: (chains, draws)}; `diverging` must be boolean
    log_likelihood        {experiment: (chains, draws)}, natural log, per experiment
    posterior_predictive  {experiment: (chains, draws, bins)}, replicated data, noise included
    expected              {experiment: (chains, draws, bins)}, mean of the data at every draw
    observed              {experiment: (bins,)}, counts
    attrs                 JSON-able dict; `attributes(container)` gives it back (tuples as lists)

    Returns `arviz.InferenceData` (arviz < 1) or `xarray.DataTree` (arviz >= 1) with the groups that
    were given, dimensions `chain`, `draw` and `<experiment>_bin`. Raises ValueError for names,
    shapes or attributes that do not fit.
    """
    import xarray as xr

    if not posterior:
        raise ValueError(f"posterior: got {posterior!r}; it needs at least one variable")
    first = next(iter(posterior))
    shape = np.shape(posterior[first])
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            f"posterior[{first!r}]: got shape {shape}; it must be (chains, draws), both at least 1"
        )
    coords = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}

    def scalars(argument: str, values: Mapping, *, experiments: bool = False):
        arrays = {}
        for name, value in values.items():
            _check_name(argument, name, experiment=experiments)
            array = _numeric(f"{argument}[{name!r}]", value)
            if array.shape != shape:
                raise ValueError(
                    f"{argument}[{name!r}]: got shape {array.shape}; it must be "
                    f"(chains, draws) = {shape} like posterior[{first!r}]"
                )
            arrays[name] = (("chain", "draw"), array)
        return xr.Dataset(arrays, coords=coords)

    groups = {"posterior": scalars("posterior", posterior)}
    if sample_stats:
        groups["sample_stats"] = scalars("sample_stats", sample_stats)
        diverging = groups["sample_stats"].get("diverging")
        if diverging is not None and diverging.dtype != bool:
            raise ValueError(f"sample_stats['diverging']: got dtype {diverging.dtype}; it must be bool")
    if log_likelihood:
        groups["log_likelihood"] = scalars("log_likelihood", log_likelihood, experiments=True)

    bins: dict[str, int] = {}
    binned = (
        ("posterior_predictive", "posterior_predictive", posterior_predictive, ("chain", "draw")),
        ("expected", "expected", expected, ("chain", "draw")),
        ("observed_data", "observed", observed, ()),
    )
    for group_name, argument, values, leading in binned:
        if not values:
            continue
        arrays, own = {}, {axis: coords[axis] for axis in leading}
        for name, value in values.items():
            _check_name(argument, name, experiment=True)
            if f"{name}_bin" in values:
                raise ValueError(
                    f"{argument}: got experiments {name!r} and '{name}_bin'; the second is the "
                    "name of the first one's bin dimension"
                )
            array = _numeric(f"{argument}[{name!r}]", value)
            head = tuple(shape[: len(leading)])
            if array.ndim != len(leading) + 1 or array.shape[:-1] != head:
                wanted = ", ".join([*map(str, head), "bins"])
                raise ValueError(f"{argument}[{name!r}]: got shape {array.shape}; it must be ({wanted},)")
            if bins.setdefault(name, array.shape[-1]) != array.shape[-1]:
                raise ValueError(
                    f"{argument}[{name!r}]: got {array.shape[-1]} bins; another group has {bins[name]}"
                )
            arrays[name] = ((*leading, f"{name}_bin"), array)
            own[f"{name}_bin"] = np.arange(array.shape[-1])
        groups[group_name] = xr.Dataset(arrays, coords=own)
    return _container(groups, _encode(attrs or {}))


def _check_name(argument: str, name, *, experiment: bool = False) -> None:
    pattern, allowed = (
        (r"[A-Za-z0-9_]+", "letters, digits and underscore")
        if experiment
        else (r"[A-Za-z_][A-Za-z0-9_.]*", "letters, digits, underscore and dot, no digit first")
    )
    if not isinstance(name, str) or not re.fullmatch(pattern, name) or name in ("chain", "draw"):
        raise ValueError(
            f"{argument}: got the name {name!r}; allowed are {allowed}, and neither 'chain' nor 'draw'"
        )


def _numeric(argument: str, value) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{argument}: got dtype {array.dtype}; it must be bool, integer or float")
    return array


# --- attributes -----------------------------------------------------------------------------------


def _plain(value, where: str):
    """JSON-able copy of value: tuples and arrays become lists, NumPy scalars Python numbers."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"{where}: got the key {key!r}; keys must be strings")
        return {key: _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist(), where)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"{where}: got {value!r} of type {type(value).__name__}; allowed are dict, list, tuple, "
        "str, number, bool, None and NumPy arrays of these"
    )


def _encode(attrs: Mapping) -> dict[str, str]:
    encoded = {}
    for key, value in _plain(attrs, "attrs").items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", key):
            raise ValueError(
                f"attrs: got the name {key!r}; it must start with a letter and hold only letters, "
                "digits, underscore, dot and hyphen"
            )
        # text stays readable in ncdump; all else, and text that netCDF would mangle, becomes JSON
        readable = isinstance(value, str) and value.isprintable() and value.isascii()
        plain = readable and value and not value.startswith(_JSON)
        encoded[key] = value if plain else _JSON + json.dumps(value)
    return encoded


def check_attributes(attrs: Mapping) -> None:
    """Raise ValueError if `build` would refuse `attrs`."""
    _encode(attrs)


def attributes(container) -> dict:
    """The dict given to `build(attrs=...)`, decoded; the same before and after a file."""
    _group_names(container)
    found = {}
    for key, value in container.attrs.items():
        if isinstance(value, str) and value.startswith(_JSON):
            value = json.loads(value[len(_JSON) :])
        found[str(key)] = _plain(value, f"attrs[{key!r}]")
    return found


# --- file -----------------------------------------------------------------------------------------


def save(container, path, *, overwrite: bool = False) -> Path:
    """Write the container as netCDF and return the path.

    The file appears under its name only when it is complete. Raises FileExistsError when path
    exists and overwrite is False.
    """
    import xarray as xr

    path = Path(path)
    tree = xr.DataTree.from_dict({name: group(container, name) for name in _group_names(container)})
    tree.attrs.update(container.attrs)

    def refuse():
        if path.exists() and not overwrite:
            raise FileExistsError(f"path: {path} exists; choose another name or overwrite=True")

    refuse()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    try:
        tree.to_netcdf(temporary, mode="w", engine="h5netcdf")
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp made it private
        refuse()
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def load(path):
    """The container in the netCDF file at path, read into memory, the file closed again."""
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path: there is no file {path}")
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        groups = {name: node.to_dataset().load() for name, node in tree.children.items()}
        attrs = dict(tree.attrs)
    if "posterior" not in groups:
        raise ValueError(f"path: {path} holds no posterior; its groups are {sorted(groups)}")
    ordered = [name for name in _GROUPS if name in groups]
    ordered += [name for name in groups if name not in ordered]
    return _container({name: groups[name] for name in ordered}, attrs)


# --- quality --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Diagnostics:
    """Whether the draws can be trusted.

    rhat, ess_bulk and ess_tail are dicts over the variables that vary (rank-normalised split
    R-hat and effective sample sizes, as in arviz; NaN where they cannot be computed). `constant`
    names the fixed variables, which have neither. `divergences` is None when the run recorded none
    of that kind (a sampler that is not Hamiltonian). parts: of a split prior, each with its probability
    and its own quality; all but negligible ones must pass too.
    """

    rhat: dict[str, float]
    ess_bulk: dict[str, float]
    ess_tail: dict[str, float]
    divergences: int | None
    total_draws: int
    chains: int = 1
    constant: tuple[str, ...] = ()
    parts: tuple[dict, ...] = ()

    @property
    def worst_rhat(self) -> float:
        """Largest R-hat; NaN when one of them cannot be computed or nothing varies."""
        return float(np.max(list(self.rhat.values()))) if self.rhat else math.nan

    @property
    def smallest_ess(self) -> float:
        """Smallest of all bulk and tail effective sample sizes; NaN as for worst_rhat."""
        sizes = [*self.ess_bulk.values(), *self.ess_tail.values()]
        return float(np.min(sizes)) if sizes else math.nan

    @property
    def divergent_fraction(self) -> float:
        """Divergent transitions over all draws; 0 when none were recorded."""
        return (self.divergences or 0) / self.total_draws

    @property
    def passed(self) -> bool:
        """R-hat < 1.01, both ESS > 400, divergences < 0.1% of the draws; NaN does not pass."""
        return (
            self.worst_rhat < RHAT_GATE
            and self.smallest_ess > ESS_GATE
            and self.divergent_fraction < DIVERGENCE_GATE
            and all(part["passed"] for part in self.parts if part["probability"] > NEGLIGIBLE)
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong, one sentence each; empty when nothing is."""
        found = []
        if not self.rhat:
            found.append("No variable varies: there is nothing to diagnose.")
        elif self.chains < 2:
            found.append("R-hat cannot be computed from one chain: run at least two.")
        else:
            bad = _failing(self.rhat, lambda value: value < RHAT_GATE, "{:.3f}")
            if bad:
                found.append(f"R-hat is not below {RHAT_GATE} for {bad}: the chains disagree; run longer.")
        for kind, sizes in (("Bulk", self.ess_bulk), ("Tail", self.ess_tail)):
            bad = _failing(sizes, lambda value: value > ESS_GATE, "{:.0f}")
            if bad:
                found.append(f"{kind} ESS is not above {ESS_GATE} for {bad}: run longer.")
        if self.divergences:
            serious = self.divergent_fraction >= DIVERGENCE_GATE
            verdict = "the posterior may be biased" if serious else "below the gate of 0.1%"
            plural = "s" if self.divergences > 1 else ""
            found.append(
                f"{self.divergences} divergent transition{plural} in {self.total_draws} draws "
                f"({100 * self.divergent_fraction:.2g}%): {verdict}."
            )
        for part in self.parts:
            if not part["passed"] and part["probability"] > NEGLIGIBLE:
                found.append(f"A part of the split prior does not pass on its own: {_described(part)}.")
        return tuple(found)


def _described(part: dict) -> str:
    """One line about a part of a split prior."""
    return (
        f"probability {part['probability']:.4g} +- {part['probability_error']:.1g}, "
        f"divergences {part['divergences']}, worst R-hat {part['worst_rhat']:.4f}, "
        f"smallest ESS {part['smallest_ess']:.0f}"
    )


def _failing(values: dict[str, float], good, form: str) -> str:
    """'mass (1.034), g_x (1.012)': those that are not good, NaN included, three at most."""
    bad = [(name, value) for name, value in values.items() if not good(value)]
    named = [f"{name} ({form.format(value)})" for name, value in bad[:3]]
    return ", ".join(named) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")


def _is_constant(values: np.ndarray) -> bool:
    return bool(np.all(values == values.flat[0]))


def diagnostics(container) -> Diagnostics:
    """R-hat, effective sample sizes and divergences of the posterior."""
    posterior = draws(container)
    chains, length = next(iter(posterior.values())).shape
    constant = tuple(name for name, values in posterior.items() if _is_constant(values))
    arviz = _arviz()
    rhat, bulk, tail = {}, {}, {}
    for name, values in posterior.items():
        if name in constant:
            continue
        values = np.asarray(values, np.float64)
        known = length >= 4 and bool(np.all(np.isfinite(values)))
        with np.errstate(divide="ignore", invalid="ignore"):  # chains that never moved
            rhat[name] = float(arviz.rhat(values)) if known and chains > 1 else math.nan
            bulk[name] = float(arviz.ess(values, method="bulk")) if known else math.nan
            tail[name] = float(arviz.ess(values, method="tail", prob=0.9)) if known else math.nan
    divergences = None
    if "sample_stats" in _group_names(container):
        stats = group(container, "sample_stats")
        if "diverging" in stats:
            divergences = int(stats["diverging"].values.sum())
    parts = tuple(attributes(container).get("parts", ()))
    return Diagnostics(rhat, bulk, tail, divergences, chains * length, chains, constant, parts)


# --- summary --------------------------------------------------------------------------------------


def hdi(values, prob: float) -> tuple[float, float]:
    """The narrowest interval that holds a fraction prob of values (any shape, pooled).

    One interval, whatever the number of modes. Raises ValueError for prob outside (0, 1) or draws
    that are not finite.
    """
    if not 0 < prob < 1:
        raise ValueError(f"prob: got {prob!r}; it must lie strictly between 0 and 1")
    ordered = np.sort(np.ravel(np.asarray(values, np.float64)))
    if ordered.size == 0 or not np.all(np.isfinite(ordered)):
        raise ValueError(
            f"values: {ordered.size} draws, {np.count_nonzero(~np.isfinite(ordered))} of them not "
            "finite; an interval needs finite draws"
        )
    inside = min(int(prob * ordered.size), ordered.size - 1)
    start = int(np.argmin(ordered[inside:] - ordered[: ordered.size - inside]))
    return float(ordered[start]), float(ordered[start + inside])


def _flat_coordinate(name: str, flat_in: str):
    """The function that maps a variable to the coordinate in which its prior is flat."""
    if flat_in == "linear":
        return lambda x: x
    if flat_in == "log":
        return np.log
    kind, _, scale = str(flat_in).partition(":")
    try:
        scale = float(scale)
    except ValueError:
        scale = math.nan
    if kind == "asinh" and scale > 0:
        return lambda x: np.arcsinh(x / scale)
    raise ValueError(
        f"flat_in[{name!r}]: got {flat_in!r}; allowed are 'linear', 'log' and 'asinh:<scale>' with scale > 0"
    )


def _check_bounds(name: str, bounds) -> tuple[float, float]:
    try:
        low, high = bounds
        low = -math.inf if low is None else float(low)
        high = math.inf if high is None else float(high)
    except (TypeError, ValueError):
        low = high = math.nan
    if not low < high:
        raise ValueError(
            f"bounds[{name!r}]: got {bounds!r}; it must be (low, high) with low < high, None or "
            "infinite where there is no edge"
        )
    return low, high


def open_edges(values, bounds, *, flat_in: str = "linear", name: str = "x") -> tuple[bool, bool]:
    """Whether the posterior is open at the (low, high) edge of its prior box.

    Open: the marginal density at the edge exceeds 10% of its peak, both in the coordinate in which
    the prior is flat ('linear', 'log' or 'asinh:<scale>'), so that the prior alone counts as open.
    The density is a histogram with its first bin at the edge. Its bins are a tenth of the narrowest
    interval with 68% of the draws: a fifth of a standard deviation for a Gaussian, whatever the
    size of the box, the tails or a second mode. The peak is the highest mean of three neighbours,
    against noise. An edge that is None or infinite is closed.
    """
    low, high = _check_bounds(name, bounds)
    coordinate = _flat_coordinate(name, flat_in)
    values = np.ravel(np.asarray(values, np.float64))
    if flat_in == "log" and low < 0 and high <= 0:  # flat in ln(-x): the mirror image
        return open_edges(-values, (-high, -low), flat_in=flat_in, name=name)[::-1]
    if flat_in == "log" and low < 0:
        raise ValueError(f"bounds[{name!r}]: got low = {low}; a prior flat in log has one sign")
    with np.errstate(divide="ignore", invalid="ignore"):
        edges = coordinate(np.array([low, high]))
        points = coordinate(values)
    left, right = hdi(points, 0.68)
    slack = 1e-6 * (points.max() - points.min())  # rounding in the way back from the box
    if points.min() < edges[0] - slack or points.max() > edges[1] + slack:
        raise ValueError(
            f"bounds[{name!r}]: got {bounds!r}, but the draws reach from {values.min():.6g} to "
            f"{values.max():.6g}; the box must contain them"
        )
    width = (right - left) / 10
    if width == 0:
        return False, False

    def is_open(distance: np.ndarray) -> bool:
        if not np.all(np.isfinite(distance)):
            return False
        cells = np.floor(np.maximum(distance, 0.0) / width)
        cells = cells[cells < 10_000].astype(int)  # a tail beyond 1000 sigma is never the peak
        counts = np.bincount(cells, minlength=3)
        peak = np.convolve(counts, np.ones(3) / 3, mode="valid").max()
        return bool(counts[0] > OPEN_FRACTION * peak)

    return is_open(points - edges[0]), is_open(edges[1] - points)


def axis_scale(container, name: str) -> str:
    """`"log"` or `"linear"`: where a variable is drawn and where its HPD intervals are narrowest.

    Log for a variable whose prior is flat in log (attribute `flat_in`) or, without that attribute,
    whose entry in DISPLAY says so; linear always when a draw is not positive.
    """
    flat_in = attributes(container).get("flat_in", {}).get(name)
    usual = DISPLAY.get(name, Display(name)).scale
    log = flat_in == "log" if flat_in is not None else usual == "log"
    return "log" if log and bool(np.all(draws(container)[name] > 0)) else "linear"


@dataclass(frozen=True)
class Row:
    """One variable of a Summary, in its own units.

    interval and wide_interval are HPD intervals at the summary's prob and limit_prob, narrowest in
    x or, for scale "log", in ln x. open is "", "low", "high" or "both": the edges of the prior box
    at which the posterior is open. limit is the one-sided limit at limit_prob quoted instead: upper
    for "low", lower for "high", None otherwise.
    """

    name: str
    unit: str
    mean: float
    sd: float
    median: float
    interval: tuple[float, float]
    wide_interval: tuple[float, float]
    scale: str
    open: str
    limit: float | None
    fixed: bool
    rhat: float
    ess_bulk: float
    ess_tail: float

    @property
    def status(self) -> str:
        """One of "interval", "upper limit", "lower limit", "unconstrained" and "fixed"."""
        if self.fixed:
            return "fixed"
        return {"": "interval", "low": "upper limit", "high": "lower limit"}.get(self.open, "unconstrained")


@dataclass(frozen=True)
class Summary:
    """What a posterior says: one Row per variable, the quality of the draws, the probabilities."""

    rows: tuple[Row, ...]
    diagnostics: Diagnostics
    prob: float
    limit_prob: float

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r} is not in this summary; it has {[row.name for row in self.rows]}")

    def to_dict(self) -> dict:
        """Strict JSON: nested dicts of text, numbers and None (for what cannot be computed)."""
        quality = self.diagnostics
        content = {
            "prob": self.prob,
            "limit_prob": self.limit_prob,
            "quality": {
                "passed": quality.passed,
                "warnings": list(quality.warnings),
                "worst_rhat": quality.worst_rhat,
                "smallest_ess": quality.smallest_ess,
                "divergences": quality.divergences,
                "chains": quality.chains,
                "total_draws": quality.total_draws,
                "parts": list(quality.parts),
            },
            "variables": {
                row.name: {
                    "status": row.status,
                    **{key: value for key, value in vars(row).items() if key != "name"},
                }
                for row in self.rows
            },
        }
        return finite(content)

    def __str__(self) -> str:
        quality = self.diagnostics
        lines = [f"WARNING: {sentence}" for sentence in quality.warnings]
        if not quality.passed:
            lines.append("WARNING: these draws do not pass the quality gates; read with care.")
        if lines:
            lines.append("")
        diverging = "not recorded" if quality.divergences is None else quality.divergences
        lines.append(
            f"{quality.chains} x {quality.total_draws // quality.chains} draws, divergences: "
            f"{diverging}, worst R-hat {quality.worst_rhat:.4f}, "
            f"smallest ESS {quality.smallest_ess:.0f}"
        )
        lines += [f"part {i + 1}: {_described(part)}" for i, part in enumerate(quality.parts)]
        lines.append("")
        narrow, wide = (f"{100 * p:g}% HPD" for p in (self.prob, self.limit_prob))
        head = ["variable", "median", "mean", "sd", narrow, wide, "R-hat", "ESS"]
        table = [head]
        for row in self.rows:
            name = row.name + (f" [{row.unit}]" if row.unit else "")
            cells = [name, *(f"{value:.4g}" for value in (row.median, row.mean, row.sd))]
            if row.fixed:
                table.append([name, f"{row.median:.4g}", "", "", "fixed", "", "", ""])
                continue
            if row.open:
                cells += [self._limit(row), "open: " + _EDGE[row.open]]
            else:
                cells += [_bracket(row.interval), _bracket(row.wide_interval)]
            table.append([*cells, f"{row.rhat:.4f}", f"{row.ess_bulk:.0f}"])
        widths = [max(len(line[i]) for line in table) for i in range(len(head))]
        for line in table:
            padded = [
                cell.ljust(width) if i in (0, 4, 5) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            lines.append("  ".join(padded).rstrip())
            if line is head:
                lines.append("-" * (sum(widths) + 2 * (len(widths) - 1)))
        logs = [row.name for row in self.rows if row.scale == "log" and not row.fixed]
        if logs:
            lines += ["", f"HPD: narrowest interval, in the logarithm for {', '.join(logs)}."]
        return "\n".join(lines)

    def _limit(self, row: Row) -> str:
        if row.limit is None:
            return "unconstrained"
        sign = "<" if row.open == "low" else ">"
        return f"{row.status} ({100 * self.limit_prob:g}%): {sign} {row.limit:.4g}"


_EDGE = {"low": "low edge", "high": "high edge", "both": "both edges"}


def _bracket(interval: tuple[float, float]) -> str:
    return f"[{interval[0]:.4g}, {interval[1]:.4g}]"


def finite(value):
    """``value`` as strict JSON takes it: None for every number in it that is not finite."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def summary(
    container,
    *,
    prob: float = 0.68,
    limit_prob: float = 0.95,
    bounds: Mapping[str, Sequence[float]] | None = None,
    variables: Sequence[str] | None = None,
) -> Summary:
    """Intervals, limits and quality of the posterior.

    prob, limit_prob   probabilities of the narrow and the wide HPD interval; limit_prob is also
                       that of a one-sided limit
    bounds             prior box {name: (low, high)} in the units of the variable; default: the
                       container's attribute `bounds`. A variable without bounds has no edges.
    variables          which posterior variables, in this order; default all

    Where a variable is open at an edge (see open_edges; attribute `flat_in` = {name: 'linear',
    'log' or 'asinh:<scale>'} says where the prior is flat, 'linear' without it), the one-sided
    limit from the quantile of the draws replaces the interval. Raises ValueError for unknown names,
    probabilities outside (0, 1), draws outside their box or draws that are not finite.
    """
    for argument, value in (("prob", prob), ("limit_prob", limit_prob)):
        if not 0 < value < 1:
            raise ValueError(f"{argument}: got {value!r}; it must lie strictly between 0 and 1")
    posterior = draws(container)
    stored = attributes(container)
    if isinstance(variables, str):
        variables = [variables]
    names = list(posterior if variables is None else variables)
    for argument, given in (("variables", names), ("bounds", bounds or {})):
        for name in given:
            if name not in posterior:
                raise ValueError(f"{argument}: got {name!r}; the posterior has {sorted(posterior)}")
    box = stored.get("bounds", {}) if bounds is None else bounds
    flat_in = stored.get("flat_in", {})
    quality = diagnostics(container)
    rows = []
    for name in names:
        values = np.asarray(posterior[name], np.float64).ravel()
        fixed = name in quality.constant
        if not np.all(np.isfinite(values)):
            raise ValueError(
                f"container: {np.count_nonzero(~np.isfinite(values))} draws of {name!r} are not "
                "finite; they cannot be summarised"
            )
        scale = axis_scale(container, name)
        low, high = (
            open_edges(values, box[name], flat_in=flat_in.get(name, "linear"), name=name)
            if name in box and not fixed
            else (False, False)
        )
        edge = {(True, False): "low", (False, True): "high", (True, True): "both"}.get((low, high), "")
        limit = {"low": limit_prob, "high": 1 - limit_prob}.get(edge)
        rows.append(
            Row(
                name=name,
                unit=DISPLAY.get(name, Display(name)).unit,
                mean=float(values.mean()),
                sd=0.0 if fixed else float(values.std(ddof=1)),
                median=float(np.median(values)),
                interval=_interval(values, prob, scale),
                wide_interval=_interval(values, limit_prob, scale),
                scale=scale,
                open=edge,
                limit=None if limit is None else float(np.quantile(values, limit)),
                fixed=fixed,
                rhat=quality.rhat.get(name, math.nan),
                ess_bulk=quality.ess_bulk.get(name, math.nan),
                ess_tail=quality.ess_tail.get(name, math.nan),
            )
        )
    return Summary(tuple(rows), quality, float(prob), float(limit_prob))


def _interval(values: np.ndarray, prob: float, scale: str) -> tuple[float, float]:
    if scale == "log":
        low, high = hdi(np.log(values), prob)
        return math.exp(low), math.exp(high)
    return hdi(values, prob)
