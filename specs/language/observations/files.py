"""The channels of a specification: sections ``front`` and ``abstract_by``, read into what the composition needs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from specs.errors import ModelError
from specs.graph import Graph
from specs.language.compile_spec import Expressions
from specs.language.networks import Module
from specs.language.observations.channels import Front, Hidden, without_words
from specs.language.observations.levels import Levels
from specs.language.schema.channels import Front as FrontSection
from specs.language.schema.channels import Quantize
from specs.language.schema.file import SpecFile
from specs.language.text.decimals import exact
from specs.language.text.source import Source
from specs.sets import InputSet

MOST_COMBINATIONS = 4096
"""Of levels, up to which each is a case of its own."""

AT = "@"
"""Between an input and who is given something else: no name of a specification has it."""


@dataclass
class ChannelReader:
    """Reads files with ``load``; faults go to ``source``. ``files`` are those that were read, as modules."""

    source: Source
    section: SpecFile
    inputs: Sequence[InputSet]
    expressions: Expressions
    folder: Path
    load: Callable[..., Graph]
    files: list[Module] = field(default_factory=list)

    def channels(self, modules: Sequence[Module]) -> tuple[dict[str, Front], list[Hidden]]:
        """The fronts by model, and the hidden inputs they bring along."""
        fronts: dict[str, Front] = {}
        hidden: list[Hidden] = []
        by_name = {module.name: module for module in modules}
        for name, model in self.section.models.items():
            if model.front is None:
                continue
            before = len(self.source.faults.found)
            front = self._front(name, model.front, by_name[name])
            if len(self.source.faults.found) == before:
                fronts[name] = front
                hidden += self._hidden(name, model.front, front.graph or by_name[name].graph)
        return fronts, hidden

    def _front(self, name: str, section: FrontSection, module: Module) -> Front:
        path = ("models", name, "front")
        if section == FrontSection():
            self.source.fault("says nothing; give quantize, noise, drop, project or network", *path)
        if section.quantize is not None and section.noise is not None:
            self.source.fault("noise and quantize together are not supported yet; give one of them", *path)
        if section.project and section.network:
            self.source.fault("say project or network, not both; the network may begin with the matrix", *path)
        if len(module.graph.inputs) != 1:
            self.source.fault(f"{name} has {len(module.graph.inputs)} inputs; a channel leads to one", *path)
        graph = self._graph(name, section)
        if graph is not None and graph.output_size != module.graph.input_size:
            what = "project" if section.project else "network"
            self.source.fault(
                f"gives {graph.output_size} values, but {name} takes {module.graph.input_size}", *path, what
            )
        drop = section.drop
        parts = []
        if drop is not None:
            shown = ", ".join(map(str, drop.indices[:8])) + (", ..." if len(drop.indices) > 8 else "")
            parts.append(f"elements {shown} set to {exact(drop.value)}")
        if section.project:
            parts.append(f"multiplied by the matrix of {section.project}")
        if section.network:
            parts.append(f"through the network {section.network}")
        return Front(
            f"{name} is given its input {', then '.join(parts)}" if parts else "",
            drop.indices if drop is not None else (),
            drop.value if drop is not None else Fraction(0),
            graph,
            section.quantize is not None or section.noise is not None,
        )

    def _graph(self, name: str, section: FrontSection) -> Graph | None:
        """The network of a channel, of one input and one output; that of a matrix is one product."""
        key = "project" if section.project else "network"
        text = section.project or section.network
        if not text:
            return None
        file = self.folder / text
        path = ("models", name, "front", key)
        try:
            graph = _product(file) if key == "project" and file.suffix == ".npy" else self.load(file)
        except (ModelError, ValueError, OSError) as error:
            self.source.fault(str(error), *path)
            return None
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            self.source.fault(f"has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; one of each", *path)
            return None
        self.files.append(Module(f"of {name}", "channel", file, graph))
        return graph

    def _hidden(self, name: str, section: FrontSection, graph: Graph) -> list[Hidden]:
        """What the model is given by rounding, or what is added, for every input that it is called on."""
        called = _called_on(name, self.expressions, self.inputs)
        found = []
        for k, one in enumerate(self.inputs):
            if one.role or one.name not in called or one.size != graph.input_size:
                continue
            if section.noise is not None:
                found.append(self._noise(name, k, one, section.noise))
            if section.quantize is not None:
                levels = self._levels(name, one, section.quantize)
                if levels is not None:
                    found.append(self._rounded(name, k, one, levels))
        return found

    def _noise(self, name: str, k: int, one: InputSet, eps: Fraction) -> Hidden:
        role = f"any noise of up to {exact(eps)} in each element, added to what {name} is given for {one.name}"
        given = without_words(one, f"noise{AT}{one.name}{AT}{name}", role, [-eps] * one.size, [eps] * one.size, True)
        return Hidden("noise", k, given, name)

    def _levels(self, name: str, one: InputSet, section: Quantize) -> tuple[Levels, ...] | None:
        path = ("models", name, "front", "quantize")
        box = self.section.inputs[one.name].box
        sides = []
        for key, given, own in (("lo", section.lo, box and box.lo), ("hi", section.hi, box and box.hi)):
            value = own if given is None else given
            if value is None:
                self.source.fault(f"{one.name} has no box: between which levels? Give lo and hi", *path)
                return None
            if isinstance(value, str):
                self.source.fault(f"the box of {one.name} has its ends from data; give lo and hi of the levels", *path)
                return None
            flat = list(_flatten(value)) if isinstance(value, tuple) else [value] * one.size
            if len(flat) != one.size:
                self.source.fault(f"{key} has {len(flat)} numbers for {one.size} elements of {one.name}", *path)
                return None
            sides.append(flat)
        empty = [i for i, (low, up) in enumerate(zip(*sides)) if low > up]
        if empty:
            self.source.fault(f"lo is above hi in element {empty[0]}", *path)
            return None
        return tuple(Levels(low, up, section.levels) for low, up in zip(*sides))

    def _rounded(self, name: str, k: int, one: InputSet, levels: tuple[Levels, ...]) -> Hidden:
        among = [level.numbers(low, up) for level, low, up in zip(levels, one.lower, one.upper)]
        count = prod(map(len, among))
        exactly = bool(one.points) or count <= MOST_COMBINATIONS
        inside = all(
            low is not None and up is not None and level.low <= low and up <= level.up
            for level, low, up in zip(levels, one.lower, one.upper)
        )
        ends = {(level.low, level.up) for level in levels}
        of = " in [" + "], [".join(f"{exact(low)}, {exact(up)}" for low, up in ends) + "]" if len(ends) == 1 else ""
        role = f"what {name} is given for {one.name}, rounded to the nearest of {levels[0].count} levels{of}, halves up"
        if exactly:
            role += "; every combination of levels is a case" if not one.points else ""
        else:
            role += (
                f"; RELAXED to anything between the lowest and the highest level, as there are {_many(count)} "
                "combinations"
            )
        lower = [level.level(own.start) for level, own in zip(levels, among)]
        upper = [level.level(own.stop - 1) for level, own in zip(levels, among)]
        given = without_words(one, f"{one.name}{AT}{name}", role, lower, upper)
        joined = not exactly and inside and _reads_raw(one.name, name, self.expressions)
        return Hidden("rounded", k, given, name, levels, exactly, joined)


def _product(file: Path) -> Graph:
    """The network that multiplies by the matrix in a file. Raises ``ValueError``."""
    from specs.compose import Composer
    from specs.graph import ops

    try:
        matrix = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from None
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "fiu" or not matrix.size:
        raise ValueError(f"{file} has to hold a matrix of numbers")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{file} holds numbers that are not finite")
    kept = matrix.astype(matrix.dtype if matrix.dtype in (np.float32, np.float64) else np.float64)
    composer = Composer()
    x = composer.input("x", (kept.shape[1],))
    return composer.build([x], [composer.add(ops.MatMul(), composer.constant(kept, "matrix"), x)])


def _called_on(model: str, expressions: Expressions, inputs: Sequence[InputSet]) -> set[str]:
    """Names in what a model, or a layer of it, is called on, also those behind names of ``let``."""
    lets = expressions.known_lets
    found: set[str] = set()
    stack: list[ast.AST] = [
        part
        for one in expressions.all
        for node in ast.walk(one.tree)
        if isinstance(node, ast.Call) and _is_of(node, model)
        for part in node.args
    ]
    hulls = [section for own in expressions.hulls for section, _ in own if section.model == model]
    found |= {section.on for section in hulls if section.on}
    found |= {one.name for one in inputs[:1] if any(not section.on for section in hulls)}
    while stack:
        new = {node.id for node in ast.walk(stack.pop()) if isinstance(node, ast.Name)} - found
        found |= new
        stack += [lets[name].tree for name in new if name in lets]
    return found


def _reads_raw(name: str, model: str, expressions: Expressions) -> bool:
    """Whether an input stands anywhere else than in a call of the model as its only argument."""
    for one in expressions.all:
        calls = [node for node in ast.walk(one.tree) if isinstance(node, ast.Call) and _is_of(node, model)]
        own = {id(node.args[0]) for node in calls if len(node.args) == 1}
        names = [node for node in ast.walk(one.tree) if isinstance(node, ast.Name) and node.id == name]
        if any(id(node) not in own for node in names):
            return True
    return False


def _is_of(node: ast.Call, model: str) -> bool:
    """Whether a call is one of the model, or of a layer of it."""
    called = node.func.args[0] if isinstance(node.func, ast.Call) and node.func.args else node.func
    return isinstance(called, ast.Name) and called.id == model


def _many(count: int) -> str:
    return f"{count:,}" if count < 10**9 else f"more than 10^{len(str(count)) - 1}"


def _flatten(value: Any) -> list[Fraction]:
    return [part for item in value for part in _flatten(item)] if isinstance(value, tuple) else [value]
