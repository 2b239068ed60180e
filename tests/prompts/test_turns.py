"""Prompts with a list of messages: their faults, their texts, and what is the same in all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed
from tiny_recipe import write_tiny

from selfinstruct.config import PromptConfig
from selfinstruct.errors import Fault
from selfinstruct.prompts.asked import FilledPrompt, fixed_parts
from selfinstruct.prompts.building import build
from selfinstruct.prompts.rendering import TemplateFault
from selfinstruct.prompts.templates import Prompt, names_in
from selfinstruct.records import Message, Request

EXAMPLES = {"examples": {"user": "Do: {{ example.instruction }}", "assistant": "{{ example.output }}"}}
SYSTEM = {"role": "system", "content": "Be {{ tone }}."}
LAST = {"role": "user", "content": "Do: {{ instruction }}"}
START = {"role": "assistant", "content": "Sure, "}


def built(messages: list[Any], **keys: Any) -> tuple[list[Prompt], list[Fault]]:
    """The prompts of a section, and its faults."""
    section = {"messages": messages, "parse": {"kind": "text", "field": "output"}, **keys}
    faults: list[Fault] = []
    return build(PromptConfig.model_validate(section), "prompts.s", faults), faults


def test_the_messages_of_a_request() -> None:
    """Each example is two turns, in order; the last message is the prompt, and the start is after it."""
    (prompt,), faults = built([SYSTEM, EXAMPLES, LAST, START], variables={"tone": "kind"})
    assert faults == []
    shown = [{"instruction": str(number), "output": f"{number}!"} for number in (1, 2)]
    names = {"examples": shown, "instruction": "3"}
    assert prompt.fill(names)[:2] == ("Be kind.", "Do: 3")
    before, start = prompt.turns(names)
    assert [(one.role, one.text) for one in before] == [
        ("user", "Do: 1"),
        ("assistant", "1!"),
        ("user", "Do: 2"),
        ("assistant", "2!"),
    ]
    assert start == "Sure,"
    assert prompt.turns({"examples": [], "instruction": "3"})[0] == ()
    assert names_in([prompt]) == {"tone", "examples", "instruction"}


def test_what_all_requests_share() -> None:
    """Up to the first message with a value drawn; filters find the prompt's own words in every message."""
    rule = {"role": "user", "content": "Use words of one syllable."}
    (prompt,), _ = built([SYSTEM, rule, {"role": "assistant", "content": "I will."}, LAST],
                         variables={"tone": "kind"})  # fmt: skip
    before, _ = prompt.turns({"instruction": "3"})
    fixed = len("Be kind.") + len("Use words of one syllable.") + len("I will.") + len("Do: ")
    assert prompt.beginning("Be kind.", "Do: 3", before) == fixed
    assert {part.text for part in fixed_parts(prompt)} >= {"Use words of one syllable.", "I will."}
    (few,), _ = built([SYSTEM, EXAMPLES, LAST], variables={"tone": "kind"})
    shown = few.turns({"examples": [{"instruction": "1", "output": "2"}]})[0]
    assert few.beginning("Be kind.", "Do: 3", shown) == len("Be kind.")
    drawn = FilledPrompt(few, {}, lambda: {"examples": [{"instruction": "Sing", "output": "La", "x": "no"}]})
    assert drawn.texts == ["Sing", "La"]


@pytest.mark.parametrize(
    ("messages", "keys", "place", "words"),
    [
        ([LAST, SYSTEM], {}, "messages.1.role", "is not the first message"),
        ([SYSTEM, LAST], {"system": "Hm."}, "messages.0.role", "second system message"),
        ([LAST, LAST], {}, "messages.1.role", "follow each other"),
        ([START, LAST], {}, "messages.0.role", "the first turn is the assistant's"),
        ([LAST, EXAMPLES], {}, "messages.1.examples", "without an answer"),
        ([EXAMPLES], {}, "messages", "no message of the user"),
        ([{"role": "user"}], {}, "messages.0.content", "is missing"),
        ([{"content": "x"}], {}, "messages.0.role", "is missing"),
        ([{**EXAMPLES, "role": "user"}, LAST], {}, "messages.0", "and a message of its own"),
        ([LAST], {"template": "x"}, "template", "there are messages too"),
        ([LAST], {"opens": "user"}, "messages", "ends with a user's message"),
        ([{"role": "user", "content": "{% if %}"}], {}, "messages.0.content", "line 1"),
        ([{"examples": {"user": "{{", "assistant": "x"}}, LAST], {}, "messages.0.examples.user", "line 1"),
        ([LAST, {"role": "assistant", "content": "{{ }}"}], {}, "messages.1.content", "line 1"),
    ],
)
def test_faults(messages: list[Any], keys: dict[str, Any], place: str, words: str) -> None:
    """Each has its place."""
    _, faults = built(messages, **keys)
    assert [fault.where for fault in faults if words in fault.what] == [f"prompts.s.{place}"]


def test_a_name_that_does_not_exist_is_found_in_its_message(project: Path, typed: Typed) -> None:
    """With the nearest name, and before any request."""
    write_tiny(project)
    wrong = {"user": "{{ example.instrucion }}", "assistant": "x"}
    messages = [{"examples": wrong}, {"role": "user", "content": "More."}]
    section = {"style": "chat", "messages": messages, "parse": {"kind": "numbered_list"}}
    (project / "conf/prompts/tiny.yaml").write_text(yaml.safe_dump({"ideas": section}))
    status, _, err = typed("check", "recipe=tiny")
    assert status == 1
    assert "prompts.ideas.messages.0.examples.user: " in err
    assert "did you mean 'instruction'" in err


def test_what_needs_examples_without_any_is_found(project: Path, typed: Typed) -> None:
    """A template that shows the first of none, and messages for examples in a stage that draws none."""
    write_tiny(project)
    status, _, err = typed("check", "recipe=tiny", "mix.examples=0")
    assert status == 1
    assert "prompts.ideas.template" in err
    (prompt,), _ = built([EXAMPLES, LAST])
    with pytest.raises(TemplateFault, match="only a stage of kind bootstrap draws examples"):
        prompt.turns({"instruction": "3"})


def test_several_turns_need_a_chat(project: Path, typed: Typed) -> None:
    """A model that completes a text needs a chat template for them."""
    write_tiny(project)
    said = {"user": "Hi.", "assistant": "Yes?"}
    turns = [*({"role": role, "content": text} for role, text in said.items()), LAST | {"content": "More."}]
    section = {"style": "chat", "messages": turns, "parse": {"kind": "numbered_list"}}
    (project / "conf/prompts/tiny.yaml").write_text(yaml.safe_dump({"ideas": section}))
    status, _, err = typed("check", "recipe=tiny", "model.mode=completion")
    assert status == 1
    assert "prompts.ideas.messages: has several turns" in err
    status, _, err = typed("check", "recipe=tiny", "mix.examples=0")
    assert "prompts.ideas.messages" not in err


def test_a_variant_may_replace_the_text_by_messages() -> None:
    """And the other way round; neither is inherited then."""
    config = PromptConfig.model_validate(
        {
            "template": "T",
            "parse": {"kind": "text", "field": "output"},
            "variants": {"a": {"messages": [LAST]}, "b": {}, "c": {"opens": "user"}},
        }
    )
    faults: list[Fault] = []
    a, b, c = build(config, "prompts.s", faults)
    assert faults == []
    assert (a.template, b.template, c.template, c.opens) == ("Do: {{ instruction }}", "T", "", "user")


def test_the_digest_of_a_request_without_turns_is_that_of_earlier_versions() -> None:
    """So that old caches keep their value; turns make another one."""
    plain = Request("ideas", 1, "Go on.", "Be brief.", {"max_tokens": 5})
    assert plain.content.hex() == "510f23c62f8245319b26d5465c9b4f77"
    others = [
        Request("ideas", 1, "Go on.", "Be brief.", {"max_tokens": 5}, before=(Message("user", "x"),)),
        Request("ideas", 1, "Go on.", "Be brief.", {"max_tokens": 5}, before=(Message("assistant", "x"),)),
        Request("ideas", 1, "Go on.", "Be brief.", {"max_tokens": 5}, start="x"),
        Request("ideas", 1, "Go on.", "Be brief.", {"max_tokens": 5}, opens="user"),
    ]
    assert len({one.content for one in (plain, *others)}) == 5
