"""``solve_for`` of a spec.yaml: names that stand for numbers to be found, and what larger ones do to a requirement.

A name is compiled as a constant, so that every value that is tried is an ordinary question. What a larger value does is
read off a second compilation, in which the name is one more variable: every atom of the unsafe set is affine in it, and
where all have coefficients of one sign, the unsafe set only grows, or only shrinks, with the value.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from specs.errors import SpecError
from specs.joint import JointSet
from specs.language.compile_spec import Expressions, scope_of
from specs.language.expressions.compile import compile_formula
from specs.language.expressions.dnf import Atom
from specs.language.expressions.expression import Expression, ExpressionFault, parse_expression
from specs.language.expressions.formula import Either, Formula, negate
from specs.language.expressions.scope import Argument, Scope
from specs.language.expressions.tensor import Tensor
from specs.language.expressions.terms import Extreme, Linear, Term
from specs.language.networks import Poser
from specs.language.schema.file import SolveFor, SpecFile
from specs.language.text.decimals import exact, format_decimal
from specs.language.text.source import Source
from specs.language.text.yaml_tree import YamlPath, parse_number
from specs.property import Requirement
from specs.solved import Effect, Solved

PARAMETER = 1 << 60  # the variable that stands for the parameter; no input has so many elements
_GROWS, _SHRINKS = 1, -1


def starting_values(text: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Names that a file solves for, with a value to read the file at: the easy end of the range.

    A file that is not as it should be has none here; its reader says what is wrong with it.
    """
    if "solve_for" not in text:
        return {}
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        root = YAML(typ="safe", pure=True).compose(text)
        found = {}
        for requirement in _items(_entry(root, "require")):
            for name, section in _pairs(_entry(requirement, "solve_for")):
                ends = [_filled(end.value, parameters) for end in _items(_entry(section, "range"))]
                wanted = _entry(section, "maximize")
                largest = wanted is not None and wanted.value == "true"
                found[name] = ends[0 if largest else -1] if len(ends) == 2 else "0" if largest else "1"
        return found
    except (SpecError, YAMLError, ValueError, RecursionError, AttributeError, TypeError):
        return {}


def _pairs(node: Any) -> Iterator[tuple[str, Any]]:
    if getattr(node, "id", "") == "mapping":
        for key, value in node.value:
            yield str(key.value), value


def _entry(node: Any, key: str) -> Any:
    return dict(_pairs(node)).get(key)


def _items(node: Any) -> Sequence[Any]:
    return tuple(node.value) if getattr(node, "id", "") == "sequence" else ()


def _filled(text: str, parameters: Mapping[str, str]) -> str:
    return parameters.get(text.strip("${}"), text) if text.startswith("$") else text


def read_solved(section: SpecFile, source: Source, parameters: Mapping[str, str]) -> dict[str, Solved]:
    """What each requirement solves for, by its id; faults go to ``source``."""
    found: dict[str, Solved] = {}
    owners: dict[str, str] = {}
    for i, requirement in enumerate(section.require):
        path: YamlPath = ("require", i, "solve_for")
        if len(requirement.solve_for) > 1:
            source.fault("one parameter at a time", *path)
        for name, wanted in requirement.solve_for.items():
            if name in owners:
                source.fault(f"{owners[name]} solves for {name} already; choose another name", *path, name)
            owners[name] = requirement.id
            found[requirement.id] = _solved(name, wanted, source, (*path, name), parameters.get(name))
    return found


def _solved(name: str, wanted: SolveFor, source: Source, path: YamlPath, given: str | None) -> Solved:
    if wanted.maximize == wanted.minimize:
        source.fault("say either maximize: true or minimize: true", *path)
    lower, upper = wanted.range or (Fraction(0), None)
    value = lower if wanted.maximize else Fraction(1) if upper is None else upper
    if given is not None:
        try:
            number = parse_number(given)
        except OverflowError:
            number = None
        if number is None:
            source.fault(f"{given!r}, given for it, is no number", *path)
        elif number < lower or (upper is not None and number > upper):
            ends = f"[{exact(lower)}, {'...' if upper is None else exact(upper)}]"
            source.fault(f"{exact(number)}, given for it, lies outside the range {ends}", *path)
        value = number if number is not None else value
    return Solved(name, wanted.maximize, lower, upper, wanted.resolution, value, given is not None)


def with_values(expressions: Expressions, solved: Iterable[Solved]) -> Expressions:
    """The expressions, each name that is solved for a ``let`` with the value at which the file is read."""
    numbers = {one.name: parse_expression(format_decimal(one.value) or str(one.value)) for one in solved}
    return replace(expressions, lets={**numbers, **expressions.lets})


@dataclass(frozen=True)
class Solving:
    """What the effect of parameters is read off: all that requirements are compiled from."""

    source: Source
    expressions: Expressions
    poser: Poser
    solved: Mapping[str, Solved]

    def attached(self, requirements: Sequence[Requirement], section: SpecFile) -> tuple[Requirement, ...]:
        """The requirements with what they solve for; faults go to the source."""
        index = {one.id: i for i, one in enumerate(section.require)}
        for id, one in self.solved.items():
            self._check_owner(id, one, requirements, index)
        return tuple(
            replace(one, solved=self._with_effect(self.solved[one.id], one, index[one.id]))
            if one.id in self.solved
            else one
            for one in requirements
        )

    def _with_effect(self, solved: Solved, requirement: Requirement, i: int) -> Solved:
        sets = requirement.inputs.sets if isinstance(requirement.inputs, JointSet) else (requirement.inputs,)
        names = {one.name for one in sets if one is not None}
        uses = self.source.document.uses.get(solved.name, ())
        longer = self.source.document.longer  # such as 1/$t, which shrinks
        channels = self.poser.channels
        moving = {path for path in uses if channels is not None and channels.moves_levels(path)}
        signs = [None if path in longer or path in moving else _sign_of(path, names) for path in uses]
        own, rest = self._coefficients(solved.name, i)
        if own is None or rest is None or None in signs:
            return solved
        if not (own or rest or signs):
            path = ("require", i, "solve_for", solved.name)
            self.source.fault("does not occur in this requirement", *path)
            return solved
        sizes = {abs(c) for c in own}
        rate = sizes.pop() if len(sizes) == 1 and not rest and not signs else Fraction(0)
        larger_unsafe = {*(c < 0 for c in (*own, *rest)), *(sign == _GROWS for sign in signs)}
        effect: Effect = "unknown" if len(larger_unsafe) > 1 else "harder" if True in larger_unsafe else "easier"
        if effect == ("easier" if solved.maximize else "harder"):
            word, other = ("largest", "minimize") if solved.maximize else ("smallest", "maximize")
            self.source.fault(
                f"the {word} value is an end of the range, since larger ones only make it {effect}; {other} it",
                *("require", i, "solve_for", solved.name),
            )
        return replace(solved, effect=effect, rate=rate)

    def _coefficients(self, name: str, i: int) -> tuple[list[Fraction] | None, list[Fraction] | None]:
        """The parameter's coefficients in the atoms ``e <= 0`` of the unsafe set: in the negated assertion, and in the
        conditions on inputs. None where it does not enter affinely."""
        lets = {key: part for key, part in self.expressions.known_lets.items() if key != name}
        inputs = self.poser.inputs
        raw = [self.poser.raw(k) for k in range(len(inputs))]
        networks = _Watched(self.poser)
        scope, _ = scope_of(inputs, raw, lets, networks, {}, {name: Linear({PARAMETER: Fraction(1)}, {}, Fraction(0))})
        condition = self.expressions.asserts[i]
        located = [*self.expressions.where[i], *(part for linear in self.expressions.linear for part in linear)]
        try:
            assert condition is not None
            own = [*_coefficients(negate(compile_formula(condition, scope)))]
            rest = [c for part, _ in located for c in _coefficients(_compiled(part, scope))]
        except ExpressionFault:
            return None, None
        return (None, None) if networks.entered else (own, rest)

    def _check_owner(self, id: str, one: Solved, requirements: Sequence[Requirement], index: Mapping[str, int]) -> None:
        """A parameter belongs to one requirement: no other may depend on it, nor one that was added for a layer's
        bounds: these would be those of another set of inputs.
        """
        uses = self.source.document.uses.get(one.name, ())
        moved = {str(path[1]) for path in uses if path[0] == "inputs"}
        fronts = set[str]()
        if self.poser.channels is not None:
            moved |= {name for path in uses for name in self.poser.channels.moved(path)}
            fronts = {text for path in uses for text in self.poser.channels.told(path)}
        lets = self.expressions.known_lets
        for given, located in zip(self.poser.inputs, self.expressions.linear):
            if one.name in names_in([part for part, _ in located], lets):
                moved.add(given.name)
        for other in requirements:
            if other.id == id:
                continue
            i = index.get(other.id, index[id])
            parts = (
                []
                if other.id not in index
                else [self.expressions.asserts[i], *(part for part, _ in self.expressions.where[i])]
            )
            if one.name in names_in([part for part in parts if part is not None], lets) or fronts & {*other.where}:
                self.source.fault(f"{one.name} is solved for by {id}, and may be used there only", "require", i)
            sets = other.inputs.sets if isinstance(other.inputs, JointSet) else (other.inputs,)
            shared = moved & {inputs.name for inputs in sets if inputs is not None}
            for name in sorted(shared):
                subject = "" if other.id in index else f"{other.id} "
                self.source.fault(
                    f"{subject}is about {name} as well, which changes with {one.name}; put it into a file of its own",
                    *("require", i),
                )


class _Watched:
    """Networks, and whether any was called on the parameter: what follows from it is not affine."""

    def __init__(self, networks: Poser) -> None:
        self.networks, self.entered = networks, False

    @property
    def names(self) -> Sequence[str]:
        return self.networks.names

    def call(self, node: ast.Call, name: str, tap: str, arguments: Sequence[Argument]) -> Tensor:
        if any(_reads(term) for argument in arguments for term in argument.terms):
            self.entered = True
            raise ExpressionFault("the parameter enters a network", node.col_offset)
        return self.networks.call(node, name, tap, arguments)

    def derivative(self, node: ast.Call, name: str, input_name: str) -> Tensor:
        return self.networks.derivative(node, name, input_name)


def _reads(term: Term) -> bool:
    return any(map(_reads, term.parts)) if isinstance(term, Extreme) else PARAMETER in term.x


def _compiled(expression: Expression, scope: Scope) -> Formula:
    return compile_formula(expression, scope)


def _coefficients(formula: Formula) -> Iterator[Fraction]:
    """Those of the parameter that are not 0, in the atoms of a formula; none of its atoms is negated."""
    if isinstance(formula, Atom):
        yield from (value for variable, value in formula.x if variable == PARAMETER)
        return
    parts = (formula.disjunctive,) if isinstance(formula, Either) else formula.parts
    for part in parts:
        yield from _coefficients(part)


def _sign_of(path: YamlPath, inputs: set[str]) -> int | None:
    """What a larger number at ``path`` makes of the sets of inputs; None where nothing is known."""
    if path[:1] == ("models",) and path[2:] == ("front", "noise"):
        return _GROWS
    if len(path) < 4 or path[0] != "inputs":
        return None
    match path[2:4]:
        case ("ball", "eps") | ("box", "hi"):
            return _GROWS
        case ("box", "lo"):
            return _SHRINKS
    return None


def names_in(expressions: Sequence[Expression], lets: Mapping[str, Expression]) -> set[str]:
    """Names that expressions use, also those behind the names of ``let``."""
    found: set[str] = set()
    stack = list(expressions)
    while stack:
        new = {node.id for node in ast.walk(stack.pop().tree) if isinstance(node, ast.Name)} - found
        found |= new
        stack += [lets[name] for name in new if name in lets]
    return found
