"""Compiling in a thread of its own: JAX is imported there, when it is needed for the first time."""

from __future__ import annotations

import atexit
import os
import sys
import time
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from relaxations.bounds.ascent import Rates
from relaxations.bounds.compiled import Arguments, compile_step, padded
from relaxations.bounds.dual import Duals, Frame, lines
from relaxations.network import Layer, ReluNetwork
from verifier.engine.phases.surroundings import environment

if TYPE_CHECKING:
    from verifier.engine.phases.tier import Shape, Tier

PATIENCE = 30  # seconds the interpreter waits at its end for a program that is being compiled


class Compiler:
    """Compiles what it is asked for, one after another, and puts it in place. A failure ends it, and is recorded.

    ``own`` processes are the program's own: their environment may still be set before JAX is imported.
    """

    def __init__(self, device: str, own: bool) -> None:
        self.device, self.own = device, own
        self.requests: SimpleQueue[tuple[ReluNetwork, Arguments, Rates, Shape, Tier] | None] = SimpleQueue()
        self.thread = Thread(target=self._work, name="certify-compiler", daemon=True)
        self.thread.start()
        atexit.register(self._end)  # an interpreter that is taken down below a compiling thread crashes

    def ask(self, network: ReluNetwork, batch: Arguments, rates: Rates, shape: Shape, tier: Tier) -> None:
        """Have ``shape.program`` set some time later."""
        self.requests.put((network, batch, rates, shape, tier))

    def _end(self) -> None:
        while not self.requests.empty():
            self.requests.get()
        self.requests.put(None)
        self.thread.join(PATIENCE)

    def _work(self) -> None:
        while (request := self.requests.get()) is not None:
            network, batch, rates, shape, tier = request
            try:
                if self.own and "jax" not in sys.modules:
                    for name, value in environment(self.device).items():
                        os.environ.setdefault(name, value)
                device = find_device(self.device)
                started = time.perf_counter()
                shape.program = compile_step(network, batch, rates, device)
                tier.compile_seconds = time.perf_counter() - started
            except Exception as error:  # noqa: BLE001 - JAX fails in many ways, and none may end the search
                tier.fail(error)
                return


def find_device(name: str) -> Any:
    """The JAX device: the first there is (``auto``: an accelerator before the CPU), or the first of a kind.

    Raises ``ImportError`` without JAX and ``RuntimeError`` where there is no such device.
    """
    import jax

    return jax.devices()[0] if name == "auto" else jax.devices(name)[0]


def try_out() -> None:
    """Compile and run a small ascent as a search would. Raises whatever stands in the way."""
    one = np.ones((1, 1), np.float32)
    layer = Layer(((0, one),), one[0])
    network = ReluNetwork(1, (layer,), Layer(((1, one),), one[0]))
    frame = Frame(one[0], one[0], (-one,), (one,))
    duals = Duals((one,), (None,), one)
    arguments = padded(frame, lines(frame, (None,), np), duals)
    program = compile_step(network, arguments, Rates(), find_device("auto"))
    program.ascend(program.place(network), arguments, 1, Rates(), np.inf)
