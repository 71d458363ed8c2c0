"""A thousand malformed analysis files and command lines: each ends in one line that names the key."""

import contextlib
import copy
import io
import random
import string

import pytest

import jaxlmt.figures
import jaxlmt.inference.sample
from jaxlmt import cli
from jaxlmt.formats import write_toml

FILES, COMMAND_LINES = 140, 300

VALID = {
    "label": "valid",
    "plots": ["corner", "spectra"],
    "truth": {
        "mass": 15.0,
        "g_x": 5e-4,
        "eps_over_g": -0.0143,
        "model": "lmu-ltau",
        "running": False,
        "charges": {"tau": -1.0},
    },
    "model": {"name": "lmu-ltau", "running": True, "charges": {"tau": {"uniform": [-1.5, 0.5]}}},
    "prior": {
        "g_x": {"log_uniform": [1e-5, 1e-2]},
        "mass": {"log_uniform": {"low": 1.0, "high": 1e3}},
        "eps_x": {"per_coupling": {"symmetric_asinh": [0.01, 0.3]}},
    },
    "experiments": {
        "gminus2": {"measurement": "2021", "data": "measured"},
        "ess10": {"data": [722, 383, 150, 65, 27], "statistic": "gaussian", "background_ratio": 0.1},
        "na64mu": {"kernel": "ww", "muons_on_target": 3e11, "efficiency": 0.3, "data": "asimov"},
        "mine": {
            "type": "spallation",
            "mass_tonne": 1.0,
            "bin_edges": [20.0, 40.0, 80.0],
            "protons_on_target": 2.8e23,
            "neutrinos_per_proton": 0.3,
            "baseline_m": 20.0,
            "signal_norm": {"normal": [1.0, 0.05]},
            "data": "counts.csv",
        },
        "darwin": {
            "channel": "nr",
            "threshold_keV": 1.0,
            "exposure": 200.0,
            "target": "xenon",
            "solar_model": "gs98",
            "oscillation": {
                "theta12": 33.68,
                "theta13": 8.56,
                "theta23": {"normal": [43.3, 0.9]},
                "delta_cp": {"uniform": [0.0, 180.0]},
                "dm21": 7.49e-5,
                "dm31": 2.513e-3,
            },
            "flux_norms": {"8B": {"normal": [1.0, 0.12]}, "hep": 1.1},
        },
    },
    "sampler": {"chains": 4, "draws": 300, "warmup": 100, "target_accept": 0.98, "seed": 0},
}
COUNTS = ["lower_edge,counts", "20,12700", "40,1700"]

# Keys whose value may be anything of the kind that is written there.
ANY_TEXT = {"label"}
SIGNED = {"eps_over_g", "tau", "eps_x"}
REQUIRED = {"mass_tonne", "bin_edges", "protons_on_target", "neutrinos_per_proton", "baseline_m"}


def leaves(table, path=()):
    """[(path, value)] of everything that is no table."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def tables(table, path=()):
    """Paths of every table, the outermost included."""
    yield path
    for key, value in table.items():
        if isinstance(value, dict):
            yield from tables(value, (*path, key))


def at(table, path):
    for key in path:
        table = table[key]
    return table


def misspelt(generator, word, known):
    """``word`` with one letter changed, left out, doubled or put in; not one of ``known``."""
    while True:
        i, letter = generator.randrange(len(word)), generator.choice(string.ascii_lowercase)
        result = generator.choice(
            [
                word[:i] + letter + word[i + 1 :],
                word[:i] + word[i + 1 :],
                word[: i + 1] + word[i:],
                word[:i] + letter + word[i:],
            ]
        )
        if result and result not in known and result[0].isalpha():
            return result


# --- mutations of a file: each returns what the message must name ----------------------------------


def misspell_a_key(generator, table):
    path = generator.choice([p for p in tables(table) if p != ("experiments",)])
    parent = at(table, path)
    key = generator.choice(list(parent))
    known = {*parent, "data", "model", "label", "plots", "preset", "background", "pep"}
    wrong = misspelt(generator, key, known)
    at(table, path)[wrong] = parent.pop(key)
    # Without its key a table may also be refused for what it lacks.
    return [wrong, f"{key} is missing"]


def unknown_experiment(generator, table):
    name = generator.choice(["gminus2", "ess10", "na64mu"])
    wrong = misspelt(generator, name, {*table["experiments"], "ess", "ess1"})
    table["experiments"][wrong] = table["experiments"].pop(name)
    return [wrong]


def wrong_type(generator, table):
    path, value = generator.choice(list(leaves(table)))
    key = path[-1]
    wrong = [{"a": 1.0}, {}, [[1.0, 2.0], [3.0]], [True]]
    if not isinstance(value, bool):
        wrong.append(True)
    if isinstance(value, str | bool):
        wrong += [3, 2.5, -1, [1.0, "a"]]
    else:
        wrong += ["many", "", "3.0", ["a", 1.0]]
    if isinstance(value, list) and key != "plots":
        wrong += [5.0, []]
    at(table, path[:-1])[key] = generator.choice(wrong)
    return [key]


def wrong_number(generator, table):
    numbers = [(p, v) for p, v in leaves(table) if isinstance(v, float | int) and not isinstance(v, bool)]
    path, value = generator.choice(numbers)
    key = path[-1]
    wrong = [float("nan"), float("inf"), -float("inf"), 10**400]
    if key not in SIGNED:
        wrong += [-abs(value) - 1.0]
    if key in ("chains", "draws", "warmup", "seed"):
        wrong += [value + 0.5, 10**30]
    at(table, path[:-1])[key] = generator.choice(wrong)
    return [key]


def wrong_list(generator, table):
    path, values = generator.choice([(p, v) for p, v in leaves(table) if isinstance(v, list) and len(v) > 1])
    key, values = path[-1], list(values)
    if key == "plots":
        values[0] = misspelt(generator, values[0], ("corner", "spectra"))
    elif key == "data":
        kind = generator.randrange(4)
        if kind == 0:
            values.pop()
        elif kind == 1:
            values.append(1.0)
        else:
            values[generator.randrange(len(values))] = -3.0 if kind == 2 else float("nan")
    else:
        kind = generator.randrange(4)
        if kind == 0:
            values = values[::-1] if key not in ("symmetric_asinh", "normal") else [float("nan"), 1.0]
        elif kind == 1:
            values = [values[0], -abs(values[1])] if key != "uniform" else [1.0, 1.0]
        elif kind == 2:
            values = values[:1]
        else:
            values[generator.randrange(len(values))] = float("nan")
    at(table, path[:-1])[key] = values
    return [key]


def wrong_word(generator, table):
    words = [(p, v) for p, v in leaves(table) if isinstance(v, str) and p[-1] not in ANY_TEXT]
    path, value = generator.choice(words)
    allowed = ("lmu", "ess", "toy", "2025", "er", value)
    wrong = misspelt(generator, value, allowed) if value.isalpha() else value + generator.choice("xyz9")
    at(table, path[:-1])[path[-1]] = wrong
    return [path[-1]]


def missing_value(generator, table):
    key = generator.choice([*sorted(REQUIRED), "mass", "g_x", "high", "truth", "type", "experiments"])
    place = {"mass": ("truth",), "g_x": ("truth",), "high": ("prior", "mass", "log_uniform")}
    path = () if key in ("truth", "experiments") else place.get(key, ("experiments", "mine"))
    del at(table, path)[key]
    return [key]


def table_for_a_value(generator, table):
    """A section that is no table."""
    path = generator.choice([p for p in tables(table) if p])
    at(table, path[:-1])[path[-1]] = generator.choice(["text", [1.0], True])
    return [path[-1]]


def wrong_csv(generator, table):
    table["csv"] = generator.choice(
        [
            ["lower_edge,count", *COUNTS[1:]],
            COUNTS[1:],
            COUNTS[:1],
            [*COUNTS[:2], "40,nan"],
            [*COUNTS[:2], "40,-3"],
            [*COUNTS[:2], "40,many"],
            [*COUNTS[:2], "41,1700"],
            [*COUNTS[:2], "40"],
            [*COUNTS, "60,3"],
            COUNTS[:2],
            ["counts", "1", "2", "3"],
            ["counts", '"1', "2"],
            [],
            ["\udcff"],
        ]
    )
    return ["experiments.mine.data"]


def broken_syntax(generator, table):
    table["text"] = generator.choice(["=", "[", "]", '"', "a = ", "[truth", "x = 1\nx = 2", "\udcff", "\x00"])
    return ["analysis.toml"]


MUTATIONS = (
    misspell_a_key,
    unknown_experiment,
    wrong_type,
    wrong_number,
    wrong_list,
    wrong_word,
    missing_value,
    table_for_a_value,
    wrong_csv,
    broken_syntax,
)


# --- mutations of a command line -------------------------------------------------------------------

OPTIONS = {  # values that are wrong, and what the message may call the option
    "--mass": (["nan", "-15", "0", "inf", "heavy", ""], ["mass"]),
    "--coupling": (["nan", "-1e-3", "0", "big", "inf"], ["coupling"]),
    "--mixing": (["nan", "inf", "free", "-inf"], ["mixing"]),
    "--experiments": (["", ",", "ess,ess", "xenon", "ess;ccm", "na64"], ["experiments"]),
    "--model": (["lmutau", "", "3"], ["model"]),
    "--eps": (["nan", "fre", "", "inf", "tide"], ["eps"]),
    "--kernel": (["exact", "", "w"], ["kernel"]),
    "--gminus2": (["2006", "", "21"], ["gminus2"]),
    "--data": (["real", "measured", "", "toys"], ["data"]),
    "--chains": (["0", "-2", "2.5", "x", "", "1" + 30 * "0"], ["chains"]),
    "--draws": (["0", "-1", "1e3", "many"], ["draws"]),
    "--warmup": (["99", "-1", "x", "1.5"], ["warmup"]),
    "--seed": (["-1", "x", "1" + 30 * "0", "0.5"], ["seed"]),
    "--output": (["file", "file/run", "full"], ["output"]),
    "--resume": (["nowhere", "full"], ["resume"]),
}
FLAGS = ("--quiet", "--no-cache", "--overwrite")
FIGURE_OPTIONS = {
    "--kernel": (["exact", "", "w"], ["kernel"]),
    "--data": (["real", "measured", "", "toys"], ["data"]),
    "--seed": (["-1", "x", "0.5"], ["seed"]),
    "--points": (["9", "-20", "2001", "1e2", "many", "", "1" + 30 * "0"], ["points"]),
    "--output": (["file", "full", "nowhere/a.png", "a.gif", "precious.png"], ["output"]),
}


def command_line(generator):
    """(arguments, names of which the message must hold one)."""
    truth = generator.choice([["BP1"], ["BP4"], ["--mass", "15", "--coupling", "5e-4"]])
    kind = generator.randrange(6)
    if kind == 5:
        return figure_command(generator)
    if kind == 0:
        option = misspelt(
            generator, generator.choice([*OPTIONS, *FLAGS])[2:], [o[2:] for o in (*OPTIONS, *FLAGS)]
        )
        return ["reconstruct", *truth, f"--{option}=3"], [f"--{option}"]
    if kind == 1:
        commands = ("reconstruct", "run", "compare", "figure")
        wrong = misspelt(generator, generator.choice(commands), commands)
        return [wrong, *truth], [wrong]
    if kind == 2:
        wrong = misspelt(generator, generator.choice(["BP1", "BP2", "BP3"]), ("BP1", "BP2", "BP3", "BP4"))
        return ["reconstruct", wrong], ["benchmark"]
    if kind == 3:
        option = generator.choice(list(OPTIONS))
        return ["reconstruct", *truth, option], [option]  # without its value
    option = generator.choice(list(OPTIONS))
    values, names = OPTIONS[option]
    if option in ("--mass", "--coupling"):
        other = {"--mass": ["--coupling", "5e-4"], "--coupling": ["--mass", "15"]}[option]
        return ["reconstruct", *other, f"{option}={generator.choice(values)}"], names
    truth = truth if option != "--resume" else []
    return ["reconstruct", *truth, f"{option}={generator.choice(values)}"], names


def figure_command(generator):
    kind = generator.randrange(4)
    if kind == 0:
        wrong = generator.choice(["3", "15", "eight", "", "8.0", "fig8"])
        return ["figure", wrong], ["figure must be one of"]
    option = generator.choice(list(FIGURE_OPTIONS))
    if kind == 1:
        wrong = misspelt(generator, option[2:], [o[2:] for o in (*FIGURE_OPTIONS, *FLAGS)])
        return ["figure", "8", f"--{wrong}=3"], [f"--{wrong}"]
    if kind == 2:
        return ["figure", "8", option], [option]  # without its value
    values, names = FIGURE_OPTIONS[option]
    return ["figure", "8", f"{option}={generator.choice(values)}"], names


# --- the test --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    def too_late(*_, **__):
        raise AssertionError("sampling has begun")

    monkeypatch.setattr(jaxlmt.inference.sample, "sample", too_late)
    monkeypatch.setattr(jaxlmt.figures, "FIGURES", dict.fromkeys(jaxlmt.figures.FIGURES, too_late))
    monkeypatch.chdir(tmp_path)
    for name in ("file", "precious.png"):
        (tmp_path / name).write_text("precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept").write_text("precious")
    return tmp_path


def refused(arguments):
    """What the command line says on standard error; exactly one line, and a status that is not zero."""
    error, output = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(output):
        try:
            status = cli.main([*arguments])
        except SystemExit as stop:
            status = stop.code
    text = error.getvalue()
    assert status in (1, 2), (arguments, status, text)
    assert text.startswith("jaxlmt") and text.endswith("\n") and text.count("\n") == 1, text
    assert "Traceback" not in text
    return text


def write(folder, table):
    csv, text = table.pop("csv", COUNTS), table.pop("text", "")
    (folder / "counts.csv").write_bytes("\n".join(csv).encode("utf-8", "surrogateescape"))
    experiments = table.get("experiments", {})
    whole = isinstance(experiments, dict) and all(isinstance(e, dict) for e in experiments.values())
    nested = ("experiments",) if whole else ()  # else inline
    write_toml(folder / "analysis.toml", table, comment="mutated", nested=nested)
    with (folder / "analysis.toml").open("ab") as file:
        file.write(f"\n{text}\n".encode("utf-8", "surrogateescape"))


def test_the_file_that_is_mutated_is_valid(folder):
    write(folder, copy.deepcopy(VALID))
    with pytest.raises(AssertionError, match="sampling has begun"):
        cli.main(["run", "analysis.toml", "--no-cache"])


@pytest.mark.parametrize("seed", [20210403, *(pytest.param(i, marks=pytest.mark.slow) for i in range(4))])
def test_malformed_files_end_in_one_line_that_names_the_key(folder, seed):
    generator = random.Random(seed)
    for i in range(FILES):
        table = copy.deepcopy(VALID)
        mutation = MUTATIONS[i % len(MUTATIONS)]
        names = mutation(generator, table)
        write(folder, table)
        text = refused(["run", "analysis.toml", "--no-cache", "--quiet"])
        content = (folder / "analysis.toml").read_bytes().decode("utf-8", "replace")
        assert any(name in text for name in names), (mutation.__name__, names, text, content)
    assert not (folder / "runs").exists()


def test_malformed_command_lines_end_in_one_line_that_names_the_option(folder):
    generator = random.Random(20210403)
    for _ in range(COMMAND_LINES):
        arguments, names = command_line(generator)
        text = refused(arguments)
        assert any(name in text for name in names), (arguments, text)
    assert {path.name for path in folder.iterdir()} == {"file", "full", "precious.png"}
