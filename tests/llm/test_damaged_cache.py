"""A cache of replies that is damaged: no damaged reply comes out of it, and a broken file is set aside."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from selfinstruct.config import CacheConfig
from selfinstruct.llm.cache import Cache, key_of
from selfinstruct.records import Reply, Request

COUNT = 300


def key(number: int) -> bytes:
    """Of a request."""
    return key_of("model", Request("s", number, f"Prompt {number}"))


def reply(number: int) -> Reply:
    """To a request."""
    return Reply(f"A reply in plain words that has the number {number}, twice: {number}.", attempts=0)


def opened(path: Path, said: list[str]) -> Cache:
    """The cache in a file."""
    return Cache(CacheConfig.model_validate({"path": str(path)}), Path(), said.append)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A cache with replies, and a vector."""
    path = tmp_path / "replies.sqlite"
    cache = opened(path, [])
    for number in range(COUNT):
        cache.put(key(number), reply(number))
    cache.put_vector(b"v" * 16, b"\1\2\3\4")
    cache.close()
    return path


@pytest.mark.parametrize("seed", range(12))
def test_no_damaged_reply_comes_out(filled: Path, seed: int) -> None:
    """Bits flipped all over the file: each reply is as it was, or not there and can be kept anew."""
    content, rng = bytearray(filled.read_bytes()), Random(f"cache {seed}")
    for _ in range(seed * 3 + 1):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    filled.write_bytes(content)
    said: list[str] = []
    cache = opened(filled, said)
    for number in range(COUNT):
        found = cache.get(key(number))
        assert found in (None, reply(number))
        if found is None and cache.on:
            cache.put(key(number), reply(number))
            assert cache.get(key(number)) == reply(number)
    assert cache.vectors([b"v" * 16]) in ({}, {b"v" * 16: b"\1\2\3\4"})
    cache.close()
    assert all("damaged" in words or "cannot be used" in words for words in said)
    assert len(said) <= 3, "each is said once"


def test_a_changed_reply_counts_as_not_there(filled: Path) -> None:
    """It is still JSON, and still a reply; the others are there, and the user is told once."""
    with closing(sqlite3.connect(filled)) as db, db:
        db.execute("UPDATE reply SET reply = replace(reply, 'the number 7,', 'the number 9,')")
        db.execute("UPDATE reply SET reply = x'ff' WHERE key = ?", (b"v" * 16,))
    said: list[str] = []
    cache = opened(filled, said)
    assert cache.get(key(7)) is None
    assert cache.get(key(8)) == reply(8)
    assert cache.vectors([b"v" * 16]) == {}
    assert len(said) == 1
    cache.put(key(7), reply(7))
    cache.close()
    assert opened(filled, said).get(key(7)) == reply(7)


def test_a_broken_file_is_set_aside_and_a_new_one_begins(filled: Path) -> None:
    """Pages of noise: the run goes on with a new cache, and the old file is kept."""
    content = filled.read_bytes()
    broken = content[:4096] + Random(1).randbytes(len(content) - 4096)
    filled.write_bytes(broken)
    said: list[str] = []
    cache = opened(filled, said)
    for number in range(COUNT):
        if cache.get(key(number)) is None:
            cache.put(key(number), reply(number))
    cache.close()
    assert len(said) == 1
    assert "it is kept as" in said[0]
    assert filled.with_name("replies.damaged-1.sqlite").read_bytes() == broken
    again = opened(filled, said)
    assert [again.get(key(number)) for number in range(COUNT)] == [reply(number) for number in range(COUNT)]
    again.close()


def test_a_cache_of_before_is_read_and_gets_checksums(tmp_path: Path) -> None:
    """One whose replies have none: they are found as before, and what is kept from now on has one."""
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        columns = "key BLOB PRIMARY KEY, reply TEXT NOT NULL, used REAL NOT NULL"
        db.execute(f"CREATE TABLE reply ({columns}) WITHOUT ROWID")
        rows = [(key(0), '{"text": "As before", "others": []}', 1e12), (key(1), '{"text": "Cut', 1e12)]
        db.executemany("INSERT INTO reply VALUES (?, ?, ?)", rows)
    said: list[str] = []
    cache = opened(path, said)
    assert cache.get(key(0)) == Reply("As before", attempts=0)
    assert cache.get(key(1)) is None
    cache.put(key(1), reply(1))
    cache.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT COUNT(sum) FROM reply").fetchone() == (1,)
    assert len(said) == 1


@pytest.mark.parametrize(
    "harm",
    [
        "DROP TABLE reply; CREATE VIEW reply AS WITH RECURSIVE c(x) AS"
        " (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS key, 'a' AS reply,"
        " 1.0 AS used, 1 AS sum FROM c",
        "CREATE TRIGGER t BEFORE INSERT ON reply BEGIN DELETE FROM reply; END",
    ],
)
def test_a_crafted_cache_is_set_aside_unread(filled: Path, harm: str) -> None:
    """One with a view or a trigger: nothing is read of it, and a new one begins."""
    with closing(sqlite3.connect(filled, isolation_level=None)) as db:
        db.executescript(harm)
    said: list[str] = []
    cache = opened(filled, said)
    assert cache.get(key(1)) is None
    cache.put(key(1), reply(1))
    assert cache.get(key(1)) == reply(1)
    cache.close()
    assert "does not write" in said[0]
    assert filled.with_name("replies.damaged-1.sqlite").exists()
