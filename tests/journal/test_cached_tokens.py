"""The tokens that a provider had in its cache, in the journal; and journals of the format before them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from selfinstruct.errors import DamagedJournal
from selfinstruct.journal.check import SCHEMA, schema_sum
from selfinstruct.journal.checksums import checksum, count
from selfinstruct.journal.repair import looked_into, open_journal
from selfinstruct.journal.store import Journal
from selfinstruct.records import Reply, Request

REPLIES = [
    Reply("One", prompt_tokens=1200, completion_tokens=9, cost_usd=0.1),
    Reply("Two", prompt_tokens=1200, completion_tokens=9, cost_usd=0.1, cached_tokens=1024),
    Reply("Three", prompt_tokens=1200, completion_tokens=9, cost_usd=0.1, cache_write_tokens=100),
]


def filled(path: Path) -> Path:
    """A journal with these replies, and one from the cache."""
    journal = Journal(path)
    for number, reply in enumerate((*REPLIES, Reply("Four", attempts=0, prompt_tokens=1200)), 1):
        request = Request("ideas", number, "Go on.")
        journal.sent([request])
        journal.arrived(request, reply)
    journal.close()
    return path


def former(path: Path) -> Path:
    """The same without the table, as the format before had it."""
    filled(path)
    with closing(sqlite3.connect(path)) as db:
        for table in ("prompt_cache", "thinking"):
            db.execute(f"DROP TABLE {table}")
            db.execute("DELETE FROM tally WHERE name = ?", (table,))
        old = db.execute("SELECT sum FROM meta WHERE key = 'format'").fetchone()[0]
        new = checksum("meta", ("format", "4"))
        db.execute("UPDATE meta SET value = '4', sum = ? WHERE key = 'format'", (new,))
        count(db, "meta", "", 0, old ^ new)
        entry = (SCHEMA, "", 1, schema_sum(db))
        db.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?, ?)", (*entry, checksum("tally", entry)))
        db.commit()
    return path


def test_cached_tokens_are_stored_and_counted(tmp_path: Path) -> None:
    """With each reply, in the figures of the stage, and in those of the model."""
    journal = Journal(filled(tmp_path / "run.sqlite"))
    assert [journal.reply("ideas", number) for number in (1, 2, 3)] == REPLIES
    stats = journal.stats("ideas")
    assert (stats.prompt_tokens, stats.cached_tokens, stats.cache_write_tokens) == (3600, 1024, 100)
    (row,) = journal.spending("ideas")
    assert (row["prompt_tokens"], row["cached_tokens"], row["cache_write_tokens"]) == (3600, 1024, 100)
    assert row["cached"] == 1
    journal.close()


def test_a_journal_of_the_format_before_is_read_and_goes_on(tmp_path: Path) -> None:
    """Without a change to the file when it is only read; brought up to date when a run goes on."""
    path = former(tmp_path / "run.sqlite")
    before = path.read_bytes()
    with looked_into(path, busy=False) as journal:
        assert journal.reply("ideas", 2) == replace(REPLIES[1], cached_tokens=0)
        assert journal.stats("ideas").cached_tokens == 0
    assert path.read_bytes() == before
    for _ in range(2):
        journal, notes = open_journal(path)
        assert notes == []
        journal.arrived(Request("ideas", 4, "Go on."), REPLIES[1])
        assert journal.reply("ideas", 4) == REPLIES[1]
        journal.close()


def test_damage_of_the_format_before_is_noticed(tmp_path: Path) -> None:
    """A changed row, a missing table, and a table that only the newer format has missing."""
    path = former(tmp_path / "run.sqlite")
    harmed = shutil.copyfile(path, tmp_path / "harmed.sqlite")
    with closing(sqlite3.connect(harmed)) as db:
        db.execute("UPDATE reply SET text = 'Other' WHERE number = 1")
        db.commit()
    with pytest.raises(DamagedJournal, match="reply 1 of ideas"):
        Journal(harmed)
    newer = filled(tmp_path / "newer.sqlite")
    with closing(sqlite3.connect(newer)) as db:
        db.execute("DROP TABLE prompt_cache")
        db.commit()
    with pytest.raises(DamagedJournal, match="the table prompt_cache is missing"):
        Journal(newer)


def test_a_damaged_count_is_found_and_left_out(tmp_path: Path) -> None:
    """The replies stay; what is known about the other ones, too."""
    path = filled(tmp_path / "run.sqlite")
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE prompt_cache SET cached_tokens = 7 WHERE number = 2")
        db.commit()
    with pytest.raises(DamagedJournal, match="the count of cached tokens of reply 2 of ideas"):
        open_journal(path)
    journal, notes = open_journal(path, repair=True)
    assert "repaired the journal" in notes[0]
    assert journal.stats("ideas").replies == 4
    assert (journal.stats("ideas").cached_tokens, journal.stats("ideas").cache_write_tokens) == (0, 100)
    journal.close()
