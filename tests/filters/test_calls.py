"""The filters of tool calls, each with the reason for its rejection."""

from __future__ import annotations

from typing import Any

import pytest

from selfinstruct.filters import FILTERS
from selfinstruct.records import Record

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "town": {"type": "string"},
                    "days": {"type": "integer", "maximum": 7},
                    "parts": {"type": "array", "items": {"enum": ["sun", "rain"]}},
                },
                "required": ["town"],
            },
        },
    },
    {"type": "function", "function": {"name": "tell_time"}},
]
WEATHER = "get_weather: arguments"
BERGEN = {"name": "get_weather", "arguments": {"town": "Bergen"}}
TIME: dict[str, Any] = {"name": "tell_time", "arguments": {}}


def call(**arguments: Any) -> dict[str, Any]:
    """A call about Bergen."""
    return {"name": "get_weather", "arguments": {"town": "Bergen", **arguments}}


def rejected(kind: str, data: dict[str, Any], **options: Any) -> str | None:
    """The reason of a filter; None if the record passes."""
    check = FILTERS.build(kind, options, "filters.calls", [])
    assert check
    assert check.each
    rejection = check.each(Record("calls-1-0", "calls", 1, 0, data))
    return rejection.reason if rejection else None


@pytest.mark.parametrize(
    ("needs", "calls", "reason"),
    [
        ("none", [], None),
        ("one", [BERGEN], None),
        ("several", [BERGEN, call(days=7, parts=["rain"]), TIME], None),
        (2, [BERGEN, TIME], None),
        ("one", [call(days=12)], "get_weather: arguments.days: 12 is greater than the maximum of 7"),
        ("one", [call(parts=["sun", "fog"])], f"{WEATHER}.parts[1]: 'fog' is not one of ['sun', 'rain']"),
        ("one", [{"name": "get_weather", "arguments": {}}], f"{WEATHER}: 'town' is a required property"),
        (
            "several",
            [TIME, {"name": "get_wether", "arguments": {}}],
            "call 2: unknown tool 'get_wether'; did you mean 'get_weather'? known: get_weather, tell_time",
        ),
        (
            "one",
            [call(day=2)],
            f"{WEATHER}.day: unknown argument 'day'; did you mean 'days'? known: days, parts, town",
        ),
        ("none", [TIME], "1 call where the request was to need no calls"),
        ("one", [], "no calls where the request was to need 1 call"),
        ("several", [TIME], "1 call where the request was to need several calls"),
        ("several", [TIME, BERGEN, TIME], "calls 1 and 3 are the same"),
        ("many", [TIME], 'needs is "many", not none, one, several or a number'),
        ("one", ["tell_time"], '"tell_time" is not a call with name and arguments'),
        ("one", [{"name": "tell_time", "arguments": "now"}], "tell_time: the arguments are not an object"),
    ],
)  # fmt: skip
def test_calls_fit_their_tools_and_their_request(needs: Any, calls: list[Any], reason: str | None) -> None:
    """The reason names the tool, the path to the argument, and the fault."""
    assert rejected("valid_calls", {"calls": calls, "tools": TOOLS, "needs": needs}, needs="needs") == reason


def test_unknown_arguments_can_be_accepted() -> None:
    """By the filter's option; without `needs` any number of calls passes."""
    data = {"calls": [call(day=2), TIME], "tools": TOOLS}
    assert rejected("valid_calls", data, unknown_arguments=True) is None
    assert rejected("valid_calls", data)


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([{"a": 1}, "late"], None),
        ([0, False], None),
        ([{"a": 1}], "1 result for 2 calls"),
        ([], "no results for 2 calls"),
        ([{"a": 1}, {}], "result 2 is empty"),
        ("none", "results is not a list of results"),
    ],
)
def test_each_call_has_a_result(results: Any, reason: str | None) -> None:
    """As many results as calls, none of them empty."""
    assert rejected("result_of_each_call", {"results": results, "calls": [BERGEN, TIME]}) == reason
