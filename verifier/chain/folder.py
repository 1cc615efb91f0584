"""A chain's files under fixed names in one folder, and the archive made of it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from specs.errors import CertificateError
from specs.language.chain_parts import CORE, TRUTH, model_name, required_spec, step_spec, truth
from specs.language.chain_spec import ChainSpec

MANIFEST, SPEC, SUFFIX = "chain.json", "chain.yaml", ".nnchain"
EPOCH = (1980, 1, 1, 0, 0, 0)
LARGEST_MEMBER = 1 << 30
FRACTION = re.compile(r"[0-9]{1,200}(/[1-9][0-9]{0,200})?")


def lay_out(chain: ChainSpec, folder: Path) -> None:
    """The user's files and the parts of the chain, in ``folder``. Raises ``OSError``."""
    shutil.copyfile(chain.file, folder / SPEC)
    for step in chain.steps:
        shutil.copyfile(step.file, folder / model_name(step))
    for name, text in parts(chain).items():
        (folder / name).write_text(text, encoding="utf-8")


def parts(chain: ChainSpec) -> dict[str, str]:
    """Every file that is made of the chain, but the joint question, which has a bound of its own."""
    found = {CORE: chain.core.listing, TRUTH: truth(chain)}
    found |= {f"{step.id}.yaml": step_spec(chain, step) for step in chain.steps}
    return found | ({"required.yaml": required_spec(chain)} if chain.require else {})


def write_archive(path: Path, folder: Path, names: Sequence[str], manifest: Mapping[str, Any]) -> int:
    """The files of these names with their hashes in the manifest; returns the size of the archive."""
    contents = {name: (folder / name).read_bytes() for name in names}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    told = {"format": "nnchain", "version": 1, **manifest, "files": hashes}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST, EPOCH), json.dumps(told, indent=1))
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
    return path.stat().st_size


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
