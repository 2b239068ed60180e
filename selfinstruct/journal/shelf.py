"""Replies that have arrived and wait for their turn; if they are large, most of them wait in the journal.

Replies are taken in by number, so one slow reply keeps all later ones waiting: as many as may be in flight.
"""

from __future__ import annotations

from selfinstruct.journal.store import Journal
from selfinstruct.records import Reply

MOST = 16_000_000  # characters that wait in memory


class Shelf:
    """The replies of a stage that wait for their turn.

    Args:
        journal: it has stored each of them already.
        stage: the stage's name.
        most: how many characters may wait in memory.
    """

    def __init__(self, journal: Journal, stage: str, most: int = MOST) -> None:
        self._journal, self._stage, self._room = journal, stage, most
        self._here: dict[int, Reply] = {}

    def put(self, number: int, reply: Reply) -> None:
        """Keep a reply, in memory if there is room."""
        size = _size(reply)
        if size <= self._room:
            self._room -= size
            self._here[number] = reply

    def take(self, number: int) -> Reply:
        """Remove a reply.

        Raises:
            DamagedJournal: if it was read from the journal, which is damaged.
        """
        reply = self._here.pop(number, None)
        if reply is None:
            reply = self._journal.reply(self._stage, number)
            assert reply, "it was stored when it arrived"
            return reply
        self._room += _size(reply)
        return reply


def _size(reply: Reply) -> int:
    texts = (reply.text, reply.thought, *reply.other_thoughts, *(text for text, _ in reply.others))
    return sum(map(len, texts))
