"""``monitor:`` in a spec.yaml: the network that makes a certificate restricted to a hull true of a whole system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from specs.graph import Graph
from specs.hulls import Hull
from specs.hulls.monitor import monitor_graph
from specs.language.inputs.hull_domain import HullCondition
from specs.language.networks import Module
from specs.language.schema.file import Monitor
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.property import Requirement
from specs.sets import InputSet


@dataclass(frozen=True)
class MonitorPlan:
    """``graph`` computes what ``model`` does, and whether the activations are in the hulls of ``requirement``.

    ``conditions`` are what restricts the requirement besides the hulls. ``held_out`` is data in the raw units of
    ``inputs``, or None; ``built_on`` are the hashes of the files that the hulls were built on.
    """

    requirement: str
    model: str
    graph: Graph
    export: str
    conditions: tuple[str, ...]
    inputs: InputSet
    held_out: Path | None
    built_on: frozenset[str]


class MonitorCompiler:
    """Builds the monitor of a specification; faults go to ``source``."""

    def __init__(self, source: Source, modules: Sequence[Module], inputs: Sequence[InputSet], folder: Path) -> None:
        self.source, self.folder = source, folder
        self.modules = {module.name: module for module in modules}
        self.inputs = {one.name: one for one in inputs}

    def plan(
        self, section: Monitor, hulls: Mapping[str, tuple[HullCondition, ...]], requirements: Sequence[Requirement]
    ) -> MonitorPlan | None:
        """The monitor, or None after saying what is wrong with it."""
        own = hulls.get(section.from_, ())
        checked = self._checked(section, own, [one.id for one in requirements])
        if checked is None:
            return None
        module, inputs = checked
        try:
            graph = monitor_graph(module.graph, _by_node(own))
        except ValueError as error:
            self._fault(str(error), "from")
            return None
        texts = {one.text for one in own}
        (stated,) = (one for one in requirements if one.id == section.from_)
        conditions = tuple(text for text in stated.where if text not in texts)
        held_out = self.folder / section.held_out if section.held_out else None
        built_on = frozenset(one.sha256 for one in own)
        return MonitorPlan(stated.id, module.name, graph, section.export, conditions, inputs, held_out, built_on)

    def _checked(
        self, section: Monitor, own: Sequence[HullCondition], known: Sequence[str]
    ) -> tuple[Module, InputSet] | None:
        """The network to wrap and its input; None after saying what is wrong."""
        called_on = own[0].section.on or next(iter(self.inputs)) if own else ""
        if section.from_ not in known:
            self._fault(f"there is no requirement {section.from_!r}{did_you_mean(section.from_, known)}", "from")
        elif not own:
            self._fault(f"{section.from_} has no activation_hull under `where`: there is nothing to monitor", "from")
        elif len({(one.model, one.section.on) for one in own}) > 1:
            self._fault("its hulls are of several networks or calls; a monitor wraps one", "from")
        elif called_on not in self.inputs:
            self._fault(f"{own[0].model} is called on {called_on} there; a monitor needs an input", "from")
        elif Path(section.export).name != section.export or not section.export.endswith(".onnx"):
            self._fault("expected the name of a file, such as monitor.onnx, without a folder", "export")
        elif section.held_out and not (self.folder / section.held_out).is_file():
            self._fault(f"there is no file {self.folder / section.held_out}", "held_out")
        else:
            return self.modules[own[0].model], self.inputs[called_on]
        return None

    def _fault(self, message: str, key: str) -> None:
        self.source.fault(message, "monitor", key)


def _by_node(conditions: Sequence[HullCondition]) -> dict[str, Hull]:
    """All rows about one layer together."""
    found: dict[str, Hull] = {}
    for one in conditions:
        for tap in one.taps:
            before = found.get(tap.node)
            rows = (*before.rows, *tap.hull.rows) if before else tap.hull.rows
            found[tap.node] = Hull(tap.hull.kind, tap.hull.size, rows, tap.hull.points)
    return found
