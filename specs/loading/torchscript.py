"""Models PyTorch itself has to open: modules in this process, and TorchScript archives the user vouches for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from specs.errors import ModelError
from specs.graph import Graph
from specs.loading.torch_graph import to_graph
from specs.loading.torch_program import Call, Program, Ref
from specs.loading.torch_tensors import Array, require_finite


def from_module(module: Any, example_inputs: Sequence[Any], name: str = "module") -> Graph:
    """The graph of a ``torch.nn.Module`` in evaluation mode, for inputs shaped like ``example_inputs``.

    The module is exported and then read like a file, so the two ways cannot differ. It is left in the mode it was in.
    Raises ``ModelError`` when PyTorch cannot export it, ``UnsupportedOpError`` as ``load_torch`` does.
    """
    from specs.loading.torch_archive import read_graph

    torch = _torch()
    modes = [(part, part.training) for part in module.modules()]
    stream = BytesIO()
    try:
        torch.export.save(torch.export.export(module.eval(), tuple(example_inputs)), stream)
    except Exception as why:
        # The exporter raises whatever the user's forward raises, and errors of its own of many types.
        raise ModelError(f"torch.export cannot export it: {_first_line(why)}", name) from why
    finally:
        for part, training in modes:
            part.training = training
    stream.seek(0)
    return read_graph(stream, name)


def load_torchscript(path: Path, input_shape: Sequence[int] | None) -> Graph:
    """The graph of a TorchScript archive. PyTorch compiles and may run code of the file: for trusted files only."""
    if input_shape is None:
        raise ModelError("a TorchScript archive does not tell the shape of its input; state it", path)
    torch = _torch()
    try:
        frozen = torch.jit.freeze(torch.jit.load(str(path), map_location="cpu").eval())
        program = _program(frozen.inlined_graph, torch._C.parse_schema, tuple(input_shape), str(path))
    except RuntimeError as why:
        raise ModelError(f"PyTorch cannot load it: {_first_line(why)}", path) from None
    return to_graph(program, str(path))


def _program(graph: Any, parse_schema: Callable[[str], Any], input_shape: tuple[int, ...], file: str) -> Program:
    """A frozen, inlined TorchScript graph as a program; branches and loops become calls without a rule."""
    inputs = [value.debugName() for value in graph.inputs()][1:]
    if len(inputs) != 1:
        raise ModelError(f"its forward takes {len(inputs)} inputs; one is read", file)
    tensors: dict[str, Array] = {}
    known: dict[str, object] = {}
    calls: list[Call] = []
    for number, node in enumerate(graph.nodes()):
        kind, names = node.kind(), [value.debugName() for value in node.outputs()]
        label = names[0] if names else f"node {number}"
        arguments = [known.get(value.debugName(), Ref(value.debugName())) for value in node.inputs()]
        if kind == "prim::Constant":
            value = node.output().toIValue()
            if hasattr(value, "detach"):
                tensors[names[0]] = _array(value)
            else:
                known[names[0]] = value
        elif kind in ("prim::ListConstruct", "prim::TupleConstruct"):
            known[names[0]] = arguments
        elif kind.startswith("aten::"):
            schema = parse_schema(node.schema())
            keys = [argument.name for argument in schema.arguments]
            target = f"{kind.replace('::', '.')}.{schema.overload_name or 'default'}"
            calls.append(Call(label, target, dict(zip(keys, arguments)), tuple(names)))
        else:
            calls.append(Call(label, kind, {}, tuple(names)))
    require_finite(tensors, file)
    results = [value.debugName() for value in graph.outputs()]
    outputs = [ref for name in results for ref in _references(known.get(name, Ref(name)))]
    return Program({inputs[0]: input_shape}, tensors, tuple(calls), tuple(outputs))


def _references(value: object) -> list[str]:
    elements = value if isinstance(value, list) else [value]
    return [element.name for element in elements if isinstance(element, Ref)]


def _array(tensor: Any) -> Array:
    dense = tensor.detach().cpu()
    return np.asarray(dense.float() if str(dense.dtype) == "torch.bfloat16" else dense)


def _first_line(why: Exception) -> str:
    return (str(why).strip() or type(why).__name__).splitlines()[0]


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise ModelError("PyTorch is needed to read this; install it with: pip install 'certify-nn[torch]'") from None
    return torch
