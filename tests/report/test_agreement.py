"""The figures of a review against published ones."""

from __future__ import annotations

import pytest

from selfinstruct.report.numbers.agreement import agreement, by_reviewer, kappa, summed_up, wilson

QUESTIONS = {"valid": ("ok", "wrong"), "output": ("ok", "minor", "wrong")}


def test_intervals() -> None:
    """Brown, Cai and DasGupta; the ends stay within 0 and 1, and nothing is known of nothing."""
    assert wilson(184, 200) == pytest.approx((0.8740, 0.9500), abs=2e-4)  # the paper's 92 % of 200
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_kappa() -> None:
    """A textbook's table: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no."""
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([("y", "n"), ("n", "y")]) == pytest.approx(-1)
    assert kappa([("y", "y")] * 9) is None
    assert kappa([]) is None


def review(valid: str | None = None, output: str | None = None, edit: object = None) -> dict[str, object]:
    """A review as the journal has it."""
    given = {"valid": valid, "output": output}
    return {"answers": {key: value for key, value in given.items() if value}, "edit": edit, "note": ""}


def test_the_summary_counts_a_record_once_and_doubt_is_not_good() -> None:
    """The answer of most; with a tie the later choice; all good needs all answers."""
    reviews = by_reviewer(
        {
            "ann/a-1": review("ok", "ok"),
            "bob/a-1": review("ok", "minor"),
            "cleo/a-1": review("wrong", "ok"),
            "ann/a/2": review("ok", "ok"),
            "bob/a/2": review("wrong"),
            "ann/a-3": review("ok", "wrong", {"output": "better"}),
            "ann/a-4": review("ok", "gone"),
            "ann/a-5": review(),
        }
    )
    found = summed_up(QUESTIONS, reviews)
    assert (found["records"], found["edited"]) == (4, 1)
    valid, output = found["questions"]["valid"], found["questions"]["output"]
    assert {name: row["count"] for name, row in valid["choices"].items()} == {"ok": 3, "wrong": 1}
    assert {name: row["count"] for name, row in output["choices"].items()} == {
        "ok": 2,
        "minor": 0,
        "wrong": 1,
    }
    assert valid["choices"]["ok"]["share"] == 0.75
    assert (found["all"]["count"], found["all"]["answered"]) == (1, 3)
    assert [row["reviewers"] for row in valid["agreement"]] == [
        ["ann", "bob"],
        ["ann", "cleo"],
        ["bob", "cleo"],
    ]
    assert valid["agreement"][0]["records"] == 2
    assert valid["agreement"][0]["same"] == 0.5


def test_nothing_yet() -> None:
    """No share without an answer."""
    found = summed_up(QUESTIONS, {})
    assert found["all"]["share"] is None and found["questions"]["valid"]["choices"]["ok"]["share"] is None
    assert agreement("valid", {"ann": {}}) == []
