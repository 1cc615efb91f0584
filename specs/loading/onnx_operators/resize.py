"""Nearest-neighbour resizing, which only picks elements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from specs.graph.graph import Array
from specs.graph.ops.base import normal_axis
from specs.loading.graph_builder import MAX_INDEX
from specs.loading.onnx_call import Call, Converter, UnsupportedForm
from specs.loading.onnx_operators.shape import picked

_TRANSFORMS: dict[str, Callable[[Array, float, int, int], Array]] = {
    "half_pixel": lambda i, scale, old, new: (i + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda i, scale, old, new: (i + 0.5) / scale - 0.5 if new > 1 else 0.0 * i,
    "asymmetric": lambda i, scale, old, new: i / scale,
    "align_corners": lambda i, scale, old, new: i * (old - 1) / (new - 1) if new > 1 else 0.0 * i,
}
"""Where in the old axis each position of the new one lies, from (position, scale, old size, new size)."""

_ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def resize(call: Call) -> str:
    """``Resize`` (opset 11 on) with mode ``nearest``."""
    call.ignore("cubic_coeff_a", "exclude_outside", "extrapolation_value", "antialias")
    mode = call.attribute("mode", "nearest")
    transform = call.attribute("coordinate_transformation_mode", "half_pixel")
    rounding = call.attribute("nearest_mode", "round_prefer_floor")
    policy = call.attribute("keep_aspect_ratio_policy", "stretch")
    if call.opset < 11:
        raise UnsupportedForm(f"Resize of opset {call.opset}")
    if mode != "nearest" or transform not in _TRANSFORMS or rounding not in _ROUNDINGS or policy != "stretch":
        raise UnsupportedForm(f"Resize(mode={mode!r}, {transform}, {rounding}, {policy})")
    call.optional(1)  # the region, read by another transformation only
    x = call.input(0)
    rank = len(call.shape(x))
    scales, sizes = call.constant(2), call.constant_ints(3)
    axes = [normal_axis(axis, rank) for axis in call.ints("axes") or range(rank)]
    for i, axis in enumerate(axes):
        old = call.shape(x)[axis]
        if sizes:
            scale, new = sizes[i] / old, sizes[i]
        elif scales is not None and scales.size == len(axes):
            scale = float(scales.reshape(-1)[i])
            new = int(np.floor(old * scale))
        else:
            raise ValueError("neither scales nor sizes fit the axes")
        x = _stretched(call, x, axis, new, scale, transform, rounding)
    return x


def upsample(call: Call) -> str:
    """``Upsample`` with mode ``nearest``."""
    x, mode = call.input(0), call.attribute("mode", "nearest")
    if mode != "nearest":
        raise UnsupportedForm(f"Upsample(mode={mode!r})")
    scales = call.constant(1) if call.opset >= 9 else np.asarray(call.floats("scales") or ())
    if scales is None or scales.size != len(call.shape(x)):
        raise ValueError("scales do not fit the axes")
    for axis, scale in enumerate(scales.reshape(-1).tolist()):
        new = int(np.floor(call.shape(x)[axis] * scale))
        x = _stretched(call, x, axis, new, scale, "asymmetric", "floor")
    return x


def _stretched(call: Call, x: str, axis: int, new: int, scale: float, transform: str, rounding: str) -> str:
    old = call.shape(x)[axis]
    if old < 1 or not 1 <= new <= MAX_INDEX or not scale > 0:
        raise ValueError(f"axis {axis} of size {old} cannot be resized to {new}")
    if new == old and scale == 1:
        return x
    position = _TRANSFORMS[transform](np.arange(new, dtype=np.float64), scale, old, new)
    return picked(call, x, axis, np.clip(_ROUNDINGS[rounding](position), 0, old - 1).astype(np.int64))


CONVERTERS: dict[str, Converter] = {"Resize": resize, "Upsample": upsample}
