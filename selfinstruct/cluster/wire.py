"""What driver and workers say to each other: plain data, in batches of bytes.

Requests, replies and failures become tuples of texts and numbers. Both sides have the same version, so the
fields go in the order of their classes.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError, UserError
from selfinstruct.llm import DoubtedError, EndingError, RefusedError, TransientError
from selfinstruct.records import Message, Reply, Request

REQUEST = tuple(field.name for field in fields(Request))
REPLY = tuple(field.name for field in fields(Reply))
BEFORE, VECTORS = REQUEST.index("before"), REPLY.index("vectors")
TRANSIENT = {"TransientError": TransientError, "DoubtedError": DoubtedError}
FINAL = {"ModelError": ModelError, "EndingError": EndingError}
REFUSED, BUG = "RefusedError", "bug"

Form = tuple[Any, ...]


def packed(batch: Sequence[Any]) -> bytes:
    """A batch of plain data as bytes."""
    return pickle.dumps(batch, pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> Any:
    """The batch in these bytes, which come from the same cluster."""
    return pickle.loads(content)


def form_of_model(config: ModelConfig, share: int) -> Form:
    """A model's keys, and whether it may use its key; the key itself is never sent.

    Args:
        config: the model's keys.
        share: the most requests that one worker usually has at once.
    """
    keys = {**config.model_dump(), "concurrency": share, "fallbacks": []}
    return keys, config.cleared, config.strange


def model_of(form: Form) -> ModelConfig:
    """The model's keys that have this form."""
    keys, cleared, strange = form
    config = ModelConfig.model_validate(keys)
    if cleared:
        config.clear(known=not strange)
    return config


def form_of_request(request: Request) -> Form:
    """The fields of a request."""
    form = [getattr(request, name) for name in REQUEST]
    form[BEFORE] = [(one.role, one.text) for one in request.before]
    return tuple(form)


def request_of(form: Form) -> Request:
    """The request that has this form."""
    values = dict(zip(REQUEST, form, strict=True))
    values["before"] = tuple(Message(role, text) for role, text in values["before"])
    return Request(**values)


def form_of_reply(reply: Reply | None) -> Form | None:
    """The fields of a reply; its vectors as lists of numbers."""
    if reply is None:
        return None
    form = [getattr(reply, name) for name in REPLY]
    vectors = form[VECTORS]
    form[VECTORS] = vectors.tolist() if hasattr(vectors, "tolist") else vectors
    return tuple(form)


def reply_of(form: Form | None) -> Reply | None:
    """The reply that has this form."""
    return None if form is None else Reply(*form)


def form_of_error(error: Exception) -> Form:
    """What a failure means for the run, and the values it carries."""
    name = type(error).__name__
    if isinstance(error, TransientError):
        kept = error.wait, error.slower, form_of_reply(error.last), error.silent, error.misled
        return (name if name in TRANSIENT else "TransientError", str(error), *kept)
    if isinstance(error, RefusedError):
        return REFUSED, str(error), error.words, error.access
    if isinstance(error, UserError):
        return (name if name in FINAL else "ModelError", str(error))
    return BUG, "".join(traceback.format_exception(type(error), error, error.__traceback__))


def error_of(form: Form) -> Exception:
    """The failure that has this form; a bug of a worker is a bug here, with the worker's traceback."""
    name, words, *kept = form
    if name in TRANSIENT:
        wait, slower, last, silent, misled = kept
        return TRANSIENT[name](words, wait, slower, reply_of(last), silent, misled)
    if name == REFUSED:
        return RefusedError(words, *kept)
    if name in FINAL:
        return FINAL[name](words)
    return RuntimeError(f"a worker failed:\n{words}")
