"""Refusal of channels and abstractions by the readers that do not know them."""

from __future__ import annotations

from collections.abc import Mapping

from specs.language.schema.file import Model
from specs.language.schema.inputs import Input
from specs.language.text.source import Source


def refuse_channels(source: Source, models: Mapping[str, Model], inputs: Mapping[str, Input], where: str) -> None:
    """Note a fault for every channel and abstraction: leaving one out would be another question."""
    for name, model in models.items():
        if model.front is not None:
            source.fault(f"a channel in front of a model is not supported {where} yet", "models", name, "front")
    for name, one in inputs.items():
        if one.abstract_by is not None:
            source.fault(f"an abstracted input is not supported {where} yet", "inputs", name, "abstract_by")
