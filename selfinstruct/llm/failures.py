"""What a failure of LiteLLM's means.

It raises the errors of a dozen libraries. Each is turned into one of three things: a reply that says that
this one request was refused, a `TransientError` for another attempt, or a `ModelError` with cause and remedy
that ends the run.
"""

from __future__ import annotations

import os
import re
import time
from email.utils import parsedate_to_datetime

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import TransientError
from selfinstruct.records import Reply
from selfinstruct.replies import CONTENT_FILTER, CONTEXT

# What LiteLLM puts before the provider's words, and the advice that it puts after them.
PREFIX = re.compile(r"([\w.]*(Error|Timeout)( Error)?: )*([\w-]+Exception - )?(Error code: \d+ - )?")
ADVICE = " To drop "
MESSAGE = re.compile(r"""^\{.*?['"]message['"]:\s*(['"])(.+?)\1\s*[,}]""")


def sort_failure(error: Exception, config: ModelConfig) -> Reply:
    """What a failure means: the reply of a refused request.

    Raises:
        TransientError: where another attempt may go better.
        ModelError: where none will.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(error, "status_code", None)
    words = _words(error, config)
    if "ContextWindowExceededError" in names:
        return Reply("", CONTEXT, config.name, error=words)
    if "ContentPolicyViolationError" in names:
        return Reply("", CONTENT_FILTER, config.name, error=words)
    if status == 429 and not _money_gone(error):
        words = "the provider asks to go slower (429)"
        raise TransientError(words, _retry_after(error), slower=True) from error
    if status == 408:
        raise TransientError(f"no reply within {config.timeout:g} s") from error
    if isinstance(status, int) and (400 <= status < 500 or _unsupported(error)):
        raise ModelError(f"{config.name}: {_remedy(status, error, config)}\n  {words}") from error
    if status is None and not isinstance(error, OSError):
        raise error  # not a provider's failure: a bug keeps its traceback
    if _unreadable(error):
        words = f"its reply cannot be read; is model.api_base right? ({words})"
    raise TransientError(f"the server failed: {words}", _retry_after(error)) from error


def _remedy(status: int, error: Exception, config: ModelConfig) -> str:
    if _unsupported(error):
        return "the provider does not take one of the parameters; leave it out: model.sampling.NAME=null"
    if status in (401, 403):
        source = f"from {config.api_key_env}" if config.api_key_env else "(model.api_key_env is not set)"
        return f"the key {source} was refused; nothing more was sent"
    if status == 404:
        return "the provider does not know this model; look at model.name and model.api_base"
    if status in (402, 429):
        return "the account has no money left; top it up and run the same command again"
    return "the provider refused the request as it is; look at model.name, model.mode and model.sampling"


def _words(error: Exception, config: ModelConfig) -> str:
    """The provider's own words on one line, without the library's; a key that they repeat is left out."""
    text = " ".join(str(getattr(error, "message", "") or error).split())
    key = os.environ.get(config.api_key_env or "OPENAI_API_KEY", "")
    if len(key) >= 8:  # shorter ones are words such as "none"
        text = text.replace(key, "***")
    text = PREFIX.sub("", text, count=1).split(ADVICE)[0]
    found = MESSAGE.match(text)
    return (found[2] if found else text)[:300]


def _money_gone(error: Exception) -> bool:
    """Only chat with OpenAI's own client hands the code on; elsewhere it stands among the words."""
    body = getattr(error, "body", None)
    code = body.get("code") if isinstance(body, dict) else None
    return code == "insufficient_quota" or "insufficient_quota" in str(error)


def _unsupported(error: Exception) -> bool:
    """Whether a parameter is unknown, to LiteLLM or to OpenAI's client under it; nothing was sent then."""
    return type(error).__name__ == "UnsupportedParamsError" or "unexpected keyword argument" in str(error)


def _unreadable(error: BaseException | None) -> bool:
    """Whether the library stumbled over a reply that is no JSON, or none of a model's."""
    while error is not None:
        if isinstance(error, ValueError | AttributeError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _retry_after(error: Exception) -> float | None:
    """The seconds that the server asks to wait, which it may say as a date too."""
    asked = (getattr(error, "litellm_response_headers", None) or {}).get("retry-after")
    if asked is None:
        return None
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:  # neither: our own waiting serves
        return None
