"""Replay: a run's replies read again under other settings; no model is asked, what it cannot know is said."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import Typed, lines
from killing import data, start, stored
from server import Answer, Asked, ModelServer, by_prompt

from selfinstruct import run
from selfinstruct.journal.checksums import count

PAPER = ("model=scripted", "cache=off")
CHAT = (f"model.options.replies={Path(__file__).parent / 'replies/en.jsonl'}", "model.mode=chat", *PAPER)
SLOWLY = ("model.options.delay=0.5", "model.concurrency=2")  # a kill comes in time on a busy machine
THRESHOLD = "filters.instructions.rouge_l.threshold"


def summary(folder: Path) -> dict[str, Any]:
    """What `summary.json` holds."""
    return dict(json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def fates(folder: Path) -> dict[str, tuple[Any, ...]]:
    """By stage: candidates, accepted, and rejected by check."""
    stages = summary(folder)["stages"]
    return {name: (one["candidates"], one["accepted"], one["rejected"]) for name, one in stages.items()}


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Each file of a folder with its bytes and when it was written, but for locks and the journal."""
    paths = [path for path in folder.rglob("*") if path.is_file() and ".lock" not in path.name]
    paths = [path for path in paths if "sqlite" not in path.name]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def journal(folder: Path, query: str) -> list[Any]:
    """Ask the journal of a run at rest, or delete something of it."""
    with closing(sqlite3.connect(folder / "run.sqlite", isolation_level=None)) as db:
        found = db.execute(query).fetchall()
        if query.startswith("DELETE"):  # as if it had never been written
            table = query.split()[2]
            db.execute("DELETE FROM tally WHERE name = ?", (table,))
            for stage, sum_ in db.execute(f"SELECT stage, sum FROM {table}").fetchall():
                count(db, table, stage, 1, sum_)
        return found


def several(asked: Asked) -> Answer:
    """As `by_prompt`, for a request of several prompts and choices; some are cut, empty or filtered."""
    prompts = asked.body["prompt"]
    choices: list[dict[str, Any]] = []
    for prompt in prompts if isinstance(prompts, list) else [prompts]:
        for nth in range(asked.body.get("n") or 1):
            own = prompt if prompt.startswith("Name a class label") else f"{'again ' * nth}{prompt}"
            said = by_prompt(replace(asked, body={**asked.body, "prompt": own})).body
            why = Random(f"{own} why").choice(["stop", "stop", "stop", "length", "content_filter"])
            text = "" if Random(f"{own} empty").random() < 0.1 else said
            choices.append({"index": len(choices), "finish_reason": why, "text": text})
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    whole = {"id": "r", "object": "text_completion", "created": 0, "model": "m", "usage": usage}
    return Answer({**whole, "choices": choices})


WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet"]


def by_number(path: Path) -> str:
    """A script whose instructions depend on a request's number alone, so that one replay has one oracle."""
    rng, rows = Random(7), []
    for number in range(1, 80):
        words = [[rng.choice(WORDS) for _ in range(5)] for _ in "1234"]
        tasks = [f" Describe how {' '.join(four)} grow" for four in words]
        reply = "\n".join(f"{n}.{task}" if n > 9 else task for n, task in enumerate(tasks, 9))
        rows.append({"stage": "instructions", "number": number, "reply": reply})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"model.options.replies={path}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Finished runs by name, and the server that one of them asked; the tests only read them."""
    here = tmp_path_factory.mktemp("runs")
    made = {
        "paper": ("paper", [*PAPER, "target=40", f"{THRESHOLD}=0.5", "seed=3"]),
        "alpaca": ("alpaca", [*PAPER, "target=30", "filters.tasks.rouge_l.threshold=0.5"]),
        "chat": ("chat", [*CHAT, "target=14"]),
        "patient": ("paper", [*PAPER, "target=200", f"{THRESHOLD}=0.35", "pipeline.instructions.patience=4"]),
        "numbered": ("paper", [*PAPER, by_number(here / "replies.jsonl"), "target=25", f"{THRESHOLD}=0.7"]),
    }
    found = {}
    for name, (recipe, overrides) in made.items():
        found[name] = run(recipe, [*overrides, f"run_dir={name}"], project=here, quiet=True).folder
    yield found


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ModelServer]]:
    """A run that asked a server: four prompts as one request, two choices of each, some of them faulty."""
    here = tmp_path_factory.mktemp("asked")
    with pytest.MonkeyPatch.context() as patch, ModelServer(several) as server:
        patch.setenv("TINY_KEY", "sk-test")
        patch.setenv("NO_PROXY", "127.0.0.1")
        keys = [
            "model=vllm",
            "model.name=hosted_vllm/tiny",
            f"model.api_base={server.base}",
            "model.api_key_env=TINY_KEY",
            "model.prompts_per_request=4",
            "pipeline.instructions.window=8",
            "prompts.instructions.sampling.n=2",
            "cache=off",
            "target=24",
            "run_dir=run",
        ]
        folder = run("paper", keys, project=here, quiet=True).folder
        patch.delenv("TINY_KEY")
        yield folder, server


# Nothing changed


@pytest.mark.parametrize("name", ["paper", "alpaca", "chat", "patient"])
def test_with_nothing_changed_it_makes_the_same_bytes(
    typed: Typed, project: Path, runs: dict[str, Path], name: str
) -> None:
    """Of every data file, with faulty replies and an end by patience too; the source is as it was."""
    source = runs[name]
    before = everything(source)
    status, out, err = typed("replay", str(source), "run_dir=again")
    assert status == 0, out + err
    assert data(project / "again") == data(source)
    assert len(data(source)) >= 6
    assert fates(project / "again") == fates(source)
    assert any(one[2] for one in fates(source).values()), "nothing was rejected"
    told = summary(project / "again")["replay"]
    assert told["source_finished"] is True
    assert told["changed"] == {}
    assert all(one["unanswered"] == one["prompts_differ"] == 0 for one in told["stages"].values())
    assert told["note"] in " ".join(out.split("replay: ")[1].split("\n"))
    assert everything(source) == before


def test_without_a_folder_it_goes_beside_its_source(
    typed: Typed, project: Path, runs: dict[str, Path]
) -> None:
    """The first free name; and replays of a replay make the same bytes too."""
    shutil.copytree(runs["paper"], project / "run")
    for words in (["run"], ["run"], ["run.replay-1"]):
        assert typed("replay", *words)[0] == 0
    names = sorted(path.name for path in project.glob("run*"))
    assert names == ["run", "run.replay-1", "run.replay-1.replay-1", "run.replay-2"]
    assert all(data(project / name) == data(runs["paper"]) for name in names)


def test_no_request_reaches_a_server_and_no_key_is_needed(
    typed: Typed, project: Path, asked: tuple[Path, ModelServer]
) -> None:
    """Choices and prompts that went as one are read again, faulty ones too, with nobody asked."""
    source, server = asked
    count = len(server.asked)
    assert summary(source)["stages"]["instructions"]["candidates"] > 24
    status, out, err = typed("replay", str(source), "run_dir=again")
    assert status == 0, out + err
    assert data(project / "again") == data(source)
    rejected = {row["check"] for row in lines(source / "rejected.jsonl")}
    assert rejected >= {"content_filter", "empty_reply", "cut"}
    assert len(server.asked) == count
    status, _, err = typed("replay", str(source), "run_dir=down", "model.api_base=http://127.0.0.1:9/v1")
    assert (status, data(project / "down")) == (0, data(source)), err


# Other settings


def test_a_stricter_threshold_gives_what_a_run_would_whose_model_says_the_same(
    typed: Typed, project: Path, runs: dict[str, Path]
) -> None:
    """The oracle is a run under the new setting, of a model whose instructions depend on the number alone."""
    source = runs["numbered"]
    assert typed("replay", str(source), f"{THRESHOLD}=0.55", "run_dir=again")[0] == 0
    mine = lines(project / "again/instructions.jsonl")
    assert 3 < len(mine) < 25
    replies = f"model.options.replies={source.parent / 'replies.jsonl'}"
    keys = (*PAPER, replies, f"{THRESHOLD}=0.55", f"target={len(mine)}", "run_dir=oracle")
    assert typed("recipe=paper", *keys)[0] == 0
    oracle = lines(project / "oracle/instructions.jsonl")
    assert [row["instruction"] for row in mine] == [row["instruction"] for row in oracle]
    near = [row for row in lines(project / "again/rejected.jsonl") if row["check"] == "rouge_l"]
    assert near
    assert all(row["score"] > 0.55 for row in near)


def test_a_looser_threshold_says_what_it_cannot_know(
    typed: Typed, project: Path, runs: dict[str, Path]
) -> None:
    """Records nobody asked about have no label and are not in later stages; prompts would have differed."""
    source = runs["numbered"]
    status, out, err = typed("replay", str(source), f"{THRESHOLD}=0.8", "run_dir=again")
    assert status == 0, err
    told = summary(project / "again")["replay"]
    assert told["of"] == str(source)
    assert told["changed"] == {THRESHOLD: [0.7, 0.8]}
    instructions, labels = told["stages"]["instructions"], told["stages"]["classification"]
    assert instructions["recorded"] > instructions["used"] > 0
    assert instructions["prompts_differ"] > 0
    assert 1 < instructions["first_differing"] <= instructions["used"]
    assert labels["unanswered"] > 0
    mine = lines(project / "again/instructions.jsonl")
    assert len(mine) == 25
    unlabelled = {row["id"] for row in mine if "is_classification" not in row}
    assert len(unlabelled) == labels["unanswered"]
    children = lines(project / "again/instances.jsonl")
    assert {row["parent"] for row in children} == {row["id"] for row in mine} - unlabelled
    assert all("is_classification" in row for row in children)
    assert told["note"] in out
    for words in (
        f"instructions: from request {instructions['first_differing']} on the pool is not the same",
        f"classification: {labels['unanswered']} requests have no reply",
        "no model was asked",
    ):
        assert words in told["note"]
    where = {row["id"]: row for row in lines(source / "instances.jsonl")}
    assert {row["output"] for row in children} <= {row["output"] for row in where.values()}


def test_a_sweep_of_replays_counts_as_single_ones_do(
    typed: Typed, project: Path, runs: dict[str, Path]
) -> None:
    """`replay -m` has a row for each value, with the counts of the replay of that value alone."""
    source = runs["paper"]
    status, out, err = typed("replay", "-m", str(source), f"{THRESHOLD}=0.3,0.4,0.5", "sweep_dir=s")
    assert status == 0, err
    assert "replays without a model" in out
    jobs = {job["job"]: job for job in json.loads((project / "s/sweep.json").read_text())["jobs"]}
    for number, threshold in enumerate(("0.3", "0.4", "0.5")):
        assert typed("replay", str(source), f"{THRESHOLD}={threshold}", f"run_dir=at{threshold}")[0] == 0
        candidates, accepted, rejected = fates(project / f"at{threshold}")["instructions"]
        figures = jobs[number]["figures"]
        assert (figures["candidates"], figures["accepted"]) == (candidates, accepted)
        assert figures["rejected"].get("instructions.rouge_l", 0) == rejected.get("rouge_l", 0)
        assert data(project / f"s/{number}") == data(project / f"at{threshold}")
    accepted_ = [jobs[number]["figures"]["accepted"] for number in range(3)]
    assert accepted_ == sorted(accepted_)
    assert len(set(accepted_)) == 3


def test_parse_schema_and_export_may_change(typed: Typed, project: Path, runs: dict[str, Path]) -> None:
    """Replies are read by another parser, checked by another schema, written in other formats."""
    keys = ("prompts.instructions.parse.capitals=keep", "+schema.instances.properties.output.maxLength=12")
    status, _, err = typed("replay", str(runs["paper"]), *keys, "export=alpaca", "run_dir=again")
    assert status == 0, err
    before, now = (lines(at / "instructions.jsonl") for at in (runs["paper"], project / "again"))
    assert any(row["instruction"] != row["instruction"].capitalize() for row in now)
    assert all(row["instruction"] == row["instruction"].capitalize() for row in before)
    # The export has no row, so no file: nobody knows the labels of these instructions, so none was expanded.
    assert {path.name for path in (project / "again/dataset").iterdir()} == {"README.md"}
    assert "| `alpaca` |  | none: no row | 0 |" in (project / "again/dataset/README.md").read_text(
        encoding="utf-8"
    )
    # A label was asked about each instruction as it was read then, so now it is another question.
    told = summary(project / "again")["replay"]["stages"]
    assert told["classification"]["unanswered"] == len(now)
    assert not lines(project / "again/instances.jsonl")
    assert typed("replay", str(runs["paper"]), keys[1], "run_dir=short")[0] == 0
    rows = lines(project / "short/instances.jsonl")
    assert rows
    assert all(len(row["output"]) <= 12 for row in rows)
    assert fates(project / "short")["instances"][2]["schema"] > 0


def test_a_schema_that_a_chat_model_was_told_of_may_change(
    typed: Typed, project: Path, runs: dict[str, Path]
) -> None:
    """What the request said of the schema is no other question: all replies are used."""
    key = "schema.instructions.properties.instruction.maxLength=75"
    status, _, err = typed("replay", str(runs["chat"]), key, "run_dir=again")
    assert status == 0, err
    rows = lines(project / "again/instructions.jsonl")
    assert rows
    assert all(len(row["instruction"]) <= 75 for row in rows)
    told = summary(project / "again")["replay"]["stages"]
    assert told["instructions"]["used"] == told["instructions"]["recorded"]
    assert told["classification"]["used"] > 0


def test_a_larger_target_reads_all_that_there_is(typed: Typed, project: Path, runs: dict[str, Path]) -> None:
    """And ends where there is no more; candidates that the smaller target had left waiting are judged."""
    status, _, err = typed("replay", str(runs["paper"]), "target=4000", "run_dir=again")
    assert status == 0, err
    told = summary(project / "again")["replay"]["stages"]["instructions"]
    assert told["used"] == told["recorded"]
    before, now = (lines(at / "instructions.jsonl") for at in (runs["paper"], project / "again"))
    assert len(now) > len(before) == 40
    assert [row["id"] for row in now][:40] == [row["id"] for row in before]
    assert all(one["fate"] != "waiting" for one in _records(project / "again"))


def _records(folder: Path) -> list[dict[str, Any]]:
    return [{"id": id, "fate": fate} for id, fate in journal(folder, "SELECT id, fate FROM record")]


# Sources that did not come to their end


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run killed in its second stage."""
    here = tmp_path_factory.mktemp("killed")
    process = start(here, "recipe=paper", *PAPER, "target=30", *SLOWLY, "run_dir=run")
    while sum(stage == "classification" for stage, _ in stored(here / "run")) < 5:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    return here / "run"


@pytest.mark.slow
def test_of_a_killed_run_it_replays_what_there_is(typed: Typed, project: Path, killed: Path) -> None:
    """It says that the source was not finished; what it makes is the beginning of what will be."""
    shutil.copytree(killed, project / "run")
    status, out, err = typed("replay", "run", "run_dir=again")
    assert status == 0, err
    told = summary(project / "again")["replay"]
    assert told["source_finished"] is False
    assert "The source run was not finished" in out
    labels = told["stages"]["classification"]
    assert 5 <= labels["used"] < 30
    assert labels["unanswered"] == 30 - labels["used"]
    assert typed("recipe=paper", *PAPER, "target=30", "run_dir=run")[0] == 0, "the source can still go on"
    first, whole = (lines(project / name / "instructions.jsonl") for name in ("again", "run"))
    labelled = [row for row in first if "is_classification" in row]
    assert len(labelled) == labels["used"]
    assert all(row in whole for row in labelled)
    assert typed("replay", "run", "run_dir=later")[0] == 0
    assert data(project / "later") == data(project / "run")


def test_a_reply_that_had_not_come_is_left_out(typed: Typed, project: Path, runs: dict[str, Path]) -> None:
    """As a kill may leave it: later ones are stored, this one is not. It is said, and the rest is read."""
    shutil.copytree(runs["paper"], project / "run")
    last = journal(project / "run", "SELECT MAX(number) FROM reply WHERE stage = 'instructions'")[0][0]
    assert last > 3
    journal(project / "run", "DELETE FROM reply WHERE stage = 'instructions' AND number = 2")
    status, out, err = typed("replay", "run", "target=4000", "run_dir=again")
    assert status == 0, err
    told = summary(project / "again")["replay"]["stages"]["instructions"]
    assert (told["unanswered"], told["used"]) == (1, last - 1)
    assert "instructions: 1 requests have no reply" in out
    numbers = {row["request"] for row in lines(project / "again/instructions.jsonl")}
    assert 2 not in numbers
    assert max(numbers) > 2
    assert typed("replay", "again", "run_dir=twice")[0] == 0
    assert data(project / "twice") == data(project / "again")


@pytest.mark.slow
def test_a_source_that_is_still_running(typed: Typed, project: Path) -> None:
    """It is replayed as far as it is, and is not disturbed."""
    keys = ("recipe=paper", *PAPER, "target=30")
    process = start(project, *keys, "model.options.delay=2", "run_dir=run")
    while sum(stage == "classification" for stage, _ in stored(project / "run")) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    status, out, err = typed("replay", "run", "run_dir=again")
    assert process.poll() is None, "too late to tell"
    assert status == 0, err
    assert summary(project / "again")["replay"]["source_finished"] is False
    assert "was not finished" in out
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert typed(*keys, "run_dir=calm")[0] == 0
    assert data(project / "run") == data(project / "calm")


# Going on


STRUCK = """\
import os, sys
from selfinstruct import replay
from selfinstruct.stages import tape
from selfinstruct.cli.main import main
at, how = int(sys.argv.pop()), int(sys.argv.pop())
replay.COMMIT_EVERY, found = 2, []
def striking(find):
    def strike(self, request):
        found.append(request)
        if len(found) == at:
            os.kill(os.getpid(), how)
        return find(self, request)
    return strike
for one in (tape.ByNumber, tape.ByContent):
    one.find = striking(one.find)
main()
"""


def struck(project: Path, words: Sequence[str], how: int, at: int) -> None:
    """A command that a signal ends when it looks for its reply number `at`."""
    done = subprocess.run(
        [sys.executable, "-c", STRUCK, *words, str(how), str(at)],
        cwd=project,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (130 if how == signal.SIGINT else -how), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_replay_goes_on(project: Path, typed: Typed, runs: dict[str, Path], how: int) -> None:
    """With its run_dir, in the midst of any stage: the same bytes, and the same is told of the whole."""
    keys = ("replay", str(runs["numbered"]), f"{THRESHOLD}=0.8")
    assert typed(*keys, "run_dir=calm")[0] == 0
    total = sum(one["used"] for one in summary(project / "calm")["replay"]["stages"].values())
    for at in (3, 9, 15):
        struck(project, (*keys, "run_dir=again"), how, at)
    assert 0 < len(stored(project / "again")) < total
    status, _, err = typed(*keys, "run_dir=again")
    assert status == 0, err
    assert data(project / "again") == data(project / "calm")
    assert summary(project / "again")["replay"] == summary(project / "calm")["replay"]
    for _ in range(2):  # once more with nothing left to do
        assert typed(*keys, "run_dir=again")[0] == 0
    assert summary(project / "again")["replay"] == summary(project / "calm")["replay"]


@pytest.mark.slow
def test_equal_prompts_keep_their_own_replies_when_a_replay_goes_on(project: Path, typed: Typed) -> None:
    """The prompt asks the same of every record, and the model says another thing each time."""
    numbers = [
        *(
            {"stage": "instructions", "number": n, "reply": f" List the w{n}a w{n}b w{n}c"}
            for n in range(1, 20)
        ),
        *(
            {"stage": "classification", "number": n, "reply": (" Yes", " No", " No")[n % 3]}
            for n in range(1, 20)
        ),
    ]
    (project / "replies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in numbers))
    keys = (*PAPER, "model.options.replies=replies.jsonl", "target=8", "run_dir=run")
    template = "prompts.classification.template='Is it so?  labels?'"
    assert typed("recipe=paper", *keys, template)[0] == 0
    struck(project, ("replay", "run", "run_dir=again"), signal.SIGKILL, at=13)
    assert typed("replay", "run", "run_dir=again")[0] == 0
    assert data(project / "again") == data(project / "run")


def test_a_normal_run_takes_a_replays_folder_up(typed: Typed, project: Path) -> None:
    """It asks only what is not known."""
    with ModelServer(by_prompt) as server:
        keys = ["recipe=paper", "model=vllm", "model.name=hosted_vllm/tiny", f"model.api_base={server.base}"]
        keys += ["cache=off", "target=16"]
        assert typed(*keys, "run_dir=run", f"{THRESHOLD}=0.2")[0] == 0
        known = set(server.prompts)
        assert typed("replay", "run", f"{THRESHOLD}=0.9", "run_dir=again", "target=20")[0] == 0
        told = summary(project / "again")["replay"]["stages"]
        assert told["classification"]["unanswered"] > 0
        before = len(server.asked)
        assert before == len(known)
        status, _, err = typed(*keys[:-1], "target=20", f"{THRESHOLD}=0.9", "run_dir=again")
        assert status == 0, err
        new = server.prompts[before:]
        labels = [prompt for prompt in new if prompt.endswith("labels?")]
        assert len(labels) >= told["classification"]["unanswered"]
        assert not known & set(new)
        assert len(lines(project / "again/instructions.jsonl")) == 20
        assert all("is_classification" in row for row in lines(project / "again/instructions.jsonl"))


# Refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "run_dir=run"], ["run cannot be replayed into itself", "choose another run_dir"]),
        (["run", "run_dir=twin", "target=60"], ["twin already holds a run", "choose another run_dir"]),
        (["run", "run_dir=other"], ["the run folder holds a run with other settings", "another run_dir"]),
        (["run", "run_dir=stuff"], ["stuff has other files in it", "choose another run_dir"]),
        (["stuff"], ["stuff holds no run", "give the folder of a run"]),
        (["nowhere"], ["nowhere holds no run", "give the folder of a run"]),
        (["run.sqlite"], ["run.sqlite holds no run"]),
        ([], ["replay takes the folder of a run: selfinstruct replay runs/NAME"]),
        (["run", "mix.generated=5"], ["mix.generated: 2 → 5", "start a run"]),
        (["run", "seed=4"], ["seed: 3 → 4", "start a run"]),
        (["run", "model.sampling.temperature=1"], ["model.sampling.temperature: not set → 1", "start a run"]),
        (["run", "model.name=other"], ['model.name: "scripted" → "other"', "start a run"]),
        (["run", "prompts.instructions.template=x"], ["prompts.instructions.template:", "start a run"]),
        (["run", "seeds=starter_en"], ["seeds (contents)", "start a run"]),
        (["run", "recipe=chat"], ["a replay keeps the recipe of its run", "change single keys"]),
        (["run", "replay=other"], ["name the run to replay only once"]),
        (["run", f"{THRESHOLD}=7"], [f"{THRESHOLD}"]),
        (["run", "filters.instructions.rouge_m.threshold=0.5"], ["rouge_m", "rouge_l"]),
        (["empty"], ["has received no reply yet", "nothing to replay"]),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_what_is_refused(
    typed: Typed, project: Path, runs: dict[str, Path], words: list[str], said: list[str]
) -> None:
    """With the place and the remedy, exit status 1, and nothing written."""
    for name, source in (("run", "paper"), ("twin", "paper"), ("other", "patient"), ("empty", "paper")):
        shutil.copytree(runs[source], project / name)
    for table in ("reply", "record", "request"):
        journal(project / "empty", f"DELETE FROM {table}")
    (project / "stuff").mkdir()
    (project / "stuff/notes.txt").write_text("mine")
    before = everything(project)
    status, out, err = typed("replay", *words)
    assert (status, out) == (1, "")
    for words_ in said:
        assert words_ in err
    assert "Traceback" not in err
    assert everything(project) == before
    for name in ("run", "twin", "other"):
        for table in ("meta", "reply", "record"):
            query = f"SELECT * FROM {table} ORDER BY 1, 2"
            untouched = runs["patient" if name == "other" else "paper"]
            assert journal(project / name, query) == journal(untouched, query)
