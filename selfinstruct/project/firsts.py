"""What came first with a key, for a million keys and more: most of it is in a temporary file."""

from __future__ import annotations

from array import array

from selfinstruct.project.temporary import Entries

KEY = 16  # bytes of a key
FEWEST = 1 << 10  # slots of the table


class Firsts:
    """A text for each key; 16 to 28 bytes of memory for each, where a dictionary takes over 200.

    A hash table with open addressing, as a dictionary is. A slot has the number of an entry; the entry's key
    and text are in the file, and only 8 bytes of the key in memory, to read the file for hardly any key but
    those that are there.
    """

    def __init__(self) -> None:
        self._entries = Entries()
        self._hashes = array("Q")
        self._slots = array("I", bytes(4 * FEWEST))  # 0: free

    def get(self, key: bytes) -> str | None:
        """The text with a key; None if there is none.

        Args:
            key: `KEY` bytes of a digest.
        """
        number = self._slots[self._slot(key)]
        return self._entries[number - 1][KEY:].decode("utf-8", "surrogatepass") if number else None

    def put(self, key: bytes, text: str) -> None:
        """Give a key a text; it must not have one yet.

        Raises:
            RunFolderError: if the temporary file cannot be written.
        """
        if 3 * len(self._hashes) >= 2 * len(self._slots):
            self._grow()
        slot = self._slot(key)
        self._entries.add(key + text.encode("utf-8", "surrogatepass"))
        self._hashes.append(_hash(key))
        self._slots[slot] = len(self._hashes)

    def _slot(self, key: bytes) -> int:
        """The slot of a key, or the free one where it belongs."""
        slots, hashes, wanted = self._slots, self._hashes, _hash(key)
        last = len(slots) - 1
        slot = wanted & last
        while number := slots[slot]:
            if hashes[number - 1] == wanted and self._entries[number - 1].startswith(key):
                break
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        self._slots = slots = array("I", bytes(8 * len(self._slots)))
        last = len(slots) - 1
        for number, wanted in enumerate(self._hashes, 1):
            slot = wanted & last
            while slots[slot]:
                slot = (slot + 1) & last
            slots[slot] = number


def _hash(key: bytes) -> int:
    return int.from_bytes(key[:8], "big")
