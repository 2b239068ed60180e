"""The recipe `topics` with a user's own tree: the plan is what a run sends, and each topic has its tasks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from conftest import Typed, lines
from results import row, summary

TREE = """\
# Our topics.
Bicycles
  Brakes
    Rim brakes
    Disc brakes
  Gears
Road traffic
"""
WORDS = ("recipe=topics", "model=scripted", "model.mode=chat", "pipeline.topics.path=ours.txt", "run_dir=run")


def test_a_tree_of_the_users_own_is_grown_and_filled(typed: Typed, project: Path) -> None:
    """Topics at the depth stay; the others are grown to it. The plan is within a tenth of the run."""
    (project / "ours.txt").write_text(TREE, encoding="utf-8")
    words = (*WORDS, "pipeline.topics.depth=3", "pipeline.topics.width=3", "target=45")
    _, plan, _ = typed("check", *words)
    assert "levels   1 at level 1, 4 at level 2, 14 at level 3" in plan
    status, out, err = typed(*words)
    assert status == 0, out + err
    stages = summary(project / "run")["stages"]
    for name in ("topics", "instructions", "instances"):
        expected = float(row(plan, name)[0].split()[0])
        assert abs(stages[name]["requests"] - expected) <= 0.1 * expected, name
    topics = lines(project / "run/topics.jsonl")
    assert {one["topic"] for one in topics if one["branch"] == "Bicycles"} >= {"Rim brakes", "Disc brakes"}
    assert not any("*" in one["topic"] or ":" in one["topic"] for one in topics)
    leaves = {one["path"] for one in topics if one["leaf"]}
    tasks = Counter(one["path"] for one in lines(project / "run/instructions.jsonl"))
    assert tasks.keys() == leaves
    assert max(tasks.values()) - min(tasks.values()) <= 1
    found = summary(project / "run")["coverage"][0]
    assert (found["asked"], found["full"], found["there"]) == (len(leaves), len(leaves), 45)


def test_a_tree_that_stays_as_it_is(typed: Typed, project: Path) -> None:
    """No model is asked for topics, and the exports know the topic of each record."""
    (project / "ours.txt").write_text(TREE, encoding="utf-8")
    status, out, err = typed(*WORDS, "pipeline.topics.depth=1", "target=8")
    assert status == 0, out + err
    assert summary(project / "run")["stages"]["topics"]["requests"] == 0
    rows = lines(project / "run/instances.jsonl")
    places = (
        "Bicycles > Brakes > Rim brakes",
        "Bicycles > Brakes > Disc brakes",
        "Bicycles > Gears",
        "Road traffic",
    )
    assert Counter(one["path"] for one in rows) == dict.fromkeys(places, 2)


def test_a_missing_file_is_a_fault(typed: Typed, project: Path) -> None:
    """With the key, and without a traceback."""
    status, _, err = typed("check", *WORDS)
    assert status == 1
    assert "pipeline.topics.path: there is no file ours.txt" in err
