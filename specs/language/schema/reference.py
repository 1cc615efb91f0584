"""docs/reference/spec-yaml.md, written from the schema and the functions of the expression language.

``python -m specs.language.schema.reference > docs/reference/spec-yaml.md`` brings the page up to date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from specs.language.schema.json_schema import Schema, definitions

_HEAD = """# spec.yaml

<!-- Written by `python -m specs.language.schema.reference`; change the schema, not this page. -->

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


_KINDS = {
    "SpecFile": ("", "The file"),
    "StatisticalFile": (
        """## Rates

Requirements with `statistical` bound how likely an event is: see [statistics](../statistics.md). They may stand beside
others in one file. Then all of the keys above may be used, overseers may also be programs, and entries under `inputs`
may also be laws. A file with nothing but such requirements has these keys.
""",
        "The file, where all that it asks about are rates",
    ),
    "AxiomFile": (
        """## Overseers known by axioms

Where an overseer has `axioms`, the file is about every function that has them and gives the answers it gave: see
[overseers](../overseers.md).
""",
        "The file, where an overseer has axioms",
    ),
    "ChainFile": (
        """## Chains

A file with `chain` is about models each of which does at once what the one before it does, amplified: see
[overseers](../overseers.md).
""",
        "The file, where there is a chain",
    ),
    "PolynomialFile": (
        """## Polynomials

A file that names neither models nor overseers is about polynomials: see [](../relaxations/sos.md).
""",
        "The file, where there are no networks",
    ),
}


def reference_page() -> str:
    """The page, ending in one newline."""
    known = definitions()
    shown: set[str] = set()
    sections = [_HEAD]
    for name, (told, title) in _KINDS.items():
        sections += [told] if told else []
        sections += [
            _section(title if name == root else f"`{title_}`", known, root)
            for root, title_ in _walk(name, known, shown)
        ]
        sections += [_EXPRESSIONS] if name == "SpecFile" else []
    return "\n".join(sections)


def _walk(name: str, known: Mapping[str, Schema], shown: set[str], path: str = "") -> Iterator[tuple[str, str]]:
    """The sections below one, each once and under the first place that it has; ``shown`` grows by them."""
    if name in shown:
        return
    shown.add(name)
    yield name, path
    for key, value in known[name]["properties"].items():
        for part, place in _named(value, f"{path}.{key}" if path else key):
            yield from _walk(part, known, shown, place)


def _named(value: Schema, path: str) -> Iterator[tuple[str, str]]:
    """The sections that a value may be, with their places."""
    if "$ref" in value:
        yield value["$ref"].rpartition("/")[2], path
    for part in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        yield from _named(part, path)
    for part in value.get("patternProperties", {}).values():
        yield from _named(part, f"{path}.NAME")
    if isinstance(value.get("items"), dict):
        yield from _named(value["items"], f"{path}[]")


def _section(title: str, known: Mapping[str, Schema], name: str) -> str:
    schema = known[name]
    lines = [f"### {title}", "", schema["description"], "", "| key | value | meaning |", "|---|---|---|"]
    required = schema.get("required", [])
    for key, value in schema["properties"].items():
        default = value.get("default")
        needed = (
            "" if key in required else f" Default: `{_yaml(default)}`." if default not in (None, "", [], {}) else ""
        )
        mark = "**" if key in required else ""
        lines.append(f"| {mark}`{key}`{mark} | {_type(value)} | {_meaning(value, known)}{needed} |")
    return "\n".join([*lines, ""])


def _meaning(value: Schema, known: Mapping[str, Schema]) -> str:
    """What a key says of itself, or what its section does where that is the same."""
    reference = value.get("$ref", "").rpartition("/")[2]
    return str(value.get("description") or known.get(reference, {}).get("description", ""))


def _yaml(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _type(value: dict[str, Any]) -> str:
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{_yaml(value['const'])}`"
    if "$ref" in value:
        return "mapping"
    alternatives = value.get("anyOf") or value.get("oneOf") or []
    options = [option for option in alternatives if "enum" in option or option.get("type") not in ("null", "string")]
    if not options and any(option.get("type") == "string" for option in alternatives):
        return "text"
    if options:
        return " or ".join(dict.fromkeys(_type(option) for option in options))
    if value.get("type") == "array":
        return f"list of {_type(value['items'])}" if value.get("items") else "list"
    if value.get("type") == "object":
        return "mapping"
    return _WORDS.get(value.get("type", ""), "any")


_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


if __name__ == "__main__":
    print(reference_page(), end="")
