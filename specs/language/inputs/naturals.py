"""The natural sets of a specification: built once inputs are known, and put into the requirements that need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from specs.hulls import Hull
from specs.joint import PartialBall
from specs.language.composition import Composition
from specs.language.expressions.alternatives import NoPoint, Unbounded
from specs.language.expressions.dnf import Dnf
from specs.language.inputs.injection import State
from specs.language.inputs.natural import NaturalSet, Reach, claimed_hull, covers_all, data_hull, reachable_hull
from specs.language.networks import Module, Posed, Poser
from specs.language.schema.inputs import Input
from specs.language.text.source import Source
from specs.problem import Case, Problem
from specs.property import Judge, Requirement

OfDomain = Callable[[Sequence[int], Dnf], tuple[Posed, tuple[Case, ...]]]


@dataclass(frozen=True)
class Written:
    """The natural sets that one requirement is about, each with the layer's states there.

    ``alone`` tells whether nothing else is written into any layer, and no condition couples what is written with
    other inputs or stands under them.
    """

    parts: tuple[tuple[NaturalSet, tuple[State, ...]], ...] = ()
    alone: bool = True

    @property
    def dnfs(self) -> list[Dnf]:
        """Where the states stay, as conditions on outputs; those of inputs alone are conditions on the input."""
        return [
            (one.atoms(state.after, of_outputs=True),)
            for one, states in self.parts
            if one.injection.mode == "add"
            for state in states
        ]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(one.text for one, _ in self.parts)

    def covered_by(self, where: Sequence[object]) -> str:
        """The requirement that has to be proved for all natural failures to be covered; nothing if they are not."""
        if len(self.parts) != 1 or not self.alone:
            return ""
        ((natural, states),) = self.parts
        return natural.proved_by if covers_all(natural, states, where) else ""

    def judged(self, posed: Posed, judge: Judge, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
        """Whether ``judge`` says violated, and the states are where they have to be."""
        return judge(x, y) and all(
            natural.holds(state) for natural, states in self.parts for state in self._at(posed, natural, states, x, y)
        )

    def _at(
        self,
        posed: Posed,
        natural: NaturalSet,
        states: Sequence[State],
        x: Sequence[Fraction],
        y: Sequence[Fraction],
    ) -> list[list[Fraction]]:
        if natural.injection.mode == "add":
            assert posed.slots is not None
            return [[y[posed.slots[slot]] for slot in state.after] for state in states]
        raw, start = posed.inputs.to_raw(x), 0
        for one in posed.sets:
            if one.name == natural.input.name:
                return [list(raw[start : start + one.size])]
            start += one.size
        return []


@dataclass
class Naturals:
    """Those of ``sections``; ``reach`` bounds what a layer can hold. Faults go to ``source``."""

    source: Source
    poser: Poser
    sections: Mapping[str, Input] = field(default_factory=dict)
    modules: Sequence[Module] = ()
    folder: Path = Path()
    reach: Reach | None = None
    claimed: Mapping[str, Hull] = field(default_factory=dict)  # bounds that are given, by input
    sets: dict[int, NaturalSet] = field(default_factory=dict)  # by injection
    slots: dict[int, tuple[int, ...]] = field(default_factory=dict)  # of what the layer holds by itself
    ready: Mapping[int, NaturalSet] = field(default_factory=dict)  # those that inputs were made of

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the requirements that are added."""
        return tuple(one.proved_by for one in self.sets.values() if one.proved_by)

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(one.file for one in self.sets.values() if one.file is not None)

    def build(self, of_domain: OfDomain) -> None:
        """Build the sets; ``of_domain`` gives cases over the inputs that slots depend on."""
        if not isinstance(self.poser, Composition):
            return
        inputs = self.poser.inputs
        for number, injection in enumerate(self.poser.injections):
            one = inputs[injection.input]
            section, path = self.sections[one.name].natural, ("inputs", one.name, "natural")
            if section is None:
                continue
            if number in self.ready:
                self.sets[number] = self.ready[number]
                continue
            if bool(section.data) == bool(section.reachable):
                self.source.fault("say either data or reachable: of what is it natural?", *path)
            elif section.data:
                (module,) = (module for module in self.modules if module.name == injection.model)
                if self.poser.channels.behind(module.name):
                    self.source.fault(f"of what is it natural? {module.name} is not given what the data holds", *path)
                    continue
                given = [x for x in inputs if not x.role]
                found = data_hull(self.source, injection, one, section, module, given, self.folder)
                if found is not None:
                    self.sets[number] = found
            elif self.reach is None and one.name not in self.claimed:
                self.source.fault("reachable needs bounds, which reading a specification alone has none of", *path)
            else:
                self._build_reachable(number, section.reachable, of_domain)
        for k, one in enumerate(inputs):
            known = self.sections.get(one.name)  # what the specification does not name comes after the others
            if known is not None and known.natural and not any(k == i.input for i in self.poser.injections):
                self.source.fault("only what is written into a layer by inject has a natural set", "inputs", one.name)

    def _build_reachable(self, number: int, kind: str, of_domain: OfDomain) -> None:
        assert isinstance(self.poser, Composition)
        injection = self.poser.injections[number]
        one = self.poser.inputs[injection.input]
        path = ("inputs", one.name, "natural", "reachable")
        slots = self.poser.untouched(number)
        if len(slots) != 1:
            calls = "is called on nothing" if not slots else "is called on different things"
            self.source.fault(f"{injection.model} {calls}, so it is not clear what it can reach", *path)
            return
        members = [self.poser.inputs[k] for k in self.poser.read((), slots[0])]
        written = [given.name for given in members if given.role]
        if written:
            self.source.fault(f"what the layer holds depends on {' and '.join(written)}, which is written", *path)
            return
        try:
            self.slots[number] = slots[0]
            if one.name in self.claimed:
                self.sets[number] = claimed_hull(injection, one, self.claimed[one.name])
                return
            assert self.reach is not None
            posed, cases = of_domain(slots[0], ((),))
            boxes = list(dict.fromkeys(case.box for case in cases))
            self.sets[number] = reachable_hull(kind, injection, one, posed.graph, boxes, self.reach)
        except (NoPoint, Unbounded, OverflowError, PartialBall):
            return  # the set of inputs itself is at fault, and is told of
        except ValueError as error:
            self.source.fault(str(error), *path)

    def of_input(self, k: int) -> list[Dnf]:
        """Conditions on an input that stands in place of a layer."""
        assert isinstance(self.poser, Composition) or not self.sets
        return [
            (one.atoms(self.poser.coupling.places[k], of_outputs=False),)
            for one in self.sets.values()
            if isinstance(self.poser, Composition) and one.injection.input == k and one.injection.mode == "replace"
        ]

    def of_slots(self, slots: set[int]) -> Written:
        """The sets that a requirement is about which reads these slots."""
        if not isinstance(self.poser, Composition):
            return Written()
        parts = [(one, tuple(self.poser.states(number, slots))) for number, one in self.sets.items()]
        alone = len(self.poser.injections) == 1 and all(
            len(self.poser.coupling.groups[one.input]) == 1 for one in self.poser.injections
        )
        return Written(tuple((one, states) for one, states in parts if states), alone)

    def requirements(self, of_domain: OfDomain) -> list[Requirement]:
        """That each reachable set is one: what the layer holds never leaves it."""
        found = []
        for number, natural in self.sets.items():
            if not natural.proved_by:
                continue
            slots = self.slots[number]
            posed, cases = of_domain(slots, natural.outside(slots))
            injection, path = natural.injection, ("inputs", natural.input.name, "natural", "reachable")
            found.append(
                Requirement(
                    id=natural.proved_by,
                    severity="malign",
                    problem=Problem(posed.graph, cases),
                    text=f"what {injection.layer} of {injection.model} holds by itself is within the "
                    f"{natural.hull.kind} bounds ({len(natural.hull.rows)} rows) that {natural.input.name} is kept to",
                    line=self.source.document.position(path)[0],
                    inputs=posed.inputs,
                    output_names=posed.names,
                )
            )
        return found
