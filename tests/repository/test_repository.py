"""What the repository promises on its front page is what continuous integration runs."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = ["specs", "relaxations", "verifier", "bench"]
TOP_LEVEL = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "tests", "docs", *PACKAGES}


def fenced(text: str, language: str) -> list[str]:
    """Lines of all code blocks of one language."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_ci_runs_the_commands_of_the_readme_literally() -> None:
    commands = [line for line in fenced(README, "sh") if line.startswith("python3.11 -m venv")]
    assert len(commands) == 2, "one command for the main job, one for the tests"
    ran = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [command for command in commands if command not in ran] == []


@pytest.mark.parametrize("page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))])
def test_relative_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text) if "://" not in t]
    assert [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []


def test_the_top_level_holds_what_was_agreed() -> None:
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()]
    names = {p.name for p in ROOT.iterdir() if not p.name.startswith(".")}
    assert {name for name in names if not any(fnmatch(name, pattern) for pattern in ignored)} == TOP_LEVEL


def test_the_wheel_holds_the_four_packages_and_each_is_typed() -> None:
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == PACKAGES
    assert [name for name in PACKAGES if not (ROOT / name / "py.typed").is_file()] == []


def test_the_changelog_knows_this_version() -> None:
    version = PROJECT["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_checker_may_import_nothing_else() -> None:
    """The contract of import-linter names every module beside the checker."""
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    forbidden = next(c["forbidden_modules"] for c in contracts if c["type"] == "forbidden")
    modules = [p for p in (ROOT / "verifier").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()]
    beside = {f"verifier.{p.stem}" for p in modules} - {"verifier.__init__", "verifier.checker"}
    assert set(forbidden) == beside | {"specs", "relaxations", "bench"}
