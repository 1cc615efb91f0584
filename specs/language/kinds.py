"""Kinds of spec.yaml that have readers of their own, told by their keys."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from specs.errors import SpecError
from specs.language.text.textfile import read_text

Kind = Literal["", "axioms", "chain", "statistical", "mixed"]


def mentions_surrogate(path: Path) -> bool:
    """Whether a spec.yaml may have an overseer to learn: a quick look, which what reads the file has to confirm."""
    try:
        return "surrogate" in read_text(path)
    except SpecError:
        return False


def special_kind(path: Path) -> Kind:
    """``axioms`` where an overseer has any, ``chain`` where there is one, ``statistical`` where all requirements are.

    ``mixed`` where some are. What cannot be read is left to others.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = read_text(path)
        if not any(word in text for word in ("axioms", "chain", "statistical")):  # reading YAML takes long
            return ""
        node = YAML(typ="safe", pure=True).compose(text)
    except (SpecError, YAMLError, ValueError, RecursionError):
        return ""
    if node is None or node.id != "mapping":
        return ""
    parts = {key.value: value for key, value in node.value if isinstance(key.value, str)}
    if "chain" in parts:
        return "chain"
    overseers = parts.get("overseers")
    for _, one in overseers.value if overseers is not None and overseers.id == "mapping" else ():
        if one.id == "mapping" and any(key.value == "axioms" for key, _ in one.value):
            return "axioms"
    required = parts.get("require")
    entries = required.value if required is not None and required.id == "sequence" else ()
    sampled = [any(key.value == "statistical" for key, _ in one.value) for one in entries if one.id == "mapping"]
    return "statistical" if sampled and all(sampled) else "mixed" if any(sampled) else ""
