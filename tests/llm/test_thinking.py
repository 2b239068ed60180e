"""A model's thought, in each provider's own form: apart from the answer, and never read as one.

The shapes are those of `provider_forms`, whose sources are named there, and of the pages named here. A real
server on this machine answers, asked directly and through LiteLLM.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import provider_forms as forms
import pytest
from conftest import Typed, lines
from provider_forms import TEXT, THOUGHT
from server import Answer, ModelServer
from tiny_recipe import KEY, at

from selfinstruct.config import ModelConfig
from selfinstruct.errors import Fault
from selfinstruct.llm.providers import LiteLLM
from selfinstruct.llm.taken import KNOWN, untaken
from selfinstruct.llm.thinking import thinking_faults, with_thinking, without_thinking
from selfinstruct.parse import PARSERS
from selfinstruct.parse.reading import candidates
from selfinstruct.parse.replies import CONTENT_FILTER, THINKING_CUT
from selfinstruct.parse.thought import apart
from selfinstruct.records import Reply, Request

ONLY = forms.message(forms.THINKING, stop_reason="max_tokens")
CLAUDE, GEMINI = "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"
VLLM, DEEPSEEK, O3 = "hosted_vllm/Qwen/Qwen3-8B", "deepseek/deepseek-reasoner", "openai/o3-mini"
SPENT = forms.tokens(said=100, thought=100)
# Model, body, and what it means: the answer or the check, and the thought.
CASES: Mapping[str, tuple[str, Any, str, str]] = {
    # https://platform.openai.com/docs/guides/reasoning: the thought is hidden, its tokens are counted
    "OpenAI": (O3, forms.chat(usage=forms.tokens(said=90, thought=50)), TEXT, ""),
    "OpenAI, cut": (O3, forms.chat("", "length", usage=SPENT), THINKING_CUT, ""),
    "OpenAI, cut, null": (O3, forms.chat(None, "length", usage=SPENT), THINKING_CUT, ""),
    "OpenAI, refused": (O3, forms.chat(None, refusal="I cannot.", usage=SPENT), CONTENT_FILTER, ""),
    "OpenAI, filtered": (O3, forms.chat(None, "content_filter", usage=SPENT), CONTENT_FILTER, ""),
    "OpenAI, empty": (O3, forms.chat(""), "empty_reply", ""),
    # https://api-docs.deepseek.com/guides/reasoning_model
    "DeepSeek": (DEEPSEEK, forms.chat(reasoning_content=THOUGHT), TEXT, THOUGHT),
    "DeepSeek, cut": (
        DEEPSEEK,
        forms.chat("", "length", reasoning_content="They ask"),
        THINKING_CUT,
        "They ask",
    ),
    # https://docs.vllm.ai/en/latest/features/reasoning_outputs: reasoning_content until 0.11, then reasoning
    "vLLM": (VLLM, forms.chat("\n\n" + TEXT, reasoning_content=f"\n{THOUGHT}\n"), TEXT, THOUGHT),
    "vLLM, its new name": (VLLM, forms.chat(reasoning=THOUGHT, reasoning_content=None), TEXT, THOUGHT),
    "vLLM, cut": (
        VLLM,
        forms.chat(None, "length", reasoning_content="They ask"),
        THINKING_CUT,
        "They ask",
    ),
    "vLLM without a reasoning parser": (VLLM, forms.chat(f"<think>{THOUGHT}</think>\n{TEXT}"), TEXT, THOUGHT),
    "vLLM without one, cut": (VLLM, forms.chat("<think>They ask", "length"), THINKING_CUT, "They ask"),
    "both": (
        VLLM,
        forms.chat(f"<think>More.</think>{TEXT}", reasoning_content=THOUGHT),
        TEXT,
        f"{THOUGHT}\n\nMore.",
    ),
    # https://docs.claude.com/en/docs/build-with-claude/extended-thinking
    "Anthropic": (CLAUDE, forms.message(forms.THINKING, forms.block()), TEXT, THOUGHT),
    "Anthropic, hidden": (CLAUDE, forms.ANTHROPIC.replies["hidden reasoning"], TEXT, ""),
    "Anthropic, cut": (CLAUDE, ONLY, THINKING_CUT, THOUGHT),
    # https://ai.google.dev/gemini-api/docs/thinking
    "Gemini": (GEMINI, forms.GEMINI.replies["reasoning"], TEXT, THOUGHT),
    "Gemini, cut": (GEMINI, forms.GEMINI.replies["thinking to the end"], THINKING_CUT, ""),
    # https://docs.ollama.com/capabilities/thinking
    "Ollama": (
        "ollama_chat/qwen3",
        {
            "model": "qwen3",
            "message": {"role": "assistant", "thinking": THOUGHT, "content": TEXT},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 9,
            "eval_count": 60,
        },
        TEXT,
        THOUGHT,
    ),
}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment."""
    monkeypatch.setenv("TINY_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def model_of(name: str, **keys: Any) -> ModelConfig:
    """A model's keys."""
    given = {"name": name, "api_key_env": "TINY_KEY", "timeout": 20, **keys}
    config = ModelConfig.model_validate(given)
    config.clear()
    return config


def replies(way: str) -> dict[str, Reply]:
    """The reply of each case, by this way, as it is stored."""

    async def one(case: str, base: str) -> Reply:
        name = CASES[case][0]
        ends = {CLAUDE: "", GEMINI: "/v1beta", "ollama_chat/qwen3": "", DEEPSEEK: ""}
        address = base.removesuffix("/v1") + ends.get(name, "/v1")
        model = LiteLLM(model_of(name, api_base=address, transport=way))
        await model.prepare()
        (reply,) = await model.complete([Request("ideas", 1, case, sampling={"max_tokens": 100})])
        await model.close()
        assert reply
        return apart(reply)

    def script(asked: Any) -> Answer:
        return Answer(CASES[asked.prompt][1])

    async def all_of_them(base: str) -> dict[str, Reply]:
        return {case: await one(case, base) for case in CASES}

    with ModelServer(script, anywhere=True) as server:
        return asyncio.run(all_of_them(server.base))


@pytest.mark.parametrize("way", ["direct", "litellm"])
def test_a_thought_is_apart_in_every_form(way: str) -> None:
    """The answer is all that a parser gets; a reply without one has a check of its own."""
    faults: list[Fault] = []
    parse = PARSERS.build("text", {"field": "output"}, "parse", faults)
    assert parse, faults
    found = replies(way)
    for case, reply in found.items():
        _, _, meaning, thought = CASES[case]
        assert reply.thought == thought, case
        (piece,) = candidates(parse, reply)
        assert (piece.check or piece.data["output"]) == meaning, (case, piece)
        if meaning == THINKING_CUT:
            assert "were spent on thinking" in (piece.reason or ""), case
            assert reply.text == "", case
    assert [found[case].thinking_tokens for case in ("OpenAI", "Gemini")] == [50, 50]


# Which parameters a model takes


def test_what_is_known_without_litellm_is_what_litellm_says() -> None:
    """In a process of its own, since its import changes this one: none of these parameters is refused."""
    names = ["openai/gpt-4o-mini", "openai/tiny", "azure/gpt-4o", "hosted_vllm/x", "lm_studio/x"]
    names += [
        "openrouter/meta-llama/llama-3.3-70b-instruct",
        "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
    ]
    script = (
        "import json, re, sys\n"
        "from selfinstruct.llm.taken import KNOWN, by_litellm\n"
        "value = {'stop': ['x'], 'logit_bias': {'1': 1}, 'logprobs': True,\n"
        "  'response_format': {'type': 'json_object'}, 'reasoning_effort': 'low', 'temperature': 0.5,\n"
        "  'top_p': 0.5,\n"
        "  'thinking': {'type': 'enabled', 'budget_tokens': 2000}}\n"
        "def refused(name):\n"
        "    takes = next(more for models, more in KNOWN.items() if re.fullmatch(models, name))\n"
        "    return by_litellm(name, {key: value.get(key, 1) for key in sorted(takes)})\n"
        "found = [refused(name) for name in sys.argv[1:]]\n"
        "o3 = by_litellm('openai/o3-mini', {'temperature': 0.5, 'stop': ['x'], 'max_tokens': 9, 'seed': 1})\n"
        "one = by_litellm('openai/o3-mini', {'temperature': 1})\n"
        "few = {'seed': 1, 'n': 2, 'temperature': 0.5, 'stop': ['x']}\n"
        "claude = by_litellm('anthropic/claude-haiku-4-5', few)\n"
        "print('FOUND', json.dumps([found, o3, one, claude]))\n"
    )
    told = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True, check=True)
    found, o3, one, claude = json.loads(told.stdout.rpartition("FOUND ")[2])
    assert found == [[]] * len(names)
    assert len(KNOWN) == 5
    assert (o3, one) == (["temperature"], [])
    assert sorted(claude) == ["n", "seed"]


def test_claude_takes_no_temperature_while_it_thinks() -> None:
    """And no top_k; a top_p near 1 is allowed."""
    config = model_of(CLAUDE, thinking_tokens=2000)
    asked = with_thinking({"max_tokens": 300, "temperature": 0, "top_p": 0.96, "top_k": 5}, config)
    assert asked["max_tokens"] == 2300
    assert asked["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert untaken(asked, config) == ["temperature", "top_k"]
    assert [fault.where for fault in thinking_faults(model_of(CLAUDE, thinking_tokens=200), "model")] == [
        "model.thinking_tokens"
    ]


def test_a_fallback_gets_its_own_room() -> None:
    """What the first model's keys added is taken off again, whatever the model."""
    sampling = {"max_tokens": 300, "temperature": 0}
    for keys in ({"thinking_tokens": 2000}, {"reasoning_effort": "low", "thinking_tokens": 500}, {}):
        for name in (CLAUDE, VLLM):
            config = model_of(name, **keys)
            assert without_thinking(with_thinking(sampling, config), config) == sampling


# In a run


@pytest.fixture
def thinking(project: Path, tiny: None) -> Path:
    """The recipe `tiny`, whose records keep the thought and whose export has it."""
    change = {
        "conf/prompts/tiny.yaml": ("{kind: numbered_list}", "{kind: numbered_list, reasoning: why}"),
        "conf/schema/tiny.yaml": (
            "properties: {instruction: {type: string}}",
            "properties: {instruction: {type: string}, why: {type: string}}",
        ),
    }
    for name, (before, after) in change.items():
        path = project / name
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))
    options = "user: '{{ instruction }}', output: instruction, reasoning_field: why"
    (project / "conf/export/tiny.yaml").write_text(
        f"kept: {{kind: chat, {options}, reasoning: keep}}\n"
        f"tagged: {{kind: chat, {options}, reasoning: tags}}\n"
        f"dropped: {{kind: chat, {options}}}\n"
        f"trl: {{{options}, reasoning: keep}}\n"
        "alpaca: {output: instruction, reasoning_field: why, reasoning: tags}\n"
    )
    return project


def thinker(asked: Any) -> Answer:
    """Every second reply has its thought in the text, every fifth one no answer."""
    thought = f"Reason {asked.number} </think>" if asked.number % 2 else f"Reason {asked.number}"
    said = f"Idea number {asked.number}"
    if asked.number % 5 == 0:
        return Answer(forms.chat(None, "length", reasoning_content="So"))
    if asked.number % 2:
        return Answer(forms.chat(said, reasoning_content=thought))
    return Answer(forms.chat(f"<think>{thought}</think>\n{said}"))


def test_the_journal_the_records_and_the_exports(typed: Typed, thinking: Path) -> None:
    """The thought is in a table of its own, in the recipe's field, and where each export says."""
    with ModelServer(thinker) as server:
        status, out, err = typed(*at(server, "target=8", "model.concurrency=1"))
    assert status == 0, out + err
    with closing(sqlite3.connect(thinking / "run/run.sqlite")) as db:
        texts = [text for (text,) in db.execute("SELECT text FROM reply ORDER BY number")]
        thoughts = dict(db.execute("SELECT number, thought FROM thinking"))
    assert not any("eason" in text or "think" in text for text in texts)
    assert len(thoughts) == len(texts)
    made = lines(thinking / "run/ideas.jsonl")
    assert {row["why"].replace(" </think>", "")[:6] for row in made} == {"Reason"}
    rejected = lines(thinking / "run/rejected.jsonl")
    assert {row["check"] for row in rejected} == {THINKING_CUT}
    assert rejected[0]["record"] == {"thought": "So"}
    folder = thinking / "run/dataset"
    first = made[0]
    user, spoken = lines(folder / "kept.jsonl")[0]["messages"]
    assert spoken["reasoning_content"] == first["why"]
    assert spoken["content"] == first["instruction"]
    assert "reasoning_content" not in user
    tagged = [row["messages"][1]["content"] for row in lines(folder / "tagged.jsonl")]
    assert all(text.startswith("<think>\nReason ") and text.count("</think>") == 1 for text in tagged)
    assert "eason" not in (folder / "dropped.jsonl").read_text()
    assert lines(folder / "trl.jsonl")[0]["completion"][0]["reasoning_content"] == first["why"]
    assert lines(folder / "alpaca.jsonl")[0]["output"].startswith("<think>\n")
    shown = typed("show", "run", rejected[0]["id"])[1]
    assert "no answer" in shown
    assert "thinking_cut" in shown


def test_the_cache_and_a_replay_have_the_thought_too(typed: Typed, thinking: Path) -> None:
    """The same files without a request; and from a journal of the format before, whose texts hold it."""
    with ModelServer(thinker) as server:
        assert typed(*at(server, "target=8", "model.concurrency=1"))[0] == 0
        asked = len(server.asked)
        assert typed(*at(server, "target=8", "model.concurrency=1"), "run_dir=again")[0] == 0
        assert len(server.asked) <= asked + 2  # a request may be on its way when the target is reached
        base = server.base
    wanted = {path.name: path.read_bytes() for path in (thinking / "run").rglob("*.jsonl")}
    del wanted["events.jsonl"]
    former = thinking / "former"
    subprocess.run(["cp", "-r", "run", "former"], check=True)
    before(former / "run.sqlite")
    keys = ["recipe=tiny", f"model.api_base={base}", "target=8"]
    for source in ("run", "former"):
        status, out, err = typed(*keys, f"replay={source}", f"run_dir=replay_{source}", "cache=off")
        assert status == 0, out + err
    for folder in ("again", "replay_run", "replay_former"):
        for name, content in wanted.items():
            (path,) = (thinking / folder).rglob(name)
            if folder == "replay_former":  # which wrote the marks in a thought so
                content = content.replace(b" </think>", b" (/think)")
            assert path.read_bytes() == content, (folder, name)


def before(path: Path) -> None:
    """Make a journal of format 5 of one: each thought in front of its text, and no table for it."""
    from selfinstruct.journal.check import SCHEMA, schema_sum
    from selfinstruct.journal.checksums import COLUMNS, checksum, count

    with closing(sqlite3.connect(path)) as db, db:
        for stage, number, thought in db.execute("SELECT stage, number, thought FROM thinking").fetchall():
            where = (stage, number)
            row = db.execute(
                f"SELECT {', '.join(COLUMNS['reply'])}, sum FROM reply WHERE stage = ? AND number = ?", where
            ).fetchone()
            inner = thought.replace("</think>", "(/think)")
            text = f"<think>{inner}</think>\n{row[2]}" if row[2] else f"<think>{inner}"
            new = checksum("reply", (*row[:2], text, *row[3:-1]))
            db.execute(
                "UPDATE reply SET text = ?, sum = ? WHERE stage = ? AND number = ?", (text, new, *where)
            )
            count(db, "reply", stage, 0, row[-1] ^ new)
        db.execute("DROP TABLE thinking")
        db.execute("DELETE FROM tally WHERE name = 'thinking'")
        old = db.execute("SELECT sum FROM meta WHERE key = 'format'").fetchone()[0]
        new = checksum("meta", ("format", "5"))
        db.execute("UPDATE meta SET value = '5', sum = ? WHERE key = 'format'", (new,))
        count(db, "meta", "", 0, old ^ new)
        entry = (SCHEMA, "", 1, schema_sum(db))
        db.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?, ?)", (*entry, checksum("tally", entry)))


def test_room_to_think_is_sent_and_planned(typed: Typed, thinking: Path) -> None:
    """It is added to max_tokens, and the plan counts it; a small budget is found before a request."""
    keys = ("target=2", "model.concurrency=1", "model.name=hosted_vllm/tiny")
    with ModelServer(thinker) as server:
        few = typed("check", *at(server, *keys))[1]
        more = typed("check", *at(server, *keys, "model.thinking_tokens=5000"))[1]
        status, out, err = typed(
            "check", *at(server, *keys, "model.thinking_tokens=5000", "budget.tokens=4000")
        )
        assert (status, "one request of ideas may take 5,0" in out + err) == (1, True)
        arguments = at(server, *keys, "model.thinking_tokens=5000", "model.reasoning_effort=low")
        assert typed(*arguments)[0] == 0
        sent = server.asked[0].body
    assert sent["max_tokens"] == 5050
    assert sent["reasoning_effort"] == "low"
    assert few != more
    assert "max_tokens includes model.thinking_tokens" in more


def test_check_names_what_a_model_does_not_take(typed: Typed, thinking: Path) -> None:
    """For each stage, with the value; or it refuses the recipe, at the key that sets it."""
    keys = ("recipe=tiny", "model.name=anthropic/claude-haiku-4-5", "model.sampling={seed: 5}")
    status, out, err = typed("check", *keys)
    assert status == 0, out + err
    assert "ideas: anthropic/claude-haiku-4-5 does not take seed=5, so its requests go without" in out + err
    status, out, err = typed("check", *keys, "model.unsupported=refuse")
    assert status == 1
    assert "model.sampling.seed" in out + err
    status, out, err = typed(
        "check", "recipe=tiny", "model.name=gpt-4o-mini", "model.sampling={temprature: 1}"
    )
    assert status == 1
    assert "write openai/gpt-4o-mini" in out + err
    assert "did you mean 'temperature'?" in out + err


def test_what_is_not_taken_is_not_sent(typed: Typed, thinking: Path) -> None:
    """The request in the journal is the one that was sent."""
    keys = ("target=2", "model.concurrency=1", "model.name=openai/o3-mini")
    with ModelServer(thinker) as server:
        status, out, err = typed(*at(server, *keys))
        assert status == 0, out + err
        sent = server.asked[0].body
    assert "temperature" not in sent
    assert sent["max_completion_tokens"] == 50
    assert "does not take temperature=0.5" in out + err
    with closing(sqlite3.connect(thinking / "run/run.sqlite")) as db:
        (sampling,) = db.execute("SELECT sampling FROM request LIMIT 1").fetchone()
    assert json.loads(sampling) == {"max_tokens": 50, "stop": ["###"]}


def test_a_schema_without_the_field_is_a_fault(typed: Typed, thinking: Path) -> None:
    """With the line to add; so is an export of a field that no record has."""
    status, out, err = typed("check", "recipe=tiny", "prompts.ideas.parse.reasoning=thought")
    assert status == 1
    assert "schema.ideas.properties.thought: {type: string}" in out + err
    status, out, err = typed("check", "recipe=tiny", "export.kept.reasoning_field=other")
    assert status == 1
    assert "export.kept" in out + err
