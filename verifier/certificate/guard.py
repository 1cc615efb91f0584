"""The guard of a certified requirement: written as ONNX, with its theorem and how much it accepts of held-out data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from specs.guards import ACCEPT
from specs.language.gates import exactly
from specs.language.guards import GuardPlan
from verifier.certificate.monitor import Exported, measured, placed
from verifier.question import Requirement
from verifier.soundness import SoundnessError

UNMEASURED = "name data under guard.held_out"


def export_guard(
    plan: GuardPlan,
    at: Callable[[Mapping[str, str]], GuardPlan | None],
    requirement: Requirement,
    certified: bool,
    folder: Path | None,
) -> Exported:
    """Write the guard into ``folder`` if its requirement is certified: for the proved value, if one was sought.

    ``requirement`` is the one that was certified, ``at`` the plan for values of what is solved for. Raises
    ``SoundnessError`` where the two are about different sets.
    """
    if not certified:
        return Exported(plan.requirement, why=f"{plan.requirement} is not certified, so that it would promise nothing")
    solved = requirement.stated.solved
    if solved is not None:
        found = at({solved.name: exactly(solved.value)})
        assert found is not None
        plan = found
    if _sets(requirement) != (plan.inputs,):
        raise SoundnessError(f"the guard is about another set of inputs than the certificate of {plan.requirement}")
    if plan.limits is None:
        return Exported(plan.requirement, why=plan.why)
    from specs.loading.onnx_writer import write_onnx

    model = write_onnx(plan.graph)
    digest = hashlib.sha256(model).hexdigest()
    exported = Exported(
        plan.requirement,
        placed(model, folder, plan.export),
        digest,
        theorem(plan, requirement, digest),
        unmeasured=UNMEASURED,
    )
    return measured(exported, plan, model)


def theorem(plan: GuardPlan, requirement: Requirement, digest: str) -> str:
    """What is true of the guarded system, whatever it is given."""
    assert plan.limits is not None
    name, kind = plan.inputs.name, plan.limits.arithmetic.dtype
    which = "exactly for the" if plan.limits.is_exact else "only for, and but for a rim of rounding for all,"
    passing = f" ({plan.bounds})" if plan.bounds else ""
    units = ", which here are normalised before" if plan.inputs.is_normalized else ""
    return (
        f"FOR ALL {name} of {kind} numbers{units}, also infinite and NaN: the guarded system {plan.export} "
        f"(sha256:{digest}), which answers as {plan.model} does where `{ACCEPT}` is true and with NaN elsewhere, "
        f"abstains or satisfies: {requirement.promise}. `{ACCEPT}` is true {which} {kind} numbers in "
        f"{requirement.region}{passing}. RESTS ON the certificate of {plan.requirement}. DOES NOT SAY: anything about "
        f"a runtime's own rounding of {plan.model}, about runtimes that compare inexactly, or how often it abstains."
    )


def _sets(requirement: Requirement) -> tuple[object, ...]:
    inputs = requirement.inputs
    return getattr(inputs, "sets", (inputs,))
