"""Who runs when: side by side in time, never at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from bench.compare.side import SIDES, Side
from bench.instances import Instance
from bench.process import Processes
from bench.runner import Plan, run_one

Question = tuple[str, ...]


def turns(instances: Sequence[Instance], plans: Mapping[str, Plan]) -> dict[Question, Callable[[Processes], Side]]:
    """The runs of both sides in order, each under the ``question`` its row will have.

    The two runs of an instance follow each other, and who comes first alternates from one instance to the next: a
    change of the machine's load meets both sides alike, and neither always finds the files in the cache.
    """
    tasks: dict[Question, Callable[[Processes], Side]] = {}
    for number, instance in enumerate(instances):
        for turn, side in enumerate(SIDES if number % 2 == 0 else reversed(SIDES), start=1):
            question = (*plans[side].question(instance), side)
            tasks[question] = partial(_run, instance, plans[side], side, str(turn))
    return tasks


def _run(instance: Instance, plan: Plan, side: str, turn: str, processes: Processes) -> Side:
    return Side(**vars(run_one(instance, plan, processes)), side=side, turn=turn)
