"""Meaning of the ONNX operators in terms of ours, one table per family."""

from specs.loading.onnx_call import Converter
from specs.loading.onnx_operators import conv, linear, logic, nonlinear, normalization, reduce, resize, shape, source

NEWEST_OPSET = 25
"""Newest opset whose operator definitions were read for these tables."""

CONVERTERS: dict[str, Converter] = {}
for _family in (source, linear, conv, normalization, nonlinear, shape, resize, reduce, logic):
    _twice = CONVERTERS.keys() & _family.CONVERTERS.keys()
    if _twice:
        raise RuntimeError(f"two converters for {sorted(_twice)}")
    CONVERTERS.update(_family.CONVERTERS)
