"""What the filters copied and repeated_output cost a candidate; run by hand.

    python tests/bench/copied.py             # copied, over the seed tasks: ten seconds
    python tests/bench/copied.py repeated    # repeated_output, up to 100,000 outputs: a minute or two

Microseconds of CPU time of one core. `copied` once for the prompts that are the same for each request (the
31 demonstrations of paper_en's classification, the instances of the chat sets), and once for those that draw
examples, whose cost is shared by the candidates of a reply. The outputs of `repeated` are made of 30,000
words by their rank, 8 to 150 of them; every tenth is one that came before.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.prompts.asked import FilledPrompt
from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
FIELDS = ["instruction", "input", "output"]
OUTPUTS, STEP = 100_000, 20_000


def rows(name: str) -> list[dict[str, Any]]:
    """The instances of a seed file."""
    tasks = [json.loads(line) for line in (SEEDS / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [{"instruction": task["instruction"], **one} for task in tasks for one in task["instances"]]


def made(name: str, **options: Any) -> Filter:
    """A check with these options."""
    check = FILTERS.build(name, options, name, [])
    assert check
    return check


def fixed(prompt: Prompt, data: list[dict[str, Any]]) -> float:
    """Microseconds a candidate that has input and output, where the prompt shows the same each time."""
    check = made("copied", fields=["input", "output"])
    assert check.each
    best = float("inf")
    for _ in range(5):
        records = [Record("a", "a", 1, 0, row) for row in data]
        for record in records:
            record.asked = FilledPrompt(prompt, {"instruction": record.data["instruction"]})
        start = time.process_time()
        for record in records:
            check.each(record)
        best = min(best, time.process_time() - start)
    return best / len(data) * 1e6


def drawn(prompt: Prompt, data: list[dict[str, Any]], examples: int, reply: int, fields: list[str]) -> float:
    """Microseconds a candidate, of so many in a reply, where each prompt shows other examples."""
    check, rng = made("copied", fields=fields), random.Random(1)
    assert check.each
    replies = []
    for _ in range(40):
        names = {"examples": rng.sample(data, examples)}
        asked = FilledPrompt(prompt, {}, lambda names=names: names)  # type: ignore[misc]  # names is bound at once
        replies.append([Record("a", "a", 1, 0, row, asked=asked) for row in rng.sample(data, reply)])
    start = time.process_time()
    for records in replies:
        for record in records:
            check.each(record)
    return (time.process_time() - start) / 40 / reply * 1e6


def copied(folder: Path) -> None:
    """Print what `copied` costs with each prompt."""

    def recipe(*words: str) -> Recipe:
        return compose([*words, "model=scripted"], folder).recipe()

    paper = recipe("recipe=paper")
    prompt = paper.stage("classification").prompts[0]
    print(f"paper_en classification, 31 demonstrations: {fixed(prompt, rows('general_en')):.0f}")
    for prompt in paper.stage("instances").prompts:
        shown = len(prompt.variables["demonstrations"])
        print(f"paper_en {prompt.name}, {shown} demonstrations: {fixed(prompt, rows('general_en')):.0f}")
    for name, language in (("chat", "en"), ("german", "de"), ("chinese", "zh"), ("japanese", "ja")):
        chat, data = recipe(f"recipe={name}"), rows(f"general_{language}")
        same = fixed(chat.stage("instances").prompts[1], data)
        tasks = drawn(chat.stage("instructions").prompts[0], data, 8, 8, ["instruction"])
        print(f"{name}: instances {same:.0f}, instructions with 8 examples and 8 in a reply {tasks:.0f}")
    tasks = drawn(recipe("recipe=alpaca").stage("tasks").prompts[0], rows("general_en"), 3, 17, FIELDS)
    print(f"alpaca: with 3 whole examples and 17 in a reply {tasks:.0f}")


def outputs() -> Iterator[str]:
    """Made-up outputs, every tenth of them one that came before."""
    rng = random.Random(1)
    words = [f"w{rank}" for rank in range(30000)]
    weights = list(accumulate(1 / (rank + 5) for rank in range(30000)))
    before: list[str] = []
    for number in range(OUTPUTS):
        text = " ".join(rng.choices(words, cum_weights=weights, k=rng.choice([8, 20, 60, 150])))
        before.append(rng.choice(before) if number % 10 == 9 else text)
        yield before[-1]


def repeated() -> None:
    """Print what `repeated_output` costs to ask and learn, as what it has learnt grows."""
    check, spent = made("repeated_output"), 0.0
    assert check.each
    assert check.learn
    for number, text in enumerate(outputs(), 1):
        record = Record(f"i-{number}", "i", number, 0, {"instruction": f"task {number}", "output": text})
        start = time.process_time()
        if check.each(record) is None:
            check.learn(record)
        spent += time.process_time() - start
        if number % STEP == 0:
            print(f"{number:7,} outputs: {spent / STEP * 1e6:.0f}", flush=True)
            spent = 0.0


if __name__ == "__main__":
    if sys.argv[1:] == ["repeated"]:
        repeated()
    else:
        with tempfile.TemporaryDirectory() as name:
            copied(Path(name))
