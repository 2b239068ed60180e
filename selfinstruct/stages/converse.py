"""`converse`: from each record a conversation, in which two prompts write the messages in turn.

Each turn is a request. The requests of one conversation depend on each other, and those of different ones do
not: so the first turn of all conversations in a window is asked, then the second turn of all, and so on, and
replies are taken in in the same order. A conversation becomes a record when it has ended and all those before
it have: so the filters meet the records in the order of their numbers, at any concurrency.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field as Bound

from selfinstruct.config import Machine
from selfinstruct.errors import Fault, unknown
from selfinstruct.journal.store import Journal
from selfinstruct.prompts.rendering import TemplateFault
from selfinstruct.prompts.templates import Prompt
from selfinstruct.records import Request, stream
from selfinstruct.stages import STAGES, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.each import PATIENCE, Endurance, Share
from selfinstruct.stages.fields import Field, Sample
from selfinstruct.stages.forecast import ENOUGH, SHOWN, Forecast, Known, part_of
from selfinstruct.stages.kind import Parts, Rest, Trial
from selfinstruct.stages.ranges import Range, around
from selfinstruct.stages.talks import (
    ASSISTANT,
    CONTENT,
    MESSAGES,
    ROLES,
    USER,
    Conversations,
    Talk,
)
from selfinstruct.where import Conditions, Where

ACCEPTS = (0.5, 1.0, 2.0)


@STAGES.register
def converse(
    *,
    of: str | None = None,
    where: Conditions | None = None,
    share: Share = 0.5,
    turns: Annotated[int, Bound(ge=1, le=100)] = 4,
    least: Annotated[int, Bound(ge=1, le=100)] = 1,
    first: Annotated[str | None, Bound(min_length=1)] = None,
    stop: Annotated[str, Bound(min_length=1)] = "[END]",
    window: Annotated[int, Bound(ge=1, le=100_000)] = 64,
    usual: Annotated[float | None, Bound(ge=1, le=100), Machine] = None,
    expected: Annotated[float, Bound(gt=0, le=1), Machine] = 1.0,
    patience: Endurance = PATIENCE,
) -> Converse:
    """Makes a conversation of each record: its `messages`, which two prompts write in turn.

    The prompt has the variants `user` and `assistant`, each of which may name its own model. Their templates
    have the record's fields, `messages` (the conversation so far), `turn` and `turns`.

    Args:
        of: the stage whose records to talk about; by default the nearest one before it that makes records.
        where: field: condition; only the records that fit get a conversation. A condition is a value, a list
            of values, or {not: …}, {at_least: …}, {at_most: …}, {above: …}, {below: …}.
        share: the share of the records that `where` is expected to pick, in the plan that check prints.
        turns: the most turns of a conversation; a turn is a message of the user and the assistant's answer.
        least: the fewest turns; a conversation that ends before is rejected (`too_short`).
        first: the field that is the user's first message; without it, the user's prompt writes that too.
        stop: the word with which the user's model ends the conversation; a message that has it is left out.
        window: how many conversations are held at the same time.
        usual: the turns that a conversation is assumed to have, in the plan; by default `turns`.
        expected: the share of the conversations that is assumed to be accepted, in the plan.
        patience: stop after this many conversations in a row that were not usable, or after half as many if
            none was usable from the start; may change when a run continues.
    """
    if least > turns:
        raise ValueError(f"least ({least}) is more than turns ({turns}): set least lower, or turns higher")
    if usual is not None and usual > turns:
        raise ValueError(f"usual ({usual:g}) is more than turns ({turns})")
    allowed = Where.of(where)
    return Converse(
        of=of,
        where=allowed,
        share=share if allowed else 1.0,
        turns=turns,
        least=least,
        first=first,
        stop=stop,
        window=window,
        usual=usual or turns,
        expected=expected,
        patience=patience,
    )


@dataclass(frozen=True, kw_only=True)
class Converse(StageKind):
    """The kind `converse`; see the factory for its options."""

    share: float = 1.0
    turns: int = 4
    least: int = 1
    first: str | None = None
    stop: str = "[END]"
    window: int = 64
    usual: float = 4
    expected: float = 1.0
    patience: int = PATIENCE

    @property
    def given(self) -> int:
        """How many messages of a conversation are given: the first one, or none."""
        return 1 if self.first else 0

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`."""
        of = parts.source(self.of)
        stage = parts.asking(self, of)
        return stage if of else None

    def prompt(self, stage: Stage, place: int) -> Prompt:
        """The prompt for the message at a place in a conversation, from 1."""
        role = ROLES[(place - 1) % 2]
        return next(one for one in stage.prompts if one.name == role)

    def variant(self, stage: Stage, data: Mapping[str, Any], number: int, seed: int) -> Prompt:
        """See `StageKind`."""
        return self.prompt(stage, (number - 1) % (2 * self.turns) + 1)

    # Fields and faults

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        sample = [{"role": role, CONTENT: "text"} for role in ROLES]
        return {MESSAGES: Field(sample, stage.name if stage else "")}

    def needs(self) -> Sequence[str]:
        """See `StageKind`."""
        return [self.first] if self.first else []

    def names(self, stage: Stage, rest: Rest) -> dict[str, Any]:
        """See `StageKind`."""
        return self.named(super().names(stage, rest), self.gives()[MESSAGES].value)

    def named(self, data: Mapping[str, Any], messages: Talk) -> dict[str, Any]:
        """The names that a template can use after some messages."""
        return {**data, MESSAGES: messages, "turn": len(messages) // 2 + 1, "turns": self.turns}

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """See `StageKind`."""
        found, where = super().faults(stage, rest), f"prompts.{stage.name}.variants"
        by_name = {prompt.name: prompt for prompt in stage.prompts}
        for other in [name or "" for name in by_name if name not in ROLES]:
            what = "the prompt has no variants" if not other else unknown("variant", other, ROLES)[0]
            found.append(Fault(where, what, f"give it the variants {USER} and {ASSISTANT}"))
        section = rest.config.prompts.get(stage.name)
        there = {*by_name, *(section.variants if section else ())}  # some may have faults of their own
        for role in [role for role in ROLES if role not in there] if None not in by_name else ():
            found.append(Fault(f"{where}.{role}", "is missing", f"it writes the messages of the {role}"))
        for name, prompt in by_name.items():
            if tuple(prompt.parse.fields) != (CONTENT,):
                what = f"reads {', '.join(prompt.parse.fields)}; a turn is read into one field, {CONTENT}"
                found.append(Fault(f"{where}.{name}.parse", what, f"write {{kind: text, field: {CONTENT}}}"))
            own = stage.model_of(prompt).sampling
            several = {**prompt.sampling, **own}.get("n") or 1
            if several != 1 and "n" not in prompt.left_out:
                what = (
                    f"is {several}, but a turn is one message: the other {several - 1} would be paid and lost"
                )
                found.append(Fault(stage.sampling_key(prompt, "n"), what, "leave it out"))
            if name in ROLES:
                found += self._at_its_beginning(stage, prompt, self.names(stage, rest), f"{where}.{name}")
        return found

    def _at_its_beginning(
        self, stage: Stage, prompt: Prompt, names: Mapping[str, Any], where: str
    ) -> Iterator[Fault]:
        """The fault of a prompt that cannot be filled in for its first message."""
        opening = [{"role": USER, CONTENT: "text"}] if prompt.name == ASSISTANT else []
        if prompt.name == USER and self.first:
            opening = self.gives()[MESSAGES].value
        try:
            prompt.fill(names)  # otherwise the fault is reported already
            prompt.turns(names)
            stage.request(prompt, 1, self.named(names, opening), 0)
        except TemplateFault as error:
            if str(error).startswith("prompts."):
                what = f"cannot be filled in for its first message: {str(error).partition(': ')[2]}"
                yield Fault(f"{where}.{prompt.place}", what, "messages is empty then, if first is not set")

    def apart(self, stage: Stage) -> tuple[str, str] | None:
        """See `StageKind`."""
        most = 2 * self.turns - self.given
        waits = f"each message of {stage.name} waits for the one before"
        what = f"{waits}, so there would be {most} batches one after the other, and each may take a day"
        return what, f"write pipeline.{stage.name}.model={{batch: false}}"

    # Planning

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        which = f"those of {stage.of} whose {self.where}" if self.where else f"each of {stage.of}"
        return f"makes a conversation of up to {self.turns} turns from {which}, one request per message"

    def trials(self, stage: Stage, trial: Trial) -> Iterator[Request]:
        """See `StageKind`; with earlier messages of the length that replies are assumed to have."""
        rows, seed = trial.rows, trial.config.seed
        rng = stream(seed, stage.name, "plan")
        sample = rng.sample(rows, min(trial.count, len(rows)))
        lengths = {prompt.name: _assumed(stage, prompt) for prompt in stage.prompts}
        for number, row in enumerate(sample, 1):
            data = {**trial.fields, **{key: value for key, value in row.items() if key in trial.fields}}
            place = rng.randint(self.given + 1, round(2 * self.usual))
            earlier = [ROLES[before % 2] for before in range(place - 1)]
            talk = [{"role": role, CONTENT: " text" * lengths.get(role, 1)} for role in earlier]
            if self.first and talk:
                talk[0][CONTENT] = str(data.get(self.first, ""))
            yield stage.request(self.prompt(stage, place), number, self.named(data, talk), seed)

    def forecast(self, stage: Stage, known: Known) -> Forecast:
        """See `StageKind`."""
        part = part_of(stage.name, stage.of, known, self.share, self.where)
        enough = known.candidates >= ENOUGH
        rate = known.accepted / known.candidates if enough else self.expected
        accepted = around(rate, SHOWN if enough else ACCEPTS).at_most(1.0)
        messages = self._messages(known)
        requests = (part.requests * messages).less(known.taken).whole()
        made = part.requests * accepted
        assumed = () if enough else (
            f"{stage.name}: {messages.expected:g} requests a conversation, pipeline.{stage.name}.usual",
            f"{stage.name}: {rate:g} of its conversations accepted, pipeline.{stage.name}.expected",
        )  # fmt: skip
        return Forecast(requests, made.expected, made, assumed=(*assumed, *part.assumed), shown=part.shown)

    def _messages(self, known: Known) -> Range:
        """How many requests a conversation takes."""
        low, most = (max(1, 2 * turns - self.given) for turns in (self.least, self.turns))
        if known.candidates >= ENOUGH:
            return around(known.taken / known.candidates, SHOWN).at_most(most)
        return Range(low, 2 * self.usual - self.given, most)

    # Running

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        return Conversations(stage, self, run)

    def progress(self, stage: Stage, journal: Journal) -> int | None:
        """See `StageKind`; accepted conversations count."""
        return None


def _assumed(stage: Stage, prompt: Prompt) -> int:
    """How many tokens a message is assumed to have: a third of the most that are allowed."""
    most = {**prompt.sampling, **stage.model_of(prompt).sampling}.get("max_tokens")
    return max(1, most // 3) if isinstance(most, int) else 100
