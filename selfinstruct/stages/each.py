"""What `label` and `expand` share: one request for each record of another stage, or for some of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from selfinstruct.config import Machine
from selfinstruct.records import ACCEPTED, WAITING, Record, Reply, Request
from selfinstruct.stages import Setting, Stage

Share = Annotated[float, Field(gt=0, le=1), Machine]


def conditions(where: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """The values that `where` allows each field.

    Raises:
        ValueError: where it allows one none.
    """
    allowed = {key: tuple(value) if isinstance(value, list) else (value,) for key, value in where.items()}
    for key, values in allowed.items():
        if not values:
            raise ValueError(f"where.{key}: no record has one of no values; name some, or leave it out")
    return allowed


class Each:
    """A stage at work that asks about each record of another stage; see `Work`.

    A request has the number of its record among the accepted ones of that stage, so that numbers stay the
    same when the target grows.
    """

    note = ""

    def __init__(self, stage: Stage, run: Setting) -> None:
        self.stage, self.run = stage, run
        self._rows = {number: row for number, row in run.rows().items() if stage.kind.picks(row.data)}
        self.goal = len(self._rows)
        done = run.journal.taken(stage.name)
        stage.judge.learn_all(run.seeds)
        stage.judge.learn_all(run.journal.records(stage.name, ACCEPTED))
        self._to_take = [number for number in sorted(self._rows) if number not in done]
        self._to_send = list(self._to_take)
        self._to_take.reverse()
        self._to_send.reverse()

    def turn(self) -> int | None:
        """See `Work`."""
        return self._to_take[-1] if self._to_take else None

    def compose(self) -> Request | None:
        """See `Work`."""
        if not self._to_send:
            return None
        number = self._to_send.pop()
        row = self._rows[number]
        return self.stage.request(self.stage.variant(row.data), number, row.data, self.run.seed, parent=row)

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `Work`."""
        row = self._rows[number]
        prompt = self.stage.variant(row.data)
        records = self.stage.read(prompt, number, reply, self.run.seed, parent=row)
        for record in records:
            if record.fate == WAITING:
                self.stage.judge.admit(record)
        self._to_take.pop()
        return records

    def skip(self, number: int) -> None:
        """See `Work`."""
        self._to_take.pop()
