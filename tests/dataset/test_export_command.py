"""`selfinstruct export`: the dataset of a run again, without its recipe, and with what reviewers said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed, lines, seed_file
from filelock import FileLock
from results import refused, summary

from selfinstruct.api import execute
from selfinstruct.errors import BudgetReached
from selfinstruct.journal.store import Journal
from selfinstruct.monitor.progress import Progress
from selfinstruct.recipe.compose import compose


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied; its recipe and seeds are in another folder."""
    project = tmp_path_factory.mktemp("project")
    seed_file(project / "mine.jsonl")
    keys = ["recipe=paper", "model=scripted", "seeds.path=mine.jsonl", "target=4", "export=[alpaca,chat]"]
    composed = compose(keys, project)
    execute(composed.recipe(), project / "run", Progress(quiet=True), composed.saved)
    return project / "run"


@pytest.fixture
def run(made: Path, project: Path) -> Path:
    """A copy of that run in a user's folder, which has neither the recipe nor the seeds."""
    return Path(shutil.copytree(made, project / "x"))


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The contents of the files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and "sqlite-" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def whole(typed: Typed) -> bool:
    """Whether `verify` finds the run whole."""
    status, out, _ = typed("verify", "x")
    return status == 0 and "not ok" not in out


def test_it_replaces_the_dataset(run: Path, typed: Typed) -> None:
    """What is no longer asked for is set aside; the page, rejected.jsonl and the digests are renewed."""
    before = (run / "dataset/alpaca.jsonl").read_bytes()
    status, out, err = typed("export", "x", "export=[chat]", "export.chat.format=parquet", "license=cc0-1.0")
    assert status == 0, err
    assert "chat.parquet (" in out and "written to x/dataset" in out
    assert set(bytes_of(run / "dataset")) == {"README.md", "chat.parquet"}
    assert (run / "set-aside/alpaca.jsonl").read_bytes() == before
    assert "license: cc0-1.0" in (run / "dataset/README.md").read_text(encoding="utf-8")
    assert "dataset/chat.parquet" in summary(run)["files"]
    assert whole(typed)


def test_the_same_bytes_as_the_run_writes(run: Path, typed: Typed) -> None:
    """Without other keys, the export writes what the end of the run wrote, the page and rejections too."""
    before = bytes_of(run)
    (run / "dataset/chat.jsonl").unlink()
    assert typed("export", "x")[0] == 0
    after = bytes_of(run)
    changed = {name for name in before if before[name] != after[name]} - {"run.sqlite"}
    assert changed == set()
    assert whole(typed)


def test_files_of_the_users_are_kept(run: Path, typed: Typed) -> None:
    """A page that the user has changed stays, and so does a file that no run has written."""
    (run / "dataset/README.md").write_text("mine\n", encoding="utf-8")
    (run / "dataset/notes.txt").write_text("mine\n", encoding="utf-8")
    assert typed("export", "x", "export=chat", "export.chat.system=Hello.")[0] == 0
    found = bytes_of(run / "dataset")
    assert found["README.md"] == found["notes.txt"] == b"mine\n"
    assert set(found) == {"README.md", "README.new.md", "notes.txt", "chat.jsonl"}
    assert b"Hello." in found["chat.jsonl"]


def test_to_another_folder(run: Path, typed: Typed, project: Path) -> None:
    """The run is not touched, also while another process uses it; a folder with files is refused."""
    before = bytes_of(run)
    with FileLock(run / "run.lock"):
        refused(typed("export", "x"), "another process uses this run", "to=DIR")
        status, out, err = typed("export", "x", "export=alpaca", "to=new")
    assert status == 0, err
    assert "the run is running, so this is a part of it" in out
    assert bytes_of(run) == before
    assert set(bytes_of(project / "new")) == {"README.md", "alpaca.jsonl"}
    assert bytes_of(project / "new")["alpaca.jsonl"] == before["dataset/alpaca.jsonl"]
    refused(typed("export", "x", "export=alpaca", "to=new"), "is not an empty folder")


def test_a_run_that_did_not_end(typed: Typed, project: Path) -> None:
    """It exports what there is, and says that it is a part."""
    keys = ["recipe=paper", "model=scripted", "target=9", "budget.requests=12", "run_dir=x"]
    composed = compose(keys, project)
    with pytest.raises(BudgetReached):
        execute(composed.recipe(), project / "x", Progress(quiet=True), composed.saved)
    of_run = "export.alpaca.of=instructions"
    status, out, err = typed("export", "x", "export=alpaca", of_run, "export.alpaca.output=instruction")
    assert status == 0, err
    assert "the run is unfinished" in out
    assert lines(project / "x/dataset/alpaca.jsonl")
    assert "was not finished" in (project / "x/dataset/README.md").read_text(encoding="utf-8")
    assert whole(typed)


class TestReviews:
    def review(self, run: Path, reviewer: str, id: str, *values: str, **edit: str) -> None:
        """Store the answers of a reviewer to the three questions, as the review page does."""
        journal = Journal(run / "run.sqlite")
        answers = dict(zip(("instruction", "input", "output"), values, strict=True))
        journal.set_meta(f"review/{reviewer}/{id}", {"answers": answers, "edit": edit or None, "note": ""})
        journal.close()

    def test_before_there_is_a_review(self, run: Path, typed: Typed) -> None:
        """There would be no row, so the message names the command that reviews."""
        before = (run / "dataset/alpaca.jsonl").read_bytes()
        status, _, err = typed("export", "x", "export=alpaca", "export.alpaca.where={review: ok}")
        assert status == 1
        assert "no record of x has a review yet; to judge some: selfinstruct review x" in err
        assert (run / "dataset/alpaca.jsonl").read_bytes() == before

    def test_only_those_that_reviewers_found_right(self, run: Path, typed: Typed) -> None:
        """Most answers to each question are the good one, a tie is not; edited texts replace the model's."""
        ids = [row["id"] for row in lines(run / "instances.jsonl")]
        self.review(run, "ann", ids[0], "ok", "ok", "ok")
        self.review(run, "ann", ids[1], "ok", "ok", "wrong")
        self.review(run, "ben", ids[0], "ok", "ok", "ok", output="Better.")
        self.review(run, "cleo", ids[0], "ok", "ok", "wrong")
        self.review(run, "ben", ids[2], "ok", "ok", "ok")
        self.review(run, "ann", ids[2], "ok", "wrong", "ok")
        keys = ("export.alpaca.where={review: ok}", "export.alpaca.provenance=true")
        status, out, err = typed("export", "x", "export=alpaca", *keys)
        assert status == 0, err
        (row,) = lines(run / "dataset/alpaca.jsonl")
        assert (row["id"], row["output"], row["edited"]) == (ids[0], "Better.", True)
        assert f"left out: {len(ids) - 1:,} by where" in out
        reasons = {
            one["id"]: one["reason"] for one in lines(run / "rejected.jsonl") if one["check"] == "where"
        }
        assert "review is not ok" in reasons[ids[1]] and "review is not ok" in reasons[ids[2]]
        assert "it has no review" in reasons[ids[3]]
        page = (run / "dataset/README.md").read_text(encoding="utf-8")
        assert "People have reviewed 3 of the records; 1 of these were right" in page
        assert "Better." not in (run / "instances.jsonl").read_text(encoding="utf-8")  # the model's own text
        assert whole(typed)

    def test_an_edit_moves_no_record(self, run: Path, typed: Typed) -> None:
        """A record stays in its split when a reviewer changes its instruction."""
        keys = ["export=alpaca", "export.alpaca.of=instructions", "export.alpaca.output=instruction"]
        keys += ["export.alpaca.split={train: 0.5, test: 0.5}", "export.alpaca.columns=[id]"]

        def splits() -> dict[str, str]:
            status, _, err = typed("export", "x", *keys)
            assert status == 0, err
            files = (run / "dataset").glob("alpaca-*.jsonl")
            return {row["id"]: path.stem for path in files for row in lines(path)}

        before = splits()
        for id in before:
            self.review(run, "ann", id, "ok", "ok", "ok", instruction=f"Another one, {id}.")
        assert set(before.values()) == {"alpaca-train", "alpaca-test"}
        assert splits() == before

    def test_a_verdict_that_nobody_gives(self, run: Path, typed: Typed) -> None:
        """A slip in the condition is a fault with the values that there are."""
        status, _, err = typed("export", "x", "export=alpaca", "export.alpaca.where={review: good}")
        assert status == 1
        assert "there are: ok, not ok" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "takes the folder of one run"),
        (("none",), "does not exist"),
        (("x", "export=[chatt]"), "chatt"),
        (("x", "export.chat.split={train: 0.5}"), "add up to 0.5"),
        (("x", "export.chat.columns=[idd]"), "did you mean 'id'?"),
        (("x", "export.chat.of=nothing"), "unknown stage 'nothing'"),
        (("x", "export.chat.user='{{ instrution }}'"), "did you mean 'instruction'?"),
        (("x", "target=5"), "target cannot be changed here"),
        (("x", "licence=mit"), "did you mean 'license'?"),
        (("x", "export.chat.fromat=csv"), "did you mean 'format'?"),
        (("x", "export=none"), "choose one"),
        (("x", "~export"), "choose one"),
        (("x", "export.chat.file=dataset_info.json"), "LLaMA-Factory"),
        (("x", f"export.chat.file={'a' * 245}.jsonl"), "longer than 200 bytes"),
        (("x", "export=chat", "to=x/run.sqlite/new"), "cannot be written"),
    ],
)
def test_faults(run: Path, typed: Typed, words: tuple[str, ...], says: str) -> None:
    """Each is reported before anything is written."""
    before = bytes_of(run)
    refused(typed("export", *words), says)
    assert bytes_of(run) == before


@pytest.mark.parametrize("schema", [[1], {"instances": 5}, {"instances": {"properties": 5}}])
def test_a_config_that_somebody_has_changed(run: Path, typed: Typed, schema: Any) -> None:
    """It is refused with its name."""
    path = run / ".hydra/config.yaml"
    keys = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**keys, "schema": schema}), encoding="utf-8")
    refused(typed("export", "x"), "config.yaml was changed")


class TestEarlierVersions:
    def test_the_name_of_the_file(self, run: Path, typed: Typed) -> None:
        """The saved config names it with the ending of JSON Lines; another format has its own."""
        config = run / ".hydra/config.yaml"
        keys = yaml.safe_load(config.read_text(encoding="utf-8"))
        keys["export"] = {"alpaca": {"file": "mine.jsonl", "columns": []}}
        config.write_text(yaml.safe_dump(keys), encoding="utf-8")
        status, out, err = typed("export", "x", "export.alpaca.format=csv")
        assert status == 0, out + err
        assert set(bytes_of(run / "dataset")) == {"README.md", "mine.csv"}

    def test_the_seed_tasks(self, run: Path, typed: Typed, project: Path) -> None:
        """A journal without them: their file is read again, if it is there and as it was."""
        journal = Journal(run / "run.sqlite")
        journal.set_meta("seed_tasks", None)
        journal.close()
        export = ("export", "x", "export=chat", "export.chat.seed_tasks=true")
        refused(typed(*export), "export.chat needs the seed tasks")
        seed_file(project / "mine.jsonl", 11)
        refused(typed(*export), "gone or has changed")
        seed_file(project / "mine.jsonl")
        assert typed(*export)[0] == 0
        assert "number 11 about" in (run / "dataset/chat.jsonl").read_text(encoding="utf-8")


def test_help(typed: Typed) -> None:
    """Both verbs explain themselves."""
    for verb in ("export", "push"):
        status, out, _ = typed(verb, "--help")
        assert status == 0
        assert out.startswith(f"selfinstruct {verb}: ")
    assert json.dumps("export RUN")[1:-1] in typed("--help")[1]
