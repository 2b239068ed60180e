"""Trees of topics that a user gives: what is read from a file, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selfinstruct.errors import Fault
from selfinstruct.sources.topic_tree import from_file, from_tree

YAML = """\
# What we know about.
Cooking:
  Baking: [Bread, Cakes]
  Soups: 2.5
Gardening:
Travel: Trains
1999:
"""
TEXT = """\
# What we know about.
Cooking
    Baking
    \t- Bread
        - Cakes

    2. Soups
Gardening
Travel
\tTrains
"""


def read(folder: Path, name: str, content: str | bytes) -> tuple[list[str], list[str]]:
    """The paths of the topics in a file, and the faults."""
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    faults: list[Fault] = []
    found = from_file(name, folder, "pipeline.topics.path", faults)
    assert (found is None) == bool(faults)
    return [str(one.row["path"]) for one in found or []], [str(fault) for fault in faults]


@pytest.mark.parametrize(
    ("name", "content", "more"), [("a.yaml", YAML, ["1999"]), ("a.yml", YAML, ["1999"]), ("a.txt", TEXT, [])]
)
def test_a_file_of_topics(tmp_path: Path, name: str, content: str, more: list[str]) -> None:
    """Only topics without subtopics are given; they may be at different levels."""
    paths, _ = read(tmp_path, name, content)
    there = ["Cooking > Baking > Bread", "Cooking > Baking > Cakes", "Cooking > Soups"]
    assert paths == [*there, "Gardening", "Travel > Trains", *more]


def test_the_fields_of_a_topic(tmp_path: Path) -> None:
    """Its place in the tree, and its weight."""
    (tmp_path / "a.yaml").write_text(YAML)
    found = from_file("a.yaml", tmp_path, "path", []) or []
    assert found[2].row == {
        "topic": "Soups",
        "branch": "Cooking",
        "path": "Cooking > Soups",
        "level": 2,
        "weight": 2.5,
    }
    assert [one.weight for one in found] == [1, 1, 2.5, 1, 1, 1]


def test_a_text_with_other_line_ends(tmp_path: Path) -> None:
    """As an editor on Windows saves it, with a byte order mark."""
    text = "\ufeffCooking\r\n  Bread\r\n".encode()
    assert read(tmp_path, "a.txt", text)[0] == ["Cooking > Bread"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "# nothing\n\n", "has no topic"),
        ("a.yaml", "", "has no topic"),
        ("a.yaml", "- Bread\n- bread\n", "has the topic 'bread' twice"),
        ("a.yaml", "Cooking:\nCooking:\n", "the key 'Cooking' is there already, on line 1"),
        ("a.yaml", "Cooking: [Bread", "is not valid YAML"),
        ("a.yaml", "Cooking: true\n", "below 'Cooking': True is not a topic"),
        ("a.yaml", "Cooking: [[Bread]]\n", "below 'Cooking': ['Bread'] is not a topic"),
        ("a.yaml", "Cooking: 0\n", "below 'Cooking': its weight is 0"),
        ("a.yaml", "Cooking > Bread:\n", "has '>' in it, which separates topics in a path"),
        ("a.yaml", "- ''\n", "a topic is empty"),
        ("a.txt", "A\n    B\n  C\n", "line 3: is indented less than the line above and more than"),
        ("a.txt", "  A\nB\n C\n  D\n C\n", "has the topic 'B > C' twice"),
        ("a.txt", "    A\n  B\n", "line 2: is indented less than the first topic, but not to the start"),
        ("a.txt", "Gemüse\n".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_a_file_that_is_not_a_tree(tmp_path: Path, name: str, content: Any, said: str) -> None:
    """The fault names the place."""
    _, faults = read(tmp_path, name, content)
    assert said in faults[0]


def test_a_tree_in_the_recipe() -> None:
    """It has the same form as a file."""
    found = from_tree({"A": {"B": None, "C": ["D", {"E": ["F"]}]}, "G": []}, "tree", [])
    assert [one.row["path"] for one in found or []] == ["A > B", "A > C > D", "A > C > E > F", "G"]
