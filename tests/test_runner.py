"""The run as a whole: order, interruption, growth, and what is in its folder at the end."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Typed, lines
from killing import start
from results import requests_of

from selfinstruct.journal.repair import looked_into

PAPER = ("recipe=paper", "model=scripted")


def data(run: Path) -> dict[str, bytes]:
    """The bytes of every data file of a run."""
    files = [*set(run.glob("*.jsonl")) - {run / "events.jsonl"}, *run.glob("dataset/*")]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def test_the_same_replies_make_the_same_bytes_at_any_concurrency(typed: Typed, project: Path) -> None:
    """One at a time or 64 at once, with replies that arrive in any order: the data files are the same."""
    for name, concurrency in (("one", 1), ("many", 64)):
        status, _, err = typed(
            *PAPER,
            "target=40",
            f"model.concurrency={concurrency}",
            "model.options.delay=0.02",
            "pipeline.instructions.window=20",
            f"run_dir={name}",
        )
        assert status == 0, err
    assert data(project / "one") == data(project / "many")
    assert len(data(project / "one")) == 10


def test_a_larger_target_goes_on_to_what_a_run_of_that_size_would_be(typed: Typed, project: Path) -> None:
    """10, then 17, then 40 gives the bytes of 40 at once, and no request is sent twice."""
    for target in (10, 17, 40):
        status, _, err = typed(*PAPER, f"target={target}", "run_dir=grown")
        assert status == 0, err
        assert len(lines(project / "grown/instructions.jsonl")) == target
    assert typed(*PAPER, "target=40", "run_dir=direct")[0] == 0
    assert data(project / "grown") == data(project / "direct")
    for name in ("grown", "direct"):
        summary = json.loads((project / name / "summary.json").read_text())
        assert summary["stages"]["instances"]["requests"] == 40


def test_a_finished_run_started_again_asks_nothing(typed: Typed, project: Path) -> None:
    """The same command again changes no byte and sends no request."""
    assert typed(*PAPER, "target=8", "run_dir=run")[0] == 0
    before, summary = data(project / "run"), (project / "run/summary.json").read_text()
    assert typed(*PAPER, "target=8", "run_dir=run")[0] == 0
    assert data(project / "run") == before
    assert (project / "run/summary.json").read_text() == summary


def test_every_candidate_has_a_fate_and_every_rejection_a_reason(typed: Typed, project: Path) -> None:
    """Accepted and rejected add up to the candidates; rejected.jsonl says what, by which check and why."""
    status, _, err = typed(*PAPER, "target=60", "run_dir=run", "filters.instructions.rouge_l.threshold=0.45")
    assert status == 4, err
    summary = json.loads((project / "run/summary.json").read_text())
    assert set(summary) == {"recipe", "finished", "state", "missed", "stages", "versions", "files"}
    rejected = lines(project / "run/rejected.jsonl")
    for name, stage in summary["stages"].items():
        assert stage["candidates"] == stage["accepted"] + sum(stage["rejected"].values())
        mine = [row for row in rejected if row["stage"] == name]
        assert len(mine) == sum(stage["rejected"].values())
    near = [row for row in rejected if row["check"] == "rouge_l"]
    assert len(near) > 10
    assert all(row["nearest"] and row["score"] > 0.45 and row["reason"] for row in near)


def test_what_is_in_the_run_folder(typed: Typed, project: Path) -> None:
    """One JSONL a stage that makes records, complete rows, the exports, the journal and Hydra's record."""
    status, out, err = typed(*PAPER, "target=6", "run_dir=run")
    assert status == 0, err
    run = project / "run"
    assert {"config.yaml", "overrides.yaml", "hydra.yaml"} == {
        path.name for path in (run / ".hydra").iterdir()
    }
    assert "target=6" in (run / ".hydra/overrides.yaml").read_text()
    instructions, instances = lines(run / "instructions.jsonl"), lines(run / "instances.jsonl")
    assert all(isinstance(row["is_classification"], bool) for row in instructions)
    assert all({"instruction", "input", "output"} <= set(row) for row in instances)
    assert {row["parent"] for row in instances} <= {row["id"] for row in instructions}
    assert {path.name for path in (run / "dataset").iterdir()} == {
        "prompt_completion.jsonl",
        "alpaca.jsonl",
        "chat.jsonl",
        "sharegpt.jsonl",
        "dataset_info.json",  # LLaMA-Factory's entry for sharegpt.jsonl, and axolotl's
        "axolotl.yaml",
        "README.md",
    }
    assert "sample 3" in out
    assert "classification" in out


def test_the_journal_holds_every_request_and_reply(typed: Typed, project: Path) -> None:
    """Each reply that was taken in stands beside its prompt, its examples and its sampling."""
    assert typed(*PAPER, "target=6", "run_dir=run")[0] == 0
    asked = requests_of(project / "run", "instructions")
    with looked_into(project / "run/run.sqlite", busy=False) as journal:
        replies = {number: journal.reply("instructions", number) for number in asked}
    assert asked
    for number, request in asked.items():
        assert request.prompt.endswith("\n9.")
        assert request.sampling["max_tokens"] == 1024
        assert len(request.examples) == 8
        reply = replies[number]
        assert reply and reply.text.strip()


def test_a_run_that_finds_nothing_new_ends_and_says_what_to_try(typed: Typed, project: Path) -> None:
    """`patience` replies without an accepted candidate end a bootstrap; the rest of the run goes on."""
    (project / "same.jsonl").write_text(
        json.dumps({"stage": "instructions", "reply": " Tell me a story about a brave little boat."})
    )
    status, _, err = typed(
        *PAPER,
        "target=6",
        "run_dir=run",
        "pipeline.instructions.patience=7",
        "model.options.replies=same.jsonl",
    )
    assert status == 4
    assert "stopped at 1 of 6" in err
    assert "pipeline.instructions.patience=14" in err
    summary = json.loads((project / "run/summary.json").read_text())
    assert summary["finished"]
    assert summary["stages"]["instructions"]["rejected"] == {"exact_duplicate": 7}


def test_a_prompt_that_was_not_scripted_fails_loudly_and_loses_nothing(typed: Typed, project: Path) -> None:
    """The run stops with the end of the prompt; with an answer added it goes on from there."""
    status, _, err = typed(*PAPER, "target=6", "run_dir=run", "~model.options.rules.input_first")
    assert status == 1
    assert "no answer to instances request" in err
    assert "Traceback" not in err
    assert len(lines(project / "run/instructions.jsonl")) == 6
    assert not json.loads((project / "run/summary.json").read_text())["finished"]
    status, _, err = typed(*PAPER, "target=6", "run_dir=run")
    assert status == 1
    assert "model.options.rules.input_first" in err, "a changed script is a changed model"


def test_an_invalid_record_is_rejected_with_path_and_reason(typed: Typed, project: Path) -> None:
    """A record that its stage's JSON Schema refuses ends under `schema`, with the path."""
    status, _, err = typed(
        *PAPER, "target=4", "run_dir=run", "+schema.instances.properties.output.maxLength=16"
    )
    assert status == 0, err
    wrong = [row for row in lines(project / "run/rejected.jsonl") if row["check"] == "schema"]
    assert wrong
    assert all(row["reason"].startswith("output: ") and row["detail"]["path"] == "$.output" for row in wrong)


def test_a_label_that_is_none_of_the_set_stops_its_record_there(typed: Typed, project: Path) -> None:
    """Without `otherwise` such an answer is undecided, and its record goes no further."""
    (project / "maybe.jsonl").write_text(
        json.dumps({"stage": "classification", "number": 2, "reply": "Maybe"})
    )
    status, _, err = typed(
        *PAPER,
        "target=4",
        "run_dir=run",
        "prompts.classification.parse.otherwise=null",
        "prompts.classification.parse.when_refused=reject",
        "model.options.replies=maybe.jsonl",
    )
    assert status == 0, err
    (row,) = [row for row in lines(project / "run/rejected.jsonl") if row["stage"] == "classification"]
    assert (row["check"], row["parent"]) == ("undecided", "instructions-000001-1")
    assert "'Maybe'" in row["reason"]
    assert len(lines(project / "run/instructions.jsonl")) == 3
    assert {row["request"] for row in lines(project / "run/instances.jsonl")} == {1, 3, 4}


def test_killed_at_any_moment_a_run_ends_in_the_same_bytes(typed: Typed, project: Path) -> None:
    """Kill -9 at random moments, then the same command: the bytes of an undisturbed run."""
    slow = ("target=30", "model.options.delay=0.15", "model.concurrency=4", "cache=off")
    assert typed(*PAPER, "target=30", "run_dir=calm")[0] == 0
    rng, killed = random.Random(1), 0
    for _ in range(4):
        process = start(project, *PAPER, *slow, "run_dir=killed")
        time.sleep(0.6 + rng.random() * 1.2)
        killed += process.poll() is None
        process.kill()
        process.communicate()
    assert killed >= 2, "the machine was too fast for this test to show anything"
    assert typed(*PAPER, "target=30", "run_dir=killed")[0] == 0
    assert data(project / "killed") == data(project / "calm")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_once_a_run_keeps_what_is_in_flight(
    typed: Typed, project: Path, number: signal.Signals
) -> None:
    """Ctrl-C, SIGTERM or a closed terminal: a message, status 130, files of what there is; it goes on."""
    process = start(project, *PAPER, "target=300", "model.options.delay=0.3", "run_dir=run")
    while not (project / "run/run.sqlite").exists():
        time.sleep(0.05)
    time.sleep(0.8)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Run the same command again to continue" in err
    assert "Traceback" not in out + err
    assert not json.loads((project / "run/summary.json").read_text())["finished"]
    journal = sqlite3.connect(project / "run/run.sqlite")
    sent, arrived = (
        journal.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in ("request", "reply")
    )
    assert sent == arrived > 0


def test_interrupted_twice_a_run_stops_at_once(project: Path) -> None:
    """A second Ctrl-C does not wait for what is in flight."""
    process = start(project, *PAPER, "target=9", "model.options.delay=60", "run_dir=run", fresh=True)
    events = project / "run/events.jsonl"
    while not (events.exists() and '"stage"' in events.read_text()):  # signals are handled from then on
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "stopped at once" in err
    assert "Traceback" not in err


def test_ctrl_c_ends_a_sweep(project: Path) -> None:
    """Not just the job that it hits: the next one does not begin."""
    process = start(project, "-m", *PAPER, "target=200,201", "model.options.delay=2", "model.concurrency=1")
    while not list(project.glob("sweeps/*/0/run.sqlite")):
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not list(project.glob("sweeps/*/1/run.sqlite"))


def test_half_a_character_in_a_reply_is_stored_as_a_mark(typed: Typed, project: Path) -> None:
    """An unpaired surrogate, which a broken reply may hold, becomes U+FFFD, the same now and on a resume."""
    rows = [
        {"stage": "instructions", "number": 1, "reply": " Name a fine \ud83d thing in the old garden."},
    ]
    (project / "half.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, _, err = typed(*PAPER, "target=9", "run_dir=run", "model.options.replies=half.jsonl")
    assert status == 0, err
    assert "fine \ufffd thing" in lines(project / "run/instructions.jsonl")[0]["instruction"]


def test_a_run_that_received_nothing_may_be_changed(typed: Typed, project: Path) -> None:
    """Before the first reply there is nothing to protect: other settings are no reason to refuse."""
    assert typed(*PAPER, "target=3", "run_dir=run", "~model.options.rules.instructions")[0] == 1
    status, _, err = typed(*PAPER, "target=3", "run_dir=run")
    assert status == 0, err


def test_a_full_disk_is_told_and_loses_nothing(project: Path) -> None:
    """On a disk that fills up the run ends with a message; with room made it goes on to the same bytes."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000));"
    code = (
        f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {limit} import selfinstruct.__main__"
    )
    command = [sys.executable, "-c", code, *PAPER, "target=40", "run_dir=full"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Everything stored so far is kept" in done.stderr
    assert "Traceback" not in done.stderr
    for name in ("full", "calm"):
        again = start(project, *PAPER, "target=40", f"run_dir={name}")
        _, err = again.communicate(timeout=60)
        assert again.returncode == 0, err
    assert data(project / "full") == data(project / "calm")


def test_a_second_process_is_refused_while_the_first_lives(typed: Typed, project: Path) -> None:
    """Two processes never write one run; once the first is gone its run is free again."""
    process = start(project, *PAPER, "target=300", "model.options.delay=0.3", "run_dir=run", fresh=True)
    while not (project / "run/run.sqlite").exists():
        time.sleep(0.05)
    time.sleep(0.3)
    status, _, err = typed(*PAPER, "target=300", "run_dir=run")
    process.kill()
    process.communicate()
    assert status == 1
    assert "another process uses this run" in err
    assert typed(*PAPER, "target=300", "run_dir=run", "model.concurrency=64")[0] == 0


def test_other_settings_are_refused_and_fresh_sets_the_old_run_aside(typed: Typed, project: Path) -> None:
    """What shapes the data may not change; what belongs to the machine may; nothing is deleted."""
    assert typed(*PAPER, "target=5", "run_dir=run")[0] == 0
    before = data(project / "run")
    status, _, err = typed(*PAPER, "target=5", "run_dir=run", "filters.instructions.rouge_l.threshold=0.6")
    assert status == 1
    assert "filters.instructions.rouge_l.threshold: 0.7 → 0.6" in err
    assert "fresh=true" in err
    assert "run_dir" in err
    assert data(project / "run") == before
    assert typed(*PAPER, "target=5", "run_dir=run", "model.concurrency=2", "model.timeout=5")[0] == 0
    assert typed(*PAPER, "target=4", "run_dir=run", "fresh=true")[0] == 0
    assert data(project / "run.before-1") == before
    assert len(lines(project / "run/instructions.jsonl")) == 4


def test_the_run_of_another_recipe_and_a_folder_of_other_things_are_refused(
    typed: Typed, project: Path
) -> None:
    """A run folder belongs to one recipe, and a folder with other things in it to its user."""
    assert typed(*PAPER, "target=5", "run_dir=run")[0] == 0
    status, _, err = typed("recipe=alpaca", "model=scripted", "run_dir=run")
    assert status == 1
    assert "a run of recipe paper, not alpaca" in err
    (project / "mine").mkdir()
    (project / "mine/instances.jsonl").write_text("my own")
    status, _, err = typed(*PAPER, "run_dir=mine")
    assert status == 1
    assert "has other files in it" in err
    assert [path.name for path in (project / "mine").iterdir()] == ["instances.jsonl"]


def test_the_papers_own_seed_file_runs_as_it_is(typed: Typed, project: Path, shared: Path) -> None:
    """recipe=paper on the 175 seed tasks that the paper's authors published."""
    status, _, err = typed(*PAPER, f"seeds.path={shared}/seed_tasks.jsonl", "target=20", "run_dir=run")
    assert status == 0, err
    rows = lines(project / "run/dataset/prompt_completion.jsonl")
    summary = json.loads((project / "run/summary.json").read_text())
    assert len(rows) == 175 + summary["stages"]["instances"]["accepted"]
