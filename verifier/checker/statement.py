"""Statements with a ledger, as archives: what those of probability and those under axioms have in common."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Set
from typing import Any

from verifier.checker.errors import CheckError

LEDGER = "ledger.jsonl"
LARGEST_MEMBER = 1 << 29


def read_members(data: bytes, statement: str, optional: str) -> dict[str, bytes]:
    """The members of an archive that has exactly these and its ledger; raises CheckError for any other."""
    return read_exactly(data, {statement, LEDGER}, {optional})


def read_exactly(data: bytes, needed: Set[str], optional: Set[str] = frozenset()) -> dict[str, bytes]:
    """The members of an archive that has all that are needed and none but these and the optional ones."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if not needed <= set(names) <= {*needed, *optional} or len(set(names)) != len(names):
                raise CheckError(f"not a statement: members are {sorted(names)[:6]}")
            if any(i.file_size > LARGEST_MEMBER or i.compress_type != zipfile.ZIP_STORED for i in archive.infolist()):
                raise CheckError(f"a member is compressed or larger than {LARGEST_MEMBER >> 20} MiB")
            return {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, OverflowError, RuntimeError, ValueError) as e:
        raise CheckError(f"not a statement: {e}") from None


def known_format(manifest: Mapping[str, Any], name: str) -> None:
    """Raises CheckError unless this is version 1 of the format."""
    if manifest["format"] != name or type(manifest["version"]) is not int or manifest["version"] != 1:
        raise CheckError(f"this checker knows statements of format {name!r}, version 1")
