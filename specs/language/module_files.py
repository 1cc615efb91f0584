"""The networks that a spec.yaml names: models and learned overseers, read from their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from specs.errors import SpecError
from specs.graph import Graph
from specs.hashes import sha256_of
from specs.language.networks import Module
from specs.language.schema.file import Model, NetworkFile, Overseer, SpecFile, Symbolic
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.language.text.yaml_tree import YamlPath
from specs.sets import InputSet


@dataclass(frozen=True)
class ModuleFile:
    """Where a network is; ``path`` is that of its section in the specification."""

    name: str
    kind: str
    file: Path
    section: NetworkFile
    path: YamlPath


class ModuleReader:
    """Reads networks with ``load``; ``model`` is the value of ``$MODEL``; faults go to ``source``."""

    def __init__(self, source: Source, folder: Path, model: Path | None, load: Callable[..., Graph]) -> None:
        self.source, self.folder, self.model, self.load = source, folder, model, load
        self.read: tuple[Module, ...] = ()
        self.cores: list[Module] = []

    def files(self, section: SpecFile) -> list[ModuleFile]:
        """The files of all networks, after checking their hashes."""
        found = [self._file(name, "model", one, ("models", name)) for name, one in section.models.items()]
        for name, overseer in section.overseers.items():
            path: YamlPath = ("overseers", name)
            ways = (overseer.network, overseer.symbolic, overseer.table, overseer.chain)
            if overseer.surrogate is not None and overseer.network is None:
                told = f"is learned from answers of {overseer.surrogate.of}, by certify; nothing is learned here"
                self.source.fault(told, *path, "surrogate")
            elif not any(one is not None for one in ways):
                self.source.fault("says nothing about how it judges; give its network, or its symbolic core", *path)
            elif overseer.table is not None or overseer.chain is not None:
                self._of_other_file(name, overseer, section)
            elif overseer.network is not None and overseer.symbolic is not None:
                self.source.fault("has a network and a symbolic core; give one of them", *path)
            elif overseer.symbolic is not None:
                self._symbolic(name, overseer, overseer.symbolic, section)
            elif overseer.network is not None:
                found.append(self._file(name, "overseer", overseer.network, (*path, "network")))
                self._check_names(name, overseer, section)
        if not found and not section.overseers:
            self.source.fault("there is no network: give models", "models")
        learned = any(overseer.surrogate is not None for overseer in section.overseers.values())
        if len(found) == 1 and self.model is not None and (found[0].kind == "model" or not (self.cores or learned)):
            (one,) = found
            found = [ModuleFile(one.name, one.kind, self.model, one.section, one.path)]
        elif self.model is not None and not any(one.file == self.model for one in found):
            self.source.fault('none of them has path: "$MODEL", so what the command line gives is not used', "models")
        for one in found:
            self._check_file(one)
        return found

    def only(self, file: ModuleFile, section: SpecFile, inputs: InputSet) -> Module:
        """The network of a specification that calls it on its one input, after checking that the sizes fit."""
        is_onnx = file.file.name.lower().removesuffix(".gz").endswith(".onnx")
        shape = {} if is_onnx or file.section.arch is None else {"input_shape": inputs.shape}
        module = self._module(file, section, shape)
        if module.graph.input_size != inputs.size:
            shapes = ", ".join(str(list(module.graph.by_name[name].shape)) for name in module.graph.inputs)
            self.source.fault(
                f"has {inputs.size} elements, but the model takes {module.graph.input_size} (shape {shapes})",
                *("inputs", inputs.name, "shape"),
            )
        self.source.faults.raise_if_any()
        self.read = (module,)
        return module

    def all(self, files: Sequence[ModuleFile], section: SpecFile) -> tuple[Module, ...]:
        """Every network."""
        self.read = (*(self._module(file, section, {}) for file in files), *self.cores)
        self.source.faults.raise_if_any()
        return self.read

    def _file(self, name: str, kind: str, section: NetworkFile, path: YamlPath) -> ModuleFile:
        file = Path(section.path)
        return ModuleFile(name, kind, file if file == self.model else self.folder / file, section, path)

    def _check_file(self, one: ModuleFile) -> None:
        if one.section.arch is not None and one.file.name.lower().removesuffix(".gz").endswith(".onnx"):
            self.source.fault("an ONNX file has its architecture inside; remove arch", *one.path, "arch")
        if one.section.sha256 and one.file.is_file():
            found = sha256_of(one.file)
            if found != one.section.sha256:
                self.source.fault(
                    f"{one.file} has the hash {found}: it is another model than the one meant", *one.path, "sha256"
                )

    def _symbolic(self, name: str, overseer: Overseer, symbolic: Symbolic, section: SpecFile) -> None:
        """The core of an overseer, parsed; it is traced where it is called."""
        from specs.language.symbolic import read_symbolic

        self._check_names(name, overseer, section)
        claimed = symbolic.lipschitz.value if symbolic.lipschitz is not None else None
        try:
            outputs = dict(overseer.outputs)
            self.cores.append(read_symbolic(name, symbolic.python, self.folder, outputs, overseer.sees, claimed))
        except SpecError as error:
            self.source.fault(str(error), "overseers", name, "symbolic", "python")

    def _of_other_file(self, name: str, overseer: Overseer, section: SpecFile) -> None:
        """An overseer that is an answer table, or the last network of a chain."""
        from specs.language.overseer_files import read_chain, read_table_overseer

        self._check_names(name, overseer, section)
        with_network = overseer.network is not None and overseer.table is not None
        if overseer.symbolic is not None or with_network or (overseer.table is not None and overseer.chain is not None):
            self.source.fault(
                "has several ways to judge; give one: network, symbolic, table or chain", "overseers", name
            )
            return
        found = None
        if overseer.table is not None:
            found = read_table_overseer(name, overseer, overseer.table, section, self.source, self.folder)
        elif overseer.chain is not None:
            found = read_chain(name, overseer, overseer.chain, self.source, self.folder, self.load)
        self.cores += [found] if found is not None else []

    def _check_names(self, name: str, overseer: Overseer, section: SpecFile) -> None:
        """What an overseer sees has to be the name of something."""
        taps = {tap for model in section.models.values() for tap in model.taps}
        known = {*section.inputs, *section.let, *taps}
        for i, seen in enumerate(overseer.sees):
            if seen not in known:
                self.source.fault(
                    f"{seen!r} is no input, no let and no tap{did_you_mean(seen, known)}", "overseers", name, "sees", i
                )

    def _module(self, file: ModuleFile, section: SpecFile, options: Mapping[str, Any]) -> Module:
        arch = {} if file.section.arch is None else {"arch": _plain(file.section.arch)}
        graph = self.load(file.file, **arch, **options)
        if file.kind == "overseer":
            overseer = section.overseers[file.name]
            outputs = dict(overseer.outputs)
            for name, index in outputs.items():
                if index >= graph.output_size:
                    self.source.fault(
                        f"there is no output {index}: the network has {graph.output_size}",
                        *("overseers", file.name, "outputs", name),
                    )
            stands_for = overseer.surrogate.of if overseer.surrogate is not None else ""
            return Module(file.name, file.kind, file.file, graph, outputs, {}, overseer.sees, stands_for)
        model = section.models[file.name]
        if model.output_names and len(model.output_names) != graph.output_size:
            self.source.fault(
                f"names {len(model.output_names)} outputs, but the model has {graph.output_size}",
                *(*file.path, "output_names"),
            )
        outputs = {name: index for index, name in enumerate(model.output_names)}
        return Module(file.name, file.kind, file.file, graph, outputs, self._taps(file.name, model, graph))

    def _taps(self, name: str, model: Model, graph: Graph) -> dict[str, str]:
        from specs.compose import internal_tensor

        found = {}
        for tap, layer in model.taps.items():
            try:
                found[tap] = internal_tensor(graph, layer)
            except ValueError as error:
                self.source.fault(f"the model {error}", "models", name, "taps", tap)
        return found


def _plain(value: Any) -> Any:
    """Plain data without exact decimals, for loaders."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return float(value) if isinstance(value, Fraction) else value
