"""Runs instances as fresh processes and turns what they did into rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from bench.command import Answer, Command
from bench.instances import Instance
from bench.machine import installed, machine
from bench.process import Execution, Processes
from bench.results import Row, agreement

R = TypeVar("R")


@dataclass(frozen=True)
class Plan:
    """How every instance is run. ``allowed`` gives the seconds an instance gets; ``grace`` is added before the kill.

    ``certificates`` is a folder that keeps the certificates; without it they are thrown away after each run.
    """

    command: Command
    allowed: Callable[[Instance], float]
    grace: float = 5.0
    seed: int = 0
    certificates: Path | None = None

    def question(self, instance: Instance) -> tuple[str, ...]:
        """The ``Row.question`` that running this instance will answer."""
        allowed = f"{self.allowed(instance):g}"
        return (instance.benchmark, instance.model, instance.spec, allowed, self.command.text)


def run_all(tasks: Iterable[Callable[[Processes], R]], jobs: int) -> Generator[R, None, None]:
    """Results of the tasks, started in their order and yielded in the order in which they end, ``jobs`` at a time.

    When the consumer stops early (an interrupt included) every process still running is killed first.
    """
    processes = Processes()
    queue = iter(tasks)
    pool = ThreadPoolExecutor(jobs)
    pending: set[Future[R]] = {pool.submit(task, processes) for task in islice(queue, jobs)}
    try:
        while pending:
            ended, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending |= {pool.submit(task, processes) for task in islice(queue, len(ended))}
            for future in ended:
                yield future.result()
    finally:
        processes.stop()
        pool.shutdown()


def run_one(instance: Instance, plan: Plan, processes: Processes) -> Row:
    """Runs one instance in a fresh process. What goes wrong with it becomes a row whose verdict is ``error``."""
    benchmark, model, spec, allowed, text = plan.question(instance)
    with tempfile.TemporaryDirectory(prefix="certify-bench-") as scratch:
        files = {
            "model": str(instance.model_path),
            "spec": str(instance.spec_path),
            "timeout": allowed,
            "json": str(Path(scratch, "report.json")),
            "result": str(Path(scratch, "result.txt")),
            "certificate": str(_certificate_path(instance, plan.certificates or Path(scratch))),
        }
        run: Execution | None = None
        try:
            run = processes.run(plan.command.fill(files), float(allowed) + plan.grace)
            answer = plan.command.answer(run, files)
        except OSError as error:
            answer = Answer("error", f"cannot be run: {error}")
    own = installed() if plan.command.writes_json else {}
    versions = {**own, **(answer.versions or {})}
    return Row(
        benchmark=benchmark,
        model=model,
        spec=spec,
        verdict=answer.verdict,
        reason=answer.reason,
        expected=instance.expected,
        agrees=agreement(answer.verdict, instance.expected),
        seconds=f"{run.seconds:.3f}" if run else "",
        cpu_seconds=f"{run.cpu_seconds:.3f}" if run else "",
        check_seconds=answer.check_seconds,
        certificate_bytes=answer.certificate_bytes,
        certificate_checked=answer.certificate_checked,
        peak_memory_mb=f"{run.peak_memory_mb:.1f}" if run else "",
        exit_code=str(run.exit_code) if run else "",
        certify=versions.get("certify", ""),
        python=versions.get("python", ""),
        numpy=versions.get("numpy", ""),
        seed=str(plan.seed),
        machine=machine(),
        timeout=allowed,
        command=text,
    )


def _certificate_path(instance: Instance, folder: Path) -> Path:
    name = "__".join([instance.benchmark, *(each.replace("/", "_") for each in (instance.model, instance.spec))])
    return folder / f"{name}.nncert"
