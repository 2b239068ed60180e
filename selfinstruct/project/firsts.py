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
        self._missing: tuple[bytes, int] | None = None  # the key that was asked for last, and its free slot

    def get(self, key: bytes) -> str | None:
        """The text with a key; None if there is none.

        Args:
            key: `KEY` bytes of a digest.
        """
        slots, hashes, wanted = self._slots, self._hashes, int.from_bytes(key[:8], "big")
        last = len(slots) - 1
        slot = wanted & last
        while number := slots[slot]:
            if hashes[number - 1] == wanted and (entry := self._entries[number - 1]).startswith(key):
                return entry[KEY:].decode("utf-8", "surrogatepass")
            slot = (slot + 1) & last
        self._missing = key, slot
        return None

    def put(self, key: bytes, text: str) -> None:
        """Give a text to the key that was asked for last, which has none.

        Raises:
            RunFolderError: if the temporary file cannot be written.
        """
        assert self._missing and self._missing[0] == key, "`get` has to find out that the key has no text"
        self._entries.add(key + text.encode("utf-8", "surrogatepass"))
        self._hashes.append(int.from_bytes(key[:8], "big"))
        self._slots[self._missing[1]] = len(self._hashes)
        self._missing = None
        if 3 * len(self._hashes) >= 2 * len(self._slots):
            self._grow()

    def _grow(self) -> None:
        self._slots = slots = array("I", bytes(8 * len(self._slots)))
        last = len(slots) - 1
        for number, wanted in enumerate(self._hashes, 1):
            slot = wanted & last
            while slots[slot]:
                slot = (slot + 1) & last
            slots[slot] = number
