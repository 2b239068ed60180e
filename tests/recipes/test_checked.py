"""Recipe `checked` and the part `agree`: each answer is written again, and stays if the answers agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Typed, lines

SCRIPTED = ("recipe=checked", "model=scripted", "run_dir=run", "report=off")


def ran(typed: Typed, *words: str) -> None:
    """Run the recipe to its end."""
    status, out, err = typed(*SCRIPTED, *words)
    assert status == 0, out + err


def test_only_answers_that_agree_stay(typed: Typed, project: Path) -> None:
    """All three say the same, and a third answer is not paid for if the first two differ."""
    ran(typed, "target=30")
    rows = lines(project / "run/instances.jsonl")
    assert rows
    for row in rows:
        assert row["output"].strip() == row["second_answer"] == row["third_answer"]
        assert (row["agreement"], row["answers"]) == (1.0, 3)
    stages = json.loads((project / "run/summary.json").read_text())["stages"]
    assert stages["third_answer"]["replies"] == stages["second_answer"]["accepted"]
    rejected = [row for row in lines(project / "run/rejected.jsonl") if row["check"] == "agreement"]
    assert all("another answer" in row["reason"] or "no majority" in row["reason"] for row in rejected)
    assert {row["detail"]["answers"] for row in rejected} <= {2, 3}


def test_two_of_three_are_enough_if_the_recipe_says_so(typed: Typed, project: Path) -> None:
    """More records stay, and the share says which."""
    two = ("filters.second_answer.agreement=null", "filters.third_answer.agreement.share=0.6")
    ran(typed, "target=30", *two)
    shares = {row["agreement"] for row in lines(project / "run/instances.jsonl")}
    assert shares <= {0.667, 1.0}


@pytest.mark.parametrize("recipe", ["completion", "chat", "alpaca", "paper", "distill"])
def test_the_part_fits_other_recipes(typed: Typed, recipe: str) -> None:
    """Whatever their last stage is called."""
    status, out, err = typed("check", f"recipe={recipe}", "model=scripted", "+parts=agree")
    assert status == 0, out + err
    assert "third_answer (label" in out
