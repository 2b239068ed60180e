"""A run folder is read without its recipe, after a run and where the files of the user are gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import Typed, lines
from tiny_recipe import write_tiny

from selfinstruct.errors import RunFolderError, UserError
from selfinstruct.recipe.again import sections
from selfinstruct.run_folder.opened import opened, run_of

RUN = ("recipe=paper", "model=scripted", "target=6", "run_dir=runs/x")


def test_a_run_is_read_after_its_recipe_and_seeds_are_gone(typed: Typed, project: Path) -> None:
    """The journal has the stages, the records with their labels, and the seed tasks shown."""
    assert typed(*RUN)[0] == 0
    elsewhere = project / "kept"
    shutil.move(project / "runs/x", elsewhere)
    with opened(elsewhere) as run:
        made = list(run.records("instances"))
        assert run.state == "finished"
        assert [record.id for record in made] == [row["id"] for row in lines(elsewhere / "instances.jsonl")]
        assert all("is_classification" in record.data for record in made)
        assert [stage.name for stage in run.outline.makers] == ["instructions", "instances"]
        shown = next(run.journal.requests("instructions")).examples
        assert shown and all(run.seed_tasks[id].data["instruction"] for id in shown)
        one = run.record(made[0].parent or "")
        assert one and made[0].id in [child.id for child in run.journal.children(one.id)]


def test_reading_changes_nothing(typed: Typed, project: Path) -> None:
    """No file of the folder changes, and none is added."""
    typed(*RUN)
    before = {path: path.read_bytes() for path in (project / "runs/x").rglob("*") if path.is_file()}
    with opened(project / "runs/x") as run:
        list(run.records("instances"))
    assert {path: path.read_bytes() for path in (project / "runs/x").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("made", "says"),
    [(None, "does not exist"), ("", "holds no run"), ("0/run.sqlite", "is a sweep; show takes")],
)
def test_what_is_not_a_run_is_refused(project: Path, made: str | None, says: str) -> None:
    """A missing folder, one without a run, and a sweep, whose jobs are named."""
    folder = project / "runs/y"
    if made is not None:
        (folder / made).parent.mkdir(parents=True)
        folder.mkdir(exist_ok=True)
        if made:
            (folder / made).write_bytes(b"")
    with pytest.raises(UserError, match=says):
        run_of("runs/y", project, "show")


def test_a_folder_without_a_journal_is_refused(project: Path) -> None:
    """Nothing is made in it."""
    with pytest.raises(RunFolderError, match=r"run\.sqlite is missing"), opened(project):
        pass


def test_sections_of_the_saved_config_are_changed_without_the_recipe(tiny: None, project: Path) -> None:
    """Keys, files of conf/, and keys that are left out."""
    saved = {"export": {"alpaca": {"file": "a.jsonl"}}, "report": {"figures": "page"}, "target": 5}
    found = sections(saved, ["export.alpaca.shuffle=true", "report.figures=svg"], project)
    assert found["export"] == {"alpaca": {"file": "a.jsonl", "shuffle": True}}
    assert found["report"] == {"figures": "svg"}
    chosen = sections(saved, ["export.chat.file=b.jsonl", "export=[chat,alpaca]"], project)
    assert list(chosen["export"]) == ["chat", "alpaca"]
    assert chosen["export"]["chat"]["file"] == "b.jsonl"
    assert sections(saved, ["~export.alpaca"], project)["export"] == {}
    added = sections(saved, ["+export.mine.kind=chat"], project)["export"]
    assert list(added) == ["alpaca", "mine"]
    assert sections(saved, ["report=off"], project)["report"] == "off"


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("target=9", "target cannot be changed here"),
        ("export=[chatt]", "chat"),
        ("export.chat.format=a,b", "several values"),
        ("export.chat.format", "write KEY=VALUE"),
        ("~export.none", "no such key"),
        ("export.csv.format=csv", r"csv is not among the exports; add it \('export=\[csv\]'\)"),
        ("--target", "option"),
    ],
)
def test_wrong_overrides_are_refused(project: Path, override: str, says: str) -> None:
    """The message says what to write."""
    write_tiny(project)
    with pytest.raises(UserError, match=says):
        sections({"export": {}}, [override], project)
