"""An audit for people and for programs."""

from __future__ import annotations

from typing import Any

from verifier.auditing.audit import Audit, Examined, Rate


def text(found: Audit) -> str:
    """Without a final line break."""
    lines = [f"audit of {found.requirement}: {found.text}", "", *_table(found.networks), ""]
    lines += [
        f"  recall        objects to {_shown(found.recall)} failures",
        f"  false alarms  objects to {_shown(found.alarms)} other examples",
        f"  agreement     is right about {_shown(found.agrees)} examples",
    ]
    width = max([7, *(len(one.name) for one in found.features)])
    lines += ["", f"  {'element':<{width}}  verdicts that change with it    missed failures are apart by"]
    for one in found.features:
        changed = "none, by its weights" if one.is_unread else "not measured"
        if one.changed is not None and not one.is_unread:
            changed = f"{one.changed.count} of {one.changed.of} (at most {float(one.changed.bounds.upper):.3g})"
        lines.append(f"  {one.name:<{width}}  {changed:<30}  {f'>= {one.apart:.3g}' if one.apart else '-'}")
    if found.blind_to:
        lines += ["", f"  blind to      {', '.join(found.blind_to)}"]
    if found.is_short:
        required, upper = found.required, float(found.recall.bounds.upper)
        lines += ["", f"WARNING: the recall required, {float(required or 0):g}, is excluded: it is at most {upper:.6g}"]
    return "\n".join([*lines, "", f"  {sentence(found)}"])


def sentence(found: Audit) -> str:
    """What is claimed, how strongly, and what it rests on."""
    bounds = found.recall.bounds
    judges = " and ".join(one.name for one in found.networks if one.kind == "overseer")
    unread = [one.name for one in found.features if one.is_unread]
    exact = (
        f" EXACT, BY THE WEIGHTS: given what models answer, no verdict depends on {', '.join(unread)}."
        if unread
        else ""
    )
    return (
        f"{float(bounds.lower):.6g} <= Pr[{judges} objects | failure] <= {float(bounds.upper):.6g}, CLASS "
        f"statistical({found.confidence}) (Clopper and Pearson, {found.recall.of} failures).{exact} RESTS ON: "
        f"(declared) the failures of {found.data.name} (sha256:{found.sha256}) are independent draws of the "
        "failures that are meant, rightly marked, and the overseer was not made with them. DOES NOT SAY: anything "
        "about failures of other kinds; each interval has its confidence by itself."
    )


def to_json(found: Audit) -> dict[str, Any]:
    return {
        "requirement": found.requirement,
        "data": str(found.data),
        "sha256": found.sha256,
        "confidence": str(found.confidence),
        "networks": [
            {
                "name": one.name,
                "kind": one.kind,
                "parameters": one.size.parameters,
                "flops": one.size.flops,
                "wrong": None if one.wrong is None else one.wrong.to_json(),
            }
            for one in found.networks
        ],
        "recall": found.recall.to_json(),
        "false_alarms": None if found.alarms is None else found.alarms.to_json(),
        "agreement": found.agrees.to_json(),
        "features": [
            {
                "name": one.name,
                "changed": None if one.changed is None else one.changed.to_json(),
                "unread": one.is_unread,
                "apart": one.apart,
                "missed": one.is_missed,
            }
            for one in found.features
        ],
        "blind_to": list(found.blind_to),
        "required": None if found.required is None else float(found.required),
        "short": found.is_short,
        "sentence": sentence(found),
    }


def _table(networks: tuple[Examined, ...]) -> list[str]:
    width = max([7, *(len(one.name) for one in networks)])
    lines = [f"  {'network':<{width}}  kind      parameters       flops  wrong on labels"]
    for one in networks:
        wrong = "-" if one.wrong is None else _shown(one.wrong)
        lines.append(
            f"  {one.name:<{width}}  {one.kind:<8}  {one.size.parameters:>10,}  {one.size.flops:>10,}  {wrong}"
        )
    return lines


def _shown(rate: Rate | None) -> str:
    if rate is None:
        return "none of 0"
    return f"{rate.count} of {rate.of} ([{float(rate.bounds.lower):.4g}, {float(rate.bounds.upper):.4g}])"
