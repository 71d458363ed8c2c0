"""The house: who imports whom, what an import of the package does, and what its public face holds."""

import ast
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import jaxlmt

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxlmt"

# DESIGN.md's table; the first part of a module's path below the package decides.
FLOORS = {
    1: (
        "bessel",
        "constants",
        "derivatives",
        "quadrature",
        "roots",
        "statistics",
        "distributions",
        "pytrees",
        "validation",
        "settings",
        "data",
    ),
    2: ("mixing", "model", "nuclei"),
    3: ("processes",),
    4: ("sources", "detection", "darkmatter"),
    5: ("experiments",),
    6: ("likelihood", "results"),
    7: ("inference",),
    8: ("plots",),
    9: ("formats", "config", "analysis", "run", "compare", "cli", "figures", "__main__"),
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}
HEAVY = ("numpyro", "arviz", "matplotlib", "optax", "xarray", "tqdm", "scipy.optimize")


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
PARTS = [name for name in MODULES if name != "jaxlmt"]


def imports(name):
    """Absolute names of everything that a module imports, wherever in the file: modules, or names in them."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            found += [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "importlib.import_module",
            "import_module",
            "__import__",
        ):
            found += [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return found


def modules_imported(name):
    """Modules of the package that a module imports; ``from . import x`` counts as x."""
    result = set()
    for target in imports(name):
        while target and target not in MODULES:
            target = target.rpartition(".")[0]
        if target:
            result.add(target)
    return result


def floor(name):
    return FLOOR_OF.get(name.split(".")[1])


def test_the_parser_sees_imports():
    """So that the tests below cannot pass for want of finding any."""
    assert "jaxlmt.validation" in modules_imported("jaxlmt.model")
    assert "jaxlmt.inference.priors" in modules_imported("jaxlmt.inference.target")
    assert modules_imported("jaxlmt") >= {"jaxlmt.likelihood", "jaxlmt.experiments.na64mu", "jaxlmt.settings"}
    assert modules_imported("jaxlmt.constants") == set()


@pytest.mark.parametrize("name", PARTS)
def test_every_module_has_a_floor(name):
    assert name.split(".")[1] in FLOOR_OF, f"{name} is not in DESIGN.md's table"


@pytest.mark.parametrize("name", [n for n in PARTS if n.split(".")[1] in FLOOR_OF])
def test_imports_go_down(name):
    """From the floors below, and from one's own."""
    upwards = {
        target: floor(target)
        for target in modules_imported(name)
        if target != "jaxlmt" and (floor(target) or 0) > floor(name)
    }
    assert not upwards, f"floor {floor(name)} imports from above: {upwards}"


@pytest.mark.parametrize("name", PARTS)
def test_nothing_needs_the_public_face(name):
    """The package's __init__ is on top: modules import each other directly (a version string excepted)."""
    for target in imports(name):
        if target.startswith("jaxlmt.") and target not in MODULES:
            module = target.rpartition(".")[0]
            assert module in MODULES
            assert module != "jaxlmt" or target == "jaxlmt.__version__", f"{name} imports {target}"
        else:
            assert target != "jaxlmt"


def test_no_cycles():
    """Siblings on one floor may import each other, but not in a ring."""
    graph = {name: modules_imported(name) - {name, "jaxlmt"} for name in PARTS}
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            path.append(name)
            for target in sorted(graph[name]):
                visit(target)
            path.pop()
            done.add(name)

    for name in PARTS:
        visit(name)
    assert done == set(PARTS)


@pytest.mark.parametrize(
    "library,allowed",
    [
        ("arviz", {"jaxlmt.results"}),
        ("numpyro", {"jaxlmt.inference.sample", "jaxlmt.inference.model"}),
        ("matplotlib", {f"jaxlmt.plots.{n}" for n in ("style", "corner", "spectra", "contours", "plane")}),
        ("optax", {"jaxlmt.inference.fit"}),
        ("mpmath", set()),
    ],
)
def test_one_file_knows_a_library(library, allowed):
    """DESIGN.md: the only file that knows arviz, that knows NumPyro, ..."""
    users = {name for name in MODULES if any(t.split(".")[0] == library for t in imports(name))}
    assert users <= allowed


# ------------------------------------------------------------------------------------------- import itself
IMPORT = """
import json, os, sys, time
opened, armed = [], False

def hook(event, arguments):
    if armed and event == "open" and arguments and isinstance(arguments[0], str):
        opened.append((os.path.abspath(arguments[0]), str(arguments[1])))

sys.addaudithook(hook)
start = time.perf_counter()
import jax
jax_seconds = time.perf_counter() - start
compiled = []
jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: compiled.append(event))
configuration = dict(jax.config.values)
environment = dict(os.environ)
before = set(sys.modules)
armed = True
start = time.perf_counter()
import jaxlmt
seconds = time.perf_counter() - start
armed = False
print(json.dumps({
    "jax_seconds": jax_seconds,
    "seconds": seconds,
    "opened": opened,
    "modules": sorted(set(sys.modules)),
    "x64": bool(jax.config.jax_enable_x64),
    "changed": [k for k, v in jax.config.values.items() if configuration.get(k) != v],
    "environment": dict(os.environ) == environment,
    "compiled": [e for e in compiled if "compile" in e],
    "file": jaxlmt.__file__,
    "public": sorted(set(dir(jaxlmt))),
}))
"""


@pytest.fixture(scope="module")
def imported():
    """What an import of the package did in a fresh interpreter."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_"))}
    environment["PYTHONPATH"] = str(ROOT)
    run = subprocess.run(
        [sys.executable, "-c", IMPORT], env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert Path(found["file"]).parent == PACKAGE
    return found


def test_import_flips_no_switch(imported):
    assert imported["x64"] is False
    assert imported["changed"] == []
    assert imported["environment"] is True


def test_import_computes_nothing(imported):
    assert imported["compiled"] == []


def test_import_reads_no_data(imported):
    """The source is read, and its bytecode; nothing else of the package, and nothing is written but that."""
    own = [(path, mode) for path, mode in imported["opened"] if path.startswith(str(PACKAGE))]
    assert any(path.endswith((".py", ".pyc")) or "__pycache__" in path for path, _ in own)
    others = [path for path, _ in own if not path.endswith(".py") and "__pycache__" not in path]
    assert others == []
    written = [path for path, mode in imported["opened"] if set(mode) & set("wax+") and ".pyc" not in path]
    assert written == []


def test_import_leaves_the_heavy_ones_out(imported):
    loaded = [name for name in HEAVY if name in imported["modules"]]
    assert loaded == []
    assert "jaxlmt.inference.sample" not in imported["modules"]
    assert "jaxlmt.results" not in imported["modules"]


def test_import_is_quick(imported):
    print(f"import jax: {imported['jax_seconds']:.3f} s, import jaxlmt: {imported['seconds']:.3f} s more")
    assert imported["seconds"] < 1.5


# -------------------------------------------------------------------------------------------- public names
def test_dir_is_the_public_face(imported):
    assert set(imported["public"]) == set(jaxlmt.__all__) == set(dir(jaxlmt))
    assert len(jaxlmt.__all__) == len(set(jaxlmt.__all__))


@pytest.mark.parametrize("name", jaxlmt.__all__)
def test_public_name(name):
    """It resolves, and says what it is where Python lets it."""
    value = getattr(jaxlmt, name)
    if isinstance(value, float | int | str | tuple):
        return  # a number or a tuple of names: a comment where it is defined
    documented = inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)
    owner = value if documented else type(value)
    text = inspect.getdoc(owner) or ""
    assert len(text) > 15, f"{name} has no docstring"
    # dataclasses write their own signature when nobody else does
    assert not text.startswith(f"{getattr(owner, '__name__', name)}(")
    if inspect.ismodule(value):
        assert value.__name__ == f"jaxlmt.{name}"
    elif hasattr(owner, "__module__"):
        assert owner.__module__.startswith("jaxlmt.")


@pytest.mark.parametrize("name", [n for n in jaxlmt.__all__ if inspect.isfunction(getattr(jaxlmt, n, None))])
def test_public_functions_name_what_selects(name):
    """Options are keyword-only: nobody has to count arguments. Three positional ones are plenty."""
    parameters = inspect.signature(getattr(jaxlmt, name)).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    optional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty]
    assert len(positional) <= 3 and len(optional) <= 1, positional


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'na64nu'"):
        jaxlmt.na64nu  # noqa: B018
