"""A core of reasoning: a function of a Python file that is parsed, and traced for the sizes of its arguments."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from specs.core.forms import Affine, Tape
from specs.core.interpreter import Interpreter
from specs.core.network import network
from specs.core.program import Program, read_program
from specs.core.values import Data
from specs.errors import SpecError
from specs.graph import Graph
from specs.hashes import sha256_of


@dataclass(frozen=True)
class Traced:
    """The function at fixed sizes: ``forms`` over the inputs of ``tape``, and the same as a graph."""

    tape: Tape
    forms: tuple[Affine, ...]
    graph: Graph

    @property
    def n_parts(self) -> int:
        """How many ReLUs there are."""
        found = self.tape.support([atom for form in self.forms for atom, _ in form.terms])
        return sum(atom >= self.tape.n_inputs for atom in found)

    def lipschitz(self) -> Fraction:
        """A Lipschitz constant of all outputs together, in the greatest-coordinate norm on both sides."""
        unit = {i: Fraction(1) for i in range(self.tape.n_inputs)}
        return max(self.tape.change(form, unit) for form in self.forms)


@dataclass(frozen=True)
class Core:
    """``function`` of a program; ``listing`` is the text that was traced."""

    program: Program
    function: str

    @property
    def file(self) -> Path:
        return self.program.file

    @property
    def name(self) -> str:
        return f"{self.file.name}:{self.function}"

    @property
    def listing(self) -> str:
        return self.program.text

    @cached_property
    def sha256(self) -> str:
        return sha256_of(self.file)

    def trace(self, sizes: Sequence[int]) -> Traced:
        """The function of as many numbers as ``sizes`` say, one entry for each argument.

        An argument of size 1 is a number, and a longer one a tuple; annotations ``float`` and ``list[float]`` (or
        ``tuple``, ``Sequence``) decide otherwise. Raises ``SpecError`` with file and line for whatever has no exact
        piecewise linear meaning.
        """
        definition = self.program.functions[self.function]
        parameters = definition.args.args
        if len(sizes) > len(parameters) or len(sizes) < len(parameters) - len(definition.args.defaults):
            raise self.program.fault(
                f"{self.function} takes {len(parameters)} arguments, but is given {len(sizes)}", definition
            )
        tape = Tape(sum(sizes))
        arguments: list[Data] = []
        start = 0
        for size, parameter in zip(sizes, parameters):
            numbers = tuple(Affine.atom(i) for i in range(start, start + size))
            arguments.append(numbers if self._is_vector(parameter, size) else numbers[0])
            start += size
        forms = Interpreter(self.program, tape).result(definition, arguments)
        names = [parameter.arg for parameter in parameters[: len(sizes)]]
        try:
            graph = network(tape, forms, names, sizes, definition.lineno)
        except SpecError as error:
            raise SpecError(error.message, self.file, error.line) from None
        return Traced(tape, forms, graph)

    def _is_vector(self, parameter: ast.arg, size: int) -> bool:
        annotation = parameter.annotation
        if annotation is None:
            return size > 1
        head = annotation.value if isinstance(annotation, ast.Subscript) else annotation
        kind = head.id if isinstance(head, ast.Name) else ""
        if kind == "float":
            if size > 1:
                raise self.program.fault(f"{parameter.arg} is a number, but is given {size} of them", parameter)
            return False
        if kind in ("list", "tuple", "Sequence"):
            return True
        raise self.program.fault(f"the annotation of {parameter.arg} is neither float nor list[float]", parameter)


def read_core(target: str, folder: Path) -> Core:
    """``FILE.py:FUNCTION`` below ``folder``, parsed and never executed. Raises ``SpecError``."""
    name, colon, function = target.rpartition(":")
    if not colon or not name.endswith(".py"):
        raise SpecError(f"expected FILE.py:FUNCTION, found {target!r}")
    program = read_program(folder / name)
    if function not in program.functions:
        from specs.language.text.suggest import did_you_mean

        raise SpecError(f"has no function {function!r}{did_you_mean(function, program.functions)}", program.file)
    return Core(program, function)
