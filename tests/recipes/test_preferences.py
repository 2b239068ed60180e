"""The recipes of preference pairs: what `check` says is what a run does, and the pairs are usable."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Typed, lines
from results import row, summary

from selfinstruct.recipe.compose import compose

REPLIES = Path(__file__).parents[1] / "replies/en.jsonl"
SCRIPTED = ("model=scripted", "model.mode=chat", f"model.options.replies={REPLIES}", "target=10")


@pytest.mark.parametrize("name", ["preferences", "preferences_pairwise"])
def test_the_plan_is_what_the_run_takes(typed: Typed, project: Path, name: str) -> None:
    """Within a tenth, all stages together; the pairs of the run are in all three forms."""
    out = typed("check", f"recipe={name}", *SCRIPTED)[1]
    planned = float(re.split(r"[ (]", row(out, "together")[0])[0])
    assert typed(f"recipe={name}", *SCRIPTED, "run_dir=run")[0] == 0
    stages = summary(project / "run")["stages"]
    assert sum(figures["requests"] for figures in stages.values()) == pytest.approx(planned, rel=0.1)
    made = lines(project / "run/pairs.jsonl")
    assert made
    for style in ("trl", "openai", "llama_factory"):
        assert len(lines(project / f"run/dataset/preference_{style}.jsonl")) == len(made)


def test_a_pair_of_the_recipe(typed: Typed, project: Path) -> None:
    """Its scores are the judge's, and an answer that two replies put off the scale is in no pair."""
    assert typed("recipe=preferences", *SCRIPTED, "run_dir=run")[0] == 0
    answers = {one["id"]: one for one in lines(project / "run/answers.jsonl")}
    off = [one for one in lines(project / "run/rejected.jsonl") if one["check"] == "undecided"]
    assert [one["parent"] for one in off] == ["answers-000007-0"]
    assert off[0]["parent"] not in answers
    for one in lines(project / "run/pairs.jsonl"):
        chosen, rejected = answers[one["chosen_id"]], answers[one["rejected_id"]]
        assert (one["chosen"], one["rejected"]) == (chosen["output"], rejected["output"])
        assert chosen["parent"] == rejected["parent"] == one["parent"]
        assert one["chosen_score"] - one["rejected_score"] >= 1
        assert (one["chosen_score"], one["rejected_score"]) == (chosen["score"], rejected["score"])
    figures = summary(project / "run")["stages"]["pairs"]["figures"]
    assert figures["chosen_longer_share"] <= 0.6


def test_the_story_of_a_pair_has_all_answers(typed: Typed, project: Path) -> None:
    """With marks on the two that it has; no model was asked, so nothing is read from a reply."""
    assert typed("recipe=preferences", *SCRIPTED, "run_dir=run")[0] == 0
    one = lines(project / "run/pairs.jsonl")[0]
    status, out, _ = typed("show", "run", one["id"])
    assert status == 0
    listed = out.partition("made from the same record")[2]
    assert f"{one['chosen_id']}  accepted  chosen_id" in listed
    assert f"{one['rejected_id']}  accepted  rejected_id" in listed
    assert listed.count("answers-0000") == 4
    assert "read from the reply" not in out
    assert "✓  read" not in out


def test_the_report_has_the_lengths_of_both(typed: Typed, project: Path) -> None:
    """Beside those of the tasks and the answers."""
    assert typed("recipe=preferences", *SCRIPTED, "run_dir=run")[0] == 0
    assert typed("report", "run")[0] == 0
    lengths = json.loads((project / "run/stats.json").read_text(encoding="utf-8"))["lengths"]
    assert {"instruction", "output", "chosen", "rejected"} <= {*lengths}


def test_answers_by_a_second_model(typed: Typed, project: Path) -> None:
    """A part adds them with their judge; both stages may give an answer to a pair."""
    keys = ("recipe=preferences", "+parts=other_answers", *SCRIPTED)
    recipe = compose([*keys, "pipeline.other_answers.model.name=other"], project).recipe()
    assert [stage.name for stage in recipe.stages] == [
        *("instructions", "answers", "judge", "judge_again"),
        *("other_answers", "judge_other", "judge_other_again", "pairs"),
    ]
    assert recipe.stage("judge").of == "answers"
    assert recipe.stage("pairs").of == "instructions"
    assert (recipe.stage("answers").model.name, recipe.stage("other_answers").model.name) == (
        "scripted",
        "other",
    )
    out = typed("check", *keys)[1]
    assert "among its answers and other_answers" in out
    assert row(out, "other_answers")[0] == row(out, "answers")[0]


def test_a_pair_of_two_models(typed: Typed, project: Path) -> None:
    """The other model's answers have scores of their own: here the best or the worst of each task."""
    replies = lines(REPLIES)
    for one in [one for one in replies if one["stage"] == "answers"]:
        best = one["number"] % 4 == 1
        score = {"stage": "judge_other", "number": one["number"], "reply": f'{{"score": {5 if best else 1}}}'}
        replies += [{**one, "stage": "other_answers", "reply": f"{one['reply']} That is all."}, score]
    text = "".join(f"{json.dumps(one)}\n" for one in replies)
    (project / "both.jsonl").write_text(text, encoding="utf-8")
    keys = ("model.options.replies=both.jsonl", "pipeline.pairs.length_bias=null", "run_dir=run")
    assert typed("recipe=preferences", "+parts=other_answers", *SCRIPTED[:2], "target=10", *keys)[0] == 0
    found = lines(project / "run/pairs.jsonl")
    assert len(found) == 10
    assert all(one["rejected_id"].startswith("other_answers-") for one in found)
    assert {one["chosen_id"].partition("-")[0] for one in found} <= {"answers", "other_answers"}


def test_what_helps_when_scores_are_too_close(typed: Typed, project: Path) -> None:
    """The run names the keys for tasks without a pair; one answer to each task is found before the run."""
    status, out, err = typed("recipe=preferences", *SCRIPTED, "run_dir=run", "pipeline.pairs.margin=4")
    assert status == 4
    words = " ".join((out + err).split())
    assert "had answers with scores too close to each other" in words
    assert "a smaller pipeline.pairs.margin" in words
    status, _, err = typed("check", "recipe=preferences", *SCRIPTED, "pipeline.answers.times=1")
    assert status == 1
    assert "each of instructions gets one answer, so there is never a pair" in err
    several = (*SCRIPTED, "pipeline.answers.times=1", "+parts=other_answers")
    assert typed("check", "recipe=preferences", *several)[0] == 0
