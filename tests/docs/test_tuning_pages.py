"""The pages about tuning: the verbs take each command, up to the training and the first request."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from conftest import Typed
from pages import DOCS, script, shell

from selfinstruct.config import FinetuneConfig, TrainConfig
from selfinstruct.evaluate.metrics import METRICS
from selfinstruct.train.kinds import KINDS

# Everything but the training, which takes minutes and the extra `train`.
ELSEWHERE = ("train=files", "train.base=Qwen/Qwen2.5-0.5B-Instruct", "finetune.evaluate=false")
SCRIPTED = "model=scripted target=8"
TEACHER = "pipeline.instances.model=ollama"  # a server that need not be there


def gathered(page: str, project: Path) -> list[list[str]]:
    """The commands of a page that tune and evaluate; the others are typed."""
    text = script(page, SCRIPTED).replace(TEACHER, "")
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [shlex.split(line) for line in (project / "typed.txt").read_text().splitlines()]


@shell
@pytest.mark.slow
@pytest.mark.parametrize(("page", "tuned"), [("did-it-help.md", 9), ("finetune.md", 4), ("evaluate.md", 0)])
def test_the_commands_that_tune_and_evaluate(
    project: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch, page: str, tuned: int
) -> None:
    """Each chooses its examples and writes them, or finds its tasks and its models."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("SELFINSTRUCT_REPORT", "off")  # except where it is asked for
    commands = gathered(page, project)
    if not tuned:  # the model of the page before
        (project / "runs/quickstart/model").mkdir(parents=True)
        (project / "runs/quickstart/model/model.gguf").touch()
    assert [verb for verb, *_ in commands].count("finetune") == tuned
    for verb, *words in commands:
        if verb == "finetune":
            status, out, err = typed(verb, *(word for word in words if word != "--plan"), *ELSEWHERE)
            assert (status, "examples and 4 configs for Qwen" in out) == (0, True), (words, err)
            (run,) = (word for word in words if "=" not in word and word[0] != "-")
            (project / run / "model").mkdir(exist_ok=True)
            (project / run / "model/model.gguf").touch()  # a plan does not read it
        elif "harness=harness" in words:
            assert typed(verb, *words)[0] == 0
            assert list((project / "harness").glob("*.yaml"))
        else:
            status, out, err = typed(verb, *words, "--plan")
            assert (status, "no fault found" in out) == (0, True), (words, err)


def test_the_tables_of_tuning() -> None:
    """They have each kind of training, each key of the examples, each metric and each set of tasks."""
    page, other = ((DOCS / name).read_text(encoding="utf-8") for name in ("finetune.md", "evaluate.md"))
    rows, sets = (
        "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| "))
        for text in (page, other)
    )
    assert set(re.findall(r"`train=(\w+)`", rows)) == set(KINDS)
    assert set(re.findall(r"`finetune\.(\w+)=", rows)) == {*FinetuneConfig.model_fields}
    assert {*METRICS} <= set(re.findall(r"`(\w+)`", sets))
    there = {path.stem for path in (DOCS.parent / "conf/eval").glob("*.yaml")}
    assert there <= set(re.findall(r"`(\w+)`", sets))
    keys = set(re.findall(r"`train\.(\w+)[`=]", page.replace("`train.jsonl`", "")))
    assert keys <= {*TrainConfig.model_fields}
