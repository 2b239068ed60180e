"""An export of many records: its memory, its order, its duplicates, and a disk without room."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file

from selfinstruct.api import execute
from selfinstruct.dataset.features import common
from selfinstruct.dataset.rows import Rows
from selfinstruct.journal.store import Journal
from selfinstruct.monitor.progress import Progress
from selfinstruct.project.firsts import KEY, Firsts
from selfinstruct.recipe.compose import compose
from selfinstruct.records import ACCEPTED, Record
from selfinstruct.run_folder.folder import JOURNAL, RunFolder

LIMITED = """\
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
runpy.run_module("selfinstruct", run_name="__main__")
"""
FEW, MANY = 2_000, 42_000
EXPORT = """\
import sys
from pathlib import Path
from selfinstruct.dataset.command import main
main(sys.argv[1:], Path.cwd())
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def grow(run: Path, first: int, last: int) -> None:
    """Add records to the last stage of a finished run."""
    lines = (run / "instances.jsonl").read_text(encoding="utf-8").splitlines()
    parent = json.loads(lines[0])["parent"]
    journal = Journal(run / JOURNAL)
    long = "It has forty words or so, as many answers do, and no two are alike. " * 6
    for request in range(first, last, 1_000):
        places = range(request, min(request + 1_000, last))
        journal.take(
            "instances",
            request + 1_000_000,
            [
                Record(
                    f"instances-{request + 1_000_000}-{place}",
                    "instances",
                    request + 1_000_000,
                    place,
                    {"instruction": f"Do it {place} times.", "input": "", "output": f"{long}{place}"},
                    parent,
                    fate=ACCEPTED,
                )
                for place in places
            ],
        )
    journal.close()


@pytest.fixture
def run(project: Path) -> Path:
    """A finished run of the paper's recipe."""
    seed_file(project / "mine.jsonl")
    composed = compose(["recipe=paper", "model=scripted", "seeds.path=mine.jsonl", "target=3"], project)
    execute(composed.recipe(), project / "run", Progress(quiet=True), composed.saved)
    return project / "run"


def most_memory(run: Path, to: str, *words: str) -> int:
    """The most memory that a process of its own takes for an export, in bytes."""
    command = [sys.executable, "-c", EXPORT, str(run), f"to={to}", *words]
    done = subprocess.run(command, cwd=run.parent, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1]) * 1024  # not `ru_maxrss`, which begins with the parent's peak


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_memory_does_not_grow_with_the_records(run: Path) -> None:
    """Of 40,000 records more, with 450 bytes each, it holds less than 1,000 bytes each."""
    split = "export.chat.split={train: 0.5, b: 0.5}"
    words = ("export=[alpaca,chat]", "export.alpaca.provenance=true", split)
    grow(run, 0, FEW)
    few = most_memory(run, "few", *words)
    grow(run, FEW, MANY)
    many = most_memory(run, "many", *words)
    assert len((run.parent / "many/alpaca.jsonl").read_text().splitlines()) > MANY - FEW
    # With all rows in memory it is over 2,000; buffers that fill up, and arrays, take some 500.
    assert (many - few) / (MANY - FEW) < 1_000


class TestBlocks:
    COUNT = 450  # records: two whole blocks, and a part of one

    def test_all_records_are_written(self, run: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        """In order, in each format of file; a secret is blotted out in its row, and the others stay."""
        import pyarrow.parquet

        grow(run, 0, self.COUNT)
        monkeypatch.setenv("MY_API_KEY", "alike. 300")  # the end of a record's output
        words = ("export=[alpaca,chat,csv]", "export.chat.format=parquet", "to=out")
        status, _, err = typed("export", "run", *words)
        assert status == 0, err
        out = run.parent / "out"
        with (out / "csv.csv").open(encoding="utf-8-sig", newline="") as file:
            tables = [row["output"] for row in csv.DictReader(file)]
        rows = [row["output"] for row in lines(out / "alpaca.jsonl")]
        chats = pyarrow.parquet.read_table(out / "chat.parquet").column("messages").to_pylist()
        expected = [str(place) if place != 300 else "***" for place in range(self.COUNT)]
        for outputs in (rows, tables, [turns[-1]["content"] for turns in chats]):
            assert [output.rpartition(" ")[2] for output in outputs[-self.COUNT :]] == expected

    def test_a_secret_in_one_of_many_lines(
        self, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The lines of a run's file are searched in blocks; it is blotted out, and the other lines stay."""
        monkeypatch.setenv("MY_API_KEY", "Do it 300 times.")
        journal = Journal(run / JOURNAL)
        folder = RunFolder(tmp_path, journal, resumed=False)
        folder.write_lines("x.jsonl", ({"text": f"Do it {place} times."} for place in range(self.COUNT)))
        journal.close()
        expected = [f"Do it {place} times." if place != 300 else "***" for place in range(self.COUNT)]
        assert [row["text"] for row in lines(tmp_path / "x.jsonl")] == expected


def test_what_came_first_is_found_again() -> None:
    """As in a dictionary, through several growths of the table; a text may have half a character."""
    draw, first, expected = random.Random(0), Firsts(), dict[bytes, str]()
    for place in range(20_000):
        key = blake2b(str(draw.randrange(12_000)).encode(), digest_size=KEY).digest()
        assert first.get(key) == expected.get(key)
        if key not in expected:
            expected[key] = f"é\ud800-{place}"
            first.put(key, expected[key])


def test_keys_that_begin_alike_are_different() -> None:
    """The part of a key that is in memory does not decide alone."""
    one, other = b"12345678" + b"a" * 8, b"12345678" + b"b" * 8
    first = Firsts()
    assert first.get(one) is None
    first.put(one, "one")
    assert first.get(other) is None
    first.put(other, "other")
    assert (first.get(one), first.get(other)) == ("one", "other")


class TestRows:
    def rows(self, seed: int) -> list[dict[str, Any]]:
        """Rows with other columns here and there, and values of several types."""
        draw = random.Random(seed)
        values = ["text", None, 1, 2.5, ["a"], [], {"a": None}, {"a": 1}, "ü\u2028\ud800"]
        names = ["a", "b", "c", "d"]
        return [
            {name: draw.choice(values) for name in draw.sample(names, draw.randrange(1, 5))}
            for _ in range(draw.randrange(1, 40))
        ]

    @pytest.mark.parametrize("seed", range(40))
    def test_types_and_order(self, seed: int) -> None:
        """They are those of lists in memory: splits one after the other, each in the order of the shuffle."""
        draw, made, rows = random.Random(-seed), Rows(["x", "y"]), self.rows(seed)
        pairs = [(row, draw.choice("xy")) for row in rows]
        half = len(pairs) // 2
        for some in (pairs[:half], pairs[half:]):
            made.extend([row for row, _ in some], [split for _, split in some])
        if seed % 2:
            made.shuffle(random.Random(seed))
            random.Random(seed).shuffle(pairs)
        splits = {name: [row for row, split in pairs if split == name] for name in "xy"}
        assert list(made.types.items()) == list(common([*splits["x"], *splits["y"]]).items())
        for name, those in splits.items():
            read = [json.loads(line) for text in made.texts(name) for line in text.splitlines()]
            assert read == those
            assert made.columns(name) == list(dict.fromkeys(key for row in those for key in row))

    @pytest.mark.parametrize("scores", [[{"a": 1}, {"b": 2.5}, {}], [{}, {}], [{"a": 1}, {"a": 2**70}]])
    def test_scores(self, scores: list[dict[str, float]]) -> None:
        """All rows have the same names of scores, in the last column; without any there is no column."""
        made = Rows(["x"], scored=True)
        made.extend([{"scores": one, "id": place} for place, one in enumerate(scores)], ["x"] * len(scores))
        names = sorted({name for one in scores for name in one})
        last = [{"scores": {name: one.get(name) for name in names}} if names else {} for one in scores]
        whole = [{"id": place, **one} for place, one in enumerate(last)]
        assert [json.loads(line) for text in made.texts("x") for line in text.splitlines()] == whole
        assert list(made.types.items()) == list(common(whole).items())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_no_room_for_temporary_files(run: Path) -> None:
    """The message names the remedy; no part of a file is left."""
    grow(run, 0, 4_000)
    command = [sys.executable, "-c", LIMITED, "export", str(run), "export=[alpaca]", "to=out"]
    done = subprocess.run(command, cwd=run.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "a temporary file cannot be written" in done.stderr and "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert not any((run.parent / "out").glob("*"))
