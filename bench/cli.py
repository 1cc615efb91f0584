"""``certify bench``: run a benchmark folder, write one row per instance, compare with the known answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

from bench.arguments import add_instances, add_results, allowed, answered, count, selected
from bench.command import Command
from bench.exit_codes import CONTRADICTION, INTERRUPTED, OK, WRONG
from bench.recording import record
from bench.results import Results, Row
from bench.runner import Plan, run_all, run_one
from bench.table import summary

FORMS = ("bounds", "compare", "curve", "images", "micro")  # each a package here with a cli of its own


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 usage or unreadable input; 4 a verdict contradicts a known answer; 70 certify contradicted
    itself; 130 interrupted (the rows so far are kept, ``--resume`` goes on)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in FORMS:
        return int(import_module(f"bench.{arguments[0]}.cli").main(arguments[1:]))
    return answered(_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> int:
    instances = selected(options)
    command = Command.template(options.command) if options.command else Command.certify(options.seed, options.workers)
    if options.certificates:
        options.certificates.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        command=command,
        allowed=allowed(options),
        grace=options.grace,
        seed=options.seed,
        certificates=options.certificates,
    )
    with Results(options.out, options.resume, Row) as results:
        asked = {plan.question(instance) for instance in instances}
        done = {row.question for row in results.rows} & asked
        todo = [instance for instance in instances if plan.question(instance) not in done]
        if done:
            print(f"{len(done)} of {len(asked)} already in {options.out}")
        runs = run_all([partial(run_one, instance, plan) for instance in todo], options.jobs)
        interrupted = not record(runs, results, len(todo), options.quiet)
        rows = [row for row in results.rows if row.question in asked]
    print(f"\n{summary(rows)}\n\n{len(rows)} row(s) in {options.out}")
    if interrupted:
        print(f"interrupted with {len(instances) - len(rows)} to go: the same command with --resume continues")
        return INTERRUPTED
    if any(row.wrong for row in rows):
        return WRONG
    return CONTRADICTION if any(row.contradicted_itself for row in rows) else OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certify bench",
        usage="certify bench FOLDER [options]\n"
        "       certify bench bounds FOLDER [options]\n"
        "       certify bench compare FOLDER --b TEMPLATE [options]\n"
        "       certify bench curve PLOT RADIUS=RESULTS.csv ... [options]\n"
        "       certify bench images MODEL.onnx DATA.npz FOLDER --eps E [options]\n"
        "       certify bench micro [options]",
        description="Run every instance of a benchmark in a fresh process and compare with the known answers.",
        epilog="Exit codes: 0 done, 2 usage or unreadable input, 4 a verdict contradicts a known answer, "
        "70 certify contradicted itself, 130 interrupted. A folder called bounds, compare, curve, images or "
        "micro is ./bounds, ./compare, ./curve, ./images or ./micro here.",
    )
    add = parser.add_argument
    add_instances(parser)
    add("--jobs", type=count, default=1, metavar="N", help="instances at a time (1; more disturb the timings)")
    add_results(parser, "results.csv")
    add("--certificates", type=Path, metavar="DIR", help="keep the certificates here (default: discard them)")
    add(
        "--command",
        metavar="TEMPLATE",
        help="another tool, e.g. 'solver {model} {spec} {timeout}': its verdict is the first of the words sat, unsat, "
        "unknown in the file {result} if it writes one, else in what it prints; with {json}, a report like certify's",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
