"""The section ``guard`` of spec.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from specs.language.schema.values import Id, Section


class Guard(Section):
    """A network that answers as the model does on the set for which a requirement is certified, and nowhere else."""

    from_: Id = Field(alias="from", description="The requirement whose set of inputs decides.")
    export: str = Field(description="The ONNX file to write into the folder of `--out`.")
    on_reject: Literal["abstain"] = Field(
        default="abstain", description="What it does outside: every output is NaN, and `accept` is false."
    )
    held_out: str = Field(default="", description="Data to measure how much is accepted, relative to this file.")
