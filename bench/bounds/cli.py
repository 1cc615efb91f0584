"""``certify bench bounds``: for each instance of a benchmark, which relaxations prove it by their bound alone."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.arguments import answered, positive
from bench.exit_codes import INTERRUPTED, OK
from bench.instances import Instance, find_instances
from bench.recording import record
from bench.results import Results, Row, read_rows
from bench.table import align
from relaxations.registry import relaxations
from specs.errors import SpecError
from verifier.cli import THREADS

if TYPE_CHECKING:
    from bench.bounds.chain import Bounded, Chain

DEFAULT = "crown,alpha-crown,lp,sdp"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 usage or unreadable input; 130 interrupted (the rows so far are kept)."""
    for name in THREADS:  # read when NumPy loads: two BLAS threads slow small steps down many times
        os.environ.setdefault(name, "1")
    return answered(_parser(), _run, argv)


def _run(options: argparse.Namespace) -> int:
    from bench.bounds.chain import Bounded, Chain

    names = tuple(name.strip() for name in options.relaxations.split(","))
    wrong = [name for name in names if name not in relaxations.names()]
    if wrong:
        raise SpecError(f"no relaxation named {', '.join(wrong)}; there are: {', '.join(relaxations.names())}")
    if len(set(names)) < len(names):
        raise SpecError(f"a relaxation is listed twice in {options.relaxations!r}")
    instances = find_instances(options.folder, None, options.instances)
    violated = _violated(options.not_violated, instances) if options.not_violated else set()
    chain = Chain(names, options.timeout)
    asked = {chain.question(instance, name) for instance in instances for name in names}
    with Results(options.out, options.resume, Bounded) as results:
        done = asked & {row.question for row in results.rows}
        new = _new(chain, instances, violated, done)
        whole = record(new, results, len(asked) - len(done), options.quiet)
        rows = [row for row in results.rows if row.question in asked]
    print(f"\n{_summary(rows, names)}\n\n{len(rows)} row(s) in {options.out}")
    if not whole:
        print("interrupted: the same command with --resume continues")
        return INTERRUPTED
    return OK


def _new(
    chain: Chain, instances: Sequence[Instance], violated: set[tuple[str, str]], done: set[tuple[str, ...]]
) -> Generator[Bounded, None, None]:
    """The rows that are not done yet."""
    from bench.bounds.chain import VIOLATED

    for each in instances:
        if all(chain.question(each, name) in done for name in chain.names):
            continue
        known = (each.model, each.spec) in violated
        rows = (chain.row(each, name, VIOLATED) for name in chain.names) if known else chain.run(each)
        yield from (row for row in rows if row.question not in done)


def _violated(path: Path, instances: Sequence[Instance]) -> set[tuple[str, str]]:
    """Model and specification of the instances with a counterexample in a results file of ``certify bench``."""
    found = {(row.model, row.spec) for row in read_rows(path, Row) if row.verdict == "violated"}
    strangers = found - {(instance.model, instance.spec) for instance in instances}
    if found and strangers == found:
        raise SpecError("none of its violated instances is among those of the benchmark", path)
    return found


def _summary(rows: Sequence[Bounded], names: Sequence[str]) -> str:
    """One line for each relaxation; seconds are those of the instances it was asked about."""
    verdicts = ("proved", "open", "violated", "error")
    lines: list[tuple[str, ...]] = [("relaxation", "instances", *verdicts, "median s", "max s")]
    for name in names:
        mine = [row for row in rows if row.relaxation == name]
        seconds = [float(row.seconds) for row in mine if row.value]
        times = [f"{f(seconds):.2f}" if seconds else "-" for f in (median, max)]
        counts = [str(sum(row.verdict == verdict for row in mine)) for verdict in verdicts]
        lines.append((name, str(len(mine)), *counts, *times))
    return "\n".join(align(lines))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certify bench bounds",
        description="For each instance: do the bounds of a relaxation prove it, without any search? A relaxation is "
        "asked about the cases that those listed before it leave open, the worst first, and ends at the first it does "
        "not prove.",
        epilog="Exit codes: 0 done, 2 usage or unreadable input, 130 interrupted. Bounds are computed in float64 and "
        "not checked here: only certify itself says certified.",
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="a folder with an instances.csv, or a folder of such folders")
    add("--relaxations", default=DEFAULT, metavar="A,B", help=f"the loosest first (default {DEFAULT})")
    add("--timeout", type=positive, default=60.0, metavar="S", help="seconds of a relaxation on an instance (60)")
    add("--instances", metavar="REGEX", help="only instances whose 'benchmark model spec' matches")
    add("--not-violated", type=Path, metavar="FILE", help="results of certify bench: leave out what is violated there")
    add("--out", type=Path, default=Path("bounds.csv"), metavar="FILE", help="results file (default bounds.csv)")
    add("--resume", action="store_true", help="continue FILE: skip what it has for these relaxations and seconds")
    add("-q", "--quiet", action="store_true", help="print the summary only")
    return parser


if __name__ == "__main__":
    sys.exit(main())
