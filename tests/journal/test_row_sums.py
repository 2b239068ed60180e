"""The checksum of a row: another one for each other value or type, whichever way it is worked out."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from selfinstruct.journal.checksums import Value, checksum

PLAIN: tuple[Value, ...] = ("s-1-0", "s", 1, 0, None, '{"a": 1}', "accepted", None, None, "{}")
OTHER: tuple[Value, ...] = ("é", "1", b"s", None, "", 1, 2.0, 2**60, "\udcff", b"\xff", "a\ns1:b", "n")


def by_the_definition(name: str, row: tuple[Value, ...]) -> int:
    """What the journals of all versions hold."""
    raw = name.encode()
    for value in row:
        if value is None:
            raw += b"\nn"
        elif isinstance(value, int | float):
            raw += b"\nd%a" % float(value)
        else:
            kind = b"s" if isinstance(value, str) else b"b"
            own = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            raw += b"\n%b%d:%b" % (kind, len(own), own)
    return int.from_bytes(blake2b(raw, digest_size=8).digest(), "big", signed=True)


@pytest.mark.parametrize("place", range(len(PLAIN)))
def test_a_record_has_the_sum_of_its_definition_whatever_its_values(place: int) -> None:
    """Each column in turn with each kind of value, also those that only damage puts there."""
    for value in (PLAIN[place], *OTHER):
        row = (*PLAIN[:place], value, *PLAIN[place + 1 :])
        assert checksum("record", row) == by_the_definition("record", row), value
        assert checksum("reply", row) == by_the_definition("reply", row), value
