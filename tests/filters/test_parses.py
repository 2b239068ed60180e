"""Code that does not parse: which answers `parses` rejects, and how often it is right."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines

from selfinstruct.filters import FILTERS
from selfinstruct.records import Record, Rejection
from selfinstruct.text.snippets import snippets
from selfinstruct.text.syntax import PARSERS, wrong

MARKED = Path(__file__).parent / "marked" / "code.jsonl"
SEEDS = Path(__file__).resolve().parents[2] / "seeds"
SQL = importlib.util.find_spec("sqlglot") is not None


def rejection(output: str, asked: str = "", language: str = "en", **options: Any) -> Rejection | None:
    """What the filter says of an answer."""
    check = FILTERS.factory("parses")(language=language, **options)
    assert check.each
    return check.each(Record("a-000001-0", "a", 1, 0, {"instruction": asked, "output": output}))


def fenced(tag: str, code: str) -> str:
    """A block of code."""
    return f"```{tag}\n{code}\n```"


def test_precision_and_recall_on_the_records_marked_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """The figures of docs/better-data.md; a change that lowers one of them is a step back."""
    rows = [row for row in lines(MARKED)[1:] if SQL or "SQL" not in row["instruction"]]
    said = [bool(rejection(row["output"], row["instruction"], row["language"])) for row in rows]
    broken = [row["verdict"] == "wrong" for row in rows]
    both = sum(a and b for a, b in zip(said, broken, strict=True))
    precision, recall = both / sum(said), both / sum(broken)
    with capsys.disabled():
        print(f"\nparses: precision {precision:.2f}, recall {recall:.2f}, {len(rows)} records")
    assert precision == 1.0
    assert recall >= 0.96


def test_no_code_of_our_seed_tasks_is_rejected() -> None:
    """People wrote and ran it."""
    found = [
        (snippet, wrong(snippet.language, snippet.code))
        for path in sorted(SEEDS.glob("*.jsonl"))
        for task in map(json.loads, path.read_text(encoding="utf-8").splitlines())
        for instance in task["instances"]
        for snippet in snippets(instance["output"], task["instruction"])
    ]
    assert [one for one in found if one[1]] == []
    assert len(found) > 15


def test_a_rejection_has_the_language_the_line_and_the_parsers_words() -> None:
    """The line is that of the field, so that a reader finds it."""
    found = rejection("Try this:\n\n" + fenced("python", "x = 1\nif x\n    print(x)"))
    assert found
    assert found.detail == {"language": "python", "line": 5, "error": "expected ':'"}
    assert found.reason == "output has python that does not parse: line 5: expected ':'"


def test_nothing_is_run(tmp_path: Path) -> None:
    """Neither code nor a tag of YAML nor a session."""
    target = tmp_path / "made"
    for tag, code in {
        "python": f"open({str(target)!r}, 'w')",
        "pycon": f">>> open({str(target)!r}, 'w')",
        "yaml": f"a: !!python/object/apply:os.mkdir [{str(target)!r}]",
    }.items():
        assert rejection(fenced(tag, code)) is None
    assert not target.exists()


DEEP = {
    "brackets": "(" * 19_000,
    "closed": "[" * 9_000 + "]" * 9_000,
    "signs": "-" * 19_999 + "1",
    "aliases": "a: &a [b, b]\n" + "".join(f"{'a' * n}: &x{n} [*a, *a]\n" for n in range(2, 60)),
    "conditions": "a AND " * 800 + "b",
    "unions": "SELECT 1 UNION " * 330,
    "digits": "1" * 19_999,
    "repeats": "((((a{99}){99}){99}){99})",
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_and_long_code_ends_soon(name: str) -> None:
    """With a verdict or none; no parser raises, and the time limit of the tests would end it."""
    for language in PARSERS:
        wrong(language, DEEP[name])
    assert wrong("json", DEEP["brackets"]) is None


@pytest.mark.parametrize("text", ["```python\n" * 3_000, "~~~\n" * 6_000, "    ```json\n{}\n" * 1_500])
def test_fences_without_an_end_take_no_time(text: str) -> None:
    """A block that is not closed was cut, which another filter finds."""
    list(snippets(text))
    assert list(snippets("```json\n{")) == []


def test_a_language_can_be_switched_off() -> None:
    """By its name."""
    assert rejection(fenced("json", "{"))
    assert rejection(fenced("json", "{"), languages={"json": False}) is None


def test_without_an_instruction_only_tags_count() -> None:
    """For records that have none."""
    assert rejection("{'a': 1}", "Give it as JSON.")
    assert rejection("{'a': 1}", "Give it as JSON.", instruction=None) is None


def test_check_says_that_sql_is_not_checked(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra; everything else is."""
    monkeypatch.setattr("selfinstruct.text.syntax.find_spec", lambda name: None)
    status, out, _ = typed("check", "recipe=chat", "model=scripted", "+filters.instances.parses={}")
    assert (
        "parses does not check SQL, because sqlglot is not installed: pip install 'selfinstruct[sql]'" in out
    )
    assert status == 0
    assert rejection(fenced("sql", "SELECT FROM")) is None


@pytest.mark.skipif(not SQL, reason="needs the extra sql")
def test_sql_of_any_dialect() -> None:
    """What one dialect accepts passes."""
    assert rejection(fenced("sql", "SELECT TOP 5 [name] FROM t")) is None
    found = rejection(fenced("sql", "SELECT a\nFROM WHERE b"))
    assert found
    assert found.detail["line"] == 3
