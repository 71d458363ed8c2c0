"""The documentation says what is: its examples run, its names exist, its numbers are those of the code."""

import contextlib
import io
import re
import runpy
import sys
from pathlib import Path

import pytest

import jaxlmt

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.M | re.S)


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
