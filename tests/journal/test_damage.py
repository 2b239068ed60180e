"""Journals damaged on purpose: refused by name or harmless, never another byte in the data, and mended."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from killing import data

from selfinstruct.api import execute
from selfinstruct.errors import DamagedJournal
from selfinstruct.journal.repair import open_journal
from selfinstruct.journal.store import Journal
from selfinstruct.monitor.progress import Progress
from selfinstruct.recipe.compose import Composed, compose
from selfinstruct.records import Record, Reply, Request, StoredVector

PAGE = 4096
SCRIPT = ("recipe=paper", "model=scripted", "target=6", "~export.alpaca", "~export.chat", "~export.sharegpt")
Harm = Callable[[Path], None]


@dataclass(frozen=True)
class Clean:
    """A finished run, and its recipe composed for what is done with copies of it.

    Attributes:
        folder: the run.
        data: the bytes of its data.
        going_on: composed to go on as it is.
        repairs: composed to repair, with the cache off and on.
    """

    folder: Path
    data: dict[str, bytes]
    going_on: Composed
    repairs: tuple[Composed, Composed]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    """One run for all the damage; its replies are in a cache too."""
    project = tmp_path_factory.mktemp("clean")
    cache = f"cache.path={project / 'replies.sqlite'}"
    off = compose([*SCRIPT, "cache=off"], project)
    repairs = (
        compose([*SCRIPT, "cache=off", "repair=true"], project),
        compose([*SCRIPT, cache, "repair=true"], project),
    )
    for composed, name in ((compose([*SCRIPT, cache], project), "cached"), (off, "run")):
        start(composed, project / name)
    assert data(project / "cached") == data(project / "run")
    return Clean(project / "run", data(project / "run"), off, repairs)


def start(composed: Composed, folder: Path) -> None:
    """Do as the command does."""
    execute(composed.recipe(), folder, Progress(quiet=True), composed.saved)


def sql(query: str) -> Harm:
    """What other hands may do to a journal."""

    def harm(file: Path) -> None:
        with closing(sqlite3.connect(file)) as db, db:
            assert db.execute(query).rowcount

    return harm


def flipped(seed: int, bits: int = 1) -> Harm:
    """So many bits in a row, somewhere."""

    def harm(file: Path) -> None:
        content, rng = bytearray(file.read_bytes()), Random(f"flip {seed}")
        place = rng.randrange(len(content) * 8 - bits)
        for bit in range(place, place + bits):
            content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)

    return harm


def within(word: bytes, seed: int) -> Harm:
    """One bit of a text that holds the word, which SQLite does not notice."""

    def harm(file: Path) -> None:
        content = bytearray(file.read_bytes())
        places = [at for at in range(len(content)) if content.startswith(word, at)]
        place = Random(f"within {seed}").choice(places)
        content[place] ^= 1
        file.write_bytes(content)

    return harm


def pages(seed: int, what: str) -> Harm:
    """A page zeroed, filled with noise, or two of them swapped."""

    def harm(file: Path) -> None:
        content, rng = bytearray(file.read_bytes()), Random(f"pages {seed} {what}")
        one, other = (rng.randrange(len(content) // PAGE) * PAGE for _ in range(2))
        if what == "swapped":
            while content[other : other + PAGE] == content[one : one + PAGE]:
                other = rng.randrange(len(content) // PAGE) * PAGE
            first = bytes(content[one : one + PAGE])
            content[one : one + PAGE] = content[other : other + PAGE]
            content[other : other + PAGE] = first
        else:
            content[one : one + PAGE] = bytes(PAGE) if what == "zeroed" else rng.randbytes(PAGE)
        file.write_bytes(content)

    return harm


def cut(share: float) -> Harm:
    """Only a share of the file is left."""

    def harm(file: Path) -> None:
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * share)])

    return harm


def log(seed: int, tail: bool) -> Harm:
    """Garbage in the write-ahead log: after a killed process's own writes, or nothing else."""

    def harm(file: Path) -> None:
        beside = file.with_name(f"{file.name}-wal")
        noise = Random(f"log {seed}").randbytes(3 * PAGE)
        if tail:
            with closing(sqlite3.connect(file)) as db:
                db.execute("PRAGMA wal_autocheckpoint = 0")
                db.execute("UPDATE meta SET value = value WHERE key = 'target'")
                db.commit()
                whole = beside.read_bytes()
            noise = whole[: len(whole) // 2] + noise
        beside.write_bytes(noise)

    return harm


def header(place: int, value: int) -> Harm:
    """A byte of the file's header."""

    def harm(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[place] = value
        file.write_bytes(content)

    return harm


FIRST = "stage = 'instructions' AND number = 1"
HARMS: dict[str, Harm] = {
    **{f"bit {seed}": flipped(seed) for seed in range(20)},
    **{f"byte {seed}": flipped(seed, bits=8) for seed in range(10)},
    **{f"bit in a text {seed}": within(b"a ", seed) for seed in range(8)},
    "bit in a record's field": within(b'"instruction": "', 0),
    "bit in a stage's name": within(b"instances-0", 1),
    **{
        f"page {what} {seed}": pages(seed, what)
        for what in ("zeroed", "noise", "swapped")
        for seed in (1, 2, 3)
    },
    **{f"cut to {share}": cut(share) for share in (0, 0.0005, 0.02, 0.3, 0.6, 0.99)},
    "garbage as log": log(1, tail=False),
    "garbage in the log": log(2, tail=True),
    "header: newer write version": header(18, 7),
    "header: UTF-16": header(59, 2),
    "header: page size": header(16, 2),
    "reply changed": sql(f"UPDATE reply SET text = text || ' 4. Do it.' WHERE {FIRST}"),
    "reply deleted": sql(f"DELETE FROM reply WHERE {FIRST}"),
    "label's reply deleted": sql("DELETE FROM reply WHERE stage = 'classification' AND number = 2"),
    "replies deleted": sql("DELETE FROM reply"),
    "reply not taken": sql("UPDATE reply SET taken = 0 WHERE stage = 'classification'"),
    "reply no text": sql(f"UPDATE reply SET text = x'ff00' WHERE {FIRST}"),
    "number of tokens": sql(f"UPDATE reply SET prompt_tokens = -5 WHERE {FIRST}"),
    "cost a text": sql(f"UPDATE reply SET cost_usd = 'free' WHERE {FIRST}"),
    "record changed": sql("UPDATE record SET data = replace(data, ' a ', ' the ')"),
    "record deleted": sql("DELETE FROM record WHERE stage = 'instances' AND request = 1"),
    "records deleted": sql("DELETE FROM record"),
    "record of another fate": sql(
        "UPDATE record SET fate = 'rejected' WHERE stage = 'instances' AND request = 2"
    ),
    "label cut": sql("UPDATE record SET data = substr(data, 1, 20) WHERE stage = 'classification'"),
    "JSON cut": sql("UPDATE record SET data = substr(data, 1, 9) WHERE id = 'instructions-000001-0'"),
    "detail no JSON": sql("UPDATE record SET detail = '{' WHERE stage = 'instances'"),
    "record renamed": sql("UPDATE record SET id = 'instances-000009-9' WHERE id = 'instances-000001-0'"),
    "parent renamed": sql("UPDATE record SET parent = 'nobody' WHERE id = 'instances-000001-0'"),
    "record added": sql(
        "INSERT INTO record SELECT 'instructions-000001-99', stage, request, 99, parent, data, fate,"
        " \"check\", reason, detail, sum FROM record WHERE id = 'instructions-000001-0'"
    ),
    "request changed": sql(f"UPDATE request SET prompt = 'Say nothing.' WHERE {FIRST}"),
    "request deleted": sql(f"DELETE FROM request WHERE {FIRST}"),
    "sampling no JSON": sql("UPDATE request SET sampling = '{]'"),
    "settings changed": sql("UPDATE meta SET value = replace(value, '0.7', '0.1') WHERE key = 'shape'"),
    "settings no JSON": sql("UPDATE meta SET value = substr(value, 1, 50) WHERE key = 'shape'"),
    "settings deleted": sql("DELETE FROM meta WHERE key = 'shape'"),
    "format another": sql("UPDATE meta SET value = '3' WHERE key = 'format'"),
    "format deleted": sql("DELETE FROM meta WHERE key = 'format'"),
    "notes deleted": sql("DELETE FROM meta"),
    "checksum changed": sql("UPDATE reply SET sum = sum + 1 WHERE number = 3"),
    "checksum none": sql("UPDATE record SET sum = NULL"),
    "counts deleted": sql("DELETE FROM tally"),
    "counts changed": sql("UPDATE tally SET rows = rows + 1 WHERE name = 'record'"),
    "requests deleted": sql("DELETE FROM request"),
}
HARMLESS = 20  # at most; a bit in a page that nobody uses, a log of which nothing was needed


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, str]]:
    """What became of each, printed in the end."""
    found: dict[str, str] = {}
    yield found
    print("\n".join(["", *(f"{name:<30} {what}" for name, what in found.items())]))


@pytest.mark.parametrize("name", HARMS)
def test_damage_is_refused_or_harmless_and_is_repaired(
    clean: Clean, tmp_path: Path, outcomes: dict[str, str], name: str
) -> None:
    """What is refused says so in words; the repaired run has the clean bytes; the damaged file is kept."""
    run = tmp_path / "run"
    shutil.copytree(clean.folder, run)
    HARMS[name](run / "run.sqlite")
    harmed = (run / "run.sqlite").read_bytes()
    try:
        open_journal(run / "run.sqlite")[0].close()
    except DamagedJournal as error:
        outcomes[name] = f"refused: {error.damage[0]}"
        words = str(error)
        assert "is damaged" in words
        assert "repair=true" in words
        assert "Traceback" not in words
        assert (run / "run.sqlite").read_bytes() == harmed
        with pytest.raises(DamagedJournal):
            start(clean.going_on, run)
        with_cache = len(outcomes) % 2
        start(clean.repairs[with_cache], run)
        assert (run / "run.damaged-1.sqlite").read_bytes() == harmed
    else:
        outcomes[name] = "harmless"
        start(clean.going_on, run)
    assert data(run) == clean.data
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    open_journal(run / "run.sqlite")[0].close()


OLDEST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE request (
    stage TEXT, number INTEGER, prompt TEXT NOT NULL, system TEXT, sampling TEXT NOT NULL,
    examples TEXT NOT NULL, parent TEXT, variant TEXT, PRIMARY KEY (stage, number)) WITHOUT ROWID;
CREATE TABLE reply (
    stage TEXT, number INTEGER, text TEXT NOT NULL, finish_reason TEXT NOT NULL, model TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, cost_usd REAL, seconds REAL NOT NULL,
    attempts INTEGER NOT NULL, error TEXT, taken INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stage, number)) WITHOUT ROWID;
CREATE TABLE record (
    id TEXT PRIMARY KEY, stage TEXT NOT NULL, request INTEGER NOT NULL, position INTEGER NOT NULL,
    parent TEXT, data TEXT NOT NULL, fate TEXT NOT NULL, "check" TEXT, reason TEXT, detail TEXT NOT NULL)
    WITHOUT ROWID;
INSERT INTO meta VALUES ('format', '1'), ('recipe', '"tiny"');
INSERT INTO request VALUES ('ideas', 1, 'Go on.', NULL, '{"n": 1}', '["seed_1"]', NULL, NULL);
INSERT INTO reply VALUES ('ideas', 1, 'Grüße 世界', 'stop', 'tiny', 2, 3, 0, 1, 1, NULL, 1);
INSERT INTO record VALUES ('ideas-000001-0', 'ideas', 1, 0, NULL,
    '{"text": "A"}', 'accepted', NULL, NULL, '{}');
"""


def oldest(path: Path, harm: str = "") -> Path:
    """A journal of the first format."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(OLDEST + harm)
    return path


def test_a_journal_of_the_first_format_gets_checksums(tmp_path: Path) -> None:
    """All of it is there, and from then on damage is noticed; what can be seen to be damaged gets none."""
    path = oldest(tmp_path / "run.sqlite")
    for _ in range(2):
        journal = Journal(path)
        assert journal.reply("ideas", 1) == Reply(
            "Grüße 世界", "stop", "tiny", prompt_tokens=2, completion_tokens=3, cost_usd=0.0, seconds=1.0
        )
        assert [record.data for record in journal.records("ideas")] == [{"text": "A"}]
        assert (journal.meta("recipe"), journal.taken("ideas")) == ("tiny", {1})
        journal.close()
    sql("UPDATE reply SET text = 'Other' WHERE number = 1")(path)
    with pytest.raises(DamagedJournal, match="reply 1 of ideas"):
        Journal(path)
    broken = oldest(tmp_path / "broken.sqlite", "UPDATE record SET data = '{' WHERE request = 1;")
    before = broken.read_bytes()
    with pytest.raises(DamagedJournal, match=r"record ideas-000001-0 .*\(data\)"):
        Journal(broken)
    assert broken.read_bytes() == before


def test_a_damaged_vector_is_left_out_and_the_others_are_kept(tmp_path: Path) -> None:
    """What was paid for stays; the damaged one is not among them, so that it is asked again."""
    path = tmp_path / "run.sqlite"
    journal = Journal(path)
    kept = [StoredVector(bytes([number]) * 16, bytes([number]) * 8, True, 3, 0.001) for number in range(5)]
    journal.keep_vectors("ideas", kept)
    journal.close()
    sql("UPDATE vector SET vector = x'00ff' WHERE key = x'02020202020202020202020202020202'")(path)
    with pytest.raises(DamagedJournal, match="a vector of ideas is not as it was written"):
        open_journal(path)
    journal, notes = open_journal(path, repair=True)
    assert "repaired the journal" in notes[0]
    found = journal.vectors([one.key for one in kept])
    assert found == {one.key: one.vector for one in kept if one.key != b"\2" * 16}
    assert journal.spent().usd == pytest.approx(0.004)
    journal.keep_vectors("ideas", kept)
    assert len(journal.vectors([one.key for one in kept])) == 5
    journal.close()
    Journal(path).close()


def test_a_row_that_goes_bad_while_a_run_is_at_work_is_named_when_it_is_read(tmp_path: Path) -> None:
    """Not only when the journal is opened."""
    path = tmp_path / "run.sqlite"
    journal = Journal(path)
    request = Request("ideas", 1, "Go on.")
    journal.sent([request])
    journal.arrived(request, Reply("An idea"))
    journal.commit()
    sql("UPDATE reply SET text = 'Another idea' WHERE number = 1")(path)
    with pytest.raises(DamagedJournal, match="reply 1 of ideas is not as it was written"):
        journal.reply("ideas", 1)
    journal.close()


def test_a_transaction_that_is_undone_is_not_counted(tmp_path: Path) -> None:
    """As a full disk undoes one: what was written before and after it is whole."""
    path = tmp_path / "run.sqlite"
    journal = Journal(path)
    for number in (1, 2, 3):
        request = Request("ideas", number, "Go on.")
        journal.sent([request])
        journal.arrived(request, Reply("An idea"))
        if number == 2:
            journal._db.execute("ROLLBACK")
        journal.commit()
    good, bad = Record("ideas-000003-0", "ideas", 3, 0, {}), Record("x", "ideas", 3, 1, {}, fate=None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        journal.take("ideas", 3, [good, bad])
    journal.close()
    journal = Journal(path)
    assert journal.replied("ideas") == {1, 3}
    assert list(journal.records("ideas")) == []
    journal.close()
