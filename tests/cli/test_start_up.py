"""What is loaded, seen from outside: a small question pays for NumPy and our own code, the checker for less."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.cli.conftest import environment

HEAVY = (
    *("jax", "onnx", "onnxruntime", "typer", "click", "rich", "pydantic", "ruamel", "scipy", "torch"),
    *("clarabel", "cvxpy", "highspy", "scs", "z3"),
    "importlib.metadata",
)


def loaded(stderr: str) -> set[str]:
    """Names of modules in the output of ``python -X importtime``."""
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", stderr, re.MULTILINE)
    assert "numpy" in names
    return set(names)


def within(modules: set[str], packages: tuple[str, ...]) -> list[str]:
    return sorted(m for m in modules if any(m == p or m.startswith(p + ".") for p in packages))


def test_a_small_question_loads_nothing_heavy(cli, absolute, holds):
    done = cli(absolute, holds, python=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    assert within(loaded(done.stderr), HEAVY) == []


@pytest.mark.parametrize(("method", "solvers"), [("smt", {"highspy"}), ("lp", {"highspy", "scipy"}), ("bab", set())])
def test_a_method_loads_its_own_solver_and_no_other(cli, absolute, holds, method, solvers):
    for solver in solvers:
        pytest.importorskip(solver)
    done = cli(absolute, holds, "--methods", method, python=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    found = {name.partition(".")[0] for name in within(loaded(done.stderr), HEAVY)}
    assert found - {"importlib"} == solvers


def test_an_attack_loads_the_runtime_and_nothing_else(cli, absolute, fails):
    pytest.importorskip("onnxruntime")
    done = cli(absolute, fails, python=("-X", "importtime"))
    assert done.returncode == 1, done.stderr
    found = within(loaded(done.stderr), HEAVY)
    assert "onnxruntime" in found
    assert within(set(found), tuple(name for name in HEAVY if name not in ("onnxruntime", "importlib.metadata"))) == []


def test_the_checker_loads_numpy_and_itself(cli, absolute, holds, tmp_path):
    assert cli(absolute, holds, "--certificate", "p.nncert").returncode == 0
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-s", "-m", "verifier.checker", "p.nncert"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    modules = loaded(done.stderr)
    assert within(modules, (*HEAVY, "specs", "relaxations", "bench")) == []
    ours = within(modules, ("verifier",))
    assert [
        m for m in ours if m not in ("verifier", "verifier.checker") and not m.startswith("verifier.checker.")
    ] == []


def test_importing_the_package_loads_none_of_it():
    code = "import sys, verifier; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment(), capture_output=True, text=True, check=True, timeout=60
    )
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert sorted(tops - set(sys.stdlib_module_names) - {"__main__"}) == ["verifier"]
    assert not [name for name in done.stdout.split() if name.startswith("verifier.")]
