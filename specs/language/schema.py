"""The schema of spec.yaml: which keys there are, what they hold, and what they mean. The only place that says so."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from specs.language.yaml_tree import parse_number
from specs.property import ClaimClass, Severity


def _number(value: object) -> Fraction:
    if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
        return Fraction(value)
    if isinstance(value, str):
        try:
            number = parse_number(value)
        except OverflowError as error:
            raise PydanticCustomError("number", "{why}", {"why": str(error)}) from None
        if number is not None and ("/" in value):
            return number
    raise PydanticCustomError("number", "expected a number such as 0.1 or 8/255, found {value}", {"value": repr(value)})


def _positive(value: object) -> Fraction:
    number = _number(value)
    if number <= 0:
        raise PydanticCustomError("positive", "expected a number above 0")
    return number


def _not_negative(value: object) -> Fraction:
    number = _number(value)
    if number < 0:
        raise PydanticCustomError("not_negative", "expected a number of at least 0")
    return number


def _numbers(value: object) -> Any:
    if value in ("data-min", "data-max"):
        raise PydanticCustomError("not_yet", "{what}: bounds taken from data are not supported yet", {"what": value})
    return tuple(_numbers(part) for part in value) if isinstance(value, list) else _number(value)


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise PydanticCustomError("count", "expected a whole number of at least 0, found {value}", {"value": repr(value)})


def _at_least_one(value: object) -> int:
    if (number := _count(value)) < 1:
        raise PydanticCustomError("count", "expected a whole number of at least 1")
    return number


def _not_yet(value: object) -> None:
    raise PydanticCustomError("not_yet_key", "is not supported yet")


def _program(value: object) -> None:
    raise PydanticCustomError(
        "program",
        "a program can only be asked, so nothing is proved about it for all inputs: bound a rate of its answers under "
        "`statistical`, give its axioms, or have a small one traced as `symbolic`",
    )


def _image_of(value: object) -> None:
    raise PydanticCustomError(
        "image_of",
        "the image of a generator is written as a call: make z the input, say target(gen(z)) or give gen(z) a name "
        "under `let`, and put conditions on it under `where`",
    )


def _several(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _moves(value: object) -> object:
    for move in value if isinstance(value, list) else [value]:
        if move in ("abstract", "relaxed", "predicate"):
            raise PydanticCustomError("not_yet", "moves of the kind {kind} are not supported yet", {"kind": move})
    return _texts(value)


def _texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _role(value: object) -> object:
    if value in ("surrogate", "plant"):
        raise PydanticCustomError("not_yet", "models with the role {role} are not supported yet", {"role": str(value)})
    return value


def _method(value: object) -> object:
    if isinstance(value, dict):
        raise PydanticCustomError("not_yet", "options of a method are not supported yet; give its name only")
    return value


def _where(value: object) -> object:
    return [value] if isinstance(value, (str, dict)) else value


def _conditions(value: object) -> object:
    if isinstance(value, dict):
        raise PydanticCustomError("not_yet", "sets other than conditions are not supported here yet")
    return _texts(value)


LATER_ARTEFACTS = ("model", "vnnlib", "junit", "sarif", "csv", "latex", "baseline", "ledger")


def _artefact(value: object) -> object:
    if value in LATER_ARTEFACTS:
        raise PydanticCustomError("not_yet", "the artefact {name} is not supported yet", {"name": str(value)})
    return value


def _kind_of_emitted(value: object) -> str:
    return "options" if isinstance(value, dict) else "name"


def _not_empty(value: object) -> object:
    if value in ([], {}):
        raise PydanticCustomError("empty", "expected at least one entry")
    return value


def _version(value: object) -> object:
    return "1.0" if value == 1 else value


def _norm(value: object) -> object:
    if value in (1, "1"):
        raise PydanticCustomError("norm", "balls of the {p}-norm are not supported yet; 2 and inf are", {"p": "1"})
    return "2" if value == 2 and not isinstance(value, bool) else value


_WRITTEN: dict[str, Any] = {"type": "string", "pattern": r"^(\$\{?\w+\}?|[-+.\deE ]+/[-+.\deE ]+)$"}


def _schema(**limits: Any) -> WithJsonSchema:
    """A number, a quotient such as 8/255, or a parameter."""
    return WithJsonSchema({"anyOf": [{"type": "number", **limits}, _WRITTEN]})


Number = Annotated[Any, PlainValidator(_number), _schema()]
Norm = Annotated[Literal["inf", "2"], BeforeValidator(_norm), WithJsonSchema({"enum": ["inf", 2]})]
Version = Annotated[Literal["1.0"], BeforeValidator(_version)]
NotEmpty = BeforeValidator(_not_empty)
Positive = Annotated[Any, PlainValidator(_positive), _schema(exclusiveMinimum=0)]
NotNegative = Annotated[Any, PlainValidator(_not_negative), _schema(minimum=0)]
NumberOrList = Annotated[
    Any,
    PlainValidator(_numbers),
    WithJsonSchema({"anyOf": [{"type": "number"}, _WRITTEN, {"type": "array", "items": {}}]}),
]
Count = Annotated[int, PlainValidator(_count), WithJsonSchema({"type": "integer", "minimum": 0})]
AtLeastOne = Annotated[int, PlainValidator(_at_least_one), WithJsonSchema({"type": "integer", "minimum": 1})]
NotYet = Annotated[None, BeforeValidator(_not_yet), WithJsonSchema({"not": {}})]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Conditions = Annotated[tuple[str, ...], BeforeValidator(_conditions)]
Method = Annotated[str, BeforeValidator(_method)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class Section(BaseModel):
    """A mapping whose keys are exactly the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class NetworkFile(Section):
    """A file with a network in it."""

    path: str = Field(description="Model file, relative to this one; $MODEL is the MODEL of the command line.")
    arch: Any = Field(None, description="Architecture of a state_dict, as in {sequential: [linear, relu, linear]}.")
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$", description="Expected hash of the model file.")
    trust: NotYet = None


class Model(NetworkFile):
    """A network."""

    role: Annotated[Literal["target", "reference", "generator"], BeforeValidator(_role)] = Field(
        default="target", description="What the network is for; it makes no difference to what is asked."
    )
    output_names: tuple[Name, ...] = Field(default=(), description="Names of the outputs, for y.NAME.")
    taps: dict[Name, str] = Field(
        default={}, description="Names for internal tensors, as in {plan: relu2}, for tap(target, plan)(x)."
    )
    front: NotYet = None
    recall: NotYet = None


class LipschitzClaim(Section):
    """By how much answers may differ; compared with the traced core."""

    norm: Annotated[Literal["inf"], BeforeValidator(_norm)] = Field(
        default="inf", description="The greatest coordinate."
    )
    value: NotNegative = Field(description="The Lipschitz constant; what the trace shows must not exceed it.")


class Symbolic(Section):
    """An explicit simple core: a small Python function, traced exactly and never executed."""

    python: str = Field(description='Where it is, as in "core.py:pairwise_max", relative to this file.')
    lipschitz: LipschitzClaim | None = Field(default=None, description="A Lipschitz constant that it has to have.")


class Overseer(Section):
    """Who judges: a learned overseer is one more network, compiled together with those it judges."""

    network: NetworkFile | None = Field(default=None, description="The network that computes its answers.")
    sees: Annotated[tuple[Name, ...], BeforeValidator(_texts)] = Field(
        default=(), description="What it is shown, in order: names of inputs, of `let`, or of taps."
    )
    outputs: dict[Name, Count] = Field(default={}, description="Names of its answers, as in {malign: 0, benign: 1}.")
    python: Annotated[None, BeforeValidator(_program), WithJsonSchema({"not": {}})] = None
    surrogate: NotYet = None
    symbolic: Symbolic | None = Field(default=None, description="A traced core that computes its answers.")
    table: NotYet = None
    chain: NotYet = None
    axioms: NotYet = None
    budget: NotYet = None
    deterministic: NotYet = None
    cache: NotYet = None
    isolation: NotYet = None


class Normalize(Section):
    """The model consumes (raw - mean) / range. Sets are stated in raw units."""

    mean: NumberOrList = Field(default=Fraction(0), description="One number, or one per element.")
    range: NumberOrList = Field(default=None, description="Divisor: one number, or one per element.")
    std: NumberOrList = Field(default=None, description="Another name for `range`.")


class BoxSet(Section):
    """Every element between two bounds, both included."""

    lo: NumberOrList = Field(description="Lower bound: one number, or one per element.")
    hi: NumberOrList = Field(description="Upper bound: one number, or one per element.")
    data: NotYet = None


class DatasetRow(Section):
    """An example of a data set."""

    dataset: str = Field(description="An .npz file, relative to this one, with inputs and labels.")
    index: Count = Field(description="Which example, from 0.")


def _kind_of_center(value: object) -> str:
    return "row" if isinstance(value, dict) else "values"


Center = Annotated[
    Annotated[NumberOrList, Tag("values")] | Annotated[DatasetRow, Tag("row")], Discriminator(_kind_of_center)
]


class Ball(Section):
    """Points within a distance of a centre, in raw units."""

    norm: Norm = Field(description="The norm of the distance: inf is the largest of the differences, 2 Euclidean.")
    eps: NotNegative = Field(description="The radius, included.")
    center: Center = Field(description="The centre: one number, a list, or an example of a data set.")


class DatasetRows(Section):
    """Examples of a data set: those named, the first ones, or all."""

    dataset: str = Field(description="An .npz file, relative to this one, with inputs and labels.")
    index: Annotated[tuple[Count, ...], BeforeValidator(_several)] = Field(
        default=(), description="Which examples, from 0: one or a list."
    )
    take: Count | None = Field(default=None, description="How many, from the first on.")


class Inject(Section):
    """The input is no argument of a call: it is written into a layer of a model, wherever that is called."""

    model: Name = Field(description="The model; a second name for its file is a model that is left alone.")
    at: str = Field(description="The layer, by its name under `taps`, in its file, or by number, as in relu2.")
    mode: Literal["add", "replace"] = Field(
        default="add", description="Whether it is added to what the layer holds, or stands in its place."
    )


class Natural(Section):
    """Where the layer has to stay, what is written included: in a hull of data, or in what can be reached at all."""

    data: str = Field(default="", description="An .npz or .npy file of inputs in raw units, relative to this one.")
    hull: Literal["box", "octagon", "polytope"] = Field(default="box", description="The kind of hull of the data.")
    min_support: AtLeastOne = Field(
        default=1, description="How many examples have to reach a bound: 1 leaves no example out."
    )
    margin: NotNegative = Field(
        default=Fraction(0), description="Share of its width by which the hull is widened on each side."
    )
    pairs: Count | None = Field(default=None, description="Of an octagon: how many pairs of activations.")
    directions: Count | None = Field(default=None, description="Of a polytope: directions besides the axes; 16.")
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$", description="Expected hash of the data file.")
    reachable: Literal["", "box", "octagon"] = Field(
        default="", description="Instead of data: bounds on what the layer holds for any input, proved one by one."
    )


def _points(value: object) -> Any:
    if not isinstance(value, list) or not value:
        raise PydanticCustomError("points", "expected a list of points, or {dataset: FILE.npz}")
    return tuple(_numbers(part) for part in value)


Points = Annotated[
    Annotated[Any, PlainValidator(_points), WithJsonSchema({"type": "array", "items": {}}), Tag("values")]
    | Annotated[DatasetRows, Tag("row")],
    Discriminator(_kind_of_center),
]


class Input(Section):
    """What a network may be given. All sets under an input intersect."""

    shape: tuple[Positive, ...] = Field(description="Shape of the input; as many elements as the model takes.")
    names: tuple[Name, ...] = Field(default=(), description="Names of the elements, for x.NAME.")
    units: Texts = Field(default=(), description="Units of the elements, for reports: one, or one per element.")
    normalize: Normalize | None = Field(default=None, description="How raw values become what the model consumes.")
    box: BoxSet | None = Field(default=None, description="Bounds.")
    ball: Ball | None = Field(default=None, description="A ball.")
    linear: Conditions = Field(
        default=(),
        description='Conditions on the input, such as "x.debt <= 5 * x.income". They may name other inputs, too.',
    )
    points: Points | None = Field(
        default=None, description="A finite set: a list of points, or examples as in {dataset: test.npz, take: 50}."
    )
    inject: Inject | None = Field(default=None, description="A layer of a model that the input is written into.")
    natural: Natural | None = Field(default=None, description="Where the layer that it is written into has to stay.")
    poly: NotYet = None
    image_of: Annotated[None, BeforeValidator(_image_of), WithJsonSchema({"not": {}})] = None
    tube: NotYet = None
    activation_hull: NotYet = None
    abstract_by: NotYet = None
    distribution: NotYet = None


class ActivationHull(Section):
    """What layers of a network hold is inside a hull of what they hold on data."""

    model: Name = Field(description="The network.")
    taps: Annotated[tuple[str, ...], BeforeValidator(_texts), NotEmpty] = Field(
        description="Its layers, by their names under `taps` or in its file; each has a hull of its own."
    )
    data: str = Field(description="An .npz or .npy file of inputs in raw units, relative to this one.")
    kind: Literal["box", "octagon", "polytope"] = Field(default="box", description="The kind of hull.")
    min_support: AtLeastOne = Field(
        default=1, description="How many examples have to reach a bound: 1 leaves no example out."
    )
    margin: NotNegative = Field(
        default=Fraction(0), description="Share of its width by which the hull is widened on each side."
    )
    pairs: Count | None = Field(
        default=None, description="Of an octagon: pairs of activations; twice as many as these."
    )
    directions: Count | None = Field(default=None, description="Of a polytope: directions besides the axes; 16.")
    on: str = Field(default="", description="What the network is called on: the input, where there is but one.")
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$", description="Expected hash of the data file.")


class Where(Section):
    """A set other than a condition, under which a requirement has to hold."""

    activation_hull: ActivationHull = Field(description="What layers hold is inside a hull of what they hold on data.")


def _kind_of_where(value: object) -> str:
    return "set" if isinstance(value, dict) else "condition"


Restriction = Annotated[Annotated[str, Tag("condition")] | Annotated[Where, Tag("set")], Discriminator(_kind_of_where)]


class Monitor(Section):
    """A network that computes what the model does and whether it is inside the hull of a requirement."""

    from_: Id = Field(alias="from", description="The requirement whose activation hull decides.")
    export: str = Field(description="The ONNX file to write into the folder of `--out`.")
    on_reject: Literal["abstain"] = Field(default="abstain", description="What the system does outside the hull.")
    held_out: str = Field(default="", description="Data to measure how much is accepted, relative to this file.")


def _ascending(value: tuple[Fraction, Fraction] | None) -> tuple[Fraction, Fraction] | None:
    if value is None or value[0] < value[1]:
        return value
    raise PydanticCustomError("range", "expected the lower one first, as in [0.0, 10.0]")


Range = Annotated[tuple[Number, Number], AfterValidator(_ascending)]


class SolveFor(Section):
    """A parameter of a requirement, and in which direction it is wanted."""

    maximize: bool = Field(default=False, description="Look for its largest value for which the assertion holds.")
    minimize: bool = Field(default=False, description="Look for its smallest value for which the assertion holds.")
    range: Range | None = Field(
        default=None, description="Where to look: [lowest, highest]; from 0 on, as far as it takes, when absent."
    )
    resolution: Positive = Field(default=Fraction(1, 1000), description="How far apart proof and refutation may stay.")


class Requirement(Section):
    """Something that has to hold for every input."""

    id: Id = Field(description="Name of the requirement in reports.")
    severity: Severity = Field(default="malign", description="How bad a violation is.")
    assert_: str = Field(alias="assert", description="The condition that has to hold.")
    where: Annotated[tuple[Restriction, ...], BeforeValidator(_where)] = Field(
        default=(), description="Further conditions on the input under which it has to hold, and `activation_hull`."
    )
    slack: NotNegative = Field(default=Fraction(0), description="By how much comparisons of outputs have to hold.")
    accept_class: ClaimClass = Field(default="sound", description="Weakest class of claim that counts.")
    over: Annotated[tuple[Name, ...], BeforeValidator(_texts)] = Field(
        default=(), description="The inputs it is about: those it reads, and what is coupled with them, when absent."
    )
    solve_for: dict[Name, SolveFor] = Field(
        default={}, description="A parameter of its conditions that is to be found, at most one."
    )
    statistical: NotYet = None
    methods: NotYet = None
    adversarial: NotYet = None


class AssumptionCheck(Section):
    """What would establish an assumption."""

    requirement: str = Field(default="", description="The requirement that, where certified, establishes it.")
    audit: str = Field(default="", description="A file of observations; it is named in the report, and not read.")
    confidence: Number | None = Field(default=None, description="Of the audit; named in the report only.")
    max_rate: Number | None = Field(default=None, description="Of the audit; named in the report only.")


class OverseerError(Section):
    """How wrong an overseer may be."""

    overseer: Name = Field(description="Which overseer.")
    at_most: NotNegative = Field(description="By how much each of its answers may be wrong, anywhere.")


class Assumption(Section):
    """Something that is taken for granted."""

    id: Id = Field(description="Name of the assumption in reports.")
    text: str = Field(description="What is assumed, in words.")
    kind: Literal["declared", "checked", "monitored", "statistical"] = Field(
        default="declared",
        description="On what it rests; `checked`: on a requirement of this file.",
    )
    check: AssumptionCheck = Field(default_factory=AssumptionCheck, description="What would establish it.")
    error: OverseerError | None = Field(
        default=None, description="An error of an overseer that claims have to survive by their slack."
    )
    of: Annotated[tuple[str, ...], BeforeValidator(_texts)] = Field(
        default=(), description="The requirements that rest on it; all when absent."
    )


class Budget(Section):
    """Limits of a run."""

    seconds: Positive | None = Field(default=None, description="Wall-clock seconds for each requirement.")
    memory_mb: Positive | None = Field(default=None, description="Memory in MB.")
    seconds_each: NotYet = None
    leaves: NotYet = None


class Engine(Section):
    """How to look for the answer. Nothing here can make an answer wrong."""

    methods: Annotated[tuple[Method, ...], BeforeValidator(_texts)] = Field(
        default=(), description="Methods to use, cheapest first; all that fit when absent."
    )
    budget: Budget = Field(default_factory=Budget, description="Limits.")
    seed: Count | None = Field(default=None, description="Seed of everything random.")
    workers: Count | None = Field(default=None, description="Number of processes.")
    arithmetic: Literal["outward-float64"] = Field(default="outward-float64", description="Arithmetic of proofs.")
    device: NotYet = None
    relaxed_checker: NotYet = None
    extract_attack: NotYet = None


class Gate(Section):
    """What a run has to reach besides its verdicts."""

    require_class: dict[Severity, ClaimClass] = Field(default={}, description="Weakest class of claim by severity.")
    min: dict[str, Number] = Field(default={}, description="Least value proved of REQUIREMENT.PARAMETER.")
    max: dict[str, Number] = Field(default={}, description="Largest value proved of REQUIREMENT.PARAMETER.")
    regression: NotYet = None


class Calibration(Section):
    """How strong an adversary is, by the radius at which it makes networks fail that nobody has trained for this."""

    baseline: Literal["random-init", "constant-safe"] = Field(
        default="random-init", description="Fresh random weights, or a last layer that always gives one safe answer."
    )
    must_fail: bool = Field(
        default=True, description="What is expected of the baseline at the radius of the specification."
    )


class Adversary(Section):
    """What the adversary may do, beside choosing the inputs."""

    moves: Annotated[tuple[Literal["input", "latent"], ...], BeforeValidator(_moves)] = Field(
        default=(), description="What it has to have: inputs to choose, a layer to write into."
    )
    calibrate_power: Calibration | None = Field(default=None, description="What `certify power` checks.")
    guide: NotYet = None
    amplify: NotYet = None
    train: NotYet = None
    expand_catastrophe: NotYet = None
    trigger: NotYet = None
    round: NotYet = None
    discovery_curve: NotYet = None
    report_unexercised: NotYet = None
    kappa: NotYet = None


class Extrapolation(Section):
    """Options of the extrapolation."""

    minimal: bool = Field(default=False, description="Move the relaxed attack so that few units deviate, and little.")
    loss: NotNegative = Field(
        default=None, description="What `minimal` may give up of the score, relative to 1 and its size (0.000001)."
    )
    data: str = Field(default="", description="An .npz file of inputs on all of which both networks agree.")


class Emit(Section):
    """An artefact with options."""

    extrapolation: Extrapolation = Field(description="A network on which the relaxed attack is a real one.")


Artefact = Literal["report", "certificate", "attack", "relaxed-attack", "extrapolation", "monitor"]
Emitted = Annotated[
    Annotated[Artefact, BeforeValidator(_artefact), Tag("name")] | Annotated[Emit, Tag("options")],
    Discriminator(_kind_of_emitted),
]


class SpecFile(Section):
    """One question about one network, or about several together."""

    certify: Version = Field(description="Version of this language.")
    name: str = Field(description="Name of the specification.")
    description: str = Field(default="", description="What it is about, in words.")
    models: dict[Name, Model] = Field(default={}, description="The networks, by the names that expressions call.")
    overseers: dict[Name, Overseer] = Field(default={}, description="Networks that judge what the models do.")
    inputs: Annotated[dict[Name, Input], NotEmpty] = Field(
        description="The inputs, by the names that expressions use. All are quantified over."
    )
    let: dict[Name, str] = Field(default={}, description="Names for expressions, each may use those before it.")
    require: Annotated[tuple[Requirement, ...], NotEmpty] = Field(description="What has to hold.")
    engine: Engine = Field(default_factory=Engine, description="How to look for the answer.")
    emit: tuple[Emitted, ...] = Field(
        default=(),
        description="What to write. Certificates and attacks always are; `report.json`, which also holds a relaxed "
        "attack, goes into the folder of `--out`. `extrapolation`, by name or with options as in "
        "{extrapolation: {minimal: true}}, is written for what stays unknown.",
    )
    gate: Gate = Field(default_factory=Gate, description="What a run has to reach.")
    assume: tuple[Assumption, ...] = Field(
        default=(), description="Taken for granted, and printed with every verdict that rests on it."
    )
    adversary: Adversary | None = Field(default=None, description="What the adversary may do.")
    distill: NotYet = None
    chain: NotYet = None
    repair: NotYet = None
    sweep: NotYet = None
    incremental: NotYet = None
    monitor: Monitor | None = Field(default=None, description="A monitor to export with the certificate.")
    policy: NotYet = None


def json_schema() -> dict[str, Any]:
    """JSON Schema of spec.yaml, for editors; keys that are not supported yet are left out."""
    schema = SpecFile.model_json_schema(by_alias=True)
    for part in [schema, *schema.get("$defs", {}).values()]:
        properties = part.get("properties", {})
        part["properties"] = {key: value for key, value in properties.items() if "not" not in value}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
