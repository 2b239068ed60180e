"""Stages that ask no model: one that makes records of what it has read, and one that sets a field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from conftest import Typed, lines
from results import refused

from selfinstruct import stages
from selfinstruct.config import Machine
from selfinstruct.errors import Fault
from selfinstruct.llm import endpoint
from selfinstruct.stages import STAGES, Material, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.each import Each
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.forecast import Known
from selfinstruct.stages.kind import Parts, samples
from selfinstruct.stages.ranges import Range
from selfinstruct.stages.unasked import Unasked, takes, up_to_target


@dataclass(frozen=True, kw_only=True)
class Words(StageKind):
    """Makes a record of each line of a file; a fake of a kind that reads documents."""

    path: str

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`."""
        file = parts.project / self.path
        if not file.exists():
            parts.faults.append(Fault(f"pipeline.{parts.name}.path", f"there is no file {self.path}"))
            return None
        rows = [{"word": word} for word in file.read_text().split()]
        material = Material(rows, f"the words of {self.path}", [f"{self.path} is short"])
        return parts.unasked(self, material=material)

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        return samples({"word": "text"}, stage.name if stage else "")

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        return takes(stage, target)

    def made_of(self, known: Known) -> Range:
        """See `StageKind`."""
        return up_to_target(known)

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        assert stage.material
        rows = enumerate(stage.material.rows, 1)
        return Unasked(stage, run, (stage.record(number, 0, row) for number, row in rows), run.target)


@dataclass(frozen=True, kw_only=True)
class Count(StageKind):
    """Sets `length`; a fake of a kind that derives a field from others."""

    field: str
    labels = True

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        return samples({"length": 1}, stage.name if stage else "")

    def needs(self) -> Sequence[str]:
        """See `StageKind`."""
        return (self.field,)

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        rows = run.rows().items()
        made = (
            stage.record(number, 0, {**row.data, "length": len(row.data[self.field])}, row)
            for number, row in rows
        )
        return Unasked(stage, run, made)


def _words(*, path: Annotated[str, Machine]) -> Words:
    """Makes a record of each line of a file."""
    return Words(path=path)


def _count(*, of: str | None = None, field: str = "word") -> Count:
    """Sets `length`."""
    return Count(of=of, field=field)


def _words_of_before(*, path: Annotated[str, Machine]) -> Any:
    """As `_words`, written as kinds were before they were objects."""
    kind = Words(path=path)

    def load(project: Path, where: str, faults: list[Fault]) -> Material | None:
        if not (project / path).exists():
            faults.append(Fault(f"{where}.path", f"there is no file {path}"))
            return None
        words = (project / path).read_text().split()
        return Material([{"word": word} for word in words], f"the words of {path}", [f"{path} is short"])

    return before("Kind")(kind.open, asks=False, gives={"word": "text"}, load=load)


def _count_of_before(*, of: str | None = None, field: str = "word") -> Any:
    """As `_count`, written as kinds were before they were objects."""
    kind = Count(field=field)
    return before("Kind")(kind.open, labels=True, of=of, asks=False, gives={"length": 1}, uses=(field,))


def _expand_of_before(*, of: str | None = None) -> Any:
    """As `expand`, written as kinds were before they were objects."""

    def open(stage: Stage, run: StageContext) -> Each:
        return Each(stage, replace(run, rows=run.rows))

    return before("Kind")(open=open, of=of, expected=2.0)


def before(name: str) -> Any:
    """What a name of before stands for; it is said which name is that of now."""
    with pytest.warns(DeprecationWarning, match=f"selfinstruct.stages.{name} is "):
        return getattr(stages, name)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, project: Path) -> Path:
    """The fake kinds, and a recipe of them."""
    STAGES.names()
    kinds = {**STAGES._factories, "words": _words, "count": _count}
    kinds |= {"old_words": _words_of_before, "old_count": _count_of_before, "old_expand": _expand_of_before}
    monkeypatch.setattr(STAGES, "_factories", kinds)
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(RECIPE)
    (project / "words.txt").write_text("one three eleven no fifteen twelve\n")
    return project


MINE = ("recipe=mine", "model.mode=chat", "model.options.replies=replies.jsonl")
RECIPE = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: none
pipeline:
  words: {kind: words, path: words.txt}
  sizes: {kind: count}
  rhymes: {kind: expand, of: words}
prompts:
  rhymes:
    style: chat
    template: "A rhyme on {{ word }}, of {{ length }} letters."
    parse: {kind: text, field: rhyme}
filters:
  words:
    short: {kind: matches, field: word, pattern: "^..$"}
schema:
  words: {properties: {word: {pattern: "^[^l]*$"}}}
  sizes: {properties: {word: {}, length: {maximum: 5}}}
  rhymes: {properties: {word: {}, length: {}, rhyme: {}}}
"""


def run(typed: Typed, *overrides: str) -> dict[str, list[dict[str, object]]]:
    """Run the recipe; the rows of its files."""
    replies = {"stage": "rhymes", "reply": "Sea."}
    Path("replies.jsonl").write_text(json.dumps(replies) + "\n")
    status, out, err = typed(*MINE, "run_dir=run", *overrides)
    assert status == 0, out + err
    return {name: lines(Path(f"run/{name}.jsonl")) for name in ("words", "rhymes", "rejected")}


def test_each_record_is_judged(typed: Typed, fakes: Path) -> None:
    """By filters and schema, of the maker and of what sets a field; a prompt sees what both gave."""
    rows = run(typed)
    assert [(row["word"], row["length"]) for row in rows["words"]] == [("one", 3), ("three", 5)]
    assert [(row["stage"], row["check"]) for row in rows["rejected"]] == [
        ("words", "schema"),
        ("words", "short"),
        ("words", "schema"),
        ("sizes", "schema"),
    ]
    assert [(row["word"], row["length"], row["rhyme"]) for row in rows["rhymes"]] == [
        ("one", 3, "Sea."),
        ("three", 5, "Sea."),
    ]
    stages = json.loads((fakes / "run/summary.json").read_text())["stages"]
    assert (stages["words"]["requests"], stages["sizes"]["requests"], stages["rhymes"]["requests"]) == (
        0,
        0,
        2,
    )


def test_a_run_goes_on_and_grows(typed: Typed, fakes: Path) -> None:
    """A larger target adds what is missing, and the files are those of one run to that target."""
    assert [row["word"] for row in run(typed, "target=1")["words"]] == ["one"]
    grown = run(typed, "target=2")
    again = run(typed, "target=2")
    assert (
        grown
        == again
        == run(typed, "target=2", "run_dir=whole")
        | {name: lines(fakes / f"whole/{name}.jsonl") for name in grown}
    )


def test_what_it_read_may_not_change(typed: Typed, fakes: Path) -> None:
    """Once replies were paid for; where it lies and what it is called is no matter."""
    run(typed)
    (fakes / "words.txt").rename(fakes / "renamed.txt")
    run(typed, "pipeline.words.path=renamed.txt")
    (fakes / "renamed.txt").write_text("one two\n")
    refused(
        typed(*MINE, "run_dir=run", "pipeline.words.path=renamed.txt"),
        "other settings",
        "pipeline.words (contents)",
        "fresh=true",
    )


def test_nothing_of_an_unpaid_run_is_kept(typed: Typed, fakes: Path) -> None:
    """What was made before the first reply is made again from what is there now."""
    Path("replies.jsonl").write_text("")
    assert typed(*MINE, "run_dir=run")[0] == 1
    assert [row["word"] for row in lines(fakes / "run/words.jsonl")] == ["one", "three"]
    (fakes / "words.txt").write_text("six\n")
    assert [row["word"] for row in run(typed)["words"]] == ["six"]


def test_the_plan(typed: Typed, fakes: Path) -> None:
    """It has no request and no cost for them, and says what they do."""
    run(typed, "target=1")
    status, out, _ = typed("check", *MINE, "target=3", "run_dir=other")
    assert status == 0
    assert "takes until 3 are accepted of 6 the words of words.txt, without a model" in out
    assert "sets length from each of words, without a model" in out
    assert "note: words.txt is short" in out
    assert [line.split()[:2] for line in out.splitlines() if line.startswith("    rhymes  ")] == [
        ["rhymes", "3"]
    ]
    assert "    words  " not in out


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "+prompts.words={template: a, parse: {kind: text, field: word}}",
            ["prompts.words: stage words"],
        ),
        (
            "+pipeline.words.model=openai",
            ["words.model: stage words asks no model", "leave this"],
        ),
        ("pipeline.words.path=none.txt", ["pipeline.words.path: there is no file none.txt"]),
        ("+pipeline.sizes.field=wrod", ["pipeline.sizes: unknown field 'wrod'", "did you mean 'word'?"]),
        ("+schema.sizes.required=[size]", ["requires 'size', but neither stage sizes nor"]),
        ("~schema.sizes", ["schema.sizes: is missing"]),
        ("~prompts.rhymes", ["prompts.rhymes: is missing"]),
        ("~schema.sizes.properties.length", ["pipeline.sizes: unknown field 'length'"]),
    ],
)
def test_faults(typed: Typed, fakes: Path, override: str, words: list[str]) -> None:
    """What such a stage cannot have, and fields that do not fit, are told before anything is asked."""
    refused(typed("check", *MINE, override), *words)


OLD = ("pipeline.words.kind=old_words", "pipeline.sizes.kind=old_count", "pipeline.rhymes.kind=old_expand")


def test_kinds_written_before_they_were_objects(typed: Typed, fakes: Path) -> None:
    """They do the same and have the same plan; a file that is missing is a fault as ever."""
    assert run(typed, *OLD) == run(typed, "run_dir=new") | {
        name: lines(fakes / f"new/{name}.jsonl") for name in ("words", "rhymes", "rejected")
    }
    status, out, _ = typed("check", *MINE, *OLD, "target=3", "run_dir=other")
    assert status == 0
    assert "takes until 3 are accepted of 6 the words of words.txt, without a model" in out
    assert "sets length from each of words, without a model" in out
    assert "rhymes: 2 (1 - 4) accepted per reply" in out
    refused(typed("check", *MINE, *OLD, "pipeline.words.path=none.txt"), "there is no file none.txt")
    refused(typed("check", *MINE, *OLD, "+pipeline.sizes.field=wrod"), "unknown field 'wrod'")


def test_names_of_before() -> None:
    """A plug-in that was written against them goes on working."""
    assert before("Setting") is StageContext
    assert before("Work") is StageRun
    with pytest.warns(DeprecationWarning, match="Desk is RunContext now"):
        assert endpoint.Desk is endpoint.RunContext
    with pytest.raises(AttributeError, match="no attribute 'Kin'"):
        _ = stages.Kin
