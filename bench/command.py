"""The program under test: how it is called, and how its answer is read."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.process import Execution
from bench.results import CONTRADICTED_ITSELF
from specs.errors import SpecError

PLACEHOLDERS = ("model", "spec", "timeout", "result", "json", "certificate")
_EXIT = {0: "certified", 1: "violated", 3: "unknown"}
_WORD = {"unsat": "certified", "sat": "violated", "unknown": "unknown"}
_START = "import sys; from verifier.cli import main; sys.exit(main())"  # what the installed script does


@dataclass(frozen=True)
class Answer:
    """``verdict`` is ``certified``, ``violated``, ``unknown``, ``error`` or ``killed``; unknown numbers are empty."""

    verdict: str
    reason: str = ""
    check_seconds: str = ""
    certificate_bytes: str = ""
    certificate_checked: str = ""
    versions: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Command:
    """A command line with ``{placeholders}``, and the name under which results record it."""

    argv: tuple[str, ...]
    text: str

    @staticmethod
    def certify(seed: int, workers: int | None) -> Command:
        """This installation's ``certify``, run by this Python."""
        options = ["--seed", str(seed)] + (["--workers", str(workers)] if workers is not None else [])
        call = ["{model}", "{spec}", "--timeout", "{timeout}", "--json", "{json}", "--certificate", "{certificate}"]
        return Command((sys.executable, "-c", _START, *call, *options), shlex.join(["certify", *call, *options]))

    @staticmethod
    def template(text: str, option: str = "--command") -> Command:
        """Any other tool, given as ``option``. Raises ``SpecError`` unless it says where model and specification go."""
        try:
            argv = tuple(shlex.split(text))
        except ValueError as error:
            raise SpecError(f"{option} {text!r} cannot be split into words: {error}") from error
        used = set(re.findall(r"{(\w+)}", text))
        absent = [f"{{{name}}}" for name in ("model", "spec") if name not in used]
        unknown = [f"{{{name}}}" for name in sorted(used - set(PLACEHOLDERS))]
        if absent or unknown:
            faults = (("lacks", absent), ("has unknown", unknown))
            problems = [f"{what} {', '.join(names)}" for what, names in faults if names]
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise SpecError(f"{option} {text!r} {' and '.join(problems)}; it may use {known}")
        return Command(argv, text)

    @property
    def writes_json(self) -> bool:
        return any("{json}" in word for word in self.argv)

    def fill(self, values: Mapping[str, str]) -> list[str]:
        """The command line with every placeholder replaced; each stays within its own word."""
        return [re.sub(r"{(\w+)}", lambda m: values.get(m[1], m[0]), word) for word in self.argv]

    def answer(self, run: Execution, files: Mapping[str, str]) -> Answer:
        """What the run said. A report that is missing or contradicts the exit code is an ``error``, never a verdict."""
        if run.killed:
            return Answer("killed", "overstayed its timeout and the grace period")
        if self.writes_json:
            return _from_report(run, Path(files["json"]))
        result = Path(files["result"])
        return _from_words(result.read_text(errors="replace") if result.is_file() else run.stdout, run)


def _from_report(run: Execution, file: Path) -> Answer:
    if run.exit_code == CONTRADICTED_ITSELF:
        return Answer("error", f"contradicted itself: {_last_line(run)}")
    if run.exit_code not in _EXIT:
        return Answer("error", f"exit code {run.exit_code}: {_last_line(run)}")
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        verdict = report["verdict"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Answer("error", f"no readable JSON report ({type(error).__name__}: {error}): {_last_line(run)}")
    if verdict != _EXIT[run.exit_code]:
        return Answer("error", f"the report says {verdict!r} but exit code {run.exit_code} says {_EXIT[run.exit_code]}")
    certificate = _mapping(report.get("certificate"))
    accepted = "yes" if certificate.get("checked") is True else "no"
    return Answer(
        verdict=verdict,
        reason=" ".join(str(report.get("reason") or "").split()),
        check_seconds=_number(certificate.get("check_seconds")),
        certificate_bytes=_number(certificate.get("bytes")),
        certificate_checked=accepted if verdict == "certified" else "",
        versions={str(k): str(v) for k, v in _mapping(report.get("versions")).items()},
    )


def _from_words(text: str, run: Execution) -> Answer:
    """The first of the words sat, unsat and unknown, as the competition's result files and solvers print it."""
    found = re.search(r"\b(sat|unsat|unknown)\b", text, re.IGNORECASE)
    if found is None:
        return Answer("error", f"no sat, unsat or unknown in the output (exit code {run.exit_code}): {_last_line(run)}")
    return Answer(_WORD[found[1].lower()])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value) if isinstance(value, int) else ""


def _last_line(run: Execution) -> str:
    """The last thing it said, which is where programs put their reason."""
    lines = (run.stderr.strip() or run.stdout.strip()).splitlines()
    return " ".join(lines[-1].split())[:300] if lines else "it printed nothing"
