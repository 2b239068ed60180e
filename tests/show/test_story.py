"""The story of one record: everything between the prompt and its fate, and what was made from it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed
from filelock import FileLock
from show_run import user_with_a_run

from selfinstruct.records import MENDED
from selfinstruct.run_folder.folder import LOCK
from selfinstruct.run_folder.opened import opened
from selfinstruct.show.neighbours import common_words, nearest
from selfinstruct.show.story import story
from selfinstruct.show.terminal import show_story
from selfinstruct.text.novelty import RougeLIndex
from selfinstruct.text.tokenizers import tokenizer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the finished run `runs/x`."""
    return user_with_a_run(tmp_path_factory.mktemp("user"))


@pytest.fixture
def at_run(made: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the run, in which the commands are typed."""
    monkeypatch.chdir(made)
    return made


def told(typed: Typed, id: str) -> dict[str, Any]:
    """The story as JSON."""
    status, out, err = typed("show", "runs/x", id, "--json")
    assert (status, err, out.count("\n")) == (0, "", 1)
    return dict(json.loads(out))


def marked(neighbour: dict[str, Any], place: int) -> list[str]:
    """The parts of a text that are marked as common."""
    return [neighbour["texts"][place][start:end] for start, end in neighbour["common"]["spans"][place]]


def test_a_rejected_record(typed: Typed, at_run: Path) -> None:
    """The checks up to the one that rejected it, and the nearest text, with what is common."""
    found = told(typed, "instructions-000001-1")
    assert (found["fate"], found["check"]) == ("rejected", "rouge_l")
    results = {one["name"]: one["result"] for one in found["checks"]}
    assert next(iter(results)) == "read"
    assert list(results)[-3:] == ["exact_duplicate", "rouge_l", "schema"]
    assert results["rouge_l"] == "rejected"
    assert results["schema"] == "not reached"
    assert {result for name, result in results.items() if name not in ("rouge_l", "schema")} == {"passed"}
    (near,) = found["neighbours"]
    assert (near["id"], near["kept"], near["common"]["of"]) == ("instructions-000001-0", True, [9, 9])
    assert near["score"] == pytest.approx(2 * near["common"]["tokens"] / 18)
    assert (
        marked(near, 0) == marked(near, 1) == ["Write", "a", "poem", "about", "the", "old", "harbour", "at"]
    )
    assert [one["fate"] for one in found["candidates"]] == ["accepted", "rejected", "rejected", "rejected"]
    assert (found["labels"], found["children"]) == ([], [])


def test_on_the_screen(typed: Typed, at_run: Path) -> None:
    """The same, to read: side by side if there is room, and below each other if not."""
    _, wide, _ = typed("show", "runs/x", "instructions-000001-1")
    assert "instructions-000001-1  rejected by rouge_l\n" in wide
    assert "  ✗  rouge_l " in wide
    assert "  ·  schema " in wide
    assert (
        "[Write a poem about the old harbour at] dawn.    [Write a poem about the old harbour at] night."
        in wide
    )
    assert "12. 猫について短い話を書いてください。" in wide
    assert wide.index("\nchecks\n") < wide.index("\nprompt\n") < wide.index("\nreply\n")
    assert {line for line in wide.split("\n") if line != line.rstrip()} == set()


def test_an_accepted_record(typed: Typed, at_run: Path) -> None:
    """Its labels with the replies, what was made from it, the examples in its prompt, and the cost."""
    found = told(typed, "instructions-000001-0")
    assert {one["result"] for one in found["checks"]} == {"passed"}
    (label,) = found["labels"]
    assert set(label["values"]) == {"is_classification"}
    assert label["reply"]["choices"][0]["text"].strip() in ("Yes", "No")
    assert {one["stage"] for one in found["children"]} == {"instances"}
    request = found["request"]
    assert len(request["examples"]) == 8
    for example in request["examples"]:
        start, end = example["span"]
        assert example["from"] == "seed"
        assert request["prompt"][start:end] == example["text"]
    assert found["reply"]["choices"][0]["text"].startswith(" Write a poem")
    replies = [found["reply"], label["reply"]]
    tokens = [one["prompt_tokens"] + one["completion_tokens"] for one in replies]
    assert found["cost"] == pytest.approx(
        {
            "replies": 2,
            "tokens": round(tokens[0] / 4 + tokens[1], 1),
            "seconds": replies[0]["seconds"] / 4 + replies[1]["seconds"],
            "usd": 0.0,
        },
        abs=1e-3,
    )


def test_a_record_made_from_another(typed: Typed, at_run: Path) -> None:
    """Its parents, and the labels of these."""
    child = told(typed, "instructions-000001-0")["children"][0]["id"]
    found = told(typed, child)
    assert [one["id"] for one in found["parents"]] == ["instructions-000001-0"]
    assert [one["parent"] for one in found["labels"]] == ["instructions-000001-0"]
    assert "instruction" in found["data"]
    assert "instruction" not in found["own"]
    _, out, _ = typed("show", "runs/x", child)
    assert "\nmade from\n  instructions-000001-0  accepted  Write a poem" in out


def test_labels_and_seed_tasks_have_a_story_too(typed: Typed, at_run: Path) -> None:
    """A label with the record that it is about; a seed task with its fields."""
    label = told(typed, "classification-000001-0")
    assert [one["id"] for one in label["parents"]] == ["instructions-000001-0"]
    assert label["labels"] == []
    seed = told(typed, "general_en_022")
    assert (seed["fate"], seed["stage"]) == ("seed", "seeds")
    assert "a seed task" in typed("show", "runs/x", "general_en_022")[1]


def test_reviews_are_shown_by_reviewer(typed: Typed, at_run: Path) -> None:
    """From the facts `review/<reviewer>/<id>` of the journal."""
    with opened(at_run / "runs/x") as run:
        facts = {"ana/instructions-000001-0": {"ok": "yes"}, "ana/instructions-000001-1": {"ok": "no"}}
        run.journal.facts = lambda prefix: facts if prefix == "review/" else {}  # type: ignore[method-assign]
        assert story(run, "instructions-000001-0")["reviews"] == {"ana": {"ok": "yes"}}


def test_a_mended_value_is_shown_before_and_after(at_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the journal keeps it."""
    from rich.console import Console

    with opened(at_run / "runs/x") as run:
        record = run.record("instructions-000001-0")
        assert record
        record.detail[MENDED] = {"instruction": "Write a poem<|im_end|>"}
        run.journal.record = lambda id: record  # type: ignore[method-assign]  # noqa: A006
        found = story(run, record.id)
    assert found["mended"] == [
        {"field": "instruction", "before": "Write a poem<|im_end|>", "after": record.data["instruction"]}
    ]
    assert MENDED not in found["details"]
    show_story(found, Console(width=100))
    assert "instruction before  Write a poem<|im_end|>" in capsys.readouterr().out


def test_during_a_run(typed: Typed, at_run: Path) -> None:
    """Another process holds the lock, and nobody waits for it."""
    with FileLock(at_run / "runs/x" / LOCK):
        assert typed("show", "runs/x", "instructions-000001-0")[0] == 0
        status, out, _ = typed("show", "runs/x")
    assert status == 0
    assert "runs/x is running" in out


def test_the_nearest_is_that_of_the_index() -> None:
    """Looked up one after the other, it is the text that the check's own index finds first."""
    rng = random.Random(0)
    vocabulary = ["the", "sea", "harbour", "ferry", "a", "list", "write", "of", "Ünder", "港", "夜", "colour"]
    for name in ("rouge", "unicode", "characters", "spaces"):
        index = RougeLIndex(0.01, name)
        texts = [(f"t{n}", " ".join(rng.choices(vocabulary, k=rng.randint(1, 9)))) for n in range(200)]
        index.add_all((text, id) for id, text in texts)
        for _ in range(50):
            text = " ".join(rng.choices(vocabulary, k=rng.randint(1, 9))).title()
            best = index.top(text, 1)[0]
            found = nearest(text, iter(texts), name)
            assert (found or ("", 0.0))[1] == pytest.approx(best.score)
            assert found is None or found[0] == best.id or not best.score


def test_a_neighbour_that_the_run_did_not_keep_is_looked_up(typed: Typed, made: Path) -> None:
    """It is the one that a run which keeps it has noted."""
    status, _, err = typed(
        *("recipe=paper", "model=scripted", "target=3", "run_dir=runs/y", "export=none"),
        *(f"model.options.replies={made}/replies.jsonl", "filters.instructions.rouge_l.keep_similar=0"),
    )
    assert status == 0, err
    id = "instructions-000002-1"
    with opened(made / "runs/x") as kept, opened(Path("runs/y")) as other:
        (one,), (two,) = (story(run, id)["neighbours"] for run in (kept, other))
    assert (one["kept"], two["kept"]) == (True, False)
    assert two["id"] == one["id"]
    assert two["score"] == pytest.approx(one["score"], abs=1e-4)


@pytest.mark.parametrize(
    ("one", "other", "name", "common"),
    [
        ("Write a POEM!", "A poem, write it", "rouge", ["a", "POEM"]),
        ("海の詩を書いて", "山の詩をよんで", "unicode", ["の詩を"]),
        ("ＡＢＣ straße", "abc STRASSE", "unicode", ["ＡＢＣ", "straße"]),
        ("e\u0301tude no 5", "\u00e9tude no 6", "unicode", ["no"]),
        ("", "something", "rouge", []),
    ],
)
def test_the_common_words_are_where_the_text_has_them(
    one: str, other: str, name: str, common: list[str]
) -> None:
    """Whatever their case, width and script; a letter that was composed anew has no place."""
    found = common_words(one, other, tokenizer(name))
    assert [one[start:end] for start, end in found["spans"][0]] == common


def test_very_long_texts_are_compared_at_their_beginning() -> None:
    """A text of a megabyte is no trouble."""
    text = "word " * 200_000
    found = common_words(text, text, tokenizer("rouge"))
    assert found["tokens"] == 4_000
