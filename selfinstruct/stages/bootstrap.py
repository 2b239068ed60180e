"""`bootstrap`: new records from a few-shot mix of the pool (arXiv 2212.10560, section 2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from math import ceil, inf
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field as Bound

from selfinstruct.config import Machine, MixConfig, OnDisk
from selfinstruct.errors import Fault
from selfinstruct.journal.places import unpacked
from selfinstruct.journal.store import Journal
from selfinstruct.prompts.asked import FilledPrompt
from selfinstruct.records import ACCEPTED, WAITING, Record, Reply, Request, stream
from selfinstruct.sources.pool import Pool, Seeds
from selfinstruct.stages import STAGES, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.fields import Field, Sample, read_from
from selfinstruct.stages.forecast import Forecast, Known, asked_until_target
from selfinstruct.stages.kind import Parts, Rest, Trial, counted
from selfinstruct.stages.patience import Patience
from selfinstruct.stages.records import taken_from
from selfinstruct.stages.tape import ByNumber, ReplayStats, Tape

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext


@STAGES.register
def bootstrap(
    *,
    window: Annotated[int, Bound(ge=1, le=100_000)] = 5,
    batched: bool = False,
    patience: Annotated[int, Bound(ge=1, le=1_000_000_000), Machine] = 50,
    expected: Annotated[float, Bound(gt=0, le=1_000), Machine] = 2.0,
    lines: Annotated[dict[str, str | list[Any]] | None, OnDisk] = None,
    from_run: Annotated[str | None, Bound(min_length=1), Machine, OnDisk] = None,
) -> FromPool:
    """Asks for more tasks like those in the pool; what is accepted joins the pool at once.

    Args:
        window: request i shows the pool as it was after reply i - window, so up to `window` can be in flight.
        batched: requests are sent in groups of `window` that all show the same pool, as in the original.
        patience: stop after this many replies in a row that added nothing, or after half as many if none was
            usable from the start; may change when a run continues.
        expected: how many accepted records a reply is assumed to give, in the plan, until enough replies
            came.
        lines: name: a file of lines, in your folder or among ours, or a list of values. Each request draws
            one: templates use it as `{{ name }}`, and exports may have it as a column. The values of a list,
            and of a JSONL file (one JSON value per line), become a field of the records.
        from_run: the folder of a finished run: take the records of its stage with the same name instead of
            asking for them. Then the other options, the stage's prompt and its model are not used.
    """
    return FromPool(
        window=window,
        batched=batched,
        patience=patience,
        expected=expected,
        lines=lines or {},
        from_run=from_run,
    )


@dataclass(frozen=True, kw_only=True)
class FromPool(StageKind):
    """The kind `bootstrap`; its prompts show examples from the pool, and its records join it."""

    window: int = 5
    batched: bool = False
    patience: int = 50
    expected: float = 2.0
    lines: Mapping[str, str | list[Any]] = field(default_factory=dict)
    from_run: str | None = None

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`; with `from_run` it is a stage of the kind `records`."""
        if self.from_run:
            return taken_from(self.from_run, parts)
        return parts.asking(self, lines=self.lines)

    @property
    def shows_seeds(self) -> bool:
        """See `StageKind`."""
        return True

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        return read_from(stage, _drawn_fields(stage)) if stage else {}

    def ways(self, stage: Stage) -> list[Sequence[str]]:
        """See `StageKind`."""
        return [(*_drawn_fields(stage), *prompt.parse.fields) for prompt in stage.prompts]

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """See `StageKind`."""
        found = _mix(rest.config.mix, rest.seeds, rest.config.seeds.from_run) if rest.seeds else []
        if rest.config.prompts[stage.name].variants:
            what = "a stage that asks about no record has no field that could pick a variant"
            found.append(Fault(f"prompts.{stage.name}.variants", what, "leave them out"))
        return found

    def names(self, stage: Stage, rest: Rest) -> dict[str, Any]:
        """See `StageKind`."""
        made = {key: stage.fields.get(key, "text") for key in stage.prompts[0].parse.fields}
        tasks = [seed.data for seed in rest.seeds.tasks] if rest.seeds and rest.config.mix.examples else []
        lines = {name: one.drawable[0] for name, one in stage.lines.items()}
        made |= stage.divided(lines)[0]
        return {"examples": [*tasks, made] if rest.config.mix.generated else tasks, **lines}

    def apart(self, stage: Stage) -> tuple[str, str] | None:
        """See `StageKind`."""
        if self.batched:
            return None
        where = f"pipeline.{stage.name}"
        first = self.window + 1
        what = (
            f"the prompts of {stage.name} show what earlier replies gave, so request {first} waits for "
            f"reply 1, request {first + 1} for reply 2, and so on"
        )
        remedy = f"write {where}.batched=true {where}.window=100, for batches of 100 requests"
        return what, f"{remedy}, or {where}.model={{batch: false}}"

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        return f"asks for more until {target} are accepted"

    def remarks(self, stage: Stage) -> list[str]:
        """See `StageKind`."""
        drawn = [f"{name:<8} one of {one.told}" for name, one in stage.lines.items()]
        if stage.model.batch and self.batched:
            many = f"{self.window:,} requests (pipeline.{stage.name}.window)"
            drawn.append(f"batches  of {many}, one after the other")
        return drawn

    def trials(self, stage: Stage, trial: Trial) -> Iterator[Request]:
        """See `StageKind`."""
        mix, seed = trial.config.mix, trial.config.seed
        for number in range(1, trial.count + 1):
            drawn = Pool(trial.seeds.tasks).draw(mix, 0, stream(seed, stage.name, number))
            names = {"examples": [record.data for record in drawn], **stage.drawn(number, seed)}
            yield stage.request(stage.prompts[0], number, names, seed, examples=drawn)

    def forecast(self, stage: Stage, known: Known) -> Forecast:
        """See `StageKind`."""
        return asked_until_target(stage.name, known, self.expected, partial(self._sent, stage))

    def _sent(self, stage: Stage, needed: float) -> float:
        """Requests sent when so many replies have reached the target; those in flight are paid for, too."""
        model = stage.model
        flying = self.window if model.batch else model.concurrency * model.prompts_per_request
        flying = min(self.window, flying)
        whole_groups = ceil(needed / self.window) * self.window
        return min(needed + flying - 1, whole_groups if self.batched else inf)

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        return Bootstrap(stage, run, self.window, self.batched, self.patience)

    def progress(self, stage: Stage, journal: Journal) -> int | None:
        """See `StageKind`."""
        return None

    def tape(self, stage: Stage, source: Journal, into: Journal, stats: ReplayStats) -> Tape:
        """See `StageKind`."""
        return ByNumber(stage.name, source, into, stats)

    def falls_short(self, accepted: int, goal: int) -> bool:
        """See `StageKind`."""
        return accepted < goal

    def wasted(self, rejected: Mapping[str, int]) -> int:
        """See `StageKind`; many rejections are normal, but not by only one check."""
        return max(rejected.values(), default=0)

    def came(self, stage: Stage, accepted: int, left: int, target: int | None) -> str:
        """See `StageKind`."""
        return counted(stage.name, accepted, left, target)

    def levers(self, mix: MixConfig) -> dict[str, str]:
        """See `StageKind`."""
        names, fewer = ({"draws": ""} if mix.examples else {}), mix.examples // 2
        if mix.examples > 1:
            generated = f" mix.generated={fewer}" if mix.generated > fewer else ""
            names["fewer_examples"] = f"mix.examples={fewer}{generated}"
        return names


def _drawn_fields(stage: Stage) -> Sample:
    """The fields with the values that its requests draw; a user may list fewer, so they are no closed set."""
    kept = {name: lines.drawable for name, lines in stage.lines.items() if lines.kept}
    return {name: Field(values[0], stage.name) for name, values in kept.items()}


def _mix(mix: MixConfig, seeds: Seeds, from_run: str | None) -> list[Fault]:
    found = []
    if mix.generated > mix.examples:
        what = f"is {mix.generated}, more than the {mix.examples} examples of a prompt"
        found.append(Fault("mix.generated", what, "set it lower, or mix.examples higher"))
    if len(seeds.tasks) < mix.examples:
        what = f"asks for {mix.examples} examples but there are {len(seeds.tasks)} seeds"
        more = f"take a larger run than {from_run}" if from_run else f"add seeds to {seeds.path}"
        remedy = f"{more}, loosen seeds.where, or set mix.examples and mix.generated"
        found.append(Fault("mix.examples", what, remedy))
    return found


class Bootstrap:
    """A bootstrap stage during a run; see `StageRun`."""

    def __init__(self, stage: Stage, run: StageContext, window: int, batched: bool, patience: int) -> None:
        self.stage, self.run, self.goal = stage, run, run.target
        self.note = ""
        self.gave_up: int | None = None
        self._unused = Patience(stage, run.journal, patience)
        self._window, self._batched, self._patience = window, batched, patience
        self._pool = Pool(run.seeds, self._stored)
        self._composed: dict[int, list[Record]] = {}  # by request not yet taken in: the examples drawn for it
        self._idle = 0
        stage.judge.learn_all(run.seeds)
        self._rebuild()

    def turn(self) -> int | None:
        """See `StageRun`."""
        if len(self._pool.made) >= self.goal:
            return None
        if self._unused.over:
            self.gave_up, self.note = self._unused.last, self._unused.note(self.stage.name)
            return None
        if self._idle >= self._patience:
            self.note = (
                f"stopped at {len(self._pool.made)} of {self.goal}: the last {self._idle} replies added "
                "nothing. To try longer, run the same command with "
                f"pipeline.{self.stage.name}.patience={2 * self._patience}"
            )
            return None
        return self._turn

    def compose(self) -> Request | None:
        """See `StageRun`."""
        number = self._next
        after = self._visible(number)
        if after >= self._turn:
            return None
        self._next += 1
        drawn = self._composed[number] = self._draw(number)
        lines = self.stage.drawn(number, self.run.seed)
        names = {"examples": [record.data for record in drawn], **lines}
        return self.stage.request(self.stage.prompts[0], number, names, self.run.seed, examples=drawn)

    async def prepare(self, number: int, reply: Reply, context: RunContext) -> None:
        """See `StageRun`."""
        if self.stage.judge.prepares:
            records = self._cut_short.get(number) or self._read(number, reply)
            await self.stage.judge.prepare(records, context, self.stage.name)

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `StageRun`. Candidates after the target is reached stay waiting, for a larger target."""
        stored = self._cut_short.pop(number, [])
        records = stored or self._read(number, reply)
        lines = self.stage.divided(self.stage.drawn(number, self.run.seed))[1]
        asked = self._asked(number)
        for record in records:
            record.detail.update(lines)
            record.asked = record.asked or asked
        new = [record for record in records if record.fate == WAITING] if stored else records
        for record in records:
            if len(self._pool.made) >= self.goal:
                break
            if record.fate == WAITING and self.stage.judge.admit(record):
                self._pool.add(record)
        if all(record.fate != WAITING for record in records):
            self._unused.see(number, records)
            self._composed.pop(number, None)
            self._close(number, any(record.fate == ACCEPTED for record in records))
        return new

    def skip(self, number: int) -> None:
        """See `StageRun`."""
        self._composed.pop(number, None)
        self._pool.close(number)
        self._turn = number + 1

    def _read(self, number: int, reply: Reply) -> list[Record]:
        prompt, shown = self.stage.prompts[0], self.run.mix.examples
        return self.stage.read(prompt, number, reply, self.run.seed, shown, asked=self._asked(number))

    def _asked(self, number: int) -> FilledPrompt:
        lines = self.stage.drawn(number, self.run.seed)
        return FilledPrompt(self.stage.prompts[0], lines, partial(self._shown, number))

    def _draw(self, number: int) -> list[Record]:
        """The examples of a request, which are always the same."""
        rng = stream(self.run.seed, self.stage.name, number)
        return self._pool.draw(self.run.mix, self._visible(number), rng)

    def _stored(self, place: int) -> Record:
        """The accepted record at a place."""
        return self.run.journal.following(self.stage.name, *unpacked(place), 1, ACCEPTED)[0]

    def _shown(self, number: int) -> dict[str, Any]:
        """The examples of a request that was sent.

        In a replay with other settings they differ from those that would be drawn now.
        """
        sent = self.run.journal.examples(self.stage.name, number)
        drawn = self._composed.get(number) or self._draw(number)
        if sent is not None and sent != tuple(record.id for record in drawn):
            found = (self._find(id) for id in sent)
            drawn = [record for record in found if record]
        return {"examples": [record.data for record in drawn]}

    def _find(self, id: str) -> Record | None:
        """A seed or a candidate, accepted or not; None if a replay did not read it."""
        seed = next((seed for seed in self.run.seeds if seed.id == id), None)
        request = id.rpartition("-")[0].rpartition("-")[2]
        if seed or not request.isdigit():
            return seed
        candidates = self.run.journal.records(self.stage.name, request=int(request))
        return next((record for record in candidates if record.id == id), None)

    def _visible(self, number: int) -> int:
        """The number of the last reply whose records request `number` may show."""
        if self._batched:
            return (number - 1) // self._window * self._window
        return max(0, number - self._window)

    def _close(self, number: int, added: bool) -> None:
        self._pool.close(number)
        self._idle = 0 if added else self._idle + 1
        self._turn = number + 1

    def _rebuild(self) -> None:
        """Restore the pool from the journal, and the place to continue from."""
        journal, name = self.run.journal, self.stage.name
        last = max(journal.taken(name), default=0)
        self._turn = 1
        for number, records in groupby(journal.records(name, ACCEPTED), attrgetter("request")):
            self._close_empty(min(number - 1, last))
            self._accept(records)
            if number <= last:  # the others are of a reply that reaching the target cut short
                self._close(number, added=True)
        self._close_empty(last)
        self._next = self._turn
        self._cut_short = {self._turn: list(journal.records(name, request=self._turn))}

    def _close_empty(self, last: int) -> None:
        """Close the replies up to this one, which added nothing; a replay may have skipped some of them."""
        for number in range(self._turn, last + 1):
            self._close(number, added=False)

    def _accept(self, records: Iterable[Record]) -> None:
        for record in records:
            self._pool.add(record)
            self.stage.judge.learn(record)
