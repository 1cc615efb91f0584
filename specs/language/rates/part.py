"""A spec.yaml in two parts: what is asked for all inputs, and what is asked of probabilities."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from specs.language.text.yaml_tree import Document, YamlPath

_OF_SAMPLING = ("certify", "name", "description", "models", "overseers", "inputs", "let", "require", "engine", "emit")

OF_SAMPLING = {"adversary": "kappa", "engine": "relaxed_checker"}  # keys of sections that are of both parts


def is_statistical(requirement: object) -> bool:
    return isinstance(requirement, dict) and "statistical" in requirement


def has_surrogate(data: Mapping[str, Any]) -> bool:
    """Whether an overseer is to be learned from answers of another one."""
    return any("surrogate" in _dict(one) for one in _dict(data.get("overseers")).values())


def ordinary_part(document: Document) -> Document:
    """The document without what only sampling needs; as it is where nothing is statistical and nothing learned.

    Programs that can only be asked, laws of inputs and what is made of these under ``let`` are left out.
    """
    data = document.data
    if not isinstance(data, dict):
        return document
    if not any(map(is_statistical, _list(data.get("require")))) and not has_surrogate(data):
        return document
    data = dict(data)
    programs = [name for name, one in _dict(data.get("overseers")).items() if "python" in _dict(one)]
    laws = [name for name, one in _dict(data.get("inputs")).items() if "distribution" in _dict(one)]
    _drop(data, "overseers", programs)
    _drop(data, "inputs", laws)
    _drop(data, "let", asking(_dict(data.get("let")), programs))
    for key, of_sampling in OF_SAMPLING.items():
        if of_sampling in _dict(data.get(key)):
            _drop(data, key, [of_sampling])
            if not data[key]:
                del data[key]
    if isinstance(data.get("emit"), list):
        data["emit"] = [one for one in data["emit"] if one != "ledger"]
    return _of_requirements(document, data, lambda one: not is_statistical(one))


def statistical_part(document: Document) -> Document:
    """The requirements about probabilities, and what they may need."""
    data = dict(document.data)
    if not all(map(is_statistical, _list(data.get("require")))):  # the other reader knows the other keys
        gate = {key: value for key, value in _dict(data.get("gate")).items() if key == "require_class"}
        kappa = {key: value for key, value in _dict(data.get("adversary")).items() if key == OF_SAMPLING["adversary"]}
        more = {key: value for key, value in (("gate", gate), ("adversary", kappa)) if value}
        data = {key: value for key, value in data.items() if key in _OF_SAMPLING} | more
    return _of_requirements(document, data, is_statistical)


def asking(lets: Mapping[str, Any], programs: list[str]) -> list[str]:
    """The names under ``let`` that stand for what a program answers, or are made of it."""
    found: list[str] = []
    for name, text in lets.items():
        if any(re.search(rf"\b{re.escape(one)}\b", str(text)) for one in (*programs, *found)):
            found.append(name)
    return found


def _of_requirements(document: Document, data: dict[str, Any], wanted: Callable[[object], bool]) -> Document:
    """The document with the wanted requirements only, each with the positions it has in the file."""
    given = _list(data.get("require"))
    kept = [number for number, one in enumerate(given) if wanted(one)]
    data["require"] = [given[number] for number in kept]
    places = {number: place for place, number in enumerate(kept)}

    def moved(positions: Mapping[YamlPath, tuple[int, int]]) -> dict[YamlPath, tuple[int, int]]:
        found: dict[YamlPath, tuple[int, int]] = {}
        for path, where in positions.items():
            if len(path) < 2 or path[0] != "require":
                found[path] = where
            elif path[1] in places:
                found[("require", places[int(path[1])], *path[2:])] = where
        return found

    return Document(data, moved(document.positions), moved(document.key_positions), document.uses)


def _drop(data: dict[str, Any], key: str, names: list[str]) -> None:
    if names:
        data[key] = {name: value for name, value in data[key].items() if name not in names}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
