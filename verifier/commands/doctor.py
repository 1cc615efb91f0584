"""``certify doctor``: what works on this machine, found out by trying it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from verifier.checking import checker_environment
from verifier.cli import THREADS
from verifier.commands.arguments import Parser
from verifier.exit_codes import CHECK_FAILED, OK
from verifier.processors import processors

PACKAGES = {
    "numpy": "everything",
    "onnxruntime": "replay of attacks in the model's own runtime",
    "scipy": "sparse layers",
    "pydantic": "spec.yaml",
    "ruamel.yaml": "spec.yaml",
    "jax": "compiled ascents in long searches",
    "highspy": "linear programs at the end of a search; the relaxations lp and milp",
    "cvxpy": "sums of squares",
    "clarabel": "sums of squares",
    "scs": "sums of squares that Clarabel does not solve",
    "z3-solver": "overseers known by axioms; second opinions of the relaxation smt",
    "cvc5": "optional: a second SMT solver, Alethe proofs",
    "torch": "optional: modules in memory",
    "matplotlib": "optional: the plot of certify frontier",
}
SELF_TEST = "from verifier.checker.selftest import self_test; self_test()"
TRY_COMPILER = "from verifier.engine.phases.compiler import try_out; try_out()"
FRESH = 60  # seconds after which a fresh process counts as hanging


def main(arguments: Sequence[str]) -> int:
    """0 when everything needed works, 6 when the checker's own test of the arithmetic fails."""
    parser = Parser(
        prog="certify doctor",
        description="Say what works on this machine: versions, processors, threads, the checker's test of itself.",
        epilog="Exit codes: 0 all that is needed works, 6 the checker does not pass its own test.",
        allow_abbrev=False,
    )
    parser.read(arguments)
    import verifier

    _line("certify", verifier.__version__)
    _line("python", f"{platform.python_version()} on {platform.platform()}, {platform.machine()}")
    _line("processors", f"{processors()} usable of {os.cpu_count()}")
    _line("threads", ", ".join(f"{name}={os.environ.get(name, 'unset')}" for name in THREADS))
    for package, use in PACKAGES.items():
        _line(package, f"{_version(package)} ({use})")
    _, seconds = _fresh("import numpy")
    bare = _fresh("pass")[1]
    _line("start-up", f"{bare:.2f} s for Python, {max(seconds - bare, 0.0):.2f} s more for NumPy")
    complaint, seconds = _fresh(TRY_COMPILER)
    _line("compiler", complaint or f"works, {seconds:.2f} s with start-up (long searches stay in NumPy without it)")
    _line("auto_LiRPA", _second_opinion())
    complaint, seconds = _fresh(SELF_TEST)
    _line("checker", complaint or f"passes its test of the arithmetic, {seconds:.2f} s with start-up")
    return CHECK_FAILED if complaint else OK


def _line(name: str, value: str) -> None:
    print(f"{name:<13} {value}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _second_opinion() -> str:
    """What the other library of bounds can do here; found in a fresh process, and only where it is installed."""
    from relaxations.peers.auto_lirpa import PeerError, installed
    from relaxations.peers.probe import probe

    if not installed():
        return "not installed (optional: a second opinion about bounds)"
    started = time.perf_counter()
    try:
        found = probe(FRESH)
    except PeerError as error:
        return f"FAILS: {error}"
    return f"{found.version} ({found.summary}; {time.perf_counter() - started:.2f} s with start-up)"


def _fresh(code: str) -> tuple[str, float]:
    """Complaint (empty: none) and seconds of code in a fresh process like the checker's."""
    started = time.perf_counter()
    command = [sys.executable, "-s", "-c", code]
    try:
        done = subprocess.run(
            command, env=checker_environment(), capture_output=True, text=True, check=False, timeout=FRESH
        )
    except subprocess.TimeoutExpired:
        return f"FAILS: no answer in {FRESH} s", float(FRESH)
    last = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
    return ("" if done.returncode == 0 else f"FAILS: {last}"), time.perf_counter() - started
