"""Shape rules say what evaluation does; values are those of the definitions or of PyTorch."""

from __future__ import annotations

from math import erf, exp, inf, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specs.graph import Graph, Node, Op, ops
from specs.graph.graph import Array

RNG = np.random.default_rng(0)


def values(op: Op, *arrays: Any) -> Array:
    """The operator's value, after checking that the shape rule announces its shape."""
    given = [np.asarray(array) for array in arrays]
    result = op.evaluate(*given)
    assert result.shape == op.infer_shape(*(array.shape for array in given))
    return result


FUNCTIONS: list[tuple[Op, float, float]] = [
    (ops.Relu(), -2.0, 0.0),
    (ops.LeakyRelu(0.1), -2.0, -0.2),
    (ops.Elu(2.0), -1.0, 2 * (exp(-1) - 1)),
    (ops.Selu(3.0, 2.0), 1.5, 3.0),
    (ops.Sigmoid(), 0.0, 0.5),
    (ops.Sigmoid(), -800.0, 0.0),
    (ops.Sigmoid(), 800.0, 1.0),
    (ops.HardSigmoid(0.25, 0.5), 1.0, 0.75),
    (ops.HardSigmoid(0.25, 0.5), 9.0, 1.0),
    (ops.Softplus(), 0.0, 0.6931471805599453),
    (ops.Softplus(), 1e6, 1e6),
    (ops.Softsign(), -3.0, -0.75),
    (ops.Reciprocal(), 4.0, 0.25),
    (ops.Sign(), -0.0, 0.0),
    (ops.Sign(), -1e-300, -1.0),
    (ops.Floor(), -0.5, -1.0),
    (ops.Ceil(), 0.5, 1.0),
    (ops.Round(), 2.5, 2.0),
    (ops.Abs(), -3.0, 3.0),
    (ops.Clip(-1.0, 2.0), 5.0, 2.0),
    (ops.Clip(max=2.0), -inf, -inf),
    (ops.Gelu(), 1.0, 0.5 * (1 + erf(1 / sqrt(2)))),
    (ops.Neg(), 2.0, -2.0),
]


@pytest.mark.parametrize("case", FUNCTIONS, ids=repr)
def test_functions_of_one_number(case: tuple[Op, float, float]) -> None:
    op, x, y = case
    assert values(op, [x])[0] == pytest.approx(y, rel=1e-14, abs=1e-300)


def test_reals_are_computed_in_float64_and_integers_stay() -> None:
    tenth = np.float32([0.1])
    assert values(ops.Add(), tenth, tenth).dtype == np.float64
    assert ops.Constant(tenth).evaluate().dtype == np.float64
    assert values(ops.Add(), np.int64([2**53]), np.int64([1]))[0] == 2**53 + 1
    assert values(ops.Div(), [-7, 7, 6], [2, -2, 3]).tolist() == [-3, -3, 2]
    assert values(ops.Less(), [1.0], [2.0]).dtype == np.bool_
    assert values(ops.Transpose((0,)), tenth).dtype == np.float32


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (ops.Add(), ((2, 3), (2,))),
        (ops.Add(), ((2, 3),)),
        (ops.Relu(), ((2,), (2,))),
        (ops.MatMul(), ((2, 3), (2, 3))),
        (ops.MatMul(), ((), (3,))),
        (ops.Conv((1, 1), (0, 0, 0, 0), (1, 1)), ((1, 3, 5, 5), (2, 2, 3, 3))),
        (ops.Conv((1, 1), (0, 0, 0, 0), (1, 1)), ((1, 2, 2, 5), (2, 2, 3, 3))),
        (ops.Conv((0, 1), (0, 0, 0, 0), (1, 1)), ((1, 2, 5, 5), (2, 2, 3, 3))),
        (ops.Conv((1, 1), (0, 0, 0, 0), (1, 1)), ((1, 2, 5, 5), (2, 2, 3, 3), (3,))),
        (ops.MaxPool((2,), (1,), (2, 0), (1,)), ((1, 1, 5),)),
        (ops.AveragePool((2,), (4,), (0, 4), (1,)), ((1, 1, 4),)),
        (ops.BatchNormalization(0.1), ((1, 2, 3), (2,), (2,), (2,), (3,))),
        (ops.Reshape((2, 2)), ((5,),)),
        (ops.Transpose((0, 0)), ((2, 2),)),
        (ops.Slice((0,), (1,), (0,), (0,)), ((2,),)),
        (ops.Slice((0, 0), (1, 1), (0, -1), (1, 1)), ((2,),)),
        (ops.Concat(0), ((2, 3), (2, 4))),
        (ops.Gather(2), ((2, 3), (1,))),
        (ops.Expand((2, 3)), ((4,),)),
        (ops.Expand((1, 3)), ((2, 3),)),
        (ops.Pad((1,)), ((2,),)),
        (ops.ReduceSum((0, -2), True), ((2, 3),)),
        (ops.Softmax(2), ((2, 3),)),
        (ops.Where(), ((2,), (2,))),
    ],
    ids=repr,
)
def test_shapes_that_do_not_fit_are_value_errors(op: Op, shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match=r"\w{4}"):
        op.infer_shape(*shapes)


@pytest.mark.peer
@pytest.mark.parametrize("rank", [1, 2, 3])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_convolutions_and_pools_are_those_of_torch(rank: int, data: st.DataObject) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional

    def sizes(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(low, high)) for _ in range(rank))

    group = data.draw(st.sampled_from([1, 2]))
    kernel, strides, dilations, pads = sizes(1, 3), sizes(1, 3), sizes(1, 2), sizes(0, 1)
    space = sizes(5, 7)
    x, bias = RNG.standard_normal((2, 2 * group, *space)), RNG.standard_normal(3 * group)
    forth = RNG.standard_normal((3 * group, 2, *kernel))
    back = RNG.standard_normal((2 * group, 3, *kernel))
    t = torch.tensor
    theirs = getattr(functional, f"conv{rank}d")(t(x), t(forth), t(bias), strides, pads, dilations, group)
    ours = values(ops.Conv(strides, pads * 2, dilations, group), x, forth, bias)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)

    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(strides, dilations))
    theirs = getattr(functional, f"conv_transpose{rank}d")(
        t(x), t(back), t(bias), strides, pads, extra, group, dilations
    )
    ours = values(ops.ConvTranspose(strides, pads * 2, dilations, extra, group), x, back, bias)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)

    pads = tuple(min(p, k // 2) for p, k in zip(pads, kernel))
    theirs = getattr(functional, f"max_pool{rank}d")(t(x), kernel, strides, pads, dilations)
    np.testing.assert_array_equal(values(ops.MaxPool(kernel, strides, pads * 2, dilations), x), theirs.numpy())
    theirs = getattr(functional, f"avg_pool{rank}d")(t(x), kernel, strides, pads, count_include_pad=False)
    ours = values(ops.AveragePool(kernel, strides, pads * 2, (1,) * rank), x)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-13)


@given(st.data())
def test_moving_elements_keeps_shape_rule_and_value_together(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    rank = len(shape)
    x = np.arange(np.prod(shape)).reshape(shape)
    perm = tuple(data.draw(st.permutations(range(rank))))
    np.testing.assert_array_equal(values(ops.Transpose(perm), x), np.transpose(x, perm))
    axis = data.draw(st.integers(-rank, rank - 1))
    bound, step = st.integers(-6, 6), st.sampled_from([-3, -2, -1, 1, 2, 3])
    start, end, by = data.draw(bound), data.draw(bound), data.draw(step)
    index = [slice(None)] * rank
    index[axis] = slice(start, end, by)
    np.testing.assert_array_equal(values(ops.Slice((start,), (end,), (axis,), (by,)), x), x[tuple(index)])
    np.testing.assert_array_equal(values(ops.Concat(axis), x, x), np.concatenate([x, x], axis))
    pads = tuple(data.draw(st.integers(0, 2)) for _ in range(2 * rank))
    padded = values(ops.Pad(pads, 7.0), x)
    inner = tuple(slice(pads[i], pads[i] + n) for i, n in enumerate(shape))
    np.testing.assert_array_equal(padded[inner], x)
    assert padded.sum() == x.sum() + 7 * (padded.size - x.size)


@given(st.integers(0, 3), st.booleans())
def test_reductions_are_sums_over_the_named_axes(axis: int, keepdims: bool) -> None:
    x = RNG.standard_normal((2, 3, 1, 4))
    other = (axis + 1) % 4
    for op, reduce in (
        (ops.ReduceSum, np.sum), (ops.ReduceMean, np.mean), (ops.ReduceMax, np.max), (ops.ReduceMin, np.min),
        (ops.ReduceProd, np.prod),
    ):  # fmt: skip
        expected = reduce(x, axis=(axis, other), keepdims=keepdims)
        np.testing.assert_allclose(values(op((axis, other - 4), keepdims), x), expected, rtol=1e-14)


def test_softmax_neither_overflows_nor_depends_on_a_shift() -> None:
    x = np.array([[1000.0, 1000.0, -1000.0]])
    np.testing.assert_array_equal(values(ops.Softmax(1), x), [[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(values(ops.LogSoftmax(-1), x), [[-np.log(2), -np.log(2), -2000 - np.log(2)]])


def test_operators_with_equal_attributes_are_equal_and_constants_are_not() -> None:
    assert ops.LeakyRelu(0.1) == ops.LeakyRelu(0.1) != ops.LeakyRelu(0.2)
    assert ops.ReduceSum((0,), True) != ops.ReduceMean((0,), True)
    value = np.zeros(2)
    assert ops.Constant(value) != ops.Constant(value)
    assert len({ops.Relu(), ops.Relu(), ops.Tanh()}) == 2


def test_a_graph_evaluates_flat_vectors_in_the_order_of_its_inputs_and_outputs() -> None:
    nodes = (
        Node("a", ops.Input((1, 2)), (), (1, 2)),
        Node("b", ops.Input((2, 1)), (), (2, 1)),
        Node("product", ops.MatMul(), ("b", "a"), (2, 2)),
        Node("negative", ops.Neg(), ("a",), (1, 2)),
    )
    graph = Graph(nodes, ("b", "a"), ("negative", "product"))
    assert (graph.input_size, graph.output_size) == (4, 6)
    assert graph.evaluate_flat([1, 2, 3, 4]).tolist() == [-3, -4, 3, 4, 6, 8]
