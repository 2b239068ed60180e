"""When rows are stored: together, before whoever waits for them goes on, and all or none."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from selfinstruct.journal.file import look_at
from selfinstruct.journal.store import Journal
from selfinstruct.records import ACCEPTED, REJECTED, WAITING, Record, Reply, Request


def stored(path: Path, query: str) -> list[tuple[object, ...]]:
    """What another process sees."""
    with closing(look_at(path)) as db:
        return db.execute(query).fetchall()


def candidate(number: int, position: int, fate: str = ACCEPTED) -> Record:
    """A candidate of a reply."""
    return Record(
        f"s-{number}-{position}", "s", number, position, {"text": f"{number} {position}"}, fate=fate
    )


def test_a_reply_is_stored_when_whoever_waits_goes_on(tmp_path: Path) -> None:
    """Each of many tasks finds its own reply stored, although they share the commits."""

    async def work() -> None:
        path = tmp_path / "run.sqlite"
        with closing(Journal(path)) as journal:

            async def ask(number: int) -> None:
                await asyncio.sleep(number % 7 / 1000)
                journal.sent([Request("s", number, f"prompt {number}")])
                await journal.settled()
                assert (number,) in stored(path, "SELECT number FROM request")
                journal.arrived(Request("s", number, f"prompt {number}"), Reply(f"reply {number}"))
                await journal.settled()
                assert (f"reply {number}",) in stored(path, "SELECT text FROM reply")

            await asyncio.gather(*map(ask, range(1, 60)))
        with closing(Journal(path)) as journal:  # every row and count is checked
            assert len(journal.replied("s")) == 59

    asyncio.run(work())


def test_each_that_waits_gets_the_error(tmp_path: Path) -> None:
    """If rows cannot be stored, no task that waits for them goes on."""

    async def work() -> None:
        with closing(Journal(tmp_path / "run.sqlite")) as journal:
            with closing(sqlite3.connect(tmp_path / "run.sqlite")) as other:
                other.execute("DROP TABLE tally")
            journal.sent([Request("s", 1, "a")])
            found = await asyncio.gather(journal.settled(), journal.settled(), return_exceptions=True)
            assert [type(one) for one in found] == [sqlite3.OperationalError] * 2

    asyncio.run(work())


def test_one_that_no_longer_waits_holds_up_nobody(tmp_path: Path) -> None:
    """A task that is cancelled while it waits takes nothing from the others."""

    async def work() -> None:
        with closing(Journal(tmp_path / "run.sqlite")) as journal:
            journal.sent([Request("s", 1, "a")])
            gone, other = asyncio.create_task(journal.settled()), asyncio.create_task(journal.settled())
            await asyncio.sleep(0)
            gone.cancel()
            await other
            with pytest.raises(asyncio.CancelledError):
                await gone
            assert stored(tmp_path / "run.sqlite", "SELECT number FROM request") == [(1,)]

    asyncio.run(work())


def test_candidates_that_waited_get_their_fates(tmp_path: Path) -> None:
    """Candidates stored without a fate are replaced, beside others of the reply that are new."""
    path = tmp_path / "run.sqlite"
    with closing(Journal(path)) as journal:
        journal.sent([Request("s", 1, "a", examples=("x",))])
        journal.arrived(Request("s", 1, "a"), Reply("b"))
        journal.take("s", 1, [candidate(1, 0), candidate(1, 1, WAITING)])
        assert journal.taken("s") == set()
        assert journal.examples("s", 1) == ("x",)
        journal.take("s", 1, [candidate(1, 1, REJECTED), candidate(1, 2)])
        assert journal.taken("s") == {1}
    with closing(Journal(path)) as journal:
        assert [record.fate for record in journal.records("s")] == [ACCEPTED, REJECTED, ACCEPTED]
        assert journal.examples("s", 1) == ("x",)
        assert journal.examples("s", 2) is None


@pytest.mark.parametrize("length", [10, 100_000])
def test_a_reply_that_arrives_again_counts_once(tmp_path: Path, length: int) -> None:
    """The last one is stored and marked as taken in, whether its row was held or is read again."""
    path = tmp_path / "run.sqlite"
    with closing(Journal(path)) as journal:
        for text in ("a" * length, "b" * length):
            journal.arrived(Request("s", 1, "q"), Reply(text))
        journal.take("s", 1, [candidate(1, 0)])
        journal.commit()
        journal.arrived(Request("s", 2, "q"), Reply("c" * length))
        journal.take("s", 2, [])
    with closing(Journal(path)) as journal:
        assert journal.taken("s") == {1, 2}
        assert stored(path, "SELECT text FROM reply ORDER BY number") == [("b" * length,), ("c" * length,)]
