"""`train=hosted`: upload, start and follow, at a server of our own that tunes as OpenAI does."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import children
import pytest
import yaml
from conftest import Typed
from ordered import examples_of, prepared_for
from results import refused
from server import Answer, failure, no_json, no_money, slower, status
from tuning_server import KEY, MODEL, Fault, Lost, TuningServer
from users import user_with_a_run

from selfinstruct.errors import RecipeError, UserError
from selfinstruct.train.kinds import Trained, training


@pytest.fixture(autouse=True)
def quick(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment, and short waits."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_ORGANIZATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("selfinstruct.train.hosted_steps.FIRST_LOOK", 0.01)
    monkeypatch.setattr("selfinstruct.llm.waiting.FIRST_WAIT", 0.02)


def tune(project: Path, server: TuningServer, **changes: Any) -> Trained:
    """Tune as `finetune` does; the user has agreed to the costs."""
    given = {"train__base": f"openai/{MODEL}", "train__api_base": server.base, "yes": True, **changes}
    return training("hosted")(prepared_for(project, "hosted", **given))


def stored(project: Path, run: str = "runs/tiny") -> dict[str, Any]:
    """What `hosted.json` says."""
    found: dict[str, Any] = json.loads((project / run / "model/hosted.json").read_text(encoding="utf-8"))
    return found


def test_a_provider_tunes_its_model_and_the_model_is_named(project: Path, capsys: Any) -> None:
    """The examples arrive whole, the hyperparameters are those of train, each change of status is shown."""
    with TuningServer() as server:
        done = tune(project, server, train__epochs=3.0, train__options={"batch_size": 4})
        (file,), (job,) = server.files, server.jobs
        rows = [json.loads(line) for line in file.content.decode().split("\n") if line]
        assert rows == examples_of().rows  # and no ids, which OpenAI refuses
        assert job.asked["hyperparameters"] == {"n_epochs": 3, "batch_size": 4}
        assert (job.asked["training_file"], job.asked["suffix"], job.asked["seed"]) == (file.id, "tiny", 7)
        assert {headers["authorization"] for _, _, headers in server.asked} == {f"Bearer {KEY}"}
    shown = capsys.readouterr().err
    positions = [shown.index(word) for word in ("uploading 20 examples", "queued", "running", "succeeded")]
    assert positions == sorted(positions)
    assert done.models == ("tiny-base", "tiny-tuned")
    assert "model=openai model.name=openai/ft:gpt-tiny:org:tiny:1" in done.note
    assert KEY not in shown + done.note + (project / "runs/tiny/model/hosted.json").read_text()

    tuned = yaml.safe_load((project / "conf/model/tiny-tuned.yaml").read_text())
    assert tuned["name"] == "openai/ft:gpt-tiny:org:tiny:1"
    assert (tuned["api_base"], tuned["api_key_env"]) == (server.base, "OPENAI_API_KEY")
    training_json = json.loads((project / "runs/tiny/model/training.json").read_text())
    assert (training_json["state"], training_json["tokens"], training_json["examples"]) == (
        "finished",
        1234,
        20,
    )


def test_examples_of_others_are_not_replaced(project: Path) -> None:
    """A file train.jsonl that this training did not write stays, and nothing is sent."""
    mine = project / "runs/tiny/model/train.jsonl"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with TuningServer() as server:
        with pytest.raises(UserError, match=r"files of another training: train\.jsonl\n.*to=DIR"):
            tune(project, server)
        assert not server.asked and mine.read_text() == "mine"


def test_the_same_command_again_asks_nothing_of_the_provider(project: Path) -> None:
    """A finished job is not started again; the folder says what came of it."""
    with TuningServer() as server:
        first = tune(project, server)
        asked = len(server.asked)
        assert tune(project, server, yes=False).note == first.note
        assert len(server.asked) == asked


@pytest.mark.parametrize("price", [None, 25.0])
def test_nothing_is_sent_before_the_user_agrees_to_the_cost(
    project: Path, price: float | None, capsys: Any
) -> None:
    """Without a terminal it takes yes=true; the cost is said first, or that it is not known."""
    with TuningServer() as server:
        with pytest.raises(UserError, match=r"nothing was sent\n.*yes=true"):
            tune(project, server, yes=False, train__price=price)
        assert server.asked == []
        shown = capsys.readouterr().err
        note = tune(project, server, plan_only=True, train__price=price).note
        assert server.asked == [] and note in shown
    tokens = int(shown.split(" tokens, 2 times: ")[1].split(" ")[0].replace(",", ""))
    assert 600 < tokens < 1_200
    if price is None:
        assert "cost: not known" in shown and "train.price" in shown
    else:
        assert f"cost: about ${tokens * price / 1e6:.2f}, at $25.00 for a million tokens" in shown


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the run x in it."""
    user = tmp_path_factory.mktemp("user")
    user_with_a_run(user)
    return user


@pytest.fixture
def user(a_run: Path, project: Path) -> Path:
    """A copy of it, in which commands are typed."""
    shutil.copytree(a_run / "x", project / "x")
    return project


def words(server: TuningServer, *more: str) -> list[str]:
    """The command that tunes on the run x at this server."""
    keys = [f"train.base=openai/{MODEL}", f"train.api_base={server.base}", "finetune.seed_tasks=true"]
    return ["finetune", "x", "train=hosted", *keys, "finetune.evaluate=false", *more]


def until(done: Callable[[], Any], process: children.Process, longest: float = 240.0) -> None:
    """Wait for something; fail if the process ends first."""
    end = time.monotonic() + longest
    while not done():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def test_the_command_tunes_and_evaluates_base_and_tuned_model(typed: Typed, user: Path) -> None:
    """`finetune RUN train=hosted yes=true` ends with how much better the tuned model is at that server."""
    tasks = ["Name a bird that sings.", "Say good morning to me."]
    rows = [json.dumps({"instruction": task, "input": "", "references": [task]}) for task in tasks]
    (user / "tasks.jsonl").write_text("\n".join(rows) + "\n")
    evaluated = ("finetune.evaluate=true", "eval.path=tasks.jsonl")
    with TuningServer() as server:
        refused(typed(*words(server, *evaluated)), "nobody can answer here", "yes=true")
        assert server.asked == []
        status, out, err = typed(*words(server, *evaluated, "yes=true"))
        assert (status, len(server.jobs)) == (0, 1), err
    assert "to use it: model=x-tuned" in out
    made = json.loads((user / "x/model/evaluation/evaluation.json").read_text())
    scores = {name: model["scores"]["rouge_l"]["mean"] for name, model in made["models"].items()}
    assert scores == {"x-base": 0.0, "x-tuned": 100.0}


@pytest.mark.parametrize(("answer", "jobs"), [("y\n", 1), ("\n", 0)])
def test_on_a_terminal_it_asks(
    typed: Typed, user: Path, monkeypatch: pytest.MonkeyPatch, answer: str, jobs: int
) -> None:
    """Only a y starts the job."""
    ours, theirs = pty.openpty()
    with TuningServer() as server, os.fdopen(theirs, encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        os.write(ours, answer.encode())
        status, out, err = typed(*words(server))
        assert (status, len(server.files), len(server.jobs)) == (1 - jobs, jobs, jobs)
    os.close(ours)
    assert "cost: not known" in err and "start? [y/N]" in err
    assert ("to use it: model=x-tuned" if jobs else "not started; nothing was sent") in out + err


def test_ctrl_c_says_how_to_go_on_and_the_same_command_follows_the_same_job(typed: Typed, user: Path) -> None:
    """The exit status is 130; following costs nothing, so the user is not asked again."""
    with TuningServer(statuses=["running"]) as server:
        process = children.start(user, *words(server, "yes=true"))
        until(lambda: server.jobs and server.jobs[0].looks > 1, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130, err
        assert "The job ftjob-1 goes on at the provider. Run the same command again" in err
        assert stored(user, "x")["state"] == "started"
        server.jobs[0].statuses = ["running", "succeeded"]
        status, out, _ = typed(*words(server))
        assert status == 0 and "ft:gpt-tiny" in out
        assert (len(server.files), len(server.jobs)) == (1, 1)


@pytest.mark.parametrize("step", [("POST", "files"), ("POST", "jobs")])
def test_a_kill_before_the_answer_arrives_uploads_and_pays_only_once(
    typed: Typed, user: Path, step: tuple[str, str]
) -> None:
    """The provider has done it, but nobody wrote down the id: it is looked for."""
    with TuningServer(held=step, page=1) as server:
        process = children.start(user, *words(server, "yes=true"))
        until(lambda: server.files if step[1] == "files" else server.jobs, process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=120)
        assert stored(user, "x")["state"] == {"files": "uploading", "jobs": "starting"}[step[1]]
        server.held = None
        for job in list(server.jobs):  # a newer job of somebody else is on the first page of the list
            others = {**job.asked, "training_file": "file-of-others"}
            server.jobs.append(replace(job, id="ftjob-9", asked=others))
        status, out, err = typed(*words(server, "yes=true"))
        assert status == 0 and "ft:gpt-tiny" in out, err
        assert len(server.files) == 1
        assert [job.id for job in server.jobs if job.asked["training_file"] == "file-1"] == ["ftjob-1"]


FAULTS: dict[str, tuple[tuple[str, str], list[Fault]]] = {
    "upload slower": (("POST", "files"), [slower(0.05)]),
    "upload answer lost": (("POST", "files"), [Lost]),
    "upload 500": (("POST", "files"), [status(500), status(503)]),
    "upload HTML": (("POST", "files"), [no_json()]),
    "start slower": (("POST", "jobs"), [slower(0.05)]),
    "start answer lost": (("POST", "jobs"), [Lost]),
    "start HTML": (("POST", "jobs"), [no_json()]),
    "look slower": (("GET", "jobs/ID"), [slower(0.05), slower(0.05)]),
    "look dropped": (("GET", "jobs/ID"), [Answer(drop=True), status(502)]),
    "look HTML": (("GET", "jobs/ID"), [no_json()]),
    "look at no job": (("GET", "jobs/ID"), [Answer({"hello": "world"})]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_passing_failure_is_tried_again_and_nothing_is_done_twice(
    project: Path, name: str, capsys: Any
) -> None:
    """Also if only the answer was lost; the failure is shown."""
    kind, answers = FAULTS[name]
    with TuningServer(faults={kind: answers}) as server:
        assert "ft:gpt-tiny" in tune(project, server).note
        assert (len(server.files), len(server.jobs)) == (1, 1)
    assert "again in" in capsys.readouterr().err


def test_it_waits_as_long_as_the_provider_asks(project: Path) -> None:
    """`Retry-After` counts, not our own first wait."""
    with TuningServer(faults={("POST", "jobs"): [slower(1.2)]}) as server:
        began = time.monotonic()
        tune(project, server)
        assert time.monotonic() - began >= 1.2


UNREAD = {
    "id": "file-1",
    "object": "file",
    "filename": "x.jsonl",
    "bytes": 1,
    "created_at": 1,
    "purpose": "fine-tune",
    "status": "error",
    "status_details": "line 3 is not JSON",
}
ENDS: dict[str, tuple[tuple[str, str], list[Fault], str, str]] = {  # what is asked, the answers, words, state
    "refused file": (
        ("POST", "files"),
        [failure(400, "Invalid file format for Fine-Tuning API. Must be .jsonl", "invalid_request_error")],
        r"provider refuses this.*\n.*Must be \.jsonl",
        "uploading",
    ),
    "unread file": (
        ("GET", "files/ID"),
        [Answer(UNREAD)],
        "refuses the file of examples: line 3 is not JSON",
        "uploaded",
    ),
    "no money": (("POST", "jobs"), [no_money()], "no money left; top it up", "uploaded"),
    "no right": (
        ("POST", "jobs"),
        [failure(403, "Fine-tuning is not available to your organization.", "invalid_request_error")],
        r"may still start tuning jobs there\n.*not available to your organization",
        "uploaded",
    ),
    "unknown job": (
        ("GET", "jobs/ID"),
        [failure(404, "Could not find fine tune: ftjob-1", "invalid_request_error")],
        r"does not know.*\n.*Could not find fine tune: ftjob-1\n.*fresh=true",
        "started",
    ),
    "elsewhere": (
        ("POST", "files"),
        [Answer(status=307, headers={"Location": "http://example.invalid/v1/files"})],
        r"points to http://example\.invalid.*Nothing was sent there\n.*train\.api_base",
        "uploading",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_lasting_failure_says_what_to_do_and_loses_nothing(project: Path, name: str) -> None:
    """Once it is put right, the same command goes on from there."""
    kind, answers, words, state = ENDS[name]
    with TuningServer(faults={kind: answers}) as server:
        with pytest.raises(UserError, match=words):
            tune(project, server)
        assert stored(project)["state"] == state
        assert "ft:gpt-tiny" in tune(project, server).note
        assert (len(server.files), len(server.jobs)) == (1, 1)


def test_a_refused_key_ends_it_and_another_key_goes_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable, and not the key."""
    with TuningServer() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-wrong-wrong")
        with pytest.raises(UserError, match="the key from OPENAI_API_KEY was refused") as error:
            tune(project, server)
        assert "sk-wrong-wrong-wrong" not in str(error.value)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert "ft:gpt-tiny" in tune(project, server).note


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_without_a_model_is_said_and_the_next_command_starts_another(
    project: Path, status: str, capsys: Any
) -> None:
    """The reason is the provider's; the file is used again; the user is asked again."""
    words = {"code": "invalid_training_file", "message": "Line 3: the assistant's message is too long."}
    with TuningServer(statuses=["running", status], error=words) as server:
        with pytest.raises(UserError, match=f"the job ftjob-1 {status}") as error:
            tune(project, server)
        assert ("Line 3" in str(error.value)) == (status == "failed")
        assert not (project / "conf").exists()
        server.statuses = ["succeeded"]
        with pytest.raises(UserError, match="yes=true"):
            tune(project, server, yes=False)
        assert f"the job ftjob-1 {status}" in capsys.readouterr().err
        tune(project, server)
        assert (len(server.files), [job.id for job in server.jobs]) == (1, ["ftjob-1", "ftjob-2"])
        assert stored(project)["earlier"] == ["ftjob-1"]


def test_a_job_is_not_replaced_by_one_with_other_settings(project: Path) -> None:
    """It was paid for: the user says whether to set it aside or to write elsewhere."""
    with TuningServer() as server:
        tune(project, server)
        with pytest.raises(UserError, match=r"ftjob-1, with other settings \(hyperparameters\)\n.*to=DIR"):
            tune(project, server, train__epochs=1.0)
        with pytest.raises(UserError, match=r"with other settings \(examples\)"):
            tune(project, server, examples=examples_of(15))
        tune(project, server, train__epochs=1.0, fresh=True)
        assert len(server.jobs) == 2
    assert (project / "runs/tiny/model.before-1/hosted.json").is_file()
    names = sorted(path.name for path in (project / "conf/model").iterdir())
    assert names == ["tiny-base.yaml", "tiny-tuned.yaml"]  # the same name at the provider in this test


def test_a_server_that_is_gone_is_said_and_the_job_is_kept(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command follows it later."""
    monkeypatch.setattr("selfinstruct.llm.waiting.LONGEST_WAIT", 0.02)
    faults: dict[tuple[str, str], list[Fault]] = {("GET", "jobs/ID"): [no_money()]}
    with (
        TuningServer(statuses=["running"], faults=faults) as server,
        pytest.raises(UserError, match="no money"),
    ):
        tune(project, server)
    with pytest.raises(UserError, match=r"no answer about the job ftjob-1.*it refuses the connection"):
        tune(project, server)
    assert stored(project)["job"] == "ftjob-1"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train__base": "vertex_ai/gemini-2.5-flash"}, "cannot follow it"),
        ({"train__base": "together_ai/meta-llama/Llama-3"}, "no calls for its tuning jobs.*\n.*train=files"),
        ({"train__base": "embedded"}, "names no provider"),
        ({"train__epochs": 1.5}, "1.5 is not a whole number"),
        ({"train__options": {"lr": 1}}, "unknown hyperparameter 'lr'"),
        ({"examples": examples_of(9)}, "9 examples; providers tune on 10 or more"),
        ({"train__api_key_env": "MY_KEY"}, "the environment variable MY_KEY is not set"),
    ],
)
def test_faults_are_found_before_anything_is_sent(project: Path, changes: dict[str, Any], words: str) -> None:
    """All of them are of the settings."""
    with TuningServer() as server:
        with pytest.raises(RecipeError, match=words):
            tune(project, server, **changes)
        assert server.asked == []


def test_a_key_goes_only_to_its_provider_or_where_the_user_says(project: Path) -> None:
    """A run of others may name a server; then the user has to trust that server."""
    with TuningServer() as server:
        with pytest.raises(RecipeError, match=r"OPENAI_API_KEY would go to 127\.0\.0\.1"):
            tune(project, server, overrides=())
        assert server.asked == []
        place = server.base.removeprefix("http://").removesuffix("/v1")
        tune(project, server, overrides=(), trust=(place,))
        assert len(server.jobs) == 1


def test_two_commands_do_not_work_in_one_folder(project: Path) -> None:
    """The second one says so, and sends nothing."""
    from filelock import FileLock

    folder = project / "runs/tiny/model"
    folder.mkdir(parents=True)
    with TuningServer() as server, FileLock(folder / "training.lock"):
        for fresh in (False, True):
            with pytest.raises(UserError, match="another finetune"):
                tune(project, server, fresh=fresh)
        assert server.asked == []


def test_azure_tunes_too_and_says_that_the_model_has_to_be_deployed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM's calls for Azure, with its paths and its header for the key."""
    monkeypatch.setenv("AZURE_API_KEY", KEY)
    with TuningServer() as server:
        base = server.base.removesuffix("/v1")
        keys = {
            "train__base": f"azure/{MODEL}",
            "train__api_base": base,
            "train__api_key_env": "AZURE_API_KEY",
        }
        done = tune(project, server, **keys)
        assert all(path.startswith("/openai/") for _, path, _ in server.asked)
        assert {headers["api-key"] for _, _, headers in server.asked} == {KEY}
    assert done.models == ()
    assert "deploy the model on its page" in done.note
