"""The one place where candidates get their fate.

The filters of a stage run in the order of the recipe. Those that see a whole reply need all of its
candidates, and those that learn from accepted records need each fate before the next candidate; so the chain
is cut after the last whole-reply filter: everything up to it runs for all candidates of a reply, the rest for
one candidate after the other, each ending in the JSON Schema and, accepted, in what the filters learn.
A filter that mends does so when its turn comes, so those after it see the mended record.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from selfinstruct.errors import Fault, ModelError
from selfinstruct.filters import Filter
from selfinstruct.records import ACCEPTED, WAITING, Record
from selfinstruct.schema.validation import Validate

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

SCHEMA_CHECK = "schema"


class Judge:
    """The checks of one stage.

    Args:
        filters: the stage's filters by name, in order.
        validate: the stage's JSON Schema.

    Attributes:
        checks: the filters with their names, in order.
        prepares: whether any of them takes a while to get ready for a reply.
    """

    def __init__(self, filters: Mapping[str, Filter], validate: Validate) -> None:
        checks = list(filters.items())
        last = max((place for place, (_, check) in enumerate(checks) if check.together), default=-1)
        self._whole, self._single = checks[: last + 1], checks[last + 1 :]
        self.checks = checks
        self._validate = validate
        self.prepares = any(check.prepare for _, check in checks)
        self._learners = [check.learn for _, check in self._single if check.learn]

    def learn(self, record: Record) -> None:
        """Tell the filters of a seed or of a record accepted before."""
        for learn in self._learners:
            learn(record)

    def learn_all(self, records: Iterable[Record]) -> None:
        """Tell the filters of several."""
        for record in records if self._learners else ():
            self.learn(record)

    def sift(self, records: Sequence[Record], rng: random.Random) -> None:
        """The first part of the chain, over all the candidates of a reply."""
        for name, check in self._whole:
            inside = [record for record in records if record.fate == WAITING]
            for record in inside:
                _mend(check, record)
            if check.together:
                for place, rejection in check.together(inside, rng).items():
                    inside[place].reject(name, rejection)
            for record in inside:
                _look(name, check, record)

    async def prepare(self, records: Sequence[Record], context: RunContext, stage: str) -> None:
        """Get ready for sifted candidates before their turn, without those that a check on the way rejects.

        What a filter that learns will say of them is not known before.
        """
        inside = [replace(record, detail={}) for record in records if record.fate == WAITING]
        for name, check in self._single:
            for record in inside:
                _mend(check, record)
            if check.prepare:
                with _placed(f"filters.{stage}.{name}.model"):
                    await check.prepare(inside, context, stage, name)
            elif check.each and not check.learn:
                inside = [record for record in inside if not check.each(record)]

    async def close(self) -> None:
        """Give back what the filters hold."""
        for _, check in self.checks:
            if check.close:
                await check.close()

    def admit(self, record: Record) -> bool:
        """The rest for one candidate: the other filters, the schema, and whether it is accepted."""
        rejected = any(_apply(name, check, record) for name, check in self._single)  # up to the first
        record.asked = None  # a pool of many records need not keep it
        if rejected or not self.approve(record):
            return False
        self.learn(record)
        return True

    def approve(self, record: Record) -> bool:
        """The schema alone, the last check; for a record that passed the others in another stage."""
        invalid = self._validate(record.data)
        if invalid:
            record.reject(SCHEMA_CHECK, invalid)
            return False
        record.fate = ACCEPTED
        return True

    def passes(self, record: Record) -> bool:
        """Whether the checks of single candidates and the schema let a record pass; nothing is learnt."""
        singly = [check.each for _, check in self.checks if check.each and not check.prepare]
        return not any(each(record) for each in singly) and not self._validate(record.data)

    def faults(self, where: str) -> list[Fault]:
        """Filters that learn must come after those that see a whole reply, whose outcome they await."""
        what = "learns from accepted records, so it must come after all filters that see a whole reply"
        remedy = "move it to the end of its section"
        late = [name for name, check in self._whole if check.learn or check.prepare]
        return [Fault(f"{where}.{name}", what, remedy) for name in late]


@contextmanager
def _placed(where: str) -> Iterator[None]:
    """Say of a filter's model what is said of a recipe's, with its place."""
    try:
        yield
    except ModelError as error:
        words = str(error).replace("model.name, model.mode and model.sampling", "model.name")
        placed = re.sub(r"(?<![.\w])model\.(?=[a-z])", f"{where}.", words)
        raise ModelError(f"{where.removesuffix('.model')}: {placed}") from error


def _mend(check: Filter, record: Record) -> None:
    """Replace what the check mends."""
    fields = check.mend(record) if check.mend else None
    if fields:
        record.mend(fields)


def _apply(name: str, check: Filter, record: Record) -> bool:
    """Mend a record, then look at it; whether the check rejects it."""
    _mend(check, record)
    return _look(name, check, record)


def _look(name: str, check: Filter, record: Record) -> bool:
    """Whether the check rejects the record."""
    rejection = check.each(record) if check.each else None
    if rejection:
        record.reject(name, rejection)
    return rejection is not None
