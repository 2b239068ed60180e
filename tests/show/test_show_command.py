"""`selfinstruct show`: a run at a glance, and records by words, by check, by stage and by value."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import children
import pytest
from conftest import Typed
from results import on_a_terminal, refused
from show_run import user_with_a_run

IDS = re.compile(r"^ +\d+  (\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the finished run `runs/x`."""
    return user_with_a_run(tmp_path_factory.mktemp("user"))


@pytest.fixture
def at_run(made: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the run, in which the commands are typed."""
    monkeypatch.chdir(made)
    return made


def ids(out: str) -> list[str]:
    """The ids of a numbered list."""
    return IDS.findall(out)


def test_a_run_at_a_glance(typed: Typed, at_run: Path) -> None:
    """The state, the figures of each stage, and samples with their labels."""
    status, out, _ = typed("show", "runs/x")
    assert status == 0
    assert out.startswith("runs/x is finished\n")
    summary = json.loads((at_run / "runs/x/summary.json").read_text())
    one = json.loads(typed("show", "runs/x", "--json")[1])
    assert one["stages"] == summary["stages"]
    rows = {row["id"]: row for row in map(json.loads, (at_run / "runs/x/instances.jsonl").open())}
    assert len(one["samples"]) == 3
    for sample in one["samples"]:
        assert sample == {key: rows[sample["id"]][key] for key in sample}
        assert "is_classification" in sample
    assert re.search(r"^instructions +3 +6 +3 +3 ", out, re.MULTILINE)
    assert f"selfinstruct show runs/x {one['samples'][0]['id']}" in out


def test_a_run_that_was_killed_and_one_of_an_earlier_version(typed: Typed, made: Path, project: Path) -> None:
    """The first is unfinished; the second has no outline, and its saved config is read."""
    shutil.copytree(made / "runs/x", "old")
    shutil.copy(made / "replies.jsonl", ".")
    with closing(sqlite3.connect("old/run.sqlite")) as db, db:
        db.execute("DELETE FROM meta WHERE key IN ('outline', 'seed_tasks', 'finished', 'summary')")
        db.execute("DELETE FROM record WHERE stage = 'instances'")
    status, out, _ = typed("show", "old")
    assert status == 0
    assert "old is unfinished: it was stopped before its end; the command that started it continues it" in out
    assert re.search(r"^instances +3 +0 +0 +0 ", out, re.MULTILINE)
    assert "sample 3" in out, "of the stage before"
    assert typed("show", "old", "instructions-000001-1")[0] == 0


def test_words_find_records_whatever_their_case_and_script(typed: Typed, at_run: Path) -> None:
    """One record is shown, several are listed; the words next to each other come first."""
    assert typed("show", "runs/x", "three RIVERS that")[1].startswith("instructions-000002-1  accepted\n")
    assert typed("show", "runs/x", "短い話")[1].startswith("instructions-000001-3  rejected by word_count\n")
    assert typed("show", "runs/x", "Ｒｉｖｅｒｓ", "ｔｈａｔ")[1].startswith("instructions-000002-1")
    assert ids(typed("show", "runs/x", "--find", "BLACK rivers")[1])[0] == "instructions-000002-1"
    status, out, _ = typed("show", "runs/x", "the", "HARBOUR")
    assert status == 0
    assert ids(out)[0] == "instructions-000001-2", "an image of the harbour"
    assert {"instructions-000001-0", "instructions-000001-1"} < set(ids(out)), "the old harbour"
    assert "selfinstruct show runs/x instructions-000001-2" in out
    listed = typed("show", "runs/x", "--find", "three RIVERS")[1]
    assert ids(listed) == ["instructions-000002-1"]
    assert "1 record with the words 'three RIVERS'" in listed


def test_an_id_without_its_zeros_and_one_that_does_not_exist(typed: Typed, at_run: Path) -> None:
    """The message has ids like it."""
    assert typed("show", "runs/x", "instructions-1-0")[1].startswith("instructions-000001-0")
    refused(typed("show", "runs/x", "instruction-1-9"), "near it are: instructions-000001-0, instr")
    refused(typed("show", "runs/x", "instances-99-0"), "near it are: instances-000003-0")
    refused(typed("show", "runs/x", "general_en_0222"), "general_en_022")
    refused(typed("show", "runs/x", "zyzzyva harbour"), "no record with the id or the words")


def test_by_the_check_that_rejected_them(typed: Typed, at_run: Path) -> None:
    """One check, in both spellings, or any; only so many; the message for a wrong name has all names."""
    for words in (["--rejected", "rouge_l"], ["--rejected=rouge_l"]):
        status, out, _ = typed("show", "runs/x", *words, "-n", "20")
        assert (status, ids(out)) == (0, ["instructions-000001-1"])
        assert "ROUGE-L 0.889 to instructions-000001-0, above 0.7" in out
    every = typed("show", "runs/x", "--rejected", "-n2")[1]
    assert "3 records rejected; the first 2:" in every
    assert ids(every) == ["instructions-000001-1", "instructions-000001-2"]
    wrong = typed("show", "runs/x", "--rejected", "rouge")
    refused(wrong, "did you mean 'rouge_l'?", "instructions: rouge_l 1", "instructions: banned_words 1")
    none = typed("show", "runs/x", "--rejected", "exact_duplicate")
    assert none[0] == 0 and "0 records rejected by exact_duplicate" in none[1]  # a check of the run
    found = typed("show", "runs/x", "--rejected", "--find", "HARBOUR calendar")[1]
    assert ids(found) == ["instructions-000001-2"]


def test_by_stage_and_value(typed: Typed, at_run: Path) -> None:
    """The accepted records as in the file of the stage, with the labels of later stages."""
    rows = [json.loads(line) for line in (at_run / "runs/x/instances.jsonl").open()]
    status, out, _ = typed("show", "runs/x", "--stage", "instances", "--json")
    listed = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(one["id"], one["data"]["output"]) for one in listed] == [(r["id"], r["output"]) for r in rows]
    for value in ("true", "false"):
        out = typed("show", "runs/x", "--stage=instructions", "--where", f"is_classification={value}")[1]
        wanted = {row["parent"] for row in rows if row["is_classification"] is (value == "true")}
        assert set(ids(out)) == wanted
    refused(typed("show", "runs/x", "--where", "scores=5"), "unknown field 'scores'", "is_classification")
    refused(typed("show", "runs/x", "--where", "is_classification=5"), "is never 5", "false; true")
    refused(typed("show", "runs/x", "--stage", "instance"), "did you mean 'instances'?")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--where", "score"], "write FIELD=VALUE"),
        (["--where", "score={most: 3}"], "'most' is not a condition"),
        (["--where", "score=1", "--where", "score=2"], "named twice"),
        (["--where"], "--where takes FIELD=VALUE"),
        (["--find"], "--find takes WORDS"),
        (["-n", "few", "--find", "x"], "-n takes a number"),
        (["-n", "9" * 5_000], "-n takes a number"),
        (["instances-" + "9" * 5_000], "has no record with the id"),
        (["--rejcted"], "did you mean '--rejected'?"),
    ],
)
def test_what_cannot_be_read_is_refused(typed: Typed, at_run: Path, words: list[str], says: str) -> None:
    """The message says what to write."""
    refused(typed("show", "runs/x", *words), says)


def test_what_is_not_a_run(typed: Typed, at_run: Path) -> None:
    """Nothing, a folder without a run, and one that does not exist."""
    refused(typed("show"), "show takes the folder of a run")
    refused(typed("show", "runs/z"), "does not exist")
    refused(typed("show", "runs"), "holds no run", "such as runs/x")
    refused(typed("show", "x"), "did you mean runs/x?")
    assert "--rejected [CHECK]" in typed("show", "--help")[1]


def test_the_jobs_of_a_sweep_are_listed(typed: Typed, project: Path) -> None:
    """With their figures, and how to see one; a job that has left no outcome is listed too."""
    keys = ("recipe=paper", "model=scripted", "target=2", "sweep_dir=runs/s", "export=none")
    assert typed("-m", *keys, "seed=1,2")[0] == 0
    status, out, _ = typed("show", "runs/s")
    assert status == 0
    assert "runs/s is a sweep of 2 jobs" in out
    assert re.search(r"^ *1  finished +2 .* seed=2$", out, re.MULTILINE)
    assert "selfinstruct show runs/s/0 shows one of them" in out
    assert typed("show", "runs/s/0")[0] == 0
    (project / "runs/s/2").mkdir()
    assert re.search(r"^ *2  not started", typed("show", "runs/s")[1], re.MULTILINE)


def test_nothing_in_a_record_acts_on_the_terminal(typed: Typed, at_run: Path) -> None:
    """Escapes are shown as text, in a story, in lists and in JSON, which stays JSON."""
    for words in (["instructions-000002-0"], ["--find", "apples"], [], ["instructions-000002-0", "--json"]):
        _, out, err = typed("show", "runs/x", *words)
        assert "\x1b" not in out + err
        if "--json" not in words:
            assert "\\x1b[31mred\\x1b[0m" in out
    story = json.loads(typed("show", "runs/x", "instructions-000002-0", "--json")[1])
    assert "\x1b[31mred" in story["data"]["instruction"]
    acting = "\x9b2J \u202e \u2028 \U000e0041 日本"
    from selfinstruct.show.output import json_line

    assert json.loads(json_line({"a": acting})) == {"a": acting}
    assert json_line({"a": acting}) == '{"a": "\\u009b2J \\u202e \\u2028 \\udb40\\udc41 日本"}'


def test_on_a_terminal_it_is_paged(at_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through $PAGER, with colours, but not with --no-pager, and not what fits on the screen."""
    pager = at_run / "pager"
    pager.write_text("#!/bin/sh\necho paged\nexec cat\n")
    pager.chmod(0o755)
    monkeypatch.setenv("PAGER", str(pager))
    long = ("show", "runs/x", "instructions-000002-0")
    shown = on_a_terminal(at_run, *long)
    assert shown.startswith("paged")
    assert "\x1b[1m" in shown
    assert "\x1b[31mred" not in shown
    assert "\\x1b[31mred" in shown
    assert "paged" not in on_a_terminal(at_run, *long, "--no-pager")
    assert "paged" not in on_a_terminal(at_run, "show", "runs/x", "--rejected", "rouge_l")


def test_a_reader_that_has_read_enough(at_run: Path) -> None:
    """`show RUN | head -1` ends without a word."""
    inside, outside = os.pipe()
    os.close(inside)
    arguments = ("show", "runs/x", "--find", "a", "-n", "200", "--json")
    with (at_run / "said").open("w+") as said:
        process = children.start(at_run, *arguments, streams=[outside, outside, said.fileno()])
        os.close(outside)
        assert process.wait(timeout=60) == 0
        said.seek(0)
        assert said.read() == ""
