"""The schema of an analysis: what its tables may say, checked key by key and resolved to every default.

A resolved analysis is a dict of plain values (text, numbers, lists, dicts) that TOML holds as it is and that
:func:`resolve` takes again. Every mistake is a ValueError that names the key in full.
"""

import dataclasses
import functools
import inspect
import re
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .distributions import (
    AsinhUniform,
    LogUniform,
    Normal,
    PerCoupling,
    SignedLogUniform,
    SymmetricAsinh,
    TiedToCoupling,
    Uniform,
    check_distribution,
)
from .experiments.astrophysics import positron_line, sensei, white_dwarfs
from .experiments.babar import babar
from .experiments.borexino import borexino
from .experiments.cosmology import cmb_annihilation, radiation, relic_abundance
from .experiments.gminus2 import gminus2
from .experiments.monophoton import belle2, tau_charm
from .experiments.na64mu import na64mu
from .experiments.spallation import ccm, cenns610, ess, ess10, spallation
from .experiments.trident import trident
from .experiments.xenon import darwin, lz, xenon, xenonnt
from .experiments.xenon_search import TARGETS
from .formats import COLUMNS, read_counts
from .inference.priors import COUPLING_BOX, MASS_BOX, MIXING_BOUND, MIXING_SCALE, Prior
from .model import (
    BENCHMARKS,
    MIXING_RATIO_ONE_LOOP,
    MIXING_RATIO_PAPER,
    MODELS,
    DarkMatter,
    HiddenPhoton,
    LeptonCharges,
    ResonantDarkMatter,
    benchmark,
)
from .nuclei import ISOTOPES, Isotope
from .sources.oscillation import Oscillation
from .sources.solar import SOURCES
from .validation import choose, known_keys, number, switch, values

FACTORIES = {
    "gminus2": gminus2,
    "na64mu": na64mu,
    "cenns610": cenns610,
    "ccm": ccm,
    "ess": ess,
    "ess10": ess10,
    "lz": lz,
    "xenonnt": xenonnt,
    "darwin": darwin,
    "trident_ccfr": functools.partial(trident, "ccfr"),
    "trident_charm2": functools.partial(trident, "charm2"),
    "babar": babar,
    "borexino": borexino,
    "belle2": belle2,
    "tau_charm": tau_charm,
    "relic_abundance": relic_abundance,
    "radiation": radiation,
    "cmb_annihilation": cmb_annihilation,
    "white_dwarfs": white_dwarfs,
    "positron_line": positron_line,
    "sensei": sensei,
}
EXPERIMENTS = tuple(FACTORIES)
# Types of a detector of one's own: from nothing, or from one that exists.
_OF_A_SOURCE = (spallation, cenns610, ccm, ess, ess10)
_OF_XENON = (xenon, lz, xenonnt, darwin)
SOLAR = tuple(name for name, factory in FACTORIES.items() if factory in _OF_XENON)
TYPES = {factory.__name__: factory for factory in (*_OF_A_SOURCE, *_OF_XENON)}
DATA = ("asimov", "toy", "measured")
# whose measured data the package knows
_LABORATORY = ("trident_ccfr", "trident_charm2", "babar", "borexino")
_SKY = ("relic_abundance", "radiation", "cmb_annihilation", "white_dwarfs", "positron_line", "sensei")
PUBLISHED = ("gminus2", *_LABORATORY, *_SKY)

DISTRIBUTIONS = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "asinh_uniform": AsinhUniform,
    "symmetric_asinh": SymmetricAsinh,
    "signed_log_uniform": SignedLogUniform,
    "normal": Normal,
    "tied": TiedToCoupling,
    "per_coupling": PerCoupling,
}
SMALLEST_RATIO = 1e-5  # of |eps_x|/g_x in the logarithmic mixing priors
MIXING_PRIORS = {
    "free": PerCoupling(SymmetricAsinh(MIXING_SCALE, MIXING_BOUND)),
    "tied": TiedToCoupling(MIXING_RATIO_PAPER),
    "one-loop": TiedToCoupling(MIXING_RATIO_ONE_LOOP),
    "negative": PerCoupling(LogUniform(SMALLEST_RATIO, MIXING_BOUND, sign=-1)),
    "both-signs": PerCoupling(SignedLogUniform(SMALLEST_RATIO, MIXING_BOUND)),
}

PLOTS = ("corner", "spectra")
SAMPLER = {  # defaults of jaxlmt.sample, and a seed
    "chains": 4,
    "draws": 2000,
    "warmup": 400,
    "target_accept": 0.98,
    "systematics": "marginal",
    "seed": 0,
}
_ANGLES = tuple(field.name for field in dataclasses.fields(Oscillation))
SECTIONS = ("label", "plots", "truth", "model", "prior", "experiments", "sampler")
POSITIVE = {"low": 0.0, "low_open": True}


@contextmanager
def named(key):
    """Put ``key`` in front of the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def resolve(table, *, label, folder):
    """The analysis in ``table`` with every default filled in; raises ValueError for any mistake.

    label: what it is called unless it says so itself; folder: where the names of its CSV files start.
    """
    known_keys("", table, SECTIONS)
    resolved = {
        "label": _label(table.get("label", label)),
        "plots": _plots(table.get("plots", list(PLOTS))),
        "truth": _truth(table["truth"]) if "truth" in table else None,
        "model": _model("model", table.get("model", {}), "name"),
        "prior": _prior(table.get("prior", {})),
        "experiments": _experiments(table.get("experiments", {}), Path(folder)),
        "sampler": _sampler(table.get("sampler", {})),
    }
    with named("prior"):
        prior(resolved)
    if resolved["truth"] is None:
        for name, entry in resolved["experiments"].items():
            if entry["data"] in ("asimov", "toy"):
                raise ValueError(f"truth is missing: experiments.{name}.data, {entry['data']!r}, needs it")
        del resolved["truth"]
    return resolved


def _label(value):
    fits = isinstance(value, str) and value.isprintable() and re.fullmatch(r"(?!\.)[^/\\]{1,100}", value)
    if not fits:
        raise ValueError(f"label must be the name of a folder, without slashes or leading dot; got {value!r}")
    return value


def _plots(value):
    if not isinstance(value, list | tuple):
        raise ValueError(f"plots must be a list from {', '.join(map(repr, PLOTS))}; got {value!r}")
    return [choose("plots", name, PLOTS) for name in value]


# --- the model: truth and hypothesis ---------------------------------------------------------------


def theta(g_x, mass, eps_x, model, **dark):
    """The one place where tables become a :class:`jaxlmt.HiddenPhoton`, or one with dark matter.

    dark: dm_charge and either dm_mass or delta, numbers or distributions.
    """
    given = {name: _built(value) for name, value in model.get("charges", {}).items()}
    charges = dataclasses.replace(MODELS[model["name"]], **given) if given else MODELS[model["name"]]
    if not dark:
        return HiddenPhoton(g_x, mass, eps_x, charges, running=model["running"])
    kind = DarkMatter if "dm_mass" in dark else ResonantDarkMatter
    settings = {"running": model["running"], "dark_decays": model.get("dark_decays", True)}
    return kind(g_x, mass, eps_x=eps_x, charges=charges, **dark, **settings)


DARK = {"dm_mass": POSITIVE, "delta": {"low": -1.0, "low_open": True}, "dm_charge": {}}


def _check_dark(section, table):
    """Whether ``table`` has dark matter: one of dm_mass and delta, and dm_charge if it likes."""
    if "dm_mass" in table and "delta" in table:
        raise ValueError(f"{section}.dm_mass and {section}.delta exclude each other")
    has = "dm_mass" in table or "delta" in table
    if "dm_charge" in table and not has:
        raise ValueError(f"{section}.dm_mass is missing (or {section}.delta), with a {section}.dm_charge")
    return has


def _model(section, table, name_key):
    """Charges, those of a model by name and some of them replaced, and whether the mixing runs."""
    known_keys(section, table, (name_key, "running", "charges", "dark_decays"))
    model = {
        name_key: choose(f"{section}.{name_key}", table.get(name_key, "lmu-ltau"), MODELS),
        "running": switch(f"{section}.running", table.get("running", False)),
    }
    if "dark_decays" in table:
        model["dark_decays"] = switch(f"{section}.dark_decays", table["dark_decays"])
    if "charges" in table:
        names = [field.name for field in dataclasses.fields(LeptonCharges)]
        given = known_keys(f"{section}.charges", table["charges"], names)
        model["charges"] = {name: _parameter(f"{section}.charges.{name}", v) for name, v in given.items()}
    return model


def _truth(table):
    about_model = ("model", "running", "charges", "dark_decays")
    known_keys("truth", table, ("benchmark", "mass", "g_x", "eps_x", "eps_over_g", *DARK, *about_model))
    if "benchmark" in table:
        for key in ("mass", "g_x"):
            if key in table:
                raise ValueError(f"truth.{key} and truth.benchmark exclude each other")
        point = benchmark(choose("truth.benchmark", table["benchmark"], BENCHMARKS))
        table = {**table, "mass": point.mass, "g_x": point.g_x}
    for key in ("mass", "g_x"):
        if key not in table:
            raise ValueError(f"truth.{key} is missing: give a benchmark, or mass and g_x")
    found = {key: number(f"truth.{key}", table[key], **POSITIVE) for key in ("mass", "g_x")}
    model = _model("truth", {k: v for k, v in table.items() if k in about_model}, "model")
    for name, charge in model.get("charges", {}).items():
        number(f"truth.charges.{name}", charge)
    mixing = [key for key in ("eps_x", "eps_over_g") if key in table]
    if len(mixing) == 2:
        raise ValueError("truth.eps_x and truth.eps_over_g exclude each other")
    if not mixing and (model["model"] != "lmu-ltau" or "charges" in model):
        raise ValueError("truth.eps_over_g is missing: only that of lmu-ltau is predicted")
    for key in mixing or ["eps_over_g"]:
        found[key] = number(f"truth.{key}", table.get(key, MIXING_RATIO_PAPER))
    if _check_dark("truth", table):
        table = {"dm_charge": 1.0, **table}
        found |= {key: number(f"truth.{key}", table[key], **DARK[key]) for key in DARK if key in table}
    return {**found, **model}


def truth(resolved):
    """The true :class:`jaxlmt.HiddenPhoton` of a resolved analysis, None if it has none."""
    if "truth" not in resolved:
        return None
    table = resolved["truth"]
    eps_x = table["eps_x"] if "eps_x" in table else table["eps_over_g"] * table["g_x"]
    dark = {key: table[key] for key in DARK if key in table}
    return theta(table["g_x"], table["mass"], eps_x, {"name": table["model"], **table}, **dark)


# --- priors ---------------------------------------------------------------------------------------


def _prior(table):
    defaults = {
        "g_x": {"log_uniform": list(COUPLING_BOX)},
        "mass": {"log_uniform": list(MASS_BOX)},
        "eps_x": "free",
    }
    known_keys("prior", table, (*defaults, *DARK))
    if _check_dark("prior", table):
        defaults["dm_charge"] = 1.0
    table = {**defaults, **table}
    if isinstance(table["eps_x"], str):
        name = table["eps_x"]
        if name not in MIXING_PRIORS:
            allowed = f"{', '.join(map(repr, MIXING_PRIORS))}, a number or a distribution"
            raise ValueError(f"prior.eps_x must be one of {allowed}; got {name!r}")
        table["eps_x"] = _plain(MIXING_PRIORS[name])
    found = {key: _parameter(f"prior.{key}", value) for key, value in table.items()}
    if isinstance(found["g_x"], float):
        number("prior.g_x", found["g_x"], **POSITIVE)  # or eps_x/g_x would have no value
    return found


def prior(resolved):
    """The :class:`jaxlmt.Prior` of a resolved analysis."""
    parameters = {key: _built(value) for key, value in resolved["prior"].items()}
    return Prior(theta(**parameters, model=resolved["model"]))


def mixing_name(resolved):
    """What the prior of eps_x is called: a name of MIXING_PRIORS, or a description."""
    for name, distribution in MIXING_PRIORS.items():
        if resolved["prior"]["eps_x"] == _plain(distribution):
            return name
    return prior(resolved).describe()["eps_x"]


def _parameter(key, value):
    """A number, or a distribution in its plain form."""
    value = _toml(value)
    if isinstance(value, Mapping):
        return _plain(distribution(key, value))
    if isinstance(value, bool | str) or not np.isscalar(value):
        raise ValueError(
            f"{key} must be a number or a distribution such as {{ log_uniform = [1.0, 10.0] }}; got {value!r}"
        )
    return number(key, value)


def distribution(key, table):
    """The distribution that a table of one entry describes; raises ValueError that names ``key``.

    ``{ log_uniform = [low, high] }`` and ``{ log_uniform = { low = 1.0, high = 10.0 } }`` are the same.
    """
    known_keys(key, table, DISTRIBUTIONS)
    if len(table) != 1:
        raise ValueError(f"{key} must hold one distribution; got {', '.join(table) or 'none'}")
    ((name, arguments),) = table.items()
    key, kind = f"{key}.{name}", DISTRIBUTIONS[name]
    if kind is PerCoupling:
        return _checked(key, PerCoupling(distribution(key, known_keys(key, arguments, DISTRIBUTIONS))))
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if not isinstance(arguments, Mapping):
        listed = arguments if isinstance(arguments, list | tuple) else [arguments]
        if len(listed) > len(fields):
            raise ValueError(f"{key} takes {', '.join(fields)}; got {len(listed)} values")
        arguments = dict(zip(fields, listed, strict=False))
    known_keys(key, arguments, fields)
    for field in fields.values():
        if field.name not in arguments and field.default is dataclasses.MISSING:
            raise ValueError(f"{key}.{field.name} is missing: {name} takes {', '.join(fields)}")
    given = {field: number(f"{key}.{field}", value) for field, value in arguments.items()}
    if "sign" in given:
        given["sign"] = int(number(f"{key}.sign", given["sign"], low=-1, high=1, whole=True))
    return _checked(key, kind(**given))


def _checked(key, made):
    check_distribution(key, made)
    return made


def _plain(made):
    """The table that :func:`distribution` turns into ``made``."""
    (name,) = (name for name, kind in DISTRIBUTIONS.items() if type(made) is kind)
    if isinstance(made, PerCoupling):
        return {name: _plain(made.ratio)}
    fields = [f for f in dataclasses.fields(made) if getattr(made, f.name) != f.default]
    numbers = [float(getattr(made, field.name)) for field in fields]
    return {name: numbers[0] if len(numbers) == 1 else numbers}


def _built(value):
    return distribution("distribution", value) if isinstance(value, Mapping) else value


# --- experiments ----------------------------------------------------------------------------------


@functools.cache
def _defaults(factory):
    """{field: default} of an experiment's factory; ``inspect.Parameter.empty`` where it has none."""
    parameters = inspect.signature(factory).parameters
    return {name: parameter.default for name, parameter in parameters.items() if name != "name"}


def _written(defaults):
    """Those defaults in their plain form that can be written: all but None, and what has none."""
    return {k: _field(k, v) for k, v in defaults.items() if v not in (None, inspect.Parameter.empty)}


def _factory(name, entry):
    return TYPES[entry["type"]] if "type" in entry else FACTORIES[name]


def _experiments(table, folder):
    if not isinstance(table, Mapping) or not table:
        raise ValueError(
            f"experiments must hold at least one table, such as [experiments.ess10], from "
            f"{', '.join(EXPERIMENTS)}, or a detector of your own; got {table!r}"
        )
    return {name: _experiment(name, entry, folder) for name, entry in table.items()}


def _experiment(name, entry, folder):
    key = f"experiments.{name}"
    if not isinstance(entry, Mapping):
        raise ValueError(f"{key} must be a table, such as [experiments.ess10]; got {entry!r}")
    own = name not in FACTORIES
    if own and "type" not in entry:
        with named(f"unknown experiment {key}"):
            choose("without a type, it", name, EXPERIMENTS)
    if own:
        choose(f"{key}.type", entry["type"], TYPES)
        if not re.fullmatch(r"[A-Za-z]\w{0,50}(?<!_bin)", name, re.ASCII) or name in ("chain", "draw"):
            raise ValueError(f"{key} must be named with letters, digits and underscores; got {name!r}")
    defaults = _defaults(_factory(name, entry))
    known_keys(key, entry, ("data", *(("type",) if own else ()), *defaults))
    fields = {f: _field(f"{key}.{f}", v) for f, v in entry.items() if f not in ("type", "data")}
    for field, default in defaults.items():
        if default is inspect.Parameter.empty and field not in fields:
            raise ValueError(f"{key}.{field} is missing")
    if "preset" not in fields:  # which changes defaults
        fields = {**_written(defaults), **fields}
    data = _data(f"{key}.data", entry.get("data", "measured" if name in PUBLISHED else "asimov"), folder)
    if data == "measured" and name not in PUBLISHED:
        raise ValueError(f"{key}.data: no data of {name} are known; give a list of counts or a .csv file")
    return {**({"type": entry["type"]} if own else {}), "data": data, **fields}


def _field(key, value):
    """A field of an experiment in its plain form; what it means is the factory's to judge."""
    value = _toml(value)
    if isinstance(value, str):
        return value
    name = key.rpartition(".")[2]
    if name == "isotope":
        return _toml(_isotope(key, value))
    if name in ("oscillation", "flux_norms"):
        known_keys(key, value, _ANGLES if name == "oscillation" else SOURCES)
        for angle in _ANGLES if name == "oscillation" else ():
            if angle not in value:
                raise ValueError(f"{key}.{angle} is missing")
        return {part: _parameter(f"{key}.{part}", item) for part, item in value.items()}
    if isinstance(value, list | tuple):
        return [number(f"{key}[{i}]", item) for i, item in enumerate(value)]
    return _parameter(key, value)


def _isotope(key, table):
    fields = [field.name for field in dataclasses.fields(Isotope)]
    known_keys(key, table, fields)
    for field in fields:
        if field not in table:
            raise ValueError(f"{key}.{field} is missing")
    if not isinstance(table["name"], str):
        raise ValueError(f"{key}.name must be text; got {table['name']!r}")
    z = int(number(f"{key}.z", table["z"], low=1, high=120, whole=True))
    a = int(number(f"{key}.a", table["a"], low=z, high=400, whole=True))
    return Isotope(table["name"], z, a, number(f"{key}.atomic_mass_u", table["atomic_mass_u"], **POSITIVE))


def _toml(value):
    """``value`` as TOML would hold it: no arrays, no objects."""
    if type(value) in DISTRIBUTIONS.values():
        return _plain(value)
    if isinstance(value, Oscillation):
        return {angle: _toml(getattr(value, angle)) for angle in _ANGLES}
    if isinstance(value, Isotope):
        return value.name if ISOTOPES.get(value.name) == value else dataclasses.asdict(value)
    return value.tolist() if isinstance(value, np.ndarray) else value


def _built_field(key, name, value):
    """The Python value of a field in its plain form."""
    if name == "isotope":
        return ISOTOPES[choose(key, value, ISOTOPES)] if isinstance(value, str) else _isotope(key, value)
    if name in ("oscillation", "flux_norms") and not isinstance(value, str):
        parts = {part: _built(item) for part, item in value.items()}
        return Oscillation(**parts) if name == "oscillation" else parts
    if name == "target":
        return choose(key, value, TARGETS)
    return tuple(value) if isinstance(value, list) else _built(value)


def experiment(name, entry):
    """The experiment of a resolved entry; raises ValueError if its factory refuses a field."""
    key, factory = f"experiments.{name}", _factory(name, entry)
    defaults = _defaults(factory)
    usual = _written(defaults)
    changed = {
        field: _built_field(f"{key}.{field}", field, value)
        for field, value in entry.items()
        if field in defaults and value != usual.get(field)
    }
    with named(key):
        if factory in _OF_XENON:
            return factory(name=name, **changed)
        if name in FACTORIES:
            return factory(**changed)  # from its cache, if nothing has changed
        return spallation(name, **{**({} if factory is spallation else defaults), **changed})


def _data(key, value, folder):
    """A word, a list of counts, or {"counts", "lower_edge"}; a CSV file is read."""
    value = _toml(value)
    if isinstance(value, str) and value.lower().endswith(".csv"):
        with named(key):
            value = read_counts(folder / value)
        value = value if "lower_edge" in value else value["counts"]
    if isinstance(value, str):
        return choose(f"{key}, if neither a list of counts nor a .csv file,", value, DATA)
    if isinstance(value, Mapping):
        known_keys(key, value, COLUMNS)
        columns = {column: _toml(value.get(column)) for column in COLUMNS}
        for column, listed in columns.items():
            if not isinstance(listed, list | tuple):
                raise ValueError(f"{key}.{column} must be a list of numbers; got {listed!r}")
        return {column: _field(f"{key}.{column}", listed) for column, listed in columns.items()}
    if not isinstance(value, list | tuple):
        allowed = ", ".join(map(repr, DATA))
        raise ValueError(f"{key} must be {allowed}, a list of counts or a .csv file; got {value!r}")
    return _field(key, value)


def observation(name, entry, true, key):
    """The experiment of a resolved entry with its data; key: a ``jax.random.key`` for random ones."""
    made, data = experiment(name, entry), entry["data"]
    with named(f"experiments.{name}"):
        if data == "asimov":
            return made.asimov(true)
        if data == "toy":
            return made.toy(key, true)
        if data == "measured":
            return made.observe()
    with named(f"experiments.{name}.data"):
        if isinstance(data, Mapping):
            given = values("lower_edge", data["lower_edge"], shape=(made.n_bins,))
            if not np.allclose(given, made.bin_edges[:-1], rtol=1e-6, atol=0.0):
                raise ValueError(f"lower_edge must be {made.bin_edges[:-1].tolist()}; got {given.tolist()}")
            data = data["counts"]
        return made.observe(data)


# --- sampler --------------------------------------------------------------------------------------


def _sampler(table):
    known_keys("sampler", table, (*SAMPLER, "split"))
    split = table.get("split")
    if split is not None and not isinstance(split, Mapping):
        raise ValueError(f"sampler.split must be a table such as {{ delta = 0.0 }}; got {split!r}")
    parts = {} if not split else {"split": {k: number(f"sampler.split.{k}", v) for k, v in split.items()}}
    table = {**SAMPLER, **table}

    def whole(name, low):
        return int(number(f"sampler.{name}", table[name], low=low, high=2**53, whole=True))

    return {
        "chains": whole("chains", 1),
        "draws": whole("draws", 1),
        "warmup": whole("warmup", 100),
        "target_accept": number("sampler.target_accept", table["target_accept"], low=0.5, high=0.999),
        "systematics": choose("sampler.systematics", table["systematics"], ("marginal", "sampled")),
        "seed": whole("seed", 0),
        **parts,
    }
