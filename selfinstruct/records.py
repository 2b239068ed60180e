"""The one record type that goes through the whole pipeline, and what happens to it.

A candidate read from a reply ends accepted, or rejected by exactly one named check with a reason. A third
fate, waiting, is that of candidates of a reply that came after the target was reached: paid for, kept, and
judged first when the run goes on to a larger target.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

ACCEPTED = "accepted"
REJECTED = "rejected"
WAITING = "waiting"
KEPT = "kept"  # said of a record that goes on as it is


@dataclass(slots=True)
class Record:
    """A candidate and its fate.

    Attributes:
        id: `<stage>-<request>-<position>`, so it names the request that made it.
        stage: name of the stage that made it.
        request: number of the request within the stage, from 1.
        position: place within the reply, from 0.
        data: the fields a user sees.
        parent: id of the record it was made from, where there is one.
        fate: accepted, rejected or waiting.
        check: name of the check that rejected it.
        reason: why, in words.
        detail: what the checks found out, such as the nearest record and the score.
    """

    id: str
    stage: str
    request: int
    position: int
    data: dict[str, Any]
    parent: str | None = None
    fate: str = WAITING
    check: str | None = None
    reason: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def reject(self, check: str, rejection: Rejection) -> None:
        """Give it the fate rejected; the first check that does so is the one that counts."""
        self.fate, self.check, self.reason = REJECTED, check, rejection.reason
        self.detail.update(rejection.detail)


@dataclass(frozen=True)
class Rejection:
    """What a check says of a record that it does not let pass.

    Attributes:
        reason: why, in words.
        detail: figures behind it (for ROUGE-L: `nearest`, `score`).
    """

    reason: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request to a model.

    Attributes:
        stage: name of the stage that asks.
        number: its number within the stage, from 1.
        prompt: the text, or the user's message.
        system: the system message, where the prompt has one.
        sampling: max_tokens, temperature, stop and the rest, as the provider gets them.
        examples: ids of the few-shot examples shown.
        parent: id of the record that it is about.
        variant: name of the prompt variant, where the prompt has some.
        nth: how often the same was asked before in the run.
    """

    stage: str
    number: int
    prompt: str
    system: str | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    parent: str | None = None
    variant: str | None = None
    nth: int = 0

    @cached_property
    def parameters(self) -> str:
        """The sampling as JSON."""
        return json.dumps(self.sampling, sort_keys=True)

    @cached_property
    def content(self) -> bytes:
        """A digest of what is asked, whoever answers."""
        system = "" if self.system is None else f"{len(self.system)}:{self.system}"
        asked = f"{self.parameters}\n{system}\n{self.prompt}"
        return hashlib.blake2b(asked.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        text: the model's text; empty where the request was refused.
        finish_reason: `stop`, `length`, `content_filter`, `context` for a prompt too long for the model, or
            `no_choices` where nothing came back, however often it was asked.
        model: the name that the provider gave.
        prompt_tokens, completion_tokens: as the provider counted.
        cost_usd: None where no price is known.
        seconds: from sending to the whole reply, the attempts before it included.
        attempts: requests sent for it; 0 where it came from the cache, for nothing.
        error: the provider's words where it refused this one request.
        others: text and finish reason of each choice after the first, where `n` asked for several.
    """

    text: str
    finish_reason: str = "stop"
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0
    attempts: int = 1
    error: str | None = None
    others: tuple[tuple[str, str], ...] = ()

    @property
    def choices(self) -> list[Reply]:
        """Each choice as a reply."""
        return [self, *(replace(self, text=text, finish_reason=why) for text, why in self.others)]

    @property
    def cut(self) -> bool:
        """Whether the reply ended because it reached max_tokens."""
        return self.finish_reason == "length"


def stream(seed: int, *names: object) -> random.Random:
    """A random stream of its own for each purpose, so that no choice depends on the order of others."""
    return random.Random("/".join([str(seed), *map(str, names)]))
