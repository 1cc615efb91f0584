"""What the forms of ``certify bench`` say alike on the command line."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.exit_codes import USAGE
from bench.instances import Instance, find_instances
from specs.errors import CertifyError


def answered(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int], argv: Sequence[str] | None
) -> int:
    """What ``run`` returns for the options read; 2 with one message when they, or what they name, cannot be read."""
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    try:
        return run(options)
    except CertifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE


def add_instances(parser: argparse.ArgumentParser) -> None:
    """Which instances, and how long each of them may take: see ``selected`` and ``allowed``."""
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="a folder with an instances.csv, or a folder of such folders")
    time = parser.add_mutually_exclusive_group()
    time.add_argument("--timeout", type=positive, metavar="S", help="seconds for every instance (default: as listed)")
    time.add_argument("--timeout-scale", type=positive, default=1.0, metavar="F", help="multiply the listed seconds")
    add("--grace", type=positive, default=5.0, metavar="S", help="seconds beyond the timeout before the kill (5)")
    add("--limit-benchmarks", metavar="A,B", help="only the benchmarks of these names")
    add("--instances", metavar="REGEX", help="only instances whose 'benchmark model spec' matches")


def add_results(parser: argparse.ArgumentParser, default: str) -> None:
    """Where the rows go, and what is passed on to ``certify``."""
    add = parser.add_argument
    add("--workers", type=count, metavar="N", help="passed on to certify")
    add("--seed", type=int, default=0, metavar="N", help="passed on to certify (default 0)")
    add("--out", type=Path, default=Path(default), metavar="FILE", help=f"results file (default {default})")
    add("--resume", action="store_true", help="continue FILE: skip what it has for this timeout and command")
    add("-q", "--quiet", action="store_true", help="print the summary only")


def selected(options: argparse.Namespace) -> list[Instance]:
    """The instances that the options of ``add_instances`` pick; raises ``SpecError``."""
    names = [name.strip() for name in options.limit_benchmarks.split(",")] if options.limit_benchmarks else None
    return find_instances(options.folder, names, options.instances)


def allowed(options: argparse.Namespace) -> Callable[[Instance], float]:
    """The seconds an instance gets."""
    return lambda instance: options.timeout or instance.timeout * options.timeout_scale


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be positive and finite, got {text}")
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value
