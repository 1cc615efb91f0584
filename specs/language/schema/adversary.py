"""The schema of what an adversary of spec.yaml makes of a catastrophe: what counts as one, and what causes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from specs.language.schema.inputs import BoxSet
from specs.language.schema.values import AtLeastOne, Count, Name, Section


class Probe(Section):
    """A network that reads a layer."""

    path: str = Field(description="Its file, relative to this one.")
    at: Name = Field(description="The layer that it reads, by its name under `taps` or in the file of the model.")
    model: str = Field(default="", description="The model whose layer it is, where it is not plain.")
    of: str = Field(default="", description="The input that the model is called on, where it is not plain.")
    outputs: dict[Name, Count] = Field(default={}, description="Names of its answers, as in {malign: 0, benign: 1}.")


class Transfer(Section):
    """What a layer holds is moved into the run on another input."""

    context: Name = Field(description="The input whose run it is moved into; all values of it are quantified over.")
    at: str = Field(description="The layer, by its name under `taps` or in the file of the model.")
    model: str = Field(default="", description="The model whose layer it is, where it is not plain.")
    of: str = Field(default="", description="The input that it is moved from, where it is not plain.")


class ExpandCatastrophe(Section):
    """What counts as a catastrophe beside violations of malign requirements.

    Of each malign requirement `ID` there is one more then, `ID+`: it demands the same, and that none of this happens.
    """

    probe: Probe | None = Field(default=None, description="A network that reads a layer, to be named in `counts_when`.")
    counts_when: str = Field(
        default="", description='A condition that counts as a catastrophe, as in "probe(h2) >= 0.9".'
    )
    transfer: Transfer | None = Field(
        default=None, description="Whether what a layer holds leads to a catastrophe in another context counts."
    )


class Rounding(Section):
    """What is looked for once an adversary inside the network has won: an input that does the same."""

    to: Literal["input"] = Field(default="input", description="What is looked for.")
    steps: AtLeastOne = Field(default=500, description="Steps of each descent.")
    restarts: AtLeastOne = Field(default=20, description="Points that descents start from.")
    box: BoxSet | None = Field(
        default=None, description="Where inputs are looked for; among those of the specification when absent."
    )
