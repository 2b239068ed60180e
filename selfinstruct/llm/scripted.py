"""A substitute for a model, only for tests and examples: it answers from a script.

It answers each prompt from a file of replies or by a rule, always in the same way for the same prompt, and
fails with an error for a prompt that the script does not cover.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path
from random import Random
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from selfinstruct.config import Machine, ModelConfig, OnDisk
from selfinstruct.errors import ModelError
from selfinstruct.llm import MODELS, Model, ModelKind
from selfinstruct.llm.chat_template import ChatTemplate, template_of
from selfinstruct.llm.responses import text_of
from selfinstruct.project.layout import find
from selfinstruct.prompts.rendering import TemplateFault, render
from selfinstruct.records import Reply, Request, stream
from selfinstruct.safety.expressions import Expression, Pattern

Line = dict[str, Any]  # a line of a file of replies


class Rule(BaseModel):
    """Answers the prompts in which a regular expression is found, with a Jinja template.

    The template has `match` (the groups found), `pick(list)`, `number(from, to)` and `words`. Every draw
    depends only on the prompt; for a prompt that opens a user's message, also on the seed.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    match: Pattern
    reply: str
    finish_reason: str = "stop"


@MODELS.register
def scripted(
    *,
    replies: Annotated[str | None, OnDisk] = None,
    rules: dict[str, Rule] | None = None,
    words: dict[str, list[str]] | None = None,
    delay: Annotated[float, Field(ge=0, le=3_600), Machine] = 0.0,
) -> ModelKind:
    """Answers from a script; it is not a model, and only for tests and examples.

    Args:
        replies: a JSONL file of {"stage", "number", "prompt", "match", "reply", "finish_reason"}; the first
            line with keys that fit the request answers it. `match` is a regular expression.
        rules: rules by name, tried in order if no reply of the file fits.
        words: lists of words for the rules.
        delay: the longest time in seconds that a reply takes; each reply takes a random part of it.
    """

    def open(config: ModelConfig, project: Path) -> Model:
        lines = _read(replies, project) if replies else []
        template = template_of(config, project)
        return Scripted(config.name, lines, rules or {}, words or {}, delay, template)

    return ModelKind(
        open, note="answers from a script and is not a model: only for tests and examples", free=True
    )


@dataclass
class Scripted:
    """A script at work; see `Model`."""

    name: str
    lines: list[Line]
    rules: dict[str, Rule]
    words: dict[str, list[str]]
    delay: float
    template: ChatTemplate | None = None
    identity: None = None  # asking a script again costs nothing
    # Lines with their places. Lines for a single request are stored by its stage and number, so that a script
    # of many thousands of lines is not searched for each request; the others are in a list.
    _numbered: dict[tuple[Any, Any], list[tuple[int, Line]]] = field(init=False, default_factory=dict)
    _others: list[tuple[int, Line]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        for place, line in enumerate(self.lines):
            key = (line.get("stage"), line.get("number"))
            numbered = isinstance(key[0], str) and isinstance(key[1], int)
            (self._numbered.setdefault(key, []) if numbered else self._others).append((place, line))

    async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
        """See `Model`.

        Raises:
            ModelError: for a prompt that the script does not answer.
        """
        if self.delay:
            await asyncio.sleep(Random().random() * self.delay)
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Reply:
        prompt = text_of(self.template.completed(request, self.name) if self.template else request)
        for_it = self._numbered.get((request.stage, request.number), [])
        for _, line in merge(for_it, self._others):
            if _fits(line, request, prompt):
                return self._reply(prompt, line["reply"], line.get("finish_reason", "stop"))
        seed = str(request.sampling.get("seed", "")) if request.opens else ""
        for rule in self.rules.values():
            found = Expression(rule.match).search(prompt)
            if found:
                return self._reply(prompt, self._fill(rule, found, prompt + seed), rule.finish_reason)
        raise ModelError(
            f"the scripted model has no answer to {request.stage} request {request.number}; add a reply or a "
            f"rule for it, or choose a real model. The prompt ends in:\n  …{prompt[-200:]!r}"
        )

    async def prepare(self) -> None:
        """See `Model`."""

    async def close(self) -> None:
        """See `Model`."""

    def _reply(self, prompt: str, text: str, finish_reason: str) -> Reply:
        sent, received = len(prompt.split()), len(text.split())
        return Reply(text, finish_reason, self.name, sent, received, 0.0)

    def _fill(self, rule: Rule, found: re.Match[str], prompt: str) -> str:
        rng = stream(0, prompt)
        names = {"match": found.groups(), "words": self.words, "pick": rng.choice, "number": rng.randint}
        try:
            return render(rule.reply, names)
        except TemplateFault as error:
            raise ModelError(f"model.options.rules: {error}") from error


def _fits(line: Line, request: Request, prompt: str) -> bool:
    tests: dict[str, Callable[[Any], bool]] = {
        "stage": lambda value: value == request.stage,
        "number": lambda value: value == request.number,
        "prompt": lambda value: value == prompt,
        "match": lambda value: Expression(value).search(prompt) is not None,
    }
    return all(test(line[key]) for key, test in tests.items() if key in line)


def _read(replies: str, project: Path) -> list[Line]:
    path = find(replies, project)
    if path is None:
        raise ModelError(f"model.options.replies: there is no file {replies}")
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except ValueError as error:
            raise ModelError(f"{path} line {number}: is not valid JSON: {error}") from error
        if not isinstance(line, dict) or not isinstance(line.get("reply"), str):
            raise ModelError(f"{path} line {number}: needs a 'reply' that is a string")
        lines.append(line)
    return lines
