"""The long texts of requests, each stored as what differs from the first one of its kind.

The prompts of a stage share their instructions and fixed examples: with the paper's, 8 kB of 8.5. So the
first one is a fact about the run. A later one is stored as JSON in a BLOB: how many characters it has in
common with the beginning of the first, its own text, and how many with the end. Short texts stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from selfinstruct.errors import DamagedJournal
from selfinstruct.journal.checksums import COLUMNS, Rows, Value, Values, shown
from selfinstruct.records import Request
from selfinstruct.safety.blot import blotted

WORDING = "wording/"  # the meta key, with a stage, a kind of text and a variant: the first text of its kind
LEAST = 400  # characters that two texts have to share: for fewer, it is not worth the look-up
PROMPT, SYSTEM, TURNS = "prompt", "system", "turns"
_PLACES = [(kind, COLUMNS["request"].index(kind)) for kind in (PROMPT, SYSTEM)]
_VARIANT = COLUMNS["request"].index("variant")


class Wordings:
    """The first texts of a journal, by kind.

    Args:
        rows: the rows of the journal.
        path: its file, for messages.
    """

    def __init__(self, rows: Rows, path: Path) -> None:
        self._rows, self._path = rows, path
        self._first: dict[str, str] = {}

    def packed(self, request: Request, kind: str, text: str | None) -> Value:
        """A text as it is stored. If it is the first of its kind, that is stored, and committed, at once."""
        if text is None or len(text) < LEAST:
            return text
        key = _key(request.stage, kind, request.variant)
        first = self._known(key)
        if first is None:
            self._rows.begin()
            self._rows.put("meta", (key, blotted(json.dumps(text))))
            self._rows.commit()
            first = self._known(key) or ""
        before = _shared(first, text)
        after = _shared(first[before:][::-1], text[before:][::-1])
        if before + after < LEAST:
            return text
        own = text[before : len(text) - after]
        return json.dumps([before, own, after], ensure_ascii=False).encode()

    def whole(self, stored: Value, stage: str, number: int, kind: str, variant: str | None) -> str | None:
        """A text as it was sent.

        Raises:
            DamagedJournal: if the first of its kind is missing.
        """
        if not isinstance(stored, bytes):
            return None if stored is None else str(stored)
        first = self._known(_key(stage, kind, variant))
        if first is None:
            what = f"the text that request {number} of {shown(stage)} has in common with others is missing"
            raise DamagedJournal(self._path, [what])
        before, own, after = json.loads(stored)
        return first[:before] + str(own) + first[len(first) - after :]

    def _known(self, key: str) -> str | None:
        """The first text of a kind, exactly as stored: a secret of today may not change its length."""
        if key not in self._first:
            row = next(self._rows.read("meta", "key = ?", (key,)), None)
            if row is None:
                return None
            self._first[key] = str(json.loads(str(row[1])))
        return self._first[key]


def lacking(request: Values, turns: Value, facts: Collection[Value]) -> bool:
    """Whether a stored request cannot be read, since the first text of a kind is missing.

    Args:
        request: its row.
        turns: its further messages as stored; None if it has none.
        facts: the keys of the facts that are there.
    """
    texts = [*((kind, request[place]) for kind, place in _PLACES), (TURNS, turns)]
    variant = request[_VARIANT]
    keys = [
        _key(str(request[0]), kind, None if variant is None else str(variant))
        for kind, text in texts
        if isinstance(text, bytes)
    ]
    return any(key not in facts for key in keys)


def _key(stage: str, kind: str, variant: str | None) -> str:
    return f"{WORDING}{stage}/{kind}/{variant or ''}"


def _shared(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginnings."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # halving compares whole slices, which takes microseconds for 8 kB
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low
