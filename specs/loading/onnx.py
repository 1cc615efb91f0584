"""ONNX files to graphs, without the ``onnx`` package: reading a small network must not cost its import."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path

from specs.errors import ModelError, UnsupportedOpError
from specs.graph import Graph
from specs.graph.graph import Shape
from specs.loading.graph_builder import MAX_ELEMENTS, GraphBuilder
from specs.loading.model_file import read_model_file
from specs.loading.onnx_call import Call, UnsupportedForm
from specs.loading.onnx_model import OnnxModel, OnnxNode, OnnxValue, parse_model
from specs.loading.onnx_operators import CONVERTERS, NEWEST_OPSET
from specs.loading.onnx_tensor import BFLOAT16, DOUBLE, DTYPES, FLOAT, FLOAT16, parse_tensor
from specs.loading.protobuf import WireError

_REAL = (FLOAT, DOUBLE, FLOAT16, BFLOAT16)
# What untrusted attributes and constants can make a shape rule, NumPy or Python's arithmetic raise.
_MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError)


def load_onnx(path: Path) -> Graph:
    """The real-valued function an ONNX file (plain or gzip) denotes, exactly as its stored weights state it.

    A dynamic batch size becomes 1. Nothing outside the model's folder is read, nothing is executed.
    Raises ``ModelError`` for a file that is no valid model, ``UnsupportedOpError`` with every operator that has no
    meaning here, ``UnsafeModelFileError`` for external weights outside the folder and for decompression bombs.
    """
    return parse_onnx(read_model_file(path), path, path.parent)


def parse_onnx(data: bytes, file: Path | str | None = None, folder: Path | None = None) -> Graph:
    """``load_onnx`` for the content of a file; ``file`` is for messages, ``folder`` where external weights may lie."""
    try:
        model = parse_model(memoryview(data))
        if model.sparse_initialisers:
            raise ModelError("has sparse initialisers; store them as dense tensors", file)
        if not 1 <= model.opset <= NEWEST_OPSET:
            raise ModelError(f"is of opset {model.opset}; known are 1 to {NEWEST_OPSET}", file)
        return _Loader(model, file, folder).load()
    except WireError as error:
        raise ModelError(f"is not a valid ONNX model: {error}", file) from None
    except ModelError as error:
        if error.file is None and file is not None:
            raise type(error)(error.message, file) from None
        raise


class _Loader:
    """Walks a model's live nodes once; problems are collected and raised together."""

    def __init__(self, model: OnnxModel, file: Path | str | None, folder: Path | None) -> None:
        self.model, self.file, self.folder = model, file, folder
        self.builder = GraphBuilder()
        self.values: dict[str, str] = {}
        self.failed: set[str] = set()
        self.unsupported: list[tuple[str, str]] = []
        self.problems: list[str] = []

    def load(self) -> Graph:
        self._reserve_names()
        nodes = self._live_nodes()
        inputs = self._inputs(nodes)
        for node in nodes:
            self._convert(node)
        outputs = [self._value(output.name) for output in self.model.outputs if output.name not in self.failed]
        if not outputs and not self.failed:
            self.problems.append("it has no output")
        if self.unsupported:
            raise UnsupportedOpError(self.unsupported, self.file)
        if self.problems:
            raise ModelError("; ".join(self.problems), self.file)
        return self.builder.build(inputs, tuple(name for name in outputs if name is not None))

    def _reserve_names(self) -> None:
        """Keeps the file's names for what the file calls so; a name with two meanings is an error."""
        inputs = [value.name for value in self.model.inputs if value.name not in self.model.initialisers]
        computed = [output for node in self.model.nodes for output in node.outputs if output]
        for name, count in Counter([*inputs, *self.model.initialisers, *computed]).items():
            self.builder.reserve(name)
            if count > 1:
                self.problems.append(f"{count} values are named {name!r}")

    def _live_nodes(self) -> list[OnnxNode]:
        """The nodes some output depends on, in file order."""
        producer = {output: index for index, node in enumerate(self.model.nodes) for output in node.outputs if output}
        live: set[int] = set()
        stack = [value.name for value in self.model.outputs]
        while stack:
            index = producer.get(stack.pop())
            if index is not None and index not in live:
                live.add(index)
                stack += self.model.nodes[index].inputs
        return [self.model.nodes[index] for index in sorted(live)]

    def _inputs(self, nodes: list[OnnxNode]) -> tuple[str, ...]:
        """Declares the graph inputs; before IR version 4 initialisers are listed among them."""
        names = []
        for value in self.model.inputs:
            if value.name in self.model.initialisers:
                continue
            shape = self._input_shape(value, nodes)
            if shape is not None:
                self.values[value.name] = self.builder.input(value.name, shape)
                names.append(value.name)
            else:
                self.failed.add(value.name)
        if not names and not self.problems:
            self.problems.append("it has no input")
        return tuple(names)

    def _input_shape(self, value: OnnxValue, nodes: list[OnnxNode]) -> Shape | None:
        """Static shape of an input, or None after noting why it cannot be one."""
        if value.element not in _REAL and not self._becomes_real(value, nodes):
            kind = f"of type {DTYPES[value.element]}" if value.element in DTYPES else "not a tensor of numbers"
            self.problems.append(f"input {value.name!r} is {kind}: export the model with a floating-point input")
        elif value.shape is None:
            self.problems.append(f"input {value.name!r} declares no shape: export the model with a static shape")
        elif None in value.shape[1:]:
            shown = ", ".join("?" if size is None else str(size) for size in value.shape)
            self.problems.append(
                f"input {value.name!r} has dynamic sizes beyond the batch, ({shown}): export it with a static shape"
            )
        elif prod(size or 1 for size in value.shape) > MAX_ELEMENTS:
            self.problems.append(f"input {value.name!r} has more than {MAX_ELEMENTS:,} elements")
        else:
            return tuple(1 if size is None else size for size in value.shape)
        return None

    def _becomes_real(self, value: OnnxValue, nodes: list[OnnxNode]) -> bool:
        """Whether an integer input is a number: every node that reads it casts it to a real type."""
        if value.element not in DTYPES or DTYPES[value.element].kind not in "iu":
            return False
        readers = [node for node in nodes if value.name in node.inputs]
        casts = [self._call(node, ()) for node in readers if node.op_type == "Cast"]
        return 0 < len(readers) == len(casts) and all(cast.attribute("to", 0) in _REAL for cast in casts)

    def _value(self, name: str) -> str | None:
        """Builder name of an ONNX value; decodes an initialiser on first use; None after noting that it is missing."""
        if name not in self.values and name in self.model.initialisers:
            constant = self.builder.constant(parse_tensor(self.model.initialisers[name], self.folder), name)
            self.builder.publish(constant, name)
            self.values[name] = constant
        if name not in self.values:
            self.problems.append(f"nothing computes {name!r} before it is read")
        return self.values.get(name)

    def _call(self, node: OnnxNode, inputs: tuple[str | None, ...]) -> Call:
        return Call(node, inputs, self.model.opset, self.builder, self.folder)

    def _convert(self, node: OnnxNode) -> None:
        converter = CONVERTERS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if converter is None:
            name = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
            self._fail(node)
            self.unsupported.append((name, node.label))
            return
        if any(name in self.failed for name in node.inputs):
            self._fail(node)
            return
        problems = len(self.problems)
        inputs = tuple(self._value(name) if name else None for name in node.inputs)
        if len(self.problems) > problems:
            self._fail(node)
            return
        call = self._call(node, inputs)
        try:
            results = converter(call)
            unread = call.unread()
            if unread:
                raise UnsupportedForm(f"{node.op_type} with {', '.join(unread)}")
            self._bind(node, (results,) if isinstance(results, str) else results)
        except UnsupportedForm as form:
            self._fail(node)
            self.unsupported.append((str(form), node.label))
        except _MALFORMED as error:
            self._fail(node)
            self.problems.append(f"node {node.label!r} ({node.op_type}): {error}")

    def _bind(self, node: OnnxNode, results: tuple[str, ...]) -> None:
        """Outputs beyond the results (a training mode's statistics) stay unknown: reading them is an error."""
        for output, result in zip(node.outputs, results):
            if output:
                self.values[output] = result
                self.builder.publish(result, output)

    def _fail(self, node: OnnxNode) -> None:
        self.failed.update(output for output in node.outputs if output)
