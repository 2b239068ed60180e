"""Extract a provider's error message from the errors of a dozen libraries.

Whatever error LiteLLM raises, the HTTP answer itself is at the end of the chain of errors, and its status,
codes and words are taken from there. If there is none, as for an error in a reply with status 200, they are
taken from the error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from selfinstruct.llm.reach import chain
from selfinstruct.llm.signs import MADE_UP, Sign, plainly
from selfinstruct.safety.blot import blotted

MOST_READ = 20_000  # characters of an answer that are examined
MOST_WORDS = 300
DEEPEST = 6
# The keys of an answer that hold the error message, compared without case and punctuation, and the keys that
# repeat the prompt or the reply.
CODES = {"code", "type", "status", "errorcode", "errortype", "reason", "blockreason", "finishreason"}
WORDS = {"message", "msg", "error", "errormsg", "errormessage", "errordescription", "detail", "details"} | {
    *("title", "description", "raw", "reason", "reasons")
}
OF_PROMPT = {"input", "flaggedinput", "failedgeneration", "prompt", "messages"}
# The text that LiteLLM puts before the provider's words, and the advice that it puts after them.
PREFIX = re.compile(r"([\w.]*(Error|Timeout)( Error)?: )*([\w-]+Exception - )?(Error code: \d+ - )?")
ADVICE = " To drop "


@dataclass(frozen=True)
class Said:
    """A provider's error message.

    Attributes:
        status: the HTTP status; None if there is none.
        words: its message, on one line.
        codes: its codes, in lower case and without punctuation.
        messages: all its messages in lower case.
        headers: the headers of its answer.
        body: its answer as JSON, if it is JSON.
    """

    status: int | None
    words: str
    codes: frozenset[str] = frozenset()
    messages: str = ""
    headers: Any = field(default_factory=dict)
    body: Any = None

    def is_like(self, sign: Sign) -> bool:
        """Whether it has one of the sign's codes, or matches its words."""
        return not self.codes.isdisjoint(map(plainly, sign.codes)) or any(
            re.search(words, self.messages) for words in sign.words
        )


def said_in(error: Exception) -> Said:
    """The provider's message, extracted from the error that a library raised."""
    names = {plainly(type(one).__name__) for one in chain(error)}
    answer = _answer(error)
    if answer is None:
        text = str(getattr(error, "message", "") or error)
        status = getattr(error, "status_code", None)
        headers = getattr(error, "litellm_response_headers", None) or {}
    else:
        text, status, headers = answer.text, answer.status_code, answer.headers
    body = _json(text[:MOST_READ]) if answer is not None else _json(_without_library(text[:MOST_READ]))
    found = list(_leaves(body))
    messages = [value for key, value in found if key in WORDS] if found else [_without_library(text)]
    lower = " ".join(" ".join(messages).split()).lower()[:MOST_READ]
    real = isinstance(status, int) and not isinstance(status, bool) and not lower.startswith(MADE_UP)
    return Said(
        status=status if real else None,
        words=_one_line(_longest_first(found) or _without_library(text)),
        codes=frozenset({plainly(value) for key, value in found if key in CODES} | names),
        messages=lower,
        headers=headers,
        body=body,
    )


def said_in_json(body: Any) -> Said:
    """The message in a provider's error that came as a part of a good answer."""
    found = list(_leaves(body))
    lower = " ".join(" ".join(value for key, value in found if key in WORDS).split()).lower()[:MOST_READ]
    codes = frozenset(plainly(value) for key, value in found if key in CODES)
    return Said(None, _one_line(_longest_first(found)), codes, lower, body=body)


def _answer(error: Exception) -> Any:
    """The HTTP answer behind an error, from the innermost error that has a real one."""
    for one in reversed(list(chain(error))):
        answer = getattr(one, "response", None)
        try:
            if answer is not None and answer.status_code >= 400 and (_from_client(one) or answer.text):
                answer.text  # noqa: B018  fails if it was not read
                return answer
        except (AttributeError, RuntimeError, TypeError):
            continue
    return None


def _from_client(error: BaseException) -> bool:
    """Whether an HTTP client raised it; LiteLLM's own errors have made-up answers."""
    return type(error).__module__.split(".")[0] in ("httpx", "openai")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _leaves(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The keys and texts of an answer, including JSON inside a text, as OpenRouter sends it."""
    if depth > DEEPEST:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            if plainly(name) not in OF_PROMPT:
                yield from _leaves(inner, plainly(name), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, key, depth + 1)
    elif isinstance(value, str):
        inner = _json(value) if key in WORDS and value.lstrip().startswith(("{", "[")) else None
        if isinstance(inner, dict | list):
            yield from _leaves(inner, key, depth + 1)
        else:
            yield key, value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield key, str(value)


def _longest_first(found: list[tuple[str, str]]) -> str:
    """The message of an answer, from the most informative key that has one."""
    for wanted in ("message", "msg", "errormsg", "detail", "error", "description", "title", "reason"):
        for key, value in found:
            if key == wanted and value.strip():
                return value
    return ""


def _without_library(text: str) -> str:
    """An error's text without the words that LiteLLM puts around the provider's."""
    return PREFIX.sub("", " ".join(text.split()), count=1).split(ADVICE)[0]


def _one_line(text: str) -> str:
    return blotted(" ".join(text.split()))[:MOST_WORDS]  # before the cut, which may split a key
