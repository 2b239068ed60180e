"""Long texts of requests in the journal: stored once as far as they are alike, and read as they were sent."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from selfinstruct.errors import DamagedJournal
from selfinstruct.journal.repair import looked_into, open_journal
from selfinstruct.journal.store import Journal
from selfinstruct.records import Message, Reply, Request

RULES = "Write the answer to the task. " * 100 + "Über 面白い \U0001f600. " * 50
SHORT = Request("answers", 41, "Say hello.", "Be brief.")


def asked(number: int, variant: str | None = None) -> Request:
    """A request with a long prompt, system message and example, of which little is its own."""
    words = f"{number} " * (number % 7)
    prompt = f"{variant}\n{RULES}\nTask: {words}\n{RULES}"
    before = (Message("user", f"{RULES} {number}"), Message("assistant", RULES))
    return Request("answers", number, prompt, f"{RULES}{number}", before=before, variant=variant)


ASKED = [*(asked(number, ("first", "second", None)[number % 3]) for number in range(1, 41)), SHORT]


def written(path: Path) -> Path:
    """A journal with these requests, each of which is answered."""
    with closing(Journal(path)) as journal:
        for request in ASKED:
            journal.sent([request])
            journal.arrived(request, Reply(f"Reply {request.number}"))
    return path


def changed(path: Path, statement: str) -> None:
    """Change a journal as another program would."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(statement).rowcount
        db.commit()


def test_they_take_little_room_and_are_read_as_they_were_sent(tmp_path: Path) -> None:
    """All of a stage, and one by one, also by another process; one that is sent again too."""
    path = written(tmp_path / "run.sqlite")
    sent = sum(len(one.prompt) + len(one.system or "") + len(str(one.turns)) for one in ASKED)
    assert path.stat().st_size < sent / 3
    with closing(Journal(path)) as journal:
        journal.sent(ASKED[:3])
        assert list(journal.requests("answers")) == ASKED
        assert [journal.request("answers", one.number) for one in ASKED] == ASKED
    with looked_into(path, busy=False) as journal:
        assert journal.request("answers", 40) == ASKED[39]


def test_any_two_texts(tmp_path: Path) -> None:
    """One is the other's beginning, its end, a part of it, or nothing like it; and the same once more."""
    rng = Random(7)
    base = "".join(rng.choice("ab\n ü") for _ in range(2000))
    parts = [base, base[:900], base[900:], base[300:1500], base * 2, base[::-1], "", base[:700] + base[1200:]]
    mixed = [
        f"{one[: rng.randrange(1, 900)]}{rng.choice(parts)}{one[900:]}" for one in parts for _ in range(20)
    ]
    requests = [Request("any", number, text) for number, text in enumerate(parts + mixed, 1)]
    with closing(Journal(tmp_path / "run.sqlite")) as journal:
        journal.sent(requests)
        assert list(journal.requests("any")) == requests


def test_a_secret_of_a_later_day_changes_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text that the others are read from stays as long as it was."""
    path = written(tmp_path / "run.sqlite")
    monkeypatch.setenv("MY_API_KEY", RULES[30:60])
    with looked_into(path, busy=False) as journal:
        assert journal.request("answers", 40) == ASKED[39]


@pytest.mark.parametrize(
    "harm", ["UPDATE meta SET value = replace(value, 'Write', 'Wrote')", "DELETE FROM meta"]
)
def test_without_the_first_text_the_others_are_composed_again(tmp_path: Path, harm: str) -> None:
    """Damage is found. The repair keeps replies and short requests; the run composes the long ones again."""
    path = written(tmp_path / "run.sqlite")
    changed(path, f"{harm} WHERE key LIKE 'wording/answers/prompt/first'")
    with pytest.raises(DamagedJournal, match=r"the note|notes: 1 missing"):
        open_journal(path)
    with looked_into(path, busy=False, whole=False) as journal:
        with pytest.raises(DamagedJournal, match=r"request 3 of answers has in common|not as it was written"):
            journal.request("answers", 3)
        assert journal.request("answers", 41) == SHORT
    journal, notes = open_journal(path, repair=True)
    with closing(journal):
        assert "41 replies are whole and are kept" in notes[0]
        assert journal.replied("answers") == {one.number for one in ASKED}
        kept = [one for one in ASKED if one.variant != "first"]
        assert list(journal.requests("answers")) == kept
        journal.sent([one for one in ASKED if one.variant == "first"])
        assert list(journal.requests("answers")) == ASKED
    assert open_journal(path)[1] == []
