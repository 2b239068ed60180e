"""Recipe `distill`: two models in one run, each with its own name, key, limits and price."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Typed, lines
from results import refused, row
from server import Answer, Asked, ModelServer, text

TEACHER = "pipeline.instances.model"


@pytest.fixture(autouse=True)
def keys(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key for each of the two."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("TEACHER_KEY", "sk-teacher")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("selfinstruct.llm.attempts.FIRST_WAIT", 0.05)


def at(student: ModelServer, teacher: ModelServer, *more: str) -> list[str]:
    """The recipe with both models on servers of this machine."""
    return [
        "recipe=distill",
        "run_dir=run",
        f"model.api_base={student.base}",
        f"{TEACHER}.api_base={teacher.base}",
        f"{TEACHER}.api_key_env=TEACHER_KEY",
        *more,
    ]


def answer(asked: Asked) -> Answer:
    """A reply to each of the three prompts of `chat`, after a moment."""
    (kind,) = asked.body["response_format"]["json_schema"]["schema"]["properties"]
    tasks = [{"instruction": f"Tell what number {asked.number}{letter} is for."} for letter in "stuvwxyz"]
    replies = {
        "tasks": {"tasks": tasks},
        "is_classification": {"is_classification": False},
        "instances": {"instances": [{"input": "", "output": f"It is for the shelf {asked.number}."}]},
    }
    return text(json.dumps(replies[kind]), delay=0.3)


def test_each_stage_keeps_to_its_own_models_limits(typed: Typed, project: Path) -> None:
    """Name, key and concurrency: the teacher writes the instances, with fewer at once, and nothing else."""
    limits = ("target=8", "model.concurrency=4", f"{TEACHER}.concurrency=2", "~filters.instructions.rouge_l")
    with ModelServer(answer) as student, ModelServer(answer) as teacher:
        status, out, err = typed(*at(student, teacher, *limits))
    assert status == 0, out + err
    assert len(lines(project / "run/instances.jsonl")) == len(teacher.asked) == 8
    assert {asked.body["model"] for asked in student.asked} == {"gpt-4o-mini"}
    assert {asked.body["model"] for asked in teacher.asked} == {"gpt-4.1"}
    assert {asked.headers["authorization"] for asked in teacher.asked} == {"Bearer sk-teacher"}
    assert {asked.headers["authorization"] for asked in student.asked} == {"Bearer sk-none"}
    assert (student.most_at_once, teacher.most_at_once) == (4, 2)
    summary = json.loads((project / "run/summary.json").read_text())["stages"]
    tokens = [summary[name]["tokens"] for name in ("instructions", "instances")]
    costs = [summary[name]["cost_usd"] for name in ("instructions", "instances")]
    assert costs[1] / tokens[1] > 5 * costs[0] / tokens[0], "each is counted at its own price"


def test_the_teachers_timeout_and_retries_are_its_own(typed: Typed, project: Path) -> None:
    """Its first answer takes too long for it and is asked for again; the student may take as long."""

    def slow(asked: Asked) -> Answer:
        return replace(answer(asked), delay=2.5) if asked.number == 1 else answer(asked)

    keys = ("target=2", "~filters.instructions.rouge_l", "model.timeout=30", f"{TEACHER}.timeout=1")
    with ModelServer(slow) as student, ModelServer(slow) as teacher:
        status, out, err = typed(*at(student, teacher, *keys))
    assert status == 0, out + err
    assert len(student.prompts) == len(set(student.prompts)), "no question to the student was asked twice"
    assert len(teacher.asked) == 3
    assert len(set(teacher.prompts)) == 2


def test_the_teachers_rate_is_its_own(typed: Typed, project: Path) -> None:
    """Two a second for the teacher, any number for the student: whichever stage asks, its own rule holds."""
    keys = ("target=8", f"{TEACHER}.requests_per_minute=120", "~filters.instructions.rouge_l")
    with ModelServer(answer) as student, ModelServer(answer) as teacher:
        status, out, err = typed(*at(student, teacher, *keys))
    assert status == 0, out + err
    labels = [asked for asked in student.asked if "instances" not in asked.prompt][-8:]
    assert labels[-1].at - labels[0].at < teacher.asked[-1].at - teacher.asked[0].at
    assert teacher.asked[7].at - teacher.asked[1].at > 2, "six more at two a second"


def test_check_shows_both_models(typed: Typed, project: Path) -> None:
    """Name, limits and price of each, and what each stage costs."""
    keys = (f"{TEACHER}.requests_per_minute=500", f"{TEACHER}.tokens_per_minute=30000")
    status, out, err = typed("check", "recipe=distill", "target=1000", *keys)
    assert status == 0, err
    assert out.count("openai/gpt-4o-mini, chat mode, 16 at once") == 2
    assert out.count("openai/gpt-4.1, chat mode, 8 at once") == 1
    assert out.count("price    $0.15 sent ($0.075 from its cache), $0.60 received per million tokens") == 2
    assert out.count("price    $2.00 sent ($0.5 from its cache), $8.00 received per million tokens") == 1
    assert out.count("limits   500 requests, 30,000 tokens per minute") == 1
    dollars = {name: row(out, name)[3] for name in ("instructions", "instances", "together")}
    assert dollars["instructions"].startswith("$0.10 ")
    assert dollars["instances"].startswith("$12.03 ")
    assert dollars["together"].startswith("$12.28 ")


def test_a_price_given_for_the_teacher(typed: Typed, project: Path) -> None:
    """It holds for the teacher alone."""
    price = f"{TEACHER}.price={{input: 0, output: 100}}"
    out = typed("check", "recipe=distill", "target=1000", price)[1]
    assert "price    $0.00 sent, $100.00 received" in out
    assert row(out, "instructions")[3].startswith("$0.10 ")
    assert row(out, "instances")[3].startswith("$137 ")


def test_a_teacher_without_a_price_under_a_budget(typed: Typed, project: Path) -> None:
    """Refused before anything is sent, with the teacher's key and the two ways to give a price."""
    mine = (f"{TEACHER}.name=openai/mine", "budget.usd=5")
    for verb in ("check", "run"):
        result = typed(verb, "recipe=distill", *mine)
        refused(result, "budget.usd: no price is known for openai/mine", f"give {TEACHER}.price.input and")
    named = typed("check", "recipe=distill", f"{TEACHER}=ollama", "budget.usd=5")
    refused(named, "no price is known for ollama_chat/llama3.2", f"and name it in {TEACHER}")
    assert list(project.iterdir()) == []


def test_a_teacher_that_does_not_exist(typed: Typed, project: Path) -> None:
    """The nearest name of conf/model, and what there is."""
    result = typed("check", "recipe=distill", f"{TEACHER}=antropic")
    refused(result, f"{TEACHER}: unknown model 'antropic'", "did you mean 'anthropic'?")


def test_a_key_of_the_teacher_that_does_not_exist(typed: Typed, project: Path) -> None:
    """Told with the place."""
    refused(typed("check", "recipe=distill", f"{TEACHER}.timout=5"), f"{TEACHER}.timout", "timeout")
