"""Labels anywhere in a pipeline: which fields fit together, and what becomes of the records below them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed, lines

BEFORE = ("instructions", "classification", "difficulty", "instances")
AFTER = ("instructions", "classification", "instances", "difficulty")
STAGES: dict[str, Any] = {
    "instructions": {"kind": "bootstrap"},
    "classification": {"kind": "label", "of": "instructions"},
    "difficulty": {"kind": "label", "of": "instructions"},
    "instances": {"kind": "expand", "of": "instructions", "by": "is_classification"},
}
TEXT = {"type": "string"}


def write(project: Path, order: tuple[str, ...], **more: Any) -> None:
    """A recipe that also asks how hard an instruction is, answered easy, hard or, unreadably, odd."""
    fields = {"instruction": TEXT, "is_classification": {"type": "boolean"}, "difficulty": TEXT}
    keys: dict[str, Any] = {
        "defaults": ["paper", {"override /model": "scripted"}, {"override /pipeline": "mine"}, "_self_"],
        "model": {
            "options": {
                "rules": {"d": {"match": "How hard\\?$", "reply": "{{ pick(['easy', 'hard', 'odd']) }}"}}
            }
        },
        "prompts": {
            "difficulty": {
                "template": "{{ instruction }} How hard?",
                "parse": {"kind": "choice", "field": "difficulty", "choices": {"easy": {}, "hard": {}}},
            }
        },
        "schema": {"difficulty": {"properties": fields, "required": list(fields)}},
        "target": 12,
        **more,
    }
    for name, content in (
        ("recipes/mine", keys),
        ("conf/pipeline/mine", {key: STAGES[key] for key in order}),
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(content, sort_keys=False)
        (project / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_a_label_that_the_childs_schema_shuts_out(typed: Typed, project: Path) -> None:
    """Children have all fields of their parent, so every one would be rejected: stage, field and remedy."""
    write(project, BEFORE)
    status, _, err = typed("check", "recipe=mine")
    assert status == 1
    assert "1 fault" in err
    assert "schema.instances: does not allow 'difficulty', which stage difficulty sets" in err
    assert "add difficulty to schema.instances.properties" in err
    assert typed("check", "recipe=mine", "+schema.instances.properties.difficulty={type: string}")[0] == 0


def test_a_label_after_the_children_need_not_fit_their_schema(typed: Typed, project: Path) -> None:
    """What is set later is not part of what the children were when they were checked."""
    write(project, AFTER)
    status, _, err = typed("check", "recipe=mine")
    assert status == 0, err


@pytest.mark.parametrize(
    ("stage", "required"),
    [("instructions", "[instruction, topic]"), ("instances", "[topic]"), ("instances", "[difficulty]")],
)
def test_a_required_field_that_nothing_gives(typed: Typed, project: Path, stage: str, required: str) -> None:
    """Neither a reply nor a stage before gives it, so every record would be rejected."""
    write(project, AFTER)
    status, _, err = typed("check", "recipe=mine", f"schema.{stage}.required={required}")
    field = required.strip("[]").split(", ")[-1]
    assert status == 1
    assert f"schema.{stage}: requires '{field}'" in err
    assert err.count("requires") == 1


def test_what_hangs_on_a_condition_is_no_fault(typed: Typed, project: Path) -> None:
    """Whether a record comes under a condition is not known before there is one."""
    write(project, AFTER, schema={"difficulty": {"if": {"required": ["x"]}, "else": {"required": ["y"]}}})
    status, _, err = typed("check", "recipe=mine")
    assert status == 0, err


def test_a_schema_without_properties(typed: Typed, project: Path) -> None:
    """What it does not name is known from the parsers; templates and `by` are tried with that."""
    write(project, AFTER)

    free = [f"~schema.{stage}.{key}" for stage in STAGES for key in ("properties", "required")]
    free += [f"~schema.{stage}.additionalProperties" for stage in STAGES if stage != "difficulty"]
    for overrides in ([], free):
        status, _, err = typed("check", "recipe=mine", *overrides)
        assert status == 0, err
    status, _, err = typed("check", "recipe=mine", *free, "prompts.difficulty.template='{{ instrution }}'")
    assert status == 1
    assert "did you mean 'instruction'?" in err


def test_a_field_of_two_variants_has_the_values_of_both(typed: Typed, project: Path) -> None:
    """A label with a closed set of its own in each variant gives a later stage all of them to pick by."""
    choice = {"kind": "choice", "field": "difficulty"}
    variants = {
        "sure": {"when": True, "parse": {**choice, "choices": {"easy": {}}}},
        "open": {"when": False, "parse": {**choice, "choices": {"hard": {}}}},
    }
    write(project, BEFORE, prompts={"difficulty": {"template": "How hard?", "variants": variants}})
    overrides = ["+pipeline.difficulty.by=is_classification", "pipeline.instances.by=difficulty"]
    err = typed("check", "recipe=mine", *overrides)[2]
    assert "has 'when: easy'" in err
    assert "has 'when: hard'" in err


def made(project: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a file of the run."""
    return lines(project / f"runs/mine/{name}.jsonl")


def test_what_a_later_label_rejects_takes_its_children_along(typed: Typed, project: Path) -> None:
    """Neither instances.jsonl nor an export has a child of a rejected instruction; labels reach the rest."""
    write(project, AFTER)
    status, _, err = typed("recipe=mine")
    assert status == 0, err
    difficulty = {row["id"]: row["difficulty"] for row in made(project, "instructions")}
    assert 0 < len(difficulty) < 12
    children = made(project, "instances")
    assert {row["parent"]: row["difficulty"] for row in children} == difficulty
    kept = {row["instruction"] for row in made(project, "instructions")}
    assert {row["instruction"] for row in made(project, "dataset/alpaca")} == kept


def test_a_later_label_changes_nothing_before_it(typed: Typed, project: Path) -> None:
    """When the run grows, earlier stages see no later label: the bytes are those of the larger run."""
    write(project, AFTER)
    for target, run_dir in ((5, "grown"), (12, "grown"), (12, "direct")):
        status, _, err = typed("recipe=mine", f"target={target}", f"run_dir={run_dir}")
        assert status == 0, err
    for name in ("instructions", "instances", "rejected"):
        grown, direct = (project / run / f"{name}.jsonl" for run in ("grown", "direct"))
        assert grown.read_bytes() == direct.read_bytes()


def test_a_childs_own_field_stays(typed: Typed, project: Path) -> None:
    """A later label on the parent does not take the place of a field that the child's reply gave."""
    write(project, AFTER)
    overrides = ["prompts.difficulty.parse.field=output", "+schema.difficulty.properties.output={}"]
    status, _, err = typed("recipe=mine", *overrides, "schema.difficulty.required=[output]")
    assert status == 0, err
    assert {row["output"] for row in made(project, "instructions")} == {"easy", "hard"}
    assert not {row["output"] for row in made(project, "instances")} & {"easy", "hard"}


def test_the_funnel_tells_how_many_are_left_after_labels(typed: Typed, project: Path) -> None:
    """Where a label rejects, accepted and left differ; summary.json and the screen have both."""
    write(project, AFTER)
    out = typed("recipe=mine")[1]
    summary = json.loads((project / "runs/mine/summary.json").read_text())
    for name in ("instructions", "instances"):
        stats = summary["stages"][name]
        assert stats["left"] == len(made(project, name)) < stats["accepted"]
    assert out.count("left after labels") == 2
    assert "left" not in summary["stages"]["difficulty"]
    assert "left after labels" not in typed("recipe=paper", "model=scripted", "target=2")[1]
