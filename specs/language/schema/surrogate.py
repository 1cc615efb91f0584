"""The schema of overseers that are learned from the answers of a slow program."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from specs.language.schema.values import AtLeastOne, Name, NotEmpty, Section, texts

Selection = Literal["random", "disagreement", "attack-guided"]
MOST_PARAMETERS = 1_000_000


def _layers(value: tuple[int, ...]) -> tuple[int, ...]:
    if len(value) < 2 or value[-1] != 1:
        raise PydanticCustomError("layers", "expected sizes of layers from what is shown to one answer, as [14, 64, 1]")
    if sum(a * b for a, b in pairwise(value)) > MOST_PARAMETERS:
        raise PydanticCustomError("layers", "expected a small network, of a million weights at most")
    return value


def _once(value: tuple[Selection, ...]) -> tuple[Selection, ...]:
    if len(set(value)) < len(value):
        raise PydanticCustomError("once", "expected each way of selecting once")
    return value


class Surrogate(Section):
    """A small ReLU network that is trained on answers of a slow program, and is then an overseer like any network."""

    of: Name = Field(description="The program among the overseers whose answers it learns.")
    arch: Annotated[tuple[AtLeastOne, ...], AfterValidator(_layers)] = Field(
        description="Sizes of its layers: how many numbers it is shown, hidden ones with ReLU, and 1."
    )
    queries: AtLeastOne = Field(description="How many questions to learn from; they are part of the program's budget.")
    select: Annotated[tuple[Selection, ...], BeforeValidator(texts), NotEmpty, AfterValidator(_once)] = Field(
        default=("random",),
        description="How questions are chosen, each way for an equal share: `random`: uniform in the input's box; "
        "`disagreement`: where two small networks differ most; `attack-guided`: where the surrogate is least.",
    )
