"""The start of an answer, which the model continues: how each provider gets it, and the reply with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from results import row
from server import Asked, ModelServer, text
from tiny_recipe import at, write_tiny

from selfinstruct.config import ModelConfig
from selfinstruct.llm.prefill import AS_IT_IS, MARKED, OF_VLLM, continued, prefill_of
from selfinstruct.parse.thought import apart
from selfinstruct.records import Reply, Request

PROMPTS = """
ideas:
  style: chat
  messages:
    - {role: system, content: "Be brief."}
    - examples: {user: "One more, please.", assistant: "1. {{ example.instruction }}"}
    - {role: user, content: "One more, please."}
    - {role: assistant, content: "1. Write"}
  sampling: {max_tokens: 50}
  parse: {kind: numbered_list}
"""


def model(name: str, **keys: Any) -> ModelConfig:
    """A model's keys."""
    return ModelConfig.model_validate({"name": name, **keys})


def test_who_takes_a_start() -> None:
    """DeepSeek and Mistral with a mark, vLLM with two parameters, Claude unless LiteLLM's list denies it."""
    assert prefill_of(model("deepseek/deepseek-chat")) is MARKED
    assert prefill_of(model("mistral/mistral-small-latest")) is MARKED
    assert prefill_of(model("hosted_vllm/any")) is OF_VLLM
    assert prefill_of(model("anthropic/claude-3-haiku-20240307")) is AS_IT_IS
    assert prefill_of(model("local", kind="local")) is AS_IT_IS
    for name in ("openai/gpt-4o-mini", "gemini/gemini-2.5-flash", "groq/unknown"):
        assert prefill_of(model(name)) is None, name


def test_a_reply_has_the_start_once() -> None:
    """Also each further choice; an empty reply stays empty."""
    asked = Request("ideas", 1, "Go on.", start="1. Write")
    reply = continued(asked, Reply(" a poem.", others=(("1. Write a song.", "stop"), (" it.", "length"))))
    assert reply.text == "1. Write a poem."
    assert reply.others == (("1. Write a song.", "stop"), ("1. Write it.", "length"))
    assert continued(asked, Reply("")).text == ""
    assert continued(Request("ideas", 1, "Go on."), Reply("Yes.")).text == "Yes."


@pytest.mark.parametrize(
    ("start", "reply", "answer", "thought"),
    [
        ("1. Write", Reply("<think>Of what?</think>\n a poem."), "1. Write a poem.", "Of what?"),
        ("1. Write", Reply("Of what?</think>\n a poem."), "1. Write a poem.", "Of what?"),
        ("1. Write", Reply(" a poem.", thought="Of what?"), "1. Write a poem.", "Of what?"),
        ("1. Write", Reply("<think>Of what", "length"), "", "Of what"),
        ("<think>Briefly:", Reply(" of what?</think>A poem."), "A poem.", "Briefly: of what?"),
        ("<think>Briefly:", Reply("A poem.", thought="of what?"), "A poem.", "Briefly:\n\nof what?"),
        ("<think></think>", Reply("A poem."), "A poem.", ""),
    ],
)
def test_the_start_belongs_to_the_answer_and_not_to_a_thought(
    start: str, reply: Reply, answer: str, thought: str
) -> None:
    """A model that thinks before it continues; and a start that opens the thought, or leaves it out."""
    asked = Request("ideas", 1, "Go on.", start=start)
    for one in (
        reply,
        Reply("A", others=((reply.text, reply.finish_reason),), other_thoughts=(reply.thought,)),
    ):
        whole = apart(continued(asked, one)).choices[-1]
        assert (whole.text.replace("\n", ""), whole.thought) == (answer, thought)


@pytest.fixture
def written(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe `tiny` with a list of messages."""
    monkeypatch.setenv("TINY_KEY", "sk-tiny-0123456789-secret")
    write_tiny(project)
    (project / "conf/prompts/tiny.yaml").write_text(PROMPTS)
    return project


@pytest.mark.parametrize("transport", ["direct", "litellm"])
@pytest.mark.parametrize(
    ("name", "mark", "body"),
    [
        ("hosted_vllm/tiny", {}, {"continue_final_message": True, "add_generation_prompt": False}),
        ("mistral/mistral-tiny", {"prefix": True}, {}),
        ("deepseek/deepseek-chat", {"prefix": True}, {}),
    ],
)
def test_what_the_provider_gets(
    written: Path, typed: Typed, transport: str, name: str, mark: dict[str, Any], body: dict[str, Any]
) -> None:
    """All messages in order, the few-shot example as two turns, and the start last, with its mark."""
    with ModelServer(lambda asked: text(f" about case {asked.number}.")) as server:
        how = (
            "model.concurrency=1",
            "model.timeout=60",
        )  # a busy machine may take longer than the usual 10 s
        words = at(server, f"model.name={name}", f"model.transport={transport}", "target=2", *how)
        status, out, err = typed(*words)
        assert status == 0, out + err
        asked: Asked = server.asked[0]
    *before, last = asked.body["messages"]
    assert [one["role"] for one in before] == ["system", "user", "assistant", "user"]
    assert before[2]["content"].startswith("1. ")
    assert {key: last[key] for key in ("role", "content", *mark)} == {
        "role": "assistant",
        "content": "1. Write",
        **mark,
    }
    assert {key: asked.body.get(key) for key in body} == body
    made = [row["instruction"] for row in lines(written / "run/ideas.jsonl")]
    assert made == ["Write about case 1.", "Write about case 2."]
    status, out, _ = typed("show", "run", "ideas-000001-0")
    assert status == 0
    assert "start of the answer" in out
    assert "message of the assistant" in out


def test_a_model_that_takes_none_is_a_fault(written: Path, typed: Typed) -> None:
    """Named with its place before any request."""
    status, _, err = typed("check", "recipe=tiny", "model.name=openai/gpt-4o-mini")
    assert status == 1
    assert "prompts.ideas.messages.3.content: openai/gpt-4o-mini is not known to continue" in err


def test_a_model_that_takes_only_whole_messages(typed: Typed, project: Path) -> None:
    """It cannot be given the opening of one; a server of one's own may have its name."""
    keys = ("check", "recipe=magpie", "model=openai", "model.mode=completion")
    status, out, err = typed(*keys)
    assert status == 1, out
    assert (
        "prompts.instructions.opens: openai/gpt-4o-mini takes whole messages, not the opening of one" in err
    )
    status, out, err = typed(
        *keys, "model.api_base=http://127.0.0.1:9/v1", "model.price={input: 1, output: 1}"
    )
    assert status == 0, err
    assert row(out, "instructions")[1] != "0"
