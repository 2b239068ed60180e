"""Conversations of two models: their turns and their end, and that only the replies decide their bytes."""

from __future__ import annotations

import json
import signal
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from conftest import Typed, lines
from killing import data, start, stored
from server import Answer, Asked, ModelServer, text
from tiny_recipe import write_tiny

from selfinstruct.journal.store import Journal
from selfinstruct.plan.estimate import estimate
from selfinstruct.recipe.compose import compose

USER = [
    {"role": "system", "content": "You ask about {{ subject }}."},
    {"role": "user", "content": "Begin."},
    {"turns": "swapped"},
]
ASSISTANT = [{"role": "system", "content": "You answer."}, {"turns": "same"}]
RULES = {
    "end": {"match": r"^You ask about(?s:.*)Answer", "reply": "{{ pick(['[END]', 'And so?']) }}"},
    "user": {"match": r"^You ask about (\w+)\.", "reply": "What is {{ match[0] }} {{ number(1, 99) }}?"},
    "assistant": {"match": "^You answer", "reply": "Answer {{ number(1, 999) }}."},
}  # fmt: skip
SUBJECTS = ["tea", "rain", "tin", "bread", "wool", "ice", "clay", "salt"]
SCHEMA = {
    "type": "object",
    "required": ["messages"],
    "properties": {"subject": {"type": "string"}, "messages": {"type": "array", "minItems": 2}},
}


def write(project: Path, model: dict[str, Any] | None = None, **more: Any) -> None:
    """The recipe `talk`: a conversation about each subject of a file."""
    write_tiny(project)
    rows = [json.dumps({"subject": one}) for one in SUBJECTS]
    (project / "subjects.jsonl").write_text("\n".join(rows) + "\n")
    parts: dict[str, Any] = {
        "pipeline": {
            "subjects": {"kind": "rows", "path": "subjects.jsonl"},
            "talks": {
                "kind": "converse",
                "turns": 3,
                "least": 1,
                "window": 3,
                "patience": 50,
                **more.get("options", {}),
            },
        },
        "prompts": {
            "talks": {
                "style": "chat",
                "variants": {
                    "user": {"messages": USER, **more.get("user", {})},
                    "assistant": {"messages": ASSISTANT, **more.get("assistant", {})},
                },
                "sampling": {"max_tokens": 60},
                "parse": {"kind": "text", "field": "content"},
            }
        },
        "filters": {"talks": more.get("filters", {})},
        "schema": {"subjects": {"properties": {"subject": {}}}, "talks": SCHEMA},
        "export": {name: {"messages": "messages"} for name in ("chat", "sharegpt", "trl")},
    }
    for group, content in parts.items():
        (project / f"conf/{group}/talk.yaml").write_text(yaml.safe_dump(content))
    options = {"rules": RULES, "replies": None, "delay": 0}
    scripted = {"kind": "scripted", "name": "scripted", "mode": "chat", "options": options}
    (project / "conf/model/talk.yaml").write_text(yaml.safe_dump(model or scripted))
    groups = [{f"override /{group}": "talk"} for group in ("model", *parts)]
    recipe = {"defaults": [*groups, {"override /mix": "tiny"}], "seeds": {"path": "seeds/tiny.jsonl"}}
    (project / "recipes/talk.yaml").write_text(yaml.safe_dump(recipe))


def ran(typed: Typed, *words: str) -> None:
    """Run the recipe to its end."""
    status, out, err = typed("recipe=talk", *words)
    assert status == 0, out + err


def talks(project: Path, run: str = "run") -> list[dict[str, Any]]:
    """The records of the conversations."""
    return lines(project / run / "talks.jsonl")


def test_the_turns_alternate_and_the_user_may_end_it(typed: Typed, project: Path) -> None:
    """At most `turns` turns, each begun by the user and ended by the assistant; the last word is left out."""
    write(project)
    ran(typed, "run_dir=run")
    found = talks(project)
    assert [row["subject"] for row in found] == SUBJECTS
    for row in found:
        roles = [one["role"] for one in row["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert not any("[END]" in one["content"] for one in row["messages"])
    assert {len(row["messages"]) for row in found} >= {2, 6}
    status, out, _ = typed("show", "run", found[-1]["id"])
    assert status == 0
    assert "message of the" in out


def test_the_story_of_a_conversation(typed: Typed, project: Path) -> None:
    """Its messages are readable, and its cost has all its turns."""
    write(project)
    ran(typed, "run_dir=run")
    one = max(talks(project), key=lambda talk: len(talk["messages"]))
    out = typed("show", "run", one["id"])[1]
    for message in one["messages"][:2]:
        assert f"{message['role']}: {message['content'][:20]}" in out
    told = json.loads(typed("show", "run", one["id"], "--json")[1])
    ended = len(one["messages"]) < 6  # by a reply of the user's that is no message
    assert told["cost"]["replies"] == len(one["messages"]) + ended


def test_neither_speed_nor_breaks_nor_growth_change_a_byte(typed: Typed, project: Path) -> None:
    """One at a time, many at once, cut off by a budget again and again, and with more rows later."""
    write(project, filters={"new": {"kind": "exact_duplicate", "field": "messages"}})
    ran(typed, "run_dir=calm", "model.concurrency=1")
    ran(typed, "run_dir=wide", "model.concurrency=16", "model.options.delay=0.05")
    for most in (7, 20, 33):
        status, *_ = typed("recipe=talk", "run_dir=cut", f"budget.requests={most}")
        assert status in (0, 3)
    ran(typed, "run_dir=cut")
    assert data(project / "calm") == data(project / "wide") == data(project / "cut")
    status, out, err = typed("replay", "calm", "run_dir=again")
    assert status == 0, out + err
    assert data(project / "again") == data(project / "calm")
    journals = [Journal(project / run / "run.sqlite") for run in ("calm", "cut", "again")]
    assert len({tuple(request.content for request in one.requests("talks")) for one in journals}) == 1
    assert journals[0].spent().requests == journals[1].spent().requests  # nothing was asked twice
    for journal in journals:
        journal.close()


def test_kills_change_no_byte(typed: Typed, project: Path) -> None:
    """Killed in the middle of a conversation, it asks nothing again that it has a reply to."""
    write(project)
    command = ("recipe=talk", "cache=off", "model.concurrency=3", "model.options.delay=0.1")
    ended = []
    for least in (5, 17, 30):
        process = start(project, *command, "run_dir=run")
        until = time.monotonic() + 30
        while len(stored(project / "run")) < least and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        process.kill()
        process.communicate()
        ended.append(process.returncode)
    before = stored(project / "run")
    assert ended[0] == -signal.SIGKILL  # a later process may have come to its end on a busy machine
    assert len(before) >= 30
    ran(typed, *command[1:], "run_dir=run")
    after = stored(project / "run")
    assert {place: after[place] for place in before} == before
    ran(typed, "cache=off", "run_dir=calm")
    assert data(project / "run") == data(project / "calm")


def two(asked: Asked) -> Answer:
    """The user asks by the number of what was said; the assistant answers what was asked last."""
    said = [one["content"] for one in asked.body["messages"]]
    if asked.body["model"] == "curious":
        return text(
            f"Question {len(said) - 1} about {said[0].split()[-1]}", delay=Random(str(said)).random() / 20
        )
    return text(f"Answer to {said[-1]}")


def test_each_side_has_its_own_model_and_sees_itself_as_the_assistant(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The roles are swapped for the one that plays the user; a second run has all replies from the cache."""
    monkeypatch.setenv("TINY_KEY", "sk-tiny-0123456789-secret")
    with ModelServer(two) as server:
        model = {"name": "openai/wise", "api_base": server.base, "api_key_env": "TINY_KEY", "concurrency": 4}
        write(project, model, user={"model": {"name": "openai/curious"}})
        for run in ("run", "again"):
            ran(typed, f"run_dir={run}")
        bodies = server.bodies
    assert data(project / "run") == data(project / "again")
    assert len(bodies) == 6 * len(SUBJECTS)
    last = [one for one in bodies if one["model"] == "curious" and "tea." in one["messages"][0]["content"]][
        -1
    ]
    assert [(one["role"], one["content"]) for one in last["messages"]] == [
        ("system", "You ask about tea."),
        ("user", "Begin."),
        ("assistant", "Question 1 about tea."),
        ("user", "Answer to Question 1 about tea."),
        ("assistant", "Question 3 about tea."),
        ("user", "Answer to Question 3 about tea."),
    ]
    wise = [one["messages"] for one in bodies if one["model"] == "wise"]
    assert {tuple(one["role"] for one in said) for said in wise} == {
        ("system", "user"),
        ("system", "user", "assistant", "user"),
        ("system", "user", "assistant", "user", "assistant", "user"),
    }
    status, out, _ = typed("check", "recipe=talk", "run_dir=new")
    assert status == 0
    assert "user     openai/curious, chat mode" in out


def test_bad_turns(typed: Typed, project: Path) -> None:
    """Each ends its conversation, with its check and a reason that names the message; the others go on."""
    numbered = {
        (1, 1): ("[END]", "stop"),  # ended at once
        (2, 1): ("Bye now. [END]", "stop"),
        (3, 2): ("", "stop"),
        (4, 4): ("It is so long that", "length"),
        (5, 3): ("", "stop"),
        (6, 3): ("[END]", "stop"),  # after one turn
    }
    script = [
        {"stage": "talks", "number": (row - 1) * 6 + place, "reply": said, "finish_reason": why}
        for (row, place), (said, why) in numbered.items()
    ]
    (project / "odd.jsonl").write_text("\n".join(map(json.dumps, script)))
    write(project)
    del_end = "~model.options.rules.end"
    ran(typed, "run_dir=run", "model.options.replies=odd.jsonl", del_end)
    rejected = {row["record"]["subject"]: row for row in lines(project / "run/rejected.jsonl")}
    assert {name: row["check"] for name, row in rejected.items()} == {
        "tea": "too_short",
        "rain": "too_short",
        "tin": "empty_reply",
        "bread": "cut",
        "wool": "empty_reply",
    }
    assert rejected["bread"]["reason"].startswith("message 4, assistant: ")
    assert len(rejected["bread"]["record"]["messages"]) == 3
    assert {row["subject"]: len(row["messages"]) for row in talks(project)} == {
        "ice": 2,
        "clay": 6,
        "salt": 6,
    }
    status, *_ = typed(
        "recipe=talk", "run_dir=few", "model.options.replies=odd.jsonl", del_end, "pipeline.talks.least=2"
    )
    assert status == 0
    checks = {row["record"]["subject"]: row["check"] for row in lines(project / "few/rejected.jsonl")}
    assert checks["ice"] == "too_short"


def test_a_useless_model_stops_the_run_early(typed: Typed, project: Path) -> None:
    """After as many conversations as patience says, not after all."""
    write(project, options={"window": 2})
    (project / "no.jsonl").write_text(json.dumps({"stage": "talks", "reply": ""}))
    words = (
        "run_dir=run",
        "model.options.replies=no.jsonl",
        "pipeline.talks.patience=4",
        "model.concurrency=1",
    )
    status, out, err = typed("recipe=talk", *words)
    assert status != 0
    assert "nothing could be used" in out + err
    assert len(lines(project / "run/rejected.jsonl")) == 2


def test_filters_see_each_turn_and_the_whole(typed: Typed, project: Path) -> None:
    """A message that a filter rejects takes its conversation with it; one side can be looked at alone."""
    checks = {
        "tea": {"kind": "matches", "field": "messages[user].content", "pattern": "tea"},
        "never": {"kind": "matches", "field": "messages[user].content", "pattern": "Answer"},
        "long": {"kind": "word_count", "field": "messages[*].content", "maximum": 9},
        "characters": {"kind": "stray_characters", "fields": ["messages[*].content"], "patterns": {"i": "i"}},
        "same": {"kind": "exact_duplicate", "field": "messages"},
    }
    write(project, filters={**checks, "characters": None})
    ran(typed, "run_dir=run")
    (rejected,) = lines(project / "run/rejected.jsonl")
    assert (rejected["check"], rejected["record"]["subject"]) == ("tea", "tea")
    assert rejected["reason"].startswith("message 1: ")
    for wrong, what in {
        "messages[0].content": "is not a field",
        "messages[*].text": "is not a field",
        "talk[*].content": "unknown field 'talk'",
    }.items():
        write(project, filters={"a": {"kind": "empty", "field": wrong}})
        status, _, err = typed("check", "recipe=talk")
        assert status == 1
        assert f"filters.talks.a: {what}" in err or what in err


def test_a_filter_can_correct_each_turn(typed: Typed, project: Path) -> None:
    """The record, the exports and the journal have the corrected text."""
    fields: dict[str, Any] = {"fields": ["messages[*].content"], "instruction": None}
    tokens = {"kind": "control_tokens", "tokens": {"end": "<end>"}, "also_text": {}, "pairs": {}, "asked": {}}
    write(project, filters={"tokens": {**tokens, **fields}})
    (project / "odd.jsonl").write_text(
        json.dumps({"stage": "talks", "match": "^You answer", "reply": "Yes.<end>"})
    )
    ran(typed, "run_dir=run", "model.options.replies=odd.jsonl")
    said = {one["content"] for row in talks(project) for one in row["messages"] if one["role"] == "assistant"}
    assert said == {"Yes."}


def test_exports_have_all_turns(typed: Typed, project: Path) -> None:
    """OpenAI's messages, ShareGPT's conversations, and TRL's prompt with the last answer as completion."""
    write(project)
    ran(typed, "run_dir=run")
    messages = [row["messages"] for row in talks(project)]
    folder = project / "run/dataset"
    assert [row["messages"] for row in lines(folder / "chat.jsonl")] == messages
    names = {"user": "human", "assistant": "gpt"}
    assert [row["conversations"] for row in lines(folder / "sharegpt.jsonl")] == [
        [{"from": names[one["role"]], "value": one["content"]} for one in turns] for turns in messages
    ]
    assert lines(folder / "trl.jsonl") == [
        {"prompt": turns[:-1], "completion": turns[-1:]} for turns in messages
    ]
    assert '"formatting": "sharegpt"' in (folder / "dataset_info.json").read_text()
    status, out, err = typed("finetune", "run", "train=files")
    assert status == 0, out + err
    assert [row["messages"] for row in lines(project / "run/model/train.jsonl")] == messages


def test_the_plan_is_near_the_run(typed: Typed, project: Path) -> None:
    """Exact if no conversation ends early; from twenty conversations on it knows their usual length."""
    write(project)
    recipe = compose(["recipe=talk"], project).recipe()
    assert estimate(recipe, project / "run").requests.expected == 6 * len(SUBJECTS)
    ran(typed, "run_dir=run", "~model.options.rules.end")
    with closing(Journal(project / "run/run.sqlite")) as journal:
        assert len(journal.taken("talks")) == 6 * len(SUBJECTS)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"user": {"messages": [{"role": "system", "content": "x"}, {"turns": "swapped"}]}}, "first message"),
        ({"user": {"parse": {"kind": "text", "field": "other"}}}, "read into one field, content"),
        (
            {"assistant": {"parse": {"kind": "text", "field": "content", "reasoning": "thought"}}},
            "reads content, thought; a turn is read into one field, content",
        ),
        ({"user": {"sampling": {"n": 3}}}, "variants.user.sampling.n: is 3, but a turn is one message"),
        (
            {"user": {"model": {"sampling": {"n": 3}}}},
            "talks.variants.user.model.sampling.n: is 3, but a turn is one message",
        ),
        ({"options": {"first": "title"}}, "unknown field 'title'"),
        ({"options": {"least": 4}}, "least (4) is more than turns (3): set least lower, or turns higher"),
        (
            {"assistant": {"messages": [{"turns": "same"}, {"role": "user", "content": "x"}]}},
            "end of the list",
        ),
        ({"user": {"model": "gpt"}}, "prompts.talks.variants.user.model: unknown model 'gpt'"),
        (
            {"assistant": {"messages": [{"role": "user", "content": "{{ subjcet }}"}]}},
            "did you mean 'subject'",
        ),
    ],
)
def test_faults(typed: Typed, project: Path, more: dict[str, Any], words: str) -> None:
    """Found before any request."""
    write(project, **more)
    status, out, err = typed("check", "recipe=talk")
    assert status == 1, out
    assert words in err
    assert "Traceback" not in err


def test_a_variant_with_a_fault_is_not_called_missing_too(typed: Typed, project: Path) -> None:
    """One fault, one message."""
    write(project, user={"parse": {"kind": "txt"}})
    status, _, err = typed("check", "recipe=talk")
    assert status == 1
    assert "recipe talk: 1 fault" in err
    assert "variants.user.parse: unknown parser 'txt'" in err


def test_a_thought_is_no_part_of_a_conversation(typed: Typed, project: Path) -> None:
    """Neither in its messages, nor in later prompts, and a stop word in a thought ends nothing."""
    write(project)
    ran(typed, "run_dir=plain")
    rules = {
        name: {**rule, "reply": f"<think>[END] Hm.</think>{rule['reply']}"} for name, rule in RULES.items()
    }
    options = {"rules": rules, "replies": None, "delay": 0}
    write(project, {"kind": "scripted", "name": "scripted", "mode": "chat", "options": options})
    ran(typed, "run_dir=run")
    assert talks(project) == talks(project, "plain")
    with closing(Journal(project / "run/run.sqlite")) as journal:
        asked = [*journal.requests("talks")]
        assert not any("Hm." in request.text for request in asked)
        replies = [journal.reply("talks", one.number) for one in asked]
    assert {reply and reply.thought for reply in replies} == {"[END] Hm."}


def test_a_prompt_without_both_variants_is_a_fault(typed: Typed, project: Path) -> None:
    """As is another variant."""
    write(project)
    for variants in ("{variants: {user: null}}", "{variants: {judge: {template: x}}}"):
        path = project / "conf/prompts/talk.yaml"
        section = yaml.safe_load(path.read_text())
        given = yaml.safe_load(variants)["variants"]
        own = {name: one or section["talks"]["variants"][name] for name, one in given.items()}
        section["talks"]["variants"] = own
        path.write_text(yaml.safe_dump(section))
        status, _, err = typed("check", "recipe=talk")
        assert status == 1
        assert "prompts.talks.variants.assistant: is missing" in err
        write(project)
