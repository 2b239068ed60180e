"""The kinds of stage, and what they share.

A kind is a factory in a module of its own whose keyword arguments are its options in `pipeline.<stage>`. It
makes a `Kind`, which opens the stage's `Work` on a run. To add a kind, write such a module and list it here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from selfinstruct.judge import Judge
from selfinstruct.parse import UNREADABLE, Parsed
from selfinstruct.prompts import Prompt
from selfinstruct.records import Record, Rejection, Reply, Request, stream
from selfinstruct.registry import Registry
from selfinstruct.replies import MISSING, fault_of

if TYPE_CHECKING:
    from selfinstruct.config import MixConfig, ModelConfig
    from selfinstruct.llm.endpoint import Desk
    from selfinstruct.store import Journal


LONGEST_SHOWN = 2_000  # characters of a faulty reply among the rejected; the journal has all of it


class Work(Protocol):
    """A stage at work in a run.

    Attributes:
        goal: accepted records to reach, or records to ask about.
        note: what the user should know about how it ended; empty where there is nothing.
    """

    goal: int
    note: str

    def turn(self) -> int | None:
        """The number of the reply to take in next; None when the stage has come to its end."""

    def compose(self) -> Request | None:
        """The next request, None as long as it depends on replies that are not taken in."""

    async def prepare(self, number: int, reply: Reply, desk: Desk) -> None:
        """Get the filters ready for reply `number` as soon as it has arrived; it may not be its turn yet."""

    def take(self, number: int, reply: Reply) -> list[Record]:
        """Read, judge and take in reply `number`; those of its candidates that had no fate before."""


@dataclass(frozen=True)
class Kind:
    """A kind of stage with its options.

    Attributes:
        open: starts or continues the stage in a run.
        draws: whether its prompts show examples from the pool; else they are about one record each.
        labels: whether it sets a field of the records it is about, rather than making new ones.
        of: the stage whose records it is about; None for the nearest before it that makes records.
        by: the field that picks the prompt's variant.
        expected: accepted records that one reply may yield, for a plan before there was any reply.
    """

    open: Callable[[Stage, Setting], Work]
    draws: bool = False
    labels: bool = False
    of: str | None = None
    by: str | None = None
    expected: float = 1.0


STAGES: Registry[Kind] = Registry(
    "stage kind",
    ("selfinstruct.stages.bootstrap", "selfinstruct.stages.label", "selfinstruct.stages.expand"),
)


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe, checked and ready.

    Attributes:
        name: its name in the pipeline.
        kind: what it does.
        of: the stage whose records it is about; None where it draws from the pool.
        prompts: its prompt, or the variants of it.
        judge: its filters and its schema.
        model: the model it asks.
        fields: the fields of its records, with sample values.
        fallbacks: in order, the models that take over a request that its own has given up.
    """

    name: str
    kind: Kind
    of: str | None
    prompts: list[Prompt]
    judge: Judge
    model: ModelConfig
    fields: dict[str, Any]
    fallbacks: list[ModelConfig] = field(default_factory=list)

    def request(
        self,
        prompt: Prompt,
        number: int,
        names: dict[str, Any],
        seed: int,
        examples: Sequence[Record] = (),
        parent: Record | None = None,
    ) -> Request:
        """A request, composed; the model's own sampling has the last word over the prompt's.

        Args:
            prompt: the prompt to fill in.
            number: the request's number.
            names: what the templates may name.
            seed: the run's seed.
            examples: the few-shot examples shown.
            parent: the record it is about.
        """
        system, text, sampling = prompt.fill(names)
        sampling.update(self.model.sampling)
        if self.model.seeded:
            sampling.setdefault("seed", stream(seed, self.name, number, "sampling").getrandbits(31))
        return Request(
            stage=self.name,
            number=number,
            prompt=text,
            system=system,
            sampling={key: value for key, value in sampling.items() if value is not None},
            examples=tuple(record.id for record in examples),
            parent=parent.id if parent else None,
            variant=prompt.name,
        )

    def variant(self, data: dict[str, Any]) -> Prompt:
        """The prompt for a record."""
        if self.kind.by is None:
            return self.prompts[0]
        value = data[self.kind.by]
        # 1 == True in Python, but a label 1 is not the label true.
        same = [p for p in self.prompts if p.when == value and type(p.when) is type(value)]
        return same[0]

    def read(
        self,
        prompt: Prompt,
        number: int,
        reply: Reply,
        seed: int,
        shown: int = 0,
        parent: Record | None = None,
    ) -> list[Record]:
        """The candidates of a reply, through the checks that see all of them together.

        Args:
            prompt: the prompt that was asked, which knows how to read the reply.
            number: the request's number.
            reply: what came back.
            seed: the run's seed.
            shown: how many examples the prompt showed.
            parent: the record it is about, whose fields each candidate has too.
        """
        base = dict(parent.data) if parent else {}
        pieces = [piece for choice in reply.choices for piece in _pieces(prompt, choice, shown)]
        asked = {**prompt.sampling, **self.model.sampling}.get("n") or 1
        if reply.error is None:
            missing = asked - len(reply.choices)
            pieces += [Parsed({}, MISSING, f"{missing} of {asked} choices did not come back")] * missing
        records = []
        for position, piece in enumerate(pieces):
            record = self._record(number, position, {**base, **piece.data}, parent)
            if piece.check:
                record.reject(piece.check, Rejection(piece.reason or ""))
            records.append(record)
        self.judge.sift(records, stream(seed, self.name, number, "sift"))
        return records

    def _record(self, number: int, position: int, data: dict[str, Any], parent: Record | None) -> Record:
        id = f"{self.name}-{number:06d}-{position}"
        return Record(id, self.name, number, position, data, parent.id if parent else None)


def _pieces(prompt: Prompt, reply: Reply, shown: int) -> list[Parsed]:
    """What is read from one choice; something always, so that no reply goes unaccounted for."""
    fault = fault_of(reply)
    if fault and not prompt.parse.refusals:
        check, reason = fault
        return [Parsed({"reply": reply.text[:LONGEST_SHOWN]} if reply.text else {}, check, reason)]
    nothing = Parsed({"reply": reply.text}, UNREADABLE, "nothing was found in the reply")
    return prompt.parse.read(reply, shown) or [nothing]


@dataclass(frozen=True)
class Setting:
    """What a stage works with in one run.

    Attributes:
        journal: what was done before.
        seeds: the seed tasks.
        mix: the few-shot mix.
        seed: the run's seed.
        target: records to accept in a bootstrap stage.
        rows: the records that the stage is about, by request number, with the labels set before it.
    """

    journal: Journal
    seeds: list[Record]
    mix: MixConfig
    seed: int
    target: int
    rows: Callable[[], dict[int, Record]]
