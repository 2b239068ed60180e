"""The one record type that goes through the whole pipeline, and the fates it can have.

Each candidate read from a reply is accepted, or rejected by exactly one named check with a reason. There is
a third fate, waiting: if a reply arrives after the target was reached, its candidates are paid for and kept,
and they are judged first when the run goes on to a larger target.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

ACCEPTED = "accepted"
REJECTED = "rejected"
WAITING = "waiting"
MENDED = "mended"  # the key of a record's detail that keeps the values that a check replaced
LONGEST_KEPT = 2_000  # characters kept of a replaced text; the reply in the journal has all of it
_HALF = re.compile("[\ud800-\udfff]")
OTHERWISE = "otherwise"  # the key of the labels that a record gets although the reply about it was rejected
SCHEMA_CHECK = "schema"  # the check that is the JSON Schema, the last one
KEPT = "kept"  # the key of a record's detail that marks a record which goes on unchanged


@dataclass(frozen=True)
class Part:
    """A part of a prompt.

    Attributes:
        place: where it is, in words.
        text: its text.
    """

    place: str
    text: str


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: `system`, `user` or `assistant`.
        text: its text.
    """

    role: str
    text: str


class Asked(Protocol):
    """The prompt that a record answers; `prompts.asked.FilledPrompt` is one.

    Attributes:
        prompt: the recipe's prompt.
        about: what the prompt is about: the fields of a record, or the lines drawn for the request.
    """

    prompt: Any
    about: Mapping[str, Any]

    @property
    def parts(self) -> Sequence[Part]:
        """The parts that were drawn for this request."""

    @property
    def texts(self) -> Sequence[str]:
        """The texts of these parts."""


@dataclass(slots=True)
class Record:
    """A candidate and its fate.

    Attributes:
        id: `<stage>-<request>-<position>`, so it names the request that made it.
        stage: name of the stage that made it.
        request: number of the request within the stage, from 1.
        position: place within the reply, from 0.
        data: the fields a user sees.
        parent: id of the record it was made from, if there is one.
        fate: accepted, rejected or waiting.
        check: name of the check that rejected it.
        reason: why, in words.
        detail: the findings of the checks, such as the nearest record and the score.
        asked: the prompt that it answers, for the checks; not stored, and removed once it has its fate.
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
    asked: Asked | None = field(default=None, compare=False, repr=False)

    def reject(self, check: str, rejection: Rejection) -> None:
        """Give it the fate rejected; only the first check that does so counts."""
        self.fate, self.check, self.reason = REJECTED, check, rejection.reason
        self.detail.update(rejection.detail)

    def mend(self, fields: dict[str, Any]) -> None:
        """Replace fields; the detail keeps the model's own text, from before the first replacement."""
        kept = {key: _shortened(self.data.get(key)) for key in fields}
        self.detail[MENDED] = {**kept, **self.detail.get(MENDED, {})}
        self.data = {**self.data, **fields}


@dataclass(frozen=True)
class Rejection:
    """The reason why a check rejects a record.

    Attributes:
        reason: the reason, in words.
        detail: the figures behind it (for ROUGE-L: `nearest`, `score`).
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
        system: the system message, if the prompt has one.
        sampling: max_tokens, temperature, stop and the rest, as the provider gets them.
        examples: ids of the few-shot examples shown.
        parent: id of the record that it is about.
        variant: name of the prompt variant, if the prompt has variants.
        nth: how often the run has sent the same request before.
        may_shorten: whether the request is sent again with a smaller max_tokens if it is too long.
        fixed: how many characters of its texts, which follow each other, are the same in all requests of its
            prompt; not stored, and no part of its content.
        before: the messages between the system message and the prompt: few-shot examples, earlier turns.
        start: the text after the prompt that the answer continues; the reply has it too.
        opens: `user` if the model writes a user's message next; the prompt is then empty.
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
    may_shorten: bool = False
    fixed: int = field(default=0, compare=False)
    before: tuple[Message, ...] = ()
    start: str = ""
    opens: str = ""

    @property
    def messages(self) -> list[Message]:
        """All its messages, in order, as a chat model gets them."""
        first = [Message("system", self.system)] if self.system else []
        own = [] if self.opens else [Message("user", self.prompt)]
        last = [Message("assistant", self.start)] if self.start else []
        return [*first, *self.before, *own, *last]

    @property
    def text(self) -> str:
        """All its texts as one."""
        return "\n\n".join(one.text for one in self.messages)

    @property
    def tools(self) -> str:
        """The tools that are sent as the provider's own, as JSON; empty if there are none."""
        given = self.sampling.get("tools")
        return json.dumps(given, ensure_ascii=False) if given else ""

    @cached_property
    def turns(self) -> list[list[str]]:
        """What it has besides a system message and a prompt, as JSON; empty for most requests."""
        further = {"start": self.start, "opens": self.opens}
        return [
            *([one.role, one.text] for one in self.before),
            *([name, text] for name, text in further.items() if text),
        ]

    def with_turns(self, turns: Iterable[Sequence[str]]) -> Request:
        """The request with these `turns`."""
        listed = [Message(role, text) for role, text in turns]
        named = {one.role: one.text for one in listed}
        before = tuple(one for one in listed if one.role not in ("start", "opens"))
        return replace(self, before=before, start=named.get("start", ""), opens=named.get("opens", ""))

    @cached_property
    def parameters(self) -> str:
        """The sampling as JSON."""
        return json.dumps(self.sampling, sort_keys=True)

    @cached_property
    def content(self) -> bytes:
        """A digest of the request's text and sampling, without the model's name."""
        system = "" if self.system is None else f"{len(self.system)}:{self.system}"
        asked = f"{self.parameters}\n{system}\n{self.prompt}"
        if turns := self.turns:  # without them, the digest is that of earlier versions
            asked += f"\n\0{json.dumps(turns)}"
        return hashlib.blake2b(asked.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True)
class Reply:
    """A model's reply to one request.

    Attributes:
        text: the model's answer; empty if the request was refused, or if the reply has only a thought.
        finish_reason: `stop`, `length`, `content_filter`; `context` if the prompt is too long for the model;
            `unreadable` if the provider says so; `refused` if the provider's reason is not one we know;
            `no_choices` if every attempt came back empty; `broken_off` if every attempt failed in the middle.
        model: the name that the provider gave.
        prompt_tokens, completion_tokens: as the provider counted; thinking is part of the completion.
        counted: whether one of them was counted here, since the provider gave no plausible number.
        cached_tokens: those of the prompt that the provider had in its cache; `prompt_tokens` includes them.
        cache_write_tokens: those of the prompt that the provider stored in its cache, if it bills them
            separately; `prompt_tokens` includes them.
        doubtful: whether it is a refusal and another attempt may succeed.
        cost_usd: None if no price is known.
        seconds: the time from sending to the whole reply, earlier attempts included.
        attempts: requests sent for it; 0 if it came from the cache, at no cost.
        error: the provider's words if it refused this one request.
        others: text and finish reason of each choice after the first, if `n` asked for several.
        thought: what the model thought before its answer, without the marks around it; empty if nothing of it
            came back.
        other_thoughts: the thought of each choice after the first; empty if none of these has one.
        thinking_tokens: those of the completion that were spent on thinking, if the provider says so.
        vectors: for a request that embeds texts, one vector for each; not stored with the reply.
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
    counted: bool = False
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    doubtful: bool = False
    thought: str = ""
    other_thoughts: tuple[str, ...] = ()
    thinking_tokens: int = 0
    vectors: Sequence[Any] = field(default=(), compare=False, repr=False)

    @property
    def choices(self) -> list[Reply]:
        """Each choice as a reply."""
        thoughts = self.other_thoughts or ("",) * len(self.others)
        return [
            self,
            *(
                replace(self, text=text, finish_reason=why, thought=thought)
                for (text, why), thought in zip(self.others, thoughts, strict=True)
            ),
        ]

    @property
    def cut(self) -> bool:
        """Whether the reply ended because it reached max_tokens."""
        return self.finish_reason == "length"


@dataclass
class Spent:
    """The amounts that a run has spent.

    Attributes:
        usd: US dollars, for the replies with a known price.
        tokens: tokens of prompts and replies.
        requests: prompts and requests for vectors sent; each attempt counts.
    """

    usd: float = 0.0
    tokens: int = 0
    requests: int = 0


@dataclass(frozen=True)
class StoredVector:
    """A vector of a text, as the journal stores it.

    Attributes:
        key: a digest of the model and the text, by which the vector is found.
        vector: half-precision numbers of a vector of length 1; empty if there is nothing to compare.
        paid: whether a model was asked for it; if not, it came from the cache.
        tokens: tokens sent for it.
        cost_usd: US dollars; None if the price is not known.
    """

    key: bytes
    vector: bytes
    paid: bool = False
    tokens: int = 0
    cost_usd: float | None = None


def storable(value: Any) -> Any:
    """The text in a form that SQLite and UTF-8 can hold: an unpaired surrogate becomes U+FFFD."""
    return value if not isinstance(value, str) or value.isascii() else _HALF.sub("\ufffd", value)


def _shortened(value: Any) -> Any:
    long = isinstance(value, str) and len(value) > LONGEST_KEPT
    return f"{value[:LONGEST_KEPT]}…" if long else value


def stream(seed: int, *names: object) -> random.Random:
    """A separate random stream for each purpose, so that no choice depends on the order of others."""
    return random.Random("/".join([str(seed), *map(str, names)]))
