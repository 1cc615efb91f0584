"""``certify bench``: run a benchmark folder, write one row per instance, compare with the known answers."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.command import Command
from bench.instances import find_instances
from bench.recording import record
from bench.results import Results, Row
from bench.runner import Plan, run_all, run_one
from bench.table import summary
from specs.errors import CertifyError

USAGE, WRONG, CONTRADICTION, INTERRUPTED = 2, 4, 70, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 usage or unreadable input; 4 a verdict contradicts a known answer; 70 certify contradicted
    itself; 130 interrupted (the rows so far are kept, ``--resume`` goes on)."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    try:
        return _run(options)
    except CertifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE


def _run(options: argparse.Namespace) -> int:
    names = [name.strip() for name in options.limit_benchmarks.split(",")] if options.limit_benchmarks else None
    instances = find_instances(options.folder, names, options.instances)
    command = Command.template(options.command) if options.command else Command.certify(options.seed, options.workers)
    if options.certificates:
        options.certificates.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        command=command,
        allowed=lambda instance: options.timeout or instance.timeout * options.timeout_scale,
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
    return CONTRADICTION if any(row.contradicted_itself for row in rows) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certify bench",
        description="Run every instance of a benchmark in a fresh process and compare with the known answers.",
        epilog="Exit codes: 0 done, 2 usage or unreadable input, 4 a verdict contradicts a known answer, "
        "70 certify contradicted itself, 130 interrupted.",
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="a folder with an instances.csv, or a folder of such folders")
    time = parser.add_mutually_exclusive_group()
    time.add_argument("--timeout", type=_positive, metavar="S", help="seconds for every instance (default: as listed)")
    time.add_argument("--timeout-scale", type=_positive, default=1.0, metavar="F", help="multiply the listed seconds")
    add("--grace", type=_positive, default=5.0, metavar="S", help="seconds beyond the timeout before the kill (5)")
    add("--limit-benchmarks", metavar="A,B", help="only the benchmarks of these names")
    add("--instances", metavar="REGEX", help="only instances whose 'benchmark model spec' matches")
    add("--jobs", type=_count, default=1, metavar="N", help="instances at a time (1; more disturb the timings)")
    add("--workers", type=_count, metavar="N", help="passed on to certify")
    add("--seed", type=int, default=0, metavar="N", help="passed on to certify (default 0)")
    add("--out", type=Path, default=Path("results.csv"), metavar="FILE", help="results file (default results.csv)")
    add("--resume", action="store_true", help="continue FILE: skip what it has for this timeout and command")
    add("--certificates", type=Path, metavar="DIR", help="keep the certificates here (default: discard them)")
    add(
        "--command",
        metavar="TEMPLATE",
        help="another tool, e.g. 'solver {model} {spec} {timeout}': its verdict is the first of the words sat, unsat, "
        "unknown in the file {result} if it writes one, else in what it prints; with {json}, a report like certify's",
    )
    add("-q", "--quiet", action="store_true", help="print the summary only")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be positive and finite, got {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())
