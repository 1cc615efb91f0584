"""A PyTorch program as a graph: each call translated by the rule of its ATen operator."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

import numpy as np

from specs.errors import ModelError, UnsupportedOpError
from specs.graph import Graph
from specs.loading import torch_aten_arithmetic, torch_aten_layers, torch_aten_shape
from specs.loading.torch_aten_arithmetic import Rule
from specs.loading.torch_aten_shape import VIEWS
from specs.loading.torch_builder import Builder, Value
from specs.loading.torch_program import Call, Program, Ref

RULES: Mapping[str, Rule] = {
    **torch_aten_arithmetic.RULES,
    **torch_aten_shape.RULES,
    **torch_aten_layers.RULES,
}

INTEGER_RULES: Mapping[str, Callable[..., object]] = {
    f"_operator.{name}": getattr(operator, name)
    for name in ("add", "sub", "mul", "floordiv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge")
}
"""Arithmetic on sizes, which are known numbers here."""

ASSERTIONS = frozenset((
    "aten._assert_scalar.default", "aten._assert_async.msg", "aten._assert_tensor_metadata.default",
    "aten.sym_constrain_range_for_size.default", "aten.sym_constrain_range.default",
))  # fmt: skip
"""Calls without a result: checks of sizes and types that hold for static shapes."""

HINT = "Rewrite the model without them, export it without run_decompositions(), or export ONNX"


def to_graph(program: Program, file: str) -> Graph:
    """The graph of the program, in float64 semantics with weights in their stored type.

    Raises ``UnsupportedOpError`` with all calls that have no rule, ``ModelError`` for the first whose arguments do
    not fit or that overwrites a tensor still needed under another name.
    """
    missing = [(call.target, call.name) for call in program.calls if _rule(call.target) is None]
    if missing:
        raise UnsupportedOpError(missing, file, HINT)
    double = any(tensor.dtype == np.float64 for tensor in program.tensors.values())
    builder = Builder(file, np.float64 if double else np.float32)
    values: dict[str, object] = dict(program.scalars)
    call_name = "the inputs"
    try:
        inputs = [builder.input(name, shape) for name, shape in program.inputs.items()]
        values |= {value.name: value for value in inputs}
        values |= {name: builder.constant(array, name) for name, array in program.tensors.items()}
        memory = _Memory(program, file)
        for position, call in enumerate(program.calls):
            call_name = f"{call.target} at node {call.name!r}"
            builder.scope = call.name
            _translate(builder, call, values)
            memory.follow(position, call, values)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, ZeroDivisionError) as why:
        raise ModelError(f"{call_name}: {_reason(why)}", file) from None
    absent = [name for name in program.outputs if not isinstance(values.get(name), Value)]
    if absent or not program.outputs:
        raise ModelError(f"output(s) {', '.join(map(repr, absent))} are not tensors the program computes", file)
    return builder.graph(inputs, [value for name in program.outputs if isinstance(value := values[name], Value)])


def _base(target: str) -> tuple[str, bool]:
    """ATen's name without overload and trailing underscore, and whether the operator overwrites its argument."""
    name = target.split(".")[1] if target.startswith("aten.") and target.count(".") >= 1 else ""
    if name.endswith("_") and name.rstrip("_") in RULES:
        return name.rstrip("_"), True
    return name, False


def _rule(target: str) -> Callable[..., object] | None:
    if target in INTEGER_RULES:
        return INTEGER_RULES[target]
    if target in ASSERTIONS:
        return _nothing
    return RULES.get(_base(target)[0])


def _nothing(*_: object, **__: object) -> None:
    return None


def _translate(builder: Builder, call: Call, values: dict[str, object]) -> None:
    rule = _rule(call.target)
    assert rule is not None
    arguments = {name: _resolve(argument, values) for name, argument in call.arguments.items()}
    if call.target in INTEGER_RULES:
        result: object = rule(*map(_number, arguments.values()))
    else:
        result = rule(builder, **arguments)
    results = result if isinstance(result, list) else [result]
    if call.results and len(results) != len(call.results):
        raise ValueError(f"{len(call.results)} results expected, {len(results)} computed")
    values.update(zip(call.results, results))


def _resolve(argument: object, values: Mapping[str, object]) -> object:
    if isinstance(argument, Ref):
        value = values.get(argument.name)
        if value is None:
            raise ValueError(f"{argument.name!r} has no value here")
        return value
    if isinstance(argument, list):
        return [_resolve(element, values) for element in argument]
    return argument


def _number(value: object) -> int | float:
    if not isinstance(value, int | float) or abs(value) > 2**63:
        raise ValueError(f"{value!r} is not a size")
    return value


def _reason(why: Exception) -> str:
    return f"no {why}" if isinstance(why, KeyError) else str(why)


class _Memory:
    """Which names share memory, so that an operator that overwrites its argument (``relu_``) is read correctly.

    The overwritten name stands for the result from then on. If a view of it is used later, its value has changed
    behind the program's text, and the program is refused.
    """

    def __init__(self, program: Program, file: str) -> None:
        self._file = file
        self._root: dict[str, str] = {}
        self._last_use: dict[str, int] = {}
        for position, call in enumerate(program.calls):
            self._last_use |= dict.fromkeys((ref.name for ref in _refs(list(call.arguments.values()))), position)
        self._last_use |= dict.fromkeys(program.outputs, len(program.calls))

    def follow(self, position: int, call: Call, values: dict[str, object]) -> None:
        base, overwrites = _base(call.target)
        first = next(iter(call.arguments.values()), None)
        if not isinstance(first, Ref):
            return
        if overwrites or base in VIEWS:
            root = self._root.get(first.name, first.name)
            self._root |= dict.fromkeys((first.name, *call.results), root)
        if overwrites:
            stale = [
                name
                for name, root in self._root.items()
                if root == self._root[first.name]
                and name not in (first.name, *call.results)
                and self._last_use.get(name, -1) > position
            ]
            if stale:
                raise ModelError(
                    f"{call.target} at node {call.name!r} overwrites memory that {', '.join(map(repr, stale))} share; "
                    "export with torch.export.export(...).run_decompositions()",
                    self._file,
                )
            values[first.name] = values[call.results[0]]


def _refs(arguments: list[object]) -> list[Ref]:
    nested = [ref for argument in arguments if isinstance(argument, list) for ref in _refs(argument)]
    return nested + [argument for argument in arguments if isinstance(argument, Ref)]
