"""``certify bench compare``: two commands on the same instances, and what tells them apart."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.arguments import add_instances, add_results, allowed, answered, selected
from bench.command import Command
from bench.compare.side import SIDES, Side, pairs
from bench.compare.turns import turns
from bench.exit_codes import CONTRADICTION, INTERRUPTED, OK, WRONG
from bench.recording import record
from bench.results import Results
from bench.runner import Plan, run_all


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 usage or unreadable input; 70 the commands contradict each other, or certify itself; 4 a verdict
    contradicts a known answer; 130 interrupted (the rows so far are kept, ``--resume`` goes on)."""
    return answered(_parser(), _run, argv)


def _run(options: argparse.Namespace) -> int:
    instances = selected(options)
    own = Command.certify(options.seed, options.workers)
    commands = {
        "a": Command.template(options.a, "--a") if options.a is not None else own,
        "b": Command.template(options.b, "--b"),
    }
    plans = {side: Plan(commands[side], allowed(options), options.grace, options.seed) for side in SIDES}
    tasks = turns(instances, plans)
    with Results(options.out, options.resume, Side) as results:
        done = {row.question for row in results.rows} & tasks.keys()
        todo = [task for question, task in tasks.items() if question not in done]
        if done:
            print(f"{len(done)} of {len(tasks)} already in {options.out}")
        interrupted = not record(run_all(todo, jobs=1), results, len(todo), options.quiet)
        rows = [row for row in results.rows if row.question in tasks]
    # Only now, because it loads NumPy: the memory of a program measured starts out with that of the one measuring.
    from bench.compare.summary import summary

    found = pairs(rows)
    legend = "\n".join(f"{side}: {commands[side].text}" for side in SIDES)
    print(f"\n{legend}\n\n{summary(found)}\n\n{len(rows)} row(s) in {options.out}")
    if interrupted:
        print(f"interrupted with {len(tasks) - len(rows)} to go: the same command with --resume continues")
        return INTERRUPTED
    if any(pair.contradictory for pair in found) or any(row.contradicted_itself for row in rows):
        return CONTRADICTION
    return WRONG if any(row.wrong for row in rows) else OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certify bench compare",
        description="Run two commands on every instance of a benchmark, one after the other and each in a fresh "
        "process; who comes first alternates.",
        epilog="Exit codes: 0 done, 2 usage or unreadable input, 4 a verdict contradicts a known answer, "
        "70 the commands contradict each other or certify contradicted itself, 130 interrupted.",
    )
    add = parser.add_argument
    add_instances(parser)
    words = "with {model}, {spec}, {timeout}, and {result} or {json}, as for certify bench --command"
    add("--a", metavar="TEMPLATE", help=f"a command {words} (default: this certify)")
    add("--b", metavar="TEMPLATE", required=True, help="the command to compare it with")
    add_results(parser, "comparison.csv")
    return parser
