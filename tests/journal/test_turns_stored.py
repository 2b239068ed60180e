"""The messages of a request besides its prompt, in the journal; and journals of the format before them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from selfinstruct.errors import DamagedJournal
from selfinstruct.journal.check import FORMAT, SCHEMA, SINCE, schema_sum
from selfinstruct.journal.checksums import checksum, count
from selfinstruct.journal.repair import looked_into, open_journal
from selfinstruct.journal.store import Journal
from selfinstruct.records import Message, Reply, Request

TURNS = (Message("user", "Hello \ud800."), Message("assistant", ""))
ASKED = [
    Request("ideas", 1, "Go on."),
    Request("ideas", 2, "Go on.", "Be brief.", before=TURNS, start="It is"),
    Request("ideas", 3, "", opens="user"),
]
FIRST = Message("user", "Hello \ufffd.")
READ = [ASKED[0], replace(ASKED[1], before=(FIRST, TURNS[1])), ASKED[2]]


def filled(path: Path) -> Path:
    """A journal with these requests, answered."""
    journal = Journal(path)
    for request in ASKED:
        journal.sent([request])
        journal.arrived(request, Reply(f"Reply {request.number}"))
    journal.close()
    return path


def former(path: Path, format: int) -> Path:
    """The same without the tables that are newer, as an earlier format had it."""
    filled(path)
    with closing(sqlite3.connect(path)) as db:
        for table in (name for name, since in SINCE.items() if since > format):
            db.execute(f"DROP TABLE {table}")
            db.execute("DELETE FROM tally WHERE name = ?", (table,))
        old = db.execute("SELECT sum FROM meta WHERE key = 'format'").fetchone()[0]
        new = checksum("meta", ("format", str(format)))
        db.execute("UPDATE meta SET value = ?, sum = ? WHERE key = 'format'", (str(format), new))
        count(db, "meta", "", 0, old ^ new)
        entry = (SCHEMA, "", 1, schema_sum(db))
        db.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?, ?)", (*entry, checksum("tally", entry)))
        db.commit()
    return path


def test_they_are_stored_and_read(tmp_path: Path) -> None:
    """One by one, and all of a stage."""
    with closing(Journal(filled(tmp_path / "run.sqlite"))) as journal:
        assert list(journal.requests("ideas")) == READ
        assert [journal.request("ideas", number) for number in (1, 2, 3)] == READ


@pytest.mark.parametrize("format", [FORMAT - 2, FORMAT - 1])
def test_a_journal_of_the_format_before_is_read_and_goes_on(tmp_path: Path, format: int) -> None:
    """Without a change to the file when it is only read; brought up to date when a run goes on."""
    path = former(tmp_path / "run.sqlite", format)
    before = path.read_bytes()
    with looked_into(path, busy=False) as journal:
        assert journal.request("ideas", 1) == ASKED[0]
    assert path.read_bytes() == before
    journal, notes = open_journal(path)
    assert notes == []
    thoughtful = Reply("Another reply 3", thought="Hm.", thinking_tokens=2)
    journal.sent([ASKED[2]])
    journal.arrived(ASKED[2], thoughtful)
    journal.close()
    with closing(Journal(path)) as journal:
        assert journal.request("ideas", 3) == ASKED[2]
        assert journal.reply("ideas", 3) == thoughtful


def test_a_request_without_its_messages_is_composed_again(tmp_path: Path) -> None:
    """Damage is found; the repair keeps the reply, and drops the request, which the run writes again."""
    path = filled(tmp_path / "run.sqlite")
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE turns SET texts = '[]' WHERE number = 2")
        db.commit()
    with pytest.raises(DamagedJournal, match="the list of messages of request 2 of ideas"):
        open_journal(path)
    journal, notes = open_journal(path, repair=True)
    assert "repaired the journal" in notes[0]
    assert journal.replied("ideas") == {1, 2, 3}
    assert journal.request("ideas", 2) is None
    assert journal.request("ideas", 3) == ASKED[2]
    journal.close()


def test_a_lost_thought_is_not_said_to_be_made_again(tmp_path: Path) -> None:
    """Nothing makes it again: its reply is kept without it, and the repair says so."""
    path = filled(tmp_path / "run.sqlite")
    with closing(Journal(path)) as journal:
        journal.sent([replace(ASKED[0], number=4)])
        journal.arrived(replace(ASKED[0], number=4), Reply("Reply 4", thought="Hm."))
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE thinking SET thought = 'Hm?'")
        db.execute("UPDATE turns SET texts = '[]' WHERE number = 2")
        db.commit()
    with pytest.raises(DamagedJournal, match="the thought of reply 4 of ideas is not as it was written"):
        open_journal(path)
    journal, notes = open_journal(path, repair=True)
    assert "4 replies are whole and are kept, but 1 thought of them is lost; everything else" in notes[0]
    with closing(journal):
        found = journal.reply("ideas", 4)
        assert found == Reply("Reply 4")
        assert journal.request("ideas", 2) is None
    assert open_journal(path)[1] == []
