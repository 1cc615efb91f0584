"""torch.export archives (.pt2): JSON and raw tensors, read without PyTorch; no pickle in them is ever opened."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specs.errors import ModelError, UnsafeModelFileError
from specs.loading.torch_program import Call, Program, Ref
from specs.loading.torch_tensors import require_finite, storage_array, strided_view
from specs.loading.torch_zip import TorchZip

SCHEMA_MAJOR = 8
SCALAR_TYPES: Mapping[int, str] = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 12: "bool",
    13: "bfloat16",
}  # fmt: skip
STRIDED = 7
SPECIAL_FLOATS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


def is_export(archive: TorchZip) -> bool:
    return any(name.startswith("models/") and name.endswith(".json") for name in archive.names)


def read_export(archive: TorchZip) -> Program:
    """The program of a torch.export archive (schema 8, training or decomposed operators).

    A dynamic first dimension of an input becomes 1, the batch; other dynamic dimensions raise ``ModelError``.
    Raises ``UnsafeModelFileError`` for weights or constants that only unpickling could read.
    """
    models = sorted(name for name in archive.names if name.startswith("models/") and name.endswith(".json"))
    if len(models) > 1:
        raise ModelError(f"the archive holds several models ({', '.join(models)}); save one per file", archive.label)
    document = _json(archive, models[0])
    try:
        major = document["schema_version"]["major"]
        if major != SCHEMA_MAJOR:
            raise ModelError(
                f"export schema {major}; schema {SCHEMA_MAJOR} is read. Export again with torch >= 2.8", archive.label
            )
        return _program(archive, models[0].removeprefix("models/").removesuffix(".json"), document["graph_module"])
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as why:
        raise ModelError(f"{models[0]} does not follow torch.export's schema ({why!r})", archive.label) from None


def _json(archive: TorchZip, name: str) -> Any:
    try:
        return json.loads(archive.read(name))
    except RecursionError:
        raise UnsafeModelFileError(f"{name} is nested too deeply to be a model", archive.label) from None
    except ValueError as why:
        raise ModelError(f"{name} is not JSON ({why})", archive.label) from None


def _program(archive: TorchZip, model: str, module: Mapping[str, Any]) -> Program:
    graph, signature = module["graph"], module["signature"]
    inputs: dict[str, tuple[int, ...]] = {}
    stored: dict[str, str] = {}
    scalars: dict[str, object] = {}
    refused: list[str] = []
    for spec in signature["input_specs"]:
        ((kind, value),) = spec.items()
        if kind == "user_input" and "as_tensor" in value["arg"]:
            name = value["arg"]["as_tensor"]["name"]
            inputs[name] = _input_shape(archive, name, graph["tensor_values"][name])
        elif kind in ("parameter", "buffer", "tensor_constant"):
            stored[value["arg"]["name"]] = value[f"{kind}_name"]
        elif kind == "constant_input":
            ((_, scalars[value["name"]]),) = value["value"].items()
        else:
            refused.append(f"input of kind {kind}")
    outputs = []
    for spec in signature["output_specs"]:
        ((kind, value),) = spec.items()
        if kind == "user_output" and "as_tensor" in value["arg"]:
            outputs.append(value["arg"]["as_tensor"]["name"])
        else:
            refused.append(f"output of kind {kind}")
    if any("mutation" in what for what in refused):
        raise ModelError(
            "the model overwrites its own state or input when it runs; export it after model.eval() and without "
            "operators in place on the input",
            archive.label,
        )
    if refused:
        raise ModelError(f"{', '.join(sorted(set(refused)))}: only tensors go in and out of a network", archive.label)
    calls = tuple(_call(node, number) for number, node in enumerate(graph["nodes"]))
    return Program(inputs, _tensors(archive, model, stored), calls, tuple(outputs), scalars)


def _input_shape(archive: TorchZip, name: str, meta: Mapping[str, Any]) -> tuple[int, ...]:
    dtype = SCALAR_TYPES.get(meta["dtype"], "unknown")
    if not dtype.endswith(("float16", "float32", "float64")):
        raise ModelError(f"input {name!r} is of type {dtype}; a network takes real numbers", archive.label)
    shape = []
    for axis, size in enumerate(meta["sizes"]):
        if "as_int" in size:
            shape.append(_natural(size["as_int"]))
        elif axis == 0:
            shape.append(1)
        else:
            raise ModelError(
                f"dimension {axis} of input {name!r} is dynamic; only the batch (dimension 0) may be. "
                "Export again with that size fixed",
                archive.label,
            )
    return tuple(shape)


def _natural(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a size")
    return value


def _tensors(archive: TorchZip, model: str, stored: Mapping[str, str]) -> dict[str, NDArray[np.generic]]:
    """Arrays of all parameters, buffers and constants the graph names; each storage is read once."""
    places: dict[str, tuple[str, Any]] = {}
    for folder in ("weights", "constants"):
        config = f"data/{folder}/{model}_{folder}_config.json"
        if config in archive.names:
            for fqn, meta in _json(archive, config)["config"].items():
                places[fqn] = (f"data/{folder}/{meta['path_name']}", meta)
    missing = sorted(set(stored.values()) - places.keys())
    if missing:
        raise ModelError(f"no data for {', '.join(map(repr, missing))}; the archive is incomplete", archive.label)
    used = sorted(set(stored.values()))
    pickled = [fqn for fqn in used if places[fqn][1]["use_pickle"] or not places[fqn][1]["tensor_meta"]]
    if pickled:
        raise UnsafeModelFileError(
            f"{', '.join(map(repr, pickled))} stored as pickle, which may run code; export plain dense tensors",
            archive.label,
        )
    little, storages, tensors = archive.little_endian(), {}, {}
    for name, fqn in stored.items():
        member, meta = places[fqn][0], places[fqn][1]["tensor_meta"]
        dtype = SCALAR_TYPES.get(meta["dtype"], f"torch scalar type {meta['dtype']}")
        if meta["layout"] != STRIDED:
            raise ModelError(f"{fqn!r} is not a dense tensor; call .to_dense() before exporting", archive.label)
        if (member, dtype) not in storages:
            storages[member, dtype] = storage_array(archive.read(member), dtype, little, f"{fqn!r}", archive.label)
        sizes, strides = ([s["as_int"] for s in meta[key]] for key in ("sizes", "strides"))
        offset = meta["storage_offset"]["as_int"]
        tensors[name] = strided_view(storages[member, dtype], sizes, strides, offset, f"{fqn!r}", archive.label)
    require_finite({fqn: tensors[name] for name, fqn in stored.items()}, archive.label)
    return tensors


def _call(node: Mapping[str, Any], number: int) -> Call:
    results: list[str] = []
    for output in node["outputs"]:
        ((kind, value),) = output.items()
        if kind == "as_tensors":
            results += [element["name"] for element in value]
        elif kind == "as_tensor":
            results.append(value["name"])
        elif kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
            results.append(value["as_name"])
        elif kind != "as_none":
            raise ValueError(f"a result of kind {kind}")
    arguments = {item["name"]: _argument(item["arg"]) for item in node["inputs"]}
    name = node.get("name") or (results[0] if results else f"node {number}")
    return Call(str(name), str(node["target"]).removeprefix("torch.ops."), arguments, tuple(results))


def _argument(arg: Mapping[str, Any]) -> object:
    ((kind, value),) = arg.items()
    match kind:
        case "as_none":
            return None
        case "as_tensor":
            return Ref(value["name"])
        case "as_tensors":
            return [Ref(element["name"]) for element in value]
        case "as_optional_tensor":
            return _argument(value)
        case "as_optional_tensors":
            return [_argument(element) for element in value]
        case "as_float":
            return SPECIAL_FLOATS[value] if isinstance(value, str) else float(value)
        case "as_floats":
            return [SPECIAL_FLOATS[v] if isinstance(v, str) else float(v) for v in value]
        case "as_sym_int" | "as_sym_bool" | "as_sym_float":
            return Ref(value["as_name"]) if "as_name" in value else next(iter(value.values()))
        case "as_sym_ints":
            return [Ref(v["as_name"]) if "as_name" in v else v["as_int"] for v in value]
        case "as_scalar_type":
            return SCALAR_TYPES.get(value, "unknown")
        case "as_int" | "as_ints" | "as_bool" | "as_bools" | "as_string":
            return value
        case _:
            # Devices, layouts and memory formats say how to compute, not what.
            return kind
