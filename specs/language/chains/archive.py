"""The archive of a chain: its specification, core, models and parts, named with their hashes in a manifest."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specs.errors import CertificateError
from specs.language.chains.parts import CORE, model_name
from specs.language.chains.spec import ChainSpec, read_chain_spec

MANIFEST, SPEC = "chain.json", "chain.yaml"
LARGEST_MEMBER = 1 << 30
FRACTION = re.compile(r"[0-9]{1,200}(/[1-9][0-9]{0,200})?")


def read_archive(path: Path, folder: Path) -> dict[str, Any]:
    """The manifest, after unpacking into ``folder`` what it names. Raises ``CertificateError``."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if any(i.file_size > LARGEST_MEMBER or i.compress_type != zipfile.ZIP_STORED for i in infos):
                raise CertificateError(f"{path}: a member is compressed or larger than 1 GiB")
            names = [i.filename for i in infos]
            if len(set(names)) != len(names) or MANIFEST not in names:
                raise CertificateError(f"{path}: not the file of a chain")
            manifest = json.loads(archive.read(MANIFEST))
            files = manifest.get("files") if isinstance(manifest, dict) else None
            if not isinstance(files, dict) or set(files) != set(names) - {MANIFEST}:
                raise CertificateError(f"{path}: its manifest does not name exactly its files")
            if (manifest.get("format"), manifest.get("version")) != ("nnchain", 1):
                raise CertificateError(f"{path}: expected the format 'nnchain', version 1")
            for name, expected in files.items():
                data = archive.read(name)
                if not name.replace("_", "").replace(".", "").replace("-", "").isalnum() or name.startswith("."):
                    raise CertificateError(f"{path}: {name!r} is no plain name of a file")
                if hashlib.sha256(data).hexdigest() != expected:
                    raise CertificateError(f"{path}: {name} was changed: its hash is another")
                (folder / name).write_bytes(data)
            if not _is_sound(manifest):
                raise CertificateError(f"{path}: its manifest is none of a chain")
            return dict(manifest)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OverflowError, RuntimeError, ValueError) as error:
        raise CertificateError(f"{path}: not the file of a chain: {error}") from None


def chain_in(archive: Path, folder: Path, manifest: Mapping[str, Any]) -> ChainSpec:
    """The chain whose files were unpacked into ``folder``. Raises ``CertificateError`` or ``SpecError``."""
    named, parameters = manifest["models"], manifest["parameters"]
    files = {"": folder / CORE, **{step: folder / name for step, name in named.items()}}
    try:
        chain = read_chain_spec(folder / SPEC, parameters, files)
    except KeyError as error:
        raise CertificateError(f"{archive}: there is no model for {error}") from None
    if any(model_name(step) != named[step.id] for step in chain.steps):
        raise CertificateError(f"{archive}: a model has another name than its step")
    return chain


def _is_sound(manifest: Mapping[str, Any]) -> bool:
    """Whether every entry is there and of its kind."""
    joint, errors = manifest.get("joint"), manifest.get("errors")
    for one in (manifest.get("models"), manifest.get("parameters")):
        if not isinstance(one, dict) or not all(isinstance(value, str) for value in one.values()):
            return False
    rows = errors if isinstance(errors, list) else [None]
    if not all(isinstance(row, list) and len(row) == 2 and all(isinstance(v, str) for v in row) for row in rows):
        return False
    if joint is not None and not (isinstance(joint, str) and FRACTION.fullmatch(joint)):
        return False
    needed = {SPEC, CORE, *manifest["models"].values()}
    return isinstance(manifest.get("claim"), str) and needed <= set(manifest["files"])


def is_chain(path: Path) -> bool:
    """Whether this is an archive with a chain's manifest in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return MANIFEST in archive.namelist()
    except (zipfile.BadZipFile, EOFError, OSError, OverflowError, RuntimeError, ValueError):
        return False
