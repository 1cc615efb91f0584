"""Overseers that are explicit simple cores: modules whose network is traced where they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from specs.core import Core, read_core
from specs.errors import SpecError
from specs.graph import Graph
from specs.language.expressions.expression import ExpressionFault
from specs.language.expressions.scope import Argument
from specs.language.inputs.ranges import Range
from specs.language.networks import Module
from specs.language.text.decimals import exact


@dataclass(frozen=True)
class Symbolic(Module):
    """A core under the name that expressions call it by; ``claimed`` is the Lipschitz constant the file states."""

    core: Core | None = None
    claimed: Fraction | None = None

    def called(self, arguments: Sequence[Argument], tap: str, column: int, bounds: Range) -> Module:
        """The core for arguments of these sizes, as a network. Raises ``ExpressionFault``."""
        assert self.core is not None
        if tap:
            raise ExpressionFault(f"{self.name} is a traced core and has no layers", column)
        try:
            found = self.core.trace([len(argument.terms) for argument in arguments])
        except SpecError as error:
            raise ExpressionFault(str(error), column) from None
        size = len(found.forms)
        beyond = [name for name, index in self.outputs.items() if index >= size]
        if beyond:
            raise ExpressionFault(f"{self.name} returns {size} numbers; there is no output {beyond[0]}", column)
        if self.claimed is not None and found.lipschitz() > self.claimed:
            raise ExpressionFault(
                f"{self.name} is declared to have the Lipschitz constant {exact(self.claimed)}, "
                f"but the trace of {self.core.name} has {exact(found.lipschitz())}",
                column,
            )
        return Module(self.name, self.kind, self.file, found.graph, self.outputs, {}, self.sees)

    @property
    def listing(self) -> str:
        assert self.core is not None
        return self.core.listing

    def describe(self) -> str:
        """Where it comes from, and its listing."""
        assert self.core is not None
        sees = f"; sees {', '.join(self.sees)}" if self.sees else ""
        outputs = f"; outputs {', '.join(self.outputs)}" if self.outputs else ""
        listing = "\n".join(f"  | {line}" for line in self.listing.rstrip().split("\n"))
        return f"{self.name} ({self.core.name}): traced exactly, never executed{sees}{outputs}\n{listing}"


def read_symbolic(
    name: str,
    target: str,
    folder: Path,
    outputs: Mapping[str, int],
    sees: tuple[str, ...],
    claimed: Fraction | None,
) -> Symbolic:
    """The core ``target`` below ``folder``. Raises ``SpecError`` with the place in its file."""
    core = read_core(target, folder)
    return Symbolic(name, "overseer", core.file, Graph((), (), ()), outputs, {}, sees, core=core, claimed=claimed)
