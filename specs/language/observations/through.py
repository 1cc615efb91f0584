"""What a network is given, when a channel stands in front of it: the call's argument, replaced and passed through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from specs.graph import ops
from specs.language.expressions.expression import ExpressionFault
from specs.language.expressions.scope import Argument
from specs.language.expressions.terms import Extreme, Linear, Term
from specs.language.networks import Module
from specs.language.observations.channels import Channels, dropped
from specs.language.vectors import Vectors

UNIT = (Fraction(0), Fraction(1))
Inputs = Callable[[Module, Sequence[Argument], int], list[str]]


def through(
    channels: Channels,
    vectors: Vectors,
    raw: Callable[[int], list[Linear]],
    module: Module,
    arguments: Sequence[Argument],
    column: int,
    inputs: Inputs,
) -> list[str]:
    """One node for each input of ``module``; ``inputs`` makes them of arguments, ``raw(k)`` are those of input ``k``.

    Raises ``ExpressionFault``.
    """
    if not channels.fronts and not channels.hidden:
        return inputs(module, arguments, column)
    whole = [_number(channels, raw, module.name, one) for one in arguments]
    seen = [k if k is None else channels.seen(module.name, k) for k in whole]
    shown = [one if k is None else replace(one, terms=tuple(raw(k))) for one, k in zip(arguments, seen, strict=True)]
    front = channels.fronts.get(module.name)
    if front is None:
        return inputs(module, shown, column)
    only = whole[0] if len(whole) == 1 else None
    if front.hides and (only is None or not channels.hides(module.name, only)):
        raise ExpressionFault(
            f"what {module.name} is given is rounded or noisy, so it is called on one input as it is, "
            f"and not on {', '.join(one.text for one in arguments)}",
            column,
        )
    entry = module if front.graph is None else replace(module, graph=front.graph)
    (node,) = inputs(entry, shown, column)
    noise = None if only is None else channels.noise(module.name, only)
    if noise is not None:
        elements = [vectors.variables[place] for place in vectors.coupling.places[noise]]
        added = vectors.composer.reshaped(vectors.picked(elements), vectors.composer.shape(node))
        node = vectors.composer.add(ops.Add(), node, added)
    if front.dropped:
        node = dropped(vectors.composer, front, node, _units(vectors, shown, seen, column), column)
    if front.graph is not None:
        (node,) = vectors.composer.inline(front.graph, [node], front.graph.outputs, f"{module.name}.front")
    return [vectors.composer.reshaped(node, module.graph.by_name[module.graph.inputs[0]].shape)]


def _units(
    vectors: Vectors, arguments: Sequence[Argument], numbers: Sequence[int | None], column: int
) -> list[tuple[Fraction, Fraction]]:
    """Mean and divisor of each element; ``ExpressionFault`` where what is normalised is no input as it is."""
    found = []
    for one, k in zip(arguments, numbers, strict=True):
        if k is not None:
            found += [vectors.coupling.normalization[place] for place in vectors.coupling.places[k]]
        elif any(vectors.coupling.normalization[i] != UNIT for term in one.terms for i in variables_read(term)):
            raise ExpressionFault(
                f"elements are dropped of normalised inputs as they are, and not of {one.text}", column
            )
        else:
            found += [UNIT] * len(one.terms)
    return found


def _number(channels: Channels, raw: Callable[[int], list[Linear]], model: str, argument: Argument) -> int | None:
    """The input that an argument is, as it is.

    Inputs whose elements are all equal have the same terms, and not what is between them and a model: then its name
    tells. Raises ``ExpressionFault`` where that is none of an input.
    """
    terms = list(argument.terms)
    sizes = (k for k in range(channels.first) if len(channels.places[k]) == len(terms))
    numbers = [k for k in sizes if raw(k) == terms]
    numbers = [k for k in numbers if channels.sets[k].name == argument.text] or numbers
    if len({(channels.seen(model, k) - k and channels.seen(model, k), channels.noise(model, k)) for k in numbers}) > 1:
        names = " and ".join(channels.sets[k].name for k in numbers)
        raise ExpressionFault(
            f"{argument.text} is equal to {names}, of which {model} is not given the same; call it on one by name",
            argument.column,
        )
    return next(iter(numbers), None)


def variables_read(term: Term) -> set[int]:
    """The variables that a term reads."""
    return {i for part in term.parts for i in variables_read(part)} if isinstance(term, Extreme) else set(term.x)
