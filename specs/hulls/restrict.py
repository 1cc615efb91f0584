"""A graph as it is on a hull: ReLUs whose phase the hull fixes become what they are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from specs.compose import Composer
from specs.graph import Graph, Node, ops
from specs.hulls.hull import Hull


@dataclass(frozen=True)
class Phases:
    """By flat place of a ReLU: whether it is 0 on the hull (``idle``), or its argument (``linear``)."""

    idle: frozenset[int]
    linear: frozenset[int]


def restricted(graph: Graph, hulls: Mapping[str, Hull]) -> Graph:
    """A graph that computes the same wherever the values at the nodes ``hulls`` are in these, and has fewer ReLUs.

    ``hulls`` are by nodes of ``graph``, which may be what ReLUs are given or what they return. Where some value is not
    in its hull, results may differ, but not whether all values at these nodes are in their hulls: in the order of
    computation, the first one that is not is the same. So "outside of the hulls, or P(outputs)" holds of all inputs of
    one graph exactly if it does of the other.
    """
    phases = {node.name: _phases(node, hulls) for node in graph.nodes if isinstance(node.op, ops.Relu)}
    if not any(one.idle or one.linear for one in phases.values()):
        return graph
    composer = Composer()
    names: dict[str, str] = {}
    for node in graph.nodes:
        given = [names[value] for value in node.inputs]
        match node.op:
            case ops.Input():
                names[node.name] = composer.input(node.name, node.shape)
            case ops.Constant():
                names[node.name] = composer.constant(node.op.value, node.name)
            case ops.Relu() if phases[node.name].idle or phases[node.name].linear:
                names[node.name] = _relu(composer, given[0], phases[node.name], node)
            case _:
                names[node.name] = composer.add(node.op, *given, name=node.name)
    return composer.build(graph.inputs, [names[name] for name in graph.outputs])


def _phases(node: Node, hulls: Mapping[str, Hull]) -> Phases:
    """By the hull of what the ReLU is given, and by that of what it returns.

    That it returns 0 on the second one fixes nothing: made a 0 everywhere, it could not show any more that it is more
    than 0 outside. Made its argument where it is above 0 on the hull, it stays below the bound where it was.
    """
    given, returned = (hulls[name].bounds if name in hulls else () for name in (node.inputs[0], node.name))
    idle = {i for i, (_, up) in enumerate(given) if up <= 0}
    linear = {i for i, (low, _) in enumerate(given) if low >= 0} | {i for i, (low, _) in enumerate(returned) if low > 0}
    return Phases(frozenset(idle), frozenset(linear - idle))


def _relu(composer: Composer, argument: str, phases: Phases, node: Node) -> str:
    """The places of the ReLU gathered from ReLUs of the free ones, from the argument itself, and from a zero."""
    size = prod(node.shape)
    free = [i for i in range(size) if i not in phases.idle and i not in phases.linear]
    parts: list[str] = []
    starts: dict[str, int] = {}

    def put(kind: str, value: str) -> None:
        starts[kind] = sum(int(np.prod(composer.shape(part))) for part in parts)
        parts.append(value)

    if free:
        put("free", composer.add(ops.Relu(), composer.picked(argument, free), name=node.name))
    if phases.linear:
        put("linear", composer.picked(argument, sorted(phases.linear)))
    if phases.idle:
        put("idle", composer.constant(np.zeros(1, dtype=np.float32), "idle"))
    places = _places(size, free, sorted(phases.linear), starts)
    return composer.reshaped(composer.picked(composer.joined(parts), places), node.shape)


def _places(size: int, free: Sequence[int], linear: Sequence[int], starts: Mapping[str, int]) -> list[int]:
    """Where each place is found in the parts one after the other."""
    found = dict.fromkeys(range(size), starts.get("idle", 0))
    found |= {i: starts["free"] + k for k, i in enumerate(free)}
    found |= {i: starts["linear"] + k for k, i in enumerate(linear)}
    return [found[i] for i in range(size)]
