"""The one place that decides the fate of candidates.

The filters of a stage run in the order of the recipe. A filter that sees a whole reply needs all of its
candidates, and a filter that learns from accepted records needs each fate before the next candidate. So the
chain is cut after the last whole-reply filter: everything up to it runs for all candidates of a reply. The
rest runs for one candidate after the other, then the JSON Schema; if accepted, the filters learn the record.
A filter that mends a record does so at its turn, so the filters after it see the mended record.
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
from selfinstruct.records import ACCEPTED, SCHEMA_CHECK, WAITING, Record
from selfinstruct.schema.validation import Validate

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext


class Judge:
    """The checks of one stage.

    Args:
        filters: the stage's filters by name, in order.
        validate: the stage's JSON Schema.

    Attributes:
        checks: the filters with their names, in order.
        sifts: whether any of them sees all the candidates of a reply, so that `sift` does something.
        prepares: whether any of them has to prepare for a reply.
        learns: whether any of them compares a record with those before it.
    """

    def __init__(self, filters: Mapping[str, Filter], validate: Validate) -> None:
        checks = list(filters.items())
        last = max((place for place, (_, check) in enumerate(checks) if check.together), default=-1)
        self._whole, self._single = checks[: last + 1], checks[last + 1 :]
        self.checks, self.sifts = checks, bool(self._whole)
        self._validate = validate
        self.prepares = any(check.prepare for _, check in checks)
        self._steps = [(name, check.mend, check.each) for name, check in self._single]
        self._learners = [check.learn for _, check in self._single if check.learn]
        self.learns = bool(self._learners)

    def learn(self, record: Record) -> None:
        """Let the filters learn a seed or a record accepted before."""
        for learn in self._learners:
            learn(record)

    def learn_all(self, records: Iterable[Record]) -> None:
        """Let the filters learn several records."""
        for record in records if self._learners else ():
            self.learn(record)

    def sift(self, records: Sequence[Record], rng: random.Random) -> None:
        """Run the first part of the chain, on all the candidates of a reply."""
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
        """Prepare for sifted candidates before their turn, except those that a check on the way rejects.

        The verdict of a filter that learns is not known before that turn.
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
        """Release the filters' resources."""
        for _, check in self.checks:
            if check.close:
                await check.close()

    def admit(self, record: Record) -> bool:
        """Run the rest of the chain for one candidate, and return whether it is accepted."""
        rejected = self._rejected(record)
        record.asked = None  # not kept, to save memory in a pool of many records
        if rejected or not self.approve(record):
            return False
        self.learn(record)
        return True

    def _rejected(self, record: Record) -> bool:
        """Whether a check rejects the record, the first that does so."""
        for name, mend, each in self._steps:
            fields = mend(record) if mend else None
            if fields:
                record.mend(fields)
            rejection = each(record) if each else None
            if rejection:
                record.reject(name, rejection)
                return True
        return False

    def approve(self, record: Record) -> bool:
        """Run only the schema, the last check, for a record that passed the other checks in another stage."""
        invalid = self._validate(record.data)
        if invalid:
            record.reject(SCHEMA_CHECK, invalid)
            return False
        record.fate = ACCEPTED
        return True

    def passes(self, record: Record) -> bool:
        """Whether a record passes the checks for single candidates and the schema; no filter learns it."""
        singly = [check.each for _, check in self.checks if check.each and not check.prepare]
        return not any(each(record) for each in singly) and not self._validate(record.data)

    def faults(self, where: str) -> list[Fault]:
        """Faults for filters that learn but come before a filter that sees a whole reply."""
        what = "learns from accepted records, so it must come after all filters that see a whole reply"
        remedy = "move it to the end of its section"
        late = [name for name, check in self._whole if check.learn or check.prepare]
        return [Fault(f"{where}.{name}", what, remedy) for name in late]


@contextmanager
def _placed(where: str) -> Iterator[None]:
    """Word an error about a filter's model like one about a recipe's model, with its place."""
    try:
        yield
    except ModelError as error:
        words = str(error).replace("model.name, model.mode and model.sampling", "model.name")
        placed = re.sub(r"(?<![.\w])model\.(?=[a-z])", f"{where}.", words)
        raise ModelError(f"{where.removesuffix('.model')}: {placed}") from error


def _mend(check: Filter, record: Record) -> None:
    """Apply the changes that the check makes to the record."""
    fields = check.mend(record) if check.mend else None
    if fields:
        record.mend(fields)


def _look(name: str, check: Filter, record: Record) -> None:
    """Let a check reject the record."""
    rejection = check.each(record) if check.each else None
    if rejection:
        record.reject(name, rejection)
