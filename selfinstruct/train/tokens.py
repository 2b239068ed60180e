"""Examples as token ids, by the base's own tokenizer and chat template, and the order they are trained in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

IGNORED = -100  # the label of a token that has no loss
SORTED_TOGETHER = 50  # batches; the examples in so many are sorted by length, to pad them less


@dataclass(frozen=True)
class Encoded:
    """An example as tokens.

    Attributes:
        ids: the ids of the whole conversation.
        asked: how many of them, at the beginning, are the question; they have no loss.
    """

    ids: list[int]
    asked: int

    @property
    def row(self) -> dict[str, list[int]]:
        """The row that the trainer takes: a loss only on the answer."""
        return {"input_ids": self.ids, "labels": [IGNORED] * self.asked + self.ids[self.asked :]}


def encoded(rows: Sequence[dict[str, Any]], tokenizer: Any, most: int) -> tuple[list[Encoded], int]:
    """The examples as tokens; those with more than `most` are left out, and counted."""
    whole = [_ids(tokenizer, row["messages"], False) for row in rows]
    asked = [_ids(tokenizer, row["messages"][:-1], True) for row in rows]
    found = [
        Encoded(ids, _shared(first, ids)) for first, ids in zip(asked, whole, strict=True) if len(ids) <= most
    ]
    return found, len(rows) - len(found)


def _ids(tokenizer: Any, messages: Sequence[dict[str, str]], asks: bool) -> list[int]:
    return list(tokenizer.apply_chat_template(messages, add_generation_prompt=asks, return_dict=False))


def _shared(first: Sequence[int], whole: Sequence[int]) -> int:
    """How many tokens at the beginning are equal; a template may write a question in another way alone."""
    for place, (one, other) in enumerate(zip(first, whole, strict=False)):
        if one != other:
            return place
    return min(len(first), len(whole))


def order(lengths: Sequence[int], epochs: float, batch: int, seed: int) -> list[int]:
    """The numbers of the examples in the order of training, over all epochs.

    The order depends on nothing else, so a training that was interrupted goes on at the same place. Each
    epoch has each example once. Batches have examples of similar length, and come in random order.

    Args:
        lengths: the number of tokens of each example.
        epochs: how often each is used; a part of an epoch has a part of the examples.
        batch: how many examples a step takes.
        seed: the seed of the draws.
    """
    total = max(1, round(len(lengths) * epochs))
    drawn: list[int] = []
    ends: list[int] = []
    while len(drawn) < total:
        epoch = list(range(len(lengths)))
        random.Random(f"{seed}/{len(ends)}").shuffle(epoch)
        drawn += epoch
        ends.append(min(len(drawn), total) // batch * batch)  # a batch may span two epochs
    drawn = drawn[:total]
    found: list[int] = []
    for epoch_end in [*ends, total]:
        while len(found) < epoch_end:
            part = drawn[len(found) : min(epoch_end, len(found) + batch * SORTED_TOGETHER)]
            found += _in_batches(part, lengths, batch, random.Random(f"{seed}/batches/{len(found)}"))
    return found


def _in_batches(part: Sequence[int], lengths: Sequence[int], batch: int, draw: random.Random) -> list[int]:
    alike = sorted(part, key=lambda number: lengths[number])
    batches = [alike[start : start + batch] for start in range(0, len(alike), batch)]
    draw.shuffle(batches)
    batches.sort(key=lambda one: len(one) < batch)  # one that is not full comes last
    return [number for one in batches for number in one]
