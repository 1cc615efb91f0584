"""Overseers read from files that are no networks of their own: answer tables and chains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path

from specs.errors import ModelError, SpecError
from specs.graph import Graph
from specs.hashes import sha256_of
from specs.language.networks import Module
from specs.language.schema.file import Overseer, SpecFile
from specs.language.schema.overseers import ChainStatement, TableFile
from specs.language.tables.tables import Seen
from specs.language.text.source import Source


def read_table_overseer(
    name: str, overseer: Overseer, given: str | TableFile, section: SpecFile, source: Source, folder: Path
) -> Module | None:
    """The table; None after adding what is wrong with it to ``source``."""
    from specs.language.tables.overseer import answer_table
    from specs.language.tables.tables import read_table

    given = TableFile(path=given) if isinstance(given, str) else given
    path = ("overseers", name)
    before = len(source.faults.found)
    if not overseer.sees:
        source.fault("an answer table needs names for what it is asked about: give sees, as in [x]", *path)
    outputs = dict(overseer.outputs)
    if not outputs:
        source.fault("an answer table needs names for its answers: give outputs, as in {ok: 0}", *path)
    elif sorted(outputs.values()) != list(range(len(outputs))):
        source.fault("expected the places 0, 1 and so on, each once", *path, "outputs")
    file = folder / given.path
    _check_hash(file, given.sha256, source, *path, "table")
    if len(source.faults.found) > before:
        return None
    try:
        table = read_table(file, [_seen(one, section) for one in overseer.sees], outputs)
        return answer_table(name, table, outputs, overseer.sees, given.interpolate == "linear")
    except SpecError as error:
        source.fault(str(error), *path, "table")
        return None


def read_chain(
    name: str, overseer: Overseer, given: str | ChainStatement, source: Source, folder: Path, load: Callable[..., Graph]
) -> Module | None:
    """The last network of a chain; None after adding what is wrong with it to ``source``."""
    from specs.language.chains.overseer import read_chain_overseer

    given = ChainStatement(path=given) if isinstance(given, str) else given
    path = ("overseers", name)
    outputs, network = dict(overseer.outputs), ""
    before = len(source.faults.found)
    _check_hash(folder / given.path, given.sha256, source, *path, "chain")
    if overseer.network is not None:
        network = _hash(folder / overseer.network.path)
        if not network:
            source.fault(f"there is no file {folder / overseer.network.path}", *path, "network", "path")
    if len(source.faults.found) > before:
        return None
    try:
        found = read_chain_overseer(name, folder / given.path, load, outputs, overseer.sees, network)
    except (SpecError, ModelError) as error:
        source.fault(str(error), *path, "chain")
        return None
    _check_outputs(found.graph, outputs, source, name)
    return found


def _check_outputs(graph: Graph, outputs: Mapping[str, int], source: Source, name: str) -> None:
    for output, index in outputs.items():
        if index >= graph.output_size:
            told = f"there is no output {index}: the network has {graph.output_size}"
            source.fault(told, "overseers", name, "outputs", output)


def _seen(name: str, section: SpecFile) -> Seen:
    """What is known of something that an overseer sees."""
    given = section.inputs.get(name)
    if given is None or any(side.denominator != 1 for side in given.shape):
        return Seen(name)
    return Seen(name, given.names, prod(int(side) for side in given.shape))


def _check_hash(file: Path, expected: str, source: Source, *path: str) -> None:
    found = _hash(file)
    if not found:
        source.fault(f"there is no file {file}", *path)
    elif expected and found != expected:
        source.fault(f"{file} has the hash {found}: it is another file than the one meant", *path, "sha256")


def _hash(file: Path) -> str:
    """Of a file; "" where it cannot be read."""
    try:
        return sha256_of(file)
    except OSError:
        return ""
