"""What `label` and `expand` have in common: one request for each record of another stage, or for some."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from selfinstruct.config import Machine
from selfinstruct.errors import Fault
from selfinstruct.prompts.templates import Prompt
from selfinstruct.records import ACCEPTED, KEPT, WAITING, Record, Reply, Request, stream
from selfinstruct.stages import Stage, StageContext, StageKind, StageRun, variants
from selfinstruct.stages.fields import Sample, picked, read_from
from selfinstruct.stages.forecast import Forecast, Known, part_of
from selfinstruct.stages.kind import Parts, Rest, Trial
from selfinstruct.stages.patience import Patience
from selfinstruct.stages.ranges import exactly
from selfinstruct.where import is_one_of

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

PATIENCE = 50
Endurance = Annotated[int, Field(ge=1, le=1_000_000_000), Machine]
Share = Annotated[float, Field(gt=0, le=1), Machine]
Times = Annotated[int, Field(ge=1, le=8)]


@dataclass(frozen=True, kw_only=True)
class AboutEach(StageKind):
    """A kind that asks about each record of another stage.

    Attributes:
        by: the field that picks the prompt's variant.
        share: the share of the records that `where` is expected to pick, for a plan.
        patience: how many replies in a row may be useless.
        keep: whether a record without an accepted child goes on unchanged.
        times: how many requests it sends about each record.
    """

    by: str | None = None
    share: float = 1.0
    patience: int = PATIENCE
    keep: bool = False
    times: int = 1

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`."""
        of = parts.source(self.of)
        stage = parts.asking(self, of)
        return stage if of else None

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        return read_from(stage, {}) if stage else {}

    def ways(self, stage: Stage) -> list[Sequence[str]]:
        """See `StageKind`."""
        return [prompt.parse.fields for prompt in stage.prompts]

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """See `StageKind`."""
        fields, names = picked(rest.fields, self.where), self.names(stage, rest)
        return [
            *super().faults(stage, rest),
            *self._of_variants(stage, fields, names),
            *variants.only_in_some(stage, self.by, fields, names),
            *self._always_equal(stage),
        ]

    def _always_equal(self, stage: Stage) -> Iterator[Fault]:
        """A fault if all replies about a record would be the same."""
        if self.times == 1 or self.varies:
            return
        for prompt in stage.prompts:
            if {**prompt.sampling, **stage.model.sampling}.get("temperature") == 0:
                key = "model" if "temperature" in stage.model.sampling else f"prompts.{stage.name}"
                what = f"is 0, so the {self.times} replies about a record would be the same"
                remedy = f"set it to 0.7, for example, or pipeline.{stage.name}.times to 1"
                yield Fault(f"{key}.sampling.temperature", what, remedy)
                return

    @property
    def varies(self) -> bool:
        """Whether the requests about a record may have different prompts."""
        return False

    def _of_variants(self, stage: Stage, fields: Sample, names: dict[str, Any]) -> list[Fault]:
        return variants.by_field_faults(stage, self.by, fields, names)

    def remarks(self, stage: Stage) -> list[str]:
        """See `StageKind`."""
        names = [prompt.name for prompt in stage.prompts if prompt.name]
        return [f"variants {', '.join(names)} by {self.by}"] if names else []

    def which(self, stage: Stage) -> str:
        """The records that it asks about, in words."""
        return f"those of {stage.of} whose {self.where}" if self.where else f"each of {stage.of}"

    @property
    def how_often(self) -> str:
        """The number of requests about each record, in words."""
        return "one request per record" if self.times == 1 else f"{self.times} requests per record"

    def trials(self, stage: Stage, trial: Trial) -> Iterator[Request]:
        """See `StageKind`."""
        rows, seed = trial.rows, trial.config.seed
        sample = stream(seed, stage.name, "plan").sample(rows, min(trial.count, len(rows)))
        for number, row in enumerate(sample, 1):
            data = {**trial.fields, **{key: value for key, value in row.items() if key in trial.fields}}
            yield stage.request(self._tried(stage, row, data, number, seed), number, data, seed)

    def _tried(
        self, stage: Stage, row: Mapping[str, Any], data: dict[str, Any], number: int, seed: int
    ) -> Prompt:
        """The prompt for a sample record; if the record lacks the field, the variants take turns."""
        value = row.get(self.by or "")
        same = [prompt for prompt in stage.prompts if is_one_of(value, [prompt.when])]
        return same[0] if same else stage.prompts[number % len(stage.prompts)]

    def part(self, stage: Stage, known: Known) -> Forecast:
        """How many requests about the records it will send."""
        found = part_of(stage.name, stage.of, known, self.share, self.where)
        return replace(found, requests=found.requests * exactly(self.times))

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        return Each(stage, run, self.patience)

    def variant(self, stage: Stage, data: Mapping[str, Any], number: int, seed: int) -> Prompt:
        """See `StageKind`."""
        return variants.picked_by(stage, self.by, data)


class Each:
    """A stage, during a run, that asks about each record of another stage; see `StageRun`.

    A request has the number of its record among the accepted records of that stage, so the numbers stay the
    same when the target grows; with `times: 3`, the first record has the numbers 1 to 3. For the same reason
    a rewritten record is compared only with the records up to its own number, and with what was made from
    them.
    """

    def __init__(self, stage: Stage, run: StageContext, patience: int = PATIENCE) -> None:
        self.stage, self.run = stage, run
        self.patience = Patience(stage, run.journal, patience)
        kind = self._kind = stage.kind if isinstance(stage.kind, AboutEach) else AboutEach()
        self._rows = kind.fitting(run.rows())
        self.goal = len(self._rows) * kind.times
        done = run.journal.taken(stage.name)
        self._kept = 0
        self.note = ""
        self.gave_up: int | None = None
        if kind.keep:
            accepted = run.journal.records(stage.name, ACCEPTED)
            self._count(sum(KEPT in record.detail for record in accepted))
        stage.judge.learn_all(run.seeds)
        stage.judge.learn_all(self._before(sorted(done)))
        self._left = array("q", (number for number in self._numbers() if number not in done))
        self._sent = self._took = 0  # how many of those that were left

    def _numbers(self) -> Iterator[int]:
        """The numbers of all its requests, in order."""
        times = self._kind.times
        return ((number - 1) * times + time for number in sorted(self._rows) for time in range(1, times + 1))

    def _row(self, number: int) -> Record:
        """The record that a request is about."""
        return self._rows[(number - 1) // self._kind.times + 1]

    def turn(self) -> int | None:
        """See `StageRun`."""
        if self._took == len(self._left):
            return None
        if self.patience.over:
            self.gave_up, self.note = self.patience.last, self.patience.note(self.stage.name)
            return None
        return self._left[self._took]

    def compose(self) -> Request | None:
        """See `StageRun`."""
        if self._sent == len(self._left):
            return None
        number = self._left[self._sent]
        self._sent += 1
        row, seed = self._row(number), self.run.seed
        prompt = self.stage.variant(row.data, number, seed)
        return self.stage.request(prompt, number, row.data, seed, parent=row)

    async def prepare(self, number: int, reply: Reply, context: RunContext) -> None:
        """See `StageRun`."""
        if self.stage.judge.prepares:
            await self.stage.judge.prepare(self._read(number, reply), context, self.stage.name)

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `StageRun`."""
        row = self._row(number)
        self.stage.judge.learn_all(self._rewritten(row))
        records = self._read(number, reply)
        for record in records:
            if record.fate == WAITING:
                self.stage.judge.admit(record)
        if self._kind.keep and all(record.fate != ACCEPTED for record in records):
            records.append(self.stage.kept(number, len(records), row))
            self._count(1)
        self._took += 1
        self.patience.see(number, records)
        return records

    def skip(self, number: int) -> None:
        """See `StageRun`."""
        self._took += 1

    def _read(self, number: int, reply: Reply) -> list[Record]:
        row, seed = self._row(number), self.run.seed
        return self.stage.read(self.stage.variant(row.data, number, seed), number, reply, seed, parent=row)

    def _count(self, more: int) -> None:
        """Count records that go on unchanged, and note it."""
        self._kept += more
        if self._kept:
            why = "rejected.jsonl has what was made from them, and why it was rejected"
            self.note = f"{self._kept} of {self.goal} go on unchanged; {why}"

    def _before(self, done: list[int]) -> Iterator[Record]:
        """The records that the filters learned before an interruption, in the same order."""
        made = groupby(self.run.journal.records(self.stage.name, ACCEPTED), lambda record: record.request)
        number, records = next(made, (0, iter(())))
        times = self._kind.times
        for request in done:
            if (request - 1) // times + 1 in self._rows:
                yield from self._rewritten(self._row(request))
            while number and number < request:
                number, records = next(made, (0, iter(())))
            if number == request:
                yield from (record for record in records if KEPT not in record.detail)

    def _rewritten(self, row: Record) -> Iterator[Record]:
        """The record with only the fields that the stage rewrites; nothing if it rewrites none."""
        own = {key: row.data[key] for key in sorted(set(self.stage.own) & set(row.data))}
        if own and not self.stage.labels:
            yield replace(row, data=own)
