"""docs/security.md: each line of its tables is held by tests that exist, by the names that it gives."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| (?!a |-)", line)]
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_the_page_has_lines_to_hold() -> None:
    """Its tables were found, those on recipes and those on servers and disks."""
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS)
def test_each_line_is_held_by_tests(row: str) -> None:
    """One that was renamed or taken out is missed here."""
    held = row.rstrip(" |").rpartition(" | ")[2]
    named = NAMED.findall(held)
    assert named, row
    for file, name in named:
        (path,) = (ROOT / "tests").rglob(file)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, name
    assert NAMED.sub("", held).strip(" ,") == ""
