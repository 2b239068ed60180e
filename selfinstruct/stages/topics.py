"""`topics`: the topics to make records about; a tree that is given, or that a model grows level by level.

A topic that is given and is above `depth` is asked for its subtopics; so are those, until they are at
`depth`. All of them are records. The field `leaf` is true for a topic that has no subtopics, so a later stage
picks these with `where: {leaf: true}`. If no topic is above `depth`, no model is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import Field as Bound

from selfinstruct.config import Machine, OnDisk
from selfinstruct.errors import Fault
from selfinstruct.parse import Parsed, Parser
from selfinstruct.records import Reply, Request, stream
from selfinstruct.sources.topic_tree import from_file, from_tree
from selfinstruct.stages import STAGES, Material, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.each import PATIENCE, Endurance
from selfinstruct.stages.fields import Field, Sample
from selfinstruct.stages.forecast import SHOWN, Forecast, Known
from selfinstruct.stages.growing import LEAF, LEVEL, TOPIC, Growing, name_of, names_for
from selfinstruct.stages.kind import Parts, Rest, Trial, samples
from selfinstruct.stages.ranges import Range, around, exactly

GIVES = {TOPIC: "text", "branch": "text", "path": "text", LEVEL: 1, "weight": 1.0}
FEWER = (0.6, 1.0, 1.0)  # subtopics that a reply gives, against what is expected


@STAGES.register
def topics(
    *,
    path: Annotated[str | None, Machine, OnDisk] = None,
    tree: dict[str, Any] | list[Any] | None = None,
    depth: Annotated[int, Bound(ge=1, le=20)] = 1,
    width: Annotated[int, Bound(ge=1, le=100)] = 5,
    expected: Annotated[float | None, Bound(gt=0, le=100), Machine] = None,
    patience: Endurance = PATIENCE,
) -> Topics:
    """Makes a record of each topic of a tree, which is given, or grown by the model to a depth and a width.

    Its records have `topic`, `path` (the topics from the top to it, with > between), `branch` (the one at the
    top), `level` (1 at the top), `leaf` (whether it has no subtopics) and `weight`. The prompt gets these,
    `depth`, `width` and `siblings`, the other topics below the same one.

    Args:
        path: a file of topics, YAML or indented text, in your folder or else among ours. It may change its
            name when a run continues, if the topics stay the same.
        tree: without a file: the topics, as keys with their subtopics below them, or as lists. A number after
            a topic is its weight.
        depth: grow the tree to this level: each topic above it is asked for its subtopics, one request per
            topic. 1 asks for none.
        width: how many subtopics a topic gets at most.
        expected: how many of them are assumed to be accepted, in the plan; by default `width`.
        patience: stop after this many replies in a row that were not usable, or after half as many if none
            was usable from the start; may change when a run continues.
    """
    if path is None and tree is None:
        raise ValueError("needs either path=FILE, a file of topics, or tree, the topics themselves")
    if path is not None and tree is not None:
        raise ValueError("has both path and tree; set path=null, so that the topics are those of tree")
    return Topics(
        path=path,
        tree=tree,
        depth=depth,
        width=width,
        expected=min(expected or width, width),
        patience=patience,
    )


@dataclass(frozen=True, kw_only=True)
class Topics(StageKind):
    """The kind `topics`; the given topics without given subtopics are the stage's material."""

    path: str | None = None
    tree: Any = None
    depth: int = 1
    width: int = 5
    expected: float = 5.0
    patience: int = PATIENCE
    grown: bool = field(default=False, compare=False)  # whether any topic has to be asked for its subtopics

    # Building

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`; the stage has a prompt only if a topic is asked for its subtopics."""
        where = f"pipeline.{parts.name}"
        if self.path is not None:
            found = from_file(self.path, parts.project, f"{where}.path", parts.faults)
        else:
            found = from_tree(self.tree, f"{where}.tree", parts.faults)
        if found is None:
            return None
        rows = [one.row for one in found]
        told = f"topics of {self.path}" if self.path else "topics"
        kind = replace(self, grown=any(self.above(row) for row in rows))
        if not kind.grown:
            for row in rows:
                row[LEAF] = True
            return parts.unasked(kind, material=Material(rows, told), instead=True)
        stage = parts.asking(kind)
        if stage is None:
            return None
        prompts = [replace(one, parse=_named(one.parse)) for one in stage.prompts]
        rows = [{**row, LEAF: not self.above(row)} for row in rows]
        return replace(stage, prompts=prompts, material=Material(rows, told))

    @property
    def reads_files(self) -> bool:
        """See `StageKind`."""
        return self.path is not None

    def above(self, row: Mapping[str, Any]) -> bool:
        """Whether a topic is asked for subtopics."""
        return bool(row[LEVEL] < self.depth)

    # Fields and faults

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        name = stage.name if stage else ""
        values = (True, False) if self.grown else (True,)
        return {**samples(GIVES, name), LEAF: Field(True, name, values)}

    def names(self, stage: Stage, rest: Rest) -> dict[str, Any]:
        """See `StageKind`."""
        return names_for({**GIVES, LEAF: False}, ["text"], self.depth, self.width)

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """See `StageKind`."""
        found, where = super().faults(stage, rest), f"prompts.{stage.name}"
        if any(prompt.name for prompt in stage.prompts):
            found.append(Fault(f"{where}.variants", "topics are asked with one prompt", "leave them out"))
        elif stage.prompts and stage.prompts[0].parse.fields != (TOPIC,):
            what = f"reads {', '.join(stage.prompts[0].parse.fields)}; a subtopic is read into one field"
            found.append(Fault(f"{where}.parse", what, f"write {{kind: numbered_list, field: {TOPIC}}}"))
        return found

    # Planning

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        assert stage.material, "a stage that is built without one has a fault"
        many = f"{len(stage.material.rows)} {stage.material.told}"
        if not self.grown:
            return f"takes all {many}, without a model"
        return f"grows {many} to level {self.depth}, up to {self.width} below each, one request per topic"

    def remarks(self, stage: Stage) -> list[str]:
        """See `StageKind`; how many topics each level is expected to have."""
        given = stage.material.rows if stage.material else []
        ahead = outlook([], given, 0, self.depth, self.expected)
        levels = [f"{round(count)} at level {level}" for level, count in ahead.levels.items()]
        about = "about " if self.grown else ""
        return [f"{'levels':<8} {', '.join(levels)}", f"{'leaves':<8} {about}{round(ahead.leaves)}"]

    def trials(self, stage: Stage, trial: Trial) -> Iterator[Request]:
        """See `StageKind`."""
        rows = [row for row in trial.rows if self.above(row)]
        sample = stream(trial.config.seed, stage.name, "plan").sample(rows, min(trial.count, len(rows)))
        for number, row in enumerate(sample, 1):
            names = names_for(row, [], self.depth, self.width)
            yield stage.request(stage.prompts[0], number, names, trial.config.seed)

    def forecast(self, stage: Stage, known: Known) -> Forecast:
        """See `StageKind`; level by level, from the topics that are there already."""
        given = stage.material.rows if stage.material else []
        if not self.grown:
            return Forecast(makes=exactly(len(given)), groups=(({LEAF: True}, exactly(len(given))),))
        there = list(known.seen())
        each = known.yielded if known.replies else self.expected
        found = around(each, SHOWN if known.replies else FEWER).at_most(self.width)
        cases = [
            outlook(there, given, known.taken, self.depth, one)
            for one in (found.low, found.expected, found.high)
        ]
        leaves = Range(*(one.leaves for one in cases))
        words = f"{stage.name}: {each:g} subtopics accepted per reply, pipeline.{stage.name}.expected"
        return Forecast(
            requests=Range(*(one.requests for one in cases)).whole(),
            accepts=cases[1].made - len(there),
            makes=Range(*(one.made for one in cases)),
            pace=f"{known.yielded:.2g} accepted per reply, ",
            assumed=() if known.replies else (words,),
            groups=(({LEAF: True}, leaves), ({LEAF: False}, Range(*(one.inner for one in cases)))),
        )

    # Running

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`; no check rejects a given topic."""
        rows = stage.material.rows if stage.material else []
        goal = round(outlook([], rows, 0, self.depth, self.expected).requests)
        return Growing(stage, run, self.depth, self.width, self.patience, goal)


@dataclass(frozen=True)
class Outlook:
    """What a tree grows to.

    Attributes:
        levels: topics by level, in order.
        leaves: those without subtopics.
        made: records, leaves and others.
        requests: requests that are left to send.
    """

    levels: Mapping[int, float]
    leaves: float
    made: float
    requests: float

    @property
    def inner(self) -> float:
        """Records that are not leaves."""
        return self.made - self.leaves


def outlook(
    there: Sequence[Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
    taken: int,
    depth: int,
    each: float,
) -> Outlook:
    """How a tree grows if each reply gives so many subtopics.

    Args:
        there: the records so far.
        given: the given topics; those that are leaves are records once a run has begun.
        taken: replies taken in so far; the topics nearest to the top are asked first.
        depth: the level that the tree grows to.
        each: subtopics per reply.
    """
    known = [*there, *(row for row in given if not (there and row[LEAF]))]
    levels: Counter[int] = Counter(row[LEVEL] for row in known)
    pending: Counter[int] = Counter(row[LEVEL] for row in known if not row[LEAF])
    grown: dict[int, float] = dict(levels)
    leaves = sum(bool(row[LEAF]) for row in known)
    made = requests = 0.0
    waiting = 0.0  # at this level: new topics that no reply has given yet
    for level in range(1, depth):
        done = min(taken, pending[level])
        taken -= done
        asked = pending[level] - done + waiting
        waiting = asked * each
        requests += asked
        made += waiting
        grown[level + 1] = grown.get(level + 1, 0) + waiting
    records = len(there) or sum(bool(row[LEAF]) for row in given)
    return Outlook(dict(sorted(grown.items())), leaves + waiting, records + made, requests)


def _named(parse: Parser) -> Parser:
    """The parser, which leaves only the topic's name of what a model writes in a line."""

    def read(reply: Reply, shown: int) -> list[Parsed]:
        return [
            replace(one, data={**one.data, TOPIC: name_of(one.data[TOPIC])})
            if one.check is None and isinstance(one.data.get(TOPIC), str)
            else one
            for one in parse.read(reply, shown)
        ]

    return replace(parse, read=read)
