"""`selfinstruct verify`: what it says of a folder, and that it changes nothing there."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Typed
from killing import data, start, stored

from selfinstruct.cli.main import command
from selfinstruct.journal.check import FORMAT
from selfinstruct.journal.repair import summed_up

PAPER = ("recipe=paper", "model=scripted", "cache=off", "target=5")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, for all that look at copies of it."""
    project = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert command([*PAPER, "run_dir=run"]) == 0
    return project / "run"


@pytest.fixture
def run(finished: Path, project: Path) -> Path:
    """A copy of it in the user's folder."""
    shutil.copytree(finished, project / "run")
    return project / "run"


def everything(folder: Path) -> dict[str, bytes]:
    """Each file with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def remedy_in(out: str) -> str:
    """What to type after the program's name."""
    return out.partition("to repair it: selfinstruct ")[2].splitlines()[0]


def test_a_whole_run_is_said_to_be_whole_line_by_line(typed: Typed, run: Path) -> None:
    """Journal, references and each file, status 0; no file is changed, made or removed, twice."""
    before = everything(run)
    for _ in range(2):
        status, out, err = typed("verify", "run")
        assert status == 0, out + err
        assert everything(run) == before
    told = out.splitlines()
    assert told[-1].endswith("run: whole")
    assert all(line.startswith("ok ") for line in told[:-2])
    names = {line.split()[1].rstrip(":") for line in told[:-2]}
    left = {name for name in before if name not in ("run.lock",)}
    assert left <= names, "each file has a line"


def test_what_is_not_whole_is_named_with_the_command_that_mends_it(typed: Typed, run: Path) -> None:
    """Files are written anew by the command of the run, typed as it is said; a README of one's own stays."""
    clean = data(run)
    change(run / "instances.jsonl")
    (run / "rejected.jsonl").unlink()
    change(run / "dataset/alpaca.jsonl")
    (run / "dataset/README.md").write_text("What I made of it")
    (run / "dataset/mine.txt").write_text("notes")
    before = everything(run)
    status, out, _ = typed("verify", "run")
    assert status == 1
    assert everything(run) == before
    for name in ("instances.jsonl", "dataset/alpaca.jsonl"):
        assert f"not ok   {name} is not as it was written" in out
    assert "not ok   rejected.jsonl is missing" in out
    assert "changed  dataset/README.md was changed by you, and is kept" in out
    assert "changed  dataset/mine.txt is yours" in out
    remedy = next(
        line.partition("to repair it: selfinstruct ")[2] for line in out.splitlines() if "to repair" in line
    )
    assert typed(*remedy.split())[0] == 0
    assert data(run) == clean
    status, out, _ = typed("verify", "run")
    assert status == 0, out
    assert (run / "dataset/README.md").read_text() == "What I made of it"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (
            "UPDATE reply SET text = 'x' WHERE stage = 'instructions'",
            "reply 1 of instructions is not as it was",
        ),
        ("DELETE FROM record WHERE stage = 'instances'", "records of instances: 10 missing"),
        ("UPDATE record SET data = '{' WHERE id = 'instances-000001-0'", "record instances-000001-0"),
    ],
)
def test_a_damaged_journal_is_named_and_repaired_as_it_says(
    typed: Typed, run: Path, harm: str, words: str
) -> None:
    """What is damaged, what it takes to have it again, and the command; then all is whole."""
    clean = data(run)
    with closing(sqlite3.connect(run / "run.sqlite")) as db, db:
        assert db.execute(harm).rowcount
    before = everything(run)
    status, out, _ = typed("verify", "run")
    assert status == 1
    assert everything(run) == before
    assert f"not ok   run.sqlite: {words}" in out
    assert "replies are whole and are kept" in out
    remedy = next(
        line.partition("to repair it: selfinstruct ")[2] for line in out.splitlines() if "to repair" in line
    )
    assert "repair=true" in remedy
    status, _, err = typed(*remedy.split())
    assert status == 0, err
    assert "run.damaged-1.sqlite" in err
    assert data(run) == clean
    assert typed("verify", "run")[0] == 0


def test_the_summary_and_the_order_of_things(typed: Typed, run: Path) -> None:
    """A changed, cut or missing summary, an older journal put back, a broken log of events."""
    original, journal = (run / "summary.json").read_text(), (run / "run.sqlite").read_bytes()
    for text, words in (
        (original.replace('"finished"', '"missed"', 1), "summary.json is not as it was written"),
        (original[:200], "summary.json cannot be read"),
        ("[]", "summary.json cannot be read"),
        (None, "summary.json is missing"),
    ):
        (run / "summary.json").unlink(missing_ok=True)
        if text is not None:
            (run / "summary.json").write_text(text)
        status, out, _ = typed("verify", "run")
        assert status == 1
        assert words in out
    (run / "summary.json").write_text(original)
    assert typed(*PAPER, "run_dir=run", "target=9")[0] == 0
    newer = (run / "run.sqlite").read_bytes()
    (run / "run.sqlite").write_bytes(journal)
    status, out, _ = typed("verify", "run")
    assert status == 1
    assert "summary.json" in out
    (run / "run.sqlite").write_bytes(newer)
    with (run / "events.jsonl").open("a") as events:
        events.write('{"event": "run"}\n')
    assert typed("verify", "run")[0] == 0, "events may be added"
    change(run / "events.jsonl")
    status, out, _ = typed("verify", "run")
    assert status == 1
    assert "events.jsonl is not as it was written (it is a log" in out


def test_references_that_lead_nowhere_are_named(typed: Typed, run: Path) -> None:
    """Written with right checksums, as a fault of the program would: the record, and what is missing."""
    from selfinstruct.journal.store import Journal

    journal = Journal(run / "run.sqlite")
    orphan = next(journal.records("instances"))
    orphan.parent = "instructions-000099-9"
    journal.take("instances", orphan.request, [orphan])
    journal.close()
    status, out, _ = typed("verify", "run")
    assert status == 1
    assert f"not ok   {orphan.id}: its parent is missing" in out


def test_a_journal_of_before_is_read_and_left_as_it_is(typed: Typed, run: Path) -> None:
    """One without checksums, of a run without digests: said, and no fault; a text that is no JSON is one."""
    with closing(sqlite3.connect(run / "run.sqlite", isolation_level=None)) as db:
        db.execute("DROP TABLE tally")
        for table in ("prompt_cache", "thinking", "turns"):  # since formats 5 and 6
            db.execute(f"DROP TABLE {table}")
        for table in ("meta", "request", "reply", "record", "vector"):
            db.execute(f"ALTER TABLE {table} DROP COLUMN sum")
        db.execute("UPDATE meta SET value = '3' WHERE key = 'format'")
        db.execute("DELETE FROM meta WHERE key = 'summary'")
    summary = json.loads((run / "summary.json").read_text())
    del summary["files"]
    (run / "summary.json").write_text(json.dumps(summary))
    (run / "run.lock").unlink()
    before = everything(run)
    status, out, err = typed("check", *PAPER, "run_dir=run")
    assert status == 0, err
    assert "continues the run in it: 5 instructions" in out
    status, out, _ = typed("verify", "run")
    assert status == 0, out
    assert "it has no checksums yet" in out
    assert "no digests" in out
    assert everything(run) == before
    clean = data(run)
    assert typed(*PAPER, "run_dir=run")[0] == 0
    assert data(run) == clean
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        assert db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() == (str(FORMAT),)
    status, out, _ = typed("verify", "run")
    assert status == 0, out
    assert "no checksums" not in out


@pytest.mark.slow
def test_a_run_that_was_killed_and_one_at_work(typed: Typed, project: Path) -> None:
    """Both are whole as far as they go; the write-ahead log of a killed run stays as it is."""
    process = start(project, *PAPER[:3], "target=200", "model.options.delay=0.4", "run_dir=run")
    while len(stored(project / "run")) < 5:
        assert process.poll() is None
        time.sleep(0.05)
    status, out, _ = typed("verify", "run")
    assert status == 0, out
    assert "a process uses this run" in out
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = everything(project / "run")
    assert before["run.sqlite-wal"]
    status, out, _ = typed("verify", "run")
    assert status == 0, out
    assert "the run has not written its files yet" in out
    assert everything(project / "run") == before


def test_a_sweep_is_looked_at_job_by_job(typed: Typed, project: Path) -> None:
    """The damaged file of one job, and the command that writes it anew although the job is finished."""
    assert typed("-m", *PAPER[:3], "target=2,3", "sweep_dir=s")[0] == 0
    assert typed("verify", "s")[0] == 0
    change(project / "s/1/instances.jsonl")
    status, out, _ = typed("verify", "s")
    assert status == 1
    jobs = out.split("job 1")
    assert "not ok" not in jobs[0]
    assert "instances.jsonl is not as it was written" in jobs[1]
    remedy = remedy_in(jobs[1])
    assert typed(*remedy.split())[0] == 0
    assert typed("verify", "s")[0] == 0


def test_what_is_no_run_is_refused_and_help_is_there(typed: Typed, project: Path) -> None:
    """A folder of other things, none at all, two; each with what to type."""
    (project / "mine").mkdir()
    for arguments in (["mine"], ["nothing"], [], ["mine", "mine"], ["run_dir=mine"]):
        status, out, err = typed("verify", *arguments)
        assert status == 1
        assert "verify" in err
        assert "Traceback" not in out + err
    status, out, _ = typed("verify", "--help")
    assert status == 0
    assert "selfinstruct verify RUN" in out
    assert "verify" in typed("--help")[1]
    status, _, err = typed("recipe=paper", "model=scripted", "salvage=true")
    assert status == 1
    assert "repair=true" in err


def test_files_of_ones_own_outlast_a_repair_that_has_no_reply_left(typed: Typed, run: Path) -> None:
    """The edited export is set aside, and the README that nobody has touched is not taken for the user's."""
    clean = data(run)
    chat = run / "dataset/chat.jsonl"
    chat.write_text("edited by hand\n")
    with (run / "run.sqlite").open("r+b") as file:
        file.truncate(30)
    status, _, err = typed(*PAPER, "run_dir=run", "repair=true")
    assert status == 0, err
    assert data(run) == clean
    assert (run / "set-aside/chat.jsonl").read_text() == "edited by hand\n"
    assert not (run / "dataset/README.new.md").exists()


def test_a_lost_request_is_composed_again_by_the_repair(typed: Typed, run: Path) -> None:
    """Its reply is kept; afterwards the run is whole, and the request is the one that was sent."""
    clean, query = data(run), "SELECT * FROM request ORDER BY 1, 2"
    with closing(sqlite3.connect(run / "run.sqlite")) as db, db:
        before = db.execute(query).fetchall()
        db.execute(
            "DELETE FROM request WHERE (stage, number) IN (VALUES ('instructions', 1), ('instances', 2))"
        )
    status, _, err = typed(*PAPER, "run_dir=run", "repair=true")
    assert status == 0, err
    assert data(run) == clean
    status, out, _ = typed("verify", "run")
    assert status == 0, out
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        after = db.execute(query).fetchall()
    assert [row[:8] for row in after] == [row[:8] for row in before]


def test_where_all_is_lost_the_summary_says_how_much(typed: Typed, run: Path) -> None:
    """How many replies are asked again, by the run and by verify; without a summary, that all are."""
    stages = json.loads((run / "summary.json").read_text())["stages"]
    stages["instructions"]["cost_usd"] = 0.25
    replies = sum(figures["replies"] for figures in stages.values())
    with (run / "run.sqlite").open("r+b") as file:
        file.truncate(30)
    (run / "summary.json").write_text(json.dumps({"stages": stages}))
    for arguments in (["verify", "run"], [*PAPER, "run_dir=run"]):
        status, out, err = typed(*arguments)
        assert status == 1
        assert f"{replies:,} must be asked again (about $0.2500)" in out + err
    (run / "summary.json").unlink()
    assert "All replies must be asked again" in typed(*PAPER, "run_dir=run")[2]


def test_a_summary_of_any_shape_is_damage_and_is_written_anew(typed: Typed, run: Path) -> None:
    """Named by verify; neither a run nor a repair reads more into it than there is."""
    clean, summary = data(run), (run / "summary.json").read_bytes()
    odd = ["[]", "null", "5", '{"stages": []}', '{"stages": {"a": 5}}', "[" * 200_000]
    odd += ['{"stages": {"a": {"replies": "many"}}, "files": 5}', '{"stages": {}, "files": {"dataset/a": 5}}']
    for text in odd:
        (run / "summary.json").write_text(text)
        assert summed_up(run) == (0, 0.0)
        status, out, _ = typed("verify", "run")
        assert status == 1
        assert "not ok   summary.json" in out
    (run / "run.sqlite").write_bytes((run / "run.sqlite").read_bytes()[:30])
    repaired = typed(*PAPER, "run_dir=run", "repair=true")
    assert repaired[0] == 0, repaired[2]
    assert data(run) == clean
    assert json.loads((run / "summary.json").read_text())["state"] == json.loads(summary)["state"]


def test_a_run_without_its_journal_is_set_aside_as_verify_says(typed: Typed, run: Path) -> None:
    """What is wrong is said; fresh=true keeps the folder under another name, and the same data is made."""
    clean = data(run)
    (run / "run.sqlite").unlink()
    before = everything(run)
    status, out, _ = typed("verify", "run")
    assert status == 1
    assert "not ok   run.sqlite is missing" in out
    for verb in ([], ["check"]):
        status, _, err = typed(*verb, *PAPER, "run_dir=run")
        assert status == 1
        assert "journal is missing (run.sqlite); put it back, or set fresh=true" in err
    assert everything(run) == before
    remedy = out.partition("put it back, or selfinstruct ")[2].splitlines()[0]
    assert "run.before-1" in typed("check", *shlex.split(remedy))[1]
    status, _, err = typed(*shlex.split(remedy))
    assert status == 0, err
    assert data(run) == data(run.with_name("run.before-1")) == clean
    (run.parent / "mine").mkdir()
    (run.parent / "mine/summary.json").write_text("{}")
    status, _, err = typed(*PAPER, "run_dir=mine", "fresh=true")
    assert status == 1
    assert "has other files in it" in err


def test_settings_of_a_run_that_was_killed_while_it_grew_are_not_damaged(typed: Typed, run: Path) -> None:
    """What is in .hydra/ is written at the start, and the summary at the end: the journal knows the newer."""
    from selfinstruct.journal.store import Journal
    from selfinstruct.run_folder.folder import RunFolder

    with closing(Journal(run / "run.sqlite")) as journal:
        RunFolder(run, journal, resumed=True).keep_settings({"config.yaml": "target: 9\n"})
    status, out, _ = typed("verify", "run")
    assert status == 0, out
    (run / ".hydra/config.yaml").write_text("target: 8\n")
    assert "not ok   .hydra/config.yaml is not as it was written" in typed("verify", "run")[1]


def test_no_command_is_made_of_a_damaged_note_of_it(typed: Typed, run: Path) -> None:
    """The user is asked for the command, since nobody knows what the file says now."""
    (run / ".hydra/overrides.yaml").write_text("- recipe=paper\n- model=anthropic\n")
    status, out, _ = typed("verify", "run")
    assert status == 1
    assert "to repair it: type the command that you started it with\n" in out
    (run / ".hydra/overrides.yaml").unlink()
    (run / "run.sqlite").write_bytes((run / "run.sqlite").read_bytes()[:30])
    _, out, _ = typed("verify", "run")
    assert "to repair it: type the command that you started it with, and repair=true\n" in out
    assert "anthropic" not in out


@pytest.mark.parametrize("name", ["my, run=(1)", '-it\'s [1] {2} "a"\\', "12", "-m=1"])
def test_the_remedy_can_be_typed_whatever_the_folder_is_called(typed: Typed, run: Path, name: str) -> None:
    """A word that is a folder is a folder, and what is said goes through the shell and Hydra to it."""
    folder = run.rename(run.with_name(name))
    (folder / "instances.jsonl").unlink()
    status, out, err = typed("verify", name)
    assert status == 1, err
    status, _, err = typed(*shlex.split(remedy_in(out)))
    assert status == 0, err
    assert typed("verify", name)[0] == 0
    assert sorted(path.name for path in folder.parent.glob("[!.]*")) == [name]


def test_a_name_with_a_line_break_forges_no_line(typed: Typed, run: Path) -> None:
    """Shown with the break written out."""
    (run / "dataset/a\nnot ok   run.sqlite is damaged").write_text("")
    status, out, _ = typed("verify", "run")
    assert status == 0
    assert r"changed  'dataset/a\nnot ok   run.sqlite is damaged' is yours" in out


def test_check_leaves_no_trace_in_a_run(typed: Typed, run: Path) -> None:
    """Neither in a whole one, nor in one that was killed, nor in a damaged one."""
    (run / "run.lock").unlink()
    before = everything(run)
    for words in ("continues the run in it: 5 instructions", "continues the run in it", "is damaged"):
        _, out, err = typed("check", *PAPER, "run_dir=run")
        assert words in out + err
        assert everything(run) == before
        log = run / "run.sqlite-wal"
        if log.exists():
            change(run / "run.sqlite")
        else:
            with closing(sqlite3.connect(run / "run.sqlite")) as db:
                db.execute("INSERT INTO meta VALUES ('x', '1', 1)")
                db.execute("DELETE FROM meta WHERE key = 'x'")
                db.commit()
                files = [run / "run.sqlite", log]
                contents = [file.read_bytes() for file in files]
            for file, content in zip(files, contents, strict=True):
                file.write_bytes(content)
        before = everything(run)


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
CRAFTED = {
    "views": "".join(
        f"DROP TABLE {table}; CREATE VIEW {table} AS {ENDLESS} SELECT {columns} FROM c ORDER BY x DESC;"
        for table, columns in {
            "reply": "'instructions' AS stage, x AS number, 'a' AS text, 1 AS taken, 1 AS sum",
            "request": "'instructions' AS stage, x AS number, 1 AS sum",
            "record": "x AS id, 1 AS sum",
            "tally": "x AS name, '' AS stage, 1 AS rows, 1 AS sums, 1 AS sum",
            "meta": "'format' AS key, 4 AS value, 1 AS sum",
        }.items()
    ),
    "trigger": f"CREATE TRIGGER t BEFORE INSERT ON meta BEGIN SELECT x FROM ({ENDLESS} SELECT x FROM c); END",
    "virtual table": "DROP TABLE vector; CREATE VIRTUAL TABLE vector USING fts5(key, stage)",
    "computed column": "ALTER TABLE reply ADD COLUMN more AS (hex(zeroblob(1000000000)))",
    "other table": "CREATE TABLE another (x)",
}


@pytest.mark.parametrize("harm", CRAFTED)
def test_a_crafted_journal_is_refused_before_anything_in_it_is_run(
    typed: Typed, run: Path, harm: str
) -> None:
    """What would never end is not begun, whatever the verb; a repair makes the same data of plain tables."""
    clean = data(run)
    with closing(sqlite3.connect(run / "run.sqlite", isolation_level=None)) as db:
        db.executescript(CRAFTED[harm])
    before = everything(run)
    for arguments in (["check", *PAPER, "run_dir=run"], ["verify", "run"], [*PAPER, "run_dir=run"]):
        status, out, err = typed(*arguments)
        assert status == 1
        assert "this program does not write" in out + err
        assert (run / "run.sqlite").read_bytes() == before["run.sqlite"]
    status, _, err = typed(*PAPER, "run_dir=run", "repair=true")
    assert status == 0, err
    assert data(run) == clean
    assert typed("verify", "run")[0] == 0
