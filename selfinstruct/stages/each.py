"""What `label` and `expand` share: one request for each record of another stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfinstruct.records import ACCEPTED, WAITING, Record, Reply, Request
from selfinstruct.stages import Setting, Stage

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import Desk


class Each:
    """A stage at work that asks about each record of another stage; see `Work`.

    A request has the number of its record among the accepted ones of that stage, so that numbers stay the
    same when the target grows.
    """

    note = ""

    def __init__(self, stage: Stage, run: Setting) -> None:
        self.stage, self.run = stage, run
        self._rows = run.rows()
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

    async def prepare(self, number: int, reply: Reply, desk: Desk) -> None:
        """See `Work`."""
        if self.stage.judge.prepares:
            await self.stage.judge.prepare(self._read(number, reply), desk, self.stage.name)

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `Work`."""
        records = self._read(number, reply)
        for record in records:
            if record.fate == WAITING:
                self.stage.judge.admit(record)
        self._to_take.pop()
        return records

    def _read(self, number: int, reply: Reply) -> list[Record]:
        row = self._rows[number]
        return self.stage.read(self.stage.variant(row.data), number, reply, self.run.seed, parent=row)
