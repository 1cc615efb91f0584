"""``adversary.expand_catastrophe``: what counts as a catastrophe beside the violation of a malign requirement.

P. Christiano (*Worst-case guarantees*, 2019) asks that an overseer may use what is known of a model's inside to count
more as a catastrophe than what comes out: that it thinks in a way that could lead to one. Of each malign requirement R
there is then a second one, R+, which says that R holds *and* that none of this happens:

- the condition ``counts_when``, in which the name of a probed layer stands for what it holds;
- that a catastrophe follows where what a layer holds is moved into the run on another input, the *context*, and R is
  asked of that run. Every call ``target(a)`` of R becomes one on the context, in which the layer holds what it held in
  ``target(a)``. Moving activations between runs is known as activation patching (Vig et al. 2020, Geiger et al. 2021).

R+ is an ordinary requirement: it is compiled, proved and checked as every other one.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from specs.language.compile_spec import Expressions
from specs.language.expressions.expression import TAP, Expression
from specs.language.networks import Module, Patched
from specs.language.schema.adversary import ExpandCatastrophe, Probe, Transfer
from specs.language.schema.file import NetworkFile, Overseer, SpecFile
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.language.text.yaml_tree import YamlPath
from specs.property import Requirement

PLUS = "+"
"""After the id of a requirement; no id of a file can contain it."""
PROBE = "probe"
COUNTS = "counts_when"
_COUNTED = "counts_when (adversary)"  # of a let; as are those of the context, it is no name that a file can use
PATH: YamlPath = ("adversary", "expand_catastrophe")
_IN_CONTEXT = "'"


@dataclass(frozen=True)
class Moved:
    """``model`` with its layer ``at`` as in another run, called ``name``."""

    name: str
    model: str
    at: str


@dataclass(frozen=True)
class Expansion:
    """The specification with further requirements; ``of`` has the id of the plain one by that of each of them."""

    section: SpecFile
    expressions: Expressions
    source: Source
    of: Mapping[str, str]
    moved: Moved | None = None
    words: str = ""

    def modules(self, modules: tuple[Module, ...]) -> tuple[Module, ...]:
        """The modules, and the one with the layer as in another run; faults go to ``source``."""
        if self.moved is None:
            return modules
        from specs.compose import internal_tensor

        (base,) = (one for one in modules if one.name == self.moved.model)
        try:
            node = base.taps.get(self.moved.at) or internal_tensor(base.graph, self.moved.at)
        except ValueError as error:
            hint = did_you_mean(self.moved.at, base.taps) if base.taps else ""
            self.source.fault(f"{base.name} {error}{hint}", *PATH, "transfer", "at")
            return modules
        fields = (base.kind, base.file, base.graph, base.outputs, base.taps, base.sees)
        return (*modules, Patched(self.moved.name, *fields, written_into=base.name, at=node))

    def attached(self, requirements: Sequence[Requirement]) -> tuple[Requirement, ...]:
        """The requirements, those that were added with what they are stronger than."""
        return tuple(
            replace(one, expands=self.of[one.id], counts=self.words) if one.id in self.of else one
            for one in requirements
        )


def with_probe(section: SpecFile, source: Source) -> tuple[SpecFile, Source]:
    """The section with the probe as one more overseer, and a source that knows where it stands."""
    expand = _expand(section)
    if expand is None:
        return section, source
    if expand.probe is None and expand.transfer is None and not expand.counts_when:
        source.fault("says not what counts; give counts_when, with a probe, or transfer", *PATH)
    if expand.probe is None:
        return section, source
    if not expand.counts_when:
        source.fault('says not when it counts; give counts_when, as in "probe(h2) >= 0.9"', *PATH, PROBE)
    if PROBE in section.overseers:
        source.fault("an overseer has the name probe already; choose another one for it", *PATH, PROBE)
        return section, source
    overseer = Overseer(network=NetworkFile(path=expand.probe.path, arch=None), outputs=expand.probe.outputs)
    section = section.model_copy(update={"overseers": {**section.overseers, PROBE: overseer}})
    positions = source.document.positions
    known = {path: where for path, where in positions.items() if path[:3] == (*PATH, PROBE)}
    more = {("overseers", PROBE, *path[3:]): where for path, where in known.items()}
    more |= {("overseers", PROBE, "network", *path[3:]): where for path, where in known.items()}
    return section, replace(source, document=replace(source.document, positions={**positions, **more}))


def expanded(section: SpecFile, expressions: Expressions, source: Source) -> Expansion:
    """The specification with a requirement R+ for each malign R, where it asks for that; faults go to ``source``."""
    expand = _expand(section)
    if expand is None:
        return Expansion(section, expressions, source, {})
    return _Expander(section, expressions, source, expand).made()


def _expand(section: SpecFile) -> ExpandCatastrophe | None:
    return None if section.adversary is None else section.adversary.expand_catastrophe


@dataclass
class _Expander:
    section: SpecFile
    expressions: Expressions
    source: Source
    expand: ExpandCatastrophe

    def made(self) -> Expansion:
        section, source, expand = self.section, self.source, self.expand
        lets: dict[str, Expression | None] = dict(self.expressions.lets)
        positions = dict(source.document.positions)
        if expand.counts_when:
            lets[_COUNTED] = self._counts_when()
            positions["let", _COUNTED] = source.document.position((*PATH, COUNTS))
        transfer, moved = expand.transfer, None
        if transfer is not None:
            moved = self._moved(transfer)
        run = None if moved is None or transfer is None else self._run(moved, transfer)
        if run is not None:
            primed = run.lets(self.expressions.known_lets)
            positions |= {("let", name): source.document.position(("let", name.rstrip(_IN_CONTEXT))) for name in primed}
            lets |= primed
        of: dict[str, str] = {}
        requirements, asserts = list(section.require), list(self.expressions.asserts)
        where, hulls = list(self.expressions.where), list(self.expressions.hulls)
        for i, one in enumerate(section.require):
            condition = self.expressions.asserts[i]
            if one.severity != "malign" or condition is None:
                continue
            if one.solve_for:
                source.fault(f"{one.id} is solved for; give the parameter a value to expand it", "require", i)
                continue
            parts, shown = self._parts(condition, run)
            if len(parts) < 2:
                continue
            path = ("require", len(requirements))
            positions |= {(*path, "assert"): source.document.position(("require", i, "assert")), path: positions[*PATH]}
            over = (*one.over, transfer.context) if one.over and transfer is not None else one.over
            requirements.append(one.model_copy(update={"id": one.id + PLUS, "over": over, "assert_": shown}))
            asserts.append(Expression(ast.BoolOp(ast.And(), parts, **_place(condition.tree)), condition.text, shown))
            where.append(self.expressions.where[i])
            hulls += [self.expressions.hulls[i]] if self.expressions.hulls else []
            of[one.id + PLUS] = one.id
        if not of and not source.faults.found:
            source.fault("there is no malign requirement to expand", *PATH)
        assume = [
            one.model_copy(update={"of": (*one.of, *(id + PLUS for id in one.of if id + PLUS in of))})
            for one in section.assume
        ]
        return Expansion(
            section.model_copy(update={"require": tuple(requirements), "assume": tuple(assume)}),
            replace(self.expressions, lets=lets, asserts=asserts, where=where, hulls=hulls),
            replace(source, document=replace(source.document, positions=positions)),
            of,
            moved,
            self._words(),
        )

    def _run(self, moved: Moved, transfer: Transfer) -> _Run:
        return _Run(moved, self._of(transfer, "transfer"), transfer, self.expressions.known_lets)

    def _parts(self, condition: Expression, run: _Run | None) -> tuple[list[ast.expr], str]:
        """What R+ demands, and how it is shown."""
        parts, shown = [condition.tree], f"({condition.text})"
        if self.expand.counts_when:
            place = _place(condition.tree)
            parts.append(ast.UnaryOp(ast.Not(), ast.Name(_COUNTED, ast.Load(), **place), **place))
            shown += f" and not ({self.expand.counts_when})"
        if run is not None and run.concerns(condition):
            parts.append(run.visit(deepcopy(condition.tree)))
            shown += f" and the same of the run on {run.transfer.context} with {run.moved.at} as here"
        return parts, shown

    def _words(self) -> str:
        """What R+ counts as a catastrophe, for reports."""
        expand, told = self.expand, []
        if expand.counts_when:
            layer = f" ({expand.probe.at}: that layer of {self._model(expand.probe, PROBE)})" if expand.probe else ""
            told.append(f"that {expand.counts_when}{layer}")
        if expand.transfer is not None:
            told.append(
                f"that it is violated in some run on {expand.transfer.context} in which "
                f"{expand.transfer.at} of {self._model(expand.transfer, 'transfer')} holds what it does here"
            )
        return ", and ".join(told)

    def _counts_when(self) -> Expression | None:
        """The condition, with the name of the probed layer made into what it holds."""
        condition = self.source.parse(self.expand.counts_when, *PATH, COUNTS)
        probe = self.expand.probe
        if condition is None or probe is None:
            return condition
        taken = {*self.section.inputs, *self.section.let, *self.section.models, *self.section.overseers}
        if probe.at in taken:
            self.source.fault(f"{probe.at!r} names something else already; give the layer another name", *PATH, PROBE)
            return None
        layer = _Layer(self._model(probe, PROBE), probe.at, self._of(probe, PROBE))
        return replace(condition, tree=layer.visit(deepcopy(condition.tree)))

    def _model(self, part: Probe | Transfer, key: str) -> str:
        """The model whose layer is meant."""
        models = self.section.models
        if part.model:
            if part.model not in models:
                hint = did_you_mean(part.model, models)
                self.source.fault(f"there is no model {part.model!r}{hint}", *PATH, key, "model")
            return part.model
        named = [name for name, one in models.items() if part.at in one.taps] or list(models)
        if len(named) != 1:
            self.source.fault(f"{part.at} of which model? Say `model`: {', '.join(named) or 'none'}", *PATH, key, "at")
        return named[0] if named else ""

    def _of(self, part: Probe | Transfer, key: str) -> str:
        """The input on which the layer is looked at."""
        inputs = self.section.inputs
        context = self.expand.transfer.context if self.expand.transfer is not None else None
        if part.of:
            if part.of not in inputs:
                self.source.fault(f"there is no input {part.of!r}{did_you_mean(part.of, inputs)}", *PATH, key, "of")
            return part.of
        plain = [name for name, one in inputs.items() if one.inject is None and name != context]
        if len(plain) > 1:
            plain = [name for name in plain if name in self._given(self._model(part, key))] or plain
        if len(plain) != 1:
            self.source.fault(f"of which input? Say `of`: {', '.join(plain) or 'none'}", *PATH, key)
        return plain[0] if plain else ""

    def _given(self, model: str) -> set[str]:
        """The names in what the model is called on, those among them that stand for expressions followed."""
        nodes = [node for one in self.expressions.all for node in ast.walk(one.tree) if isinstance(node, ast.Call)]
        given = [part for node in nodes if (n := _called(node)) is not None and n.id == model for part in node.args]
        found = {name.id for part in given for name in ast.walk(part) if isinstance(name, ast.Name)}
        for let, one in reversed(self.expressions.known_lets.items()):
            if let in found:
                found |= {name.id for name in ast.walk(one.tree) if isinstance(name, ast.Name)}
        return found

    def _moved(self, transfer: Transfer) -> Moved | None:
        """The model in the context; None after a fault."""
        inputs, model = self.section.inputs, self._model(transfer, "transfer")
        of, path = self._of(transfer, "transfer"), (*PATH, "transfer", "context")
        if transfer.context not in inputs:
            hint = did_you_mean(transfer.context, inputs)
            self.source.fault(f"there is no input {transfer.context!r}; give it under inputs{hint}", *path)
            return None
        if of in inputs and of not in self._given(model):
            self.source.fault(f"{model} is not called on {of}, so nothing is moved from there", *PATH, "transfer")
        if transfer.context == of or inputs[transfer.context].inject is not None:
            self.source.fault(f"{transfer.context} is no other input that {model} is called on", *path)
            return None
        if of in inputs and inputs[of].shape != inputs[transfer.context].shape:
            self.source.fault(f"{transfer.context} has another shape than {of}", *path)
        name, taken = f"{model}_with_{transfer.at}", {*self.section.models, *self.section.overseers}
        while name in taken:
            name += "_"
        return Moved(name, model, transfer.at)


class _Run(ast.NodeTransformer):
    """Expressions about ``of`` made into ones about the context, in whose runs the layer is as in those on ``of``."""

    def __init__(self, moved: Moved, of: str, transfer: Transfer, lets: Mapping[str, Expression]) -> None:
        self.moved, self.of, self.transfer = moved, of, transfer
        self.primed: set[str] = set()
        for name, part in lets.items():
            if self._reads(part, {of, moved.model}):
                self.primed.add(name)
        self.about = {moved.model}
        for name, part in lets.items():
            if self._reads(part, self.about):
                self.about.add(name)

    def _reads(self, part: Expression, names: Collection[str]) -> bool:
        known = {*names, *self.primed} if self.of in names else {*names}
        return any(isinstance(node, ast.Name) and node.id in known for node in ast.walk(part.tree))

    def concerns(self, condition: Expression) -> bool:
        """Whether the condition depends on what the model computes."""
        return self._reads(condition, self.about)

    def lets(self, lets: Mapping[str, Expression]) -> dict[str, Expression]:
        """Those of the context, each beside the one that it is made of."""
        return {
            name + _IN_CONTEXT: replace(part, tree=self.visit(deepcopy(part.tree)))
            for name, part in lets.items()
            if name in self.primed
        }

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id == self.of:
            node.id = self.transfer.context
        elif node.id in self.primed:
            node.id += _IN_CONTEXT
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        called = _called(node)
        if called is None or called.id != self.moved.model:
            if called is not None:  # a layer of another network: its name is no value
                node.args = [self.visit(part) for part in node.args]
                return node
            return self.generic_visit(node)
        layer = ast.Call(_tap(self.moved.model, self.moved.at, node), deepcopy(node.args), [], **_place(node))
        called.id = self.moved.name
        node.args = [*(self.visit(part) for part in node.args), layer]
        return node


class _Layer(ast.NodeTransformer):
    """The name of a layer made into what it holds when ``model`` is called on the input ``of``."""

    def __init__(self, model: str, layer: str, of: str) -> None:
        self.model, self.layer, self.of = model, layer, of

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id != self.layer:
            return node
        place = _place(node)
        return ast.Call(_tap(self.model, self.layer, node), [ast.Name(self.of, ast.Load(), **place)], [], **place)

    def visit_Call(self, node: ast.Call) -> Any:
        if _called(node) is not None:  # tap(model, layer) names a layer, too, but means it
            node.args = [self.visit(part) for part in node.args]
            return node
        return self.generic_visit(node)


def _called(node: ast.Call) -> ast.Name | None:
    """Where a call names the network it is of; None for none that is spelled right."""
    if isinstance(node.func, ast.Name):
        return node.func
    named = node.func.args[0] if isinstance(node.func, ast.Call) and node.func.args else None
    return named if isinstance(named, ast.Name) else None


def _tap(model: str, layer: str, at: ast.AST) -> ast.Call:
    place = _place(at)
    names = [ast.Name(name, ast.Load(), **place) for name in (model, layer)]
    return ast.Call(ast.Name(TAP, ast.Load(), **place), list(names), [], **place)


def _place(node: ast.AST) -> dict[str, Any]:
    """Where it stands, for nodes in its place."""
    keys = ("lineno", "col_offset", "end_lineno", "end_col_offset")
    return {key: getattr(node, key) for key in keys if hasattr(node, key)}
