"""docs/reference/spec-yaml.md, written from the schema and the functions of the expression language.

``python -m specs.language.reference > docs/reference/spec-yaml.md`` brings the page up to date.
"""

from __future__ import annotations

from typing import Any

from specs.language.schema import json_schema

_HEAD = """# spec.yaml

<!-- Written by `python -m specs.language.reference`; change the schema, not this page. -->

One file asks one question: does this network, for *every* input of a stated set, do what the requirements say?
It may be about [several networks](../specifications.md) together.
Keys that are not listed here are errors, and so is every tag, anchor and duplicate key. All mistakes of a file are
reported at once, with line and column.

Numbers are exact decimals: `0.1` is one tenth, `8/255` is 8/255. All sets under an input intersect. Sets and
expressions are in raw units, before `normalize`. `$name` in a value is a parameter, given by `--set name=value`;
`$MODEL` is the MODEL of the command line.

```yaml
certify: "1.0"
name: example
models:
  target: {path: "$MODEL", output_names: [stay, left, right]}
inputs:
  x:
    shape: [3]
    names: [distance, angle, speed]
    units: [m, rad, m/s]
    normalize: {mean: [50, 0, 10], range: [100, 3.14, 20]}
    box: {lo: [1, -0.5, 0], hi: [20, 0.5, 15]}
    linear: ["x.distance >= 0.5 * x.speed"]
let:
  y: target(x)
require:
  - id: no-stay
    severity: malign
    assert: "not (y.stay > y.left and y.stay > y.right)"
engine:
  budget: {seconds: 60}
```

## Keys
"""

_EXPRESSIONS = """## Expressions

A subset of Python expressions. They are parsed, never executed, and compiled exactly: strict comparisons stay strict.

| form | meaning |
|---|---|
| `target(x)` | outputs of the model `target` on the input `x` |
| `judge(x, y)`, `target(gen(z))`, `small(x[0:2])` | a network on several things, on outputs of others, on parts |
| `tap(target, relu1)(x)` | what a layer of the model holds, by its name under `taps`, in its file, or by number |
| `y[3]`, `y[-1]`, `y[2:5]`, `x[0, 1]` | elements, counted from 0 as in Python; leading axes of length 1 are left out |
| `y.COC`, `x.rho` | elements by name (`output_names`, `names`) |
| `+ - * /` and `**` | linear arithmetic; one side of `*` is a constant, a divisor and a power consist of constants |
| `< <= > >= == !=`, `0 <= y[0] < 1` | comparisons, of numbers or element by element (then all have to be true) |
| `and or not`, `implies(a, b)`, `iff(a, b)`, `true`, `false` | conditions |
| `all(...)`, `any(...)` | over conditions, or over element-by-element comparisons as in `any(y > 1)` |
| `min(...)`, `max(...)`, `sum(...)` | of several numbers, or of all elements |
| `abs(v)`, `relu(v)`, `clip(v, low, high)` | element by element |
| `norm(v, inf)`, `norm(v, 1)` | largest absolute value, sum of absolute values |
| `margin(y, k)`, `margin(y)` | `y[k]` minus the largest other element; the largest minus the second largest |
| `argmax(y) == k`, `!= k`, `in [j, k]`, and `argmin` | which element is largest |
| `argmax(a) == argmax(b)` | the same element is the largest of both |
| `k in top(y, n)` | fewer than `n` others are at least as large as `y[k]` |
| `lipschitz(target, norm=inf)` | the largest derivative, see [solving for a parameter](../solving-for.md) |
| `label(x)` | the label of the example that is the centre of the ball |

At a tie nothing wins: `argmax(y) == k` is true only where `y[k]` is strictly larger than every other element, and
`argmax(y) != k` is its exact opposite. `argmax(y) in [j, k]` is true where every largest element is one of these. Say
`max(y) > y[k]` to demand that `k` never even ties for the largest.

Products of variables, and powers and quotients by variables, are nonlinear and refused.
"""


def reference_page() -> str:
    """The page, ending in one newline."""
    schema = json_schema()
    sections = [_section("The file", schema)]
    definitions = schema["$defs"]
    order = [
        "Model",
        "Front",
        "Quantize",
        "Drop",
        "Overseer",
        "NetworkFile",
        "Symbolic",
        "LipschitzClaim",
        "Input",
        "Normalize",
        "BoxSet",
        "Ball",
        "DatasetRow",
        "DatasetRows",
        "Inject",
        "Natural",
        "AbstractBy",
        "OutcomeBox",
        "Requirement",
        "ActivationHull",
        "Monitor",
        "SolveFor",
        "Assumption",
        "AssumptionCheck",
        "OverseerError",
        "Engine",
        "Budget",
        "Extrapolation",
        "Gate",
        "Adversary",
        "Calibration",
    ]
    titles = {
        "Model": "models.NAME",
        "Front": "models.NAME.front",
        "Quantize": "models.NAME.front.quantize",
        "Drop": "models.NAME.front.drop",
        "Overseer": "overseers.NAME",
        "NetworkFile": "overseers.NAME.network",
        "Symbolic": "overseers.NAME.symbolic",
        "LipschitzClaim": "overseers.NAME.symbolic.lipschitz",
        "Input": "inputs.NAME",
        "Normalize": "inputs.NAME.normalize",
        "BoxSet": "inputs.NAME.box",
        "Ball": "inputs.NAME.ball",
        "DatasetRow": "inputs.NAME.ball.center",
        "DatasetRows": "inputs.NAME.points",
        "Inject": "inputs.NAME.inject",
        "Natural": "inputs.NAME.natural",
        "AbstractBy": "inputs.NAME.abstract_by",
        "OutcomeBox": "inputs.NAME.abstract_by.box",
        "Requirement": "require[]",
        "ActivationHull": "require[].where.activation_hull",
        "Monitor": "monitor",
        "SolveFor": "require[].solve_for.NAME",
        "Assumption": "assume[]",
        "AssumptionCheck": "assume[].check",
        "OverseerError": "assume[].error",
        "Engine": "engine",
        "Budget": "engine.budget",
        "Extrapolation": "emit[].extrapolation",
        "Gate": "gate",
        "Adversary": "adversary",
        "Calibration": "adversary.calibrate_power",
    }
    sections += [_section(f"`{titles[name]}`", definitions[name]) for name in order]
    return "\n".join([_HEAD, *sections, _EXPRESSIONS])


def _section(title: str, schema: dict[str, Any]) -> str:
    lines = [f"### {title}", "", schema["description"], "", "| key | value | meaning |", "|---|---|---|"]
    required = schema.get("required", [])
    for key, value in schema["properties"].items():
        default = value.get("default")
        needed = "" if key in required else f" Default: `{default}`." if default not in (None, "", [], {}) else ""
        mark = "**" if key in required else ""
        lines.append(f"| {mark}`{key}`{mark} | {_type(value)} | {value.get('description', '')}{needed} |")
    return "\n".join([*lines, ""])


def _type(value: dict[str, Any]) -> str:
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "$ref" in value:
        return "mapping"
    alternatives = value.get("anyOf") or value.get("oneOf") or []
    options = [option for option in alternatives if "enum" in option or option.get("type") not in ("null", "string")]
    if options:
        return " or ".join(dict.fromkeys(_type(option) for option in options))
    if value.get("type") == "array":
        return f"list of {_type(value['items'])}" if value.get("items") else "list"
    if value.get("type") == "object":
        return "mapping"
    return {"string": "text", "integer": "whole number", "number": "number"}.get(value.get("type", ""), "any")


if __name__ == "__main__":
    print(reference_page(), end="")
