"""A merged run is a run: what people do with runs, they do with it; labels and vectors of its runs hold."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterable
from html import unescape
from pathlib import Path

import pytest
from conftest import Typed, lines
from killing import data
from merging_runs import EVENING, GOOD, KETTLE, ORCHARD, PARTS, VIOLINS, make, texts, two_runs
from results import done, refused, summary
from reviewing import ReviewServer
from server import EMBEDDINGS, Answer, Asked, ModelServer, vectors

from selfinstruct.journal.store import Journal
from selfinstruct.records import Record
from selfinstruct.run_folder.opened import opened

LATE = PARTS.replace("  marks: {kind: label}\n", "").replace(
    "answers: {kind: expand}\n", "answers: {kind: expand}\n  marks: {kind: label, of: tasks}\n"
)
LATE = LATE.replace("{{ instruction }} {{ score }}", "{{ instruction }}").replace(
    "required: [instruction, score, output]", "required: [instruction, output]"
)
REWRITTEN = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: null
seeds: {path: seeds/mine.jsonl}
model: {mode: chat}
mix: {examples: 1, generated: 0}
pipeline: {tasks: {kind: bootstrap, window: 1}, answers: {kind: expand}}
prompts:
  tasks: {style: chat, template: "{{ examples[0].instruction }}", parse: {kind: text, field: instruction}}
  answers: {style: chat, template: "{{ instruction }}", parse: {kind: text, field: instruction}}
filters: {answers: {rouge_l: {field: instruction, except_parent: true}}}
schema:
  tasks: {type: object, properties: {instruction: {type: string}}}
  answers: {type: object, properties: {instruction: {type: string}}}
"""
BY_TOPIC = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: null
seeds: {path: seeds/mine.jsonl}
model: {mode: chat}
pipeline: {topics: {kind: rows, path: topics.jsonl}, tasks: {kind: expand}}
prompts:
  tasks: {style: chat, template: "{{ topic }}", parse: {kind: text, field: instruction}}
filters: {topics: {exact_duplicate: {field: topic}}, tasks: {rouge_l: {field: instruction}}}
schema:
  topics: {type: object, properties: {topic: {type: string}}}
  tasks: {type: object, properties: {topic: {type: string}, instruction: {type: string}}}
"""
STEMS = {"kettle": (1, 0, 0), "pot": (1, 0.1, 0), "orchard": (0, 1, 0), "evening": (0, 0, 1)}
OLDER = "Repair something that is far older than it."
POT = "Say in which way broken pots get mended by hand."


@pytest.fixture
def two(typed: Typed, project: Path) -> Path:
    """See `two_runs`."""
    return two_runs(typed, project)


def rows_of(page: Path) -> list[list[str]]:
    """The texts of the cells of each row of the tables of a page."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.read_text(encoding="utf-8"), re.DOTALL)
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in cells]


# What was set on a record after others were made from it


def test_labels_that_were_set_later(typed: Typed, two: Path) -> None:
    """The answers have the label of their task; a task whose label was rejected is left out with them."""
    (two / "recipes/parts.yaml").write_text(LATE, encoding="utf-8")
    make(typed, two, "late", (KETTLE, EVENING), target=2, marks={2: "I like both."})
    make(typed, two, "later", (VIOLINS,), target=1)
    assert texts(two / "runs/late") == [KETTLE] and len(lines(two / "runs/late/answers.jsonl")) == 2
    done(typed, "merge", "runs/late", "runs/later", "--to", "runs/all")
    assert texts(two / "runs/all") == [KETTLE, VIOLINS]
    answers = lines(two / "runs/all/answers.jsonl")
    assert [(row["instruction"], row["score"]) for row in answers] == [(KETTLE, 4)] * 2 + [(VIOLINS, 4)] * 2
    assert summary(two / "runs/all")["merged"]["stages"]["answers"][0]["given"] == 2


def test_runs_about_the_same_topics(typed: Typed, two: Path) -> None:
    """A topic of the second run is dropped, but what was made of it goes to the same topic of the first."""
    (two / "recipes/by_topic.yaml").write_text(BY_TOPIC, encoding="utf-8")
    for name, topics, tasks in (
        ("x", ("Tea", "Trees"), (KETTLE, ORCHARD)),
        ("y", ("trees", "TEA"), (GOOD, EVENING)),
    ):
        (two / "topics.jsonl").write_text("".join(json.dumps({"topic": one}) + "\n" for one in topics))
        replies = [{"stage": "tasks", "number": number, "reply": one} for number, one in enumerate(tasks, 1)]
        (two / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in replies))
        done(typed, "recipe=by_topic", f"run_dir=runs/{name}", f"model.options.replies={name}.jsonl")
    done(typed, "merge", "runs/x", "runs/y", "--to", "runs/xy")
    rows = [[row["instruction"], row["parent"]] for row in lines(two / "runs/xy/tasks.jsonl")]
    assert rows == [
        [KETTLE, "topics-000001-0"],
        [ORCHARD, "topics-000002-0"],
        [EVENING, "topics-000001-0"],
    ]
    assert [row["topic"] for row in lines(two / "runs/xy/topics.jsonl")] == ["Tea", "Trees"]
    done(typed, "merge", "runs/xy", "runs/y", "--to", "runs/again")
    again = lines(two / "runs/again/tasks.jsonl")
    assert [[row["instruction"], row["parent"]] for row in again] == rows
    assert [row["topic"] for row in again] == ["Tea", "Trees", "Tea"]


def test_a_stopped_merge_knows_what_was_rewritten(
    typed: Typed, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C between two rewritten tasks, the second is compared with the original of the first too."""
    (two / "recipes/parts.yaml").write_text(REWRITTEN, encoding="utf-8")
    make(typed, two, "kept", (KETTLE,), target=1, answer=OLDER)
    make(typed, two, "near", (VIOLINS,), target=1, answer=KETTLE)
    keys = ("merge", "runs/kept", "runs/near")
    done(typed, *keys, "--to", "runs/calm")
    assert texts(two / "runs/calm", "answers") == [OLDER]
    take = Journal.take

    def stopping(journal: Journal, stage: str, number: int, records: Iterable[Record]) -> None:
        take(journal, stage, number, records)
        if (stage, number) == ("answers", 1):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr("selfinstruct.runner.STEPS", 1)
        patch.setattr(Journal, "take", stopping)
        assert typed(*keys)[0] not in (0, 1)
    assert not summary(two / "runs/merged")["finished"]
    done(typed, *keys)
    assert data(two / "runs/merged") == data(two / "runs/calm")


# Meaning


def near(asked: Asked) -> Answer:
    """An embedding model for which pots are nearly kettles."""
    return vectors(asked, lambda text: next(STEMS[stem] for stem in STEMS if stem in text.lower()))


def test_texts_of_one_meaning_in_two_runs(typed: Typed, two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The near copy in the second run names the record of the first; nothing is embedded a second time."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TINY_KEY", "sk-tiny-0123456789-secret")
    with ModelServer(near) as server:
        model = f"{{name: openai/near, api_base: '{server.base}', api_key_env: TINY_KEY}}"
        options = f"{{field: instruction, threshold: 0.9, centered: false, model: {model}}}"
        keys = ("~filters.tasks.rouge_l", f"+filters.tasks.embedding_similarity={options}", "cache=off")
        seeds = [
            {"id": "seed_0", "instruction": "Cut an orchard.", "instances": [{"input": "", "output": "x"}]}
        ]
        (two / "seeds/mine.jsonl").write_text(json.dumps(seeds[0]) + "\n", encoding="utf-8")
        make(typed, two, "first", (KETTLE,), *keys, target=1)
        make(typed, two, "second", (POT, EVENING), *keys, target=2)
        assert {asked.path for asked in server.asked} == {EMBEDDINGS}
    done(typed, "merge", "runs/first", "runs/second", "--to", "runs/all")  # there is no server any more
    assert texts(two / "runs/all") == [KETTLE, EVENING]
    dropped = lines(two / "runs/all/rejected.jsonl")[0]
    assert dropped["check"] == "embedding_similarity"
    assert dropped["reason"].startswith("embedding similarity 0.995 to tasks-000001-0, above 0.9")
    assert "that is tasks-000001-0 of first, this is tasks-000001-0 of second" in dropped["reason"]
    assert (dropped["detail"]["nearest_run"], dropped["detail"]["nearest_id"]) == ("first", "tasks-000001-0")
    assert summary(two / "runs/all")["stages"]["tasks"]["embeddings"]["requests"] == 0


# The other verbs


def test_other_verbs_on_a_merge(typed: Typed, two: Path) -> None:
    """A merge is a run: it is shown, checked, reported on, exported; replay says what to do instead."""
    columns = "export.alpaca.columns=[score,from_run,from_id,model]"
    done(typed, "merge", "runs/a", "runs/b", "--to", "runs/all", columns)
    run = two / "runs/all"
    assert lines(run / "dataset/alpaca.jsonl")[-1] == {
        "instruction": VIOLINS,
        "input": "",
        "output": "B says more.",
        "score": 4,
        "from_run": "b",
        "from_id": "answers-000002-1",
        "model": "scripted",
    }
    page = (run / "dataset/README.md").read_text(encoding="utf-8")
    assert "| `answers` | `b` | 6 | 2 | 4 by parent |" in page and "| `tasks` | `scripted` | 4 |" in page
    assert "The texts are a model's." in page and str(two) not in page
    story = done(typed, "show", "runs/all", "tasks-000004-0")
    assert "rejected by rouge_l" in story and "ROUGE-L 0.933" in story
    assert "that is tasks-000002-0 of a, this is tasks-000001-0 of b" in " ".join(story.split())
    assert "answers-000010-0" in done(typed, "show", "runs/all", "tasks-000005-0")
    assert "whole" in done(typed, "verify", "runs/all")
    done(typed, "report", "runs/all")
    told = rows_of(run / "report.html")
    assert ["a", "parts", "1", "en", "scripted"] in [row[:5] for row in told]
    assert [row for row in told if row[0] in ("a", "b", "all") and len(row) == 5] == [
        ["a", "3", "3", "0", ""],
        ["b", "3", "1", "2", "2 rouge_l"],
        ["all", "6", "4", "2", ""],
        ["a", "6", "6", "0", ""],
        ["b", "6", "2", "4", "4 parent"],
        ["all", "12", "8", "4", ""],
    ]
    assert "were made from a record that was not taken" in (run / "report.html").read_text(encoding="utf-8")
    assert json.loads((run / "stats.json").read_text())["merged"] == summary(run)["merged"]
    glance = [line.split() for line in done(typed, "show", "runs/all").splitlines()]
    assert ["b", "3", "1", "2", "by", "rouge_l"] in glance and ["b", "6", "2", "4", "by", "parent"] in glance
    assert json.loads(done(typed, "show", "runs/all", "--json"))["merged"] == summary(run)["merged"]
    done(typed, "export", "runs/all", "export=[chat]", "export.chat.provenance=true")
    row = lines(run / "dataset/chat.jsonl")[-1]
    assert (row["model"], row["parents"]) == ("scripted", ["tasks-000005-0"])
    refused(typed("replay", "runs/all"), "runs/all is a merge, which has no replies", "runs/a, runs/b")
    status, out, err = typed("recipe=parts", "run_dir=runs/all", "model.options.replies=a.jsonl")
    assert status == 1 and 'pipeline.tasks.kind: "merged" → "bootstrap"' in err, "it is not overwritten"
    (run / "tasks.jsonl").write_text("", encoding="utf-8")
    status, out, _ = typed("verify", "runs/all")
    assert status == 1 and "selfinstruct merge runs/a runs/b" in out and "run_dir=runs/all" in out
    done(typed, "merge", "runs/a", "runs/b", columns, "run_dir=runs/all")
    assert "whole" in done(typed, "verify", "runs/all")


def test_people_review_a_merge(typed: Typed, two: Path) -> None:
    """The page opens; what is said of a record is kept in the merge, and its runs have nothing of it."""
    done(typed, "merge", "runs/a", "runs/b")
    with ReviewServer(two, "runs/merged") as server:
        reviewer = server.reviewer("ann")
        assert any(text in unescape(reviewer.text) for text in texts(two / "runs/merged"))
        id = reviewer.finish()
    with opened(two / "runs/merged") as run:
        assert f"ann/{id}" in run.journal.facts("review/")
    with opened(two / "runs/a") as run:
        assert not run.journal.facts("review/")
    assert "whole" in done(typed, "verify", "runs/merged")


def test_a_model_is_tuned_on_a_merge(typed: Typed, two: Path) -> None:
    """The examples are those of the records that were kept."""
    done(typed, "merge", "runs/a", "runs/b")
    done(typed, "finetune", "runs/merged", "train=files", "finetune.evaluate=false")
    rows = lines(two / "runs/merged/model/train.jsonl")
    said = {(row["messages"][-2]["content"], row["messages"][-1]["content"]) for row in rows}
    kept = {(row["instruction"], row["output"]) for row in lines(two / "runs/merged/answers.jsonl")}
    assert said <= kept and len(said) >= 7


def test_pairs_name_the_answers_of_the_merge(typed: Typed, project: Path) -> None:
    """Their ids there are others than in the run, where answers that a label rejected have ids too."""
    replies = Path(__file__).parents[1] / "replies/en.jsonl"
    scripted = ("model=scripted", "model.mode=chat", f"model.options.replies={replies}", "target=8")
    for name in ("one", "two"):
        done(typed, "recipe=preferences", *scripted, f"run_dir=runs/{name}")
    done(typed, "merge", "runs/one", "runs/two", "--to", "runs/all")
    answers = {one["id"]: one for one in lines(project / "runs/all/answers.jsonl")}
    pairs = lines(project / "runs/all/pairs.jsonl")
    for pair in pairs:
        assert answers[pair["chosen_id"]]["output"] == pair["chosen"]
        assert answers[pair["rejected_id"]]["output"] == pair["rejected"]
    before = lines(project / "runs/one/pairs.jsonl")
    assert pairs and [one["chosen_id"] for one in pairs] != [one["chosen_id"] for one in before]
