"""Relaxations by name: those that come along, loaded when they are asked for, and those that others register.

    from relaxations.registry import relaxations

    @relaxations.register("mine")
    class Mine(Relaxation): ...

A registered relaxation takes part in ``certify frontier`` and in the tests of the contract.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

from relaxations.base import Relaxation

Kind = TypeVar("Kind", bound=type[Relaxation])

OWN = {
    "ibp": "relaxations.bounds.relaxed:Interval",
    "crown": "relaxations.bounds.relaxed:Crown",
    "alpha-crown": "relaxations.bounds.relaxed:AlphaCrown",
    "lp": "relaxations.lp.triangle:Triangle",
    "sdp": "relaxations.sdp.shor:Shor",
    "sos": "relaxations.sos.relaxed:Lasserre",
    "milp": "relaxations.milp.big_m:BigM",
    "smt": "relaxations.smt.relaxed:Models",
    "enumerate": "relaxations.enumeration:Enumeration",
}


class Registry:
    """Names and what they stand for, the cheapest relaxations first."""

    def __init__(self, known: dict[str, str]) -> None:
        self._known: dict[str, str | type[Relaxation]] = dict(known)

    def register(self, name: str) -> Callable[[Kind], Kind]:
        """Decorates a relaxation's class; a name can be taken once."""

        def add(kind: Kind) -> Kind:
            if name in self._known:
                raise ValueError(f"there is a relaxation {name!r} already")
            self._known[name] = kind
            return kind

        return add

    def get(self, name: str) -> type[Relaxation]:
        """The class of this name; raises ValueError naming the known ones."""
        if name not in self._known:
            raise ValueError(f"there is no relaxation {name!r}; known are {', '.join(self._known)}")
        kind = self._known[name]
        if isinstance(kind, str):
            module, _, attribute = kind.partition(":")
            kind = getattr(import_module(module), attribute)
            self._known[name] = kind
        return kind

    def names(self) -> tuple[str, ...]:
        return tuple(self._known)


relaxations = Registry(OWN)
