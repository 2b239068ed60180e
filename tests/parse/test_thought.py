"""Thought and answer: no draft of a model becomes a record, whichever way the thought is marked."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from hypothesis import given
from hypothesis import strategies as st

from selfinstruct.errors import Fault
from selfinstruct.parse import PARSERS, UNDECIDED, UNREADABLE, Parsed, Parser
from selfinstruct.parse.reading import candidates
from selfinstruct.parse.replies import CONTENT_FILTER, THINKING_CUT
from selfinstruct.parse.thought import apart, parted
from selfinstruct.records import Reply

DRAFT = '{"tasks": [{"instruction": "A draft that nobody wanted."}]}'
REAL = '{"tasks": [{"instruction": "A real task."}]}'
PARSERS_AND_REPLIES: dict[str, tuple[dict[str, Any], str, list[dict[str, Any]]]] = {
    "json": (
        {"fields": {"instruction": {}}, "items": "tasks"},
        REAL,
        [{"instruction": "A real task."}],
    ),
    "numbered_list": (
        {},
        "9. Name it.\n10. Sort it.",
        [{"instruction": "Name it."}, {"instruction": "Sort it."}],
    ),
    "choice": (
        {"field": "yes", "choices": {"Yes": {"value": True}, "No": {"value": False}}},
        "Yes",
        [{"yes": True}],
    ),
    "text": ({"field": "output"}, "A text.", [{"output": "A text."}]),
    "headed": ({"head": "Label:", "first_line": "a", "rest": "b"}, "Label: x\ny", [{"a": "x", "b": "y"}]),
    "sections": (
        {
            "split": "(?m)^Example",
            "divider": "Out:",
            "end": "In:",
            "lead": "In:",
            "before": "a",
            "after": "b",
        },
        "In: x\nOut: y",
        [{"a": "x", "b": "y"}],
    ),
    "numbered_fields": (
        {"separator": "###", "fields": {"a": "Ask", "b": "Out"}},
        "9. Ask: x\n9. Out: y",
        [{"a": "x", "b": "y"}],
    ),
}
THOUGHT = (
    "Let me try.\n1. Perhaps a kettle\n2. Or a violin\nLabel: z\nOut: z\n" + DRAFT + " No, that is wrong."
)
PAIRS = [
    ("<think>", "</think>"),
    ("<THINK>", "</THINK>"),
    ("\n<think>\n", "\n</think>\n\n"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>\n\n"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
]


def build(kind: str, **options: Any) -> Parser:
    """A parser with options of its own."""
    faults: list[Fault] = []
    made = PARSERS.build(kind, options, "parse", faults)
    assert made is not None, faults
    return made


def read(kind: str, text: str, finish_reason: str = "stop") -> list[Parsed]:
    """What becomes of a reply."""
    return candidates(build(kind, **PARSERS_AND_REPLIES[kind][0]), Reply(text, finish_reason), 8)


def usable(pieces: list[Parsed]) -> list[dict[str, Any]]:
    """The fields of those that no check rejected."""
    return [piece.data for piece in pieces if piece.check is None]


@pytest.mark.parametrize("kind", PARSERS_AND_REPLIES)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].strip())
class TestEveryParser:
    def test_closed(self, kind: str, pair: tuple[str, str]) -> None:
        """What follows a thought is all that is read."""
        _, reply, expected = PARSERS_AND_REPLIES[kind]
        assert usable(read(kind, f"{pair[0]}{THOUGHT}{pair[1]}{reply}")) == expected
        assert usable(read(kind, f"{pair[0]}{pair[1]}{reply}")) == expected

    def test_without_its_opening_mark(self, kind: str, pair: tuple[str, str]) -> None:
        """Some chat templates write the opening mark into the prompt."""
        _, reply, expected = PARSERS_AND_REPLIES[kind]
        assert usable(read(kind, f"{THOUGHT}\n{pair[1]}\n{reply}")) == expected

    @pytest.mark.parametrize("finish_reason", ["stop", "length"])
    def test_unclosed(self, kind: str, pair: tuple[str, str], finish_reason: str) -> None:
        """A reply that ends in its thought has no answer, whatever the provider says; nor has a label."""
        (piece,) = read(kind, f"{pair[0]}{THOUGHT}", finish_reason)
        assert piece.check == THINKING_CUT
        assert "max_tokens" in (piece.reason or "")
        assert "were spent on thinking" in (piece.reason or "")

    def test_nothing_after(self, kind: str, pair: tuple[str, str]) -> None:
        """A thought without an answer is not just an empty reply; the thought is kept with it."""
        text = f"{pair[0]}{THOUGHT}{pair[1]}\n"
        (piece,) = read(kind, text)
        assert piece.check == THINKING_CUT
        assert "were spent on thinking" in (piece.reason or "")
        assert piece.data == {"thought": THOUGHT}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>a</think>\n<think>b</think>\n\nc", "c"),
        ("<think>a</think>b\n</think>\n\nc", "c"),
        ("<think>I end it with `</think>` then.</think>c", "c"),
        ('<think>So "a".</think>"Yes"', '"Yes"'),
        ("It asks for one of two. </think> Yes", "Yes"),
        ("I think yes.</think>Yes", "Yes"),
        ("</think>Yes", "Yes"),
        ("I am in <think> mode.\nA draft.\n</think>\n\nc", "c"),
        ('A draft {"a": "b\n</think>\n\n{"a": "c"}', '{"a": "c"}'),
        ('5" pipes and {"a": "b"} and 6" pipes\n</think>\n{"a": "c"}', '{"a": "c"}'),
        ("<think>a</think><answer>b</answer>", "b"),
        ("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>b<|end_of_solution|>", "b"),
        ("<|channel|>final<|message|>c", "c"),
        ("analysisWe need a word.assistantfinalc", "c"),
        ("<think>a</think>b\n<think>more, a draft</think>\nc", "b\n\nc"),
        ('<think>a</think>{"b": "c"}\n<think>more, a draft', '{"b": "c"}\n'),
    ],
)
def test_where_the_answer_begins(text: str, answer: str) -> None:
    """Several thoughts, quoted marks, drafts in JSON, and what some models write around an answer."""
    assert parted(text)[:2] == (answer, True)


@pytest.mark.parametrize(
    "text",
    [
        "Use the <think> tag and close it with </think> at the end.",
        "The tag </think> ends the thought.",
        "Close it with `</think>`.",
        "Put “</think>” there.",
        "It ends with </think>, then the answer follows.",
        "Use these:\n<think>\nreasoning\n</think>\nThen answer.",
        "Like this:\n```\nfoo\n</think>\n```\nThen answer.",
        '{"output": "Explain what </think> does."}',
        '{"output": "First </think>Then"}',
        '{"output": "First\n</think>\nThen"}',
        '[{"input": "<think>a</think>", "output": "b"}]',
        "Yes",
        "",
    ],
)
def test_an_answer_that_speaks_of_thoughts(text: str) -> None:
    """It is whole: what counts is how a reply begins."""
    assert parted(text) == (text, False, False)
    assert apart(Reply(text)) == Reply(text)


def test_a_thought_before_an_answer_with_the_mark_in_a_string() -> None:
    """The mark in a JSON string of the answer ends no thought."""
    answer = '{"output": "a </think> b\\n</think>\\nc"}'
    assert parted(f"<think>x</think>\n{answer}")[0] == answer


def test_a_list_in_the_middle_of_which_a_model_thinks() -> None:
    """In a reply whose lines are no prose, a thought is one after a first line too."""
    found = read("json", f"Sure!\n<think>\n{DRAFT}\n</think>\n{REAL}")
    assert usable(found) == [{"instruction": "A real task."}]


@pytest.mark.parametrize(
    ("value", "check", "expected"),
    [
        ("<think>A draft.</think>Paris", None, "Paris"),
        ("Let me see.\n</think>\n\nParis", None, "Paris"),
        ("<think>A draft that never ends", UNREADABLE, None),
        ("<think>Only a draft.</think>", UNREADABLE, None),
        ("Write <think> before it.", None, "Write <think> before it."),
    ],
)
def test_a_thought_in_a_value(value: str, check: str | None, expected: str | None) -> None:
    """Some models put their thought into the string: it is taken off; one of nothing else is rejected."""
    texts = [("json", json.dumps({"tasks": [{"instruction": value}]}))]
    texts += [("sections", f"In: x\nOut: {value}")] if value.startswith("<") else []
    for kind, text in texts:
        (piece,) = read(kind, text)
        assert piece.check == check
        if check is None:
            assert expected in piece.data.values()
        else:
            assert "thought" in (piece.reason or "")


def test_the_filter_of_a_provider_comes_first() -> None:
    """What the provider withheld is not said to be cut."""
    (piece,) = read("json", "<think>Hm", CONTENT_FILTER)
    assert piece.check == CONTENT_FILTER


@given(st.text('ab <>/think`"\n{}:.', max_size=80), st.text("ab{}\"'\n ", max_size=30))
def test_nothing_of_a_closed_thought_is_read(thought: str, answer: str) -> None:
    """Whatever a thought has in it but its own marks, the answer is what follows it."""
    inner = thought.replace("<", "(")
    found, thinks, open = parted(f"<think>{inner}</think>{answer}")
    assert (found.strip(), thinks, open) == (answer.strip(), True, False)


@pytest.mark.parametrize(
    "text",
    [
        "</think>\n" * 29_000,
        "a </think> b" * 20_000,
        "a assistantfinal b" * 14_000,
        "<think>" * 37_000,
        "<think></think>" * 17_000,
        "x\n<think></think>\n" * 14_000,
        '{"' * 130_000,
        '"' * 260_000,
        "```\n" * 60_000 + "</think>",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile(text: str) -> None:
    """A quarter of a megabyte of marks takes a second or so."""
    began = time.process_time()
    parted(text, prose=False)
    assert time.process_time() - began < 10


def test_a_run_of_a_model_that_thinks(typed: Typed, project: Path) -> None:
    """Its drafts are in no file of the dataset, and the reason names the key of the stage and variant."""
    replies = [
        {
            "stage": "instructions",
            "number": 1,
            "reply": "1. A draft of a kettle\n</think>\n 9. Name two big lakes.\n10. Sort these seas.",
        },
        {"stage": "classification", "number": 1, "reply": "<think>\n\n</think>\n\nNo"},
        {"stage": "classification", "number": 2, "reply": "<think>It asks"},
        {"stage": "instances", "number": 1, "reply": "<think>Output: A draft.", "finish_reason": "length"},
    ]
    (project / "said.jsonl").write_text("\n".join(map(json.dumps, replies)), encoding="utf-8")
    (project / "recipes").mkdir()
    (project / "recipes" / "plain.yaml").write_text(
        "target: 2\nfilters: {instructions: {word_count: null}}\n"
    )
    status, _, err = typed(
        "recipe=plain", "model=scripted", "model.options.replies=said.jsonl", "run_dir=run"
    )
    assert status == 4, err  # no record is left
    made = [row["instruction"] for row in lines(project / "run/instructions.jsonl")]
    rejected = {(row["stage"], row["check"]): row["reason"] for row in lines(project / "run/rejected.jsonl")}
    assert made == ["Name two big lakes."]
    assert "prompts.classification.sampling.max_tokens" in rejected["classification", THINKING_CUT]
    key = "prompts.instances.variants.input_first.sampling.max_tokens"
    assert key in rejected["instances", THINKING_CUT]
    assert "draft" not in (project / "run/instances.jsonl").read_text()
    again = [f"{key}=900", "model.sampling.max_tokens=800", "fresh=true"]
    typed("recipe=plain", "model=scripted", "model.options.replies=said.jsonl", "run_dir=run", *again)
    rejected = {(row["stage"], row["check"]): row["reason"] for row in lines(project / "run/rejected.jsonl")}
    assert "raise model.sampling.max_tokens or model" in rejected["instances", THINKING_CUT]


@pytest.mark.parametrize("kind", PARSERS_AND_REPLIES)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].strip())
def test_what_is_stored_apart_is_read_alike(kind: str, pair: tuple[str, str]) -> None:
    """The journal's answer and thought give the same candidates as the text with both."""
    options, said, _ = PARSERS_AND_REPLIES[kind]
    parse = replace(build(kind, **options), reasoning="why")
    texts = [
        f"{pair[0]}{THOUGHT}{pair[1]}{said}",
        f"{pair[0]}{THOUGHT}",
        f"{pair[0]}{THOUGHT}{pair[1]}",
        said,
    ]
    texts += [f"{THOUGHT}\n{pair[1]}\n{said}", f"{pair[0]}a{pair[1]}<answer>{said}</answer>"]
    for reply in [Reply(text, why) for text in texts for why in ("stop", "length")]:
        stored = apart(reply)
        assert [one.data for one in candidates(parse, stored, 8)] == [
            one.data for one in candidates(parse, reply, 8)
        ]
        assert [one.check for one in candidates(parse, stored, 8)] == [
            one.check for one in candidates(parse, reply, 8)
        ]
        assert apart(stored) == stored
    (first, *_) = candidates(parse, apart(Reply(texts[0])), 8)
    assert first.data["why"] == THOUGHT


def test_each_choice_has_its_own_thought() -> None:
    """Several choices of one reply, and several candidates of one choice."""
    others = (("<think>Two.</think>9. Sort it.", "stop"), ("<think>Three", "stop"))
    reply = apart(Reply("<think>One.</think>9. Name it.\n10. Draw it.", others=others))
    assert [(one.text, one.thought) for one in reply.choices] == [
        ("9. Name it.\n10. Draw it.", "One."),
        ("9. Sort it.", "Two."),
        ("", "Three"),
    ]
    beside = apart(Reply("<think>More.</think><answer>9. Sort it.</answer>", thought="One."))
    assert (beside.text, beside.thought) == ("9. Sort it.", "One.\n\nMore.")
    parse = replace(build("numbered_list"), reasoning="why")
    found = [piece.data for piece in candidates(parse, reply.choices[0], 8)]
    assert found == [
        {"instruction": "Name it.", "why": "One."},
        {"instruction": "Draw it.", "why": "One."},
    ]


CLASSES: dict[str, Any] = {
    "field": "is_classification",
    "choices": {"yes": {"answers": ["Yes"], "value": True}, "no": {"answers": ["No"], "value": False}},
    "otherwise": "no",
}
LOST = {
    "empty": Reply(""),
    "cut": Reply("Well, this could", "length"),
    "thought": Reply("", "length", thought="Hm"),
    "hidden thought": Reply("", "length", thinking_tokens=3),
    "open thought": Reply("<think>Is it", "length"),
}


@pytest.mark.parametrize("case", LOST)
def test_a_lost_answer_is_not_a_no(case: str) -> None:
    """Neither an empty nor a cut one; the original counts these two as a no, but it knows no thoughts."""
    (piece,) = candidates(build("choice", **CLASSES), LOST[case])
    thinks = "thought" in case
    assert piece.check == (THINKING_CUT if thinks else UNDECIDED)
    (piece,) = candidates(build("choice", **CLASSES, when_refused="otherwise"), LOST[case])
    assert (piece.check, piece.data.get("is_classification")) == (
        (THINKING_CUT, None) if thinks else (None, False)
    )
    (piece,) = candidates(build("choice", **CLASSES), Reply("Well, this could be"))
    assert piece.data == {"is_classification": False}


@pytest.mark.parametrize("otherwise", ["undecided", "no"])
def test_a_value_that_is_no_answer_may_be_set_after_a_thought(otherwise: str) -> None:
    """So that a judge is asked again; a value that a model could have answered is not."""
    field = {"choices": {"yes": {}, "no": {}}, "otherwise": otherwise}
    parse = build("json", fields={"good": field}, single=True, when_unreadable="otherwise")
    (piece,) = candidates(parse, LOST["thought"])
    assert piece.check == (THINKING_CUT if otherwise == "no" else None)
    assert piece.data.get("good") == (None if otherwise == "no" else "undecided")
