"""The kinds of stage, and what they have in common.

A kind is a factory in its own module. Its keyword arguments are its options in `pipeline.<stage>`. It returns
a `StageKind`, which answers questions about the stage and opens its `StageRun` in a run. To add a kind, write
such a module and list it here; no other module has to know it. A kind that asks no model has no prompts; its
records are made, judged and stored when it is opened (`unasked`), or one after the other if its filters may
ask a model (`StageKind.steps`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from selfinstruct.llm.thinking import with_thinking
from selfinstruct.parse import Parsed
from selfinstruct.parse.reading import candidates
from selfinstruct.parse.replies import MISSING, Keys
from selfinstruct.prompts.asked import FilledPrompt
from selfinstruct.prompts.rendering import TemplateFault
from selfinstruct.prompts.templates import Prompt
from selfinstruct.records import (
    KEPT,
    OTHERWISE,
    Asked,
    Message,
    Record,
    Rejection,
    Reply,
    Request,
    stream,
)
from selfinstruct.registry import Registry
from selfinstruct.sources.lines import Lines
from selfinstruct.stages.judge import Judge
from selfinstruct.stages.kind import StageKind as StageKind

if TYPE_CHECKING:
    from selfinstruct.config import MixConfig, ModelConfig
    from selfinstruct.journal.store import Journal
    from selfinstruct.llm.endpoint import RunContext


ASSISTANT = "assistant"  # the role of a model's own messages


class StageRun(Protocol):
    """A stage during a run.

    Attributes:
        goal: how many records to accept, or how many records to ask about.
        note: what the user should know about how it ended; empty if there is nothing to know.
        gave_up: None unless it stopped early because its replies were useless; then the number of the last
            useful reply, or 0 if none was useful. The stages after it do not start then.
    """

    goal: int
    note: str
    gave_up: int | None

    def turn(self) -> int | None:
        """The number of the reply to take in next; None if the stage is finished."""

    def compose(self) -> Request | None:
        """The next request; None if it depends on replies that are not yet taken in."""

    async def prepare(self, number: int, reply: Reply, context: RunContext) -> None:
        """Prepare the filters for reply `number` as soon as it arrives, even if its turn is later."""

    def take(self, number: int, reply: Reply) -> list[Record]:
        """Read, judge and store reply `number`; returns its candidates that had no fate before."""

    def skip(self, number: int) -> None:
        """Continue without reply `number`, which the replayed run does not have."""


@dataclass(frozen=True)
class Material:
    """The material for the records of a stage that asks no model, read and checked before the run.

    Attributes:
        rows: the fields of each record, in order; a run continues only if they are the same as before.
        told: a description of their source, for the plan.
        notes: what the user should know about them.
        origins: for each row, the details that its record gets, such as the run that it is from; or empty.
        digest: a digest of what the records are made of, if the rows are only read when the stage runs.
    """

    rows: list[dict[str, Any]]
    told: str
    notes: list[str] = field(default_factory=list)
    origins: list[dict[str, Any]] = field(default_factory=list)
    digest: str = ""


STAGES: Registry[StageKind] = Registry(
    "stage kind",
    (
        "selfinstruct.stages.bootstrap",
        "selfinstruct.stages.documents",
        "selfinstruct.stages.rows",
        "selfinstruct.stages.records",
        "selfinstruct.stages.merged",
        "selfinstruct.stages.topics",
        "selfinstruct.stages.label",
        "selfinstruct.stages.expand",
        "selfinstruct.stages.converse",
        "selfinstruct.stages.derive",
        "selfinstruct.stages.sample",
        "selfinstruct.stages.pair",
        "selfinstruct.stages.prefer",
        "selfinstruct.stages.calibrate",
    ),
    "stages",
    StageKind,
)


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe, checked and ready.

    Attributes:
        name: its name in the pipeline.
        kind: its kind, with the options.
        of: the stage that makes the records it works on; None if it works on no other stage's records.
        prompts: its prompt, or the variants of it; empty if it asks no model.
        judge: its filters and its schema.
        model: the model it asks; unused if it asks none.
        fields: the fields of its records, with sample values.
        fallbacks: the models that get a request that its own model has given up, in order.
        material: the material for its records, if its kind loads some.
        lines: the files from which its kind draws lines, already read.
        others: by variant of the prompt, its model and the fallbacks, for variants with a model of their own.
    """

    name: str
    kind: StageKind
    of: str | None
    prompts: list[Prompt]
    judge: Judge
    model: ModelConfig
    fields: dict[str, Any]
    fallbacks: list[ModelConfig] = field(default_factory=list)
    material: Material | None = None
    lines: Mapping[str, Lines] = field(default_factory=dict)
    others: Mapping[str, tuple[ModelConfig, list[ModelConfig]]] = field(default_factory=dict)

    def model_of(self, prompt: Prompt) -> ModelConfig:
        """The model that gets a prompt."""
        return self.others[prompt.name][0] if prompt.name and prompt.name in self.others else self.model

    @property
    def own(self) -> list[str]:
        """The fields that the stage itself gives its records; the other fields come from their parents."""
        return list(self.kind.gives(self))

    @property
    def labels(self) -> bool:
        """Whether it sets fields of another stage's records instead of making records."""
        return self.kind.labels

    @property
    def shows_seeds(self) -> bool:
        """Whether its prompts show examples from the seeds."""
        return self.kind.shows_seeds

    def request(
        self,
        prompt: Prompt,
        number: int,
        names: dict[str, Any],
        seed: int,
        examples: Sequence[Record] = (),
        parent: Record | None = None,
    ) -> Request:
        """A complete request; the model's own sampling overrides the prompt's.

        Args:
            prompt: the prompt to fill in.
            number: the request's number.
            names: the names that the templates can use.
            seed: the run's seed.
            examples: the few-shot examples shown.
            parent: the record it is about.
        """
        try:
            system, text, sampling = prompt.fill(names)
            before, start = prompt.turns(names)
        except TemplateFault as error:  # which the sample values of the check did not cause
            key = f"prompts.{self.name}" + (f".variants.{prompt.name}" if prompt.name else "")
            place = error.place or prompt.place
            raise TemplateFault(f"{key}.{place}, request {number}: {error}") from error
        if prompt.talks:
            before, text = self._last_of(prompt, number, before)
        model = self.model_of(prompt)
        sampling.update(model.sampling)
        if model.seeded:
            sampling.setdefault("seed", stream(seed, self.name, number, "sampling").getrandbits(31))
        sampling = with_thinking(sampling, model)
        return Request(
            stage=self.name,
            number=number,
            prompt=text,
            system=system,
            sampling={
                key: value
                for key, value in sampling.items()
                if value is not None and key not in prompt.left_out
            },
            examples=tuple(record.id for record in examples),
            parent=parent.id if parent else None,
            variant=prompt.name,
            may_shorten=prompt.may_shorten,
            fixed=prompt.beginning(system, text, before),
            before=before,
            start=start,
            opens=prompt.opens,
        )

    def _last_of(
        self, prompt: Prompt, number: int, messages: Sequence[Message]
    ) -> tuple[tuple[Message, ...], str]:
        """The messages of a prompt that ends with a conversation: those before the last, and the last."""
        *earlier, last = messages or [Message(ASSISTANT, "")]
        if last.role == ASSISTANT:
            key = f"prompts.{self.name}.variants.{prompt.name}.messages"
            what = "the conversation so far does not end with a message of the user"
            raise TemplateFault(f"{key}, request {number}: {what}")
        return tuple(earlier), last.text

    def drawn(self, number: int, seed: int) -> dict[str, Any]:
        """The lines and values drawn for a request, by their names in the templates."""
        return {
            name: stream(seed, self.name, number, "line", name).choice(lines.drawable)
            for name, lines in self.lines.items()
        }

    def divided(self, drawn: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Of what a request has drawn: the values that are fields of its records, and the other lines."""
        fields = {name: value for name, value in drawn.items() if self.lines[name].kept}
        return fields, {name: value for name, value in drawn.items() if name not in fields}

    def variant(self, data: dict[str, Any], number: int, seed: int) -> Prompt:
        """The prompt for the record that request `number` is about."""
        return self.kind.variant(self, data, number, seed)

    def read(
        self,
        prompt: Prompt,
        number: int,
        reply: Reply,
        seed: int,
        shown: int = 0,
        parent: Record | None = None,
        asked: Asked | None = None,
    ) -> list[Record]:
        """The candidates of a reply, after the checks that see all of them together.

        Args:
            prompt: the prompt that was sent; it says how to read the reply.
            number: the request's number.
            reply: the reply.
            seed: the run's seed.
            shown: how many examples the prompt showed.
            parent: the record it is about; each candidate has its fields too.
            asked: the filled-in prompt, for checks that read it; needed if the request is about no record.
        """
        asked_for = asked or FilledPrompt(prompt, parent.data if parent else {})
        drawn = self.divided(self.drawn(number, seed))[0] if self.lines else {}
        base = {
            **(parent.data if parent else {}),
            **drawn,
            **self.kind.stamp(prompt.name),
        }
        keys = self.keys(prompt)
        pieces = [
            piece for choice in reply.choices for piece in candidates(prompt.parse, choice, shown, keys)
        ]
        sampling = {**prompt.sampling, **self.model_of(prompt).sampling}
        wanted = (None if "n" in prompt.left_out else sampling.get("n")) or 1
        if reply.error is None:
            missing = wanted - len(reply.choices)
            pieces += [Parsed({}, MISSING, f"{missing} of {wanted} choices did not come back")] * missing
        records = []
        for position, piece in enumerate(pieces):
            record = self.record(number, position, {**base, **piece.data}, parent)
            record.asked = asked_for
            if piece.check:
                record.reject(piece.check, Rejection(piece.reason or ""))
                if piece.otherwise is not None and self.labels:
                    self._label_otherwise(record, {**base, **piece.otherwise})
            records.append(record)
        if self.judge.sifts:
            self.judge.sift(records, stream(seed, self.name, number, "sift"))
        return records

    def _label_otherwise(self, record: Record, data: dict[str, Any]) -> None:
        """Give the record of a rejected reply its `otherwise` labels, if they pass the checks."""
        if self.judge.passes(replace(record, data=data, detail={})):
            record.detail[OTHERWISE] = {key: data[key] for key in self.own if key in data}

    def keys(self, prompt: Prompt) -> Keys:
        """The config keys that decide where a reply ends."""
        longest, stop = (self.sampling_key(prompt, key) for key in ("max_tokens", "stop"))
        stops = {**prompt.sampling, **self.model_of(prompt).sampling}.get("stop")
        return Keys(longest, stop if stops else None, "model.thinking_tokens")

    def sampling_key(self, prompt: Prompt, key: str) -> str:
        """The config key that sets a parameter; the model's own sampling overrides the prompt's."""
        sampling = self.model_of(prompt).sampling
        if key not in sampling:
            return prompt.key(key)
        if prompt.name in self.others and sampling[key] != self.model.sampling.get(key):
            return f"prompts.{self.name}.variants.{prompt.name}.model.sampling.{key}"
        return f"model.sampling.{key}"

    def kept(self, number: int, position: int, parent: Record) -> Record:
        """A copy of a record that goes on unchanged because none of its children was accepted."""
        record = self.record(number, position, {**parent.data, **self.kind.stamp(KEPT)}, parent)
        record.detail[KEPT] = True
        self.judge.approve(record)
        return record

    def record(
        self, number: int, position: int, data: dict[str, Any], parent: Record | None = None
    ) -> Record:
        """A new candidate of this stage."""
        id = f"{self.name}-{number:06d}-{position}"
        return Record(id, self.name, number, position, data, parent.id if parent else None)


@dataclass(frozen=True)
class StageContext:
    """What a stage needs in one run.

    Attributes:
        journal: the journal of the run, with all that was done before.
        seeds: the seed tasks.
        mix: the few-shot mix.
        seed: the run's seed.
        target: how many records to accept, for a stage that works on no other stage's records.
        rows: returns the records that the stage works on, by request number, with the labels set before it.
            They are read from the journal when they are asked for, and must not be changed.
        rows_of: returns those of another stage before it that makes records.
        asked_about: returns the stages that have asked about its records, or about records made from them.
    """

    journal: Journal
    seeds: list[Record]
    mix: MixConfig
    seed: int
    target: int
    rows: Callable[[], Mapping[int, Record]]
    asked_about: Callable[[], Sequence[str]] = tuple
    rows_of: Callable[[str], Mapping[int, Record]] = lambda name: {}


_BEFORE = {"Kind": "StageKind", "Setting": "StageContext", "Work": "StageRun"}


def __getattr__(name: str) -> Any:
    """The old names, for plug-ins that use them."""
    if name not in _BEFORE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = _BEFORE[name]
    warnings.warn(f"selfinstruct.stages.{name} is {new} now", DeprecationWarning, stacklevel=2)
    if name != "Kind":
        return globals()[new]
    from selfinstruct.stages.legacy import Kind

    return Kind
