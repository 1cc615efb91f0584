"""The requirements of a specification, compiled for what it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import chain, product
from pathlib import Path

from specs.joint import PartialBall
from specs.language.assumptions import sensitivities
from specs.language.composition import Composition
from specs.language.expressions.alternatives import NoPoint, Unbounded, cases_of
from specs.language.expressions.compile import compile_formula, compile_value
from specs.language.expressions.dnf import Dnf
from specs.language.expressions.expression import Expression, ExpressionFault
from specs.language.expressions.formula import And, Formula, negate, tighten, to_dnf
from specs.language.expressions.scope import Argument, Networks, Scope, Value
from specs.language.expressions.tensor import Tensor
from specs.language.expressions.terms import Linear
from specs.language.inputs.coupling import Coupling, couple
from specs.language.inputs.hull_domain import HullCompiler, HullCondition, LocatedHull, on_hulls
from specs.language.inputs.naturals import Naturals
from specs.language.meaning import Meaning
from specs.language.networks import Posed, Poser, raw_terms
from specs.language.observations.channels import Channels
from specs.language.schema.file import Requirement as RequirementSection
from specs.language.tables.answers import AnswerSet, decided, finite_sets, ties
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.language.text.yaml_tree import YamlPath
from specs.problem import Case, Problem
from specs.property import Requirement, why_vacuous
from specs.sets import InputSet

Located = tuple[tuple[Expression, YamlPath], ...]


@dataclass(frozen=True)
class Expressions:
    """The expressions of a file; ``None`` where one could not be read.

    ``linear`` by the input under which they stand, ``asserts``, ``where`` and ``hulls`` by requirement.
    """

    linear: Sequence[Located]
    lets: Mapping[str, Expression | None]
    asserts: Sequence[Expression | None]
    where: Sequence[Located]
    hulls: Sequence[Sequence[LocatedHull]] = ()

    @property
    def known_lets(self) -> dict[str, Expression]:
        return {name: part for name, part in self.lets.items() if part is not None}

    @property
    def all(self) -> Iterable[Expression]:
        """Every expression that could be read."""
        located = chain(*self.linear, *self.where)
        return chain(self.known_lets.values(), (e for e in self.asserts if e is not None), (e for e, _ in located))


class SpecCompiler:
    """Compiles requirements about what ``poser`` calls; faults go to ``source``."""

    def __init__(
        self,
        source: Source,
        expressions: Expressions,
        poser: Poser,
        groups: Sequence[frozenset[int]],
        folder: Path = Path(),
        naturals: Naturals | None = None,
    ) -> None:
        self.source, self.expressions, self.poser, self.groups = source, expressions, poser, groups
        self.naturals = naturals or Naturals(source, poser)
        self.inputs, self.channels = poser.inputs, poser.channels or Channels()
        self.meaning = Meaning(poser, expressions.known_lets)
        self.answers = answers_of(poser)
        self.scopes = [(labels, self._scope(labels)) for labels in self._labels()]
        self.compiler_of_hulls = HullCompiler(source, poser, folder)
        self.hulls: dict[str, tuple[HullCondition, ...]] = {}

    def requirements(self, sections: Sequence[RequirementSection], only: str = "") -> tuple[Requirement, ...]:
        """One requirement per section, in order; none when something is wrong with the set of inputs.

        ``only`` is the id of the only one that is wanted.
        """
        _, scope = self.scopes[0]
        self.linear = [[self._dnf(part, scope, *path) for part, path in located] for located in self.expressions.linear]
        self.source.faults.raise_if_any()
        for i, condition in enumerate(self.expressions.asserts):
            if condition is not None and not condition.shown:  # what is shown otherwise is made of these
                self._formula(condition, scope, "require", i, "assert")  # now all calls are known
        self.naturals.build(self._of_domain)
        self.source.faults.raise_if_any()
        self._check_domain()
        self.source.faults.raise_if_any()
        found = [self._requirement(i, one) for i, one in enumerate(sections) if only in ("", one.id)]
        if any(one is not None and one.id in self.naturals.ids for one in found):
            self.source.fault(f"{' and '.join(self.naturals.ids)} is the id of a requirement that is added", "require")
        exact = {one.covered_by for one in found if one is not None and one.concrete and one.accept_class == "exact"}
        added = [
            replace(one, accept_class="exact") if one.id in exact else one
            for one in self.naturals.requirements(self._of_domain)
        ]
        return (*(one for one in found if one is not None), *(one for one in added if only in ("", one.id)))

    def _labels(self) -> list[dict[str, int]]:
        """Labels by input where examples with different ones are asked for theirs: each is a question of its own."""
        asked = {
            part.args[0].id
            for one in self.expressions.all
            for part in ast.walk(one.tree)
            if isinstance(part, ast.Call)
            and isinstance(part.func, ast.Name)
            and part.func.id == "label"
            and part.args
            and isinstance(part.args[0], ast.Name)
        }
        known = {one.name: sorted(set(one.labels)) for one in self.inputs if one.name in asked and one.labels}
        return [dict(zip(known, labels)) for labels in product(*known.values())]

    def _scope(self, labels: Mapping[str, int]) -> Scope:
        """Names at the start of an expression: raw inputs in terms of what networks consume, and ``let``."""
        raw = [self.poser.raw(k) for k in range(len(self.inputs))]
        scope, faults = scope_of(self.inputs, raw, self.expressions.known_lets, self.poser, labels)
        for name, fault in faults:
            self.source.expression_fault(fault, "let", name)
        self.source.faults.raise_if_any()
        return scope

    def _formula(self, expression: Expression, scope: Scope, *path: str | int) -> Formula:
        try:
            return compile_formula(expression, scope)
        except ExpressionFault as fault:
            self.source.expression_fault(fault, *path)
            return And(())

    def _dnf(self, expression: Expression, scope: Scope, *path: str | int) -> Dnf:
        return self._expanded(self._formula(expression, scope, *path), *path)

    def _expanded(self, formula: Formula, *path: str | int) -> Dnf:
        try:
            return to_dnf(formula)
        except OverflowError as error:
            self.source.fault(str(error), *path)
            return ()

    def _check_domain(self) -> None:
        """The set of inputs has to be bounded, and not plainly empty."""
        for k, conditions in enumerate(self.linear):
            if any(atom.y for dnf in conditions for cube in dnf for atom in cube):
                self.source.fault("conditions on an input cannot use outputs", "inputs", self.inputs[k].name, "linear")
        self.source.faults.raise_if_any()
        for group in dict.fromkeys(self.groups):
            members = sorted(group)
            posed = self.poser.posed(members, ())
            path = ("inputs", self.inputs[members[0]].name) if len(members) == 1 else ("inputs",)
            try:
                self._all_cases(posed, self._domain(members, posed, {}))
            except NoPoint as error:
                self.source.fault(f"the sets do not intersect: {error.message}", *path)
            except (Unbounded, OverflowError, PartialBall) as error:
                self.source.fault(str(error), *path)

    def _domain(self, members: Sequence[int], posed: Posed, labels: Mapping[str, int]) -> list[Dnf]:
        """The sets of these inputs, their examples with these ``labels``, and the conditions under them."""
        sets = [(posed.inputs.bounds(),), *finite_sets(posed, labels)]
        written = [_moved(dnf, posed) for k in members for dnf in self.naturals.of_input(k)]
        joined = [_moved(dnf, posed) for dnf in self.channels.conditions(members)]
        return [*sets, *written, *joined, *(_moved(dnf, posed) for k in members for dnf in self.linear[k])]

    def _of_domain(self, slots: Sequence[int], fails: Dnf) -> tuple[Posed, tuple[Case, ...]]:
        """The inputs that the slots depend on, and the cases in which none of ``fails`` is true of what they hold."""
        read = self.poser.read((), slots)
        members = sorted({member for k in read for member in self.groups[k]})
        posed = self.poser.posed(members, slots)
        return posed, self._all_cases(posed, [*self._domain(members, posed, {}), _moved(fails, posed)])

    def _requirement(self, i: int, section: RequirementSection) -> Requirement | None:
        path: YamlPath = ("require", i, "assert")
        condition, located = self.expressions.asserts[i], self.expressions.where[i]
        if condition is None:
            return None
        before = len(self.source.faults.found)
        located_hulls = self.expressions.hulls[i] if self.expressions.hulls else ()
        hulls = self.compiler_of_hulls.conditions(located_hulls, self.scopes[0][1])
        stated = [self._formula(condition, scope, *path) for _, scope in self.scopes]
        tightened = [tighten(formula, section.slack, self.answers) for formula in stated]
        slack = section.slack if tightened != stated else Fraction(0)  # nothing that is about inputs alone holds by it
        conditions = [
            (
                labels,
                [*(self._dnf(part, scope, *own) for part, own in located), *(one.dnf for one in hulls)],
                self._expanded(negate(formula), *path),
            )
            for (labels, scope), formula in zip(self.scopes, tightened)
        ]
        constraints = [dnf for _, where, unsafe in conditions for dnf in (*where, unsafe)]
        natural = self.naturals.of_slots(slots_of(constraints))
        for _, where, _ in conditions:
            where += natural.dnfs
        constraints += natural.dnfs
        if any(
            c > 0 and self.poser.is_estimate(s) for dnf in constraints for cube in dnf for a in cube for s, c in a.y
        ):
            self.source.fault("the size of a derivative can only be bounded from above, as in lipschitz(f) <= 2", *path)
        members = self._quantified(i, section, constraints)
        if len(self.source.faults.found) > before:
            return None
        posed = on_hulls(self.poser.posed(members, slots_of(constraints)), self.poser, hulls)
        try:
            domains = [
                [*self._domain(members, posed, labels), *(_moved(dnf, posed) for dnf in where)]
                for labels, where, _ in conditions
            ]
            unsafe = [_moved(unsafe, posed) for _, _, unsafe in conditions]
            cases = [self._cases(posed, [*domain, fails]) for domain, fails in zip(domains, unsafe)]
            regions = [self._cases(posed, domain) for domain in domains]
            problem = Problem(posed.graph, tuple(chain(*cases)) or decided(posed, tuple(chain(*regions))))
            vacuous = why_vacuous(problem) if any(regions) else "`where` excludes every input"
        except (OverflowError, PartialBall) as error:
            self.source.fault(str(error), *path)
            return None
        concrete = self._concrete(posed, members, [([*where, unsafe], labels) for labels, where, unsafe in conditions])
        own = tuple(part for part, _ in located)
        linear = tuple(part for k in members for part, _ in self.expressions.linear[k])
        further = (*linear, *own)
        self.hulls[section.id] = tuple(hulls)
        judge = partial(self.meaning.is_violated, posed, condition, further, [one.holds for one in hulls])
        judge = partial(natural.judged, posed, judge)
        judge = partial(self.channels.judged, posed, judge)
        found = Requirement(
            id=section.id,
            severity=section.severity,
            problem=problem,
            text=condition.shown or condition.text,
            line=self.source.document.position(path)[0],
            where=(*(part.text for part in own), *(one.text for one in hulls), *natural.texts, *self.poser.told(posed)),
            slack=slack,
            accept_class=section.accept_class,
            vacuous=vacuous,
            decided=bool(problem.cases) and not any(cases),
            inputs=posed.inputs,
            output_names=posed.names,
            covered_by=natural.covered_by([*own, *hulls]),
            sensitivity=sensitivities(problem.cases, self.poser.answers(posed)),
            kinks=self.poser.kinks(posed),
            meant=self.channels.meant(posed, partial(self.meaning.in_domain, posed, linear)),
            judge=None if slack else judge,
        )
        if concrete is None:
            return found
        texts = tuple(text for text in found.where if text not in natural.texts)
        return replace(found, concrete=self._on_inputs(found, concrete, condition, own, texts))

    def _concrete(
        self, posed: Posed, members: Sequence[int], conditions: Sequence[tuple[Sequence[Dnf], Mapping[str, int]]]
    ) -> tuple[Posed, Problem, list[int]] | None:
        """The question with the abstraction in it instead of what it may give, and its inputs; None without one."""
        replaced = {seen: k for k, seen in self.channels.abstracted.items() if seen in members}
        if not replaced:
            return None
        assert isinstance(self.poser, Composition)
        meant = {other for k in replaced.values() for other in self.groups[k]}
        inputs = sorted({*members, *meant} - set(replaced))
        found = self.poser.concrete(posed, inputs)
        cases = [
            self._cases(found, [*self._domain(inputs, found, labels), *(_moved(dnf, found) for dnf in dnfs)])
            for dnfs, labels in conditions
        ]
        return found, Problem(found.graph, tuple(chain(*cases))), inputs

    def _on_inputs(
        self,
        stated: Requirement,
        concrete: tuple[Posed, Problem, list[int]],
        condition: Expression,
        own: Sequence[Expression],
        where: tuple[str, ...],
    ) -> Requirement:
        """The requirement that an abstracted one is there for."""
        posed, problem, inputs = concrete
        linear = (part for k in inputs for part, _ in self.expressions.linear[k])
        judge = partial(self.meaning.is_violated, posed, condition, (*linear, *own), [])
        return replace(
            stated,
            problem=problem,
            inputs=posed.inputs,
            output_names=posed.names,
            covered_by="",
            where=where,
            judge=None if stated.slack else judge,
        )

    def _quantified(self, i: int, section: RequirementSection, constraints: Sequence[Dnf]) -> list[int]:
        """The inputs that a requirement is about: those it reads or names, and all that conditions couple with them."""
        atoms = [atom for dnf in constraints for cube in dnf for atom in cube]
        read = self.poser.read({v for atom in atoms for v, _ in atom.x}, {s for atom in atoms for s, _ in atom.y})
        names = [one.name for one in self.inputs]
        unknown = [name for name in section.over if name not in names]
        for name in unknown:
            self.source.fault(f"{name!r} is no input{did_you_mean(name, names)}", "require", i, "over")
        named = {names.index(name) for name in section.over if name in names}
        start = named or read or range(len(names))
        answers = {k for k, one in enumerate(self.inputs) if isinstance(one, AnswerSet)}
        hidden = set(self.channels.numbers)
        wanted = {member for k in {*start, *(hidden & read)} for member in self.groups[k]} - (answers - read)
        for k in self.channels.abstracted.keys() & read:
            self.source.fault(
                f"{names[k]} is read beside what its abstraction makes of it, which says nothing about it; restrict it "
                "under linear, and let requirements read networks that are called on it",
                *("require", i, "assert"),
            )
        added = hidden | answers
        forgotten = sorted((read | wanted) - named - added) if section.over and not unknown else []
        for k in forgotten:
            why = "the requirement reads it" if k in read else f"it is coupled with {' and '.join(section.over)}"
            self.source.fault(f"{names[k]} is missing here: {why}", "require", i, "over")
        return sorted(wanted)

    def _cases(self, posed: Posed, constraints: Sequence[Dnf]) -> tuple[Case, ...]:
        """Cases of the unsafe set under ``constraints``; none when it is plainly empty."""
        try:
            return self._all_cases(posed, constraints)
        except NoPoint:
            return ()

    def _all_cases(self, posed: Posed, constraints: Sequence[Dnf]) -> tuple[Case, ...]:
        return cases_of(constraints, posed.n_inputs, posed.element, posed.inputs.ball_of_model())


def answers_of(poser: Poser) -> frozenset[int]:
    """The variables that stand for what answer tables say."""
    if not isinstance(poser, Composition):
        return frozenset()
    sets = zip(poser.inputs, poser.coupling.places)
    return frozenset(place for one, places in sets if isinstance(one, AnswerSet) for place in places)


def slots_of(constraints: Sequence[Dnf]) -> set[int]:
    """What networks compute that the constraints read."""
    return {slot for dnf in constraints for cube in dnf for atom in cube for slot, _ in atom.y}


def scope_of(
    inputs: Sequence[InputSet],
    raw: Sequence[Sequence[Linear]],
    lets: Mapping[str, Expression],
    networks: Networks,
    labels: Mapping[str, int],
    more: Mapping[str, Value] | None = None,
) -> tuple[Scope, list[tuple[str, ExpressionFault]]]:
    """The scope of all expressions, and what is wrong with each ``let`` that cannot be compiled.

    ``labels`` are those of inputs that are examples with different ones; ``more`` are names beside inputs and ``let``.
    """
    values: dict[str, Value] = dict(more or {})
    values |= {one.name: Tensor.of(terms, one.shape, one.names) for one, terms in zip(inputs, raw)}
    known = {one.name: one.label for one in inputs if one.label is not None}
    scope = Scope(values, networks, {**known, **labels})
    faults = []
    for name, expression in lets.items():
        try:
            values[name] = compile_value(expression, scope)
        except ExpressionFault as fault:
            faults.append((name, fault))
            values[name] = And(())
    return scope, faults


def coupling_of(inputs: Sequence[InputSet], expressions: Expressions) -> Coupling:
    """What the conditions under the inputs couple. Conditions that cannot be compiled couple nothing."""
    starts = [sum(one.size for one in inputs[:k]) for k in range(len(inputs))]
    raw = [raw_terms(one, range(start, start + one.size)) for one, start in zip(inputs, starts)]
    scope, _ = scope_of(inputs, raw, expressions.known_lets, NoNetworks(), {})
    found = []
    for k, located in enumerate(expressions.linear):
        for part, _ in located:
            try:
                found.append((k, compile_formula(part, scope)))
            except ExpressionFault:
                continue  # compiled again, with a place to tell of it, once it is known what can be called
    return couple(inputs, [*found, *ties(inputs)])


class NoNetworks:
    """Nothing to call: conditions on inputs are about inputs."""

    names: Sequence[str] = ()

    def call(self, node: ast.Call, name: str, tap: str, arguments: Sequence[Argument]) -> Tensor:
        raise ExpressionFault("there is nothing to call here", node.col_offset)

    def derivative(self, node: ast.Call, name: str, input_name: str) -> Tensor:
        raise ExpressionFault("there is nothing to call here", node.col_offset)


def _moved(dnf: Dnf, posed: Posed) -> Dnf:
    """The constraints in the variables of the posed network."""
    if posed.variables is None and posed.slots is None:
        return dnf
    return tuple(tuple(atom.moved(posed.variables, posed.slots) for atom in cube) for cube in dnf)
