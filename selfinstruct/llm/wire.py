"""What a server sends, made such that LiteLLM reads it.

LiteLLM refuses a whole reply for a number in `usage` that is not whole or for a text in parts, makes up a
choice where there is none, and forgets the provider's own finish reason in completion mode. An error with
status 200 it reads in one mode only. A hook of the HTTP client sees each answer first.
"""

from __future__ import annotations

import json
from typing import Any

TEXTS = ("text", "output_text")  # types of a part that is text
NATIVE = "native_finish_reason"  # where LiteLLM keeps the provider's own in chat mode
FAILED = 502
CUT = ("model_context_window_exceeded", "pause_turn")  # of Anthropic's, which LiteLLM takes for a good end


async def mend_answer(response: Any) -> None:
    """A response hook of httpx: mends the body of a good answer, and takes an error for one."""
    if response.status_code != 200:
        return
    try:
        body = json.loads(await response.aread())
    except (ValueError, RecursionError):
        return  # said where it is read
    if not isinstance(body, dict) or "data" in body:  # vectors have their own reader
        return
    if "stop_reason" in body:  # Anthropic's form
        if body["stop_reason"] in CUT:
            response._content = json.dumps({**body, "stop_reason": "max_tokens"}).encode()
        return
    if mend(body):
        response._content = json.dumps(body).encode()
    if body.get("error") and not body["choices"]:
        response.status_code = _status(body["error"])


def mend(body: dict[str, Any]) -> bool:
    """Mend an answer in place; whether anything had to be."""
    choices = [choice for choice in _dicts(body.get("choices")) if _is_whole(choice)]
    mended = choices != body.get("choices")
    body["choices"] = choices
    return any([mended, _usage(body), *map(_choice, choices)])


def _status(error: Any) -> int:
    """The status that an error with status 200 should have had."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if type(code) is int and 400 <= code < 600 else FAILED


def _is_whole(choice: dict[str, Any]) -> bool:
    return isinstance(choice.get("message"), dict) or isinstance(choice.get("text"), str)


def _usage(body: dict[str, Any]) -> bool:
    """Leave out a usage that is not made of whole numbers; the tokens are counted then."""
    usage = body.get("usage")
    if usage is None:
        return False
    keys = ("prompt_tokens", "completion_tokens", "total_tokens")
    numbers = [usage.get(key) for key in keys] if isinstance(usage, dict) else [""]
    if all(number is None or type(number) is int for number in numbers):
        return False
    del body["usage"]
    return True


def _choice(choice: dict[str, Any]) -> bool:
    mended = False
    message = choice.get("message")
    if isinstance(message, dict) and isinstance(message.get("content"), list):
        parts = message["content"]
        message["content"] = _joined(parts)
        thought = "".join(_joined(part.get("thinking")) for part in _dicts(parts))  # as Mistral sends it
        if thought and not message.get("reasoning_content"):
            message["reasoning_content"] = thought
        mended = True
    if "text" in choice and "message" not in choice and choice.get("finish_reason"):
        choice[NATIVE] = choice["finish_reason"]
        mended = True
    return mended


def _joined(parts: Any) -> str:
    """The text of a text in parts."""
    if isinstance(parts, str):
        return parts
    if isinstance(parts, dict):
        return _joined(parts.get("text")) if parts.get("type", "text") in TEXTS else ""
    return "".join(map(_joined, parts)) if isinstance(parts, list) else ""


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
