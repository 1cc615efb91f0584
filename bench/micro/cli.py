"""``certify bench micro``: how fast the parts of a search are on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from bench.arguments import answered, count, positive
from bench.exit_codes import INTERRUPTED, OK
from bench.micro.budget import Budget
from specs.errors import SpecError, UnsupportedOpError
from verifier.cli import THREADS
from verifier.places import check_writable

if TYPE_CHECKING:
    from bench.micro.timing import Measurement

BENCHMARKS = ("bounds", "alpha", "search")  # each a module here with a function measure


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 usage; 130 interrupted (what was measured is printed and written)."""
    for name in THREADS:  # read when NumPy loads: two BLAS threads slow small steps down many times
        os.environ.setdefault(name, "1")
    return answered(_parser(), _run, argv)


def _run(options: argparse.Namespace) -> int:
    from bench.micro.networks import NETWORKS
    from bench.micro.report import csv_text, json_text, table

    benchmarks, networks = _known(options.only, BENCHMARKS, "benchmark"), _known(options.networks, NETWORKS, "network")
    files = [(path, text) for path, text in ((options.json, json_text), (options.csv, csv_text)) if path]
    for path, _ in files:
        check_writable(path, "results")
    budget = Budget(options.seconds, options.search_seconds, options.searches)
    measurements: list[Measurement] = []
    code = OK
    try:
        for measurement in _measure(benchmarks, networks, budget, options.quiet):
            measurements.append(measurement)
    except KeyboardInterrupt:
        code = INTERRUPTED
    print(table(measurements))
    for path, text in files:
        path.write_text(text(measurements), encoding="utf-8")
    return code


def _measure(benchmarks: Sequence[str], networks: Sequence[str], budget: Budget, quiet: bool) -> Iterator[Measurement]:
    from bench.micro.questions import question
    from bench.micro.timing import unmeasured

    for network in networks:
        asked = question(network)
        for benchmark in benchmarks:
            if not quiet:
                print(f"{benchmark} on {network} ...", file=sys.stderr, flush=True)
            try:
                yield from import_module(f"bench.micro.{benchmark}").measure(asked, budget)
            except UnsupportedOpError as error:
                yield unmeasured(benchmark, network, str(error))


def _known(text: str | None, known: Iterable[str], what: str) -> list[str]:
    """The names listed, or all; ``SpecError`` with every one that is not known."""
    names = [name.strip() for name in text.split(",")] if text is not None else list(known)
    wrong = [name for name in names if name not in known]
    if wrong:
        raise SpecError(f"no {what} named {', '.join(wrong)}; there are: {', '.join(known)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certify bench micro",
        description="Measure the parts of a search in this process, on networks made from fixed seeds: one bound pass "
        "(bounds), one step of dual ascent (alpha), and whole searches (search).",
        epilog="Exit codes: 0 done, 2 usage, 130 interrupted.",
    )
    add, default = parser.add_argument, Budget()
    add("--only", metavar="A,B", help=f"only these benchmarks, of {', '.join(BENCHMARKS)}")
    add("--networks", metavar="A,B", help="only these networks")
    add(
        "--seconds",
        type=positive,
        default=default.call_seconds,
        metavar="S",
        help=f"for repeating one call ({default.call_seconds:g})",
    )
    add(
        "--search-seconds",
        type=positive,
        default=default.search_seconds,
        metavar="S",
        help=f"time limit of one search ({default.search_seconds:g})",
    )
    add(
        "--searches",
        type=count,
        default=default.searches,
        metavar="N",
        help=f"searches for each network, with different seeds ({default.searches})",
    )
    add("--json", type=Path, metavar="FILE", help="write the measurements, versions and machine as JSON")
    add("--csv", type=Path, metavar="FILE", help="write the measurements as CSV")
    add("-q", "--quiet", action="store_true", help="print the table only")
    return parser
