"""Proving jobs in forked children of this process, which inherit the checker as it stands; results come by pipe."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection

from verifier.checker.check import AnyJob, Checker, Words
from verifier.checker.errors import CheckError
from verifier.checker.tree import Outcome

Streams = list[Words]
WORTH_FORKING = 200  # words; below that a fork costs more than it saves


def prove_all(checker: Checker, jobs: list[AnyJob], streams: Streams, workers: int) -> list[Outcome]:
    """Outcomes in the order of the jobs. Runs here, alone, where forking is not possible or not worth it."""
    if workers < 2 or len(jobs) < 2 or sum(map(len, streams)) < WORTH_FORKING or not _can_fork():
        return [checker.prove(job, stream) for job, stream in zip(jobs, streams, strict=True)]
    shares: list[list[int]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    work = [job.share * len(stream) for job, stream in zip(jobs, streams, strict=True)]
    for i in sorted(range(len(jobs)), key=lambda i: -work[i]):
        lightest = loads.index(min(loads))
        shares[lightest].append(i)
        loads[lightest] += work[i]
    context = multiprocessing.get_context("fork")
    children = []
    try:
        for share in shares[1:]:
            here, there = context.Pipe(duplex=False)
            child = context.Process(target=_work, args=(checker, jobs, streams, share, there), daemon=True)
            child.start()
            there.close()
            children.append((child, here, share))
    except OSError as error:
        raise CheckError(f"cannot start {workers} processes ({error.strerror}); try fewer --workers") from None
    outcomes: dict[int, Outcome] = {}
    for i in shares[0]:
        outcomes[i] = checker.prove(jobs[i], streams[i])
    for child, here, share in children:
        try:
            answers = here.recv()
        except (EOFError, OSError):
            raise CheckError("a checking process died") from None
        child.join()
        if isinstance(answers, CheckError):
            raise answers
        outcomes.update(zip(share, answers, strict=True))
    return [outcomes[i] for i in range(len(jobs))]


def _work(checker: Checker, jobs: list[AnyJob], streams: Streams, share: list[int], answer: Connection) -> None:
    try:
        answer.send([checker.prove(jobs[i], streams[i]) for i in share])
    except CheckError as error:
        answer.send(error)
    except MemoryError:
        answer.send(CheckError("there is not enough memory for this check"))
    answer.close()


def _can_fork() -> bool:
    return "fork" in multiprocessing.get_all_start_methods()
