"""What `check` says a run will take, prices, and budgets and limits that cannot be kept."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from statistics import mean

import pytest
from conftest import Typed
from results import prompts_of, refused, row

from selfinstruct.config import Machine, ModelConfig
from selfinstruct.llm import tokens
from selfinstruct.llm.prices import price_of
from selfinstruct.stages import STAGES

PAPER = ("recipe=paper", "model=scripted")
ALPACA = ("recipe=alpaca", "model=openai")
# Of each provider in conf/model, and names that LiteLLM looks up in a way of their own.
NAMES = [
    "openai/gpt-4o-mini",
    "gpt-4o-mini",
    "openai/GPT-4o-mini",
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-2.5-flash",
    "azure/gpt-4o-mini",
    "azure/my-deployment",
    "bedrock/anthropic.claude-3-5-haiku-20241022-v1:0",
    "openrouter/meta-llama/llama-3.3-70b-instruct",
    "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "hosted_vllm/meta-llama/Llama-3.1-8B",
    "hosted_vllm/gpt-4o-mini",
    "anthropic/gpt-4o-mini",
    "text-completion-openai/davinci-002",
    "mistral/mistral-small-latest",
    "dashscope/qwen-flash",
]


@pytest.fixture
def key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is never used."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")


def planned(cell: str) -> tuple[float, float, float]:
    """A cell's expected figure with the lowest and the highest."""
    units = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
    figures = [
        float(number.replace(",", "")) * units[unit]
        for number, unit in re.findall(r"\$?([\d,.]+)([KMG]?)", cell)
    ]
    expected, low, high = figures if len(figures) == 3 else figures * 3
    return expected, low, high


def config(name: str, **keys: object) -> ModelConfig:
    """A model with nothing but a name."""
    return ModelConfig.model_validate({"name": name, **keys})


def test_the_plan_of_a_run_that_has_not_begun(typed: Typed, project: Path, key: None) -> None:
    """A dollar a token received: requests by `expected`, replies of a third of max_tokens, with ranges."""
    prices = ("model.price.input=0", "model.price.output=1000000")
    status, out, err = typed("check", *ALPACA, "target=1000", *prices)
    assert status == 0, err
    requests, _, received, cost = row(out, "tasks")
    assert requests == "132 (70 - 257)"  # the reply that reaches the target, and seven more in flight
    assert received == "135K (22K - 790K)"
    assert cost == "$135,168 ($21,504 - $789,504)"
    assert "8 (4 - 16) accepted per reply, pipeline.tasks.expected" in out
    assert "a third of max_tokens (a tenth - all): tasks" in out
    assert list(project.iterdir()) == []
    fewer = typed("check", *ALPACA, "target=1000", "pipeline.tasks.expected=20")[1]
    assert row(fewer, "tasks")[0] == "57 (32 - 107)"


@pytest.mark.parametrize(
    ("keys", "needed", "sent"),
    [
        (["recipe=alpaca"], 2, 9),  # seven more are in flight when the second reply reaches the target
        (["recipe=alpaca", "pipeline.tasks.batched=true"], 2, 8),  # a group of eight is sent
        (["recipe=alpaca", "pipeline.tasks.window=1"], 2, 2),
    ],
)
def test_requests_in_flight_are_in_the_plan(
    typed: Typed, project: Path, keys: list[str], needed: int, sent: int
) -> None:
    """A small run pays for those as well, and a larger target then begins with their replies."""
    script = (*keys, "model=scripted", "pipeline.tasks.expected=6.5")
    assert planned(row(typed("check", *script, "target=10")[1], "tasks")[0])[0] == sent
    assert typed(*script, "target=10", "run_dir=run")[0] == 0
    stage = json.loads((project / "run/summary.json").read_text())["stages"]["tasks"]
    assert stage["requests"] == sent
    assert planned(row(typed("check", *script, "target=23", "run_dir=run")[1], "tasks")[0])[0] == needed


def test_prompts_are_counted_as_they_are_sent(typed: Typed, project: Path, key: None) -> None:
    """A dollar a token sent: the prompts of the run itself, by the same tokenizer."""
    script = ("recipe=alpaca", "model=scripted", "target=130", "pipeline.tasks.expected=6.5")
    prices = ("model.price.input=1000000", "model.price.output=0")
    cost = row(typed("check", *script, *prices)[1], "tasks")[3]
    assert typed(*script)[0] == 0
    prompts = [text for number, text in prompts_of(project / "runs/alpaca", "tasks").items() if number <= 20]
    assert len(prompts) == 20
    sent = 20 + 7  # seven are in flight when the target is reached
    assert planned(cost)[0] == pytest.approx(sent * mean(map(tokens.count, prompts)), abs=1)


def test_the_prices_are_litellms(project: Path, tmp_path: Path) -> None:
    """What LiteLLM itself says of each name, in a process of its own; unknown to it is unknown to us."""
    script = (
        "import json, os, sys\n"
        "os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP='True', LITELLM_MODE='PRODUCTION')\n"
        "import litellm\n"
        "def ask(name):\n"
        "    try:\n"
        "        return litellm.cost_per_token(model=name, prompt_tokens=10**6, completion_tokens=10**6)\n"
        "    except Exception:\n"
        "        return None\n"
        "print('FOUND', json.dumps([ask(name) for name in sys.argv[1:]]))\n"
    )
    told = subprocess.run([sys.executable, "-c", script, *NAMES], capture_output=True, text=True, check=True)
    theirs = json.loads(told.stdout.rpartition("FOUND ")[2])
    ours = [price_of(config(name)) for name in NAMES]
    assert sum(price is not None for price in ours) == 11
    for name, their, our in zip(NAMES, theirs, ours, strict=True):
        if name != "dashscope/qwen-flash":  # whose first tier such a prompt would not be in
            assert (list(their) if their else None) == (
                pytest.approx([our.cost(10**6, 0), our.cost(0, 10**6)]) if our else None
            ), name


def test_whose_price_is_known() -> None:
    """The recipe's word goes first; a server of one's own makes no known model free; a zero says nothing."""
    given = price_of(config("openai/gpt-4o-mini", price={"input": 1.0, "output": 2.0}))
    assert given
    assert given.cost(1_000_000, 500_000) == pytest.approx(2.0)
    assert price_of(config("openai/gpt-4o-mini", api_base="http://127.0.0.1:1/v1"))
    assert price_of(config("openai/gpt-3.5-turbo-instruct", mode="completion"))
    for name in ("ollama/codellama", "ollama_chat/llama3.2", "hosted_vllm/x", "openai/claude-haiku-4-5", "x"):
        assert price_of(config(name)) is None, name
    free = price_of(config("any", kind="scripted"))
    assert free
    assert free.cost(10**9, 10**9) == 0


def test_a_price_that_nobody_knows(typed: Typed, project: Path, key: None) -> None:
    """`check` says how to give it; with a budget in dollars it is a fault, and nothing is written."""
    mine = (*ALPACA, "model.name=openai/mine")
    status, out, err = typed("check", *mine)
    assert status == 0, err
    assert row(out, "tasks")[3] == "?"
    assert "no price is known for openai/mine: give model.price.input and model.price.output" in out
    for verb in ("check", "run"):
        result = typed(verb, *mine, "budget.usd=5")
        refused(result, "budget.usd: no price is known for openai/mine", "give model.price.input and")
    assert list(project.iterdir()) == []
    priced = typed("check", *mine, "budget.usd=5", "model.price={input: 0.1, output: 0.4}")
    assert priced[0] == 0, priced[2]
    assert "budget.usd=5 is enough" in priced[1]


def test_every_model_without_a_price_is_named_with_its_place(typed: Typed, project: Path, key: None) -> None:
    """The stages' own and those that take over, each with where to give it."""
    result = typed(
        "check",
        "recipe=paper",
        "model=openai",
        "budget.usd=5",
        "pipeline.classification.model=ollama",
        "pipeline.instances.model={name: openai/mine}",
        "model.fallbacks=[vllm,{name: openai/other}]",
    )
    refused(
        result,
        "recipe paper: 4 faults",
        "ollama_chat/llama3.2",
        "in a conf/model file of yours, and name it in pipeline.classification.model",
        "give pipeline.instances.model.price.input and",
        "hosted_vllm/meta-llama/Llama-3.1-8B",
        "in model.fallbacks.1",
    )


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("budget.usd=0.5", "budget.usd=0.5 is enough"),
        ("budget.usd=0.2", "budget.usd=0.2 is enough for what is expected, not for the upper end"),
        ("budget.usd=0.05", "budget.usd=0.05 stops the run at about 5"),
        ("budget.requests=25", "budget.requests=25 stops the run at about 18%"),
        ("budget.tokens=1000000000", "budget.tokens=1000000000 is enough"),
    ],
)
def test_a_budget_is_compared_with_the_plan(
    typed: Typed, project: Path, key: None, budget: str, words: str
) -> None:
    """Enough, enough unless it goes badly, or where it stops."""
    assert words in typed("check", *ALPACA, "target=1000", budget)[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["budget.usd=0"], ["budget.usd: should be greater than 0, not 0"]),
        (["budget.tokens=-5"], ["budget.tokens: should be greater than 0, not -5"]),
        (["budget.requests=0"], ["budget.requests: should be greater than 0, not 0"]),
        (["budget.requests=1.5"], ["budget.requests: "]),
        (["model.price={input: -1, output: 1}"], ["model.price.input: should be greater than or equal to 0"]),
        (["model.price.input=1"], ["model.price.output: is missing"]),
        (["model.tokens_per_minute=0"], ["model.tokens_per_minute: should be greater than or equal to 1"]),
        (
            ["budget.tokens=3000"],
            ["budget.tokens: is 3,000, but one request of tasks may take", "max_tokens"],
        ),
        (["model.tokens_per_minute=3000"], ["model.tokens_per_minute: is 3,000, but one request of tasks"]),
        (["budget.usd=0.0001"], ["budget.usd: is 0.0001, but one request of tasks is expected to cost 0.0"]),
        (["model.prompts_per_request=4"], ["model.prompts_per_request: is 4", "chat mode", "completion"]),
        (
            ["model.prompts_per_request=4", "model.mode=completion", "model.seeded=true"],
            ["model.prompts_per_request: is 4", "seeded", "set it to 1"],
        ),
        (
            ["model.prompts_per_request=4", "model.mode=completion", "model.tokens_per_minute=9000"],
            ["model.tokens_per_minute: is 9,000", "a prompt, and has 4 of them"],
        ),
        (["model.fallbacks=[opnai]"], ["model.fallbacks.0: unknown model 'opnai'", "did you mean 'openai'?"]),
        (["model.fallbacks=[{nme: x}]"], ["model.fallbacks.0.nme: unknown key 'nme'", "'name'"]),
        (["model.fallbacks=[{timeout: 0}]"], ["model.fallbacks.0.timeout: should be greater than 0"]),
        (
            ["model.fallbacks=[{kind: local, name: a/b, options: {contxt: 1}}]"],
            ["model.fallbacks.0.options.contxt", "did you mean 'context'?"],
        ),
    ],
)
def test_budgets_limits_and_fallbacks_that_cannot_be(
    typed: Typed, project: Path, key: None, arguments: list[str], words: list[str]
) -> None:
    """Found before the first request, with the place and what would do."""
    refused(typed("check", *ALPACA, *arguments), *words)


def test_a_fallback_without_its_key_is_told_before_the_run(typed: Typed, project: Path, key: None) -> None:
    """It may be asked in the middle of the night, so it is wanting from the start."""
    words = "model.fallbacks.1.api_key_env: the environment variable ANTHROPIC_API_KEY is not set"
    status, out, _ = typed("check", *ALPACA, "model.fallbacks=[openai,anthropic]")
    assert (status, words in out) == (0, True)
    refused(typed(*ALPACA, "model.fallbacks=[openai,anthropic]"), words)


def test_limits_are_told_with_all_other_faults(typed: Typed, project: Path, key: None) -> None:
    """One message; of a limit that no stage fits in, the stage that needs most."""
    result = typed(
        "check",
        "recipe=paper",
        "model=openai",
        "target=0",
        "budget.tokens=10",
        "model.tokens_per_minute=10",
        "model.fallbacks=[opnai]",
        "pipeline.instances.model={sampling: {temperature: 1}}",
        "export.alpaca.of=instance",
    )
    refused(result, "5 faults", "target", "budget.tokens", "one request of instances", "opnai", "instance'")


def test_fallbacks_are_models_like_a_stages_own(typed: Typed, project: Path, key: None) -> None:
    """By name or by the keys that differ; a stage's own list goes before the recipe's."""
    two = "model.fallbacks=[vllm,{name: openai/gpt-4o, sampling: {top_k: 1}}]"
    own = "pipeline.instances.model={fallbacks: [openrouter]}"
    status, out, err = typed("check", "recipe=paper", "model=openai", two, own)
    assert (status, "OPENROUTER_API_KEY is not set" in out) == (0, True)
    status, out, err = typed("check", "recipe=paper", "model=openai", two, own.replace("openrouter", "local"))
    assert status == 0, err
    assert out.count("      then     hosted_vllm/meta-llama/Llama-3.1-8B, openai/gpt-4o\n") == 2
    assert out.count("      then     text-completion-openai/smollm2-135m-instruct\n") == 1


def test_a_budget_in_dollars_that_nothing_is_spent_from(typed: Typed, project: Path) -> None:
    """A note, not a fault: it does no harm."""
    status, out, err = typed("check", *PAPER, "budget.usd=1")
    assert status == 0, err
    assert "note: budget.usd=1 stops nothing" in out
    assert row(out, "together")[3] == "$0"
    assert "stops nothing" not in typed("check", *PAPER)[1]


def test_the_plan_of_a_run_that_goes_on(typed: Typed, project: Path) -> None:
    """What is left and what was spent; what its replies have shown goes before what is assumed."""
    assert typed(*PAPER, "target=150")[0] == 0
    summary = json.loads((project / "runs/paper/summary.json").read_text())["stages"]
    prices = ("model.price.input=1000000", "model.price.output=1000000")
    status, out, err = typed("check", *PAPER, "target=750", *prices)
    assert status == 0, err
    assert row(out, "classification")[0] == row(out, "instances")[0] == "600"
    each = 150 / summary["instructions"]["replies"]  # the reply that the target cut short is not all taken in
    expected, low, high = planned(row(out, "instructions")[0])
    assert expected == pytest.approx(600 / each, rel=0.1)
    assert (low, high) == pytest.approx((expected / 1.25, expected / 0.8), abs=1)
    spent = sum(stage["requests"] for stage in summary.values())
    assert f"spent    {spent} requests" in out
    assert "in its last 150 replies" in out
    assert "assumed" not in out
    mean_tokens = summary["classification"]["tokens"] / 150  # as the model counts them: words
    assert planned(row(out, "classification")[3])[0] == pytest.approx(600 * mean_tokens, rel=0.001)
    assert "is needed" not in out
    anew = typed("check", *PAPER, "target=750", "fresh=true")[1]
    assert "instructions: 2 (1 - 4) accepted per reply" in anew
    assert "spent" not in anew


def test_a_run_that_is_at_its_end_needs_nothing(typed: Typed, project: Path) -> None:
    """Nothing is left to send, whatever the budget."""
    assert typed(*PAPER, "target=10")[0] == 0
    out = typed("check", *PAPER, "target=10", "budget.requests=1")[1]
    assert [row(out, name)[0] for name in ("instructions", "classification", "instances")] == ["0"] * 3
    assert "budget.requests=1 is not needed" in out


def test_a_run_stays_in_its_plan(typed: Typed, project: Path) -> None:
    """What the scripted model then takes lies in each range of requests that was foretold."""
    out = typed("check", *PAPER, "target=60", "pipeline.instructions.expected=5")[1]
    assert typed(*PAPER, "target=60", "pipeline.instructions.expected=5")[0] == 0
    summary = json.loads((project / "runs/paper/summary.json").read_text())["stages"]
    for name, stage in summary.items():
        _, low, high = planned(row(out, name)[0])
        assert low <= stage["requests"] <= high, name


def test_seeds_that_cannot_say_which_variant(typed: Typed, project: Path) -> None:
    """Seed tasks without the field that picks one stand for records of each."""
    dollar = ("model.price.input=1000000", "model.price.output=0", "seeds.path=mine.jsonl")
    costs = []
    for field in ({"is_classification": True}, {"is_classification": False}, {}):
        tasks = [{"instruction": f"Name {number} of them.", **field} for number in range(10)]
        (project / "mine.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
        status, out, err = typed("check", *PAPER, *dollar)
        assert status == 0, err
        costs.append(planned(row(out, "instances")[3])[0])
    assert costs[0] != costs[1]
    assert costs[2] == pytest.approx((costs[0] + costs[1]) / 2, abs=abs(costs[0] - costs[1]) / 10)


def test_a_request_without_max_tokens(typed: Typed, project: Path, key: None) -> None:
    """Its reply is bounded by nothing, which is told."""
    out = typed("check", *ALPACA, "prompts.tasks.sampling.max_tokens=null", "budget.tokens=3000")[1]
    assert planned(row(out, "tasks")[2])[0] == pytest.approx(20 * 1024 / 3, rel=0.02)
    assert "no max_tokens is set, so a third of 1,024 tokens: tasks" in out


def test_keys_of_a_stages_own_model_leave_the_others_as_they_are(typed: Typed, project: Path) -> None:
    """Of sampling too: a stage that changes one parameter keeps the recipe's others."""
    ours = ("model.sampling.top_k=5", "model.sampling.min_p=0.1", "target=2")
    assert typed(*PAPER, *ours, "pipeline.classification.model={sampling: {top_k: 7}}")[0] == 0
    with sqlite3.connect(project / "runs/paper/run.sqlite") as journal:
        rows = dict(journal.execute("SELECT stage, sampling FROM request GROUP BY stage").fetchall())
    sent = {stage: json.loads(sampling) for stage, sampling in rows.items()}
    assert (sent["classification"]["top_k"], sent["classification"]["min_p"]) == (7, 0.1)
    assert (sent["instances"]["top_k"], sent["instances"]["min_p"]) == (5, 0.1)


def test_what_belongs_to_another_model_is_not_taken_over(typed: Typed, project: Path, key: None) -> None:
    """A price is a name's and options are a kind's: a stage with another has neither."""
    mine = ("recipe=paper", "model=openai", "model.price={input: 1, output: 1}", "budget.usd=1")
    refused(typed("check", *mine, "pipeline.instances.model={name: openai/mine}"), "openai/mine")
    other = "pipeline.instances.model={kind: litellm, name: openai/gpt-4o-mini, mode: chat}"
    status, _, err = typed("check", *PAPER, other)
    assert status == 0, err


def test_the_option_for_the_plan_shapes_no_data() -> None:
    """It is marked as one that may change between two starts of a run."""
    assert "expected" in STAGES.marked(Machine)


def test_tokens_without_a_tokenizer() -> None:
    """By the rule that is told: four ASCII characters a token, one of any other."""
    assert tokens.by_rule("abcdefgh") == 2
    assert tokens.by_rule("水曜日") == 3
    assert tokens.count("Hello world") == 2


def test_check_imports_no_heavy_package(project: Path) -> None:
    """LiteLLM takes seconds to import; its price list and its tokenizer's file are read without."""
    script = (
        "import sys\nfrom selfinstruct.cli.main import command\n"
        "status = command(['check', 'recipe=alpaca', 'model=openai', 'budget.usd=5'])\n"
        "print(status, [name for name in ('litellm', 'requests', 'openai', 'pandas') if name in sys.modules])"
    )
    environment = {"OPENAI_API_KEY": "sk-none", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr
