"""`selfinstruct merge`: what stays and what is dropped, who wins, and what is refused."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import children
import pytest
from conftest import ROOT, Typed, lines
from killing import data
from merging_runs import EVENING, GOOD, KETTLE, ORCHARD, PARTS, VIOLINS, A, B, make, texts, two_runs
from results import done, refused, summary

from selfinstruct.journal.checksums import checksum
from selfinstruct.journal.store import Journal
from selfinstruct.records import Record

NEWER = checksum("meta", ("format", "99"))


@pytest.fixture
def two(typed: Typed, project: Path) -> Path:
    """See `two_runs`."""
    return two_runs(typed, project)


# What stays


def test_two_runs_become_one(typed: Typed, two: Path) -> None:
    """The first run's records win; each drop names both records, and what was made from it goes with it."""
    before = {name: data(two / f"runs/{name}") for name in ("a", "b")}
    out = done(typed, "merge", "runs/a", "runs/b", "--to", "runs/all")
    run = two / "runs/all"
    assert texts(run) == [*A, VIOLINS]
    assert {name: data(two / f"runs/{name}") for name in ("a", "b")} == before, "the runs stay as they are"
    first = lines(run / "answers.jsonl")[6]
    told = {"from_run": "b", "from_id": "answers-000002-0", "model": "scripted", "parent": "tasks-000005-0"}
    assert {key: first[key] for key in told} == told
    assert (first["score"], first["output"]) == (4, "B says so.")
    rejected = {row["id"]: row for row in lines(run / "rejected.jsonl")}
    assert [row["check"] for row in rejected.values()] == ["rouge_l"] * 2 + ["parent"] * 4
    near = rejected["tasks-000004-0"]
    assert near["reason"] == (
        "ROUGE-L 0.933 to tasks-000002-0, above 0.7; that is tasks-000002-0 of a, this is tasks-000001-0 of b"
    )
    assert near["detail"] == {
        "from_run": "b",
        "from_id": "tasks-000001-0",
        "model": "scripted",
        "nearest_run": "a",
        "nearest_id": "tasks-000002-0",
    }
    child = rejected["answers-000007-0"]
    assert child["reason"] == f"made from tasks-000004-0, which is not taken: {near['reason']}"
    facts = summary(run)["merged"]
    assert facts["stages"] == {
        "tasks": [
            {"run": "a", "given": 3, "accepted": 3, "rejected": {}},
            {"run": "b", "given": 3, "accepted": 1, "rejected": {"rouge_l": 2}},
        ],
        "answers": [
            {"run": "a", "given": 6, "accepted": 6, "rejected": {}},
            {"run": "b", "given": 6, "accepted": 2, "rejected": {"parent": 4}},
        ],
    }
    spent = [sum(one["tokens"] for one in summary(two / f"runs/{name}")["stages"].values()) for name in "ab"]
    assert [one["tokens"] for one in facts["runs"]] == spent
    assert [(one["seed"], one["languages"]) for one in facts["runs"]] == [(1, ["en"]), (2, ["en"])]
    assert f"already paid by these runs: {sum(spent):,} tokens" in out
    assert "4 tasks, 8 answers: runs/all/dataset" in out


def test_the_order_of_the_runs_decides(typed: Typed, two: Path) -> None:
    """Of two records that are alike, that of the run named first stays."""
    done(typed, "merge", "runs/b", "runs/a", "--to", "runs/all")
    assert texts(two / "runs/all") == [*B, KETTLE]


def test_filters_may_be_changed(typed: Typed, two: Path) -> None:
    """The first run's settings count, or those typed; for pairs of one run too. A dry run writes nothing."""
    stricter = "filters.tasks.rouge_l.threshold=0.95"
    out = done(typed, "merge", "runs/a", "runs/b", "--dry-run", stricter)
    assert "nothing was written" in out and not (two / "runs/merged").exists()
    assert [line.split() for line in out.splitlines() if line.startswith(("tasks  ", "  b  "))] == [
        ["tasks", "6", "5", "1"],
        ["b", "3", "2", "1", "by", "rouge_l"],
        ["b", "6", "4", "2", "by", "parent"],
    ]
    done(typed, "merge", "runs/a", "runs/b", stricter)
    assert texts(two / "runs/merged") == [*A, GOOD, VIOLINS]
    loose = make(typed, two, "loose", (ORCHARD, GOOD, VIOLINS), "+filters.tasks.rouge_l.threshold=0.99")
    assert len(texts(loose)) == 3
    done(typed, "merge", "runs/a", "runs/loose", "--to", "runs/all")
    assert texts(two / "runs/all") == [*A, VIOLINS]
    done(typed, "merge", "runs/a", "runs/b", "--to", "runs/none", "~filters.tasks.rouge_l")
    assert texts(two / "runs/none") == [*A, *B]
    refused(
        typed("merge", "runs/a", "runs/b", "filters.tasks.word_count.minimum=9"),
        *("word_count looks at a record alone", "rouge_l"),
    )
    refused(typed("merge", "runs/a", "runs/b", "filters.task.rouge_l.threshold=0.9"), "did you mean 'tasks'?")
    refused(typed("merge", "runs/a", "runs/b", "filters.tasks.rouge_l.treshold=0.9"), "'threshold'?")
    refused(typed("merge", "runs/a", "runs/b", "target=9"), "target cannot be changed here")


def test_advice_where_no_model_is_asked(typed: Typed, two: Path) -> None:
    """If nearly all records are dropped, the filter's options may help, but no other model."""
    seeds = [{"id": f"mine_{n}", "instruction": text, "instances": []} for n, text in enumerate(A)]
    (two / "seeds/other.jsonl").write_text("".join(json.dumps(one) + "\n" for one in seeds), encoding="utf-8")
    make(typed, two, "c", (KETTLE,), "seeds.path=seeds/other.jsonl", "~filters.tasks.rouge_l", target=1)
    out = done(typed, "merge", "runs/a", "runs/c", "--dry-run")
    assert "What may help: change filters.tasks.rouge_l" in out and "another model" not in out


def test_the_seed_tasks_of_all_runs_count(typed: Typed, two: Path) -> None:
    """A record that is like a seed task of another run is dropped, and the seed task is named."""
    seeds = [{"id": "seed_0", "instruction": KETTLE, "instances": [{"input": "", "output": "Cold."}]}]
    (two / "seeds/other.jsonl").write_text(json.dumps(seeds[0]) + "\n", encoding="utf-8")
    make(typed, two, "c", (VIOLINS,), "seeds.path=seeds/other.jsonl", target=1)
    done(typed, "merge", "runs/a", "runs/c", "--to", "runs/all")
    assert texts(two / "runs/all") == [ORCHARD, EVENING, VIOLINS]
    reason = lines(two / "runs/all/rejected.jsonl")[0]["reason"]
    assert reason == (
        "ROUGE-L 1.000 to c/seed_0, above 0.7; that is a seed task, this is tasks-000001-0 of a"
    ), "the id is that of another seed task too, so it has its run before it"


def test_runs_in_two_languages(typed: Typed, two: Path) -> None:
    """Their texts are compared by one way to split all scripts into words; the page names both languages."""
    make(
        typed,
        two,
        "zh",
        ("请说明小提琴为什么需要干燥的房间。", "请写一首关于港口的诗。"),
        "seeds.language=zh",
        target=2,
    )
    make(typed, two, "zh2", ("请说明小提琴为什么需要很干燥的房间。",), "seeds.language=zh", target=1)
    done(typed, "merge", "runs/a", "runs/zh", "runs/zh2", "--to", "runs/all")
    assert len(texts(two / "runs/all")) == 5
    page = (two / "runs/all/dataset/README.md").read_text(encoding="utf-8")
    assert "language:\n- en\n- zh\n" in page


def test_a_merge_of_a_merge(typed: Typed, two: Path) -> None:
    """A record keeps the run that it comes from at last, and its id there; what was paid adds up."""
    make(typed, two, "c", ("Name five tools of a baker.",), target=1)
    done(typed, "merge", "runs/a", "runs/b", "--to", "runs/ab")
    done(typed, "merge", "runs/c", "runs/ab", "--to", "runs/all")
    assert texts(two / "runs/all") == ["Name five tools of a baker.", *A, VIOLINS]
    last = lines(two / "runs/all/tasks.jsonl")[-1]
    told = {"from_run": "ab", "from_id": "tasks-000005-0", "first_run": "b", "first_id": "tasks-000002-0"}
    assert {key: last[key] for key in told} == told and last["model"] == "scripted"
    runs = summary(two / "runs/all")["merged"]["runs"]
    once = summary(two / "runs/ab")["merged"]["runs"]
    assert runs[1]["tokens"] == sum(one["tokens"] for one in once) > 0
    assert runs[1]["models"] == ["scripted"]
    out = done(typed, "merge", "runs/ab", "runs/b", "--dry-run")
    assert (
        "note: runs/ab and runs/b have the records of one run in common; its costs are counted twice" in out
    )


def test_folders_of_one_name(typed: Typed, two: Path) -> None:
    """Runs that several machines made in folders of one name are told apart by the folders above."""
    for machine, run in (("one", "a"), ("two", "b")):
        shutil.copytree(two / "runs" / run, two / machine / "parts")
    done(typed, "merge", "one/parts", "two/parts")
    rows = lines(two / "runs/merged/tasks.jsonl")
    assert [row["from_run"] for row in rows] == ["one/parts"] * 3 + ["two/parts"]


def test_what_people_said_comes_along(typed: Typed, two: Path) -> None:
    """Reviews of records that stay are those of the merged records, with the edited text in the dataset."""
    with closing(Journal(two / "runs/b/run.sqlite")) as journal:
        journal.set_meta("review/ann/answers-000002-1", {"edit": {"output": "It swells."}, "at": "2026"})
        journal.set_meta("review/ann/answers-000001-0", {"edit": {"output": "Gone."}, "at": "2026"})
    done(typed, "merge", "runs/a", "runs/b")
    with closing(Journal(two / "runs/merged/run.sqlite")) as journal:
        assert list(journal.facts("review/")) == ["ann/answers-000010-0"]
    assert "It swells." in [row["output"] for row in lines(two / "runs/merged/dataset/alpaca.jsonl")]


def test_a_recipe_may_go_on_with_a_merge(typed: Typed, two: Path) -> None:
    """The kind `merged` in a recipe: the next stages ask about the records of all runs."""
    more = PARTS.replace(
        "tasks: {kind: bootstrap, patience: 2, window: 1}", "tasks: {kind: merged, runs: [runs/a, runs/b]}"
    )
    more = more.replace("  tasks: {style: chat", "  unused: {style: chat").replace(
        "  marks: {kind: label}\n", ""
    )
    keys = [line for line in more.splitlines() if "unused:" not in line]
    text = "\n".join(keys).replace('  marks:\n    style: chat\n    template: "{{ instruction }}"\n', "")
    text = text.replace(
        "    parse: {kind: json, single: true, fields: {score: {scale: {lowest: 1, highest: 5}}}}\n", ""
    )
    text = text.replace("  marks: {type: object, properties: {score: {type: integer}}}\n", "")
    text = text.replace(
        "{instruction: {type: string}}, additional", "{instruction: {}, score: {}}, additional"
    )
    (two / "recipes/more.yaml").write_text(text + "\n", encoding="utf-8")
    keys = ["recipe=more", "model.options.replies=a.jsonl"]
    assert "takes the records of 2 runs: 3 of a, 3 of b, without a model" in done(typed, "check", *keys)
    done(typed, *keys)
    assert texts(two / "runs/more") == [*A, VIOLINS]
    assert len(lines(two / "runs/more/answers.jsonl")) == 8
    done(typed, "replay", "runs/more", "run_dir=runs/again")
    assert data(two / "runs/again") == data(two / "runs/more")


# Interruptions


def test_the_same_runs_make_the_same_bytes(typed: Typed, two: Path) -> None:
    """Again in the same folder, anew, and in another."""
    done(typed, "merge", "runs/a", "runs/b", "--to", "runs/all")
    page, before = (two / "runs/all/dataset/README.md").read_bytes(), data(two / "runs/all")
    done(typed, "merge", "runs/a", "runs/b", "--to", "runs/all")
    assert data(two / "runs/all") == before
    done(typed, "merge", "runs/a", "runs/b", "--to", "runs/all", "fresh=true")
    assert (two / "runs/all.before-1").is_dir() and data(two / "runs/all") == before
    why = "runs/all holds a merge of a and b, but this is one of b and a; name another folder: --to FOLDER"
    refused(typed("merge", "runs/b", "runs/a", "--to", "runs/all"), why, "fresh=true")
    done(typed, "merge", "runs/b", "runs/a", "--to", "runs/all", "--dry-run")
    other = ("filters.tasks.rouge_l.threshold=0.9", "--to", "runs/all")
    refused(
        typed("merge", "runs/a", "runs/b", *other),
        "threshold: not set → 0.9",
        "Choose another folder: --to FOLDER",
    )
    assert data(two / "runs/all") == before
    done(typed, "merge", "runs/a", "runs/b", "--to", "elsewhere/all")
    assert data(two / "elsewhere/all") == before
    assert (two / "elsewhere/all/dataset/README.md").read_bytes() == page


def stored_records(run: Path) -> int:
    """How many records the journal of a run has; 0 before there is one."""
    try:
        with closing(sqlite3.connect(f"file:{run / 'run.sqlite'}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT COUNT(*) FROM record").fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.mark.slow
def test_a_killed_merge_goes_on(typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle, it goes on with the same command, to the same bytes."""
    monkeypatch.syspath_prepend(str(ROOT / "tests/bench"))
    from big_run import make as make_big

    for name, count in (("a", 400), ("b", 500)):
        make_big(project / "runs" / name, count, count + 100)
    keys = ("merge", "runs/a", "runs/b", "filters.instructions.rouge_l.threshold=0.99")
    done(typed, *keys, "--to", "runs/calm")
    run = project / "runs/merged"
    process = children.start(project, *keys, fresh=True)
    until = time.monotonic() + 240
    while not stored_records(run) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.wait()
    whole = len(lines(run.with_name("calm") / "instances.jsonl"))
    assert 0 < stored_records(run) < 2 * whole and not (run / "summary.json").exists(), "it was in the middle"
    done(typed, *keys)
    assert data(run) == data(project / "runs/calm")


# What is refused


def test_runs_that_cannot_be_merged(typed: Typed, two: Path) -> None:
    """Each message names the run and the remedy, and nothing is written."""
    refused(typed("merge", "runs/a"), "takes the folders of two runs or more")
    refused(typed("merge", "runs/a", "runs/b", "runs/./a"), "runs/a is named twice")
    refused(typed("merge", "runs/a", "runs/gone"), "runs/gone does not exist")
    refused(typed("merge", "a", "runs/b"), "did you mean runs/a?")
    refused(typed("merge", "runs/a", "runs/b", "--too", "x"), "--too is not an option")
    refused(typed("merge", "runs/a", "runs/b", "--to"), "--to needs the folder")
    refused(
        typed("merge", "runs/a", "runs/b", "--to", "runs/b"), "runs/b is the folder of a run that is merged"
    )
    refused(typed("merge", "runs/a", "runs/b", "--to", "runs/b/x"), "name another folder: --to FOLDER")
    refused(typed("merge", "runs/a", "runs/b", "--to", "seeds"), "has other files in it")
    make(typed, two, "c", (VIOLINS,), target=1)
    refused(typed("merge", "runs/a", "runs/b", "--to", "runs/c"), "runs/c holds a run that is not a merge")
    shutil.copytree(two / "runs/b", two / "runs/newer")
    with closing(sqlite3.connect(two / "runs/newer/run.sqlite")) as db, db:
        db.execute("UPDATE meta SET value = '99', sum = ? WHERE key = 'format'", (NEWER,))
    refused(typed("merge", "runs/a", "runs/newer"), "newer")
    assert not (two / "runs/merged").exists()


def damaged(two: Path, name: str, change: str) -> Path:
    """A copy of a run whose journal another program has changed."""
    run = two / "runs" / name
    shutil.copytree(two / "runs/b", run)
    with closing(sqlite3.connect(run / "run.sqlite")) as db, db:
        db.execute(change)
    return run


OWN = "To repair it, run that run's own command with repair=true"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE record SET data = '{}' WHERE id = 'tasks-000002-0'", "record tasks-000002-0 is not as"),
        ("DELETE FROM record WHERE id = 'answers-000002-1'", "records of answers: 1 missing"),
        (
            "UPDATE meta SET value = 'null' WHERE key = 'finished'",
            "the note finished is not as it was written",
        ),
        ("UPDATE reply SET model = 'other' WHERE stage = 'answers' AND number = 1", "reply 1 of answers"),
    ],
)
def test_a_damaged_run(typed: Typed, two: Path, change: str, told: str) -> None:
    """All of it is checked before anything is written; once its own command has repaired it, it is merged."""
    damaged(two, "hurt", change)
    refused(
        typed("merge", "runs/a", "runs/hurt", "--to", "runs/all"),
        "runs/hurt/run.sqlite is damaged",
        told,
        OWN,
    )
    assert not (two / "runs/all").exists()
    refused(typed("export", "runs/hurt"), told, OWN)
    own = ("recipe=parts", "run_dir=runs/hurt", "model.options.replies=b.jsonl", "target=3", "seed=2")
    done(typed, *own, "repair=true")
    done(typed, "merge", "runs/a", "runs/hurt", "--to", "runs/all")
    assert texts(two / "runs/all") == [*A, VIOLINS] and len(lines(two / "runs/all/answers.jsonl")) == 8


def test_damaged_runs_are_named_once(typed: Typed, two: Path) -> None:
    """All of them in one message; in a recipe too, where several stages take their records."""
    damaged(two, "one", "DELETE FROM record WHERE id = 'tasks-000001-0'")
    damaged(two, "other", "UPDATE record SET data = '{}' WHERE id = 'answers-000001-0'")
    result = typed("merge", "runs/one", "runs/a", "runs/other")
    refused(result, "runs/one/run.sqlite is damaged", "runs/other/run.sqlite is damaged")
    assert result[2].count("run.sqlite is damaged") == 2
    from_runs = "{kind: merged, runs: [runs/one, runs/other, runs/a]}"
    more = (
        PARTS.partition("\npipeline:\n")[0] + f"\npipeline:\n  tasks: {from_runs}\n  answers: {from_runs}\n"
    )
    more += "prompts: {}\nfilters: {}\nexport: {alpaca: {}}\n"
    more += "schema: {tasks: {type: object}, answers: {type: object}}\n"
    (two / "recipes/more.yaml").write_text(more, encoding="utf-8")
    result = typed("check", "recipe=more")
    refused(result, "pipeline.tasks.runs: ", OWN)
    assert result[2].count("run.sqlite is damaged") == 2


def test_a_run_that_goes_on_during_the_merge(
    typed: Typed, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it makes of records that came too late for the merge is left out, with both records named."""
    own = ("recipe=parts", "run_dir=runs/going", "model.options.replies=b.jsonl", "target=3")
    assert typed(*own, "budget.requests=2")[0] == 3
    shutil.copytree(two / "runs/going", two / "runs/later")
    done(typed, *own[:1], "run_dir=runs/later", *own[2:])
    take = Journal.take

    def moving(journal: Journal, stage: str, number: int, records: Iterable[Record]) -> None:
        take(journal, stage, number, records)
        if (stage, number) == ("tasks", 5):  # all that were there
            shutil.copyfile(two / "runs/later/run.sqlite", two / "runs/going/run.sqlite")

    monkeypatch.setattr(Journal, "take", moving)
    done(typed, "merge", "runs/a", "runs/going", "--unfinished", "--to", "runs/all", "~filters.tasks.rouge_l")
    assert texts(two / "runs/all") == [*A, *B[:2]]
    answers = lines(two / "runs/all/answers.jsonl")
    assert len(answers) == 10 and all(row["parent"] for row in answers)
    reasons = {row["reason"] for row in lines(two / "runs/all/rejected.jsonl")}
    late = "made from tasks-000003-0 of going, which was not there yet when tasks were taken"
    assert f"{late}; this is answers-000003-0 of going" in reasons


def test_an_unfinished_run(typed: Typed, two: Path) -> None:
    """It is refused, and taken with --unfinished; once it has more records, the merge is another one."""
    make_half = ("recipe=parts", "run_dir=runs/half", "model.options.replies=b.jsonl")
    status, _, _ = typed(*make_half, "target=3", "budget.requests=8")
    assert status == 3
    refused(typed("merge", "runs/a", "runs/half"), "runs/half is not finished", "--unfinished")
    out = done(typed, "merge", "runs/a", "runs/half", "--unfinished")
    assert "note: runs/half is not finished" in out
    done(typed, *make_half, "target=3")
    why = "runs/merged holds a merge from before runs/half had all of its present records"
    refused(typed("merge", "runs/a", "runs/half"), why, "--to FOLDER", "fresh=true")
    done(typed, "merge", "runs/a", "runs/half", "fresh=true")


def test_runs_of_other_shapes(typed: Typed, two: Path) -> None:
    """The message has each difference, with what both runs have; words and limits of a schema may differ."""
    make(typed, two, "free", (VIOLINS,), "+schema.answers.properties.output.maxLength=500", target=1)
    done(typed, "merge", "runs/a", "runs/free", "--dry-run")
    make(typed, two, "typed", (VIOLINS,), "+schema.answers.properties.input.type=string", target=1)
    refused(
        typed("merge", "runs/a", "runs/typed"),
        "runs/a and runs/typed have different shapes",
        '  schema.answers.properties.input.type: none | "string"',
        "docs/from-a-run.md",
    )
    done(typed, "recipe=quickstart", "model=scripted", "target=3")
    refused(
        typed("merge", "runs/a", "runs/quickstart"),
        "  stages with records: tasks, answers | instructions, instances",
        "  tasks, fields: instruction, score | none",
    )


def test_licences_that_differ(typed: Typed, two: Path) -> None:
    """The first counts; a note says so."""
    make(typed, two, "free", (VIOLINS,), "license=cc-by-4.0", target=1)
    out = done(typed, "merge", "runs/free", "runs/a")
    assert "note: the runs have different licences (cc-by-4.0 of free, none of a)" in out
    page = (two / "runs/merged/dataset/README.md").read_text(encoding="utf-8")
    assert page.startswith("---\nlicense: cc-by-4.0\n")


def test_help(typed: Typed) -> None:
    """It has examples, and the list of verbs has it."""
    out = done(typed, "merge", "--help")
    assert out.count("  selfinstruct merge ") >= 3 and "the one of the run named first stays" in out
    assert "  merge  " in done(typed, "--help")
