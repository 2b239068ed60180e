"""What a failure means: the fate of one request, another attempt, or the end of the run.

LiteLLM raises the errors of a dozen libraries; `answers` extracts the provider's message from them. `signs`
has the meanings, which `sort_failure` looks up from top to bottom. If a provider refuses a prompt in a way
that is not known yet, add its code or its words to `signs`.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import EndingError, RefusedError, TransientError
from selfinstruct.llm.answers import Said, said_in
from selfinstruct.llm.quotas import seconds_until
from selfinstruct.llm.reach import chain, remedy, unreached, why
from selfinstruct.llm.signs import AGAIN, ENDING, ENDS, FATES, KEY, MONEY, NO_MODEL, PROMPTS, SETUP
from selfinstruct.llm.wire import RedirectError, UnusableError
from selfinstruct.parse import UNREADABLE
from selfinstruct.parse.replies import CONTENT_FILTER
from selfinstruct.records import Reply

OF_LIBRARIES = ("litellm", "openai", "httpx", "aiohttp")
LONGEST_ASKED = 600.0  # seconds; a Retry-After of hours is not followed


def sort_failure(error: Exception, config: ModelConfig) -> Reply:
    """Decide what a failure means; return a reply if the request was refused because of its prompt.

    Raises:
        TransientError: if another attempt may succeed.
        RefusedError: if the failure may concern only this prompt, or all prompts.
        ModelError: if no attempt can succeed.
    """
    unusable = next((one for one in chain(error) if isinstance(one, UnusableError)), None)
    if unusable:
        raise _of_guard(unusable, config) from error
    said = said_in(error)
    words = said.words
    if not _of_provider(error):
        raise error  # a bug keeps its traceback
    if unsupported(error):
        parameter = "the provider does not accept one of the parameters; remove it: model.sampling.NAME=null"
        raise ModelError(f"{config.name}: {parameter}\n  {words}") from error
    end = _end(said)
    if end:
        kind = ModelError if end == MONEY else EndingError
        raise kind(f"{config.name}: {_remedy(end, config)}\n  {words}") from error
    fate, status = _fate(said), said.status
    if fate:
        text = _generated(said) if fate == UNREADABLE else ""
        doubtful = fate == CONTENT_FILTER or status in PROMPTS  # the length of a prompt does not change
        return Reply(text, fate, config.name, error=words, doubtful=doubtful)
    if status == 429:
        raise TransientError(
            "the provider asks to go slower (429)", retry_after(said), slower=True
        ) from error
    if status == 408 or (status is None and _timed_out(error)):
        raise TransientError(f"no reply within {config.timeout:g} s") from error
    if status is None or status < 400 or status >= 500 or status in AGAIN:
        raise _transient(error, said, words, config) from error
    whole = f"{config.name}: {_remedy(KEY if status == 403 else '', config)}\n  {words}"
    if said.is_like(SETUP):
        raise ModelError(whole) from error
    raise RefusedError(whole, words, access=status == 403) from error


def retry_after(said: Said) -> float | None:
    """The seconds that the server asks to wait, at most `LONGEST_ASKED`.

    It may also give milliseconds, a duration or a date. Google has no header for it, but a part RetryInfo in
    the body.
    """
    exact, asked = said.headers.get("retry-after-ms"), str(said.headers.get("retry-after", ""))
    with suppress(TypeError, ValueError):
        return min(LONGEST_ASKED, max(0.0, float(exact) / 1000))
    for text in (asked, _retry_delay(said.body)):
        with suppress(ValueError, OverflowError):
            return min(LONGEST_ASKED, seconds_until(text, time.time()))
    return None  # none of these: our own waiting time applies


def _retry_delay(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    found = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return next((str(one["retryDelay"]) for one in found if "retryDelay" in one), "")


def unsupported(error: Exception) -> bool:
    """Whether LiteLLM, or OpenAI's client under it, does not know a parameter; then nothing was sent."""
    return type(error).__name__ == "UnsupportedParamsError" or "unexpected keyword argument" in str(error)


def _of_guard(error: UnusableError, config: ModelConfig) -> TransientError:
    """The error for an answer that was not read completely; see `guard`."""
    if isinstance(error, RedirectError):
        words = f"the server did not answer: {error}. Nothing was sent there; if your server is there, "
        return TransientError(f"{words}set model.api_base to it", misled=True)
    return TransientError(f"the server failed: {error}")


def _end(said: Said) -> str | None:
    """The cause that ends the run, whatever the prompt was; None if there is none."""
    if said.status is not None and said.status >= 500:
        return None
    if said.status in ENDING:
        return ENDING[said.status]
    return next((sign.meaning for sign in ENDS if said.is_like(sign)), None)


def _fate(said: Said) -> str | None:
    """The fate of this one request, from the provider's codes and words, or else from the status."""
    known = next((sign.meaning for sign in FATES if said.is_like(sign)), None)
    return known or PROMPTS.get(said.status or 0)


def _generated(said: Said) -> str:
    """The model's text that the provider could not read; Groq returns it."""
    inner = said.body.get("error") if isinstance(said.body, dict) else None
    text = inner.get("failed_generation") if isinstance(inner, dict) else None
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False) if text else ""


def _transient(error: Exception, said: Said, words: str, config: ModelConfig) -> TransientError:
    """The error for a failure that may not happen again."""
    where, silent = unreached(error), said.body is None and _of_connection(error)
    if where is not None:
        words = f"{where or config.api_base}: no server answers there ({why(error)}). {remedy(error)}"
        return TransientError(words, silent=True)
    if _unreadable(error):
        words = f"its reply cannot be read; is model.api_base right? ({words})"
    return TransientError(f"the server failed: {words}", retry_after(said), silent=silent)


def _remedy(end: str, config: ModelConfig) -> str:
    source = f"from {config.api_key_env}" if config.api_key_env else "(model.api_key_env is not set)"
    return {
        KEY: f"the key {source} was refused, so the run stops; check that it is valid for this model",
        NO_MODEL: "the provider does not know this model; look at model.name and model.api_base",
        MONEY: "the account has no money left; top it up and run the same command again",
    }.get(end, "the provider refused the request; look at model.name, model.mode and model.sampling")


def _of_provider(error: Exception) -> bool:
    """Whether a library raised the error because of a request."""
    modules = {type(one).__module__.split(".")[0] for one in chain(error)}
    return isinstance(error, OSError) or not modules.isdisjoint(OF_LIBRARIES)


def _timed_out(error: Exception) -> bool:
    """Whether the HTTP client waited too long."""
    return any(kind.__name__ == "TimeoutException" for one in chain(error) for kind in type(one).__mro__)


def _of_connection(error: Exception) -> bool:
    """Whether the connection failed, rather than the server."""
    made_of = {kind.__name__ for one in chain(error) for kind in type(one).__mro__}
    return bool(made_of & {"TransportError", "ClientError"})


def _unreadable(error: Exception) -> bool:
    """Whether the library failed to read a reply that is not JSON, or not from a model."""
    made_of = [one for one in chain(error) if not isinstance(one, OSError)]
    return any(isinstance(one, ValueError | AttributeError | KeyError | TypeError) for one in made_of)
