"""Files of an analysis: TOML in and out, counts from a CSV. Mistakes are ValueErrors that name the file."""

import csv
import json
import re
import tomllib
from pathlib import Path

from .validation import choose, number

COLUMNS = ("lower_edge", "counts")  # of a CSV file


def _read_text(path):
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: byte {error.start} cannot be decoded") from error
    except ValueError as error:  # a null character in the name
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error


# --- TOML -----------------------------------------------------------------------------------------


def read_toml(path):
    """The dict in a TOML file. Raises ValueError for what is none."""
    text = _read_text(path)
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path} is not TOML that can be read: it is nested too deeply") from error


def write_toml(path, table, *, comment, nested=()):
    """Write ``table`` (text, numbers, lists, dicts) as TOML: one section a dict, inline tables within.

    nested: keys of sections whose own dicts are sections, such as [experiments.ess].
    """
    lines = [f"# {comment}", *_assignments({k: v for k, v in table.items() if not isinstance(v, dict)})]
    for key, value in table.items():
        if isinstance(value, dict):
            parts = {f"{key}.{name}": part for name, part in value.items()} if key in nested else {key: value}
            for header, part in parts.items():
                lines += ["", f"[{header}]", *_assignments(part)]
    Path(path).write_text("\n".join([*lines, ""]), encoding="utf-8", newline="\n")


def _assignments(table):
    return [f"{_key(key)} = {_inline(value)}" for key, value in table.items()]


def _key(text):
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _inline(text)


def _inline(value):
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return f"{{ {', '.join(_assignments(value))} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"  # shorter, and as exact
    return repr(value)


# --- counts ---------------------------------------------------------------------------------------


def read_counts(path):
    """Counts from a CSV file, one row a bin: {"counts": [...]} and, where it is there, "lower_edge".

    Either one column of numbers, with or without the header ``counts``, or two columns with the header
    ``lower_edge,counts`` in any order. Blank lines are skipped, and so is what follows a #.
    """
    rows = _rows(path)
    if not rows:
        raise ValueError(f"{path} holds no counts")
    names, (first, header) = ("counts",), rows[0]
    if not all(map(_is_number, header)):
        names, rows = tuple(name.strip() for name in header), rows[1:]
        for name in names:
            choose(f"column of {path}", name, COLUMNS)
        if len(set(names)) != len(names) or "counts" not in names:
            raise ValueError(f"{path} must have the columns counts, or lower_edge and counts; got {names}")
        if not rows:
            raise ValueError(f"{path} holds a header and no counts")
    elif len(header) == 2:
        raise ValueError(f"{path}, line {first}: two columns need the header lower_edge,counts")
    columns = {name: [] for name in names}
    for line, cells in rows:
        if len(cells) != len(names):
            raise ValueError(f"{path}, line {line}: got {len(cells)} values; expected {', '.join(names)}")
        for name, cell in zip(names, cells, strict=True):
            value = float(cell) if _is_number(cell) else cell
            columns[name].append(number(f"{path}, line {line}: {name}", value))
    return columns


def _rows(path):
    """[(line number, cells)] of the lines that hold something."""
    lines = _read_text(path).splitlines()
    kept = [(i, line) for i, line in enumerate(lines, 1) if line.partition("#")[0].strip()]
    try:
        return [(i, next(csv.reader([line.partition("#")[0]], strict=True))) for i, line in kept]
    except csv.Error as error:
        raise ValueError(f"{path} is not CSV: {error}") from error


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
