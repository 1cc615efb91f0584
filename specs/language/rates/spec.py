"""The statistical requirements of a spec.yaml: read, checked, and made ready to be asked."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from specs.graph import Graph
from specs.language.compile_spec import scope_of
from specs.language.composition import Composition
from specs.language.expressions.compile import compile_value
from specs.language.expressions.expression import Expression, ExpressionFault, parse_expression
from specs.language.expressions.scope import Value
from specs.language.expressions.tensor import Tensor
from specs.language.expressions.terms import Extreme, Linear, Term
from specs.language.gates import read_gates
from specs.language.inputs.coupling import couple
from specs.language.inputs.dataset import read_examples
from specs.language.inputs.input_set import build_input_set
from specs.language.module_files import ModuleReader
from specs.language.networks import Module
from specs.language.observations.refused import refuse_channels
from specs.language.rates.lifting import Asserted, asserts_of, lift_of
from specs.language.rates.part import asking, statistical_part
from specs.language.rates.question import Drawn, Evaluated, Lift, Program, StatisticalQuestion, StatisticalSpec
from specs.language.rates.relaxed import RelaxedTerms, check_alone, check_halves, kappa_of, relaxed_terms
from specs.language.rates.trained import NOTHING_TRAINED, with_networks
from specs.language.schema.faults import validated
from specs.language.schema.file import Overseer, SpecFile
from specs.language.schema.inputs import Input
from specs.language.schema.relaxed_checker import RelaxedChecker
from specs.language.schema.statistics import (
    Distribution,
    PythonOverseer,
    Statistical,
    StatisticalFile,
    StatisticalRequirement,
)
from specs.language.solve_for import starting_values
from specs.language.text.decimals import exact
from specs.language.text.faults import Faults
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.language.text.textfile import read_text
from specs.language.text.yaml_tree import read_yaml
from specs.sets import InputSet


def read_statistical_spec(
    path: Path,
    model: Path | None,
    parameters: Mapping[str, str],
    load: Callable[..., Graph],
    trained: Mapping[str, Path] = NOTHING_TRAINED,
) -> StatisticalSpec:
    """The statistical requirements; no program is executed. ``trained`` are the networks of surrogates, by name.

    Raises ``SpecError`` or ``ModelError``.
    """
    given = {**parameters, "MODEL": str(model)} if model is not None else dict(parameters)
    text = read_text(path)
    starts = starting_values(text, given)
    whole = read_yaml(text, path, {**starts, **given}, starts)
    document = statistical_part(whole)
    faults = Faults(path)
    section = validated(StatisticalFile, document, faults)
    source = Source(text.split("\n"), document, faults)
    reader = StatisticalReader(source, section, path.parent, model, load, trained)
    reader.asserts = asserts_of(whole)
    questions = [reader.question(i, one) for i, one in enumerate(section.require)]
    gates = read_gates(section, {}, source)
    check_alone(source, section, [one for one in questions if one is not None])
    faults.raise_if_any()
    seconds = section.engine.budget.seconds
    return StatisticalSpec(
        section.name,
        path,
        section.description,
        tuple(one for one in questions if one is not None),
        None if seconds is None else float(seconds),
        section.engine.seed or 0,
        gates,
    )


class StatisticalReader:
    """Reads what is asked of programs and of probabilities; surrogates that are not ``trained`` are left out."""

    def __init__(
        self,
        source: Source,
        section: StatisticalFile,
        folder: Path,
        model: Path | None,
        load: Callable[..., Graph],
        trained: Mapping[str, Path] = NOTHING_TRAINED,
    ) -> None:
        self.source, self.section, self.folder = source, section, folder
        document, faults = source.document, source.faults
        self.inputs = {
            name: build_input_set(name, one, document, faults, folder)
            for name, one in section.inputs.items()
            if isinstance(one, Input)
        }
        self.lets = {name: source.parse(text, "let", name) for name, text in section.let.items()}
        self.programs = {name: one for name, one in section.overseers.items() if isinstance(one, PythonOverseer)}
        ordinary_inputs = {name: one for name, one in section.inputs.items() if isinstance(one, Input)}
        refuse_channels(source, section.models, ordinary_inputs, "beside statistical requirements")
        faults.raise_if_any()
        overseers = {name: one for name, one in section.overseers.items() if isinstance(one, Overseer)}
        overseers = {name: one for name, one in overseers.items() if one.surrogate is None or name in trained}
        ordinary = SpecFile.model_construct(
            models=section.models,
            overseers=with_networks(overseers, trained),
            inputs={name: one for name, one in section.inputs.items() if isinstance(one, Input)},
            let=section.let,
        )
        self.modules = ModuleReader(source, folder, model, load)
        has_networks = bool(ordinary.models or ordinary.overseers)
        files = self.modules.files(ordinary) if has_networks else []
        faults.raise_if_any()
        self.networks = self.modules.all(files, ordinary) if has_networks else ()
        self.asserts: Mapping[str, Asserted] = {}
        for name in (one.overseer for module in self.networks for one in module.assumptions):
            source.fault("a rate allows for no error of a chain; give the model as network", "overseers", name, "chain")

    def question(self, i: int, one: StatisticalRequirement) -> StatisticalQuestion | None:
        """The question, None where something is wrong with it."""
        terms, path = one.statistical, ("require", i, "statistical")
        before = len(self.source.faults.found)
        self._check_class(i, one)
        found = self._laws(terms.distribution, *path, "distribution")
        event = self.source.parse(terms.event, *path, "event")
        if found is None or event is None:
            return None
        inputs, law, rows = found
        kappa = kappa_of(self.source, self.section, i, terms, rows)
        checker = self.section.engine.relaxed_checker if kappa is not None else None
        if kappa is not None and checker is not None:
            told = f"{checker.sees} has a density of at most {exact(kappa)} with respect to uniform states"
            law = f"P = {terms.nature}, under which {told}"
            terms = terms.model_copy(update={"method": "a relaxed checker"})
        elif kappa is not None:
            law = f"P = {terms.nature}, of a density of at most {exact(kappa)} with respect to {law}"
            terms = terms.model_copy(update={"method": "domination"})
        try:
            wanted, below, other = self._event(event)
            program = self._program(wanted)
            self._check_alone(wanted, program)
            if other is not None:
                self._check_alone(other, None)
                if checker is not None:
                    raise ExpressionFault("a relaxed checker stands for a program, as in panel(x, y) < 0", 0)
            relaxed = None if checker is None else self._relaxed(checker, program, below, inputs)
            against = None if other is None else self.evaluated([other], inputs)
            lift = self._lift(terms, other, *path)
            evaluated = self.evaluated(self._shown(wanted, program, inputs), inputs)
            numbers = evaluated if program is None else against
            if numbers is not None and [len(terms) for terms in numbers.vectors] != [1]:
                raise ExpressionFault("the event has to compare a single number", 0)
        except ExpressionFault as fault:
            self.source.expression_fault(fault, *path, "event")
            return None
        if program is not None and checker is None:
            self._check_budget(i, terms, program)
        if checker is None:
            self._check_size(i, terms, kappa or Fraction(1))
        if relaxed is not None and rows is not None and kappa is not None:
            check_halves(self.source, i, terms, kappa, len(rows), program)
        if len(self.source.faults.found) > before:
            return None
        return StatisticalQuestion(
            one.id,
            one.severity,
            event.text,
            self.source.document.position((*path, "event"))[0],
            below,
            program,
            evaluated,
            inputs,
            law,
            rows,
            terms,
            tuple((f"{module.kind} {module.name}", module.file) for module in self._behind(event)),
            kappa,
            relaxed,
            against,
            lift,
        )

    def _behind(self, event: Expression) -> list[Module]:
        """The networks that an event is about. Surrogates that it does not call are none of these."""
        lets = (self.lets[name] for name in self._read(event))
        trees = [event.tree, *(let.tree for let in lets if let is not None)]
        names = {part.id for tree in trees for part in ast.walk(tree) if isinstance(part, ast.Name)}
        return [module for module in self.networks if not module.stands_for or module.name in names]

    def _lift(self, terms: Statistical, other: Expression | None, *path: str | int) -> Lift | None:
        """What the requirement that is ``given`` makes of the event. Raises ``ExpressionFault``."""
        if not terms.given:
            return None
        if terms.given not in self.asserts:
            hint = did_you_mean(terms.given, self.asserts)
            self.source.fault(f"{terms.given!r} is no requirement about all inputs{hint}", *path, "given")
            return None
        found = lift_of(terms.given, self.asserts[terms.given], other)
        if isinstance(found, str):
            self.source.fault(found, *path, "given")
            return None
        return found

    def _relaxed(
        self, given: RelaxedChecker, program: Program | None, below: Fraction, inputs: Drawn
    ) -> RelaxedTerms | None:
        return relaxed_terms(
            self.source, self.folder, given, program, below, lambda sees: self.evaluated([sees], inputs)
        )

    def _check_alone(self, wanted: Expression, program: Program | None) -> None:
        """Answers of programs are compared with numbers and nothing else: an event is read off the ledger."""
        asking_lets = asking(self.section.let, list(self.programs))
        names = {part.id for part in ast.walk(wanted.tree) if isinstance(part, ast.Name)}
        asked = sorted(names & {*self.programs, *asking_lets} - {program.name if program is not None else ""})
        if asked:
            raise ExpressionFault(f"what {asked[0]} answers can only be compared, as in {asked[0]}(...) < 0", 0)

    def _check_class(self, i: int, one: StatisticalRequirement) -> None:
        told = self.section.gate.require_class.get(one.severity)
        if one.accept_class in ("exact", "sound"):
            self.source.fault(f"{one.accept_class}: sampling gives no such claim", "require", i, "accept_class")
        elif one.severity == "malign" and one.accept_class is None:
            why = "a malign requirement that is only sampled has to say so: add accept_class: statistical"
            self.source.fault(why, "require", i)
        if told in ("exact", "sound"):
            why = f"asks for {told} claims about {one.severity} requirements, and {one.id} is only sampled"
            self.source.fault(why, "gate", "require_class", one.severity)

    def _check_budget(self, i: int, terms: Statistical, program: Program) -> None:
        if terms.queries > program.budget.queries:
            why = f"more than the {program.budget.queries} that {program.name} may be asked"
            self.source.fault(why, "require", i, "statistical", "queries")

    def _check_size(self, i: int, terms: Statistical, kappa: Fraction) -> None:
        """With no failure at all, the bound of Clopper and Pearson, times kappa, has to reach the rate."""
        level = (1 - Fraction(terms.confidence)) / (2 if terms.sides == "both" else 1)
        if terms.method != "betting" and (1 - Fraction(terms.max_rate) / kappa) ** terms.queries > level:
            why = (
                f"even without any failure {terms.queries} draws do not show a rate of at most {exact(terms.max_rate)}"
            )
            self.source.fault(why, "require", i, "statistical", "queries")

    def _laws(self, names: Sequence[str], *path: str | int) -> tuple[Drawn, str, np.ndarray | None] | None:
        """The inputs, the law in words, and the examples it draws from, if it does."""
        found = [self._law(name, *path) for name in names]
        laws = [one for one in found if one is not None]
        if len(laws) < len(found):
            return None
        sets = tuple(inputs for inputs, _, _ in laws)
        if len(laws) > 1 and any(rows is not None for _, _, rows in laws):
            self.source.fault("several inputs are drawn uniformly only, not from examples", *path)
            return None
        if len({one.name for one in sets}) < len(sets):
            self.source.fault("two laws of the same input", *path)
            return None
        return Drawn(sets), " and, independently, ".join(words for _, words, _ in laws), laws[0][2]

    def _law(self, name: str, *path: str | int) -> tuple[InputSet, str, np.ndarray | None] | None:
        """The same of one input."""
        laws = {key: one for key, one in self.section.inputs.items() if isinstance(one, Distribution)}
        if name in laws:
            law, rows = laws[name].distribution, laws[name].distribution.sampler.rows
            inputs = self.inputs.get(law.of)
            if inputs is None:
                self.source.fault(f"{law.of!r} is no input", "inputs", name, "distribution", "of")
                return None
            if (law.sampler.uniform is None) == (not rows):
                self.source.fault("give one of uniform and rows", "inputs", name, "distribution", "sampler")
                return None
            return self._rows(inputs, rows, *path) if rows else self._uniform(inputs, *path)
        if name.lower().endswith(".npz") and len(self.inputs) == 1:
            (inputs,) = self.inputs.values()
            return None if inputs is None else self._rows(inputs, name, *path)
        hint = did_you_mean(name, laws) if laws else ""
        self.source.fault(f"{name!r} is no law under inputs, and no .npz file of the only input{hint}", *path)
        return None

    def _uniform(self, inputs: InputSet, *path: str | int) -> tuple[InputSet, str, None] | None:
        if (
            inputs.ball is not None
            or inputs.points
            or inputs.linear
            or inputs.role
            or None in (*inputs.lower, *inputs.upper)
        ):
            self.source.fault(f"{inputs.name} is no bounded box; uniform draws are from boxes only", *path)
            return None
        region = inputs.describe().removeprefix(f"{inputs.name}: ")
        return inputs, f"the uniform law on {{{region}}}", None

    def _rows(self, inputs: InputSet, name: str, *path: str | int) -> tuple[InputSet, str, np.ndarray] | None:
        try:
            examples = read_examples(self.folder / name)
        except ValueError as error:
            self.source.fault(str(error), *path)
            return None
        count, size = examples.inputs.shape
        if size != inputs.size:
            self.source.fault(f"{name} has examples of {size} elements, and {inputs.name} has {inputs.size}", *path)
            return None
        return inputs, f"the {count} examples of {name} sha256:{examples.sha256}, each as likely", examples.inputs

    def _event(self, event: Expression) -> tuple[Expression, Fraction, Expression | None]:
        """What is below the number, and the number; or a call of a program, 0, and what networks compute above it."""
        tree = event.tree
        if isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], (ast.Lt, ast.Gt)):
            sides = [tree.left, tree.comparators[0]]
            left, right = sides if isinstance(tree.ops[0], ast.Lt) else sides[::-1]
            value = _number(event, right)
            if value is not None:
                return parse_expression(ast.unparse(self._resolved(left))), value, None
            called = parse_expression(ast.unparse(self._resolved(left)))
            if self._program(called) is not None:
                return called, Fraction(0), parse_expression(event.text[right.col_offset : right.end_col_offset])
            return parse_expression(f"({ast.unparse(left)}) - ({ast.unparse(right)})"), Fraction(0), None
        raise ExpressionFault("an event is a strict comparison, as in panel(x, y) < 0", 0)

    def _resolved(self, node: ast.expr) -> ast.expr:
        """What a name under ``let`` stands for, where that is a call of a program."""
        let = self.lets.get(node.id) if isinstance(node, ast.Name) else None
        if let is not None and isinstance(let.tree, ast.Call) and isinstance(let.tree.func, ast.Name):
            return let.tree if let.tree.func.id in self.programs else node
        return node

    def _program(self, wanted: Expression) -> Program | None:
        tree = wanted.tree
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.func.id not in self.programs:
            return None
        return self.program(tree.func.id)

    def program(self, name: str) -> Program:
        """A program that can be asked; a fault where its file is not there."""
        one = self.programs[name]
        file, colon, function = one.python.rpartition(":")
        if not colon or not function.isidentifier() or not (self.folder / file).is_file():
            why = f"{one.python!r} is no FILE.py:FUNCTION of a file that is there"
            self.source.fault(why, "overseers", name, "python")
        ledger = self.folder / one.cache if one.cache else None
        return Program(name, f"{self.folder / file}:{function}", one.budget, one.deterministic, ledger)

    def _shown(self, wanted: Expression, program: Program | None, inputs: Drawn) -> list[Expression]:
        """What is to be evaluated: what a program is shown behind the draw, or all of it."""
        if program is None:
            return [wanted]
        call = wanted.tree
        assert isinstance(call, ast.Call)
        first, *others = inputs.sets
        if others:
            told = f"{program.name} is a program, which is shown a draw of one input: only networks can judge several"
            raise ExpressionFault(told, 0)
        if not call.args or not isinstance(call.args[0], ast.Name) or call.args[0].id != first.name:
            raise ExpressionFault(f"the first thing that {program.name} is shown has to be {first.name}", 0)
        return [parse_expression(ast.unparse(part)) for part in call.args[1:]]

    def evaluated(self, expressions: Sequence[Expression], inputs: Drawn) -> Evaluated:
        """The expressions over the networks they call, compiled as in any other requirement."""
        needed = {name for one in expressions for name in self._read(one)}
        lets = {name: part for name, part in self.lets.items() if part is not None and name in needed}
        sets, places = inputs.sets, range(len(inputs.sets))
        composition = Composition(self.networks, sets, couple(sets, ()), ())
        scope, faults = scope_of(sets, [composition.raw(k) for k in places], lets, composition, {})
        for name, fault in faults:
            self.source.expression_fault(fault, "let", name)
        vectors = tuple(_flat(compile_value(one, scope)) for one in expressions)
        slots = {slot for terms in vectors for term in terms for slot in _slots(term)}
        return Evaluated(inputs, composition.posed(places, slots) if slots else None, vectors)

    def _read(self, expression: Expression) -> set[str]:
        """The names under ``let`` that an expression needs, by way of others included."""
        found: set[str] = set()
        new = [expression]
        while new:
            names = {part.id for part in ast.walk(new.pop().tree) if isinstance(part, ast.Name)}
            for name in sorted(names & set(self.lets) - found):
                found.add(name)
                let = self.lets[name]
                new += [let] if let is not None else []
        return found


def _number(expression: Expression, node: ast.expr) -> Fraction | None:
    if isinstance(node, ast.Constant):
        return expression.number(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number(expression, node.operand)
        return None if value is None else -value
    return None


def _flat(value: Value) -> tuple[Term, ...]:
    if isinstance(value, (Linear, Extreme)):
        return (value,)
    if isinstance(value, Tensor) and all(isinstance(part, (Linear, Extreme)) for part in value.flat()):
        return tuple(value.flat())
    raise ExpressionFault("has to be a number or an array of numbers", 0)


def _slots(term: Term) -> set[int]:
    if isinstance(term, Extreme):
        return {slot for part in term.parts for slot in _slots(part)}
    return set(term.y)
