"""A chain as ordinary specifications: one for each step, one for the whole, all in one folder.

Files are called by fixed names there, so that the text of a part depends on the chain alone: ``core.py``, and STEP with
the ending of the model's own file. ``truth.py`` is the core with a function for what every model stands for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from fractions import Fraction

from specs.language.chains.spec import ChainSpec, ChainStep
from specs.language.text.decimals import format_decimal

CORE, TRUTH = "core.py", "truth.py"


def model_name(step: ChainStep) -> str:
    """The model's file in the folder."""
    return step.id + "".join(step.file.suffixes[-2:] if step.file.suffix == ".gz" else [step.file.suffix])


def truth(chain: ChainSpec) -> str:
    """The core's text, and ``true_STEP(q)`` for every step: what its model stands for."""
    names = {chain.overseer: chain.core.function} | {step.id: f"true_{step.id}" for step in chain.steps}
    parts = [chain.core.listing.rstrip() + "\n"]
    for step in chain.steps:
        tree = _Renamed(names, {step.id: len(step.forms) for step in chain.steps}).visit(
            ast.parse(step.amplify.text, mode="eval")
        )
        parts.append(f"def true_{step.id}({chain.variable}: list[float]):\n    return {ast.unparse(tree)}\n")
    return "\n\n".join(parts)


class _Renamed(ast.NodeTransformer):
    """Calls of overseer and models become calls of functions; a model's sub-question becomes one list."""

    def __init__(self, names: Mapping[str, str], models: Mapping[str, int]) -> None:
        self.names, self.models = names, models

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in self.names:
            arguments = node.args
            if node.func.id in self.models and len(arguments) > 1:
                arguments = [ast.List(arguments, ast.Load())]
            return ast.Call(ast.Name(self.names[node.func.id], ast.Load()), arguments, [])
        return node


def step_spec(chain: ChainSpec, step: ChainStep) -> str:
    """What is to be shown of a step: how far the model strays."""
    gap = f"norm({step.id}({chain.variable}) - ({step.amplify.text}), inf) <= {_number(step.tolerance)}"
    called = dict.fromkeys(call.model for call in step.calls)
    return _spec(
        chain,
        step,
        [*called, step.id],
        [(f"{step.id}.gap", gap)],
        f'{chain.overseer}: {{symbolic: {{python: "{_core(chain)}"}}}}',
    )


def joint_spec(chain: ChainSpec, bound: Fraction) -> str:
    """That the last model is within ``bound`` of what the core says, all steps unrolled."""
    step = chain.steps[-1]
    assertion = f"norm({step.id}({chain.variable}) - truth({chain.variable}), inf) <= {_number(bound)}"
    overseer = f'truth: {{symbolic: {{python: "{TRUTH}:true_{step.id}"}}}}'
    return _spec(chain, step, [step.id], [("joint", assertion)], overseer)


def required_spec(chain: ChainSpec) -> str:
    """The chain's own further requirements, about its models and its core."""
    parts = [(f"{one.id}, severity: {one.severity}", one.assert_) for one in chain.require]
    overseer = f'{chain.overseer}: {{symbolic: {{python: "{_core(chain)}"}}}}'
    text = " ".join(assertion for _, assertion in parts)
    models = [step.id for step in chain.steps if step.id in text]
    return _spec(chain, chain.steps[-1], models or [chain.steps[-1].id], parts, overseer)


def _spec(
    chain: ChainSpec, step: ChainStep, models: Iterable[str], parts: Iterable[tuple[str, str]], overseer: str
) -> str:
    files = {one.id: model_name(one) for one in chain.steps}
    box = f"lo: {_list(step.lower)}, hi: {_list(step.upper)}"
    lines = [
        'certify: "1.0"',
        f"name: {step.id}",
        f"models: {{{', '.join(f'{name}: {{path: {files[name]}}}' for name in models)}}}",
        f"overseers: {{{overseer}}}",
        f"inputs: {{{chain.variable}: {{shape: {list(step.shape)}, box: {{{box}}}}}}}",
        "require:",
        *(f'  - {{id: {name}, assert: "{assertion}"}}' for name, assertion in parts),
    ]
    return "\n".join(lines) + "\n"


def _core(chain: ChainSpec) -> str:
    return f"{CORE}:{chain.core.function}"


def _list(values: tuple[Fraction, ...]) -> str:
    return f"[{', '.join(map(_number, values))}]"


def _number(value: Fraction) -> str:
    decimal = format_decimal(value)
    return decimal if decimal is not None else f"{value.numerator}/{value.denominator}"
