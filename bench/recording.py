"""Rows go to the results file as they come, until they are all there or somebody interrupts."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import closing

from bench.results import R, Results, Row


def record(runs: Generator[R, None, None], results: Results[R], total: int, quiet: bool) -> bool:
    """Whether all ``total`` runs were recorded; False when interrupted by Ctrl-C or a termination request.

    Either way the generator is closed, which ends the processes it still runs. Unless ``quiet``, each row is printed.
    """
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with closing(runs):
            for number, row in enumerate(runs, start=1):
                results.append(row)
                if not quiet:
                    print(f"[{number}/{total}] {progress(row)}", flush=True)
    except KeyboardInterrupt:
        return False
    finally:
        signal.signal(signal.SIGTERM, previous)
    return True


def progress(row: Row) -> str:
    """One line about a run."""
    remark = f"  WRONG, expected {row.expected}" if row.wrong else f"  ({row.reason})" if row.reason else ""
    return f"{row.verdict:9} {row.seconds:>8} s  {row.title}{remark}"
