"""Tiny networks and questions as the files a verifier reads: ONNX with float32 weights, VNN-LIB with exact decimals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.oracle.network import Network, Row, Terms, Unit, exact

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """``weight @ v + bias`` of the previous value v, then a ReLU unless it is the last layer.

    ``concat`` appends the network input to v first; ``add`` adds v (which must be as long) after the ReLU.
    """

    weight: Weights
    bias: Weights
    concat: bool = False
    add: bool = False


@dataclass(frozen=True)
class TinyNet:
    """Layers over ``inputs`` inputs; what is stored is what is meant, so every weight is a float32 number."""

    inputs: int
    layers: tuple[Layer, ...]

    @property
    def outputs(self) -> int:
        return len(self.layers[-1].bias)

    def network(self) -> Network:
        """The exact real function of the stored weights."""
        x = tuple(range(self.inputs))
        read, units, one = x, [], Fraction(1)
        for depth, layer in enumerate(self.layers, start=1):
            sources, first = read + x * layer.concat, self.inputs + len(units)
            for weights, bias in zip(layer.weight, layer.bias, strict=True):
                terms = tuple((v, exact(w)) for v, w in zip(sources, weights, strict=True) if w)
                units.append(Unit(terms, exact(bias), relu=depth < len(self.layers)))
            written = tuple(range(first, self.inputs + len(units)))
            if layer.add:
                units += [Unit(((a, one), (v, one))) for a, v in zip(written, read, strict=True)]
                written = tuple(range(first + len(written), self.inputs + len(units)))
            read = written
        return Network(self.inputs, tuple(units), read)


def write_onnx(net: TinyNet, path: Path, gemm: bool = True) -> Path:
    """The network as an ONNX file with input ``x`` of shape 1 x inputs and output ``y``; returns ``path``.

    Layers are ``Gemm`` nodes (weights stored transposed) or pairs of ``MatMul`` and ``Add``.
    """
    import onnx
    from onnx import helper, numpy_helper

    nodes, stored, previous = [], [], "x"
    for depth, layer in enumerate(net.layers, start=1):
        last = depth == len(net.layers)
        stored.append(numpy_helper.from_array(layer.weight if gemm else layer.weight.T.copy(), f"w{depth}"))
        stored.append(numpy_helper.from_array(layer.bias, f"b{depth}"))
        read = previous
        if layer.concat:
            read = f"c{depth}"
            nodes.append(helper.make_node("Concat", [previous, "x"], [read], axis=1))
        z = "y" if last and not layer.add else f"z{depth}"
        if gemm:
            nodes.append(helper.make_node("Gemm", [read, f"w{depth}", f"b{depth}"], [z], transB=1))
        else:
            nodes.append(helper.make_node("MatMul", [read, f"w{depth}"], [f"m{depth}"]))
            nodes.append(helper.make_node("Add", [f"m{depth}", f"b{depth}"], [z]))
        value = z
        if not last:
            value = f"a{depth}"
            nodes.append(helper.make_node("Relu", [z], [value]))
        if layer.add:
            nodes.append(helper.make_node("Add", [value, previous], [value := "y" if last else f"s{depth}"]))
        previous = value
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("x", net.inputs), ("y", net.outputs))
    ]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def vnnlib_text(lower: Sequence[Fraction], upper: Sequence[Fraction], outputs: int, rows: Sequence[Row]) -> str:
    """The property "in the box at least one row is true" as VNN-LIB, which asserts its negation: every row is false.

    Raises ``ValueError`` for a number that no finite decimal represents.
    """
    lines = [f"(declare-const X_{i} Real)" for i in range(len(lower))]
    lines += [f"(declare-const Y_{i} Real)" for i in range(outputs)]
    for i, (low, up) in enumerate(zip(lower, upper, strict=True)):
        lines += [f"(assert (>= X_{i} {decimal(low)}))", f"(assert (<= X_{i} {decimal(up)}))"]
    lines += [f"(assert {_falsified(row)})" for row in rows]
    return "\n".join(lines) + "\n"


def _falsified(row: Row) -> str:
    """``left-hand side <= 0``, or ``< 0`` when the row itself is not strict, in its shortest form."""
    less, more = ("<=", ">=") if row.strict else ("<", ">")
    terms = [(f"X_{i}", c) for i, c in row.x if c] + [(f"Y_{i}", c) for i, c in row.y if c]
    if len(terms) == 1 and abs(terms[0][1]) == 1:
        (name, sign), bound = terms[0], decimal(-row.constant / terms[0][1])
        return f"({less if sign > 0 else more} {name} {bound})"
    if not row.constant and sorted(c for _, c in terms) == [-1, 1]:
        plus, minus = (next(name for name, c in terms if c == sign) for sign in (1, -1))
        return f"({less} {plus} {minus})"
    products = [f"(* {decimal(c)} {name})" for name, c in terms]
    total = products[0] if len(products) == 1 else f"(+ {' '.join(products)})" if products else "0"
    return f"({less} {total} {decimal(-row.constant)})"


def decimal(value: Fraction) -> str:
    """The finite decimal that is exactly ``value``; ``ValueError`` when there is none."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        raise ValueError(f"{value} is no finite decimal")
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    whole, fraction = digits[: len(digits) - places], digits[len(digits) - places :]
    return ("-" if value < 0 else "") + whole + ("." + fraction if fraction else "")


def terms_of(coefficients: Sequence[Fraction]) -> Terms:
    """The non-zero ones, with their positions."""
    return tuple((i, c) for i, c in enumerate(coefficients) if c)
