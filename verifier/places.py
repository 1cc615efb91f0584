"""Where evidence goes: one file for each requirement, in a folder that is there and can be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from specs.errors import CertifyError
from verifier.files import stem

SUFFIX = ".nncert"
RELAXED_SUFFIX = ".nnrelax"


def places(certificate: Path | None, out: Path | None, spec: Path, ids: Sequence[str]) -> Callable[[str], Path] | None:
    """The certificate's path for each requirement: ``certificate``, else ``out/SPEC.nncert``, else nowhere.

    With several requirements the id is inserted before the suffix. Raises ``CertifyError`` where nothing can be
    written; ``out`` is made if it is not there.
    """
    if certificate is None and out is None:
        return None
    if certificate is None:
        assert out is not None
        certificate = make_folder(out) / (stem(spec) + SUFFIX)
    check_writable(certificate, "certificate")
    if len(ids) == 1:
        return lambda id: certificate
    base = certificate.name.removesuffix(SUFFIX)
    return lambda id: certificate.with_name(f"{base}.{id}{SUFFIX}")


def make_folder(folder: Path) -> Path:
    """The folder, made with its parents if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CertifyError(f"the output folder {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CertifyError(f"the output folder {folder} is not writable; choose another with --out")
    return folder


def check_writable(file: Path, what: str) -> None:
    """Raises ``CertifyError`` unless a file can be written there."""
    if file.is_dir():
        raise CertifyError(f"the {what} file {file} is a folder; name a file in it")
    if not file.parent.is_dir():
        raise CertifyError(f"the folder of the {what} file {file} does not exist; make {file.parent} first")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise CertifyError(f"the folder of the {what} file {file} is not writable")
