"""The report for people: a few lines for each requirement, the essential numbers, and the sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from verifier.engine.outcome import Extrapolated
from verifier.question import Requirement
from verifier.report.report import Answer, Report
from verifier.report.sentence import down

SHOWN = 10  # values of one vector

ADVICE = {
    "timeout": "a longer --timeout, more --workers, or a smaller set: the proof has to cover all of it",
    "interrupted": "run it again and let it finish; the bracket says how far it got",
    "memory": "fewer --workers, a smaller set, or a machine with more memory",
    "incomplete": "a slightly smaller set or a property with slack: what is left is too close to call",
    "borderline": "a property with slack: here the rounding of the runtime decides the answer",
    "unsupported": "replace or remove the operators named; docs/reference/operators.md lists what can be proved about",
    "assumption": "slack: the error allowed for, so that the search proves that much more",
    "certificate": "certify doctor; if all is well there, please report this",
}


def text(report: Report, quiet: bool = False) -> str:
    """Without a final line break. ``quiet``: one line for each requirement."""
    taught = [] if quiet else [_lines(f"{one.question.name}: learned", one.lines()) for one in report.learned]
    if not report.requirements:
        return "\n\n".join([*taught, f"{report.verdict}: {report.reason}"])
    several = len(report.requirements) > 1
    blocks = taught + [_headline(answer) if quiet else _block(answer) for answer in report.requirements]
    if several and not quiet:
        blocks.append(f"{report.verdict} altogether")
    for kind, made in (("monitor", report.monitor), ("guard", report.guard)):
        if made is not None and not quiet:
            lines = [f"  {name:<12}{value}" if name else f"  {value}" for name, value in made.lines()]
            blocks.append("\n".join([f"{kind} of {made.requirement}", *lines]))
    blocks += [f"gate missed: {gate}" for gate in report.missed]
    return ("\n" if quiet else "\n\n").join(blocks)


def _headline(answer: Answer) -> str:
    reason = f" ({answer.reason.partition(':')[0]})" if answer.reason else ""
    return f"{answer.verdict}: {answer.id}{reason}, {answer.seconds:.2f} s"


def _block(answer: Answer) -> str:
    if not isinstance(answer, Answer):  # one about polynomials, which has lines of its own
        return _joined(answer, answer.lines())
    body = {"certified": _certified, "violated": _violated, "unknown": _unknown}[answer.verdict](answer)
    if answer.solution is not None:
        body = [*answer.solution.lines, *body, *(_broken(answer) if answer.verdict != "violated" else ())]
    body += [("assumes", f"{premise.words}") for premise in answer.premises]
    body += [("note", answer.requirement.stated.vacuous)]
    return _joined(answer, body)


def _lines(headline: str, body: Sequence[tuple[str, str]]) -> str:
    return "\n".join([headline, *(f"  {name:<12}{value}" for name, value in body)])


def _joined(answer: Answer, body: Sequence[tuple[str, str]]) -> str:
    lines = [f"  {name:<12}{value}" for name, value in body if value]
    return "\n".join([_headline(answer), *lines, "  " + answer.sentence])


def _certified(answer: Answer) -> list[tuple[str, str]]:
    proof = answer.certificate
    assert proof is not None
    kept = str(proof.path) if proof.path.name else "not kept"
    slack = f"at least {down(answer.outcome.proved)}" if answer.outcome.proved > 0 else "not stated"
    return [
        ("margin", f"{slack}; least sampled {answer.outcome.attained:.6g}"),
        ("proof", f"{proof.leaves} leaves, {proof.bytes} bytes, checked in {proof.check_seconds:.2f} s"),
        ("certificate", kept),
    ]


def _violated(answer: Answer) -> list[tuple[str, str]]:
    attack = answer.attack
    assert attack is not None
    requirement = answer.requirement
    outputs = attack.outputs
    return [
        ("input", _input(attack.point, requirement)),
        ("outputs", _outputs(outputs, requirement) if outputs else "the runtime could not run it"),
        ("value", f"{attack.value:.6g} (the property holds above 0)"),
        ("how", attack.proved),
        *(answer.realised.lines if answer.realised is not None else ()),
        ("witness", str(attack.path or "not kept")),
    ]


def _broken(answer: Answer) -> list[tuple[str, str]]:
    """The input that breaks the requirement for the value that was refuted."""
    attack = answer.attack
    if attack is None:
        return []
    return [("fails at", _input(attack.point, answer.requirement)), ("witness", str(attack.path or "not kept"))]


def _unknown(answer: Answer) -> list[tuple[str, str]]:
    attained, proved = answer.bracket
    lines = [("bracket", f"proved {_bound(proved)} <= minimum <= {_bound(attained)} attained")]
    relaxed = answer.relaxed_attack
    if relaxed is not None:
        neurons = ", ".join(f"layer {e.layer} neuron {e.neuron} (gap {e.gap:.3g})" for e in relaxed.exploits[:5])
        name = f"the relaxation {relaxed.relaxation}" if relaxed.relaxation else "the relaxation"
        lines += [
            ("relaxed", f"{relaxed.bound:.6g} in {name}, {relaxed.value:.6g} in the network itself, at"),
            ("", _input(relaxed.point, answer.requirement)),
            ("exploits", neurons),
            ("file", f"{relaxed.path}: a point of the relaxation, NOT a counterexample" if relaxed.path else ""),
            ("executable", _executable(relaxed.extrapolated)),
        ]
    kind, _, detail = answer.reason.partition(": ")
    return [*lines, ("reason", detail), ("try", ADVICE.get(kind, ""))]


def _executable(made: Extrapolated | None) -> str:
    """The extrapolation in words."""
    if made is None:
        return ""
    if made.why:
        return f"no extrapolation: {made.why}"
    score = -made.score if made.replayed is None else -made.replayed
    where = "" if made.replayed is None else " in onnxruntime"
    agrees = "" if made.difference is None else f"; differs by {made.difference:.3g} on average on the data"
    return (
        f"{made.path}: another network, on which this is a real attack: {score:.6g}{where}; {made.deviating} of its "
        f"{made.unstable} unstable units deviate{agrees}"
    )


def _bound(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else "?"


def _input(point: Sequence[Fraction | float], requirement: Requirement) -> str:
    """The input in the user's own names and units."""
    inputs = requirement.inputs
    if inputs is None:
        return _listed([f"X_{i} = {float(x)!r}" for i, x in enumerate(point[:SHOWN])], len(point))
    raw = inputs.to_raw(point)
    units = inputs.units or ("",) * inputs.size
    shown = [f"{inputs.element(i)} = {float(x)!r} {units[i]}".rstrip() for i, x in enumerate(raw[:SHOWN])]
    return _listed(shown, len(raw))


def _outputs(outputs: Sequence[float], requirement: Requirement) -> str:
    prefix = "Y_{}" if requirement.inputs is None else "y[{}]"
    names = requirement.output_names or [prefix.format(i) for i in range(len(outputs))]
    return _listed([f"{name} = {y!r}" for name, y in zip(names, outputs)][:SHOWN], len(outputs))


def _listed(parts: list[str], count: int) -> str:
    return ", ".join(parts) + (f", ... ({count} values, all in the JSON)" if count > SHOWN else "")
