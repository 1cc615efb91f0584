"""Networks of surrogates in the place of what they are learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from specs.language.schema.file import NetworkFile, Overseer, SpecFile

NOTHING_TRAINED: Mapping[str, Path] = MappingProxyType({})


def with_networks(overseers: Mapping[str, Overseer], trained: Mapping[str, Path]) -> dict[str, Overseer]:
    """The overseers, those that are ``trained`` with their files; these are then networks like any other."""

    def placed(name: str, one: Overseer) -> Overseer:
        if one.surrogate is None or name not in trained:
            return one
        return one.model_copy(update={"network": NetworkFile(path=str(trained[name].absolute()), arch=None)})

    return {name: placed(name, one) for name, one in overseers.items()}


def adjusted(trained: Mapping[str, Path]) -> Callable[[SpecFile], SpecFile]:
    """What puts the trained networks into a specification before anything is made of it."""
    return lambda section: section.model_copy(update={"overseers": with_networks(section.overseers, trained)})
