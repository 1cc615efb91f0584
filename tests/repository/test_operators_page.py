"""The page of supported operators lists exactly what the readers know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from specs.loading.onnx_operators import CONVERTERS
from specs.loading.torch_graph import RULES
from specs.loading.torch_layers import LAYERS
from verifier.checker.onnx_operators import OPERATORS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "operators.md"


def listed(title: str) -> list[str]:
    """The names of a section: those of its paragraph that is nothing but a list."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    lists = [text for text in section.split("\n\n") if re.fullmatch(r"(`\w+`,?\s*)+", text.strip())]
    assert len(lists) == 1, f"section {title!r} has {len(lists)} lists"
    return re.findall(r"`(\w+)`", lists[0])


@pytest.mark.parametrize(
    ("title", "known"),
    [
        ("ONNX, decided", OPERATORS),
        ("ONNX, read", CONVERTERS),
        ("PyTorch, read", RULES),
        ("Layers of a `state_dict`", LAYERS),
    ],
)
def test_each_list_is_complete(title: str, known: object) -> None:
    assert listed(title) == sorted(known)
