"""What a specification's expressions call: one network on the one input, as it is, or several composed into a graph."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from specs.assumption import Assumption
from specs.graph import Graph
from specs.joint import JointSet
from specs.language.expressions.dnf import Dnf
from specs.language.expressions.expression import ExpressionFault
from specs.language.expressions.scope import Argument
from specs.language.expressions.tensor import Tensor
from specs.language.expressions.terms import Linear
from specs.language.inputs.ranges import Range
from specs.language.text.suggest import did_you_mean
from specs.sets import InputSet

if TYPE_CHECKING:
    from specs.language.observations.channels import Channels

Numbers = Sequence[Fraction]


@dataclass(frozen=True)
class Module:
    """A network under the name that expressions call it by.

    ``outputs`` names flat outputs, ``taps`` its layers. ``sees`` are the names of what an overseer is shown;
    ``stands_for`` is the program whose answers it was learned from, "" if there is none.
    """

    name: str
    kind: str
    file: Path
    graph: Graph
    outputs: Mapping[str, int] = field(default_factory=dict)
    taps: Mapping[str, str] = field(default_factory=dict)
    sees: tuple[str, ...] = ()
    stands_for: str = ""

    @property
    def listing(self) -> str:
        """The text it was traced from; "" for a network."""
        return ""

    @property
    def base(self) -> str:
        """The module by whose name inputs are written into it."""
        return self.name

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of the only output, or flat where there are several."""
        graph = self.graph
        return graph.by_name[graph.outputs[0]].shape if len(graph.outputs) == 1 else (graph.output_size,)

    def called(self, arguments: Sequence[Argument], tap: str, column: int, bounds: Range) -> Module:
        """The network for these arguments, of which ``bounds`` knows the ranges. Raises ``ExpressionFault``."""
        return self

    @property
    def is_table(self) -> bool:
        """Whether its file is an answer table."""
        return False

    @property
    def is_sealed(self) -> bool:
        """Whether what is known of it is lost where something is written into one of its layers."""
        return False

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What is taken for granted of its answers, with the error that they may have."""
        return ()

    @property
    def silences(self) -> tuple[str, ...]:
        """What no verdict says of it, in words."""
        return ()

    def describe(self) -> str:
        """Its sizes, what it sees and how its outputs are called."""
        shapes = ", ".join(str(list(self.graph.by_name[name].shape)) for name in self.graph.inputs)
        told = f"{self.name} ({self.file.name}): {shapes} to {list(self.output_shape)}"
        told += f"; sees {', '.join(self.sees)}" if self.sees else ""
        told += f"; outputs {', '.join(self.outputs)}" if self.outputs else ""
        told += f"; learned from answers of {self.stands_for}" if self.stands_for else ""
        taps = ", ".join(f"{name} (of {self._size(node)} values)" for name, node in self.taps.items())
        return told + (f"; taps {taps}" if taps else "")

    def _size(self, node: str) -> int:
        return prod(self.graph.by_name[node].shape)


@dataclass(frozen=True)
class Patched(Module):
    """A module whose node ``at`` holds the last thing it is called on, whatever it computes or is written there.

    It is called on that besides its own arguments. What is written into other layers of ``written_into`` is here, too.
    """

    written_into: str = ""
    at: str = ""

    @property
    def base(self) -> str:
        return self.written_into


@dataclass(frozen=True)
class Posed:
    """The network that a requirement is about, and how the variables of its formulas are counted there.

    ``variables`` and ``slots`` give the flat input or output of each variable; ``None`` stands for the same number.
    ``names`` are those of the flat outputs, for reports.
    """

    graph: Graph
    inputs: InputSet | JointSet
    names: tuple[str, ...] = ()
    variables: Mapping[int, int] | None = None
    slots: Mapping[int, int] | None = None

    @property
    def sets(self) -> tuple[InputSet, ...]:
        return self.inputs.sets if isinstance(self.inputs, JointSet) else (self.inputs,)

    def alternatives(self, labels: Mapping[str, int]) -> tuple[Dnf, ...]:
        """The finite sets, of each the points with its label, if it has one in ``labels``."""
        if isinstance(self.inputs, InputSet):
            return self.inputs.alternatives(labels.get(self.inputs.name))
        return self.inputs.alternatives(labels)

    def element(self, i: int) -> str:
        """What flat input ``i`` is called: by the first element that it is."""
        if isinstance(self.inputs, InputSet):
            return self.inputs.element(i)
        places = [place for places in self.inputs.places for place in places]
        return self.inputs.element(places.index(i))

    @property
    def n_inputs(self) -> int:
        if isinstance(self.inputs, InputSet):
            return self.inputs.size
        return self.inputs.n_inputs


class Poser(Protocol):
    """Where calls become variables, and requirements are given a network."""

    @property
    def names(self) -> Sequence[str]:
        """What can be called."""
        ...

    @property
    def inputs(self) -> tuple[InputSet, ...]: ...

    @property
    def channels(self) -> Channels | None:
        """What stands between models and what they are called on; None for nothing."""
        ...

    def raw(self, k: int) -> list[Linear]:
        """Input ``k`` in raw units, in terms of what the network consumes."""
        ...

    def call(self, node: ast.Call, name: str, tap: str, arguments: Sequence[Argument]) -> Tensor: ...

    def layer(self, name: str, tap: str) -> str:
        """The node of a network that a tap names. Raises ``ExpressionFault``."""
        ...

    def computed(self, slot: int) -> str:
        """The node of posed networks that computes a slot, before it is made a vector."""
        ...

    def derivative(self, node: ast.Call, name: str, input_name: str) -> Tensor: ...

    def answers(self, posed: Posed) -> Mapping[str, frozenset[int] | None]:
        """By overseer that the posed network depends on: which outputs are its answers; None where something else than
        these depends on them, or on its layers, or where they are those of another network as well."""
        ...

    def is_estimate(self, slot: int) -> bool:
        """Whether what networks compute there may be more than what is meant by it."""
        ...

    def kinks(self, posed: Posed) -> Callable[[Numbers], bool] | None:
        """Whether a point is so near to a kink that what is computed of a derivative there is but an upper bound; None
        where no derivative is read."""
        ...

    def told(self, posed: Posed) -> Sequence[str]:
        """What is in front of the models that the posed network depends on, in words, where inputs do not say it."""
        ...

    def read(self, variables: Collection[int], slots: Collection[int]) -> frozenset[int]:
        """The inputs, by number, that these variables and outputs depend on."""
        ...

    def posed(self, inputs: Sequence[int], slots: Collection[int]) -> Posed:
        """The network over these inputs whose outputs are the given ones."""
        ...

    def values(self, posed: Posed, node: ast.Call, x: Numbers, y: Numbers) -> Tensor | None:
        """What a call amounts to where the posed network has inputs ``x`` and outputs ``y``; None if it is none."""
        ...


@dataclass(frozen=True)
class OneNetwork:
    """One network, called on the one input: a requirement is about the network in the model's file itself."""

    module: Module
    input_set: InputSet
    channels: None = None

    @property
    def names(self) -> Sequence[str]:
        return (self.module.name,)

    @property
    def inputs(self) -> tuple[InputSet, ...]:
        return (self.input_set,)

    def raw(self, k: int) -> list[Linear]:
        return raw_terms(self.input_set, range(self.input_set.size))

    def call(self, node: ast.Call, name: str, tap: str, arguments: Sequence[Argument]) -> Tensor:
        whole = self.raw(0)
        if len(arguments) != 1 or list(arguments[0].terms) != whole:
            x = self.input_set.name
            raise ExpressionFault(f"{name} is called on an input: {name}({x})", node.col_offset)
        outputs = [Linear({}, {i: Fraction(1)}, Fraction(0)) for i in range(self.module.graph.output_size)]
        return named_tensor(outputs, self.module)

    def layer(self, name: str, tap: str) -> str:
        return layer_of(self.module, tap, 0)

    def computed(self, slot: int) -> str:
        return self.module.graph.outputs[0]

    def derivative(self, node: ast.Call, name: str, input_name: str) -> Tensor:
        raise AssertionError("derivatives are composed")

    def answers(self, posed: Posed) -> Mapping[str, frozenset[int] | None]:
        return {}

    def is_estimate(self, slot: int) -> bool:
        return False

    def kinks(self, posed: Posed) -> None:
        return None

    def told(self, posed: Posed) -> Sequence[str]:
        return ()

    def read(self, variables: Collection[int], slots: Collection[int]) -> frozenset[int]:
        return frozenset((0,))

    def posed(self, inputs: Sequence[int], slots: Collection[int]) -> Posed:
        return Posed(self.module.graph, self.input_set, tuple(self.module.outputs))

    def values(self, posed: Posed, node: ast.Call, x: Numbers, y: Numbers) -> Tensor | None:
        if isinstance(node.func, ast.Name) and node.func.id == self.module.name:
            return named_tensor(y, self.module)
        return None


def raw_terms(inputs: InputSet, places: Sequence[int]) -> list[Linear]:
    """The elements of an input in raw units; ``places`` are the variables for what the network consumes."""
    return [Linear({places[i]: c for i, c in terms}, {}, constant) for terms, constant in inputs.raw_forms()]


def named_tensor(values: Sequence[object], module: Module) -> Tensor:
    """The outputs of a module in their shape, under their names."""
    return Tensor(Tensor.of(values, module.output_shape).values, module.outputs)


def layer_of(module: Module, tap: str, column: int) -> str:
    """The node of a module's graph that ``tap`` names. Raises ``ExpressionFault``."""
    from specs.compose import internal_tensor

    try:
        return module.taps.get(tap) or internal_tensor(module.graph, tap)
    except ValueError as error:
        hint = did_you_mean(tap, module.taps) if module.taps else ""
        raise ExpressionFault(f"{module.name} {error}{hint}", column) from None
