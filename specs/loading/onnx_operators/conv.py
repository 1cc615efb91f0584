"""Convolutions and pooling: padding modes resolved to explicit pads."""

from __future__ import annotations

from specs.graph import ops
from specs.graph.graph import Shape
from specs.loading.onnx_call import Call, Converter, UnsupportedForm

Sizes = tuple[int, ...]


def conv(call: Call) -> str:
    """Convolution."""
    inputs = _operands(call)
    kernel = _kernel(call, call.shape(inputs[1])[2:])
    strides, dilations, pads = _window(call, call.shape(inputs[0]), kernel)
    return call.add(ops.Conv(strides, pads, dilations, call.attribute("group", 1)), *inputs)


def conv_transpose(call: Call) -> str:
    """Transposed convolution; a wanted ``output_shape`` decides the pads."""
    inputs = _operands(call)
    x = call.shape(inputs[0])
    kernel = _kernel(call, call.shape(inputs[1])[2:])
    rank = len(kernel)
    strides, dilations = call.ints("strides") or (1,) * rank, call.ints("dilations") or (1,) * rank
    extra = call.ints("output_padding") or (0,) * rank
    pads, mode = call.ints("pads") or (0,) * (2 * rank), call.attribute("auto_pad", "NOTSET")
    wanted = call.ints("output_shape")
    if not len(strides) == len(dilations) == len(extra) == len(x) - 2 == rank:
        raise ValueError("strides, dilations and output_padding need one number for each axis of space")
    if wanted is None and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(size * stride for size, stride in zip(x[2:], strides))
    if wanted is not None:
        full = [s * (n - 1) + e + d * (k - 1) + 1 for n, s, e, d, k in zip(x[2:], strides, extra, dilations, kernel)]
        surplus = [total - size for total, size in zip(full, wanted[-rank:], strict=True)]
        pads = _split(surplus, upper=mode == "SAME_UPPER")
    elif mode == "VALID":
        pads = (0,) * (2 * rank)
    return call.add(ops.ConvTranspose(strides, pads, dilations, extra, call.attribute("group", 1)), *inputs)


def max_pool(call: Call) -> str:
    """Maximum over windows."""
    call.ignore("storage_order")  # it orders the second output, the indices
    x = call.input(0)
    kernel = _kernel(call, None)
    strides, dilations, pads = _window(call, call.shape(x), kernel)
    pads = _ceil_pads(call, call.shape(x), kernel, strides, dilations, pads)
    return call.add(ops.MaxPool(kernel, strides, pads, dilations), x)


def average_pool(call: Call) -> str:
    """Mean over windows. Padding that counts becomes a ``Pad`` before it."""
    x = call.input(0)
    kernel = _kernel(call, None)
    strides, dilations, pads = _window(call, call.shape(x), kernel)
    extended = _ceil_pads(call, call.shape(x), kernel, strides, dilations, pads)
    if call.attribute("count_include_pad", 0) and any(pads):
        half = len(pads) // 2
        x = call.add(ops.Pad((0, 0, *pads[:half], 0, 0, *pads[half:])), x)
        extended = tuple(max(0, wide - pad) for wide, pad in zip(extended, pads))
    return call.add(ops.AveragePool(kernel, strides, extended, dilations), x)


def global_pool(reduction: type[ops.ReduceMean] | type[ops.ReduceMax]) -> Converter:
    """Converter of a reduction over all axes of space."""

    def convert(call: Call) -> str:
        x = call.input(0)
        return call.add(reduction(tuple(range(2, len(call.shape(x)))), True), x)

    return convert


def _operands(call: Call) -> tuple[str, ...]:
    bias = call.optional(2)
    return (call.input(0), call.input(1), *(() if bias is None else (bias,)))


def _kernel(call: Call, weight: Sizes | None) -> Sizes:
    stated = call.ints("kernel_shape")
    if stated is None and weight is None:
        raise ValueError("attribute kernel_shape is missing")
    if stated is not None and weight is not None and stated != weight:
        raise ValueError(f"kernel_shape {stated} is not that of the weight, {weight}")
    kernel = stated if stated is not None else weight or ()
    if not kernel or min(kernel) < 1:
        raise ValueError(f"a kernel of size {kernel} has no meaning")
    return kernel


def _window(call: Call, x: Shape, kernel: Sizes) -> tuple[Sizes, Sizes, Sizes]:
    """Strides, dilations and explicit pads."""
    rank = len(kernel)
    strides, dilations = call.ints("strides") or (1,) * rank, call.ints("dilations") or (1,) * rank
    pads, mode = call.ints("pads") or (0,) * (2 * rank), call.attribute("auto_pad", "NOTSET")
    if not len(strides) == len(dilations) == len(x) - 2 == rank or min(strides + dilations) < 1:
        raise ValueError(f"kernel {kernel}, strides {strides}, dilations {dilations} do not fit an input of shape {x}")
    if mode == "VALID":
        pads = (0,) * (2 * rank)
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        if max(dilations) > 1:  # runtimes refuse it or disagree about the size
            raise UnsupportedForm(f"{call.node.op_type}(auto_pad={mode!r}, dilations={dilations})")
        surplus = [max(0, (-(-size // s) - 1) * s + k - size) for size, s, k in zip(x[2:], strides, kernel)]
        pads = _split(surplus, upper=mode == "SAME_UPPER")
    elif mode != "NOTSET":
        raise UnsupportedForm(f"{call.node.op_type}(auto_pad={mode!r})")
    if len(pads) != 2 * rank:
        raise ValueError(f"pads {pads} do not fit {rank} axes of space")
    return strides, dilations, pads


def _split(surplus: list[int], upper: bool) -> Sizes:
    """Pads that sum to ``surplus`` on each axis; an odd one more at the end if ``upper``, else at the beginning."""
    small = tuple(n // 2 for n in surplus)
    large = tuple(n - n // 2 for n in surplus)
    return small + large if upper else large + small


def _ceil_pads(call: Call, x: Shape, kernel: Sizes, strides: Sizes, dilations: Sizes, pads: Sizes) -> Sizes:
    """Pads under which rounding down gives as many windows as ``ceil_mode`` asks for.

    Rounding up adds a window that hangs over the end, unless it would begin beyond the input and its first padding.
    """
    if not call.attribute("ceil_mode", 0):
        return pads
    ends = []
    for axis, (k, s, d) in enumerate(zip(kernel, strides, dilations)):
        size, begin, end, extent = x[2 + axis], pads[axis], pads[len(kernel) + axis], d * (k - 1) + 1
        windows = -(-(size + begin + end - extent) // s) + 1
        if (windows - 1) * s >= size + begin:
            windows -= 1
        ends.append(max(0, (windows - 1) * s + extent - size - begin))
    return pads[: len(kernel)] + tuple(ends)


CONVERTERS: dict[str, Converter] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_pool(ops.ReduceMean),
    "GlobalMaxPool": global_pool(ops.ReduceMax),
}
