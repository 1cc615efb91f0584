"""The schema of what a run has to reach besides its verdicts."""

from __future__ import annotations

from pydantic import Field

from specs.language.schema.values import NotNegative, Number, Section
from specs.property import ClaimClass, Severity


class Regression(Section):
    """What was certified in an earlier run has to be certified again, by no less than it may lose."""

    baseline: str = Field(
        description="The `baseline.json` or `report.json` of an earlier run, relative to this file; `emit: [baseline]` "
        "writes one into the folder of `--out`."
    )
    max_drop: dict[str, NotNegative] = Field(
        default={},
        description="By how much the value of REQUIREMENT.PARAMETER may get worse, 0 when absent; `slack`: by how much "
        "that of any requirement may, all of it when absent.",
    )


class Gate(Section):
    """What a run has to reach besides its verdicts."""

    require_class: dict[Severity, ClaimClass] = Field(default={}, description="Weakest class of claim by severity.")
    min: dict[str, Number] = Field(default={}, description="Least value proved of REQUIREMENT.PARAMETER.")
    max: dict[str, Number] = Field(default={}, description="Largest value proved of REQUIREMENT.PARAMETER.")
    regression: Regression | None = Field(default=None, description="How it may differ from an earlier run.")
