"""The command line page lists exactly the options that ``--help`` lists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")


def help_text(*arguments: str) -> str:
    command = [sys.executable, "-m", "verifier", *arguments, "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


def options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z]+", text)) - {"--help"}


@pytest.mark.parametrize(
    ("title", "arguments"),
    [
        ("certify MODEL SPEC", []),
        ("certify check", ["check"]),
        ("certify frontier MODEL SPEC", ["frontier"]),
        ("certify power MODEL SPEC", ["power"]),
        ("certify coverage MODEL DATA", ["coverage"]),
        ("certify combine", ["combine"]),
        ("certify overseer-audit SPEC DATA", ["overseer-audit"]),
        ("certify export MODEL SPEC", ["export"]),
    ],
)
def test_options_are_the_ones_of_the_program(title: str, arguments: list[str]) -> None:
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    shown = options(help_text(*arguments)) - {"--query"}  # another name of --spec
    assert options(section) == shown
    assert shown


def test_commands_are_the_ones_of_the_program() -> None:
    overview = PAGE.split("```text\n")[1].split("```")[0]
    listed = set(re.findall(r"^certify ([a-z]+)", overview, re.MULTILINE))
    assert listed == set(re.findall(r"^  certify ([a-z]+)", help_text(), re.MULTILINE))
    assert listed


def test_a_folder_of_a_commands_name_does_not_hide_the_command() -> None:
    assert (ROOT / "bench").is_dir()
    assert help_text("bench").startswith("usage: certify bench")
