"""The schema of overseers that are files of another kind than networks: answer tables, and chains of models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from specs.language.schema.values import Section

_SHA256 = r"^([0-9a-f]{64})?$"


class TableFile(Section):
    """A finite record of an overseer's answers: columns named after what it sees, and after its answers."""

    path: str = Field(description="The .csv file, relative to this one.")
    interpolate: Literal["", "linear"] = Field(
        default="", description="What is said between the points of one number: nothing, or straight lines."
    )
    sha256: str = Field(default="", pattern=_SHA256, description="Expected hash of the file.")


class ChainStatement(Section):
    """What a chain of models ended in: its last network, and how far that can be from what the core says."""

    path: str = Field(description="The .nnchain file, relative to this one.")
    sha256: str = Field(default="", pattern=_SHA256, description="Expected hash of the file.")


def _kind(value: object) -> str:
    return "options" if isinstance(value, dict) else "path"


Table = Annotated[Annotated[str, Tag("path")] | Annotated[TableFile, Tag("options")], Discriminator(_kind)]
Chain = Annotated[Annotated[str, Tag("path")] | Annotated[ChainStatement, Tag("options")], Discriminator(_kind)]
