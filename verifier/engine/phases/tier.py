"""Where ascents run: in NumPy at first, in programs compiled by JAX where these have proved faster.

JAX is imported and compiles in a thread of its own, once a shape of batch has taken so long in NumPy that it may pay.
Each program is first tried against NumPy on the same batches, and used only for batches on which it has been faster.
Whatever fails there leaves the search in NumPy.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from relaxations.bounds import ascent
from relaxations.bounds.ascent import Rates
from relaxations.bounds.dual import Duals, Frame, Lines
from relaxations.network import Layer, ReluNetwork

if TYPE_CHECKING:
    from relaxations.bounds.compiled import Program
    from verifier.engine.phases.compiler import Compiler

DEVICES = ("auto", "cpu", "gpu")
WORTH_COMPILING = 3.0  # times of compiling, spent in NumPy on one shape: programs save about a third of what follows
FIRST_GUESS = 1.5  # seconds to compile one; about 0.3 where it has been kept from an earlier search
TRIALS = 3  # batches computed both ways


@dataclass(frozen=True)
class Place:
    """Which device, and the process in which the search began; where that process ``forks``, it loads no JAX."""

    device: str
    forks: bool
    began: int


def tier(device: str = "auto", forks: bool = True) -> Tier:
    """This process's tier. With ``forks`` it stays in NumPy here, and compiles in the processes it is sent to.

    JAX starts threads, and a process that has threads must not be forked.
    """
    return _here(Place(device, forks, os.getpid()), os.getpid())


@cache
def _here(place: Place, process: int) -> Tier:
    """One tier for a process: what it has compiled outlives the parts of searches that are sent there.

    A process that was forked from one with JAX in it must not use it.
    """
    began = process == place.began
    return Tier(place, compiles=not place.forks if began else "jax" not in sys.modules)


def _received(place: Place) -> Tier:
    """What a tier becomes when it is unpickled."""
    return _here(place, os.getpid())


@dataclass
class Shape:
    """What is known about one shape of batch: seconds spent in NumPy, its program, and seconds per row of both."""

    spent: float = 0.0
    asked: bool = False
    program: Program | None = None
    plain: list[float] = field(default_factory=list)
    compiled: list[float] = field(default_factory=list)

    @property
    def tried(self) -> bool:
        return len(self.compiled) >= TRIALS

    def faster(self, rows: int, padded: int) -> bool:
        """Whether the program takes less time for that many rows, padded ones included."""
        return min(self.compiled) * padded < min(self.plain) * rows


@dataclass
class Part:
    """A network up to one target, as it was given, its outline, and where the programs read it."""

    network: ReluNetwork
    target: Layer
    short: ReluNetwork
    outline: Hashable
    placed: ReluNetwork | None = None


class Tier:
    """Runs ascents. ``failure`` says why nothing is compiled any more, "" while all is well."""

    def __init__(self, place: Place, compiles: bool) -> None:
        self.place, self.compiles, self.failure = place, compiles, ""
        self.shapes: dict[Hashable, Shape] = {}
        self.parts: dict[tuple[int, int], Part] = {}
        self.compiler: Compiler | None = None
        self.compile_seconds = FIRST_GUESS

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self.place,)

    def ascend(
        self,
        network: ReluNetwork,
        target: Layer,
        frame: Frame,
        lines: Lines,
        duals: Duals,
        steps: int,
        rates: Rates,
        enough: float = np.inf,
    ) -> Duals:
        """``relaxations.bounds.ascent.ascend``, up to rounding to float32."""
        given = network, target, frame, lines, duals, steps, rates, enough
        if not self.compiles or lines.below:  # programs are for ReLUs alone
            return ascent.ascend(*given)
        from relaxations.bounds.compiled import padded, padded_rows

        part = self._part(network, target, len(lines.free))
        rows, batch_rows = len(duals.weights), padded_rows(len(duals.weights))
        split = any(phase is not None for phase in lines.phase)
        key = part.outline, batch_rows, split, rates.weights, type(frame.ball)
        shape = self.shapes.setdefault(key, Shape())
        program = shape.program
        if program is None or (shape.tried and not shape.faster(rows, batch_rows)):
            started = time.perf_counter()
            best = ascent.ascend(*given)
            shape.spent += time.perf_counter() - started
            if shape.spent > WORTH_COMPILING * self.compile_seconds and not shape.asked:
                shape.asked = True
                self._ask(part, padded(frame, lines, duals), rates, shape)
            return best
        started = time.perf_counter()
        try:
            if part.placed is None:
                part.placed = program.place(part.short)
                started = time.perf_counter()  # every later batch finds it there
            found = program.ascend(part.placed, padded(frame, lines, duals), steps, rates, enough)
        except Exception as error:  # noqa: BLE001 - JAX and its devices fail in many ways; NumPy answers the same
            self.fail(error)
            return ascent.ascend(*given)
        if not shape.tried:
            between = time.perf_counter()
            ascent.ascend(*given)
            ended = time.perf_counter()
            shape.compiled.append((between - started) / batch_rows)
            shape.plain.append((ended - between) / rows)
        split_here = (None if old is None else new for old, new in zip(duals.multipliers, found.multipliers))
        return found._replace(multipliers=tuple(split_here))

    def fail(self, error: Exception) -> None:
        """Stay in NumPy from now on."""
        self.failure = f"{type(error).__name__}: {error}".partition("\n")[0]
        self.compiles = False

    def _part(self, network: ReluNetwork, target: Layer, depth: int) -> Part:
        from relaxations.bounds.compiled import outline, shortened

        part = self.parts.get((id(network), id(target)))
        if part is None:
            if any(other.network is not network for other in self.parts.values()):
                self.parts.clear()  # of a search that came here before
            short = shortened(network, target, depth)
            part = self.parts[id(network), id(target)] = Part(network, target, short, outline(short))
        return part

    def _ask(self, part: Part, batch: Any, rates: Rates, shape: Shape) -> None:
        if self.compiler is None:
            from verifier.engine.phases.compiler import Compiler

            self.compiler = Compiler(self.place.device, own=os.getpid() != self.place.began)
        self.compiler.ask(part.short, batch, rates, shape, self)
