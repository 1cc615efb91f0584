"""The requirements of a specification, compiled for a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from specs.graph import Graph
from specs.language.alternatives import NoPoint, Unbounded, cases_of
from specs.language.compile_expression import Scope, Value, compile_formula, compile_value
from specs.language.dnf import Dnf
from specs.language.expression import Expression, ExpressionFault
from specs.language.formula import And, Formula, negate, tighten, to_dnf
from specs.language.meaning import Meaning
from specs.language.schema import Requirement as RequirementSection
from specs.language.source import Source
from specs.language.tensor import Tensor
from specs.language.terms import Linear
from specs.language.yaml_tree import YamlPath
from specs.problem import Case, Problem
from specs.property import Requirement, why_vacuous
from specs.sets import InputSet

Located = tuple[tuple[Expression, YamlPath], ...]


@dataclass(frozen=True)
class Expressions:
    """The expressions of a file; ``None`` where one could not be read. ``asserts`` and ``where`` by requirement."""

    linear: Located
    lets: Mapping[str, Expression | None]
    asserts: Sequence[Expression | None]
    where: Sequence[Located]


class SpecCompiler:
    """Compiles requirements for one network and one set of inputs; faults go to ``source``."""

    def __init__(
        self,
        source: Source,
        expressions: Expressions,
        inputs: InputSet,
        model: str,
        output_names: tuple[str, ...],
        graph: Graph,
    ) -> None:
        self.source, self.expressions, self.inputs, self.graph = source, expressions, inputs, graph
        shape = graph.by_name[graph.outputs[0]].shape if len(graph.outputs) == 1 else (graph.output_size,)
        lets = tuple((name, part) for name, part in expressions.lets.items() if part is not None)
        linear = tuple(part for part, _ in expressions.linear)
        self.meaning = Meaning(inputs, model, shape, output_names, lets, linear)
        self.ball = inputs.ball_of_model()
        self.scope = self._scope()

    def requirements(self, sections: Sequence[RequirementSection]) -> tuple[Requirement, ...]:
        """One requirement per section, in order; none when something is wrong with the set of inputs."""
        domain: list[Dnf] = [(self.inputs.bounds(),)]
        domain += [self._dnf(part, *path) for part, path in self.expressions.linear]
        self.source.faults.raise_if_any()
        self._check_domain(domain)
        self.source.faults.raise_if_any()
        found = [self._requirement(i, one, domain) for i, one in enumerate(sections)]
        return tuple(one for one in found if one is not None)

    def _scope(self) -> Scope:
        """Names at the start of an expression: raw inputs in terms of what the model consumes, outputs, and ``let``."""
        inputs, meaning = self.inputs, self.meaning
        raw = [Linear({i: scale}, {}, mean) for i, (mean, scale) in enumerate(zip(inputs.mean, inputs.scale))]
        outputs = [Linear({}, {i: Fraction(1)}, Fraction(0)) for i in range(self.graph.output_size)]
        values: dict[str, Value] = {inputs.name: Tensor.of(raw, inputs.shape, inputs.names)}
        models = {meaning.model: {inputs.name: Tensor.of(outputs, meaning.output_shape, meaning.output_names)}}
        labels = {} if inputs.label is None else {inputs.name: inputs.label}
        scope = Scope(values, models, labels)
        for name, expression in meaning.lets:
            try:
                values[name] = compile_value(expression, scope)
            except ExpressionFault as fault:
                self.source.expression_fault(fault, "let", name)
                values[name] = And(())
        self.source.faults.raise_if_any()
        return scope

    def _formula(self, expression: Expression, *path: str | int) -> Formula:
        try:
            return compile_formula(expression, self.scope)
        except ExpressionFault as fault:
            self.source.expression_fault(fault, *path)
            return And(())

    def _dnf(self, expression: Expression, *path: str | int) -> Dnf:
        return self._expanded(self._formula(expression, *path), *path)

    def _expanded(self, formula: Formula, *path: str | int) -> Dnf:
        try:
            return to_dnf(formula)
        except OverflowError as error:
            self.source.fault(str(error), *path)
            return ()

    def _check_domain(self, domain: Sequence[Dnf]) -> None:
        """The set of inputs has to be bounded, and not plainly empty."""
        path = ("inputs", self.inputs.name)
        for conditions in domain[1:]:
            if any(atom.y for cube in conditions for atom in cube):
                self.source.fault("conditions on an input cannot use outputs", *path, "linear")
        try:
            cases_of(domain, self.inputs.size, self.inputs.element, self.ball)
        except NoPoint as error:
            self.source.fault(f"the sets do not intersect: {error.message}", *path)
        except (Unbounded, OverflowError) as error:
            self.source.fault(str(error), *path)

    def _requirement(self, i: int, section: RequirementSection, domain: Sequence[Dnf]) -> Requirement | None:
        path: YamlPath = ("require", i, "assert")
        condition, located = self.expressions.asserts[i], self.expressions.where[i]
        if condition is None:
            return None
        before = len(self.source.faults.found)
        set_with_where = [*domain, *(self._dnf(part, *own) for part, own in located)]
        unsafe = self._expanded(negate(tighten(self._formula(condition, *path), section.slack)), *path)
        if len(self.source.faults.found) > before:
            return None
        try:
            problem = Problem(self.graph, self._cases([*set_with_where, unsafe]))
            vacuous = why_vacuous(problem) if self._cases(set_with_where) else "`where` excludes every input"
        except OverflowError as error:
            self.source.fault(str(error), *path)
            return None
        where = tuple(part for part, _ in located)
        return Requirement(
            id=section.id,
            severity=section.severity,
            problem=problem,
            text=condition.text,
            line=self.source.document.position(path)[0],
            where=tuple(part.text for part in where),
            slack=section.slack,
            accept_class=section.accept_class,
            vacuous=vacuous,
            judge=None if section.slack else partial(self.meaning.is_violated, condition, where),
        )

    def _cases(self, constraints: Sequence[Dnf]) -> tuple[Case, ...]:
        """Cases of the unsafe set under ``constraints``; none when it is plainly empty."""
        try:
            return cases_of(constraints, self.inputs.size, self.inputs.element, self.ball)
        except NoPoint:
            return ()
