"""Commands that other packages add under the entry-point group ``certify.commands``."""

from __future__ import annotations

from collections.abc import Sequence

from specs.errors import CertifyError

SHIPPED = ("bench",)  # ours, but above this package in the order of imports


def run_plugin(name: str, arguments: Sequence[str], own: Sequence[str]) -> int:
    """Run the command called ``name``; raises ``CertifyError`` when nothing provides it."""
    from importlib.metadata import entry_points

    found = entry_points(group="certify.commands")
    for entry in found:
        if entry.name == name:
            return int(entry.load()(list(arguments)))
    if name in SHIPPED:
        raise CertifyError(
            f"the command {name!r} is found through the installed package, and certify-nn is not installed here: "
            f"pip install it, or say python -m {name}.cli"
        )
    from specs.language.text.suggest import did_you_mean

    known = {*own, *SHIPPED, *(entry.name for entry in found)}
    raise CertifyError(f"{name!r} is neither a file nor a command{did_you_mean(name, known)}")
