"""`where`: one condition on the fields of a record, wherever a recipe has one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file
from results import refused

from selfinstruct.where import Where

PAPER = ("recipe=paper", "model=scripted")


@pytest.mark.parametrize(
    ("written", "fitting", "others"),
    [
        ({}, [{}, {"score": 1}], []),
        ({"score": 4}, [4, 4.0], ["4", 5, True, None, [4]]),
        ({"score": 1}, [1], [True, "1"]),
        ({"score": True}, [True], [1, "true", "True"]),
        ({"score": False}, [False], [0, "", None]),
        ({"score": None}, [None], [0, "", False, "null"]),
        ({"score": ""}, [""], [" ", None]),
        ({"score": [4, "undecided"]}, [4, "undecided"], [5, "4", True]),
        ({"score": {"at_least": 4}}, [4, 4.5, 10**30], [3.999, "4", "5", True, None, float("nan")]),
        ({"score": {"at_most": 4}}, [4, -1, 0.0], [4.1, False, "3"]),
        ({"score": {"above": 4}}, [4.1], [4, 3]),
        ({"score": {"below": 4}}, [3.9], [4, 5]),
        ({"score": {"at_least": 2, "below": 4}}, [2, 3], [1, 4]),
        ({"score": {"at_least": 2, "not": [3, 5]}}, [2, 4], [1, 3, 5]),
        ({"score": {"not": "undecided"}}, ["decided", 4, None], ["undecided"]),
        ({"score": {"not": True}}, [False, 1, "true"], [True]),
        ({"score": {"not": None}}, [0, ""], [None]),
    ],
)
def test_what_fits(written: dict[str, Any], fitting: list[Any], others: list[Any]) -> None:
    """Values are compared with their type, and bounds are for numbers alone."""
    where = Where.of(written)
    for value in fitting:
        assert where.fits(value if isinstance(value, dict) else {"score": value}), value
    for value in others:
        assert not where.fits({"score": value}), value
    assert not written or not where.fits({"other": 4}), "a record without the field never fits"


def test_all_conditions_have_to_fit() -> None:
    """Those on several fields are joined by and."""
    where = Where.of({"score": [4, 5], "language": {"not": "de"}})
    assert where.fits({"score": 4, "language": "en"})
    assert where.unfit({"score": 3, "language": "de"}) == "score"
    assert where.unfit({"score": 4, "language": "de"}) == "language"
    assert str(where) == "score is 4 or 5 and language is not de"


@pytest.mark.parametrize(
    ("one", "other", "implied"),
    [
        ({"score": 4}, {"score": [4, 5]}, True),
        ({"score": [4, 5]}, {"score": {"at_least": 4}}, True),
        ({"score": [3, 5]}, {"score": {"at_least": 4}}, False),
        ({"score": {"at_least": 4}}, {"score": {"at_least": 4}}, True),
        ({"score": {"at_least": 4}, "kind": "a"}, {"kind": ["a", "b"]}, True),
        ({"kind": "a"}, {"score": 4}, False),
        ({"score": 4}, {}, True),
    ],
)
def test_what_follows_from_what(one: dict[str, Any], other: dict[str, Any], implied: bool) -> None:
    """A stage may use a field that was set only in some records where its own condition picks only those."""
    assert Where.of(one).implies(Where.of(other)) is implied


PLACES = {
    "seeds.where": "seeds.where",
    "pipeline.instances.where": "+pipeline.instances.where",
    "export.alpaca.where": "export.alpaca.where",
    "filters.instances.stand_in.except_where": "+filters.instances.stand_in.except_where",
}


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{score: {at_lest: 4}}", ["'at_lest'", "not, at_least, at_most, above, below"]),
        ("{score: {at_least: high}}", ["score.at_least", "'high' is not a number"]),
        ("{score: {at_least: true}}", ["score.at_least", "True is not a number"]),
        ("{score: []}", ["score", "the list is empty"]),
        ("{score: {not: []}}", ["score", "the list is empty"]),
        ("{score: {}}", ["score", "has no condition"]),
    ],
)
def test_what_cannot_be_read_is_a_fault_wherever_it_is(typed: Typed, written: str, words: list[str]) -> None:
    """The message has the place and says what can be written."""
    overrides = [f"{key}={written}" for key in PLACES.values() if "stand_in" not in key]
    refused(typed("check", *PAPER, *overrides), "3 faults", *words, *list(PLACES)[:3])


def test_a_filter_has_the_same_conditions(typed: Typed) -> None:
    """The option except_where of stand_in."""
    override = "filters.instances.stand_in.except_where={is_classification: {nt: true}}"
    refused(
        typed("check", "recipe=chat", "model=scripted", "model.mode=chat", override), "except_where", "'nt'"
    )


class TestSeeds:
    """seeds.where."""

    @pytest.fixture
    def seeds(self, project: Path) -> Path:
        """Twelve seed tasks, of levels 0 to 3, every third a classification task."""
        path = seed_file(project / "seeds/mine.jsonl")
        rows = lines(path)
        for number, row in enumerate(rows):
            row.update(level=number % 4, is_classification=number % 3 == 0, tag="easy")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    @pytest.mark.parametrize(
        ("where", "count"),
        [
            ("{level: {at_least: 2}}", 6),
            ("{level: [0, 1]}", 6),
            ("{level: {not: 3}}", 9),
            ("{level: 1}", 3),
            ("{is_classification: true, level: {below: 2}}", 2),
        ],
    )
    def test_the_lines_taken(self, typed: Typed, seeds: Path, where: str, count: int) -> None:
        """As many as fit."""
        command = ["check", *PAPER, "seeds.path=seeds/mine.jsonl", f"seeds.where={where}", "mix.examples=1"]
        status, out, err = typed(*command, "mix.generated=0")
        assert status == 0, err
        assert f"{count} of 12 tasks" in out

    @pytest.mark.parametrize(
        ("where", "words"),
        [
            ("{is_classification: 1}", ["the values of 'is_classification' are: true, false"]),
            ("{level: '1'}", ["the values of 'level' are: 0, 1, 2, 3"]),
            ("{levle: 1}", ["no line has 'levle'", "level"]),
            ("{level: 0, is_classification: {not: [true, false]}}", ["is not true or false"]),
        ],
    )
    def test_where_nothing_fits(self, typed: Typed, seeds: Path, where: str, words: list[str]) -> None:
        """The message says what there is instead."""
        command = ["check", *PAPER, "seeds.path=seeds/mine.jsonl", f"seeds.where={where}"]
        refused(typed(*command), "seeds.where: no line of", *words)

    def test_a_cell_of_a_table_is_text_and_is_read_as_what_it_is_compared_with(
        self, typed: Typed, project: Path
    ) -> None:
        """In a CSV file TRUE is true and 3 is 3."""
        rows = [
            f"Say something about {number}.,it,{number % 4},{str(number % 2 == 0).upper()}"
            for number in range(8)
        ]
        (project / "mine.csv").write_text("\n".join(["instruction,output,level,checked", *rows]) + "\n")
        for where, count in (("{level: 3}", 2), ("{checked: true}", 4), ("{level: {at_least: 2}}", 4)):
            command = ["check", *PAPER, "seeds.path=mine.csv", f"seeds.where={where}", "mix.examples=1"]
            _, out, err = typed(*command, "mix.generated=0")
            assert f"{count} of 8 tasks" in out, err


class TestExport:
    """export.NAME.where."""

    def test_it_writes_the_records_that_fit_and_says_why_it_left_the_others_out(
        self, typed: Typed, project: Path
    ) -> None:
        """Each record is in the file, or in rejected.jsonl with a reason."""
        where = "export.alpaca.where={is_classification: {not: true}}"
        assert typed(*PAPER, "target=8", "run_dir=run", where)[0] == 0
        records = lines(project / "run/instances.jsonl")
        fitting = [record for record in records if record["is_classification"] is not True]
        rows = lines(project / "run/dataset/alpaca.jsonl")
        left_out = [row for row in lines(project / "run/rejected.jsonl") if row["check"] == "where"]
        assert 0 < len(fitting) < len(records)
        assert [row["instruction"] for row in rows] == [record["instruction"] for record in fitting]
        assert len(left_out) == len(records) - len(fitting)
        rule = "export.alpaca.where takes only records in which is_classification is not true"
        reason = f"is_classification is true; {rule}"
        assert {row["reason"] for row in left_out} == {reason}

    def test_it_may_change_between_two_starts(self, typed: Typed, project: Path) -> None:
        """Exports are written anew from the journal; a run is not another one for it."""
        assert typed(*PAPER, "target=4", "run_dir=run")[0] == 0
        every = lines(project / "run/dataset/alpaca.jsonl")
        assert (
            typed(*PAPER, "target=4", "run_dir=run", "export.alpaca.where={is_classification: true}")[0] == 0
        )
        assert 0 < len(lines(project / "run/dataset/alpaca.jsonl")) < len(every)

    def test_a_seed_task_is_asked_only_about_fields_that_it_has(self, typed: Typed, project: Path) -> None:
        """Seeds without a judge's score are written; those that have the field and do not fit are not."""
        seed_file(project / "seeds/mine.jsonl")
        base = [*PAPER, "target=8", "seeds.path=seeds/mine.jsonl", "export.alpaca.seed_tasks=true"]
        assert typed(*base, "run_dir=a", "export.alpaca.where={is_classification: true}")[0] == 0
        assert typed(*base, "run_dir=b")[0] == 0
        kept, both = (lines(project / run / "dataset/alpaca.jsonl") for run in "ab")
        assert sum("you know" in row["instruction"] for row in both) == 12
        assert not any("you know" in row["instruction"] for row in kept)

    @pytest.mark.parametrize(
        ("where", "words"),
        [
            ("{is_clasification: true}", ["unknown field 'is_clasification'", "is_classification"]),
            ("{is_classification: 1}", ["'is_classification' is never 1", "there are: true, false"]),
        ],
    )
    def test_a_field_or_a_value_that_no_record_has_is_a_fault(
        self, typed: Typed, where: str, words: list[str]
    ) -> None:
        """It is found before the first request."""
        refused(typed("check", *PAPER, f"export.alpaca.where={where}"), "export.alpaca.where", *words)
