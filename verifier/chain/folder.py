"""A chain's files under fixed names in one folder, and the archive made of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from specs.language.chains.archive import MANIFEST, SPEC
from specs.language.chains.parts import CORE, TRUTH, model_name, required_spec, step_spec, truth
from specs.language.chains.spec import ChainSpec
from verifier.archives import save_archive

SUFFIX = ".nnchain"


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
    return save_archive(path, {MANIFEST: json.dumps(told, indent=1).encode(), **contents})
