"""Change a server's answers so that LiteLLM can read them.

LiteLLM refuses a whole reply because of a number in `usage` that is not an integer or a text in parts. It
makes up a choice if there is none, and drops the provider's own finish reason in completion mode. It reads an
error with status 200 in only one mode. So of an answer in OpenAI's form only the values that LiteLLM reads
are kept, and only if they have the right type. Each answer passes through here first (see `guard`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from selfinstruct.llm.bodies import LONGEST_NAME, cut_error, named, parsed

OPENAI, ANTHROPIC = ("/completions", "/embeddings"), "/messages"  # the ends of their paths
TUNING = ("/files", "/fine_tuning/")  # parts of the paths of tuning jobs, whose answers need no repair
TEXTS = ("text", "output_text")  # types of a part that is text
NATIVE = "native_finish_reason"  # LiteLLM keeps the provider's own reason here in chat mode
FAILED = 502
CUT = ("model_context_window_exceeded", "pause_turn")  # Anthropic's, which LiteLLM takes for a normal end
MOST_KINDS = 100  # of tokens
MOST = 10**15  # a larger number is not a number of tokens, a time or an index
# The keys that are kept, with their types.
ANSWER: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "object", "model", "service_tier", "system_fingerprint"), str),
    "created": int,
    "error": object,
}
CHOICE: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("finish_reason", NATIVE, "text"), str),
    "index": int,
    "message": dict,
}
MESSAGE: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("content", "refusal", "reasoning_content", "reasoning"), str),
    "tool_calls": list,
    "function_call": dict,
    "thinking_blocks": list,
}
# The model's own text, which is kept whole; everything else is cut, so that no reader gets stuck.
CONTENT = {"message", "text", "content", "refusal", "reasoning_content", "reasoning", "thinking_blocks"}
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class UnusableError(Exception):
    """An answer was not read to its end, or cannot be used; the message says why."""


class RedirectError(UnusableError):
    """An answer points to another address."""


def mended(path: str, status: int, content: bytes, kind: str | None = None) -> tuple[int, bytes]:
    """The status and the body of an answer, as LiteLLM gets them; see `read`."""
    status, body = read(path, status, content, kind)
    return status, body if isinstance(body, bytes) else json.dumps(body).encode()


def read(
    path: str, status: int, content: bytes, kind: str | None = None
) -> tuple[int, bytes | dict[str, Any]]:
    """The status and the body of an answer: an error is cut, a good one is repaired if its form is known.

    Args:
        path: the path of the request, which shows the form.
        status: the status of the answer.
        content: its body.
        kind: its content type.

    Raises:
        UnusableError: if it cannot be read.
    """
    if status >= 400:
        return status, cut_error(content, kind)
    if 200 <= status < 300 and any(part in path for part in TUNING):
        json_object(content, kind)  # LiteLLM would take an HTML page for an answer
        return status, content
    if not 200 <= status < 300 or not path.endswith((*OPENAI, ANTHROPIC)):
        return status, content
    body = json_object(content, kind)
    if path.endswith(ANTHROPIC):
        if body.get("stop_reason") in CUT:
            body["stop_reason"] = "max_tokens"
        body = {key: value if key == "content" else named(value) for key, value in body.items()}
    elif isinstance(body.get("data"), list):  # vectors have their own reader
        body = {key: value if key == "data" else named(value) for key, value in body.items()}
        body["usage"] = _usage(body.get("usage"))
    else:
        body = mend(body)
        if body.get("error") and not body["choices"]:
            return status_of(body["error"]), cut_error(json.dumps(body).encode())
    return status, body


def mend(body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer in OpenAI's form, with only the values that are read."""
    kept = _kept(body, ANSWER)
    kept["usage"] = _usage(body.get("usage"))
    choices = enumerate(_dicts(body.get("choices")))
    kept["choices"] = [mended for place, choice in choices if (mended := _choice(choice, place))]
    if body.get("error") and not kept["choices"]:
        kept["error"] = body["error"]  # cut later, as an error
    return kept


def json_object(content: bytes, kind: str | None = None) -> dict[str, Any]:
    """The JSON object that a body is.

    Raises:
        UnusableError: if it is something else.
    """
    try:
        body = parsed(content, kind)
    except (ValueError, RecursionError) as error:
        why = "it nests too deeply" if isinstance(error, RecursionError) else "it is not valid JSON"
        raise UnusableError(unreadable(why if content.strip() else "it is empty")) from error
    if not isinstance(body, dict):
        raise UnusableError(unreadable("it is not a JSON object"))
    return body


def unreadable(why: str) -> str:
    """The message about a reply that cannot be read."""
    return f"its reply cannot be read; is model.api_base right? ({why})"


def status_of(error: Any) -> int:
    """The status that an error with status 200 should have."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if type(code) is int and 400 <= code < 600 else FAILED


def _kept(given: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """The values of a part of an answer that have known keys and the right types."""
    kept = {}
    for key, value in given.items():
        kind = types.get(key)
        if kind is None or value is None or not isinstance(value, kind) or not _sane(value, kind):
            continue
        kept[key] = value if key in CONTENT else named(value)
    return kept


def _sane(value: Any, kind: object) -> bool:
    return kind is not int or (not isinstance(value, bool) and 0 <= value < MOST)


def _usage(usage: Any) -> dict[str, Any] | None:
    """A usage with only its numbers; None if they are not possible, and the tokens are counted instead."""
    if not isinstance(usage, dict):
        return None
    kept: dict[str, Any] = {}
    for key, value in islice(usage.items(), MOST_KINDS):
        if _is_number(value):
            kept[key[:LONGEST_NAME]] = value
        elif isinstance(value, dict):
            numbers = islice(value.items(), MOST_KINDS)
            kept[key[:LONGEST_NAME]] = {name[:LONGEST_NAME]: one for name, one in numbers if _is_number(one)}
    if any(usage.get(key) is not None and type(kept.get(key)) is not int for key in COUNTS):
        return None
    return kept


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < MOST  # this excludes NaN


def _choice(given: dict[str, Any], place: int) -> dict[str, Any] | None:
    """A choice; None if it has no text and no reason for that."""
    choice = {"index": place, **_kept(given, CHOICE)}
    if "message" in choice:
        choice["message"] = message = _message(choice["message"])
        filled = any(value not in ([], {}) for key, value in message.items() if key != "role")
        return choice if filled or choice.get("finish_reason", "stop") != "stop" else None
    if "text" not in choice:
        return None
    if choice.get("finish_reason"):
        choice[NATIVE] = choice["finish_reason"]
    return choice


def _message(given: dict[str, Any]) -> dict[str, Any]:
    parts = given.get("content")
    message = {"role": "assistant", **_kept(given, MESSAGE)}
    if isinstance(parts, list | dict):
        message["content"] = _joined(parts)
        thought = "".join(_joined(part.get("thinking")) for part in _dicts(parts))  # as Mistral sends it
        if thought and not message.get("reasoning_content"):
            message["reasoning_content"] = thought
    for calls in ("tool_calls", "thinking_blocks"):
        if calls in message:
            message[calls] = _dicts(message[calls])
    return message


def _joined(parts: Any) -> str:
    """The parts of a text, joined."""
    if isinstance(parts, str):
        return parts
    if isinstance(parts, dict):
        return _joined(parts.get("text")) if parts.get("type", "text") in TEXTS else ""
    return "".join(map(_joined, parts)) if isinstance(parts, list) else ""


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
