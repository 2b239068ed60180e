"""The pool: seed tasks and accepted records, and the few-shot mix drawn from them.

Seeds are never filtered and always stay (arXiv 2212.10560, section 2.2). The pool remembers how large it was
after each reply, since a request is composed from the pool as it stood then.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from selfinstruct import textfiles
from selfinstruct.config import MixConfig, SeedsConfig
from selfinstruct.errors import Fault
from selfinstruct.layout import find, roots
from selfinstruct.records import ACCEPTED, Record, storable
from selfinstruct.schema import Validate

SEED_STAGE = "seeds"


@dataclass
class Pool:
    """Seeds and what a bootstrap stage accepted.

    Attributes:
        seeds: the seed tasks.
        made: the accepted records, in order.
    """

    seeds: Sequence[Record]
    made: list[Record] = field(default_factory=list)
    _sizes: dict[int, int] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Let an accepted record join."""
        self.made.append(record)

    def close(self, number: int) -> None:
        """Remember the size of the pool after reply `number`."""
        self._sizes[number] = len(self.made)

    def draw(self, mix: MixConfig, after: int, rng: random.Random) -> list[Record]:
        """The few-shot examples of a prompt, shuffled.

        Args:
            mix: how many, and how many of them machine-made.
            after: the number of the last reply whose records may be shown; 0 before the first.
            rng: the request's own random stream.
        """
        size = self._sizes[after] if after > 0 else 0
        machine = [self.made[place] for place in rng.sample(range(size), min(mix.machine, size))]
        drawn = machine + rng.sample(self.seeds, mix.examples - len(machine))
        rng.shuffle(drawn)
        return drawn


@dataclass(frozen=True)
class Seeds:
    """A seed file, read.

    Attributes:
        tasks: one record a line taken, with the fields of the line and of its first instance.
        rows: one record an instance, for exports.
        path: the file.
        lines: how many lines it has, taken or not.
    """

    tasks: list[Record]
    rows: list[Record]
    path: Path
    lines: int


def load_seeds(
    config: SeedsConfig, validate: Validate | None, project: Path, faults: list[Fault]
) -> Seeds | None:
    """Read a seed file; every fault of it goes to `faults`, with file and line."""
    path = find(config.path, project)
    if path is None:
        remedy = (
            _nearest(config.path, project)
            or f"looked in {project} and among the seeds that come with selfinstruct; set seeds.path=…"
        )
        faults.append(Fault("seeds.path", f"there is no file {config.path}", remedy))
        return None
    text = textfiles.read(path, faults)
    if text is None:
        return None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        faults.append(Fault(str(path), "is empty", 'a line is a JSON object: {"id": …, "instruction": …}'))
        return None
    found: list[Fault] = []
    tasks: dict[str, Record] = {}
    rows: list[Record] = []
    for number, line in lines:
        where = f"{path} line {number}"
        data = _line(line, where, config.each, validate, found)
        if data is None:
            continue
        id = str(data.get("id", f"seed-{number}"))
        if id in tasks:
            what = f"the id {id!r} is on line {tasks[id].request} already"
            found.append(Fault(where, what, "give it an id of its own"))
            continue
        instances = flatten(data, config.each)
        tasks[id] = Record(id, SEED_STAGE, number, 0, instances[0], fate=ACCEPTED)
        if _taken(data, config.where):
            rows += [
                Record(f"{id}-{place}", SEED_STAGE, number, place, row, fate=ACCEPTED)
                for place, row in enumerate(instances)
            ]
    taken = [task for task in tasks.values() if _taken(task.data, config.where)]
    if tasks and not taken:
        found.append(Fault("seeds.where", f"no line of {path} has {config.where}"))
    faults.extend(found)
    return None if found else Seeds(taken, rows, path, len(lines))


def _nearest(path: str, project: Path) -> str:
    """The seed file that was perhaps meant; empty where none has such a name."""
    folder = Path(path).parent
    known = [str(folder / file.name) for root in roots(project) for file in (root / folder).glob("*.jsonl")]
    near = get_close_matches(path, known, n=1, cutoff=0.8)
    return f"did you mean {near[0]!r}?" if near else ""


def flatten(data: dict[str, Any], each: str | None) -> list[dict[str, Any]]:
    """A line with instances as one flat row an instance; a line without as it is."""
    instances = data.get(each) if each else None
    if not instances:
        return [data]
    rest = {key: value for key, value in data.items() if key != each}
    return [{**rest, **instance} for instance in instances]


def _line(
    line: str, where: str, each: str | None, validate: Validate | None, faults: list[Fault]
) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        faults.append(Fault(where, f"is no JSON: {error.msg} at column {error.colno}"))
        return None
    text = json.dumps(data, ensure_ascii=False)
    if storable(text) != text:
        faults.append(Fault(where, "holds half of a character (an unpaired surrogate)", "write it anew"))
        return None
    wrong = validate(data) if validate else None
    if wrong is None and not isinstance(data, dict):
        faults.append(Fault(where, "is no JSON object"))
        return None
    if wrong is not None:
        faults.append(Fault(where, wrong.reason))
        return None
    assert isinstance(data, dict)
    instances = data.get(each, []) if each else []
    if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
        faults.append(Fault(where, f"{each!r} is no list of objects"))
        return None
    return data


def _taken(data: dict[str, Any], where: dict[str, Any]) -> bool:
    return all(key in data and data[key] == value for key, value in where.items())
