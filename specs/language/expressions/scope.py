"""What names in an expression mean: values, networks that can be called, labels."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from specs.language.expressions.choices import Comparisons, Top, Winner
from specs.language.expressions.dnf import Atom
from specs.language.expressions.formula import And, Either, Or
from specs.language.expressions.tensor import Tensor
from specs.language.expressions.terms import Extreme, Linear, Term

Value = Linear | Extreme | Tensor | Atom | And | Or | Either | Comparisons | Winner | Top
"""What a part of an expression can be: a number, an array of numbers, a condition, or a choice of classes."""


@dataclass(frozen=True)
class Argument:
    """What a network is called on: its elements, flat, and where it stands."""

    terms: tuple[Term, ...]
    text: str
    column: int


class Networks(Protocol):
    """What can be called in an expression."""

    @property
    def names(self) -> Sequence[str]: ...

    def call(self, node: ast.Call, name: str, tap: str, arguments: Sequence[Argument]) -> Tensor:
        """The outputs of network ``name``, or of its layer ``tap`` where this is not empty, as linear terms.

        Raises ``ExpressionFault``.
        """
        ...

    def derivative(self, node: ast.Call, name: str, input_name: str) -> Tensor:
        """The size of the derivative of each output of a network by an input, as linear terms, in the infinity norm.

        ``input_name`` may be empty. Raises ``ExpressionFault``.
        """
        ...


@dataclass(frozen=True)
class Scope:
    """What names mean: ``values`` for inputs and ``let``, ``networks`` to call, ``labels`` of inputs."""

    values: Mapping[str, Value]
    networks: Networks
    labels: Mapping[str, int]
