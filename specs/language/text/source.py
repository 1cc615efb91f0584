"""Where things stand in a spec.yaml, and its expressions read from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from specs.language.expressions.compile import FUNCTIONS
from specs.language.expressions.expression import Expression, ExpressionFault, parse_expression
from specs.language.schema.faults import dotted
from specs.language.text.faults import Faults
from specs.language.text.yaml_tree import Document

Section = TypeVar("Section")

_WORDS = frozenset({"true", "false", "True", "False", "inf", "and", "or", "not", "in", "is", "if", "else"})


@dataclass(frozen=True)
class Source:
    """A document with its lines, and the faults found in it so far."""

    lines: Sequence[str]
    document: Document
    faults: Faults

    def fault(self, message: str, *path: str | int) -> None:
        self.faults.add(f"{dotted(path)}: {message}", *self.document.position(path))

    def expression_fault(self, fault: ExpressionFault, *path: str | int) -> None:
        """Note a fault inside the expression at ``path``, at its own column where the text stands on one line."""
        line, column = self.document.position(path)
        start = self.lines[line - 1][column - 1 : column] if 0 < line <= len(self.lines) else ""
        if start not in ("|", ">", "$"):
            column += fault.column + (start in ("'", '"'))
        self.faults.add(f"{dotted(path)}: {fault.message}", line, column)

    def parse(self, text: str, *path: str | int) -> Expression | None:
        try:
            return parse_expression(text)
        except ExpressionFault as fault:
            self.expression_fault(fault, *path)
            return None

    def parse_all(
        self, texts: Iterable[object], *path: str | int
    ) -> tuple[tuple[Expression, tuple[str | int, ...]], ...]:
        """Expressions of a list (or of the single text at ``path``), each with its own path."""
        found = []
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                continue  # a set, which is no expression
            own = (*path, i) if (*path, i) in self.document.positions else path
            expression = self.parse(text, *own)
            if expression is not None:
                found.append((expression, own))
        return tuple(found)

    def only(self, key: str, sections: Mapping[str, Section]) -> tuple[str, Section]:
        """The only entry under ``key``; several are noted as a fault, and none is one that ends the reading."""
        if len(sections) != 1:
            many = "several are not supported yet" if sections else "found none"
            self.fault(f"expected exactly one entry; {many}", key)
            self.faults.raise_if_any()
        return next(iter(sections.items()))

    def check_names(self, *named: tuple[str | int, ...]) -> None:
        """Names, the last parts of these paths, have to be distinct and none of the language's own words."""
        taken: dict[str, str] = {}
        for path in named:
            name = str(path[-1])
            if name in _WORDS or name in FUNCTIONS:
                self.fault(f"{name!r} is a word of the expression language; choose another name", *path)
            elif name in taken:
                self.fault(f"{name!r} already names {taken[name]}", *path)
            taken[name] = dotted(path)
