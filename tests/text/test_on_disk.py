"""Texts in a temporary file: everything that a list of them does, whatever their characters."""

from __future__ import annotations

import random

import pytest

from selfinstruct.text import on_disk
from selfinstruct.text.on_disk import TextsOnDisk

TEXTS = [
    "Write a poem.",
    "",
    "雨の詩を書いて。",
    "half \ud83d of a sign",
    "a\nb\r\n",
    *map(str, range(3_000)),
]


@pytest.mark.parametrize("in_memory", [1, 4_000_000])
def test_they_are_like_a_list(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, by place, in slices, and drawn at random; with a file on the disk and without."""
    monkeypatch.setattr(on_disk, "IN_MEMORY", in_memory)
    texts = TextsOnDisk()
    for text in TEXTS:
        texts.append(text)
    assert list(texts) == TEXTS and len(texts) == len(TEXTS)
    assert (texts[0], texts[3], texts[-1], texts[1:4]) == (TEXTS[0], TEXTS[3], TEXTS[-1], TEXTS[1:4])
    assert random.Random(1).sample(texts, 40) == random.Random(1).sample(TEXTS, 40)
    with pytest.raises(IndexError):
        texts[len(TEXTS)]


def test_texts_can_be_added_and_read_in_turns() -> None:
    """Also while somebody goes through them."""
    texts = TextsOnDisk()
    for number in range(2_500):
        texts.append(f"text {number}")
        assert texts[number // 2] == f"text {number // 2}"
    assert [text for text in texts if texts[7] == "text 7"] == [f"text {number}" for number in range(2_500)]
    assert not TextsOnDisk() and list(TextsOnDisk()) == []
