"""Relaxations by name: those that come along, loaded when they are asked for, and those that others register.

    from relaxations.registry import relaxations

    @relaxations.register("mine")
    class Mine(Relaxation): ...

An installed package registers with an entry point of the group ``certify.relaxations``, whose name and object are the
relaxation's name and class. What is registered takes part in ``certify frontier``, ``certify bench bounds`` and in the
tests of the contract.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import TypeVar

from relaxations.base import Relaxation
from specs.errors import CertifyError

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


GROUP = "certify.relaxations"


class Registry:
    """Names and what they stand for, the cheapest relaxations first, then those that others register.

    Entry points of ``group`` are read when the first name is asked for.
    """

    def __init__(self, own: dict[str, str], group: str = "") -> None:
        self._own, self._group = own, group

    @cached_property
    def _known(self) -> dict[str, str | type[Relaxation]]:
        known: dict[str, str | type[Relaxation]] = dict(self._own)
        for point in entry_points(group=self._group) if self._group else ():
            if point.name in known:
                package = point.dist.name if point.dist else "a package"
                raise CertifyError(f"{package} brings a relaxation {point.name!r}, but there is one already")
            known[point.name] = point.value
        return known

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


relaxations = Registry(OWN, GROUP)
