"""The recipe `tools`: from lists of tools to rows with calls, by a script and by a server's native calls."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed, lines
from jsonschema import Draft202012Validator
from killing import data, start, stored
from server import Answer, Asked, ModelServer, completion, text

from selfinstruct.plan.estimate import estimate
from selfinstruct.project.layout import packaged
from selfinstruct.recipe.compose import compose

SCRIPTED = ("recipe=tools", "model=scripted")
TOWN = {"type": "string", "description": "the town"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Gives the weather.",
        "parameters": {
            "type": "object",
            "properties": {"town": TOWN, "days": {"type": "integer", "maximum": 7}},
            "required": ["town"],
        },
    },
}


def ran(typed: Typed, *arguments: str) -> None:
    """Run a recipe to its end."""
    status, out, err = typed(*arguments)
    assert status == 0, out + err


def test_a_run_has_as_many_calls_as_were_asked_for(typed: Typed, project: Path) -> None:
    """Each call fits its tool, each has a result, and requests without a need have their answer at once."""
    ran(typed, *SCRIPTED, "target=40", "run_dir=run")
    rows = lines(project / "run/calls.jsonl")
    assert {row["needs"] for row in rows} == {"none", "one", "several"}
    for row in rows:
        least, most = {"none": (0, 0), "one": (1, 1), "several": (2, 9)}[row["needs"]]
        assert least <= len(row["calls"]) <= most
        assert len(row.get("results", [])) == len(row["calls"])
        assert row["output"]
        known = {tool["function"]["name"]: tool["function"]["parameters"] for tool in row["tools"]}
        for call in row["calls"]:
            Draft202012Validator(known[call["name"]]).validate(call["arguments"])
    rejected = [row for row in lines(project / "run/rejected.jsonl") if row["check"] == "valid_calls"]
    assert rejected
    assert all("is a required property" in row["reason"] for row in rejected)
    chat = lines(project / "run/dataset/chat.jsonl")
    calling = [row for row in chat if any("tool_calls" in turn for turn in row["messages"])]
    assert 0 < len(calling) < len(chat) == len(rows)


def test_the_plan_is_right(typed: Typed, project: Path) -> None:
    """Within a tenth of what a run asks."""
    words = [*SCRIPTED, "target=100", "run_dir=run"]
    expected = estimate(compose(words, project).recipe(), project / "run").requests.expected
    ran(typed, *words)
    asked = len(stored(project / "run"))
    assert abs(asked - expected) <= 0.1 * expected


def test_the_same_bytes_however_it_was_run(typed: Typed, project: Path) -> None:
    """At any concurrency, and across a kill."""
    ran(typed, *SCRIPTED, "target=12", "run_dir=one", "model.concurrency=1")
    ran(typed, *SCRIPTED, "target=12", "run_dir=many", "model.concurrency=64", "model.options.delay=0.02")
    slow = ("target=12", "model.options.delay=0.3", "model.concurrency=2", "run_dir=killed")
    process = start(project, *SCRIPTED, *slow)
    while process.poll() is None and len(stored(project / "killed")) < 8:
        pass
    assert process.poll() is None, "it came to its end before it was killed"
    process.kill()
    process.communicate()
    ran(typed, *SCRIPTED, "target=12", "run_dir=killed")
    runs = [data(project / name) for name in ("one", "many", "killed")]
    assert all(run == runs[0] for run in runs)


def native(asked: Asked) -> Answer:
    """A server whose model calls tools natively, with null content."""
    system = asked.body["messages"][0]["content"]
    if system.startswith("You write requests"):
        words = [f"How warm is it in {town} today?" for town in ("Bergen", "Split", "Quito")]
        return text(json.dumps({"requests": [{"instruction": word} for word in words]}))
    if system.startswith("You are a helpful assistant that can call"):
        town = re.search(r"in (\w+) today", asked.prompt)
        assert town
        arguments = {"town": town[1], "days": 12 if town[1] == "Quito" else 1}
        body = completion(asked, "", "tool_calls")
        call = {"name": "get_weather", "arguments": json.dumps(arguments)}
        message = {"role": "assistant", "content": None}
        message["tool_calls"] = [{"id": "a", "type": "function", "function": call}]  # type: ignore[assignment]
        body["choices"][0]["message"] = message
        return Answer(body)
    if system.startswith("You play the systems"):
        return text('{"results": [{"celsius": 14.5}]}')
    return text("It is 14.5 degrees there today.")


def test_a_server_with_native_calls(typed: Typed, project: Path) -> None:
    """The tools go to it as its own, only where they may be called, and the prompt does not repeat them."""
    (project / "recipes").mkdir()
    recipe = {
        "defaults": ["tools", {"override /model": "vllm"}, "_self_"],
        "pipeline": {"instructions": {"lines": {"tools": [[WEATHER]], "needs": ["one"]}}},
        "filters": {"instructions": {"rouge_l": None}},
    }
    (project / "recipes/mine.yaml").write_text("# Mine.\n" + yaml.safe_dump(recipe), encoding="utf-8")
    with ModelServer(native) as server:
        where = (f"model.api_base={server.base}", "model.name=hosted_vllm/m", "model.mode=chat")
        ran(typed, "recipe=mine", *where, "target=3", "run_dir=run")
    calling = [body for body in server.bodies if "tools" in body]
    assert [body["tools"] for body in calling] == [[WEATHER]] * 3
    assert all("get_weather" not in json.dumps(body["messages"]) for body in calling)
    rows = lines(project / "run/dataset/chat.jsonl")
    towns = [json.loads(row["messages"][1]["tool_calls"][0]["function"]["arguments"]) for row in rows]
    assert towns == [{"town": "Bergen", "days": 1}, {"town": "Split", "days": 1}]
    (rejected,) = lines(project / "run/rejected.jsonl")
    assert rejected["reason"] == "get_weather: arguments.days: 12 is greater than the maximum of 7"


def tool(**function: Any) -> dict[str, Any]:
    """A tool with a fault."""
    return {"type": "function", "function": {**WEATHER["function"], **function}}  # type: ignore[dict-item]


FAULTS = {
    "no list": ({"a": 1}, "tools.jsonl line 2: is not a list of tools"),
    "empty": ([], "tools.jsonl line 2: is not a list of tools"),
    "another form": ([WEATHER["function"]], "tools.jsonl line 2 tool 1: is not a tool in OpenAI's form"),
    "a name": (
        [tool(name="get weather")],
        "tools.jsonl line 2 tool 1: function.name: 'get weather' is not accepted by all providers",
    ),
    "two of a name": ([WEATHER, WEATHER], "line 2: has two tools with the name 'get_weather'"),
    "no object": (
        [tool(parameters={"type": "string"})],
        "line 2 tool 1 (get_weather): function.parameters: is not the schema of an object",
    ),
    "no schema": (
        [tool(parameters={"type": "object", "properties": {"town": {"type": "text"}}})],
        "(get_weather): function.parameters.properties.town.type: is not a valid JSON Schema: 'text'",
    ),
    "a reference": (
        [tool(parameters={"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}})],
        "(get_weather): function.parameters: $ref '#/$defs/b' leads nowhere",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_tools_are_found_by_check(typed: Typed, project: Path, fault: str) -> None:
    """With the line, the tool and the place in its schema, before anything is asked."""
    value, said = FAULTS[fault]
    content = "".join(json.dumps(one) + "\n" for one in ([WEATHER], value))
    (project / "tools.jsonl").write_text(content, encoding="utf-8")
    status, _, err = typed("check", *SCRIPTED, "pipeline.instructions.lines.tools=tools.jsonl")
    assert status == 1
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_faults_of_a_file_a_list_and_the_seeds(typed: Typed, project: Path) -> None:
    """All of them at once: broken JSON, a tool in the recipe, a tool of a seed task."""
    (project / "tools.jsonl").write_text("[\n", encoding="utf-8")
    seed = {"id": "mine", "instruction": "How warm is it?", "needs": "one", "tools": [tool(name="1st")]}
    (project / "mine.jsonl").write_text(json.dumps(seed) + "\n", encoding="utf-8")
    (project / "recipes").mkdir()
    recipe = {
        "defaults": ["tools", {"override /model": "scripted"}, "_self_"],
        "seeds": {"path": "mine.jsonl"},
        "mix": {"examples": 1, "generated": 0},
        "pipeline": {"instructions": {"lines": {"tools": [[tool(name="é")]]}}},
    }
    (project / "recipes/mine.yaml").write_text("# Mine.\n" + yaml.safe_dump(recipe), encoding="utf-8")
    _, _, err = typed("check", "recipe=mine")
    whole = " ".join(err.split())
    assert "pipeline.instructions.lines.tools.0 tool 1: function.name: 'é'" in whole
    assert "mine.jsonl: seed task mine: tools tool 1: function.name: '1st'" in whole
    _, _, err = typed("check", *SCRIPTED, "pipeline.instructions.lines.tools=tools.jsonl")
    assert "tools.jsonl line 1: is not valid JSON" in " ".join(err.split())


def test_a_prompt_that_shows_its_tools_nowhere(typed: Typed, project: Path) -> None:
    """A model that takes none would never see them."""
    words = ["prompts.calls.system=null", "prompts.calls.template='{{ instruction }}'"]
    status, _, err = typed("check", *SCRIPTED, *words)
    assert status == 1
    assert "prompts.calls.template: does not show 'tools'" in " ".join(err.split())
    status, _, err = typed("check", *SCRIPTED, "prompts.calls.tools=tool")
    assert status == 1
    assert "'tool'" in err


def test_the_tools_that_come_with_it_fit_the_calls_of_its_seeds() -> None:
    """Every seed task passes the checks that its requests have to pass."""
    from selfinstruct.filters import FILTERS
    from selfinstruct.records import Record
    from selfinstruct.schema.tools import tool_faults

    check = FILTERS.build("valid_calls", {"needs": "needs"}, "filters.calls", [])
    assert check
    assert check.each
    for number, task in enumerate(lines(packaged() / "seeds/tools/requests.jsonl")):
        assert tool_faults(task["tools"], "here") == []
        assert check.each(Record("a", "seeds", number, 0, task)) is None, task["id"]
