"""State dicts (``torch.save(model.state_dict(), file)``) joined with the architecture the specification states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specs.errors import ModelError, UnsafeModelFileError
from specs.loading.safe_pickle import Tensor, read_pickle
from specs.loading.torch_layers import LAYERS, REQUIRED, Layer
from specs.loading.torch_program import Call, Program, Ref
from specs.loading.torch_tensors import require_finite, storage_array, strided_view
from specs.loading.torch_zip import TorchZip

Array = NDArray[np.generic]
Shape = tuple[int, ...]

NESTED = ("state_dict", "model_state_dict", "model")
"""Where training scripts put the state dict inside a checkpoint."""

NOT_WEIGHTS = "num_batches_tracked"
BATCHED_RANK = {"conv1d": 3, "conv2d": 4, "batchnorm2d": 4, "maxpool2d": 4, "avgpool2d": 4}


def read_state_dict(archive: TorchZip) -> dict[str, Array]:
    """Tensors by key, in the order of the file. Nothing in the file is executed.

    Raises ``UnsafeModelFileError`` for anything but tensors in plain containers, ``ModelError`` for NaN or infinity.
    """
    value = read_pickle(archive.read("data.pkl"), archive.label)
    entries = _state_dict(value)
    if not entries:
        raise ModelError("no state dict in it; save one with torch.save(model.state_dict(), file)", archive.label)
    storages: dict[tuple[str, str], Array] = {}
    little = archive.little_endian()
    tensors = {key: _tensor(archive, key, tensor, storages, little) for key, tensor in entries.items()}
    require_finite(tensors, archive.label)
    return tensors


def _state_dict(value: object) -> dict[str, Tensor]:
    """The dict of tensors itself, or the one inside a checkpoint; empty when there is none."""
    if not isinstance(value, dict):
        return {}
    inner = next((value[key] for key in NESTED if isinstance(value.get(key), dict)), value)
    return {str(key): tensor for key, tensor in inner.items() if isinstance(tensor, Tensor)}


def _tensor(archive: TorchZip, key: str, tensor: Tensor, storages: dict[tuple[str, str], Array], little: bool) -> Array:
    where = tensor.storage.key, tensor.storage.dtype
    if where not in storages:
        raw = archive.read(f"data/{where[0]}")
        storages[where] = storage_array(raw, where[1], little, repr(key), archive.label)
        if storages[where].size != tensor.storage.count:
            raise UnsafeModelFileError(
                f"{key!r}: its storage has {storages[where].size} values, the file says {tensor.storage.count}",
                archive.label,
            )
    if not (isinstance(tensor.sizes, tuple) and isinstance(tensor.strides, tuple) and type(tensor.offset) is int):
        raise UnsafeModelFileError(f"{key!r}: sizes, strides and offset are not whole numbers", archive.label)
    return strided_view(storages[where], tensor.sizes, tensor.strides, tensor.offset, repr(key), archive.label)


def build_program(tensors: Mapping[str, Array], arch: object, input_shape: Sequence[int] | None, file: str) -> Program:
    """The program of ``arch`` with these weights, assigned in the order in which the state dict lists its modules.

    ``input_shape`` may leave out the batch where the first layer says how many dimensions it needs; when it is None
    the first linear layer decides. Raises ``ModelError`` listing every layer that does not fit.
    """
    layers = _parse(arch, file)
    groups: dict[str, dict[str, str]] = {}
    for key in tensors:
        module, _, suffix = key.rpartition(".")
        if suffix != NOT_WEIGHTS:
            groups.setdefault(module, {})[suffix] = key
    weighted = [(number, name) for number, (name, layer, _) in enumerate(layers) if layer.weights]
    if len(weighted) != len(groups):
        raise ModelError(
            f"arch has {len(weighted)} layers with weights ({', '.join(name for _, name in weighted)}), the state dict "
            f"has {len(groups)} modules ({'; '.join(_describe(group, tensors) for group in groups.values())})",
            file,
        )
    assigned = {number: group for (number, _), group in zip(weighted, groups.values())}
    problems = [
        problem for number, group in assigned.items() for problem in _misfits(number, layers[number], group, tensors)
    ]
    if problems:
        raise ModelError("; ".join(problems), file)
    calls, value = [], "input"
    for number, (name, layer, attributes) in enumerate(layers):
        if layer.target is None:
            continue
        weights = {layer.weights[suffix]: Ref(key) for suffix, key in assigned.get(number, {}).items()}
        result = f"{number}.{name}"
        arguments = {layer.argument: Ref(value), **weights, **attributes, **layer.fixed}
        calls.append(Call(result, layer.target, arguments, (result,)))
        value = result
    shape = _input_shape(layers, assigned, tensors, input_shape, file)
    return Program({"input": shape}, dict(tensors), tuple(calls), (value,))


def _parse(arch: object, file: str) -> list[tuple[str, Layer, dict[str, object]]]:
    entries = arch.get("sequential") if isinstance(arch, Mapping) else None
    if not isinstance(entries, Sequence) or isinstance(entries, str) or len(arch) != 1 or not entries:  # type: ignore[arg-type]
        raise ModelError("arch is a list of layers, like {sequential: [flatten, linear, relu, linear]}", file)
    layers, problems = [], []
    for number, entry in enumerate(entries):
        written, given = next(iter(entry.items())) if isinstance(entry, Mapping) and len(entry) == 1 else (entry, {})
        name = str(written).lower().replace("_", "")
        layer = LAYERS.get(name)
        if layer is None:
            near = get_close_matches(name, LAYERS, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(LAYERS)}"
            problems.append(f"arch layer {number}: {str(written)[:80]!r} is not a layer; {hint}")
            continue
        given = given if isinstance(given, Mapping) else {"": given}
        problems += [
            f"arch layer {number}: {name} has no attribute {str(key)!r}; it has {', '.join(layer.attributes) or 'none'}"
            for key in given
            if key not in layer.attributes
        ]
        attributes = {**layer.attributes, **given}
        problems += [
            f"arch layer {number}: {name} needs {key}" for key, value in attributes.items() if value is REQUIRED
        ]
        layers.append((name, layer, {str(key): value for key, value in attributes.items()}))
    if problems:
        raise ModelError("; ".join(problems), file)
    return layers


def _misfits(
    number: int, entry: tuple[str, Layer, Any], group: Mapping[str, str], tensors: Mapping[str, Array]
) -> list[str]:
    name, layer, _ = entry
    where = f"arch layer {number} ({name})"
    problems = [f"{where} has no place for {key!r}" for suffix, key in group.items() if suffix not in layer.weights]
    missing = [suffix for suffix in layer.required if suffix not in group]
    problems += [f"{where} needs a {suffix!r}, the state dict has {_describe(group, tensors)}" for suffix in missing]
    first = layer.required[0]
    if not missing and tensors[group[first]].ndim not in layer.ranks:
        rank = " or ".join(map(str, layer.ranks))
        problems.append(f"{where} takes a {first} of {rank} dimensions, the state dict has {_describe(group, tensors)}")
    return problems


def _describe(group: Mapping[str, str], tensors: Mapping[str, Array]) -> str:
    return ", ".join(f"{key!r} {'x'.join(map(str, tensors[key].shape)) or 'scalar'}" for key in group.values())


def _input_shape(
    layers: Sequence[tuple[str, Layer, Any]],
    assigned: Mapping[int, Mapping[str, str]],
    tensors: Mapping[str, Array],
    stated: Sequence[int] | None,
    file: str,
) -> Shape:
    shaping = [name for name, layer, _ in layers if layer.weights or name in BATCHED_RANK or name == "flatten"]
    first = shaping[0] if shaping else ""
    if stated is not None:
        shape = tuple(int(size) for size in stated)
        return (1, *shape) if len(shape) == BATCHED_RANK.get(first, len(shape)) - 1 else shape
    for number, (name, _, _) in enumerate(layers):
        if name in BATCHED_RANK or name == "reshape":
            break
        if name == "linear":
            return (1, tensors[assigned[number]["weight"]].shape[1])
    raise ModelError(f"{first or 'this arch'} does not tell the shape of the input; state it", file)
