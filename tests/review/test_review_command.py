"""The command `review` before its page opens: what it refuses, and what keeps the reviews of a run."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import children
import pytest
from conftest import Typed
from results import refused
from reviewing import ReviewServer

from selfinstruct.cli.main import command
from selfinstruct.errors import RunFolderError
from selfinstruct.journal.checksums import Rows
from selfinstruct.journal.file import connect
from selfinstruct.records import Record
from selfinstruct.review.sample import next_for, sample_of
from selfinstruct.review.store import Given, Review, open_reviews
from selfinstruct.run_folder.opened import opened

RUN = ("recipe=paper", "model=scripted", "cache=off")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, for all that use copies of it."""
    project = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert command([*RUN, "target=5", "run_dir=run"]) == 0
    return project / "run"


@pytest.fixture
def run(finished: Path, project: Path) -> Path:
    """A copy of it in the user's folder."""
    shutil.copytree(finished, project / "run")
    return project / "run"


def reviews(run: Path) -> dict[str, Any]:
    """The reviews in the journal, by REVIEWER/RECORD."""
    with opened(run) as found:
        return found.journal.facts("review/")


def reviewed(run: Path, *ids: str) -> None:
    """Ann has found these records good."""
    with open_reviews(run) as found:
        for id in ids:
            found.save("Ann", id, lambda review: Review({"output": "ok"}))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "review takes the folder of a run"),
        (["nothing"], "nothing does not exist"),
        (["run", "other"], "one RUN"),
        (["run", "--sample", "0"], "--sample is a whole number from 1"),
        (["run", "--sample"], "--sample needs a value"),
        (["run", "--overlap=many"], "--overlap is a whole number"),
        (["run", "--port", "70000"], "--port is a whole number from 0 to 65,535"),
        (["run", "--name", "a/b"], "cannot have a slash"),
        (["run", "--release", "Ann"], "unknown reviewer 'Ann'"),
        (["run", "--nobrowser"], "did you mean '--no-browser'"),
        (["run", "review=none"], "unknown review 'none'"),
        (["run", "review=twice"], "ok and wrong have the same key 'Y'; give one of them another"),
        (["run", "review=taken"], "'u' is a key of the page itself (undo); choose another key"),
        (["run", "review=empty"], "review.questions"),
        (["run", "target=9"], "target cannot be changed here"),
    ],
)
def test_what_is_wrong_is_said_before_the_page_opens(
    typed: Typed, run: Path, project: Path, arguments: list[str], says: str
) -> None:
    """Arguments, the run and the questions; the message has the place and the remedy."""
    choices = {"ok": {"key": "y", "text": "Yes"}, "wrong": {"key": "Y", "text": "No"}}
    taken = {**choices, "wrong": {"key": "u", "text": "No"}}
    written = {"twice": {"q": choices}, "taken": {"q": taken}, "empty": {}}
    (project / "conf/review").mkdir(parents=True)
    for name, found in written.items():
        questions = {"questions": {key: {"text": "?", "choices": value} for key, value in found.items()}}
        (project / f"conf/review/{name}.yaml").write_text(json.dumps(questions), encoding="utf-8")
    refused(typed("review", *arguments), says)
    assert reviews(run) == {}


def test_a_recipe_with_wrong_questions_is_refused_before_it_runs(typed: Typed) -> None:
    """No reply is paid for a run that cannot be reviewed."""
    refused(
        typed("check", *RUN, "review.questions.input.choices.ok.key=n"),
        "review.questions.input.choices",
        "the same key 'n'",
    )


def test_questions_of_ones_own(run: Path, project: Path) -> None:
    """Another file of conf/review, and what is stored for its answers."""
    mine = project / "conf/review/mine.yaml"
    mine.parent.mkdir(parents=True)
    choices = {value: {"key": value, "text": f"{value} of 3"} for value in ("1", "2", "3")}
    questions = {"tone": {"text": "How is <the> tone?", "choices": choices}}
    mine.write_text(json.dumps({"questions": questions}), encoding="utf-8")
    with ReviewServer(project, "run", "review=mine", "--name", "Ann") as server:
        ann = server.reviewer()
        assert "How is &lt;the&gt; tone?" in ann.text
        id = ann.record
        ann.answer("tone", "2")
        assert ann.record != id
        assert reviews(run)[f"Ann/{id}"]["answers"] == {"tone": "2"}


def test_a_missing_extra_is_named(typed: Typed, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    refused(typed("review", "run"), "pip install 'selfinstruct[review]'")


def test_a_journal_that_cannot_be_trusted_is_refused(typed: Typed, run: Path) -> None:
    """A changed row; nothing is written."""
    journal = run / "run.sqlite"
    with closing(sqlite3.connect(journal)) as db:
        db.execute("UPDATE record SET reason = 'x'")
        db.commit()
    before = journal.read_bytes()
    refused(typed("review", "run"), "is damaged", "repair=true")
    assert journal.read_bytes() == before


def test_a_journal_of_an_older_format_is_refused(typed: Typed, run: Path) -> None:
    """The message says what brings it up to date."""
    with closing(connect(run / "run.sqlite")) as db:
        rows = Rows(db, run / "run.sqlite")
        rows.begin()
        rows.put("meta", ("format", "3"))
        rows.commit()
    refused(typed("review", "run"), "was written by an earlier version", "run its own command once more")


def test_a_run_that_works_elsewhere_is_refused(typed: Typed, run: Path) -> None:
    """Its files here are old, and would be replaced."""
    note = {"host": "elsewhere", "path": "/scratch/run"}
    (run / "elsewhere.json").write_text(json.dumps(note), encoding="utf-8")
    refused(typed("review", "run"), "the run works in /scratch/run on elsewhere")


def test_a_run_without_a_record_has_nothing_to_review(typed: Typed, project: Path) -> None:
    """The message names the stage."""
    typed(*RUN, "target=3", "run_dir=none", "budget.requests=1")
    refused(typed("review", "none"), "no accepted record yet")


def test_a_busy_port_is_refused(typed: Typed, run: Path, project: Path) -> None:
    """The message says to choose another."""
    with ReviewServer(project, "run") as server:
        port = server.base.rpartition(":")[2]
        refused(typed("review", "run", "--port", port), f"--port {port}", "choose another port")


def test_the_sample_only_grows() -> None:
    """Of any ids the order is the same; what was given stays, also in a smaller sample and a larger run."""
    records = [Record(f"r-{number}", "r", number, 0, {}) for number in range(100)]
    more = [Record(f"s-{number}", "s", number, 0, {}) for number in range(100)]

    def drawn(records: Iterable[Record], given: Given, size: int, seed: int = 7) -> list[str]:
        return [record.id for record in sample_of(seed, iter(records), given, size)]

    order = drawn(records, {}, 200)
    assert order != [record.id for record in records] and drawn(reversed(records), {}, 100) == order
    assert (
        sorted(order) == sorted(drawn(records, {}, 100, seed=8)) != drawn(records, {}, 100, seed=8) != order
    )
    small, large = drawn(records, {}, 10), drawn(records, {}, 30)
    assert large[:10] == small == order[:10]
    given = {"Ann": small[:6], "Bob": [*small[6:], "r-gone"]}
    after = drawn([*records, *more], given, 12)
    assert len(after) == 12 and set(small) < set(after)
    assert drawn(records, given, 3) == small
    assert next_for("Ann", small, given, 0) is None
    assert next_for("Ann", large, given, 0) == large[10]
    assert next_for("Cleo", small, given, 2) == small[0]
    assert next_for("Cleo", small, {**given, "Cleo": small[:2]}, 2) is None


@contextmanager
def hammering(run: Path) -> Iterator[list[int]]:
    """A review that stores something all the time; how often it has."""
    over, stored, errors = threading.Event(), [0], list[Exception]()

    def hammer() -> None:
        try:
            with open_reviews(run) as found:
                while not over.is_set():
                    found.save("Ann", f"r-{stored[0] % 50}", lambda review: Review({"output": "ok"}))
                    found.give("Ann", lambda given: f"r-{stored[0]}" if stored[0] < 50 else None)
                    stored[0] += 1
                    over.wait(0.005)  # without any pause, the lock of SQLite is hardly ever free for others
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        yield stored
    finally:
        over.set()
        thread.join()
    assert not errors


def test_a_run_works_while_it_is_reviewed(typed: Typed, run: Path, project: Path) -> None:
    """Two processes write to the journal; neither fails, no row is lost, and `verify` finds it whole."""
    with hammering(run) as stored:
        process = children.start(project, *RUN, "target=30", "run_dir=run")
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        status, out, _ = typed("verify", "run")  # while it is reviewed
        assert status == 0, out
    assert stored[0] > 50
    assert len(reviews(run)) == 50
    status, out, _ = typed("verify", "run")
    assert status == 0, out
    with opened(run) as found:
        assert len(list(found.records("instructions"))) >= 30
        assert found.journal.meta("reviewing/Ann") == [f"r-{number}" for number in range(50)]


def test_reviews_outlive_a_repair_and_go_to_a_replay(typed: Typed, run: Path, project: Path) -> None:
    """A repaired journal has them; a replay has those of the records that are the same there."""
    with opened(run) as found:
        ids = [record.id for record in found.records("instances")]
    reviewed(run, *ids)
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        db.execute("UPDATE record SET reason = 'x' WHERE id = ?", (ids[0],))
        db.commit()
    assert typed(*RUN, "target=5", "run_dir=run", "repair=true")[0] == 0
    assert set(reviews(run)) == {f"Ann/{id}" for id in ids}
    assert typed("replay", "run", "run_dir=same")[0] == 0
    assert reviews(project / "same") == reviews(run)
    typed("replay", "run", "filters.instructions.rouge_l.threshold=0.3", "run_dir=stricter")
    with opened(project / "stricter") as found:
        left = {record.id for record in found.records("instances")}
    assert set(reviews(project / "stricter")) == {f"Ann/{id}" for id in left} < {f"Ann/{id}" for id in ids}


def test_nothing_is_stored_in_a_journal_that_was_replaced(typed: Typed, run: Path) -> None:
    """A run that was set aside or repaired meanwhile: the review says so instead of writing for nobody."""
    with open_reviews(run) as found:
        run.rename(run.with_name("aside"))
        shutil.copytree(run.with_name("aside"), run)
        with pytest.raises(RunFolderError, match="was replaced since it was opened"):
            found.save("Ann", "r-1", lambda review: Review({"output": "ok"}))
    assert reviews(run) == {}
