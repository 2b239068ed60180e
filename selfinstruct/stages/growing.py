"""The run of a stage that grows a tree of topics: each topic is asked for its subtopics, level by level.

The given topics have the numbers 1, 2, …; each accepted subtopic that is to be asked itself gets the next
number when its reply is taken in. Replies are taken in by number, and a request depends on nothing but the
topic and those beside it, so the numbers are the same at any concurrency and after any interruption.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from selfinstruct.prompts.asked import FilledPrompt
from selfinstruct.records import ACCEPTED, KEPT, WAITING, Record, Rejection, Reply, Request
from selfinstruct.sources.topic_tree import BETWEEN
from selfinstruct.stages import Stage, StageContext
from selfinstruct.stages.patience import Patience

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

TOPIC, PATH, LEVEL, LEAF = "topic", "path", "level", "leaf"
WIDTH = "width"  # the check that rejects subtopics beyond as many as a topic may have
SIBLINGS = "siblings"
_BOLD = re.compile(r"^[*_]{1,3}([^*_\n]+?)[*_]{1,3}(?:\s*[:：(–—-].*)?$", re.DOTALL)
_EXPLAINED = re.compile(r"^(.{2,60}?)(?:[:：]\s|\s[–—-]\s).*$", re.DOTALL)
_AROUND = " \t\"'“”„«»「」*_`.:;,"


def name_of(line: str) -> str:
    """The topic's name in what a model wrote of it: without bold marks, quotation marks or an explanation."""
    found = _BOLD.match(line.strip()) or _EXPLAINED.match(line.strip())
    name = (found[1] if found else line).strip(_AROUND)
    return " ".join(name.rpartition(BETWEEN.strip())[2].split())


def names_for(row: Mapping[str, Any], siblings: list[str], depth: int, width: int) -> dict[str, Any]:
    """The names that the template of a topic's prompt can use."""
    return {**row, SIBLINGS: siblings, "depth": depth, WIDTH: width}


@dataclass
class Node:
    """A topic that is asked for its subtopics.

    Attributes:
        row: its fields.
        id: the id of its record; None for a given topic, which is no record.
        siblings: the other topics below the same one.
    """

    row: dict[str, Any]
    id: str | None
    siblings: list[str]


class Growing:
    """A stage that grows topics, during a run; see `StageRun`."""

    def __init__(
        self, stage: Stage, run: StageContext, depth: int, width: int, patience: int, goal: int
    ) -> None:
        self.stage, self.run, self.note = stage, run, ""
        self.goal = goal
        self.gave_up: int | None = None
        self.patience = Patience(stage, run.journal, patience)
        self._depth, self._width = depth, width
        self._nodes: dict[int, Node] = {}
        self._to_take: deque[int] = deque()
        self._to_send: deque[int] = deque()
        stage.judge.learn_all(run.seeds)
        self._next = 1
        self._give()
        self._continue()

    def turn(self) -> int | None:
        """See `StageRun`."""
        if self._to_take and self.patience.over:
            self.gave_up, self.note = self.patience.last, self.patience.note(self.stage.name)
            return None
        return self._to_take[0] if self._to_take else None

    def compose(self) -> Request | None:
        """See `StageRun`."""
        if not self._to_send:
            return None
        number = self._to_send.popleft()
        node, prompt = self._nodes[number], self.stage.prompts[0]
        request = self.stage.request(prompt, number, self._names(node), self.run.seed)
        return replace(request, parent=node.id)

    async def prepare(self, number: int, reply: Reply, context: RunContext) -> None:
        """See `StageRun`."""
        if self.stage.judge.prepares:
            await self.stage.judge.prepare(self._read(number, reply), context, self.stage.name)

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `StageRun`. A topic without an accepted subtopic is a leaf."""
        node = self._nodes[number]
        records = self._read(number, reply)
        accepted: list[Record] = []
        for record in records:
            if record.fate != WAITING:
                continue
            if len(accepted) >= self._width:
                reason = f"{node.row[TOPIC]} has {self._width} subtopics already"
                record.reject(WIDTH, Rejection(reason))
            elif self.stage.judge.admit(record):
                accepted.append(record)
        if not accepted:
            records.append(self._leaf(number, len(records), node))
        self._to_take.popleft()
        self._add(accepted)
        self.patience.see(number, records)
        return records

    def skip(self, number: int) -> None:
        """See `StageRun`."""
        self._to_take.popleft()

    def _read(self, number: int, reply: Reply) -> list[Record]:
        """The subtopics in a reply, each with its place in the tree."""
        node, prompt = self._nodes[number], self.stage.prompts[0]
        level = node.row[LEVEL] + 1
        below = {**node.row, LEVEL: level, LEAF: level >= self._depth}
        parent = Record(node.id or "", self.stage.name, number, 0, below)
        asked = FilledPrompt(prompt, node.row)
        records = self.stage.read(prompt, number, reply, self.run.seed, parent=parent, asked=asked)
        for record in records:
            record.parent = node.id
            if record.check is None:
                record.data[PATH] = f"{node.row[PATH]}{BETWEEN}{record.data[TOPIC]}"
        return records

    def _names(self, node: Node) -> dict[str, Any]:
        return names_for(node.row, node.siblings, self._depth, self._width)

    def _leaf(self, number: int, position: int, node: Node) -> Record:
        """The record of a topic that turns out to have no subtopics."""
        record = self.stage.record(number, position, {**node.row, LEAF: True})
        record.parent = node.id
        record.detail[KEPT] = True
        self.stage.judge.approve(record)
        return record

    def _give(self) -> None:
        """Store the given topics that are leaves; the filters learn all of them, and reject none."""
        rows = self.stage.material.rows if self.stage.material else []
        stored = {record.request for record in self.run.journal.records(self.stage.name)}
        for number, row in enumerate(rows, 1):
            record = self.stage.record(number, 0, row)
            self.stage.judge.learn(record)
            if not row[LEAF]:
                others = [one[TOPIC] for one in rows if one is not row and _above(one) == _above(row)]
                self._put(number, Node(row, None, others))
            elif number not in stored:
                self.stage.judge.approve(record)
                self.run.journal.take(self.stage.name, number, [record])
        self.run.journal.commit()
        self._next = len(rows) + 1

    def _continue(self) -> None:
        """Take the subtopics from the journal that were accepted before an interruption."""
        done = self.run.journal.taken(self.stage.name)
        made: dict[int, list[Record]] = {number: [] for number in sorted(done)}
        for record in self.run.journal.records(self.stage.name, ACCEPTED):
            if record.request in made and KEPT not in record.detail:
                made[record.request].append(record)
        for accepted in made.values():
            self.stage.judge.learn_all(accepted)
            self._add(accepted)
        self._to_take = deque(number for number in self._to_take if number not in done)
        self._to_send = deque(self._to_take)

    def _add(self, accepted: Iterable[Record]) -> None:
        """Give a number to each of these topics that is asked itself."""
        topics = [record.data[TOPIC] for record in accepted]
        for place, record in enumerate(accepted):
            if not record.data[LEAF]:
                others = topics[:place] + topics[place + 1 :]
                self._put(self._next, Node(record.data, record.id, others))
                self._next += 1

    def _put(self, number: int, node: Node) -> None:
        self._nodes[number] = node
        self._to_take.append(number)
        self._to_send.append(number)


def _above(row: Mapping[str, Any]) -> str:
    """The path of the topic above one."""
    return str(row[PATH]).rpartition(BETWEEN)[0]
