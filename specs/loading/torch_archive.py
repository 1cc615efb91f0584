"""PyTorch model files: which kind a file is, and the graph in it. PyTorch itself is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from specs.errors import ModelError, UnsafeModelFileError
from specs.graph import Graph
from specs.loading.model_file import read_model_file
from specs.loading.torch_export import is_export, read_export
from specs.loading.torch_graph import to_graph
from specs.loading.torch_zip import TorchZip

ZIP_MAGIC = b"PK\x03\x04"
EXPORT = "torch.export.save(torch.export.export(model, (x,)), 'model.pt2')"


def load_torch(
    path: Path, arch: object = None, input_shape: Sequence[int] | None = None, trust_torchscript: bool = False
) -> Graph:
    """The graph of a torch.export archive, or of a state dict joined with ``arch``.

    Guarantees: nothing in the file is executed or unpickled, and memory stays within a small multiple of its size,
    unless ``trust_torchscript`` lets PyTorch load a TorchScript archive.
    Raises ``UnsafeModelFileError`` for files that would have to be trusted, ``UnsupportedOpError`` with all operators
    without a meaning here, ``ModelError`` for everything else that cannot be read.
    """
    file = str(path)
    data = read_model_file(path)
    if not data.startswith(ZIP_MAGIC):
        raise ModelError(f"not a PyTorch zip archive. Save the model with {EXPORT}", file)
    return read_graph(BytesIO(data), file, arch, input_shape, path if trust_torchscript else None)


def read_graph(
    stream: BinaryIO,
    file: str,
    arch: object = None,
    input_shape: Sequence[int] | None = None,
    trusted_torchscript: Path | None = None,
) -> Graph:
    """``load_torch`` of an open file; ``trusted_torchscript`` is the path PyTorch may load, if any."""
    with TorchZip(stream, file) as archive:
        if is_export(archive):
            return to_graph(read_export(archive), file)
        if "constants.pkl" in archive.names or any(name.startswith("code/") for name in archive.names):
            return _torchscript(file, input_shape, trusted_torchscript)
        if "data.pkl" in archive.names:
            return _state_dict(archive, arch, input_shape)
        if any(name.endswith("serialized_exported_program.json") for name in archive.names):
            raise ModelError(f"an export of torch < 2.8; export it again with torch >= 2.8: {EXPORT}", file)
    raise ModelError(f"a zip archive, but no PyTorch model is in it. Save the model with {EXPORT}", file)


def _state_dict(archive: TorchZip, arch: object, input_shape: Sequence[int] | None) -> Graph:
    from specs.loading.state_dict import build_program, read_state_dict

    tensors = read_state_dict(archive)
    if arch is None:
        listed = ", ".join(f"{key} {'x'.join(map(str, value.shape))}" for key, value in list(tensors.items())[:8])
        raise ModelError(
            f"holds weights only ({listed}{', ...' if len(tensors) > 8 else ''}). Give the model an `arch:` in the "
            f"specification, like {{sequential: [flatten, linear, relu, linear]}}, or save all of it with {EXPORT}",
            archive.label,
        )
    return to_graph(build_program(tensors, arch, input_shape, archive.label), archive.label)


def _torchscript(file: str, input_shape: Sequence[int] | None, trusted: Path | None) -> Graph:
    if trusted is None:
        raise UnsafeModelFileError(
            "a TorchScript archive: its code would have to be executed to be read. Save the model with "
            f"{EXPORT}, export ONNX, or pass trust_torchscript=True if you made the file yourself",
            file,
        )
    from specs.loading.torchscript import load_torchscript

    return load_torchscript(trusted, input_shape)
