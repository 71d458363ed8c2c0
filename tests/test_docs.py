"""The documentation says what is: its examples run, its names exist, its numbers are those of the code."""

import contextlib
import importlib
import io
import re
import runpy
import sys
from functools import reduce
from pathlib import Path

import pytest

import jaxlmt

DOCS = Path(__file__).parents[1] / "docs"
# A fenced block, and the file that a comment above it names.
BLOCK = re.compile(
    r"(?:<!-- file: (?P<file>\S+) -->\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.M | re.S
)


def read(page):
    return (DOCS / page).read_text(encoding="utf-8")


def test_adding_an_experiment(tmp_path, monkeypatch):
    """Every block of the page in order, in one namespace; files are written, printed text is compared."""
    monkeypatch.syspath_prepend(tmp_path)
    namespace, printed, done = {}, "", []
    for block in BLOCK.finditer(read("adding_an_experiment.md")):
        name, language, body = block.group("file", "language", "body")
        if name:
            (tmp_path / name).write_text(body, encoding="utf-8")
            monkeypatch.delitem(sys.modules, Path(name).stem, raising=False)
        elif language == "python":
            assert printed == "", "the page does not show what this printed"
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(body, f"block {len(done)}", "exec"), namespace)
            printed = output.getvalue()
        else:
            assert (language, body) == ("text", printed)
            printed = ""
        done.append(name or language)
    assert printed == ""
    assert done.count("python") >= 4 and done.count("text") >= 3 and "missing_momentum.py" in done


@pytest.mark.slow
def test_differences_are_measured():
    """Every table of the page is what ``docs/differences.py`` computes now; all of them are shown."""
    measuring = runpy.run_path(str(DOCS / "differences.py"))
    page = read("differences.md")
    shown = [match["title"] for match in measuring["MEASURED"].finditer(page)]
    assert sorted(shown) == sorted(measuring["TABLES"])
    assert page.count("<!-- measured:") == len(shown)
    assert measuring["renewed"](page).splitlines() == page.splitlines()


def numbers(text):
    """Numbers of equations in a cell such as "21, 24–26"."""
    for part in re.findall(r"\d+(?:–\d+)?", text):
        first, _, last = part.partition("–")
        yield from range(int(first), int(last or first) + 1)


def resolve(name):
    """What a name of the table means: public, or of a module below jaxlmt."""
    parts = name.split(".")
    if hasattr(jaxlmt, parts[0]) and parts[0] in jaxlmt.__all__:
        return reduce(getattr, parts, jaxlmt)
    for length in range(len(parts), 0, -1):
        with contextlib.suppress(ModuleNotFoundError):
            module = importlib.import_module(".".join(["jaxlmt", *parts[:length]]))
            return reduce(getattr, parts[length:], module)
    raise AssertionError(f"{name} is neither public nor in the package")


def test_equations():
    """Equations 1 to 38 have a line, and every function named there exists."""
    rows = [line.strip("| ").split("|") for line in read("equations.md").splitlines() if line.startswith("|")]
    rows = [row for row in rows if not row[0].strip() == "eq" and not row[0].startswith("---")]
    others = ("Table", "Figure", "DZ")  # DZ: those of the other paper, without a claim to be complete
    found = [n for row in rows if not row[0].startswith(others) for n in numbers(row[0])]
    assert sorted(found) == list(range(1, 39))
    names = [name for row in rows for name in re.findall(r"`([A-Za-z_][\w.]*)`", row[2])]
    assert len(names) > 40
    for name in names:
        if not (DOCS.parent / "jaxlmt" / name).is_file():
            resolve(name)


def test_reference_is_complete():
    """Every public name has its entry, and nothing else has one under ``jaxlmt`` but modules."""
    page = read("api.md")
    listed = re.findall(r"^\.\. (?:auto(?:function|class)|py:data):: (?:jaxlmt\.)?(\w+)$", page, re.M)
    modules = re.findall(r"^\.\. automodule:: jaxlmt\.(\w+)$", page, re.M)
    assert sorted([*listed, *(name for name in modules if name in jaxlmt.__all__)]) == sorted(jaxlmt.__all__)
