"""Files of an analysis: what is written reads back, and every mistake in a CSV names its line."""

import tomllib

import pytest

from jaxlmt.formats import read_counts, read_toml, write_toml

TABLE = {
    "label": 'a "quoted" \\ name, µ and 😀, \x7f and\ttab',
    "plots": [],
    "truth": {"mass": 1.0 / 3.0, "g_x": 7.123456789012345e-5, "large": 1e23, "small": 5e-324},
    "prior": {"eps_x": {"per_coupling": {"log_uniform": [1e-5, 0.3, -1.0]}}, "mass": 15.0},
    "experiments": {"ess10": {"data": [1.0, 0.1 + 0.2]}, "gminus2": {"data": "measured"}},
    "sampler": {"seed": 2**53, "odd key": "x", "yes": True},
}


def test_toml_round_trip_is_exact(tmp_path):
    path = tmp_path / "a.toml"
    write_toml(path, TABLE, comment="a comment", nested=("experiments",))
    assert read_toml(path) == TABLE
    text = path.read_text(encoding="utf-8")
    assert tomllib.loads(text) == TABLE
    assert "[experiments.ess10]" in text and "seed = 9007199254740992" in text
    assert "mass = 15\n" in text  # short where it is exact


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"mass = = 3\n", "is not TOML"),
        (b"a = 1\na = 2\n", "is not TOML"),
        (b"a = \xff\n", "is not UTF-8 text: byte 4"),
        (b"a = " + 5000 * b"[", "is not TOML"),
        (b"a = " + 5000 * b"9", "is not TOML: .*digits"),
        (b"a = 1\x00\n", "is not TOML"),
    ],
)
def test_what_is_not_toml_is_named(content, message, tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.toml.*{message}") as error:
        read_toml(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"), [("absent.toml", "No such file"), (".", "directory"), ("\0", "null")]
)
def test_files_that_cannot_be_read(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"cannot be read: .*{message}"):
        read_toml(name)


GOOD = {
    "one column": ("12\n3\n0\n", {"counts": [12.0, 3.0, 0.0]}),
    "with a header": ("counts\n1.5e2\n3\n", {"counts": [150.0, 3.0]}),
    "two columns": (
        "lower_edge,counts\n20,12\n40,3\n",
        {"lower_edge": [20.0, 40.0], "counts": [12.0, 3.0]},
    ),
    "in the other order": ("counts,lower_edge\n12,20\n", {"counts": [12.0], "lower_edge": [20.0]}),
    "comments, blank lines, Windows": ("\ufeff# data\r\n\r\ncounts\r\n4 # four\r\n", {"counts": [4.0]}),
}


@pytest.mark.parametrize("case", GOOD)
def test_counts(case, tmp_path):
    text, expected = GOOD[case]
    path = tmp_path / "c.csv"
    path.write_bytes(text.encode())
    assert read_counts(path) == expected


BAD = {
    "": "holds no counts",
    "# nothing\n\n": "holds no counts",
    "counts\n": "a header and no counts",
    "count\n1\n": r"column of .*c\.csv.*'count' \(did you mean 'counts'\?\)",
    "lower_edge\n1\n": "must have the columns",
    "counts,counts\n1,2\n": "must have the columns",
    "lower_edge,counts,error\n1,2,3\n": "'error'",
    "20,12\n40,3\n": "line 1: two columns need the header",
    "counts\n1\nnan\n": "line 3: counts must be a finite number.*nan",
    "counts\n1\ninf\n": "line 3: counts",
    "counts\n1\nmany\n": "line 3: counts.*'many'",
    "counts\n1\n2,3\n": "line 3: got 2 values",
    "lower_edge,counts\n1\n": "line 2: got 1 values",
    "lower_edge;counts\n1;2\n": "'lower_edge;counts'",
    'counts\n"1\n': "is not CSV",
    "counts\n1\n\n3\n,\n": "line 5: got 2 values",
}


@pytest.mark.parametrize("text", BAD, ids=repr)
def test_mistakes_in_counts_are_named(text, tmp_path):
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"c\.csv.*{BAD[text]}|{BAD[text]}") as error:
        read_counts(path)
    assert "\n" not in str(error.value) and "c.csv" in str(error.value)


def test_counts_that_are_no_text(tmp_path):
    path = tmp_path / "c.csv"
    path.write_bytes(b"counts\n\xff\xfe\n")
    with pytest.raises(ValueError, match=r"c\.csv is not UTF-8 text"):
        read_counts(path)
