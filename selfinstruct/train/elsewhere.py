"""What the kinds `files` and `hosted` share: they tune outside of this process.

An `Order` says what they get, an `Outcome` what they return.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.config import TrainConfig
from selfinstruct.monitor.progress import Progress

TRAIN = "train.jsonl"
Messages = Sequence[Mapping[str, str]]  # the turns of one example: role and content


@dataclass(frozen=True)
class Order:
    """What is tuned, and where.

    Attributes:
        to: the folder to write to.
        examples: the examples; the last turn of each is the answer.
        config: the section train.
        name: the name of the run.
        progress: shows the progress.
        project: the user's folder.
        seed: the run's seed.
        yes: whether the user agreed to the costs on the command line.
        said: the keys of the section that a run or a recipe set, rather than the user.
        typed: the keys of the section that the user typed.
        trust: the servers that may get the key (`trust=HOST`).
    """

    to: Path
    examples: Sequence[Messages]
    config: TrainConfig
    name: str
    progress: Progress
    project: Path
    seed: int = 0
    yes: bool = False
    said: frozenset[str] = frozenset()
    typed: frozenset[str] = frozenset()
    trust: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        text: what the user reads at the end.
        models: names for `model=`: the base and the tuned model; empty if there is nothing to evaluate yet.
    """

    text: str
    models: tuple[str, ...] = ()


def chat_rows(examples: Iterable[Messages]) -> list[dict[str, Any]]:
    """The examples as rows of messages, as OpenAI and most trainers read them."""
    return [{"messages": [dict(turn) for turn in turns]} for turns in examples]


def jsonl(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as the text of a JSONL file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def put(path: Path, text: str) -> None:
    """Write a file and put it in place whole, so that a kill leaves the old one or the new one."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
