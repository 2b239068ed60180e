"""What a failure means: the fate of one request, another attempt, or the end of the run.

LiteLLM raises the errors of a dozen libraries; `answers` takes from them what the provider said. What it
means is looked up in `signs`, in the order of the lines of `sort_failure`. To add a provider's way to refuse
one prompt, add its code or its words to `signs`.
"""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import EndingError, RefusedError, TransientError
from selfinstruct.llm.answers import Said, said_in
from selfinstruct.llm.reach import chain, remedy, unreached, why
from selfinstruct.llm.signs import AGAIN, ENDING, ENDS, FATES, KEY, MONEY, NO_MODEL, PROMPTS, SETUP
from selfinstruct.llm.wire import RedirectError, UnusableError
from selfinstruct.parse import UNREADABLE
from selfinstruct.parse.replies import CONTENT_FILTER
from selfinstruct.records import Reply

OF_LIBRARIES = ("litellm", "openai", "httpx", "aiohttp")


def sort_failure(error: Exception, config: ModelConfig) -> Reply:
    """What a failure means: the reply of a request that was refused for what is in its prompt.

    Raises:
        TransientError: where another attempt may go better.
        RefusedError: where it may be about this one prompt, or about all.
        ModelError: where nothing will.
    """
    unusable = next((one for one in chain(error) if isinstance(one, UnusableError)), None)
    if unusable:
        raise _of_guard(unusable, config) from error
    said = said_in(error)
    words = said.words
    if not _of_provider(error):
        raise error  # a bug keeps its traceback
    if _unsupported(error):
        parameter = "the provider does not take one of the parameters; leave it out: model.sampling.NAME=null"
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
            "the provider asks to go slower (429)", _retry_after(said), slower=True
        ) from error
    if status == 408:
        raise TransientError(f"no reply within {config.timeout:g} s") from error
    if status is None or status < 400 or status >= 500 or status in AGAIN:
        raise _transient(error, said, words, config) from error
    whole = f"{config.name}: {_remedy(KEY if status == 403 else '', config)}\n  {words}"
    if said.is_like(SETUP):
        raise ModelError(whole) from error
    raise RefusedError(whole, words, access=status == 403) from error


def _of_guard(error: UnusableError, config: ModelConfig) -> TransientError:
    """What it means that an answer was not read, in whole or in part; see `guard`."""
    if isinstance(error, RedirectError):
        words = f"the server did not answer: {error}. Nothing was sent there; if your server is there, "
        return TransientError(f"{words}set model.api_base to it", misled=True)
    return TransientError(f"the server failed: {error}")


def _end(said: Said) -> str | None:
    """What ends the run whatever was asked; None where nothing does."""
    if said.status is not None and said.status >= 500:
        return None
    if said.status in ENDING:
        return ENDING[said.status]
    return next((sign.meaning for sign in ENDS if said.is_like(sign)), None)


def _fate(said: Said) -> str | None:
    """What becomes of this one request by its provider's codes and words, else by the status."""
    known = next((sign.meaning for sign in FATES if said.is_like(sign)), None)
    return known or PROMPTS.get(said.status or 0)


def _generated(said: Said) -> str:
    """What the model wrote that the provider could not read; Groq hands it on."""
    inner = said.body.get("error") if isinstance(said.body, dict) else None
    text = inner.get("failed_generation") if isinstance(inner, dict) else None
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False) if text else ""


def _transient(error: Exception, said: Said, words: str, config: ModelConfig) -> TransientError:
    """What the server did not do this time."""
    where, silent = unreached(error), said.body is None and _of_connection(error)
    if where is not None:
        words = f"{where or config.api_base}: no server answers there ({why(error)}). {remedy(error)}"
        return TransientError(words, silent=True)
    if _unreadable(error):
        words = f"its reply cannot be read; is model.api_base right? ({words})"
    return TransientError(f"the server failed: {words}", _retry_after(said), silent=silent)


def _remedy(end: str, config: ModelConfig) -> str:
    source = f"from {config.api_key_env}" if config.api_key_env else "(model.api_key_env is not set)"
    return {
        KEY: f"the key {source} was refused, so the run stops; check that it is valid for this model",
        NO_MODEL: "the provider does not know this model; look at model.name and model.api_base",
        MONEY: "the account has no money left; top it up and run the same command again",
    }.get(end, "the provider refused the request as it is; look at model.name, model.mode and model.sampling")


def _of_provider(error: Exception) -> bool:
    """Whether a library raised it about a request."""
    modules = {type(one).__module__.split(".")[0] for one in chain(error)}
    return isinstance(error, OSError) or not modules.isdisjoint(OF_LIBRARIES)


def _unsupported(error: Exception) -> bool:
    """Whether a parameter is unknown, to LiteLLM or to OpenAI's client under it; nothing was sent then."""
    return type(error).__name__ == "UnsupportedParamsError" or "unexpected keyword argument" in str(error)


def _of_connection(error: Exception) -> bool:
    """Whether the connection failed, and not the server."""
    made_of = {kind.__name__ for one in chain(error) for kind in type(one).__mro__}
    return bool(made_of & {"TransportError", "ClientError"})


def _unreadable(error: Exception) -> bool:
    """Whether the library stumbled over a reply that is not JSON, or not a model's."""
    made_of = [one for one in chain(error) if not isinstance(one, OSError)]
    return any(isinstance(one, ValueError | AttributeError | KeyError | TypeError) for one in made_of)


def _retry_after(said: Said) -> float | None:
    """The seconds that the server asks to wait, which it may say in milliseconds or as a date too."""
    exact, asked = said.headers.get("retry-after-ms"), str(said.headers.get("retry-after", ""))
    for seconds, unit in ((exact, 1000), (asked, 1)):
        try:
            return max(0.0, float(seconds) / unit)
        except (TypeError, ValueError):
            continue
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):  # none of them: our own waiting serves
        return None
