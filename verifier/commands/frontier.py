"""``certify frontier``: every relaxation on one question, side by side."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from specs.errors import CertifyError
from verifier.commands.arguments import Parser, assignment, at_least_one, names, natural, positive_seconds
from verifier.commands.run import model_and_spec
from verifier.commands.save import save_text
from verifier.commands.signals import stoppable
from verifier.exit_codes import OK
from verifier.interruption import Stopped
from verifier.places import check_writable, make_folder

if TYPE_CHECKING:
    from verifier.engine.frontier.rows import Frontier

CSV, PLOT = "frontier.csv", "frontier{}.svg"


def main(arguments: Sequence[str]) -> int:
    """0 with a table for each requirement; raises ``CertifyError`` for what cannot be read."""
    started = time.monotonic()
    options = _parser().read(arguments)
    model, spec = model_and_spec(options.files, "certify frontier")
    if options.json:
        check_writable(options.json, "JSON")
    methods = _known(options.methods)
    try:
        with stoppable(started + options.timeout), _folder(options.out) as folder:
            found = _measured(options, model, spec, methods, folder, started + options.timeout)
    except Stopped as stop:
        raise CertifyError(f"{stop.reason} while reading; give more than --timeout {options.timeout:g}") from None
    from verifier.report.frontier import csv_text, json_text, text

    print("\n\n".join(map(text, found)), flush=True)
    if options.json:
        save_text(json_text(found), options.json)
    if options.out:
        save_text(csv_text(found), options.out / CSV)
        _plot(found, options.out)
    return OK


def _measured(
    options: argparse.Namespace,
    model: Path | None,
    spec: Path,
    methods: tuple[str, ...],
    folder: Path,
    deadline: float,
) -> list[Frontier]:
    from verifier.answer import versions
    from verifier.engine.deadline import Deadline
    from verifier.engine.frontier.measure import Asked, measure
    from verifier.question import read_question

    question = read_question(model, spec, dict(options.set))
    chosen = [one for one in question.requirements if options.requirement in (None, one.id)]
    if not chosen:
        from specs.language.text.suggest import did_you_mean

        ids = [one.id for one in question.requirements]
        raise CertifyError(f"there is no requirement {options.requirement!r}{did_you_mean(options.requirement, ids)}")
    for one in chosen:
        if not one.stated.problem.cases:
            others = "name another with --requirement" if len(chosen) > 1 else "no relaxation is needed to show it"
            raise CertifyError(f"requirement {one.id}: {one.stated.vacuous}, so there is nothing to measure: {others}")
    found = []
    for number, one in enumerate(chosen):
        share = (deadline - time.monotonic()) / (len(chosen) - number)
        asked = Asked(one.stated.problem, question.model, question.query, one.id, one.claim, options.grid)
        found.append(measure(asked, methods, Deadline.after(share), folder, versions(), options.seed))
        if found[-1].stopped and number + 1 < len(chosen):
            left = ", ".join(one.id for one in chosen[number + 1 :])
            print(f"certify frontier: {found[-1].stopped}: nothing was measured of {left}", file=sys.stderr)
            break
    return found


def _plot(found: Sequence[Frontier], out: Path) -> None:
    """A picture for each requirement, or a line on standard error about what to install for it."""
    from relaxations.solvers import MissingSolver
    from verifier.report.frontier_plot import plot

    try:
        for one in found:
            plot(one, out / PLOT.format(f".{one.id}" if len(found) > 1 else ""))
    except MissingSolver as error:
        print(f"certify frontier: no plot: {error}", file=sys.stderr)


def _known(methods: tuple[str, ...]) -> tuple[str, ...]:
    """The relaxations to run, all if none are named; raises ``CertifyError`` for unknown ones."""
    from relaxations.registry import relaxations

    known = relaxations.names()
    wrong = [name for name in methods if name not in known]
    if wrong:
        from specs.language.text.suggest import did_you_mean

        raise CertifyError("; ".join(f"unknown relaxation {name!r}{did_you_mean(name, known)}" for name in wrong))
    return tuple(dict.fromkeys(methods)) or known


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Where certificates go: the folder asked for, else one that does not last."""
    if out is not None:
        yield make_folder(out)
        return
    with tempfile.TemporaryDirectory(prefix="certify-") as folder:
        yield Path(folder)


def _steps(text: str) -> int:
    count = at_least_one(text)
    if count < 2:
        raise argparse.ArgumentTypeError("a grid has at least 2 values of each input: its ends")
    return count


def _parser() -> Parser:
    parser = Parser(
        prog="certify frontier",
        usage="certify frontier MODEL SPEC [options]",
        description="Run every relaxation on a question and compare: how far its bound is from the best attack, and "
        "what the certificate, the search for it, its check and the way from a relaxed action to a real input cost.",
        epilog="Scores are the adversary's: a bound below 0 proves the property, an input of 0 or more breaks it. "
        "Exit codes: 0 measured, 2 something could not be read.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="MODEL SPEC", help="as for certify MODEL SPEC")
    add("--requirement", metavar="ID", help="this requirement only")
    add("--methods", type=names, default=(), metavar="A,B", help="relaxations to run (default: all that are known)")
    add("--grid", type=_steps, metavar="K", help="ask about K values of each input only, which can be enumerated")
    add("--timeout", type=positive_seconds, default=60.0, metavar="S", help="seconds for everything (default 60)")
    add("--out", type=Path, metavar="DIR", help=f"folder for {CSV}, a plot and the certificates")
    add("--json", type=Path, metavar="FILE", help="write everything as JSON")
    add("--set", type=assignment, action="append", default=[], metavar="K=V", help="a parameter of the specification")
    add("--seed", type=natural, default=0, metavar="N", help="seed of the attack and of rounding (default 0)")
    return parser
