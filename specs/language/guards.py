"""``guard:`` in a spec.yaml: the network that refuses what a certificate is not about."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from specs.graph import Graph, ops
from specs.guards import EmptyGuard, Limits, guard_graph, limits_of
from specs.language.compile_spec import Expressions, NoNetworks, scope_of
from specs.language.expressions.compile import compile_formula
from specs.language.expressions.dnf import Atom
from specs.language.expressions.expression import ExpressionFault
from specs.language.expressions.formula import to_dnf
from specs.language.networks import Module, raw_terms
from specs.language.schema.guard import Guard
from specs.language.solve_for import names_in
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.property import Requirement
from specs.sets import InputSet


@dataclass(frozen=True)
class GuardPlan:
    """What is to be written once ``requirement`` is certified: ``graph`` answers as ``model`` does on its set.

    The set is the one for the value at which the file was read, of a parameter that is solved for. ``why`` says why
    there is no graph at that value; at another there may be one. ``held_out`` is data in the raw units of ``inputs``,
    or None.
    """

    requirement: str
    model: str
    graph: Graph
    limits: Limits | None
    export: str
    inputs: InputSet
    held_out: Path | None
    why: str = ""
    built_on: frozenset[str] = frozenset()

    def describe(self) -> str:
        """What it is, in words."""
        told = f"guard {self.export}: {self.model} where {self.inputs.name} is in the set of {self.requirement}"
        return f"{told}, abstains elsewhere"

    @property
    def bounds(self) -> str:
        """The intervals of the elements that pass, where there are few, as the network consumes them."""
        if self.limits is None or self.inputs.size > 8:
            return ""
        ends = zip(self.limits.lower, self.limits.upper)
        return ", ".join(f"{self.inputs.element(i)} in [{low!r}, {up!r}]" for i, (low, up) in enumerate(ends))


class GuardCompiler:
    """Builds the guard of a specification; faults go to ``source``."""

    def __init__(
        self,
        source: Source,
        expressions: Expressions,
        modules: Sequence[Module],
        inputs: Sequence[InputSet],
        folder: Path,
    ) -> None:
        self.source, self.expressions, self.inputs, self.folder = source, expressions, inputs, folder
        self.models = [module for module in modules if module.kind == "model"]

    def plan(self, section: Guard, ids: Sequence[str], requirements: Sequence[Requirement]) -> GuardPlan | None:
        """The guard, or None after saying what is wrong with it; ``ids`` are those in the file.

        None without a fault where ``requirements`` are a part of these and not the one it is from.
        """
        if not self._is_fine(section, ids) or section.from_ not in [one.id for one in requirements]:
            return None
        i, (inputs,), (model,) = ids.index(section.from_), self.inputs, self.models
        atoms = self._atoms(i, inputs)
        if atoms is None:
            return None
        graph, limits, why = model.graph, None, ""
        lower = [None if v is None else (v - m) / s for v, m, s in zip(inputs.lower, inputs.mean, inputs.scale)]
        upper = [None if v is None else (v - m) / s for v, m, s in zip(inputs.upper, inputs.mean, inputs.scale)]
        try:
            limits = limits_of(lower, upper, atoms, inputs.ball_of_model(), _format_of(graph))
            graph = guard_graph(graph, limits)
        except EmptyGuard as error:
            why = str(error)
        held_out = self.folder / section.held_out if section.held_out else None
        return GuardPlan(section.from_, model.name, graph, limits, section.export, inputs, held_out, why)

    def _is_fine(self, section: Guard, ids: Sequence[str]) -> bool:
        """Whether a guard can be made; else it is said why not."""
        before = len(self.source.faults.found)
        if section.from_ not in ids:
            self._fault(f"there is no requirement {section.from_!r}{did_you_mean(section.from_, ids)}", "from")
        elif self.expressions.hulls and self.expressions.hulls[ids.index(section.from_)]:
            self._fault("its set is a hull of activations: export a `monitor`, which computes these", "from")
        elif len(self.inputs) != 1 or self.inputs[0].role:
            self._fault("a guard looks at the one input of a model; here there are several, or one inside it", "from")
        elif self.inputs[0].points:
            self._fault("its set is finite: a guard would compare floats with each of its points", "from")
        elif len(self.models) != 1:
            self._fault(f"a guard wraps the one model of a file; here there are {len(self.models)}", "from")
        elif len(self.models[0].graph.inputs) != 1 or self.models[0].graph.input_size != self.inputs[0].size:
            self._fault(f"{self.models[0].name} has other inputs than {self.inputs[0].name}", "from")
        elif not all(self._is_on_input(node) for one in self.expressions.all for node in ast.walk(one.tree)):
            called, on = self.models[0].name, self.inputs[0].name
            self._fault(
                f"{called} is called on something else than {on}, which no guard in front of it is shown", "from"
            )
        if Path(section.export).name != section.export or not section.export.endswith(".onnx"):
            self._fault("expected the name of a file, such as guard.onnx, without a folder", "export")
        if section.held_out and not (self.folder / section.held_out).is_file():
            self._fault(f"there is no file {self.folder / section.held_out}", "held_out")
        return len(self.source.faults.found) == before

    def _is_on_input(self, node: ast.AST) -> bool:
        """Whether the node is no call of the model, or one on the input as it is."""
        if not isinstance(node, ast.Call):
            return True
        function = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if not isinstance(function, ast.Name) or function.id != self.models[0].name:
            return True
        return [ast.unparse(part) for part in node.args] == [self.inputs[0].name]

    def _atoms(self, i: int, inputs: InputSet) -> list[Atom] | None:
        """The conditions on inputs, all of which hold, in what the network consumes; None after telling a fault."""
        raw = raw_terms(inputs, range(inputs.size))
        lets = self.expressions.known_lets
        scope, computed = scope_of([inputs], [raw], lets, NoNetworks(), {})
        behind = {name for name, _ in computed}  # names of what networks compute
        found: list[Atom] = []
        for expression, path in (*self.expressions.linear[0], *self.expressions.where[i]):
            try:
                cubes = () if names_in([expression], lets) & behind else to_dnf(compile_formula(expression, scope))
            except ExpressionFault:
                cubes = ()
            if not cubes:
                self.source.fault("a guard decides before anything is computed: this is no condition on inputs", *path)
                return None
            if len(cubes) != 1:
                self.source.fault("a guard decides conditions all of which hold, not alternatives", *path)
                return None
            found += cubes[0]
        return found

    def _fault(self, message: str, key: str) -> None:
        self.source.fault(message, "guard", key)


def _format_of(graph: Graph) -> np.dtype:
    """The type of real numbers in the file that will be written: float32 if it holds all constants."""
    wide = any(isinstance(node.op, ops.Constant) and node.op.value.dtype == np.float64 for node in graph.nodes)
    return np.dtype(np.float64 if wide else np.float32)
