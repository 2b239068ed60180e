"""A run that works on local disk and hands its files over; and which disks are local."""

from __future__ import annotations

import json
import shutil
import socket
import time
from hashlib import blake2b
from pathlib import Path

import pytest
from conftest import Typed
from killing import data, start, stored

from selfinstruct.project.disks import network_file_system

PAPER = ("recipe=paper", "model=scripted", "cache=off", "target=12")


def names(folder: Path) -> set[str]:
    """The files and folders below, but the lock, which is of no use to others."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {"run.lock"}


def left(scratch: Path) -> list[Path]:
    """What is left on the local disk."""
    return [path for path in scratch.rglob("*") if path.is_file()] if scratch.exists() else []


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a run that was killed on its scratch folder."""
    project = tmp_path_factory.mktemp("killed")
    slow = (*PAPER, "scratch=local", "model.options.delay=0.3", "run_dir=shared/run")
    process = start(project, *slow)
    while not (places := list(project.glob("local/run-*"))) or len(stored(places[0])) < 6:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    return project


@pytest.fixture
def moved(killed: Path, project: Path) -> Path:
    """A copy of it, with its note saying where the copy is."""
    for name in ("local", "shared"):
        shutil.copytree(killed / name, project / name)
    note = project / "shared/run/elsewhere.json"
    facts = json.loads(note.read_text())
    (here,) = (project / "local").iterdir()
    digest = blake2b(
        str(project / "shared/run").encode(), digest_size=6
    ).hexdigest()  # the name follows from it
    facts["path"] = str(here.rename(here.with_name(f"run-{digest}")))
    note.write_text(json.dumps(facts))
    return project


def test_with_scratch_a_run_leaves_the_same_files(typed: Typed, project: Path) -> None:
    """In the run folder, and none on the local disk; a finished run started again, or grown, does too."""
    assert typed(*PAPER, "run_dir=plain")[0] == 0
    for _ in range(2):
        status, _, err = typed(*PAPER, "run_dir=shared/run", "scratch=local")
        assert status == 0, err
        assert data(project / "shared/run") == data(project / "plain")
        assert names(project / "shared/run") == names(project / "plain")
        assert not left(project / "local")
    for name, keys in (("plain", ()), ("shared/run", ("scratch=local",))):
        assert typed(*PAPER, "target=20", f"run_dir={name}", *keys)[0] == 0
    assert data(project / "shared/run") == data(project / "plain")
    assert typed(*PAPER, "target=20", "run_dir=shared/run")[0] == 0, "its journal came too"


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_there(typed: Typed, moved: Path) -> None:
    """The run folder says where the run is; the same command goes on there and hands over the same bytes."""
    note = json.loads((moved / "shared/run/elsewhere.json").read_text())
    assert note["host"] == socket.gethostname()
    assert names(moved / "shared/run") == {"elsewhere.json"}
    before = stored(Path(note["path"]))
    assert len(before) >= 6
    status, out, _ = typed("check", *PAPER, "run_dir=shared/run", "scratch=local")
    assert status == 0
    assert f"at work in {note['path']} on {note['host']}" in out
    status, _, err = typed(*PAPER, "run_dir=shared/run", "scratch=local")
    assert status == 0, err
    now = stored(moved / "shared/run")
    assert {key: now[key] for key in before} == before, "nothing was asked again"
    assert typed(*PAPER, "run_dir=plain")[0] == 0
    assert data(moved / "shared/run") == data(moved / "plain")
    assert names(moved / "shared/run") == names(moved / "plain")
    assert not left(moved / "local")


@pytest.mark.slow
def test_the_run_of_another_machine_is_refused(typed: Typed, moved: Path) -> None:
    """What it received is out of reach; the message says where it is and what to do; nothing is changed."""
    path = moved / "shared/run/elsewhere.json"
    note = {"host": "node17", "path": "/scratch/run-0123"}
    path.write_text(json.dumps(note))
    for scratch in ("local", "another"):
        status, out, err = typed(*PAPER, "run_dir=shared/run", f"scratch={scratch}")
        assert (status, out) == (1, "")
        assert "/scratch/run-0123 on node17" in err
        assert "Go on with it there" in err
        assert "fresh=true" in err
        assert "Traceback" not in err
    assert json.loads(path.read_text()) == note
    assert left(moved / "local"), "nothing was thrown away"
    status, _, err = typed(*PAPER, "run_dir=shared/run", "scratch=local", "fresh=true")
    assert status == 0, err
    assert json.loads((moved / "shared/run.before-1/elsewhere.json").read_text()) == note
    assert typed(*PAPER, "run_dir=plain")[0] == 0
    assert data(moved / "shared/run") == data(moved / "plain")


@pytest.mark.slow
def test_fresh_sets_aside_what_was_left_on_the_local_disk(typed: Typed, moved: Path) -> None:
    """The old run is brought home first, whole, and a new one starts."""
    before = stored(next((moved / "local").iterdir()))
    status, _, err = typed(*PAPER, "run_dir=shared/run", "scratch=local", "fresh=true")
    assert status == 0, err
    assert stored(moved / "shared/run.before-1") == before
    assert not (moved / "shared/run.before-1/elsewhere.json").exists()
    assert not left(moved / "local")
    assert len(stored(moved / "shared/run")) > len(before)


@pytest.mark.slow
def test_files_that_cannot_be_handed_over_stay_where_they_are(typed: Typed, moved: Path) -> None:
    """The message says where; once what stands in the way is gone, the same command hands them over."""
    (moved / "shared/run/run.sqlite").mkdir()  # a folder where a file must be
    status, _, err = typed(*PAPER, "run_dir=shared/run", "scratch=local")
    assert status == 1
    (here,) = (moved / "local").iterdir()
    assert f"They are in {here} on {socket.gethostname()}" in err
    assert "run the same command" in err
    assert "Traceback" not in err
    assert (here / "summary.json").is_file()
    (moved / "shared/run/run.sqlite").rmdir()
    status, _, err = typed(*PAPER, "run_dir=shared/run", "scratch=local")
    assert status == 0, err
    assert typed(*PAPER, "run_dir=plain")[0] == 0
    assert data(moved / "shared/run") == data(moved / "plain")
    assert not left(moved / "local")


def test_a_scratch_that_is_no_folder(typed: Typed, project: Path) -> None:
    """Is said before anything is asked."""
    (project / "local").write_text("a file")
    status, out, err = typed(*PAPER, "run_dir=run", "scratch=local")
    assert (status, out) == (1, "")
    assert "local" in err
    assert "Traceback" not in err


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/me/fast xfs rw 0 0
server:/deep /home/me/fast/deep nfs rw 0 0
//nas/share /mnt/two\\040words cifs rw 0 0
me@host: /mnt/ssh fuse.sshfs rw 0 0
server:/over /mnt/over nfs rw 0 0
tmpfs /mnt/over tmpfs rw 0 0
/dev/sdc1 /mnt/under ext4 rw 0 0
server:/under /mnt/under lustre rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/runs", ""),
        ("/home/me/runs/paper", "nfs4"),
        ("/home", "nfs4"),
        ("/homely/runs", ""),
        ("/home/me/fast/run", ""),
        ("/home/me/fast/deep/run", "nfs"),
        ("/home/me/faster/run", "nfs4"),
        ("/mnt/two words/run", "cifs"),
        ("/mnt/two/run", ""),
        ("/mnt/ssh/run", "fuse.sshfs"),
        ("/mnt/over/run", ""),
        ("/mnt/under/run", "lustre"),
    ],
)
def test_which_disks_are_local(tmp_path: Path, path: str, kind: str) -> None:
    """The mount nearest to a path decides, of two on one place the later; a name may have spaces."""
    (tmp_path / "mounts").write_text(MOUNTS)
    assert network_file_system(Path(path), tmp_path / "mounts") == kind


def test_where_nobody_tells_of_mounts_a_disk_counts_as_local(tmp_path: Path) -> None:
    """As on systems other than Linux; there `scratch` says it."""
    assert network_file_system(tmp_path, tmp_path / "nothing") == ""


def test_a_run_folder_on_a_network_file_system_finds_a_local_disk_itself(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mounts that say so are enough: the journal is made elsewhere, and comes home at the end."""
    (project / "mounts").write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {project / 'net'} nfs4 rw 0 0\n")
    monkeypatch.setenv("TMPDIR", str(project / "tmp"))
    (project / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    found: list[str] = []

    def asked(path: Path) -> str:
        kind = network_file_system(path, project / "mounts")
        found.append(kind)
        return kind

    monkeypatch.setattr("selfinstruct.run_folder.handover.network_file_system", asked)
    status, _, err = typed(*PAPER, "run_dir=net/run")
    assert status == 0, err
    assert found == ["nfs4"]
    assert [path.name.startswith("selfinstruct-") for path in (project / "tmp").iterdir()] == [True]
    assert not left(project / "tmp")
    assert (project / "net/run/run.sqlite").is_file()
    assert len(data(project / "net/run")) == 7


def test_a_strangers_note_moves_nothing(typed: Typed, project: Path) -> None:
    """A note can come with somebody else's files: what it names is left alone, whatever is asked for."""
    private = project / "private"
    private.mkdir()
    (private / "key.txt").write_text("mine")
    run = project / "run"
    run.mkdir()
    note = {"host": socket.gethostname(), "path": str(private)}
    (run / "elsewhere.json").write_text(json.dumps(note))
    for extra in ((), ("fresh=true",), ("scratch=local",)):
        status, _, err = typed(*PAPER, "run_dir=run", *extra)
        assert status == 1
        assert "which no run of this folder has made" in err
        assert [path.name for path in private.iterdir()] == ["key.txt"]


@pytest.mark.parametrize("text", ["[]", "x", "{}", "null", '"a"', "[" * 100_000])
def test_a_note_that_is_none_is_named(typed: Typed, project: Path, text: str) -> None:
    """No traceback, and what to do."""
    (project / "run").mkdir()
    (project / "run/elsewhere.json").write_text(text)
    for verb in ("check", "run"):
        status, _, err = typed(verb, *PAPER, "run_dir=run")
        assert status == 1
        assert "run/elsewhere.json cannot be read as the note of a run; delete it to go on" in err
