"""The rules of the house (DESIGN.md): import direction, sizes, no private JAX, a small and documented public face."""

import ast
import inspect
import pathlib
import re
import subprocess
import sys

import pytest

import widelimit

SRC = pathlib.Path(widelimit.__file__).parent
FILES = sorted(SRC.rglob("*.py"))

# Imports go only to an earlier entry; modules of the ground (a leading underscore) come before all.
LAYERS = [
    "ground", "adapters", "dual", "arch", "engine", "empirical", "kernels", "gram", "solve", "features", "gp",
    "dynamics", "regime", "theory", "plot", "recipes", "compat", "sklearn", "torch", "lab", "cli", "__init__",
    "__main__",
]  # fmt: skip
FORBIDDEN = {("empirical", "arch"), ("empirical", "dual"), ("empirical", "engine")}
MOST_LINES, MOST_BODY, MOST_PARAMETERS, MOST_NAMES = 600, 60, 6, 60
PRIVATE = re.compile(r"^(jax\._src|jax\.interpreters|jaxlib|equinox\.internal|equinox\._)")
# Options of the command line are parameters of a function: typer reads them there. Signatures in compat are of others.
PARAMETERS_EXEMPT = {"cli", "compat"}


def layer(path):
    """Return the layer of a file of the package."""
    first = path.relative_to(SRC).parts[0].removesuffix(".py")
    return "ground" if first.startswith("_") and not first.startswith("__") else first


def imported_layers(path, text):
    """Yield (line, layer) for every import of this package, also those inside functions."""
    package = path.relative_to(SRC.parent).with_suffix("").parts
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level], *(node.module or "").split(".")]
            base = [part for part in base if part]
            for alias in node.names:
                parts = [*base, alias.name] if len(base) == 1 else base
                if len(parts) > 1:
                    name = parts[1]
                    yield node.lineno, "ground" if name.startswith("_") else name


def wrong_imports(path, text):
    """Return complaints about imports that go up, or that are forbidden."""
    mine, found = layer(path), []
    for line, other in imported_layers(path, text):
        up = other != mine and LAYERS.index(other) >= LAYERS.index(mine)
        if up or (mine, other) in FORBIDDEN:
            found.append(f"{path.name}:{line}: {mine} imports {other}")
    return found


def private_imports(path, text):
    """Return complaints about private parts of JAX and equinox; jax.extend belongs to _jaxpr*.py alone."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        for name in names:
            if PRIVATE.match(name) or (name.startswith("jax.extend") and not path.name.startswith("_jaxpr")):
                found.append(f"{path.name}:{node.lineno}: {name}")
            if name.split(".")[0] == "pickle":
                found.append(f"{path.name}:{node.lineno}: pickle")
    return found


def too_large(path, text):
    """Return complaints about long files, long functions and long parameter lists."""
    found = [f"{path.name}: {text.count(chr(10))} lines"] if text.count("\n") > MOST_LINES else []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        doc = node.body[0] if ast.get_docstring(node) is not None else None
        length = node.end_lineno - node.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if doc else 0)
        if length > MOST_BODY:
            found.append(f"{path.name}:{node.lineno}: {node.name} has {length} lines")
        arguments = [a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
        arguments = [a for a in arguments if a not in ("self", "cls")]
        # Strategies with a default are configuration, not input: they come after the star and do not count.
        required = len(arguments) - sum(d is not None for d in node.args.kw_defaults)
        if required > MOST_PARAMETERS and layer(path) not in PARAMETERS_EXEMPT:
            found.append(f"{path.name}:{node.lineno}: {node.name} has {required} parameters")
    return found


def forbidden_calls(path, text):
    """Return complaints about super() and hasattr()."""
    return [
        f"{path.name}:{node.lineno}: {node.func.id}()"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("super", "hasattr")
    ]


RULES = [wrong_imports, private_imports, too_large, forbidden_calls]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule):
    found = [complaint for path in FILES for complaint in rule(path, path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("rule", "file", "text"),
    [
        (wrong_imports, "dual/_new.py", "from ..arch import Dense"),
        (wrong_imports, "empirical/_new.py", "def f():\n    from ..arch import Dense"),
        (wrong_imports, "_new.py", "from .dual import Erf"),
        (wrong_imports, "arch/_new.py", "from .. import kernels"),
        (private_imports, "dual/_new.py", "from jax._src import core"),
        (private_imports, "dual/_new.py", "from jax.extend import core"),
        (private_imports, "dual/_new.py", "import equinox.internal as eqxi"),
        (private_imports, "dual/_new.py", "import pickle"),
        (too_large, "dual/_new.py", "\n" * 601),
        (too_large, "dual/_new.py", "def f():\n" + "    x = 1\n" * 61),
        (too_large, "dual/_new.py", "def f(a, b, c, d, e, f, g): ..."),
        (forbidden_calls, "dual/_new.py", "super().__init__()"),
    ],
)
def test_the_rule_catches_an_offender(rule, file, text):
    assert rule(SRC / file, text)
    assert not rule(SRC / "dual/_new.py", "from .._typing import Array\nimport jax\n\n\ndef f(x):\n    return x\n")


def test_there_are_no_import_cycles():
    graph = {}
    for path in FILES:
        name = ".".join(path.relative_to(SRC.parent).with_suffix("").parts).removesuffix(".__init__")
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        graph[name] = set()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.level:
                base = ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])
                graph[name] |= {base, *(f"{base}.{a.name}" for a in node.names)}
    done, path = set(), []

    def visit(name):
        assert name not in path, f"import cycle: {' -> '.join([*path[path.index(name) :], name])}"
        if name in done:
            return
        path.append(name)
        for other in graph[name] & graph.keys() - {name}:
            # A package's own __init__ re-exports its files; that is no cycle of its files.
            if not name.startswith(f"{other}."):
                visit(other)
        path.pop()
        done.add(name)

    for name in graph:
        visit(name)


def test_inheritance_is_at_most_two_deep():
    classes = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                # A parameterization is called ABC as well.
                bases = [base for base in node.bases if ast.unparse(base) != "abc.ABC"]
                classes[node.name] = [b.id if isinstance(b, ast.Name) else getattr(b, "attr", "") for b in bases]

    def depth(name):
        return 1 + max((depth(base) for base in classes[name] if base in classes), default=0)

    assert [name for name in classes if depth(name) > 2] == []


def test_abstract_or_final():
    """A class of ours that others inherit from is abstract, and says so in its name."""
    final = final_classes()
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases = [b.id for b in node.bases if isinstance(b, ast.Name)]
                found += [f"{path.name}: {node.name}({base})" for base in bases if base in final]
    assert not found, found


def final_classes():
    """Return the names of our classes that are not abstract."""
    names = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("Abstract"):
                names.add(node.name)
    return names


def public_names():
    """Return what ``widelimit/__init__.py`` re-exports, checking the form of every import."""
    names = []
    for node in ast.parse((SRC / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, (
                    f"line {node.lineno}: write 'from x import {alias.name} as {alias.name}'"
                )
                names.append(alias.name)
        else:
            assert isinstance(node, ast.Expr), f"line {node.lineno}: only a docstring and re-exports belong here"
    return names


def test_the_public_face_is_small_and_documented():
    names = public_names()
    assert 20 < len(names) < MOST_NAMES
    assert len(set(names)) == len(names)
    for name in names:
        doc = inspect.getdoc(getattr(widelimit, name))
        assert doc, f"{name} has no docstring"


def test_import_is_light():
    """No plotting, command line, scikit-learn or pandas at import."""
    heavy = ("diffrax", "matplotlib", "sklearn", "typer", "rich", "pandas", "optax", "flax", "haiku", "torch")
    code = f"import sys, widelimit; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
