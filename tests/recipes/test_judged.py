"""Judges: scores with reasons, a second asking, several judges and their verdict, and scores in exports.

The recipe `mine` is the paper's pipeline with the judge of recipe `judged` at its end; the scripted model
answers it well, badly, off the scale and in words, and once more with another reply.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed, lines
from killing import Ordeal, data
from results import done, refused, requests_of

from selfinstruct.errors import Fault
from selfinstruct.export import convert
from selfinstruct.parse import CUT, PARSERS, UNREADABLE, Parser
from selfinstruct.parse.reading import candidates
from selfinstruct.parse.replies import EMPTY
from selfinstruct.plan.estimate import estimate
from selfinstruct.recipe.compose import compose
from selfinstruct.records import ACCEPTED, Record, Reply

GOOD, TEXT, LOW = '{"reason": "None.", "score": 5}', '{"reason": "A slip.", "score": "4"}', '{"score": 2}'
OFF, WORDS = '{"reason": "Superb!", "score": 9}', "I would give it a four."
SCORES: dict[str, Any] = {GOOD: 5, TEXT: 4, LOW: 2, OFF: "undecided", WORDS: "undecided"}
PARTS = {"pipeline": ["paper", "judge"], "prompts": ["paper_en", "judge_en"], "schema": ["paper", "judge"]}
# Two judges more, each with a field of its own, and what the three say together.
PANEL = """
pipeline:
  judge_b: {kind: label}
  judge_c: {kind: label}
  verdict: {kind: derive, field: verdict, sources: [score, score_b, score_c], rule: mean}
prompts:
  judge_b: &b
    system: Second judge.
    template: ${prompts.judge.template}
    variables: ${prompts.judge.variables}
    parse: {kind: json, single: true, fields: {score_b: {key: score, scale: {lowest: 1, highest: 5}, otherwise: undecided}}, when_unreadable: otherwise}
  judge_c:
    system: Third judge.
    template: ${prompts.judge.template}
    variables: ${prompts.judge.variables}
    parse: {kind: json, single: true, fields: {score_c: {key: score, scale: {lowest: 1, highest: 5}, otherwise: undecided}}, when_unreadable: otherwise}
filters:
  judge: {low_score: null}
  judge_again: {low_score: null, undecided: null}
  verdict: {low_score: {kind: below, field: verdict, minimum: 4}}
schema:
  judge_b: {properties: {score_b: {}}}
  judge_c: {properties: {score_c: {}}}
  verdict: {properties: {verdict: {}}}
"""  # noqa: E501


def says(*replies: str) -> str:
    """A scripted reply that is one of these, by the prompt."""
    return f"{{{{ pick({list(replies)!r}) }}}}"


def write(project: Path, more: str = "", name: str = "mine") -> None:
    """The recipe, with more keys over it."""
    rules = {
        "again": {"match": "^Once more", "reply": says(TEXT, LOW, OFF)},
        "judges": {
            "match": "(?s)^(Second|Third).*Now judge this example, as JSON\\.$",
            "reply": says(GOOD, TEXT, LOW, OFF),
        },
        "judge": {"match": "Now judge this example, as JSON\\.$", "reply": says(*SCORES)},
    }
    keys: dict[str, Any] = {
        "defaults": [
            "paper",
            {"override /model": "scripted"},
            {"override /filters": ["default_en", "judge"]},
            *({f"override /{group}": parts} for group, parts in PARTS.items()),
            "_self_",
        ],
        "model": {"options": {"rules": rules}},
        "prompts": {"judge_again": {"system": "Once more."}},
        "target": 12,
    }
    for key, value in yaml.safe_load(more or "{}").items():
        keys[key] = {**keys.get(key, {}), **value} if isinstance(value, dict) else value
    (project / "recipes").mkdir(exist_ok=True)
    text = yaml.safe_dump(keys, sort_keys=False, allow_unicode=True)
    (project / f"recipes/{name}.yaml").write_text(text, encoding="utf-8")


def replies(run: Path, stage: str) -> dict[str, str]:
    """The text of each reply of a stage, by the record that it is about."""
    query = "SELECT parent, text FROM request JOIN reply USING (stage, number) WHERE stage = ?"
    with closing(sqlite3.connect(run / "run.sqlite")) as journal:
        return dict(journal.execute(query, (stage,)).fetchall())


def rejected(run: Path, stage: str, check: str) -> dict[str, dict[str, Any]]:
    """What a check of a stage rejected, by the record that it was about."""
    rows = lines(run / "rejected.jsonl")
    return {row["parent"]: row for row in rows if (row["stage"], row["check"]) == (stage, check)}


# One judge


def test_the_scores_decide_and_stay(typed: Typed, project: Path) -> None:
    """4 and more is kept, less rejected with score and reason; off the scale is asked once more, no more."""
    write(project)
    done(typed, "recipe=mine")
    run = project / "runs/mine"
    first, again = replies(run, "judge"), replies(run, "judge_again")
    assert set(first.values()) == set(SCORES)
    assert set(again.values()) == {TEXT, LOW, OFF}
    assert again.keys() == {one for one, said in first.items() if said in (OFF, WORDS)}
    kept = {row["id"]: row for row in lines(run / "instances.jsonl")}
    last = {**first, **again}
    assert {one: row["score"] for one, row in kept.items()} == {
        one: SCORES[said] for one, said in last.items() if said in (GOOD, TEXT)
    }
    assert {row["judge_reason"] for row in kept.values()} == {"None.", "A slip."}
    low = {**rejected(run, "judge", "low_score"), **rejected(run, "judge_again", "low_score")}
    assert low.keys() == {one for one, said in last.items() if said == LOW}
    for row in low.values():
        assert (row["reason"], row["score"], row["record"]["score"]) == ("score is 2, below 4", 2, 2)
        assert row["record"]["judge_reason"] == ""
    undecided = rejected(run, "judge_again", "undecided")
    assert undecided.keys() == {one for one, said in last.items() if said == OFF}
    for row in undecided.values():
        assert (row["record"]["score"], row["record"]["judge_reason"]) == ("undecided", "Superb!")
    assert len(kept) + len(low) + len(undecided) == len(first)


def test_the_second_asking_is_the_same_question(typed: Typed, project: Path) -> None:
    """Really asked, not taken from the cache; what a recipe changes in the rubric holds for both."""
    more = "prompts: {judge: {variables: {criteria: {fit: null, polite: It is polite.}}}}"
    write(project, f"{more}\nmodel: {{options: {{replies: all.jsonl}}}}")
    reply = {"match": "Now judge this example, as JSON\\.$", "reply": OFF}
    (project / "all.jsonl").write_text(json.dumps(reply) + "\n", encoding="utf-8")
    scripted = yaml.safe_load((project / "recipes/mine.yaml").read_text(encoding="utf-8"))
    scripted["model"]["options"] = {"replies": "all.jsonl"}
    (project / "recipes/mine.yaml").write_text(yaml.safe_dump(scripted, sort_keys=False), encoding="utf-8")
    assert typed("recipe=mine", "target=3")[0] == 4
    run = project / "runs/mine"
    both = {stage: requests_of(run, stage).values() for stage in ("judge", "judge_again")}
    first, second = ({one.parent: one.prompt for one in asked} for asked in both.values())
    assert first == second
    assert all("It is polite." in one and "as an expert would" not in one for one in first.values())
    with closing(sqlite3.connect(run / "run.sqlite")) as journal:
        attempts = journal.execute("SELECT attempts FROM reply WHERE stage LIKE 'judge%'").fetchall()
    assert len(attempts) == 2 * len(first) and all(many for (many,) in attempts)
    assert lines(project / "runs/mine/instances.jsonl") == []


@pytest.mark.slow
def test_the_same_bytes_however_it_was_run(typed: Typed, project: Path) -> None:
    """One at a time or eight, in one go or grown, stopped on the way by a budget or not."""
    write(project, PANEL)
    done(typed, "recipe=mine", "run_dir=calm", "model.concurrency=1", "cache=off")
    done(typed, "recipe=mine", "run_dir=wide", "model.concurrency=8", "model.options.delay=0.05", "cache=off")
    for target in (3, 12):
        done(typed, "recipe=mine", "run_dir=grown", f"target={target}", "cache=off")
    for requests, status in ((20, 3), (45, 3), (75, 3), (1000, 0)):
        assert typed("recipe=mine", "run_dir=cut", f"budget.requests={requests}", "cache=off")[0] == status
    assert (
        data(project / "calm") == data(project / "wide") == data(project / "grown") == data(project / "cut")
    )
    assert lines(project / "calm/instances.jsonl")


@pytest.mark.slow
def test_kills_change_no_byte(project: Path) -> None:
    """By any signal, at any moment, while judges are asked and where nothing is asked."""
    write(project, PANEL)
    command = ("recipe=mine", "cache=off", "model.concurrency=4", "model.options.delay=0.2")
    calm = Ordeal(project, "calm", command, seed=1)
    calm.finish("model.options.delay=0")
    ordeal = Ordeal(project, "run", command, seed=1, span=3)
    told = "\n".join(map(str, ordeal.strike(6)))
    ordeal.finish("model.options.delay=0")
    assert not ordeal.complaints + calm.complaints, told
    assert data(project / "run") == data(project / "calm")


def test_another_scale(typed: Typed, project: Path) -> None:
    """A recipe that scores from 0 to 9 says so in two places, and 9 is on the scale."""
    write(project, "filters: {judge: {low_score: {minimum: 9}}}")
    done(typed, "recipe=mine", "prompts.judge.parse.fields.score.scale={lowest: 0, highest: 9}")
    kept = lines(project / "runs/mine/instances.jsonl")
    assert {row["score"] for row in kept} == {9}


def test_a_refusal_to_judge_is_undecided(typed: Typed, project: Path) -> None:
    """An empty reply or one without a score costs the record nothing at once: it is asked about again."""
    replies_ = [
        {"stage": "judge", "reply": ""},
        {"stage": "judge_again", "match": "^Once", "reply": '{"reason": "Fine.", "score": "4 / 5"}'},
    ]
    (project / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in replies_))
    write(project)
    done(typed, "recipe=mine", "target=4", "model.options.replies=some.jsonl")
    kept = lines(project / "runs/mine/instances.jsonl")
    assert {(row["score"], row["judge_reason"]) for row in kept} == {(4, "Fine.")}
    assert len(kept) == len(replies(project / "runs/mine", "judge"))


# Several judges


@pytest.mark.parametrize("rule", ["mean", "median", "minimum", "maximum", "majority"])
def test_several_judges_and_a_rule(typed: Typed, project: Path, rule: str) -> None:
    """The verdict is what the rule makes of those that gave a score."""
    write(project, PANEL.replace("rule: mean", f"rule: {rule}"))
    done(typed, "recipe=mine", "target=36", "~filters.verdict.low_score")
    rows = lines(project / "runs/mine/instances.jsonl")
    seen = set()
    for row in rows:
        found = [row[key] for key in ("score", "score_b", "score_c")]
        votes = [one for one in found if one != "undecided"]
        most = [one for one in votes if votes.count(one) >= 2]
        expected: dict[str, Any] = {
            "mean": sum(votes) / len(votes) if votes else "undecided",
            "median": sorted([*votes, *votes])[len(votes) - 1 : len(votes) + 1] if votes else "undecided",
            "minimum": min(votes, default="undecided"),
            "maximum": max(votes, default="undecided"),
            "majority": most[0] if most else "undecided",
        }
        if rule == "median" and votes:
            expected["median"] = sum(expected["median"]) / 2
        assert row["verdict"] == pytest.approx(expected[rule]) if votes else expected[rule] == row["verdict"]
        seen.add((len(votes), row["verdict"]))
    assert {count for count, _ in seen} >= {1, 2, 3}, "the judges were of one mind, and differed"


def test_the_verdict_is_filtered_like_a_score(typed: Typed, project: Path) -> None:
    """Below 4 is rejected at the stage that asks nothing; the single scores stay with the record."""
    write(project, PANEL)
    done(typed, "recipe=mine")
    run = project / "runs/mine"
    assert min(row["verdict"] for row in lines(run / "instances.jsonl")) >= 4
    low = rejected(run, "verdict", "low_score")
    assert low
    assert all(row["record"]["verdict"] < 4 and "score_c" in row["record"] for row in low.values())
    stages = json.loads((run / "summary.json").read_text())["stages"]
    assert stages["verdict"]["requests"] == 0
    assert stages["verdict"]["accepted"] == stages["instances"]["left"]
    assert "sets verdict from each of instances, without a model" in typed("check", "recipe=mine")[1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("pipeline.verdict.sources=[score,scroe_b]", "pipeline.verdict: unknown field 'scroe_b'"),
        ("pipeline.verdict.rule=average", "pipeline.verdict.rule: should be 'mean', 'median'"),
        ("pipeline.verdict.sources=[]", "pipeline.verdict.sources: "),
        ("pipeline.verdict.field=verdcit", "pipeline.verdict: unknown field 'verdcit'"),
    ],
)
def test_a_slip_in_a_verdict(typed: Typed, project: Path, given: str, words: str) -> None:
    """Told by check, with its place."""
    write(project, PANEL)
    refused(typed("check", "recipe=mine", given), words)


# Only some of the records


def test_a_label_for_some_records(typed: Typed, project: Path) -> None:
    """Those whose fields have the values are asked about; the others go on as they are."""
    write(project, "pipeline: {judge: {where: {is_classification: true}}, judge_again: {kind: label}}")
    done(typed, "recipe=mine", "filters.judge.low_score=null")
    rows = lines(project / "runs/mine/instances.jsonl")
    assert {row["is_classification"] for row in rows} == {True, False}
    assert all(("score" in row) == row["is_classification"] for row in rows)


def test_children_for_some_records(typed: Typed, project: Path) -> None:
    """An expand stage with `where` makes children of these alone, and needs no variant for the others."""
    write(project)
    variants = list(compose(["recipe=mine"], project).recipe().config.prompts["instances"].variants)
    keys = (
        "+pipeline.instances.where={is_classification: true}",
        f"~prompts.instances.variants.{variants[1]}",
    )
    done(typed, "recipe=mine", *keys)
    assert {row["is_classification"] for row in lines(project / "runs/mine/instances.jsonl")} == {True}
    made = lines(project / "runs/mine/instructions.jsonl")
    assert {row["is_classification"] for row in made} == {True, False}


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("{scor: undecided}", ["pipeline.judge_again.where.scor: unknown field 'scor'", "'score'"]),
        ("{score: undecidd}", [".where.score: 'score' is never undecidd", "3, 4, 5, undecided"]),
        ("{score: [4, '5']}", [".where.score: 'score' is never \"5\""]),
        ("{is_classification: 1}", ["'is_classification' is never 1", "there are: true, false"]),
        ("{score: []}", ["1 fault\n", "pipeline.judge_again.where: score: the list is empty"]),
        ("undecided", ["pipeline.judge_again.where: should be a valid dictionary, not 'undecided'"]),
    ],
)
def test_a_slip_in_where(typed: Typed, project: Path, where: str, words: list[str]) -> None:
    """A field that is none, or a value that it never has, would ask about nothing: told by check."""
    write(project, f"pipeline: {{judge_again: {{kind: label, where: {where}}}}}")
    refused(typed("check", "recipe=mine"), *words)


SOME = "pipeline: {judge: {kind: label, where: {is_classification: true}}, judge_b: {kind: label, where: %s}}"
ASKS = """
prompts: {judge_b: {template: %s, parse: {kind: choice, field: b, choices: {"x": {}}}}}
schema: {judge_b: {properties: {b: {}}, required: %s}}
"""


@pytest.mark.parametrize(
    ("where", "template", "required", "fault"),
    [
        ("{}", "'{{ score }}'", "[b]", "prompts.judge_b.template: 'score' is set by stage judge only in the"),
        ("{}", "x", "[b, score]", "schema.judge_b: requires 'score'"),
        ("{}", "'{% if score is defined %}{{ score }}{% endif %}'", "[b]", ""),
        ("{is_classification: true}", "'{{ score }}'", "[b, score]", ""),
        ("{score: [1, 2]}", "'{{ score }}'", "[b, score]", ""),
        ("{is_classification: false}", "'{{ score }}'", "[b]", "give pipeline.judge_b the same where, or"),
    ],
)
def test_a_field_that_some_records_lack(
    typed: Typed, project: Path, where: str, template: str, required: str, fault: str
) -> None:
    """A later stage that takes it for granted would fail in the midst of a run; check tells."""
    write(project, SOME % where + ASKS % (template, required))
    result = typed("check", "recipe=mine")
    if fault:
        refused(result, fault)
    else:
        assert result[0] == 0, result[2]


def test_the_plan_of_a_stage_that_asks_about_some(typed: Typed, project: Path) -> None:
    """An assumed share until there are records, and then what the run has shown."""
    write(project)

    def requests(*overrides: str) -> tuple[float, float, float]:
        recipe = compose(["recipe=mine", *overrides], project).recipe()
        stages = {stage.name: stage for stage in estimate(recipe, project / "runs/mine").stages}
        judged, found = stages["judge"].requests, stages["judge_again"].requests
        return judged.expected, found.expected, found.high

    assert requests("target=1000") == (1000, 50, 200)
    assert requests("target=1000", "pipeline.judge_again.share=0.8") == (1000, 800, 2000)
    out = typed("check", "recipe=mine", "target=1000")[1]
    assert "labels those of instances whose score is undecided, one request per record" in out
    assert "judge_again: 0.05 (0.025 - 0.1) of instances, pipeline.judge_again.share" in out
    done(typed, "recipe=mine", "target=30")
    run = project / "runs/mine"
    first, again = (len(replies(run, stage)) for stage in ("judge", "judge_again"))
    assert requests("target=30")[1] <= 0.02 * first
    more, found, _ = requests("target=300")
    low = len(rejected(run, "judge", "low_score"))
    assert found + again == pytest.approx((more + first) * (1 - low / first) * again / (first - low), rel=0.1)
    assert "that it might ask about" in typed("check", "recipe=mine", "target=300")[1]


# Reading a score


def scale(**more: Any) -> Parser:
    """A parser of a score from 1 to 5."""
    field = {"scale": {"lowest": 1, "highest": 5}, **more}
    faults: list[Fault] = []
    made = PARSERS.build("json", {"fields": {"score": field}, "single": True}, "parse", faults)
    assert made is not None, faults
    return made


@pytest.mark.parametrize("said", ["4", '"4"', "4.0", '"4/5"', '" 4 / 5 "', '"4."', '"+4"'])
def test_a_score_however_it_is_written(said: str) -> None:
    """A number, a text, a fraction of the highest."""
    (piece,) = scale().read(Reply(f'{{"score": {said}}}'), 0)
    assert piece.data == {"score": 4}
    assert type(piece.data["score"]) is int


@pytest.mark.parametrize(
    "said", ["0", "6", "4.5", '"4/10"', '"four"', "true", "null", "[4]", "[]", '"4 or 5"', '"-4"']
)
def test_what_is_no_score(said: str) -> None:
    """It is unreadable, unless the field says what becomes of it."""
    reply = Reply(f'{{"score": {said}}}')
    (piece,) = scale().read(reply, 0)
    assert piece.check == UNREADABLE
    (piece,) = scale(otherwise="undecided").read(reply, 0)
    assert (piece.check, piece.data) == (None, {"score": "undecided"})


@pytest.mark.parametrize("text", ["[]", "{}", "four", '{"score": 4} {"score": 5}', '{"score": 4'])
def test_a_reply_without_a_score(text: str) -> None:
    """One that has none, several, or is cut is rejected, with what becomes of its record nonetheless."""
    fields = {"score": {"scale": {"lowest": 1, "highest": 5}, "otherwise": "undecided"}}
    options = {"fields": fields, "single": True, "when_unreadable": "otherwise"}
    parse = PARSERS.build("json", options, "parse", [])
    assert parse is not None
    (piece,) = candidates(parse, Reply(text, "length"))
    assert piece.check in (UNREADABLE, "cut")
    assert piece.otherwise == {"score": "undecided"}
    assert all(one.check for one in scale().read(Reply(text, "length"), 0))


@pytest.mark.parametrize(("text", "check"), [("", EMPTY), ("I like it.", UNREADABLE), ('{"score": 4', CUT)])
def test_a_reply_that_cannot_be_read_is_no_value(text: str, check: str) -> None:
    """`otherwise` is for a score off the scale; what cannot be read is rejected unless the recipe asks."""
    fields = {"reason": {"default": ""}, "score": {"scale": {"lowest": 1, "highest": 5}, "otherwise": "none"}}
    parse = PARSERS.build("json", {"fields": fields, "single": True}, "parse", [])
    assert parse is not None
    assert [one.check for one in candidates(parse, Reply(text))] == [check]
    assert candidates(parse, Reply('{"score": 9}'))[0].data["score"] == "none"


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"scale": {"lowest": 5, "highest": 1}}, "highest must be above lowest"),
        ({"scale": {"lowest": 1, "highest": 5}, "choices": {"a": {}}}, "choices or a scale, not both"),
        ({"otherwise": 3}, "otherwise needs choices or a scale"),
        ({"scale": {"lowest": 1}}, "highest: is missing"),
        ({"scale": {"lowest": 1.5, "highest": 3}}, "lowest: should be a valid integer, not 1.5"),
    ],
)
def test_a_scale_that_is_none(field: dict[str, Any], words: str) -> None:
    """Told with the place."""
    faults: list[Fault] = []
    assert PARSERS.build("json", {"fields": {"score": field}}, "parse", faults) is None
    assert words in str(faults[0])


def test_a_choice_in_json_may_say_otherwise() -> None:
    """As in the parser `choice`; values and what a model is held to differ by it."""
    fields = {"kind": {"choices": {"a": {}, "b": {}}, "otherwise": "other"}}
    parse = PARSERS.build("json", {"fields": fields, "single": True}, "parse", [])
    assert parse is not None
    assert parse.outline is not None
    assert (parse.values, parse.outline.values) == ({"kind": ("a", "b", "other")}, {"kind": ("a", "b")})
    (piece,) = parse.read(Reply('{"kind": "c"}'), 0)
    assert piece.data == {"kind": "other"}


# Columns of an export


def test_scores_travel_into_the_exports(typed: Typed, project: Path) -> None:
    """Each format takes columns; a seed task has none of them, and null in their place."""
    write(project)
    columns = [f"export.{name}.columns=[score,judge_reason,is_classification]" for name in ("alpaca", "chat")]
    done(typed, "recipe=mine", *columns, "export.prompt_completion.columns=[score]")
    dataset = project / "runs/mine/dataset"
    kept = lines(project / "runs/mine/instances.jsonl")
    rows = lines(dataset / "alpaca.jsonl")
    assert [row["score"] for row in rows] == [row["score"] for row in kept]
    assert [*rows[0]] == ["instruction", "input", "output", "score", "judge_reason", "is_classification"]
    assert [*lines(dataset / "chat.jsonl")[0]] == ["messages", "score", "judge_reason", "is_classification"]
    assert [*lines(dataset / "sharegpt.jsonl")[0]] == ["conversations"]
    seeded = [row["score"] for row in lines(dataset / "prompt_completion.jsonl")]
    assert sorted(score for score in seeded if score) == sorted(row["score"] for row in kept)
    assert seeded.count(None) == len(seeded) - len(kept) > 100


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("[scores]", "export.alpaca.columns: unknown field 'scores'"),
        ("[output]", "export.alpaca.columns: 'output' is already a key of the format"),
        ("score", "export.alpaca.columns: should be a valid list, not 'score'"),
    ],
)
def test_a_slip_in_the_columns(typed: Typed, project: Path, columns: str, words: str) -> None:
    """A field that no record has, or that the format has itself."""
    write(project)
    refused(typed("check", "recipe=mine", f"export.alpaca.columns={columns}"), words)


def test_a_label_in_an_exports_template(typed: Typed, project: Path) -> None:
    """Fields that labels set later are known there too."""
    write(project)
    assert typed("check", "recipe=mine", "+export.chat.user='{{ instruction }} {{ score }}'")[0] == 0
    refused(typed("check", "recipe=mine", "+export.chat.user='{{ scroe }}'"), "export.chat", "'score'")


def test_the_judge_of_the_recipe_is_held_to_the_scale(project: Path) -> None:
    """What the provider gets: the reason first, and whole numbers from 1 to 5."""
    recipe = compose(["recipe=judged", "model=scripted", "model.mode=chat"], project).recipe()
    sampling = recipe.stage("judge").prompts[0].sampling
    schema = sampling["response_format"]["json_schema"]["schema"]
    assert [*schema["properties"]] == ["reason", "score"]
    assert schema["properties"]["score"]["enum"] == [1, 2, 3, 4, 5]
    assert schema["properties"]["score"]["type"] == "integer"


def test_columns_make_no_row_another(project: Path) -> None:
    """Two records with the same row are duplicates, whatever their scores."""
    recipe = compose(["recipe=judged", "model=scripted", "export.alpaca.columns=[score]"], project).recipe()
    task = {"instruction": "Sing.", "input": "", "output": "La."}
    records = [
        Record(f"r-{place}", "instances", place, 0, {**task, "score": score}, fate=ACCEPTED)
        for place, score in enumerate((5, 4))
    ]
    rows, left = convert("alpaca", recipe.exports["alpaca"], records, seed=0)
    assert rows == [{**task, "score": 5}]
    assert [record.check for record in left] == ["duplicate"]
