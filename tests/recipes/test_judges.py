"""Judges as parts: in several languages, by a rubric that is data, on a panel, and compared with people.

The scripted model writes the records of `quickstart`, and a rule answers for the judges.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import yaml
from conftest import Typed, lines
from results import refused, summary

from selfinstruct.project.layout import packaged
from selfinstruct.recipe.compose import compose
from selfinstruct.stages.calibrate import figures, pearson, ranks

SCRIPT = {"de": "[äöüß]", "ja": "[ぁ-ん]", "zh": "[的了是]"}
RECIPES = {"de": "german", "ja": "japanese", "zh": "chinese"}
RUBRIC = ["correct", "complete", "relevant", "clear"]


def write(project: Path, parts: list[str], rules: dict[str, tuple[str, str]], **more: Any) -> None:
    """The recipe `mine`: quickstart with these parts, and rules that answer for the judges."""
    given = {name: {"match": match, "reply": reply} for name, (match, reply) in rules.items()}
    keys = {
        "defaults": ["quickstart", {"override /model": "scripted"}, "_self_"],
        "parts": parts,
        "model": {"options": {"rules": given}},
        "target": 12,
        **more,
    }
    (project / "recipes").mkdir(exist_ok=True)
    (project / "recipes/mine.yaml").write_text(yaml.safe_dump(keys, sort_keys=False), encoding="utf-8")


def done(typed: Typed, *arguments: str) -> str:
    """Run the recipe to its end; what it says."""
    status, out, err = typed("recipe=mine", "run_dir=run", *arguments)
    assert status == 0, out + err
    return str(err)


@pytest.mark.parametrize("language", ["de", "ja", "zh"])
def test_the_judge_of_a_language(project: Path, language: str) -> None:
    """It has the names, the stages and the checks of the English one, and words of its own everywhere."""
    keys = (f"recipe={RECIPES[language]}", "model=scripted", "model.mode=chat")
    theirs = compose([*keys, f"+parts=judge_{language}"], project).recipe()
    ours = compose([*keys, "+parts=judge"], project).recipe()
    assert [stage.name for stage in theirs.stages] == [stage.name for stage in ours.stages]
    mine, english = (one.config.prompts["judge"].variables for one in (theirs, ours))
    for group in ("criteria", "levels"):
        assert [*mine[group]] == [*english[group]]
        assert all(re.search(SCRIPT[language], text) for text in [" ".join(mine[group].values())])
        assert not set(mine[group].values()) & set(english[group].values())
    for stage in ("judge", "judge_again"):
        prompt = theirs.config.prompts[stage]
        assert re.search(SCRIPT[language], f"{prompt.system}")
        shown = (
            theirs.stage(stage)
            .prompts[0]
            .fill({"instruction": "A task", "input": "", "output": "An answer"})[1]
        )
        assert "A task" in shown
        assert "<input>" not in shown
        assert not re.search(r"\b(the|score is|Reply)\b", shown)


def rating(**scores: Any) -> str:
    """A reply of the judge by a rubric."""
    return json.dumps({"reason": "A slip.", **scores})


def test_a_rubric_is_data(typed: Typed, project: Path) -> None:
    """A field for each criterion and their mean; a new criterion is in the prompt and in the records."""
    good = rating(correct=5, complete=4, clear=5, safe=4)
    poor = rating(correct=2, complete="3/5", clear=4, safe=4)
    off = rating(correct=9, complete=4, clear=4, safe=4)
    short = rating(correct=4, complete=4, clear=4)
    replies = [good, poor, off, short, "I like it."]
    write(
        project,
        ["rubric"],
        {"rubric": ("by the rubric, as JSON", f"{{{{ pick({replies!r}) }}}}")},
        prompts={"rubric": {"variables": {"rubric": {"relevant": None, "safe": "It hurts nobody."}}}},
        target=20,
    )
    done(typed)
    kept = lines(project / "run/instances.jsonl")
    assert {(one["correct"], one["safe"], one["score"], one["judge_reason"]) for one in kept} == {
        (5, 4, 4.5, "A slip.")
    }
    assert "relevant" not in kept[0]
    rejected = [one for one in lines(project / "run/rejected.jsonl") if one["stage"] == "rubric"]
    found = {(one["check"], one["record"].get("correct"), one["record"].get("score")) for one in rejected}
    assert {
        ("low_score", 2, 3.25),
        ("undecided", "undecided", "undecided"),
        ("undecided", 4, "undecided"),
    } <= found
    assert {check for check, *_ in found} <= {"low_score", "undecided", "unreadable"}


def test_the_model_is_held_to_the_rubric(project: Path) -> None:
    """The provider gets a key for each criterion, with the numbers of the scale."""
    write(project, ["rubric"], {}, prompts={"rubric": {"variables": {"scale": {"highest": 3}}}})
    recipe = compose(["recipe=mine", "model.mode=chat"], project).recipe()
    sampling = recipe.stage("rubric").prompts[0].sampling
    properties = sampling["response_format"]["json_schema"]["schema"]["properties"]
    assert [*properties] == ["reason", *RUBRIC]
    assert properties["clear"]["enum"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("rubric", "words"),
    [
        (dict.fromkeys(RUBRIC), "criteria: name at least one"),
        ({"score": "How good is it?"}, "'score' is the name of another field"),
    ],
)
def test_a_rubric_with_a_fault(typed: Typed, project: Path, rubric: dict[str, Any], words: str) -> None:
    """Told by check, with the place."""
    write(project, ["rubric"], {}, prompts={"rubric": {"variables": {"rubric": rubric}}})
    refused(typed("check", "recipe=mine"), "prompts.rubric.parse", words)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("median", lambda scores: median(scores)),
        ("majority", lambda scores: next((one for one in scores if scores.count(one) > 1), "undecided")),
    ],
)
def test_three_judgements(typed: Typed, project: Path, rule: str, expected: Any) -> None:
    """Each stage of the panel asks on its own; the verdict and the spread are of all three."""
    rules = {"judges": ("Now judge this example, as JSON", '{"reason": "None.", "score": 3}')}
    replies = [
        {"stage": stage, "number": number, "reply": json.dumps({"reason": stage, "score": score})}
        for stage, scores in {"judge": (5, 4, 2), "judge_b": (5, 1, 5), "judge_c": (4, 4, 5)}.items()
        for number, score in enumerate(scores, 1)
    ]
    (project / "panel.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in replies), encoding="utf-8")
    write(project, ["panel"], rules, filters={"verdict": {"low_score": None, "undecided": None}})
    done(typed, "model.options.replies=panel.jsonl", f"pipeline.verdict.rule={rule}")
    for one in lines(project / "run/instances.jsonl"):
        scores = [one["score"], one["score_b"], one["score_c"]]
        assert (one["verdict"], one["spread"]) == (expected(scores), max(scores) - min(scores))
    first = lines(project / "run/instances.jsonl")[:3]
    assert [(one["score"], one["score_b"], one["score_c"]) for one in first] == [
        (5, 5, 4),
        (4, 1, 4),
        (2, 5, 5),
    ]
    assert [one["spread"] for one in first] == [1, 3, 3]


@pytest.mark.parametrize(
    ("rule", "found"), [("deviation", [0.471405, 1.414214, 0]), ("agreement", [2 / 3, 2 / 3, 2 / 3])]
)
def test_how_far_judges_differ(typed: Typed, project: Path, rule: str, found: list[float]) -> None:
    """As a standard deviation, or as the share that has the commonest score."""
    rules = {"judges": ("Now judge this example, as JSON", '{"reason": "None.", "score": 4}')}
    replies = [
        {"stage": "judge", "number": 1, "reply": '{"score": 5}'},
        {"stage": "judge_b", "number": 2, "reply": '{"score": 1}'},
        {"stage": "judge_c", "number": 3, "reply": "I don't know."},
    ]
    (project / "panel.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in replies), encoding="utf-8")
    write(project, ["panel"], rules)
    done(typed, "model.options.replies=panel.jsonl", f"pipeline.spread.rule={rule}")
    first = lines(project / "run/instances.jsonl")[:3]
    assert [one["spread"] for one in first] == pytest.approx(found, abs=1e-6)


# Calibration


def test_a_judge_and_people(typed: Typed, project: Path) -> None:
    """It scores their records first; the summary says how well they agree, the dataset has none of them."""
    scored = [("720 cm", 5, 5), ("3.5 cm", 1, 2), ("Blue.", 3, 4), ("Red.", 2, 2), ("Green.", 4, "none")]
    rows = [
        {"instruction": f"Say {said}", "output": said, "human_score": people} for said, people, _ in scored
    ]
    (project / "ours.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows), encoding="utf-8")
    rules = {
        f"judge_{place}": (f"<output>\n{re.escape(said)}\n", json.dumps({"reason": "", "score": judge}))
        for place, (said, _, judge) in enumerate(scored)
    }
    rules["others"] = ("Now judge this example, as JSON", '{"reason": "None.", "score": 4}')
    write(project, ["judge", "calibration"], rules)
    err = done(typed, "pipeline.calibration.path=ours.jsonl")
    assert summary(project / "run")["stages"]["calibrated"]["figures"] == {
        "records": 4,
        "pearson": 0.9434,
        "spearman": 0.9487,
        "mean_difference": 0.5,
        "mean_absolute_difference": 0.5,
        "within_one": 1.0,
    }
    assert "calibrated: the judge has a rank correlation of 0.95 with people, in 4 records" in err
    assert [one["judge_difference"] for one in lines(project / "run/calibration.jsonl")] == [0, 1, 1, 0]
    unscored = [one for one in lines(project / "run/rejected.jsonl") if one["stage"] == "calibrated"]
    assert [(one["check"], one["reason"]) for one in unscored] == [
        ("unscored", "it has no number in score, so there is nothing to compare")
    ]
    for file in (project / "run/dataset").glob("*.jsonl"):
        assert "720 cm" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("parts", "like", "score"), [("rubric", "rubric", "score"), ("panel", "judge_b", "score_b")]
)
def test_any_judge_can_be_calibrated(project: Path, parts: str, like: str, score: str) -> None:
    """The part takes the prompt and the fields of the stage that it names."""
    keys = ("recipe=chat", f"+parts=[{parts},calibration]", "model=scripted", "model.mode=chat")
    more = (f"pipeline.calibrated.like={like}", f"pipeline.calibrated.judge={score}")
    recipe = compose([*keys, *more], project).recipe()
    judge, same = recipe.stage(like), recipe.stage("calibration_judge")
    # Each stage gives the schema of its replies a name of its own.
    written = json.dumps([one.sampling for one in same.prompts]).replace("calibration_judge", like)
    assert json.loads(written) == [one.sampling for one in judge.prompts]
    assert same.own == judge.own
    assert score in same.own


def test_the_example_of_scored_records(project: Path) -> None:
    """It has both sides of the scale, and every record has what the part reads."""
    rows = lines(packaged() / "seeds/evaluation/example_scores.jsonl")
    assert {1, 5} <= {one["human_score"] for one in rows}
    keys = ("recipe=judged", "+parts=calibration", "model=scripted", "model.mode=chat")
    stage = compose(keys, project).recipe().stage("calibration")
    assert stage.material
    assert len(stage.material.rows) == len(rows) > 10


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("pipeline.calibrated.people=[humans]", "unknown field 'humans'"),
        ("pipeline.calibrated.people=[]", "pipeline.calibrated.people"),
        (
            "pipeline.calibrated.people=[output]",
            "'output' of the first record of calibration is not a number",
        ),
        (
            "pipeline.calibrated.judge=judge_reason",
            "'judge_reason' of stage calibration_judge has no numbers",
        ),
        ("pipeline.calibration.path=none.jsonl", "pipeline.calibration.path"),
    ],
)
def test_slips_in_a_calibration(typed: Typed, project: Path, given: str, words: str) -> None:
    """Told by check, with the place."""
    write(project, ["judge", "calibration"], {})
    refused(typed("check", "recipe=mine", given), words)


def test_correlations() -> None:
    """Equal ranks share their mean; a side without differences has no correlation."""
    assert ranks([10, 30, 20, 30]) == [1, 3.5, 2, 3.5]
    assert pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert pearson([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert pearson([4, 4, 4], [1, 2, 3]) is None
    assert figures([]) == {}
    assert figures([(4, 1), (4, 5)])["spearman"] is None
    assert figures([(1, 1), (2, 10), (3, 100)])["spearman"] == 1
