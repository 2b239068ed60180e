"""What a result has: intervals, paired differences, lengths held equal, labels, and notes in words."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfinstruct.config import EvalConfig
from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.evaluate.bootstrap import interval, intervals
from selfinstruct.evaluate.classification import labelled
from selfinstruct.evaluate.lengths import cut, length
from selfinstruct.evaluate.results import results
from selfinstruct.evaluate.table import show


def task(place: int, reference: str = "", **fields: Any) -> Task:
    """A task with an instruction and a reference of its own."""
    values = {"instruction": f"Say number {place}.", "references": (reference or f"number {place} it is",)}
    return Task(**{"id": f"tasks-{place}-0", "input": "", "category": "", **values, **fields})


def evaluated(tasks: Sequence[Task], keys: dict[str, Any] | None = None, **texts: Any) -> dict[str, Any]:
    """The result for models by name, each with its answers."""
    config = EvalConfig(path="tasks.jsonl", resamples=1000, **(keys or {}))
    return results(config, tasks, [Answers(name, list(given)) for name, given in texts.items()])


def test_the_interval_of_a_mean() -> None:
    """It is that of the textbook for many values, and the same with the same seed."""
    drawn = random.Random(0)
    values = [drawn.gauss(3, 2) for _ in range(400)]
    found = interval(values, 10_000, 0.95)
    assert found.mean == pytest.approx(sum(values) / 400)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 2 / 20, rel=0.1)
    assert found == interval(values, 10_000, 0.95) != interval(values, 10_000, 0.95, seed=1)
    narrow = interval(values, 10_000, 0.5)
    assert found.low < narrow.low < narrow.high < found.high


def test_tasks_of_one_group_are_drawn_together() -> None:
    """Copies of the same tasks make an interval no narrower; drawn by themselves they would."""
    drawn = random.Random(0)
    values = [drawn.gauss(50, 20) for _ in range(30)]
    copies, groups = (
        [one for one in values for _ in range(9)],
        [place for place in range(30) for _ in range(9)],
    )
    alone = interval(values, 4_000, 0.95)
    together = interval(copies, 4_000, 0.95, groups=groups)
    apart = interval(copies, 4_000, 0.95)
    assert together.mean == pytest.approx(alone.mean)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.01)
    assert apart.high - apart.low < (alone.high - alone.low) / 2
    assert interval(values, 4_000, 0.95, groups=[0] * 30) == alone  # one group: each task by itself


def test_groups_of_different_sizes_and_many_tasks() -> None:
    """A task counts as much as any other; draws that do not fit into memory are made in parts."""
    found = interval([0.0] * 90 + [100.0] * 10, 500, 0.95, groups=[0] * 90 + list(range(1, 11)))
    assert found.mean == 10
    many = intervals([[float(place % 2) for place in range(60_000)]], 900, 0.95)[0]
    assert many.low < 0.5 < many.high < many.low + 0.01


def test_a_difference_is_paired_and_shown_only_without_zero_in_its_interval() -> None:
    """Scores far apart from task to task, but with the same small gain in each, show it."""
    drawn = random.Random(3)
    words = [f"w{place}" for place in range(40)]
    tasks = [task(place, " ".join(words)) for place in range(40)]
    known = [drawn.randrange(5, 30) for _ in tasks]
    less = [" ".join(words[:count]) for count in known]
    more = [" ".join(words[: count + 2]) for count in known]
    found = evaluated(tasks, less=less, more=more, same=less)
    one, none = found["differences"][0], found["differences"][1]
    assert (one["before"], one["after"], one["metric"]) == ("less", "more", "rouge_l")
    assert one["shown"] and 0 < one["low"] < one["mean"] < one["high"]
    wide = found["models"]["less"]["scores"]["rouge_l"]
    assert wide["high"] - wide["low"] > 4 * (one["high"] - one["low"])
    assert (none["mean"], none["shown"]) == (0, False)


def test_length_held_equal() -> None:
    """The longer answer has the same first words: the whole difference is of length, and none is left."""
    tasks = [task(place, f"alpha beta gamma delta {place}") for place in range(12)]
    short = [f"alpha beta gamma delta {place}" for place in range(12)]
    found = evaluated(tasks, short=short, long=[f"{one} {'and so on ' * 10}" for one in short])
    one = found["differences"][0]
    assert one["mean"] < -50 and one["shown"]
    assert (one["at_equal_length"]["mean"], one["at_equal_length"]["shown"]) == (0, False)
    assert one["at_reference_length"]["mean"] == 0
    long = found["models"]["long"]
    assert long["at_reference_length"]["rouge_l"]["mean"] == 100 > 2 * long["scores"]["rouge_l"]["mean"]
    assert (long["words"], found["models"]["short"]["words"], found["words_of_references"]) == (35, 5, 5)
    assert any(
        "the answers of short are 0.14 times as long as those of long (5 and 35 words). At equal length, the "
        "difference of long to short in ROUGE-L is +0.0 (+0.0 to +0.0), no difference shown, instead of -"
        in note
        for note in found["notes"]
    )


def test_a_gain_in_content_stays_at_equal_length() -> None:
    """Tasks without an answer are left out of it, and counted."""
    tasks = [task(place, "one two three four five six") for place in range(12)]
    poor = ["seven eight", *["one eight nine"] * 11]
    rich = [None, *["one two three four five"] * 11]
    equal = evaluated(tasks, poor=poor, rich=rich)["differences"][0]["at_equal_length"]
    assert equal["tasks"] == 11 and equal["shown"]
    assert equal["mean"] == pytest.approx(200 * (3 - 1) / (3 + 6))


def test_lengths_of_a_language_without_spaces_are_in_characters() -> None:
    """Also where texts are cut."""
    tasks = [task(place, "東京は日本の首都") for place in range(3)]
    found = evaluated(tasks, {"language": "ja"}, model=["東京は 日本の首都です"] * 3)
    assert found["metrics"] == ["rouge_l_characters", "chrf"]
    model = found["models"]["model"]
    assert (found["unit"], model["words"], found["words_of_references"]) == ("characters", 10, 8)
    assert model["at_reference_length"]["rouge_l_characters"]["mean"] == 100
    assert cut("東 京は 日本", 3, "characters") == "東 京は" and length("東 京は", "characters") == 3


def test_which_tasks_ask_for_a_label() -> None:
    """The file says so, or the references of a category or an instruction are few labels."""
    sentiment = [
        task(place, ("Positive", "negative.", "neutral")[place % 3], category="mood") for place in range(12)
    ]
    open_ones = [task(place, category="talk") for place in range(20, 40)]
    assert labelled([*sentiment, *open_ones]) == [True] * 12 + [False] * 20
    assert labelled(sentiment[:7]) == [False] * 7  # too few to tell
    shared = [task(place, ("yes", "no")[place % 2], instruction="Is it so?") for place in range(8)]
    assert labelled(shared) == [True] * 8
    assert labelled([task(0, classification=True), task(1, "yes", classification=False)]) == [True, False]


def test_exact_match_counts_tasks_of_classification_alone() -> None:
    """It is scored by itself where there are some; asked for where there are none, all tasks count."""
    labels = [task(place, ("yes", "no")[place % 2], category="label") for place in range(10)]
    others = [task(place, category="open") for place in range(10, 15)]
    tasks = [*labels, *others]
    found = evaluated(tasks, a=["Yes."] * 15)
    assert (found["metrics"], found["classification"]) == (["rouge_l", "exact_match"], 10)
    model = found["models"]["a"]
    assert (model["scores"]["exact_match"]["mean"], model["scores"]["exact_match"]["tasks"]) == (50, 10)
    assert model["scores"]["rouge_l"]["tasks"] == 15
    assert (
        "exact_match" not in model["categories"]["open"] and model["categories"]["label"]["exact_match"] == 50
    )
    asked = evaluated(others, {"metrics": ["exact_match"]}, a=["number 10 it is"] * 5)
    assert asked["models"]["a"]["scores"]["exact_match"] | {"low": 0, "high": 0} == {
        "mean": 20,
        "tasks": 5,
        "low": 0,
        "high": 0,
    }


def test_categories_have_intervals_from_ten_tasks_on() -> None:
    """The largest category is first."""
    tasks = [task(place, category="small" if place < 4 else "large") for place in range(16)]
    found = evaluated(tasks, a=[one.references[0] for one in tasks[:8]] + ["x"] * 8)["models"]["a"][
        "categories"
    ]
    assert list(found) == ["large", "small"]
    assert (found["small"], found["large"]["tasks"]) == ({"tasks": 4, "rouge_l": 100}, 12)
    assert found["large"]["intervals"]["rouge_l"]["low"] < found["large"]["rouge_l"]


def test_notes() -> None:
    """Few tasks, tasks that share instructions, answers that are empty, and many models."""
    one = task(1)
    few = evaluated([one] * 4, a=["x", "", "", None])
    assert few["notes"] == [
        "with fewer than 10 tasks, the intervals mean little",
        "3 of 4 answers of a are empty; these count 0",
    ]
    assert "all tasks share one instruction" in evaluated([one] * 12, a=["x"] * 12)["notes"][0]
    pairs = [task(place // 2) for place in range(12)]
    assert "only 6 different instructions" in evaluated(pairs, a=["x"] * 12)["notes"][0]
    pairs = [task(place // 2) for place in range(40)]
    assert "drawn together: 20 instructions, 40 tasks" in evaluated(pairs, a=["x"] * 40)["notes"][0]
    texts: dict[str, Any] = {f"m{place}": ["a b c"] * 12 for place in range(8)}
    many = evaluated([task(place) for place in range(12)], **texts)
    assert many["notes"] == [
        "of 28 differences, about 1 would be shown by chance alone if no model were better than another "
        "(intervals of 95%)"
    ]


def test_nothing_is_scored_without_metrics() -> None:
    """For answers that are only judged."""
    tasks = [task(place) for place in range(12)]
    tasks = [Task(one.id, one.instruction, "", (), "") for one in tasks]
    found = evaluated(tasks, {"metrics": None}, a=["x"] * 12, b=["x y z"] * 12)
    assert (found["metrics"], found["differences"], found["models"]["a"]["scores"]) == ([], [], {})
    assert found["models"]["a"]["words"] == 1
    assert shown(found)


def shown(result: dict[str, Any], width: int = 80) -> list[str]:
    """The lines on a terminal of so many columns."""
    file = io.StringIO()
    show(result, Path("evaluations/x/evaluation.json"), Console(file=file, width=width))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("models", [2, 8])
def test_the_tables_fit_80_columns(models: int) -> None:
    """With long names; every model is there, and no figure is broken."""
    tasks = [task(place, category=("writing", "cooking")[place % 2]) for place in range(20)]
    names = [f"runs-with-a-long-name-{place}" for place in range(models)]
    texts: dict[str, Any] = {name: ["number it is " * (1 + place)] * 20 for place, name in enumerate(names)}
    found = evaluated(tasks, **texts)
    lines = shown({**found, "failed": {"third": "no answer"}})
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert all("…" not in line for line in lines)
    assert "ROUGE-L, 0 to 100, with 95% intervals" in text and "third failed: no answer" in text
    score = found["models"][names[0]]["scores"]["rouge_l"]
    assert f"{score['mean']:.1f}  {score['low']:.1f} to {score['high']:.1f}" in text
    assert "ROUGE-L by category" in text and ("8 - 7" in text) == (models == 8)


def test_no_difference_is_said() -> None:
    """In the table, where the interval has zero in it."""
    tasks = [task(place) for place in range(20)]
    right = [one.references[0] for one in tasks]
    found = evaluated(tasks, base=right, tuned=right, worse=["number"] * 20)
    rows = {line.split("  ")[0]: line for line in shown(found)}
    equal = "+0.0 (+0.0 to +0.0)"
    assert rows["tuned - base"].split("  ")[-3:] == [equal, "not shown", equal]
    assert "  shown  " in rows["worse - base"]
