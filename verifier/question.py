"""What was asked: a model and a specification, read into the requirements that have to be decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specs.assumption import Assumption
from specs.errors import SpecError
from specs.graph import Graph
from specs.joint import JointSet
from specs.language.gates import Gates, exactly
from specs.language.load_spec import load_spec
from specs.language.spec import EngineOptions, Extrapolate, Spec
from specs.loading import load_model
from specs.property import Requirement as Stated
from specs.property import Severity
from specs.sets import InputSet
from verifier.files import is_model, is_vnnlib, stem
from verifier.reach import reach
from verifier.report.words import property_in_words, set_in_words

if TYPE_CHECKING:
    from specs.language.guards import GuardPlan
    from specs.language.inputs.natural import NaturalSet
    from specs.language.monitors import MonitorPlan
    from specs.language.schema.adversary import Rounding
    from specs.language.schema.file import SpecFile


@dataclass(frozen=True)
class Requirement:
    """One thing that has to hold. ``region`` and ``promise`` are the set and the property in words.

    ``data`` names the data files whose hull restricts it.
    """

    stated: Stated
    region: str
    promise: str
    silent_on: tuple[str, ...]
    id: str = ""
    data: tuple[str, ...] = ()

    @property
    def inputs(self) -> InputSet | JointSet | None:
        """The inputs in the user's units; None for a VNN-LIB query, whose inputs have neither names nor units."""
        return self.stated.inputs

    @property
    def output_names(self) -> tuple[str, ...]:
        return self.stated.output_names

    @property
    def severity(self) -> Severity:
        return self.stated.severity

    @property
    def claim(self) -> str:
        name = self.inputs.name if isinstance(self.inputs, JointSet) else "x"
        return f"FOR ALL {name} IN {self.region}: {self.promise}"


@dataclass(frozen=True)
class Question:
    """``query`` is the VNN-LIB file when there is one; ``engine`` what the specification asks of the search.

    ``model`` is None where several networks are composed; ``files`` are then those of all, by their kinds and names.
    ``listings`` are the texts of explicit cores, by the names of their overseers.
    ``extrapolate`` says how the extrapolation of a relaxed attack is to be made; None: none is asked for.
    ``naturals`` are where what is written into layers keeps them. ``rounding`` says how to look for inputs that do
    what is written into layers does, in the question ``unwritten()``, in which nothing is.
    ``monitor`` is to be exported once its requirement is certified.
    ``guard`` is, too; ``guard_at(values)`` is the one for other values of what is solved for.
    ``tables`` are those of ``files`` that are answer tables: evidence is about the very file.
    ``posed_at(id, values)`` is a requirement for other values of what is solved for, read from the same files.
    """

    model: Path | None
    spec: Path
    query: Path | None
    requirements: tuple[Requirement, ...]
    engine: EngineOptions
    warnings: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    extrapolate: Extrapolate | None = None
    monitor: MonitorPlan | None = None
    guard: GuardPlan | None = None
    listings: Mapping[str, str] = field(default_factory=dict)
    gates: Gates = field(default_factory=Gates)
    assumptions: tuple[Assumption, ...] = ()
    tables: tuple[str, ...] = ()
    naturals: tuple[NaturalSet, ...] = ()
    rounding: Rounding | None = None
    unwritten: Callable[[], Question] | None = field(default=None, compare=False, repr=False)
    posed_at: Callable[[str, Mapping[str, str]], Requirement] | None = field(default=None, compare=False, repr=False)
    guard_at: Callable[[Mapping[str, str]], GuardPlan | None] | None = field(default=None, compare=False, repr=False)

    @property
    def models(self) -> tuple[Path, ...]:
        """The files of all networks."""
        return tuple(self.files.values()) if self.model is None else (self.model,)


def read_question(
    model: Path | None,
    spec: Path,
    parameters: Mapping[str, str],
    load: Callable[..., Graph] = load_model,
    adjust: Callable[[SpecFile], SpecFile] | None = None,
) -> Question:
    """The question in the files. Raises ``SpecError`` or ``ModelError``; ``model`` is None when the spec names it.

    ``load(model, **options)`` reads the model; ``adjust`` may change a spec.yaml before anything is made of it.
    """
    if is_model(spec):
        raise SpecError("is a model, not a specification: say certify MODEL SPEC", spec)
    remembered = _Remembered(load)
    read = load_spec(spec, model, parameters, remembered, reach, adjust)

    def posed_at(id: str, values: Mapping[str, str]) -> Requirement:
        again = load_spec(spec, model, {**parameters, **values}, remembered, reach, adjust, only=id)
        return put(again, again.requirements[0])

    def guard_at(values: Mapping[str, str]) -> GuardPlan | None:
        assert read.guard is not None
        only = read.guard.requirement
        return load_spec(spec, model, {**parameters, **values}, remembered, reach, adjust, only=only).guard

    def unwritten_question() -> Question:
        from specs.language.unwritten import unwritten

        return read_question(
            model, spec, parameters, remembered, lambda section: unwritten(adjust(section) if adjust else section)
        )

    put = _of_query if is_vnnlib(spec) else _of_yaml
    query = spec if is_vnnlib(spec) else None
    return Question(
        read.model_file,
        spec,
        query,
        tuple(put(read, one) for one in read.requirements),
        read.engine,
        read.warnings,
        read.files,
        read.extrapolate,
        read.monitor,
        read.guard,
        read.listings,
        read.gates,
        read.assumptions,
        read.tables,
        read.naturals,
        read.rounding,
        unwritten_question,
        posed_at,
        guard_at,
    )


class _Remembered:
    """Graphs of model files, each read once."""

    def __init__(self, load: Callable[..., Graph]) -> None:
        self.load = load
        self.graphs: dict[str, Graph] = {}

    def __call__(self, path: Path, **options: Any) -> Graph:
        key = f"{path} {sorted(options.items())}"
        if key not in self.graphs:
            self.graphs[key] = self.load(path, **options)
        return self.graphs[key]


def _of_query(spec: Spec, stated: Stated) -> Requirement:
    promise = property_in_words(stated.problem) or f"the assertions of {spec.file.name} are not all true"
    silent_on = ("anything about inputs outside this set",)
    return Requirement(stated, set_in_words(stated.problem), promise, silent_on, id=stem(spec.file))


def _of_yaml(spec: Spec, stated: Stated) -> Requirement:
    inputs = stated.inputs
    assert inputs is not None  # every spec.yaml has some
    described = inputs.describe()
    if not isinstance(inputs, JointSet):
        described = described.removeprefix(f"{inputs.name}: ")
    region = "{" + " and ".join([described, *(f"({condition})" for condition in stated.where)]) + "}"
    promise = f"{stated.text}, by at least {stated.slack}" if stated.slack else stated.text
    if stated.solved is not None:
        promise += f" WITH {stated.solved.name} = {exactly(stated.solved.value)}"
    data = tuple(dict.fromkeys(one.section.data for one in spec.hulls.get(stated.id, ())))
    outside = ("anything about inputs whose activations leave the hull: a monitor has to refuse these",) if data else ()
    return Requirement(stated, region, promise, (*spec.does_not_say, *outside), stated.id, data)
