"""The schema of spec.yaml: which keys there are, what they hold, and what they mean. The only place that says so."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from specs.language.schema.adversary import ExpandCatastrophe, Rounding
from specs.language.schema.channels import Front
from specs.language.schema.gate import Gate
from specs.language.schema.guard import Guard
from specs.language.schema.inputs import (
    Input,
)
from specs.language.schema.overseers import Chain, Table
from specs.language.schema.surrogate import Surrogate
from specs.language.schema.values import (
    AtLeastOne,
    Count,
    Id,
    Method,
    Name,
    NotEmpty,
    NotNegative,
    NotYet,
    Number,
    Positive,
    Range,
    Section,
    Version,
    norm_of,
    texts,
)
from specs.property import ClaimClass, Severity


def _program(value: object) -> None:
    raise PydanticCustomError(
        "program",
        "a program can only be asked, so nothing is proved about it for all inputs: bound a rate of its answers under "
        "`statistical`, give its axioms, or have a small one traced as `symbolic`",
    )


def _moves(value: object) -> object:
    for move in value if isinstance(value, list) else [value]:
        if move in ("abstract", "relaxed", "predicate"):
            raise PydanticCustomError("not_yet", "moves of the kind {kind} are not supported yet", {"kind": move})
    return texts(value)


def _role(value: object) -> object:
    if value in ("surrogate", "plant"):
        raise PydanticCustomError("not_yet", "models with the role {role} are not supported yet", {"role": str(value)})
    return value


def _where(value: object) -> object:
    return [value] if isinstance(value, (str, dict)) else value


LATER_ARTEFACTS = ("model", "vnnlib", "junit", "sarif", "csv", "latex", "ledger")


def _artefact(value: object) -> object:
    if value in LATER_ARTEFACTS:
        raise PydanticCustomError("not_yet", "the artefact {name} is not supported yet", {"name": str(value)})
    return value


def _kind_of_emitted(value: object) -> str:
    return "options" if isinstance(value, dict) else "name"


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
    front: Front | None = Field(default=None, description="A channel between what it is called on and the model.")
    recall: NotYet = None


class LipschitzClaim(Section):
    """By how much answers may differ; compared with the traced core."""

    norm: Annotated[Literal["inf"], BeforeValidator(norm_of)] = Field(
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
    sees: Annotated[tuple[Name, ...], BeforeValidator(texts)] = Field(
        default=(), description="What it is shown, in order: names of inputs, of `let`, or of taps."
    )
    outputs: dict[Name, Count] = Field(default={}, description="Names of its answers, as in {malign: 0, benign: 1}.")
    python: Annotated[None, BeforeValidator(_program), WithJsonSchema({"not": {}})] = None
    surrogate: Surrogate | None = Field(default=None, description="What is learned from a slow program's answers.")
    symbolic: Symbolic | None = Field(default=None, description="A traced core that computes its answers.")
    table: Table | None = Field(default=None, description="A .csv file of its answers: a path, or a mapping.")
    chain: Chain | None = Field(default=None, description="A .nnchain file: the last network of a certified chain.")
    axioms: NotYet = None
    budget: NotYet = None
    deterministic: NotYet = None
    cache: NotYet = None
    isolation: NotYet = None


class ActivationHull(Section):
    """What layers of a network hold is inside a hull of what they hold on data."""

    model: Name = Field(description="The network.")
    taps: Annotated[tuple[str, ...], BeforeValidator(texts), NotEmpty] = Field(
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
    slack: NotNegative = Field(
        default=Fraction(0), description="By how much comparisons of outputs have to hold, and those of answers."
    )
    accept_class: ClaimClass = Field(default="sound", description="Weakest class of claim that counts.")
    over: Annotated[tuple[Name, ...], BeforeValidator(texts)] = Field(
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
    of: Annotated[tuple[str, ...], BeforeValidator(texts)] = Field(
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

    methods: Annotated[tuple[Method, ...], BeforeValidator(texts)] = Field(
        default=(), description="Methods to use, cheapest first; all that fit when absent."
    )
    budget: Budget = Field(default_factory=Budget, description="Limits.")
    seed: Count | None = Field(default=None, description="Seed of everything random.")
    workers: Count | None = Field(default=None, description="Number of processes.")
    arithmetic: Literal["outward-float64"] = Field(default="outward-float64", description="Arithmetic of proofs.")
    device: NotYet = None
    relaxed_checker: NotYet = None
    extract_attack: NotYet = None


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
    expand_catastrophe: ExpandCatastrophe | None = Field(
        default=None, description="What counts as a catastrophe beside violations of malign requirements."
    )
    round: Rounding | None = Field(default=None, description="Looks for an input that does what a latent attack does.")
    guide: NotYet = None
    amplify: NotYet = None
    train: NotYet = None
    trigger: NotYet = None
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


Artefact = Literal["report", "certificate", "attack", "relaxed-attack", "extrapolation", "monitor", "baseline"]
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
        "{extrapolation: {minimal: true}}, is written for what stays unknown, `baseline` for `gate.regression`.",
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
    guard: Guard | None = Field(default=None, description="A guard to export with the certificate.")
    policy: NotYet = None
