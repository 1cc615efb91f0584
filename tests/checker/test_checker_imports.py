"""The trusted base is the standard library, NumPy and itself, read from the source and seen in a fresh process."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "verifier" / "checker"
SOURCES = sorted(FOLDER.rglob("*.py"))
DYNAMIC = {"__import__", "import_module", "exec", "eval", "compile"}
UNSAFE = {"pickle", "marshal", "ctypes", "importlib", "runpy", "shelve"}


def imported(tree: ast.AST) -> set[str]:
    """Every module a file names in an import; a relative one stays inside the package and counts as such."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "" if not node.level else "verifier.checker")
    return names


def allowed(module: str) -> bool:
    top = module.split(".")[0]
    if top == "verifier":
        return module == "verifier.checker" or module.startswith("verifier.checker.")
    return top == "numpy" or (top in sys.stdlib_module_names and top not in UNSAFE)


def called(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                names.add(node.func.id)
            elif isinstance(node.func, ast.Attribute) and node.func.attr in ("import_module", "__import__"):
                names.add(node.func.attr)
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_file_imports_only_the_trusted_base(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert [name for name in sorted(imported(tree)) if not allowed(name)] == []
    assert called(tree) & DYNAMIC == set()


def test_the_walk_sees_what_it_must_refuse() -> None:
    for line in (
        "import torch",
        "def f():\n    from specs.graph import Graph",
        "import verifier.engine",
        "from verifier import engine",
        "import pickle",
        "import numpy, onnx as o",
    ):
        assert any(not allowed(name) for name in imported(ast.parse(line))), line
    assert called(ast.parse("importlib.import_module('x'); eval('1')")) == {"import_module", "eval"}
    assert all(allowed(name) for name in imported(ast.parse("import numpy.typing\nfrom verifier.checker.x import y")))


def test_nothing_else_is_loaded_at_run_time() -> None:
    modules = [f"verifier.checker.{path.stem}" for path in SOURCES if path.stem not in ("__init__", "__main__")]
    script = (
        f"import sys, {', '.join(modules)}\n"
        "tops = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(tops - set(sys.stdlib_module_names) - {'numpy', 'verifier', '__main__', '__mp_main__'}))\n"
        "print(sorted(n for n in sys.modules if n.startswith('verifier.') and not n.startswith('verifier.checker')))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=FOLDER.parents[1],
        env={"PYTHONPATH": str(numpy_home())},
    )
    assert done.stdout.split("\n")[:2] == ["[]", "[]"], done.stderr


def numpy_home() -> Path:
    import numpy

    return Path(numpy.__file__).resolve().parents[1]
