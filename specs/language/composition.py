"""Calls of networks on inputs and on each other's outputs, composed into one graph."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from math import prod
from types import MappingProxyType

import numpy as np

from specs.compose import WIDTH, Composer, derivative_size
from specs.graph import ops
from specs.joint import JointSet
from specs.language.expressions.expression import ExpressionFault
from specs.language.expressions.scope import Argument
from specs.language.expressions.tensor import Tensor
from specs.language.expressions.terms import Linear, slots_read, variables_read
from specs.language.inputs.coupling import Coupling
from specs.language.inputs.injection import Injection, State
from specs.language.inputs.ranges import ranges
from specs.language.networks import Module, Numbers, Patched, Posed, layer_of, raw_terms
from specs.language.observations.channels import Channels
from specs.language.observations.through import through
from specs.language.tables.answers import AnswerSet
from specs.language.tables.overseer import AnswerTable
from specs.language.vectors import Element, Vectors
from specs.sets import InputSet


@dataclass(frozen=True)
class _Called:
    """The outputs of one call: ``slots`` in their ``shape``, and their names."""

    slots: range
    shape: tuple[int, ...]
    module: Module | None

    def tensor(self, values: Sequence[object]) -> Tensor:
        return Tensor(Tensor.of(values, self.shape).values, self.module.outputs if self.module is not None else {})


@dataclass(frozen=True)
class _Read:
    """Something read of a module: the ``vector`` of slots, the nodes it is made of, and those that it was given.

    ``whole`` tells whether these are its answers, not a layer or a derivative.
    """

    module: str
    vector: str
    results: frozenset[str]
    given: tuple[str, ...]
    whole: bool


class Composition:
    """The graph of all calls so far. Its variables are the elements of inputs that no condition makes equal.

    A *slot* is one number that some call computes. Calls that compute the same have the same slots. What an input is
    written into holds the result of ``injections`` from there on, for later layers and for taps. ``answered`` gives for
    each call of an answer table the input that is its answer.
    """

    def __init__(
        self,
        modules: Sequence[Module],
        inputs: tuple[InputSet, ...],
        coupling: Coupling,
        injections: Sequence[Injection] = (),
        answered: Mapping[ast.Call, int] = MappingProxyType({}),
        channels: Channels | None = None,
    ) -> None:
        self.modules = {module.name: module for module in modules}
        self.inputs, self.coupling, self.injections = inputs, coupling, injections
        self._answered, self._bounds = answered, ranges(inputs, coupling)
        self.channels = channels or Channels(sets=inputs, places=coupling.places)
        self._composer = Composer()
        self._variables: list[Element] = []
        self._nodes: dict[int, str] = {}  # of the inputs that have variables of their own
        self._slots: list[Element] = []
        self._labels: list[str] = []
        self._starts: dict[str, int] = {}
        self._calls: dict[ast.Call, _Called] = {}
        self._states: dict[tuple[int, str, str], None] = {}  # injection, what the layer held before it and after
        self._kinks: dict[str, tuple[str, ...]] = {}  # of derivatives
        self._reads: list[_Read] = []
        for k, given in enumerate(inputs):
            own = [place for place in dict.fromkeys(coupling.places[k]) if place >= len(self._variables)]
            if own:
                shape = given.shape if len(own) == given.size else (len(own),)
                self._nodes[k] = self._composer.input(given.name, shape)
                self._variables += [(self._nodes[k], i) for i in range(len(own))]
        self._abstractions = dict(self._abstracted())

    @property
    def names(self) -> Sequence[str]:
        return tuple(self.modules)

    def raw(self, k: int) -> list[Linear]:
        return raw_terms(self.inputs[k], self.coupling.places[k])

    def call(self, node: ast.Call, name: str, tap: str, arguments: Sequence[Argument]) -> Tensor:
        """Terms of the slots that the call computes. Raises ``ExpressionFault``."""
        module = self.modules[name]
        if isinstance(module, AnswerTable) and module.interpolated:
            self._check_units(name, arguments)
        module = module.called(arguments, tap, node.func.col_offset, self._bounds)
        if isinstance(module, AnswerTable):
            return self._answer(module, node)
        graph = module.graph
        wanted: Sequence[str] = graph.outputs
        if tap:
            wanted = [layer_of(module, tap, node.func.col_offset)]
        written = {one.at: self._writing(k) for k, one in enumerate(self.injections) if one.model == module.base}
        if isinstance(module, Patched):
            *arguments, held = arguments
            written[module.at] = self._moving(held)
        given = self._given(module, arguments, node.col_offset)
        if not self._composer.inputs_of(given):
            raise ExpressionFault(f"{name} is called on constants only", node.col_offset)
        results = self._composer.inline(graph, given, wanted, name, written)
        shape = graph.by_name[wanted[0]].shape if tap else module.output_shape
        called = _Called(self._registered(results, node, None if tap else module), shape, None if tap else module)
        self._note(name, results, given, not tap)
        self._calls[node] = called
        return called.tensor([Linear({}, {slot: Fraction(1)}, Fraction(0)) for slot in called.slots])

    def _answer(self, module: AnswerTable, node: ast.Call) -> Tensor:
        """The input that is the answer of a table. Raises ``ExpressionFault``."""
        if node not in self._answered:
            raise ExpressionFault(f"{module.name} is an answer table and cannot be asked here", node.col_offset)
        return Tensor(Tensor.of(self.raw(self._answered[node])).values, module.outputs)

    def _check_units(self, name: str, arguments: Sequence[Argument]) -> None:
        """Refuse what a network would be given in other units than those that it is written in."""
        for one in arguments:
            read = {variable for term in one.terms for variable in variables_read(term)}
            if any(self.coupling.normalization[variable] != (Fraction(0), Fraction(1)) for variable in read):
                raise ExpressionFault(
                    f"{name} interpolates answers in raw units, and {one.text} is normalised in a call", one.column
                )

    def _given(self, module: Module, arguments: Sequence[Argument], column: int) -> list[str]:
        """What a module is given where it is called on ``arguments``: what its channel makes of these."""
        vectors = Vectors(self._composer, self.coupling, self._variables, self._slots)
        return through(self.channels, vectors, self.raw, module, arguments, column, self._inputs)

    def _abstracted(self) -> Iterator[tuple[str, str]]:
        """Inputs that stand for what an abstraction makes of others, and what it makes of them."""
        graph = self.channels.abstraction
        for number, one in enumerate(self.injections):
            if one.is_abstraction and graph is not None:
                (k,) = (k for k, seen in self.channels.abstracted.items() if seen == one.input)
                vectors = Vectors(self._composer, self.coupling, self._variables, self._slots)
                given = vectors.picked([self._variables[place] for place in self.coupling.places[k]])
                shaped = self._composer.reshaped(given, graph.by_name[graph.inputs[0]].shape)
                (made,) = self._composer.inline(graph, [shaped], graph.outputs, "abstraction")
                self._states[number, made, self._nodes[one.input]] = None
                yield self._nodes[one.input], made

    def concrete(self, posed: Posed, inputs: Sequence[int]) -> Posed:
        """The same over ``inputs``, with what the abstraction makes of its input in the place of all it may give."""
        nodes = [self._nodes[k] for k in inputs if k in self._nodes]
        arguments = [self._abstractions.get(name, name) for name in posed.graph.inputs]
        outputs = self._composer.inline(posed.graph, arguments, posed.graph.outputs, "")
        graph = self._composer.build(nodes, outputs)
        joint, variables = self._joint(nodes, inputs)
        return Posed(graph, joint, posed.names, variables, posed.slots)

    def states(self, number: int, slots: Collection[int]) -> list[State]:
        """What the layer of an injection holds in each call that these slots depend on."""
        read = {self._slots[slot][0] for slot in slots}
        needed = self._composer.behind(sorted(read))
        found = []
        for own, after in dict.fromkeys((own, after) for own, _, after in self._states):
            if own == number and after in needed:
                one = self.injections[number]
                text = f"written {one.model}.{one.layer}"
                found.append(State(tuple(self._slots_of(self._composer.flat(after), text))))
        return found

    def untouched(self, number: int) -> list[tuple[int, ...]]:
        """Slots of what the layer of an injection holds by itself, for each different call so far."""
        one = self.injections[number]
        found = dict.fromkeys(before for own, before, _ in self._states if own == number)
        return [tuple(self._slots_of(self._composer.flat(node), f"{one.model}.{one.layer}")) for node in found]

    def _writing(self, number: int) -> Callable[[str], str]:
        """What comes of the value of a layer that an input is written into."""
        injection = self.injections[number]
        written = Argument(tuple(self.raw(injection.input)), self.inputs[injection.input].name, 0)

        def write(value: str) -> str:
            vectors = Vectors(self._composer, self.coupling, self._variables, self._slots)
            state = self._composer.reshaped(vectors.node([written]), self._composer.shape(value))
            result = state if injection.mode == "replace" else self._composer.add(ops.Add(), value, state)
            self._states[number, value, result] = None
            return result

        return write

    def _moving(self, held: Argument) -> Callable[[str], str]:
        """What another run holds there, in place of the value of a layer."""
        vector = Vectors(self._composer, self.coupling, self._variables, self._slots).node([held])
        return lambda value: self._composer.reshaped(vector, self._composer.shape(value))

    def layer(self, name: str, tap: str) -> str:
        return layer_of(self.modules[name], tap, 0)

    def computed(self, slot: int) -> str:
        return self._composer.unshaped(self._slots[slot][0])

    def derivative(self, node: ast.Call, name: str, input_name: str) -> Tensor:
        """Terms of the size of a network's derivative on an input, one for each output. Raises ``ExpressionFault``."""
        module, column = self.modules[name], node.col_offset
        written_into = any(one.model == name for one in self.injections)
        if isinstance(module, Patched) or written_into or self.channels.behind(name):
            raise ExpressionFault(f"something is written into {name}: of what is this the derivative?", column)
        if module.is_table:
            raise ExpressionFault(f"{name} is an answer table, which has no derivative", column)
        size = module.graph.input_size
        fitting = [
            k for k, one in enumerate(self.inputs) if one.size == size and input_name in ("", one.name) and not one.role
        ]
        if not fitting:
            what = input_name or "there is no input that"
            raise ExpressionFault(f"{what} has {size} elements, as {name} takes", column)
        given = self.inputs[fitting[0]]
        if given.is_normalized:
            raise ExpressionFault(f"{given.name} is normalised: a derivative has no units there", column)
        if given.points:
            raise ExpressionFault(f"{given.name} are single points: derivatives tell nothing between them", column)
        argument = Argument(tuple(self.raw(fitting[0])), given.name, column)
        try:
            (at,) = self._inputs(module, [argument], column)
            found = derivative_size(self._composer, module.graph, at, name)
        except ValueError as error:
            raise ExpressionFault(f"{name} {error}", column) from None
        self._kinks[found.values] = found.kinks
        shape = self._composer.shape(found.values)
        called = _Called(self._registered([found.values], node, None), shape, None)
        self._note(name, [found.values], [at], False)
        self._calls[node] = called
        return called.tensor([Linear({}, {slot: Fraction(1)}, Fraction(0)) for slot in called.slots])

    def _note(self, name: str, results: Sequence[str], given: Sequence[str], whole: bool) -> None:
        nodes = frozenset(map(self._composer.unshaped, results))
        self._reads.append(_Read(name, self._composer.joined(results), nodes, tuple(given), whole))

    def answers(self, posed: Posed) -> dict[str, frozenset[int] | None]:
        assert posed.slots is not None
        vectors = {self._slots[slot][0] for slot in posed.slots}
        found: dict[str, frozenset[int] | None] = {}
        found |= {one.table: None for one in posed.sets if isinstance(one, AnswerSet)}  # rows may read it, and bounds
        for name in (module.name for module in self.modules.values() if module.kind == "overseer"):
            parts = [one for one in self._reads if one.module == name]
            nodes = frozenset(node for one in parts for node in one.results)
            whole = {one.vector for one in parts if one.whole}
            own = whole & vectors
            given = [node for one in parts if one.vector in own for node in one.given]
            if any(one.vector in whole for one in self._reads if one.module != name or not one.whole):
                found[name] = None  # as answers of two networks that are one, which cancel before they are read
            elif not nodes & self._composer.behind(sorted(vectors)):
                continue
            elif nodes & self._composer.behind(sorted({*(vectors - own), *given})):
                found[name] = None
            else:
                found[name] = frozenset(i for slot, i in posed.slots.items() if self._slots[slot][0] in own)
        return found

    def is_estimate(self, slot: int) -> bool:
        return self._slots[slot][0] in self._kinks

    def kinks(self, posed: Posed) -> Callable[[Numbers], bool] | None:
        assert posed.slots is not None
        read = {self._slots[slot][0] for slot in posed.slots}
        nodes = list(dict.fromkeys(name for vector, names in self._kinks.items() if vector in read for name in names))
        if not nodes:
            return None
        graph = self._composer.build(posed.graph.inputs, [self._composer.joined(nodes)])
        return lambda x: bool((np.abs(graph.evaluate_flat([float(value) for value in x])) <= 2 * WIDTH).any())

    def told(self, posed: Posed) -> Sequence[str]:
        assert posed.slots is not None
        behind = self._composer.behind(sorted({self._slots[slot][0] for slot in posed.slots}))
        used = {one.module for one in self._reads if one.results <= behind}
        return [front.text for name, front in self.channels.fronts.items() if name in used and front.text]

    def read(self, variables: Collection[int], slots: Collection[int]) -> frozenset[int]:
        nodes = {self._variables[i][0] for i in variables} | {self._slots[i][0] for i in slots}
        found = self._composer.inputs_of(sorted(nodes))
        return frozenset(k for k, node in self._nodes.items() if node in found)

    def posed(self, inputs: Sequence[int], slots: Collection[int]) -> Posed:
        nodes = [self._nodes[k] for k in inputs if k in self._nodes]
        outputs: list[str] = []
        names: list[str] = []
        places: dict[int, int] = {}
        for name, group in groupby(sorted(slots), lambda slot: self._slots[slot][0]):
            read = list(group)
            outputs.append(self._composer.picked(name, [self._slots[slot][1] for slot in read]))
            places |= {slot: len(places) + i for i, slot in enumerate(read)}
            names += [self._labels[slot] for slot in read]
        graph = self._composer.build(nodes, outputs or nodes[:1])
        joint, variables = self._joint(nodes, inputs)
        return Posed(graph, joint, tuple(names), variables, places)

    def _joint(self, nodes: Sequence[str], inputs: Sequence[int]) -> tuple[JointSet, dict[int, int]]:
        """The inputs together, and the flat input of the composed network that each of their variables is."""
        own = [i for i, (name, _) in enumerate(self._variables) if name in nodes]
        variables = {variable: i for i, variable in enumerate(own)}
        places = tuple(tuple(variables[place] for place in self.coupling.places[k]) for k in inputs)
        return JointSet(tuple(self.inputs[k] for k in inputs), places), variables

    def values(self, posed: Posed, node: ast.Call, x: Numbers, y: Numbers) -> Tensor | None:
        """Given outputs where the posed network has them, its float64 value where it has not, else 0."""
        if node in self._answered:
            return self._looked_up(posed, node, x)
        called = self._calls.get(node)
        if called is None:
            return None
        assert posed.slots is not None
        unread = [slot for slot in called.slots if slot not in posed.slots]
        rest = dict(zip(unread, self._evaluated(posed, unread, x)))
        return called.tensor([rest[s] if s in rest else y[posed.slots[s]] for s in called.slots])

    def _looked_up(self, posed: Posed, node: ast.Call, x: Numbers) -> Tensor | None:
        """What the table says of the point ``x``; None where it is no part of what the requirement means."""
        one = self.inputs[self._answered[node]]
        assert isinstance(one, AnswerSet)
        assert isinstance(posed.inputs, JointSet)
        raw, start = posed.inputs.to_raw(x), 0
        parts: dict[str, Numbers] = {}
        for given in posed.sets:
            parts[given.name], start = raw[start : start + given.size], start + given.size
        if not all(name in parts for name in one.of):
            return None
        asked = tuple(value for name in one.of for value in parts[name])
        return Tensor(Tensor.of(dict(one.pairs)[asked]).values, self.modules[one.table].outputs)

    def _evaluated(self, posed: Posed, slots: Sequence[int], x: Numbers) -> list[Fraction]:
        if not slots:
            return []
        output = self._composer.joined(list(dict.fromkeys(self._slots[slot][0] for slot in slots)))
        if not self._composer.inputs_of([output]) <= set(posed.graph.inputs):
            return [Fraction(0)] * len(slots)  # no part of what the requirement means
        graph = self._composer.build(posed.graph.inputs, [output])
        values = graph.evaluate_flat([float(value) for value in x]).tolist()
        return [Fraction(values[self._slots[slot][1]]) for slot in slots]

    def _registered(self, results: Sequence[str], node: ast.Call, module: Module | None) -> range:
        """The slots of what a call computes."""
        names = {index: name for name, index in module.outputs.items()} if module is not None else {}
        return self._slots_of(self._composer.joined(results), ast.unparse(node), names)

    def _slots_of(self, vector: str, text: str, names: Mapping[int, str] = MappingProxyType({})) -> range:
        """The slots of the elements of a vector, called ``text`` where they are new."""
        size = prod(self._composer.shape(vector))
        if vector not in self._starts:
            self._starts[vector] = len(self._slots)
            self._slots += [(vector, i) for i in range(size)]
            self._labels += [f"{text}.{names[i]}" if i in names else f"{text}[{i}]" for i in range(size)]
        start = self._starts[vector]
        return range(start, start + size)

    def _inputs(self, module: Module, arguments: Sequence[Argument], column: int) -> list[str]:
        """One node for each input of the module: an argument for each, or all of them for the only one."""
        names = module.graph.inputs
        shapes = [module.graph.by_name[name].shape for name in names]
        if module.sees and len(arguments) != len(module.sees):
            raise ExpressionFault(
                f"{module.name} sees {len(module.sees)} things ({', '.join(module.sees)}), "
                f"but is called on {len(arguments)}",
                column,
            )
        if len(names) == 1:
            groups = [list(arguments)]
        elif len(names) == len(arguments):
            groups = [[argument] for argument in arguments]
        else:
            raise ExpressionFault(
                f"{module.name} takes {len(names)} inputs ({', '.join(names)}), but is called on {len(arguments)}",
                column,
            )
        found = []
        vectors = Vectors(self._composer, self.coupling, self._variables, self._slots)
        for shape, group in zip(shapes, groups):
            terms = [term for argument in group for term in argument.terms]
            if any(self.is_estimate(slot) for term in terms for slot in slots_read(term)):
                raise ExpressionFault("the size of a derivative is an upper bound; no network can be given it", column)
            if len(terms) != prod(shape):
                sizes = " and ".join(f"{argument.text} has {len(argument.terms)}" for argument in group)
                raise ExpressionFault(
                    f"{module.name} takes {prod(shape)} values (shape {list(shape)}), but {sizes}", column
                )
            found.append(self._composer.reshaped(vectors.node(group), shape))
        return found
