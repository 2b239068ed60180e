"""Rewriting records in rounds: what is drawn and kept, what it is compared with, where it came from."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed, lines
from killing import data, start, stored

from selfinstruct.recipe.compose import compose

REPLIES = Path(__file__).parents[1] / "replies/en.jsonl"
RECIPE = ("recipe=evolve", "model=scripted", "model.mode=chat", f"model.options.replies={REPLIES}")
MINE = ("recipe=mine", "model=scripted")
TEXT = {"type": "string"}
ROUND: dict[str, Any] = {
    "template": "{{ way }}: {{ instruction }}",
    "parse": {"kind": "text", "field": "instruction"},
    "variants": {name: {"variables": {"way": name}} for name in ("longer", "shorter", "off")},
}
CHECKS: dict[str, Any] = {
    "empty": {"field": "instruction"},
    "exact_duplicate": {"field": "instruction"},
    "rouge_l": {"field": "instruction", "except_parent": True},
}
KEYS: dict[str, Any] = {
    "pipeline": {
        "instructions": {"kind": "bootstrap"},
        "evolve_1": {
            "kind": "expand",
            "draw": {"longer": 3, "shorter": 1, "off": 0},
            "variant_field": "round_1",
            "keep": True,
        },
        "evolve_2": {
            "kind": "expand",
            "draw": {"longer": 1, "shorter": 1, "off": 0},
            "variant_field": "round_2",
            "keep": True,
        },
    },
    "prompts": {
        "instructions": {
            "template": "{% for one in examples %}\n{{ one.instruction }}\n{% endfor %}\n9.",
            "parse": {"kind": "numbered_list", "field": "instruction"},
        },
        "evolve_1": ROUND,
        "evolve_2": "${prompts.evolve_1}",
    },
    "filters": {
        "instructions": {"rouge_l": {"field": "instruction"}},
        "evolve_1": CHECKS,
        "evolve_2": "${filters.evolve_1}",
    },
    "schema": {"instructions": {"properties": {"instruction": TEXT}}, "evolve_1": {}, "evolve_2": {}},
}
# Most rewritings add words; some are the task again, refused, or empty.
RULES = {
    "longer": {"match": "^longer: (.*)", "reply": "{{ match[0] }} Then name {{ number(2, 999) }} of them."},
    "shorter": {"match": "^shorter: (.*)", "reply": "{{ pick([match[0], '  ', 'In short, ' ~ match[0]]) }}"},
}


@pytest.fixture
def mine(project: Path) -> Callable[..., None]:
    """Write the recipe `mine`: instructions that two rounds rewrite."""

    def write(rules: dict[str, Any] | None = None, **more: Any) -> None:
        for group, content in {**KEYS, **more}.items():
            (project / f"conf/{group}").mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(content, sort_keys=False)
            (project / f"conf/{group}/mine.yaml").write_text(text, encoding="utf-8")
        defaults = [{f"override /{group}": "mine"} for group in KEYS]
        keys = {
            "defaults": [*defaults, {"override /model": "scripted"}, {"override /export": "none"}, "_self_"],
            "model": {"options": {"rules": rules or RULES}},
            "target": 24,
        }
        (project / "recipes").mkdir(exist_ok=True)
        (project / "recipes/mine.yaml").write_text(yaml.safe_dump(keys, sort_keys=False), encoding="utf-8")

    return write


def ran(typed: Typed, *arguments: str) -> None:
    """Run a recipe to its end."""
    status, out, err = typed(*arguments)
    assert status == 0, out + err


def variants(run: Path, stage: str) -> dict[int, str]:
    """The variant of each request, as the journal has it."""
    with closing(sqlite3.connect(run / "run.sqlite")) as journal:
        query = "SELECT number, variant FROM request WHERE stage = ?"
        return dict(journal.execute(query, (stage,)).fetchall())


def test_ways_are_drawn_by_their_weights(typed: Typed, project: Path, mine: Callable[..., None]) -> None:
    """Three to one, none of weight 0; the record says which; another seed draws others."""
    mine()
    for seed in (0, 1):
        ran(typed, *MINE, f"seed={seed}", "target=120", f"run_dir=run{seed}")
    drawn = variants(project / "run0", "evolve_1")
    counts = Counter(drawn.values())
    assert set(counts) == {"longer", "shorter"}
    assert (
        75 <= counts["longer"] <= 105
    )  # 90 expected of 120; the draw is seeded, so this holds or not for ever
    for row in lines(project / "run0/evolve_1.jsonl"):
        assert row["round_1"] == ("kept" if "kept" in row else drawn[row["request"]])
    assert variants(project / "run1", "evolve_1") != drawn
    assert variants(project / "run0", "evolve_2") != drawn


def test_a_record_that_could_not_be_rewritten_goes_on(
    typed: Typed, project: Path, mine: Callable[..., None]
) -> None:
    """Whatever became of the attempt, each record has exactly one child, and the attempt has its reason."""
    refused = {"match": "^longer: .*[a-m]\\.$", "reply": "", "finish_reason": "content_filter"}
    mine({"refused": refused, **RULES})
    ran(typed, *MINE, "pipeline.evolve_1.draw.longer=1", "run_dir=run")
    before = {row["id"]: row for row in lines(project / "run/instructions.jsonl")}
    after = lines(project / "run/evolve_1.jsonl")
    assert [row["parent"] for row in after] == list(before)
    kept = {row["parent"]: row for row in after if row["round_1"] == "kept"}
    attempts = {
        row["parent"]: row for row in lines(project / "run/rejected.jsonl") if row["stage"] == "evolve_1"
    }
    assert set(kept) == set(attempts)
    assert {row["check"] for row in attempts.values()} == {"content_filter", "exact_duplicate", "empty_reply"}
    for parent, row in kept.items():
        assert row["instruction"] == before[parent]["instruction"]
        assert row["kept"] is True
        assert attempts[parent]["record"]["round_1"] in ("longer", "shorter")
    _, out, err = typed(*MINE, "pipeline.evolve_1.draw.longer=1", "run_dir=run")
    assert f"evolve_1: {len(kept)} of 24 go on unchanged" in out + err


def test_without_keep_it_goes_no_further(typed: Typed, project: Path, mine: Callable[..., None]) -> None:
    """As in any other stage that makes children."""
    mine()
    ran(typed, *MINE, "pipeline.evolve_1.keep=false", "run_dir=run")
    after = lines(project / "run/evolve_1.jsonl")
    assert 0 < len(after) < 24
    assert all("kept" not in row for row in after)


def test_where_a_record_came_from(typed: Typed, project: Path, mine: Callable[..., None]) -> None:
    """Its fields name the way of each round, and its parents lead back to the instruction."""
    mine()
    ran(typed, *MINE, "run_dir=run")
    stages = ("instructions", "evolve_1", "evolve_2")
    known = {row["id"]: row for stage in stages for row in lines(project / f"run/{stage}.jsonl")}
    second = variants(project / "run", "evolve_2")
    for row in lines(project / "run/evolve_2.jsonl"):
        parent = known[row["parent"]]
        assert row["round_1"] == parent["round_1"]
        assert row["round_2"] == ("kept" if "kept" in row else second[row["request"]])
        assert known[parent["parent"]]["id"].startswith("instructions-")
    ran(typed, *MINE, "pipeline.evolve_2.variant_field=round_1", "run_dir=one_field")
    for row in lines(project / "one_field/evolve_2.jsonl"):  # the last round has the last word
        assert row["round_1"] == ("kept" if "kept" in row else second[row["request"]])


def test_a_rewriting_may_be_near_to_its_own_parent_only(
    typed: Typed, project: Path, mine: Callable[..., None]
) -> None:
    """ROUGE-L leaves out the parent and nothing else; the parent once more is a duplicate."""
    first = "Name the four oldest bridges of the town by the river and their builders."
    numbered = f" {first}\n10. Which of the bells in the tower is rung for a wedding on a weekday in May?\n"
    copy = first.replace("four", "five")
    rules = {
        "instructions": {"match": "\\n9\\.$", "reply": numbered},
        "same": {"match": "^longer: Name the", "reply": first.upper()},
        "near_other": {"match": "^longer: Which of", "reply": copy},
    }
    mine(rules)
    one: tuple[str, ...] = (
        "target=2",
        "pipeline.evolve_1.draw.shorter=0",
        "~pipeline.evolve_2",
        "~prompts.evolve_2",
    )
    one += ("~filters.evolve_2", "~schema.evolve_2")
    ran(typed, *MINE, *one, "target=1", "run_dir=run")
    ran(typed, *MINE, *one, "run_dir=run")  # what was rewritten before is known when the run goes on
    same, near = (row for row in lines(project / "run/rejected.jsonl") if row["stage"] == "evolve_1")
    assert (same["check"], same["nearest"]) == ("exact_duplicate", "instructions-000001-0")
    assert (near["check"], near["nearest"]) == ("rouge_l", "instructions-000001-0")
    assert near["parent"] == "instructions-000001-1"

    mine({**rules, "same": {"match": "^longer: Name the", "reply": copy}})
    ran(typed, *MINE, *one, "run_dir=near")
    rewritten = lines(project / "near/evolve_1.jsonl")[0]
    assert (rewritten["instruction"], rewritten["round_1"]) == (copy, "longer")
    ran(typed, *MINE, *one, "filters.evolve_1.rouge_l.except_parent=false", "run_dir=plain")
    (parent, _) = (row for row in lines(project / "plain/rejected.jsonl") if row["stage"] == "evolve_1")
    assert (parent["check"], parent["nearest"]) == ("rouge_l", "instructions-000001-0")


def test_the_same_bytes_at_any_concurrency_and_grown(
    typed: Typed, project: Path, mine: Callable[..., None]
) -> None:
    """One at a time, 64 at once in any order, or in three steps: the same is made, kept and rejected."""
    mine()
    ran(typed, *MINE, "model.concurrency=1", "run_dir=one")
    ran(typed, *MINE, "model.concurrency=64", "model.options.delay=0.02", "run_dir=many")
    for target in (5, 6, 24):
        ran(typed, *MINE, f"target={target}", "run_dir=grown")
    assert data(project / "one") == data(project / "many") == data(project / "grown")
    assert any("kept" in row for row in lines(project / "one/evolve_2.jsonl"))


def test_killed_in_either_round(typed: Typed, project: Path, mine: Callable[..., None]) -> None:
    """A kept record and the attempt it stands in for are stored together or not at all."""
    mine()
    ran(typed, *MINE, "run_dir=calm")
    run, slow = project / "killed", ("model.options.delay=0.3", "model.concurrency=2", "run_dir=killed")
    for stage, replies in (
        ("evolve_1", 3),
        ("evolve_1", 11),
        ("evolve_1", 19),
        ("evolve_2", 5),
        ("evolve_2", 13),
    ):
        process = start(project, *MINE, *slow)
        while process.poll() is None and sum(key[0] == stage for key in stored(run)) < replies:
            time.sleep(0.02)
        assert process.poll() is None, "it came to its end before it was killed"
        process.kill()
        process.communicate()
    ran(typed, *MINE, "run_dir=killed")
    assert data(run) == data(project / "calm")


def test_the_shipped_recipe_rejects_what_drops_the_input(typed: Typed, project: Path) -> None:
    """By its own check, with the words that are lost; the task goes on with its input."""
    ran(typed, *RECIPE, "target=10", "run_dir=run")
    (row,) = (one for one in lines(project / "run/rejected.jsonl") if one["check"] == "dropped_input")
    assert row["reason"].startswith("input of instructions-000001-4 had 'NO BICYCLES")
    assert row["record"]["input"] == ""
    (kept,) = (one for one in lines(project / "run/evolve_1.jsonl") if one["parent"] == row["parent"])
    assert (kept["round_1"], kept["input"][:11]) == ("kept", "NO BICYCLES")
    checks = Counter(one["check"] for one in lines(project / "run/rejected.jsonl"))
    assert checks == {"dropped_input": 1, "unreadable": 1, "stand_in": 1, "cut": 1}  # "same as before"


def test_an_input_is_added_only_where_there_is_none(typed: Typed, project: Path) -> None:
    """The variant's `where` holds for the record that it was drawn for."""
    ran(typed, *RECIPE, "target=10", "run_dir=run")
    ran(typed, *RECIPE, "target=10", "pipeline.evolve_1.draw.with_input=99", "run_dir=many")
    for run, stage in (("run", "evolve_1"), ("many", "evolve_1")):
        had = {
            number: row["input"] for number, row in enumerate(lines(project / run / "instructions.jsonl"), 1)
        }
        drawn = variants(project / run, stage)
        with_input = {number for number, name in drawn.items() if name == "with_input"}
        assert with_input
        assert not any(had[number] for number in with_input)
        if run == "many":
            assert with_input == {number for number, text in had.items() if not text}


def test_three_rounds(typed: Typed, project: Path) -> None:
    """As the header of the recipe says: a part, which goes between the second one and the outputs."""
    more = project / "more.jsonl"
    third_round = json.dumps({"instruction": "What does it say in the middle of page {}?", "input": "Page."})
    more.write_text(
        REPLIES.read_text(encoding="utf-8") + json.dumps({"stage": "evolve_3", "reply": third_round}) + "\n",
        encoding="utf-8",
    )
    words = (
        *RECIPE[:-1],
        "+parts=third_round",
        "model.options.replies=more.jsonl",
        "target=10",
        "run_dir=run",
    )
    ran(typed, *words)
    rows = lines(project / "run/instances.jsonl")
    assert {"round_1", "round_2", "round_3"} <= set(rows[0])
    assert rows[0]["parent"].startswith("evolve_3-")


def test_one_round_differs(project: Path) -> None:
    """A recipe changes the second round alone, and loses nothing of what it shares with the first."""
    keys: dict[str, Any] = {
        "defaults": ["evolve", "_self_"],
        "pipeline": {"evolve_2": {"draw": {"harder": 9}}},
        "prompts": {"evolve_2": {"variables": {"language": "Latin"}}},
        "filters": {"evolve_2": {"rouge_l": {"threshold": 0.5}}},
    }
    (project / "recipes").mkdir()
    (project / "recipes/other.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")
    words = ["model=scripted", "model.mode=chat"]
    ours, other = (
        compose([f"recipe={name}", *words], project).recipe().config for name in ("evolve", "other")
    )
    expected = ours.model_copy(deep=True)
    (expected.pipeline["evolve_2"].model_extra or {})["draw"]["harder"] = 9
    expected.prompts["evolve_2"].variables["language"] = "Latin"
    rouge_l = expected.filters["evolve_2"]["rouge_l"]
    assert rouge_l
    assert rouge_l.model_extra
    rouge_l.model_extra["threshold"] = 0.5
    assert other == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("+pipeline.evolve_1.draw.harder=1", "pipeline.evolve_1.draw.harder: unknown variant 'harder'"),
        ("~pipeline.evolve_1.draw.off", "variant 'off' has no weight"),
        ("pipeline.evolve_1.draw.longer=-1", "greater than or equal to 0"),
        ("pipeline.evolve_1.draw={longer: 0, shorter: 0, off: 0}", "gives no variant a weight above 0"),
        ("~pipeline.evolve_1.draw", "pipeline.evolve_1: variant_field names the field for the variant drawn"),
        ("+pipeline.evolve_1.by=instruction", "by and draw both pick the prompt's variant"),
        (
            "pipeline.evolve_1.variant_field=instruction",
            "pipeline.evolve_1.variant_field: 'instruction' is read from the replies",
        ),
        ("+pipeline.evolve_1.draw.kept=1", "no variant can be named 'kept'"),
        ("~prompts.evolve_1.variants", "pipeline.evolve_1.draw: draws a variant but the prompt has none"),
        (
            "+prompts.evolve_1.variants.off.where={inptu: ''}",
            "evolve_1.variants.off.where.inptu: unknown field 'inptu'",
        ),
        (
            "+schema.evolve_1={properties: {instruction: {}}, additionalProperties: false}",
            "schema.evolve_1: does not allow 'round_1', which stage evolve_1 sets",
        ),
        ("~pipeline.evolve_1.draw ~pipeline.evolve_1.variant_field", "pipeline.evolve_1.by: is missing"),
        (
            "+filters.evolve_1.gone={kind: dropped, field: instruction, pattern: '('}",
            "is not a valid regular expression",
        ),
    ],
)
def test_what_can_be_wrong_with_it(
    typed: Typed, project: Path, mine: Callable[..., None], change: str, said: str
) -> None:
    """Found before the first request, with the key."""
    mine()
    parts = change.split(" ") if change.startswith("~") else [change]
    status, _, err = typed("check", *MINE, *parts)
    assert status == 1
    assert said in err
    assert "Traceback" not in err


def test_nothing_is_left_to_draw(typed: Typed, project: Path, mine: Callable[..., None]) -> None:
    """Where each way is for some records only, a record may fit none of them."""
    mine()
    wheres = [f"+prompts.evolve_1.variants.{name}.where={{instruction: x}}" for name in ("longer", "shorter")]
    status, _, err = typed("check", *MINE, *wheres)
    assert status == 1
    assert "has no variant for a record that fits no variant's where" in err
