"""Filters of tool calls: whether they fit their tools, and whether each has a result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.records import Record, Rejection
from selfinstruct.schema.tools import wrong_call

SEVERAL = "several"
_NUMBERS = {"none": 0, "one": 1}
SHOWN = 200  # characters of a call in a reason


@FILTERS.register
def valid_calls(
    *,
    field: str = "calls",
    tools: str = "tools",
    needs: str | None = None,
    unknown_arguments: bool = False,
) -> Filter:
    """Rejects calls of unknown tools, arguments that do not validate, and too many or too few calls.

    Each argument is validated against the tool's JSON Schema; the reason has the path of the first fault. Two
    calls with the same arguments are rejected too.

    Args:
        field: the field with the calls, a list of {name, arguments}.
        tools: the field with the tools, in OpenAI's form.
        needs: the field that says how many calls there should be: none, one, several, or a number; null
            accepts any number.
        unknown_arguments: accept arguments that the tool's schema does not name. If the schema itself says
            what further arguments may be (additionalProperties), that decides.
    """

    def each(record: Record) -> Rejection | None:
        calls = record.data.get(field)
        if not isinstance(calls, list):
            return Rejection(f"{field} is not a list of calls")
        wanted = None if needs is None else record.data.get(needs)
        reason = _count(len(calls), wanted, needs)
        if reason:
            return Rejection(reason, {"calls": len(calls)})
        for place, call in enumerate(calls, 1):
            wrong = _wrong(call, record.data.get(tools), not unknown_arguments)
            if wrong:
                before = f"call {place}: " if len(calls) > 1 else ""
                return Rejection(f"{before}{wrong}", {"call": place})
        return _twice(calls)

    fields = (field, tools, *([] if needs is None else [needs]))
    return Filter(each=each, fields=fields)


@FILTERS.register
def result_of_each_call(*, field: str = "results", calls: str = "calls") -> Filter:
    """Rejects a list of results that is not as long as the list of calls, or that has an empty result.

    Args:
        field: the field with the results, in the order of the calls.
        calls: the field with the calls.
    """

    def each(record: Record) -> Rejection | None:
        results, called = record.data.get(field), record.data.get(calls)
        if not isinstance(results, list) or not isinstance(called, list):
            return Rejection(f"{field} is not a list of results")
        if len(results) != len(called):
            detail = {"results": len(results), "calls": len(called)}
            return Rejection(
                f"{_counted(len(results), 'result')} for {_counted(len(called), 'call')}", detail
            )
        empty = next((place for place, one in enumerate(results, 1) if one in (None, "", {})), None)
        return None if empty is None else Rejection(f"result {empty} is empty", {"call": empty})

    return Filter(each=each, fields=(field, calls))


def _count(number: int, wanted: Any, field: str | None) -> str | None:
    """Why so many calls are wrong; None if they are not."""
    if field is None:
        return None
    least = _NUMBERS.get(wanted) if isinstance(wanted, str) else wanted
    if wanted == SEVERAL:
        right, said = number > 1, "several calls"
    elif isinstance(least, int) and not isinstance(least, bool):
        right, said = number == least, _counted(least, "call")
    else:
        return f"{field} is {json.dumps(wanted, default=str)[:40]}, not none, one, several or a number"
    return None if right else f"{_counted(number, 'call')} where the request was to need {said}"


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _wrong(call: Any, tools: Any, strict: bool) -> str | None:
    if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
        return f"{json.dumps(call, default=str)[:SHOWN]} is not a call with name and arguments"
    return wrong_call(call["name"], call.get("arguments"), tools, strict)


def _twice(calls: Sequence[Any]) -> Rejection | None:
    seen: dict[str, int] = {}
    for place, call in enumerate(calls, 1):
        first = seen.setdefault(json.dumps(call, sort_keys=True), place)
        if first != place:
            return Rejection(f"calls {first} and {place} are the same", {"call": place})
    return None
