"""Why a stage rejects, and how a run ends: main reasons, what helps, early stops, states and exit statuses.

The scripted model answers as a model does that fails: it copies its examples, answers in words, not at all,
or with a refusal. `mine.jsonl` is the script of a test; what it leaves open is answered well.
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from killing import data
from rich.console import Console

from selfinstruct import run
from selfinstruct.describe.reference import reply_checks
from selfinstruct.filters import FILTERS
from selfinstruct.journal.store import Journal
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import ACCEPTED, Record, Rejection, Request
from selfinstruct.report.advice import HELP, advice
from selfinstruct.report.funnel import show
from selfinstruct.report.reasons import Reasons
from selfinstruct.stages import STAGES

REAL = Path(__file__).resolve().parents[3] / "shared" / "trials" / "real-replies"
CHAT = ("model=scripted", "model.mode=chat", "model.options.replies=mine.jsonl", "cache=off", "run_dir=run")
GOOD = Path(__file__).parents[1] / "replies/en.jsonl"
TASKS = "I cannot think of any task."
SORRY = json.dumps({"instances": [{"input": "", "output": "I'm sorry, but I can't help with that."}]})


def script(project: Path, *first: dict[str, Any]) -> None:
    """Write the script: these lines, then those that answer recipe `chat` well."""
    text = "".join(json.dumps(line) + "\n" for line in first)
    (project / "mine.jsonl").write_text(text + GOOD.read_text(encoding="utf-8"), encoding="utf-8")


def summary(folder: Path) -> dict[str, Any]:
    """What the run's summary holds."""
    return dict(json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def last(out: str) -> str:
    """The last line of an output."""
    return out.rstrip("\n").split("\n")[-1]


def sends(folder: Path) -> dict[str, int]:
    """How many prompts were sent, by stage."""
    with closing(sqlite3.connect(folder / "run.sqlite")) as journal:
        return dict(journal.execute("SELECT stage, SUM(sends) FROM request GROUP BY 1"))


# The main reason and what helps


@pytest.fixture
def watched(project: Path) -> Iterator[tuple[Reasons, Callable[..., str | None]]]:
    """The watch over the instructions of recipe `chat`, and what takes one more candidate in."""
    near = "+filters.instructions.near={kind: rouge_l, field: instruction}"
    recipe = compose(["recipe=chat", "model=scripted", "model.mode=chat", near], project).recipe()
    journal = Journal(project / "run.sqlite")
    before = journal.stats("instructions")
    reasons = Reasons(recipe.config, recipe.stage("instructions"), journal, before)
    count = 0

    def take(check: str | None, reason: str = "", shown: bool = False) -> str | None:
        nonlocal count
        count += 1
        record = Record(f"instructions-{count:06d}-0", "instructions", count, 0, {"instruction": "A."})
        if check:
            record.reject(check, Rejection(reason or f"number {count}", {"nearest": "a" if shown else "b"}))
        else:
            record.fate = ACCEPTED
        journal.sent([Request("instructions", count, "prompt", examples=("a",))])
        journal.take("instructions", count, [record])
        return reasons.remark([record])

    yield reasons, take
    journal.close()


def test_it_is_said_once_when_it_is_clear_and_again_when_it_changes(
    watched: tuple[Reasons, Callable[..., str | None]],
) -> None:
    """From 20 candidates on, and only of a check that rejects more than half of them."""
    _, take = watched
    said = [take("cut" if place % 2 else None) for place in range(40)]
    assert said == [None] * 40, "one half is not most"
    said = [take("cut") for _ in range(30)]
    assert [one for one in said if one] == [said[0]]
    assert "instructions, so far: 21 of 41 candidates (51%) were cut at max_tokens (cut)" in str(said[0])
    said = [take("unreadable", "the reply has no JSON") for _ in range(90)]
    (again,) = [one for one in said if one]
    assert "candidates (50%) could not be read (unreadable: the reply has no JSON)" in again or "51%" in again


def test_a_filter_is_known_by_its_kind_whatever_a_recipe_calls_it(
    watched: tuple[Reasons, Callable[..., str | None]],
) -> None:
    """`near` is a `rouge_l`, and the advice names the section that there is."""
    reasons, take = watched
    for _ in range(3):
        take("near")
    told = reasons.told()
    assert told.startswith("3 of 3 candidates (100%) were too similar to an existing text (near). ")
    assert "filters.instructions.near" in told
    assert "seeds.path" in told


def test_what_is_near_to_the_examples_shown_was_copied(
    watched: tuple[Reasons, Callable[..., str | None]],
) -> None:
    """Whichever check saw it; other texts that are alike speak for other seeds."""
    reasons, take = watched
    for place in range(9):
        take("near", shown=place > 3)
    told = reasons.told()
    assert "were copies of the prompt (near). " in told
    assert "mix.examples=4" in told
    assert "seeds.path" not in told


def test_a_check_that_the_table_does_not_know_names_where_to_look(
    watched: tuple[Reasons, Callable[..., str | None]],
) -> None:
    """The file with the reasons; and the check's section, where it is a filter."""
    reasons, take = watched
    take("word_count")
    assert "rejected.jsonl" in reasons.told()
    assert "filters.instructions.word_count" in reasons.told()
    assert reasons.told(after=0) == reasons.told()
    take("novel_check")
    take("novel_check")
    assert "rejected.jsonl" in reasons.told(after=1)
    assert "filters." not in reasons.told(after=1)


RECIPES = [("chat", "chat"), ("paper", "completion"), ("alpaca", "chat"), ("judged", "chat")]


# Checks that only stages of one kind make.
OF_KINDS = {
    **dict.fromkeys(("margin", "length_bias", "identical_answers", "one_answer", "unscored"), "pair"),
    **dict.fromkeys(("tie", "position"), "prefer"),
    "too_short": "converse",
    "parent": "merged",
}


def told_keys(recipe: Recipe) -> set[str]:
    """Every key with a value that the advice for any check in any stage names."""
    found = set()
    for stage in recipe.stages:
        for check, help in HELP.items():
            kind = recipe.config.pipeline[stage.name].kind
            if OF_KINDS.get(check, kind) != kind:
                continue
            variants = [prompt.name for prompt in stage.prompts] or [None]
            told = " ".join(advice(help, check, recipe.config, stage, variant) for variant in variants)
            assert "{" not in told
            found |= set(re.findall(r"[\w.]+\.[\w.]+=[\w.]+", told))
    return found


@pytest.mark.parametrize(("name", "mode"), RECIPES)
def test_every_key_that_is_advised_can_be_typed(project: Path, name: str, mode: str) -> None:
    """All of them together make a recipe without a fault; each doubled or halved value is another one."""
    base = [f"recipe={name}", "model=scripted", f"model.mode={mode}"]
    recipe = compose(base, project).recipe()
    keys = told_keys(recipe)
    assert any(key.startswith("mix.examples=") for key in keys)
    assert any(".sampling.max_tokens=" in key for key in keys)
    one_each = {key.partition("=")[0]: key for key in sorted(keys)}
    one_each["model.sampling.n"] = "model.sampling.temperature=1.0"  # n is not for every stage
    changed = compose([*base, *one_each.values(), "mix.generated=0"], project).recipe()
    assert changed.config.mix.examples == recipe.config.mix.examples // 2


def test_what_helps_is_said_of_checks_that_there_are() -> None:
    """Each line of the table is about a kind of filter, a reply or a kind of stage; each of these has one."""
    assert set(HELP) - set(reply_checks()) - set(OF_KINDS) - {"schema"} <= set(FILTERS.names())
    assert set(OF_KINDS.values()) <= set(STAGES.names())
    assert set(reply_checks()) <= set(HELP)


def test_max_tokens_where_it_is_really_set(project: Path) -> None:
    """In the prompt or its variant, or in model.sampling, which has the last word, with its value now."""
    for name, variant, more, key in (
        ("paper", "output_first", [], ".instances.variants.output_first.sampling.max_tokens=600 (now 300)"),
        ("chat", "open", [], "prompts.instances.sampling.max_tokens=8192 (now 4096)"),
        ("chat", "open", ["model.sampling.max_tokens=77"], "model.sampling.max_tokens=154 (now 77)"),
    ):
        recipe = compose([f"recipe={name}", "model=scripted", *more], project).recipe()
        told = advice(HELP["cut"], "cut", recipe.config, recipe.stage("instances"), variant)
        assert key in told


# Early stops

BAD = [
    ("instructions", {"reply": TASKS}, "unreadable", "prompts.instructions.parse"),
    ("classification", {"reply": "Perhaps, who knows."}, "undecided", "prompts.classification.parse"),
    ("instances", {"reply": "", "finish_reason": "content_filter"}, "content_filter", "model.name"),
    ("instances", {"reply": '{"insta', "finish_reason": "length"}, "cut", "sampling.max_tokens="),
    ("instances", {"reply": "<think>Hm", "finish_reason": "length"}, "thinking_cut", "thinking_tokens=4096"),
    ("classification", {"reply": "<think>Hm</think>"}, "thinking_cut", "model.reasoning_effort=low"),
    ("instances", {"reply": SORRY}, "refusal", "model.name"),
]


@pytest.mark.parametrize(("stage", "line", "check", "key"), BAD, ids=[f"{one[0]} {one[2]}" for one in BAD])
def test_a_stage_whose_replies_come_to_nothing_stops_early(
    typed: Typed, project: Path, stage: str, line: dict[str, str], check: str, key: str
) -> None:
    """After half of its patience from the start, with the check, the key and how to go on; exit status 4."""
    script(project, {"stage": stage, **line})
    keys = ("recipe=chat", *CHAT, "target=14", f"pipeline.{stage}.patience=8", "model.concurrency=2")
    status, out, err = typed(*keys)
    assert status == 4
    first = stage == "instances" and check == "refusal"  # of a letter that says sorry, it is the answer
    barren = "the last 8 replies" if first else "all 4 replies so far"
    assert f"{stage}: stopped early, and the run with it: nothing could be used of {barren}" in err
    assert f"pipeline.{stage}.patience=16" in err
    found = summary(project / "run")
    assert (found["state"], found["finished"]) == ("missed", False)
    missed, figures = found["missed"], found["stages"][stage]
    assert (missed["stage"], missed["check"], missed["share"]) == (stage, check, 1.0)
    assert figures["rejected"] == {check: 8 if first else 4}
    assert figures["main_reason"]["count"] == figures["rejected"][check]
    assert figures["requests"] < 14, "not all of it was paid for"
    assert key in last(out)
    assert f"({check}" in last(out)
    assert last(out).endswith("exit status 4")
    after = list(found["stages"])[list(found["stages"]).index(stage) + 1 :]
    assert all(found["stages"][name]["requests"] == 0 for name in after)


def test_it_stops_at_the_same_reply_and_goes_on_with_more_patience(typed: Typed, project: Path) -> None:
    """The same bytes one at a time, eight at once and in two goes; nothing is asked twice."""
    bad = [{"stage": "classification", "number": n, "reply": "Hm."} for n in range(4, 10)]
    script(project, *bad)
    keys = ("recipe=chat", *CHAT, "target=14")
    for name, more in {
        "one": ["model.concurrency=1"],
        "eight": ["model.concurrency=8", "model.options.delay=0.02"],
    }.items():
        status, out, err = typed(*keys, *more, "pipeline.classification.patience=5", f"run_dir={name}")
        assert status == 4, out + err
        assert "nothing could be used of the last 5 replies" in err
        assert "after reply 3, 5 of 5 candidates (100%) were none of the answers" in err
        assert "the run stopped early, so there are no instances" in last(out)
        assert summary(project / name)["stages"]["classification"]["candidates"] == 8
    assert data(project / "one") == data(project / "eight")
    assert lines(project / "one/instances.jsonl") == []
    before = sends(project / "one")
    assert typed(*keys, "pipeline.classification.patience=5", "run_dir=one")[0] == 4
    assert sends(project / "one") == before, "started again, it asks nothing"
    for name in ("one", "eight", "calm"):
        status, out, err = typed(*keys, "pipeline.classification.patience=10", f"run_dir={name}")
        assert status == 0, out + err
    assert data(project / "one") == data(project / "eight") == data(project / "calm")
    asked = [sends(project / name) for name in ("one", "eight", "calm")]
    assert [one["classification"] for one in asked] == [14] * 3
    assert len({one["instances"] for one in asked}) == 1
    assert summary(project / "one")["stages"]["classification"]["rejected"] == {"undecided": 6}


# How a run ends

BEES = """Bees keep warm in a cluster when the frost comes. In spring the queen lays her first eggs in the
middle of the comb. Workers fetch water from the pond, and guards stand at the entrance all day long. A strong
hive holds sixty thousand of them by midsummer, and loses half before the leaves fall. Honey is what they eat
when nothing flowers, so a careful keeper leaves them enough of it."""


def test_as_asked_is_status_0_and_says_what_came_out(typed: Typed, project: Path) -> None:
    """The last line: the counts by stage, and where the dataset is."""
    script(project)
    status, out, err = typed("recipe=chat", *CHAT, "target=6")
    assert status == 0, err
    count = len(lines(project / "run/instances.jsonl"))
    assert last(out) == f"6 of 6 instructions, {count} instances: run/dataset"
    assert summary(project / "run")["state"] == "finished"
    assert "missed" not in summary(project / "run")
    script(project)
    assert last(typed("recipe=chat", *CHAT, "target=6", "export=none")[1]).endswith("instances: run")


def test_a_missed_target_has_the_status_of_its_own_and_the_rest_is_done(typed: Typed, project: Path) -> None:
    """Copies of the prompt's examples, to the end of the patience: said at the end, with the share."""
    rule = {"match": "(?s)\\n1\\. ([^\\n]*)\\n.*\\n9\\.$", "reply": " {{ match[0] }}"}
    rules = {"instructions": rule}
    (project / "recipes").mkdir()
    recipe: dict[str, Any] = {
        "defaults": ["paper", {"override /model": "scripted"}, "_self_"],
        "model": {"options": {}},
    }
    recipe["model"] = {"options": {"rules": rules}}
    (project / "recipes/copies.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    keys = ("recipe=copies", "cache=off", "target=3", "run_dir=run", "pipeline.instructions.patience=25")

    status, out, err = typed(*keys)
    assert status == 4, out + err
    assert err.count("instructions, so far: ") == 1
    assert "instructions: stopped at 0 of 3: the last 25 replies added nothing" in err
    assert "instructions: 25 of 25 candidates (100%) were copies of the prompt (" in err
    assert "mix.examples=4" in last(out)
    assert "nothing was accepted, so there are no instances. In instructions 25 of 25" in last(out)
    assert summary(project / "run")["finished"] is True


def test_no_record_from_a_stage_with_input_is_missed_too(typed: Typed, project: Path) -> None:
    """Fewer replies than its patience; the last line names the stage where the funnel ended."""
    script(project, {"stage": "instances", "reply": "Nothing to see."})
    status, out, _ = typed("recipe=chat", *CHAT, "target=2")
    assert status == 4
    assert "2 of 2 instructions, 0 instances: nothing was accepted, so there are no instances" in last(out)
    assert "In instances 2 of 2 candidates (100%) could not be read (unreadable" in last(out)
    assert "prompts.instances" in last(out)


def test_from_python_a_missed_target_raises_nothing(project: Path) -> None:
    """The run says it in `state`, and its summary why."""
    script(project, {"stage": "instances", "reply": "Nothing to see."})
    done = run("chat", [*CHAT, "target=2"], project=project, quiet=True)
    assert done.state == "missed"
    assert done.summary["missed"]["check"] == "unreadable"
    assert done.records() == []


def test_a_replay_has_no_target_to_miss(typed: Typed, project: Path) -> None:
    """It finds what there is among the recorded replies; nothing at all is missed, though."""
    script(project)
    assert typed("recipe=chat", *CHAT, "target=8")[0] == 0
    few = "+filters.instructions.{0}={{kind: matches, field: instruction, pattern: '{1}', reject: {2}}}"
    status, out, err = typed("replay", "run", "run_dir=few", few.format("odd", "^[W-Z]", "false"))
    assert status == 0, out + err
    count = len(lines(project / "few/instructions.jsonl"))
    assert 0 < count < 8
    assert last(out).startswith(f"{count} instructions, ")
    none = few.format("odd", "^\\\\d\\\\d", "false")
    status, out, _ = typed("replay", "run", "run_dir=none", none)
    assert status == 4
    assert "nothing was accepted" in last(out)


def test_a_sweep_goes_on_past_a_job_that_missed_and_ends_with_4(typed: Typed, project: Path) -> None:
    """Its state is missed, its column says why, and it is not done again."""
    script(project)
    hard = "filters.instructions.rouge_l.threshold=0.7,0.01"
    keys = (
        "-m",
        "recipe=chat",
        *CHAT[:-1],
        "target=3",
        hard,
        "pipeline.instructions.patience=3",
        "sweep_dir=s",
    )
    status, out, err = typed(*keys)
    assert status == 4, out + err
    jobs = {job["job"]: job for job in json.loads((project / "s/sweep.json").read_text())["jobs"]}
    assert [jobs[number]["state"] for number in (0, 1)] == ["finished", "missed"]
    assert re.fullmatch(r"rouge_l \d+%", jobs[1]["figures"]["main_reason"])
    assert f"job 1: missed ({jobs[1]['figures']['main_reason']})" in err
    assert "main reason" in out
    assert jobs[1]["figures"]["main_reason"] in out
    head, *rows = (project / "s/sweep.csv").read_text().splitlines()
    assert jobs[1]["figures"]["main_reason"] == rows[-1].split(",")[head.split(",").index("main_reason")]
    stamp = (project / "s/1/summary.json").stat().st_mtime_ns
    assert typed(*keys)[0] == 4
    assert (project / "s/1/summary.json").stat().st_mtime_ns == stamp


def test_fewer_passages_than_the_target_are_all_there_are(typed: Typed, project: Path) -> None:
    """As asked, with a note."""
    pytest.importorskip("semantic_text_splitter")
    (project / "mine").mkdir()
    (project / "mine/a.txt").write_text(BEES, encoding="utf-8")
    path = "pipeline.passages.path=mine"
    status, out, err = typed("recipe=grounded", "model=scripted", "model.mode=chat", path, "target=4")
    assert status == 0, out + err
    assert "passages: all 1 passages were taken, but target=4 asks for more" in err
    assert last(out).startswith("1 of 4 passages (all there are), ")


def test_the_table_at_the_end_fits_a_narrow_terminal() -> None:
    """80 columns, with costs; the share of the main reason stands under the candidates."""
    figures = {
        "requests": 12_345, "candidates": 12_345, "accepted": 2_345, "rejected": {"rouge_l": 10_000},
        "main_reason": {"check": "rouge_l", "count": 10_000, "share": 0.81},
        "tokens": 123_456, "seconds": 1234.5, "cost_usd": 12.5,
    }  # fmt: skip
    file = io.StringIO()
    show({"recipe": "chat", "stages": {"instructions": figures}}, [], Console(file=file, width=80))
    shown = [line.rstrip() for line in file.getvalue().splitlines()]
    assert max(map(len, shown)) <= 80
    assert any("81%" in line and "10,000" in line for line in shown)


# Judges whose replies cannot be read


def test_a_judges_unreadable_replies_are_counted_and_asked_again(typed: Typed, project: Path) -> None:
    """Rejected as unreadable with the reply; the record is asked about again, as one off the scale is."""
    again = '{"reason": "Fine.", "score": 5}'
    off = '{"reason": "Superb!", "score": 9}'
    script(
        project,
        {"stage": "judge", "number": 1, "reply": off},
        {"stage": "judge", "number": 2, "reply": again},
        {"stage": "judge", "number": 3, "reply": ""},
        {"stage": "judge", "reply": "I like it a lot."},
        {"stage": "judge_again", "reply": again},
    )
    status, out, err = typed("recipe=judged", *CHAT, "target=6")
    assert status == 0, out + err
    stages = summary(project / "run")["stages"]
    count = stages["judge"]["requests"]
    assert stages["judge"]["rejected"] == {"unreadable": count - 3, "empty_reply": 1}
    assert stages["judge"]["accepted"] == 2
    assert stages["judge_again"]["candidates"] == count - 1
    rows = [row for row in lines(project / "run/rejected.jsonl") if row["check"] == "unreadable"]
    assert {row["record"]["reply"] for row in rows} == {"I like it a lot."}
    kept = lines(project / "run/instances.jsonl")
    assert {row["score"] for row in kept} == {5}
    assert len(kept) == count


def test_a_judge_that_can_never_be_read_leaves_no_record(typed: Typed, project: Path) -> None:
    """Not 100% accepted: both askings are unreadable, and the run says so with exit status 4."""
    script(
        project,
        {"stage": "judge", "reply": "I like it a lot."},
        {"stage": "judge_again", "reply": '{"verdict": "good"}'},
    )
    status, out, _ = typed("recipe=judged", *CHAT, "target=3")
    assert status == 4
    stages = summary(project / "run")["stages"]
    for name in ("judge", "judge_again"):
        assert stages[name]["rejected"] == {"unreadable": stages[name]["requests"]}
        assert stages[name]["accepted"] == 0
    assert lines(project / "run/instances.jsonl") == []
    assert "0 instances: nothing was accepted" in last(out)
    assert "In judge " in last(out)
    assert "could not be read (unreadable" in last(out)


# Replies of a real model


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the replies of a real model beside the repository")
def test_the_copies_of_a_real_model_are_said_while_it_runs(typed: Typed, project: Path) -> None:
    """A chat model of 0.5B copies the examples of its prompt; the first hint no longer speaks of seeds."""
    replies = f"model.options.replies={REAL / 'chat.jsonl'}"
    keys = ("recipe=chat", "model=scripted", "model.mode=chat", replies, "seed=1", "target=20", "cache=off")
    _, _, err = typed(*keys, "pipeline.instructions.patience=5", "run_dir=run")
    (said,) = [line for line in err.splitlines() if line.startswith("instructions, so far: ")]
    assert "were copies of the prompt" in said
    assert "recipe=completion" in said
    assert "mix.examples=4" in said
