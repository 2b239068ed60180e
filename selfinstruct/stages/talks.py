"""The conversations of a stage of kind `converse` during a run; see `converse`."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from selfinstruct.parse.reading import candidates
from selfinstruct.prompts.asked import FilledPrompt
from selfinstruct.records import ACCEPTED, WAITING, Record, Rejection, Reply, Request, stream
from selfinstruct.stages import Stage, StageContext
from selfinstruct.stages.patience import Patience

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext
    from selfinstruct.stages.converse import Converse

USER, ASSISTANT = ROLES = ("user", "assistant")
MESSAGES, CONTENT = "messages", "content"
TOO_SHORT = "too_short"  # the check that rejects a conversation with too few turns
Talk = list[dict[str, str]]


@dataclass
class Held:
    """A conversation that is held.

    Attributes:
        row: the number of the record that it is about.
        messages: its messages so far.
        last: the number of the last reply that was taken in.
        over: whether it has ended.
        lost: whether it has no record, because a replay lacks a reply.
        wrong: the check and the reason that end it, if its last reply is no message.
    """

    row: int
    messages: Talk = field(default_factory=list)
    last: int = 0
    over: bool = False
    lost: bool = False
    wrong: tuple[str, str] | None = None


class Conversations:
    """A stage of kind `converse` during a run; see `StageRun`.

    The message at place p of the conversation about record r has the number (r - 1) * 2 * turns + p, so the
    numbers stay the same when the target grows.
    """

    def __init__(self, stage: Stage, kind: Converse, run: StageContext) -> None:
        self.stage, self.run, self.note = stage, run, ""
        self.gave_up: int | None = None
        self._kind, self._size = kind, 2 * kind.turns
        self._rows = kind.fitting(run.rows())
        self.goal = len(self._rows)
        stage.judge.learn_all(run.seeds)
        judged, ends = set(), []
        for record in run.journal.records(stage.name):
            judged.add(self._row(record.request))
            ends.append(record.request)
            if record.fate == ACCEPTED:
                stage.judge.learn(record)
        self.patience = Patience(stage, run.journal, kind.patience, ends)
        self._left = array("q", (row for row in sorted(self._rows) if row not in judged))
        self._judged = 0  # how many of those have a record now, or never will
        self._held: dict[int, Held] = {}  # those that have begun, by record, until they are judged
        self._continue()
        self._to_take, self._to_send = self._places(), self._places()
        self._taking, self._sending = next(self._to_take, None), next(self._to_send, None)

    def turn(self) -> int | None:
        """See `StageRun`."""
        if self._taking and self.patience.over:
            self.gave_up, self.note = self.patience.last, self.patience.note(self.stage.name)
            return None
        while self._taking and self._passed(*self._taking):
            self._taking = next(self._to_take, None)
        return self._number(*self._taking) if self._taking else None

    def compose(self) -> Request | None:
        """See `StageRun`."""
        while self._sending and self._passed(*self._sending):
            self._sending = next(self._to_send, None)
        if self._sending is None:
            return None
        row, place = self._sending
        one = self._of(row)
        if len(one.messages) < place - 1:  # the message before has not been taken in
            return None
        self._sending = next(self._to_send, None)
        about = self._rows[row]
        names = self._kind.named(about.data, [*one.messages])
        prompt = self._kind.prompt(self.stage, place)
        number = self._number(row, place)
        return self.stage.request(prompt, number, names, self.run.seed, parent=about)

    async def prepare(self, number: int, reply: Reply, context: RunContext) -> None:
        """See `StageRun`; only the last reply of a conversation makes a record."""
        if not self.stage.judge.prepares:
            return
        now = self._of(self._row(number))
        after = Held(now.row, [*now.messages], now.last)
        self._read(after, number, reply)
        if after.over:
            await self.stage.judge.prepare([self._record(after)], context, self.stage.name)

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `StageRun`; the conversations that have ended, as far as all before them have."""
        self._read(self._of(self._row(number)), number, reply)
        return self._ended()

    def skip(self, number: int) -> None:
        """See `StageRun`; its conversation gets no record."""
        one = self._of(self._row(number))
        one.over = one.lost = True
        records = self._ended()  # those that waited for it
        if records:
            self.run.journal.take(self.stage.name, records[-1].request, records)

    def _read(self, one: Held, number: int, reply: Reply) -> None:
        """Add the message of a reply to its conversation, or end it."""
        place = (number - 1) % self._size + 1
        prompt, one.last = self._kind.prompt(self.stage, place), number
        piece = candidates(prompt.parse, reply, 0, self.stage.keys(prompt))[0]
        role = ROLES[(place - 1) % 2]
        text = str(piece.data.get(CONTENT, "")).strip()
        if piece.check is None and not text:
            piece = type(piece)(piece.data, "empty_reply", "the message is empty")
        if role == USER and piece.check is None and self._kind.stop in text:
            one.over = True
        elif piece.check is not None:
            one.over, one.wrong = True, (piece.check, f"message {place}, {role}: {piece.reason}")
        else:
            one.messages.append({"role": role, CONTENT: text})
            one.over = place == self._size

    def _ended(self) -> list[Record]:
        """Judge the conversations that have ended, in order, up to the first that has not."""
        found = []
        while self._judged < len(self._left) and (one := self._of(self._left[self._judged])).over:
            self._judged += 1
            del self._held[one.row]
            if not one.lost:
                record = self._record(one)
                self._judge(record)
                self.patience.see(record.request, [record])
                found.append(record)
        return found

    def _judge(self, record: Record) -> None:
        if self.stage.judge.sifts and record.fate == WAITING:
            self.stage.judge.sift([record], stream(self.run.seed, self.stage.name, record.request, "sift"))
        if record.fate == WAITING:
            self.stage.judge.admit(record)
        record.asked = None

    def _record(self, one: Held) -> Record:
        """The record of a conversation that has ended."""
        messages = [*one.messages]
        row = self._rows[one.row]
        record = self.stage.record(one.last, 0, {**row.data, MESSAGES: messages}, row)
        record.asked = FilledPrompt(self._kind.prompt(self.stage, 2), row.data)
        if one.wrong:
            check, reason = one.wrong
            record.reject(check, Rejection(reason))
            return record
        if messages and messages[-1]["role"] == USER:  # a first message that got no answer
            messages.pop()
        turns = len(messages) // 2
        if turns < self._kind.least:
            reason = f"the user ended the conversation after {turns} turns, and {self._kind.least} are needed"
            record.reject(TOO_SHORT, Rejection(reason, {"turns": turns}))
        return record

    def _of(self, row: int) -> Held:
        """The conversation about a record, which is not judged yet."""
        if row not in self._held:
            self._held[row] = Held(row, self._given(row))
        return self._held[row]

    def _given(self, row: int) -> Talk:
        """The messages that a conversation begins with."""
        first = self._kind.first
        return [{"role": USER, CONTENT: str(self._rows[row].data.get(first, ""))}] if first else []

    def _places(self) -> Iterator[tuple[int, int]]:
        """Each record and place of a message, in the order in which they are asked and taken in."""
        places = range(self._kind.given + 1, self._size + 1)
        for _, those in groupby(self._left, lambda row: (row - 1) // self._kind.window):
            rows = list(those)
            yield from ((row, place) for place in places for row in rows)

    def _passed(self, row: int, place: int) -> bool:
        """Whether the reply at a place was taken in, or never will be."""
        if self._judged == len(self._left) or row < self._left[self._judged]:
            return True
        one = self._of(row)
        return one.over or len(one.messages) >= place

    def _number(self, row: int, place: int) -> int:
        return (row - 1) * self._size + place

    def _row(self, number: int) -> int:
        return (number - 1) // self._size + 1

    def _continue(self) -> None:
        """Restore the conversations that were held before an interruption."""
        journal, name = self.run.journal, self.stage.name
        for number in sorted(journal.taken(name)):
            row = self._row(number)
            at = bisect_left(self._left, row)
            if at == len(self._left) or self._left[at] != row or self._of(row).over:
                continue
            reply = journal.reply(name, number)
            if reply:
                self._read(self._of(row), number, reply)
