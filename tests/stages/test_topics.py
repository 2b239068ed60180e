"""The kind `topics` and the quotas of `expand`: what is asked, in which order, and what comes of it.

A script answers: `subtopics` of a topic come from a table, tasks are numbered by what was asked.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file
from killing import data, start, stored
from results import prompts_of, refused, row, summary
from server import Answer, Asked, ModelServer, text
from tiny_recipe import at

RECIPE = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: none
seeds: {path: seeds/mine.jsonl}
model: {mode: chat, options: {replies: replies.jsonl}}
mix: {examples: 0, generated: 0}
target: 12
pipeline:
  topics: {kind: topics, tree: [Cooking, {Plants: [Trees, Herbs]}], depth: 3, width: 3}
  tasks: {kind: expand, where: {leaf: true}, quota: target, tries: 4, idle: 2, expected: 2}
prompts:
  topics:
    style: chat
    template: "Divide {{ path }} into {{ width }}, not {{ siblings | join('; ') }}"
    parse: {kind: numbered_list, field: topic}
  tasks:
    style: chat
    template: >-
      Ask about {{ topic }}, {{ missing }} more than {{ made | map(attribute='instruction') | join('; ') }}
    parse: {kind: numbered_list}
filters:
  topics: {exact_duplicate: {field: topic}}
  tasks: {exact_duplicate: {field: instruction}}
schema: {topics: {type: object}, tasks: {type: object}}
"""
CUT = (
    "Divide Cooking into",
    '1. **Bread**: all about loaves\n2. "Soup"\n3. Bread\n4. Tea - hot\n5. Jam\n6. Salt',
)
REPLIES = [
    CUT,
    ("Divide Cooking > Bread into", "1. Rye\n2. Wheat"),
    ("Divide Cooking > Soup into", ""),
    ("Divide Cooking > Tea into", "1. Rye"),
    ("Divide Plants > Trees into", "1. Plants > Trees > Oak\n2. Ash"),
    ("Divide Plants > Herbs into", "1. Mint"),
    ("Ask about Mint, ", "1. Mint?"),  # always the same
    ("Ask about (\\w+), \\d+ more than $", "1. Who likes it, one?\n2. Why this, two?\n3. When is it, three?"),
]  # fmt: skip
MINE = ("recipe=mine", "run_dir=run")


@pytest.fixture
def mine(project: Path) -> Path:
    """A user's folder with the recipe and its script."""
    seed_file(project / "seeds/mine.jsonl")
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(RECIPE, encoding="utf-8")
    script(project)
    return project


def script(project: Path, replies: list[tuple[str, str]] | None = None) -> None:
    """Write the script; a task names the topic that it is about, so that each is new."""
    rows: list[dict[str, Any]] = [{"match": found, "reply": reply} for found, reply in replies or REPLIES]
    for topic in ("Rye", "Wheat", "Jam", "Soup", "Tea", "Oak", "Ash", "Cooking"):
        for have in range(8):
            made = "; ".join(f"{topic} {number}?" for number in range(1, have + 1))
            asked = f"^Ask about {topic}, \\d+ more than {made.replace('?', '[?]')}$"
            reply = f"1. {topic} {have + 1}?\n2. {topic} {have + 2}?"
            rows.insert(0, {"match": asked, "reply": reply})
    content = "".join(json.dumps(one) + "\n" for one in rows)
    (project / "replies.jsonl").write_text(content, encoding="utf-8")


def test_a_tree_is_grown_level_by_level(typed: Typed, mine: Path) -> None:
    """Names are cut out of what the model writes; a topic without subtopics is a leaf."""
    typed(*MINE)
    rows = lines(mine / "run/topics.jsonl")
    assert [(one["path"], one["leaf"]) for one in rows] == [
        ("Cooking > Bread", False),
        ("Cooking > Soup", False),
        ("Cooking > Tea", False),
        ("Plants > Trees > Oak", True),
        ("Plants > Trees > Ash", True),
        ("Plants > Herbs > Mint", True),
        ("Cooking > Bread > Rye", True),
        ("Cooking > Bread > Wheat", True),
        ("Cooking > Soup", True),  # its reply has no subtopic
        ("Cooking > Tea", True),  # its only subtopic is there already
    ]
    assert {one["level"] for one in rows if one["leaf"]} == {2, 3}
    why = [(one["check"], one["record"].get("topic")) for one in lines(mine / "run/rejected.jsonl")]
    assert why[:3] == [("exact_duplicate", "Bread"), ("width", "Jam"), ("width", "Salt")]
    assert prompts_of(mine / "run", "topics") == {
        1: "Divide Cooking into 3, not ",
        2: "Divide Plants > Trees into 3, not Herbs",
        3: "Divide Plants > Herbs into 3, not Trees",
        4: "Divide Cooking > Bread into 3, not Soup; Tea",
        5: "Divide Cooking > Soup into 3, not Bread; Tea",
        6: "Divide Cooking > Tea into 3, not Bread; Soup",
    }


def test_each_topic_is_asked_until_it_has_its_share(typed: Typed, mine: Path) -> None:
    """The share is exact; a topic whose replies add nothing is left, and the coverage names it."""
    status, out, _ = typed(*MINE, "target=21")
    assert status == 4
    assert "19 of 21 tasks" in out
    tasks = lines(mine / "run/tasks.jsonl")
    counts = {topic: sum(one["topic"] == topic for one in tasks) for topic in ("Rye", "Oak", "Tea", "Mint")}
    assert counts == {"Rye": 3, "Oak": 3, "Tea": 3, "Mint": 1}
    found = summary(mine / "run")["coverage"]
    assert len(found) == 1
    assert {**found[0], "branches": 0} == {
        "stage": "tasks",
        "of": "topics",
        "asked": 7,
        "full": 6,
        "some": 1,
        "none": 0,
        "not_asked": 0,
        "wanted": 21,
        "there": 19,
        "branches": 0,
        "lacking": [{"name": "Plants > Herbs > Mint", "wanted": 3, "there": 1}],
    }
    assert [(one["branch"], one["wanted"], one["there"]) for one in found[0]["branches"]] == [
        ("Plants", 9, 7),
        ("Cooking", 12, 12),
    ]
    prompts = list(prompts_of(mine / "run", "tasks").values())
    assert sum(prompt.startswith("Ask about Mint") for prompt in prompts) == 3  # and then idle
    assert "Ask about Rye, 1 more than Rye 1?; Rye 2?" in prompts
    assert sum(prompt.startswith("Ask about Rye") for prompt in prompts) == 2


def test_a_topic_with_a_weight_gets_more(typed: Typed, mine: Path) -> None:
    """And a target below the number of topics leaves some out."""
    tree = "pipeline.topics.tree=[{Rye: 2}, {Oak: 1}, Ash]"
    status, out, err = typed(
        *MINE, tree, "pipeline.topics.depth=1", "target=8", "+pipeline.tasks.weight=weight"
    )
    assert status == 0, out + err
    topics = [one["topic"] for one in lines(mine / "run/tasks.jsonl")]
    assert {topic: topics.count(topic) for topic in ("Rye", "Oak", "Ash")} == {"Rye": 4, "Oak": 2, "Ash": 2}
    assert not prompts_of(mine / "run", "topics")
    typed(*MINE[:1], "run_dir=few", tree, "pipeline.topics.depth=1", "target=2")
    found = summary(mine / "few")["coverage"][0]
    assert (found["asked"], found["not_asked"], found["wanted"]) == (2, 1, 2)


def test_the_same_bytes_however_it_is_run(typed: Typed, mine: Path) -> None:
    """At any concurrency, and across kills."""
    words = ("recipe=mine", "target=28")
    typed(*words, "run_dir=one", "model.concurrency=1")
    typed(*words, "run_dir=many", "model.concurrency=64", "model.options.delay=0.03")
    for replies in (3, 9):
        slow = ("model.options.delay=0.2", "model.concurrency=1", "run_dir=killed", "cache=off")
        process = start(mine, *words, *slow)
        while process.poll() is None and len(stored(mine / "killed")) < replies:
            pass
        assert process.poll() is None, "it came to its end before it was killed"
        process.kill()
        process.communicate()
    typed(*words, "run_dir=killed", "cache=off")
    runs = [data(mine / name) for name in ("one", "many", "killed")]
    assert lines(mine / "one/tasks.jsonl")
    assert all(run == runs[0] for run in runs)
    assert typed("verify", "one")[0] == 0
    assert typed("verify", "killed")[0] == 0


def test_a_replay_makes_the_same(typed: Typed, mine: Path) -> None:
    """Without a model, from the stored replies."""
    typed(*MINE)
    status, out, err = typed("replay", "run", "run_dir=again")
    assert status == 0, out + err
    for name in ("topics", "tasks"):
        assert (mine / f"again/{name}.jsonl").read_bytes() == (mine / f"run/{name}.jsonl").read_bytes()


def test_a_larger_target_goes_on(typed: Typed, mine: Path) -> None:
    """New tasks come after those that there are, so the later stage asks about nothing again."""
    more = "{answers: {kind: expand, of: tasks}}"
    prompt = "{answers: {style: chat, template: 'Q: {{ instruction }}', parse: {kind: text, field: output}}}"
    script(mine, [*REPLIES, ("^Q: ", "An answer.")])
    words = (*MINE, f"+pipeline={more}", f"+prompts={prompt}", "+schema={answers: {type: object}}")
    typed(*words, "target=7", "cache=off")
    before = {name: prompts_of(mine / "run", name) for name in ("topics", "tasks", "answers")}
    tasks = lines(mine / "run/tasks.jsonl")
    assert len(tasks) == len(before["answers"]) == 7
    typed(*words, "target=14", "cache=off")
    for name, prompts in before.items():
        now = prompts_of(mine / "run", name)
        assert {number: now[number] for number in prompts} == prompts
    assert lines(mine / "run/tasks.jsonl")[:7] == tasks
    rows = lines(mine / "run/answers.jsonl")
    assert len(rows) == 13  # one task about mint
    assert len(prompts_of(mine / "run", "answers")) == 13
    assert typed("replay", "run", "run_dir=again")[0] == 0
    again = lines(mine / "again/answers.jsonl")  # in the order of a run that had the larger target at once
    assert {one["instruction"] for one in again} == {one["instruction"] for one in rows}


def test_a_larger_target_in_the_middle(typed: Typed, mine: Path, tiny: None) -> None:
    """A reply that arrived before an interruption stays with its topic, whatever is asked now."""
    served = RECIPE.replace("/model: scripted", "/model: tiny").replace(
        "options: {replies: replies.jsonl}", ""
    )
    (mine / "recipes/served.yaml").write_text(served, encoding="utf-8")
    held = ["Oak"]

    def answer(one: Asked) -> Answer:
        found = re.search(r"Ask about (\w+), \d+ more than(.*)$", one.prompt)
        assert found
        topic, made = found[1], found[2].count("?")
        return text(f"1. {topic} {made + 1}?", delay=30 if made and topic in held else 0)

    topics = ("pipeline.topics.tree=[Rye, {Oak: 3}, {Ash: 3}]", "pipeline.topics.depth=1")
    with ModelServer(answer) as server:
        words = at(
            server, *topics, "+pipeline.tasks.weight=weight", "pipeline.tasks.tries=9", recipe="served"
        )
        process = start(mine, *words, "target=7", "cache=off")
        while process.poll() is None and ("tasks", 5) not in stored(mine / "run"):
            pass
        assert process.poll() is None, "it came to its end before it was killed"
        process.kill()
        process.communicate()
        held.clear()
        status, out, err = typed(*words, "target=14", "cache=off")
    assert status == 0, out + err
    tasks = [(one["topic"], one["instruction"]) for one in lines(mine / "run/tasks.jsonl")]
    shares = {"Rye": 2, "Oak": 6, "Ash": 6}
    assert sorted(tasks) == sorted(
        (topic, f"{topic} {n + 1}?") for topic in shares for n in range(shares[topic])
    )


def test_the_plan_counts_topics_and_requests(typed: Typed, mine: Path) -> None:
    """Before the run from what is expected, and nothing is left after it."""
    tree = "pipeline.topics.tree=[Rye, Oak]"
    words = (*MINE, tree, "pipeline.topics.depth=2", "pipeline.topics.width=2")
    script(mine, [("Divide Rye into", "1. Tea\n2. Jam"), ("Divide Oak into", "1. Ash\n2. Wheat")])
    _, out, _ = typed("check", *words, "target=12")
    assert "levels   2 at level 1, 4 at level 2" in out
    assert "leaves   about 4" in out
    assert row(out, "topics")[0] == "2"
    assert row(out, "tasks")[0].split()[0] == "8"  # three tasks each, two a reply
    typed(*words, "target=12")
    assert len(prompts_of(mine / "run", "topics")) == 2
    assert len(prompts_of(mine / "run", "tasks")) == 8
    _, out, _ = typed("check", *words, "target=12")
    assert row(out, "topics")[0] == row(out, "tasks")[0] == "0"


def test_the_plan_of_a_deep_tree(typed: Typed, mine: Path) -> None:
    """Every level multiplies; only leaves get tasks."""
    deep = ("pipeline.topics.tree=[A, {B: [C]}]", "pipeline.topics.depth=4", "pipeline.topics.width=3")
    _, out, _ = typed("check", *MINE, *deep, "pipeline.tasks.quota=2")
    assert "1 at level 1, 4 at level 2, 12 at level 3, 36 at level 4" in out
    assert row(out, "topics")[0].split()[0] == "17"
    assert row(out, "tasks")[0].split()[0] == "36"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["+pipeline.topics.path=no.yaml"], "has both path and tree; set path=null"),
        (["pipeline.topics.tree=null"], "needs either path=FILE"),
        (["pipeline.topics.tree=null", "+pipeline.topics.path=no.yaml"], "there is no file no.yaml"),
        (["pipeline.topics.tree=[A, A]"], "pipeline.topics.tree: has the topic 'A' twice"),
        (["pipeline.topics.depth=0"], "greater than or equal to 1"),
        (["prompts.topics.parse.field=name"], "a subtopic is read into one field"),
        (["~prompts.topics"], "prompts.topics: is missing"),
        (["+pipeline.tasks.weight=heavy"], "pipeline.tasks.weight: unknown field 'heavy'"),
        (["pipeline.tasks.quota=2", "+pipeline.tasks.weight=weight"], "it needs quota: target"),
        (["+pipeline.tasks.keep=true"], "keep and quota do not go together"),
        (["pipeline.tasks.quota=0"], "pipeline.tasks.quota"),
        (["pipeline.topics.depth=1", "pipeline.tasks.where={leaf: false}"], "'leaf' is never false"),
    ],
)
def test_faults_of_a_recipe(typed: Typed, mine: Path, words: list[str], said: str) -> None:
    """They are found before the first request."""
    refused(typed("check", *MINE, *words), said)


def test_the_report_has_the_coverage(typed: Typed, mine: Path) -> None:
    """A table by branch, and the topics that lack records."""
    typed(*MINE, "target=21")
    assert typed("report", "run")[0] == 0
    page = (mine / "run/report.html").read_text(encoding="utf-8")
    assert "tasks for each of topics" in page
    assert "Plants &gt; Herbs &gt; Mint (1 of 3)" in page
    assert json.loads((mine / "run/stats.json").read_text())["coverage"][0]["full"] == 6
