"""A large finished run, made through the journal, for the benchmarks of what people do with a run.

    python tests/bench/big_run.py runs/big         # 52,000 instructions, 80,000 instances
    python tests/bench/big_run.py runs/small --instructions 500 --instances 800

It is a run of `chat` as the runner leaves it: seed tasks, prompts with examples, replies, accepted and
rejected candidates with the details of the checks, labels, costs and files. Its texts are drawn from word
lists, the same ones each time.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfinstruct.journal.store import FINISHED, Journal
from selfinstruct.monitor.events import EVENTS, Events
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import ACCEPTED, Record, Rejection, Reply, Request
from selfinstruct.report.files import write_files
from selfinstruct.run_folder.folder import RunFolder, open_folder
from selfinstruct.run_folder.outline import store_outline

VERBS = (
    *("Write", "Explain", "Summarize", "Translate", "List", "Describe", "Compare", "Rewrite", "Classify"),
    *(
        "Find",
        "Suggest",
        "Plan",
        "Draft",
        "Correct",
        "Name",
        "Sort",
        "Answer",
        "Compose",
        "Outline",
        "Design",
    ),
)
OBJECTS = (
    *("a letter", "a poem", "the recipe", "a story", "the sentence", "an email", "the reasons", "a question"),
    *(
        "the difference",
        "a plan",
        "the paragraph",
        "a title",
        "the steps",
        "a review",
        "an example",
        "a list",
    ),
)
THINGS = (
    *("harbour", "orchard", "violin", "glacier", "ferry", "compass", "quarry", "kettle", "lantern", "museum"),
    *("bicycle", "garden", "library", "bakery", "bridge", "train", "school", "market", "theatre", "clinic"),
    *("island", "mountain", "river", "castle", "factory", "kitchen", "office", "workshop", "station", "farm"),
)
PEOPLE = ("a child", "a new colleague", "tourists", "a landlord", "students", "a neighbour", "beginners")
FILLERS = ("quietly", "carefully", "slowly", "often", "early", "together", "outside", "again", "at noon")
PER_REPLY = 6  # candidates of a reply of the first stage; about every third one is rejected
MODEL = "gpt-4o-mini-2024-07-18"


def make(folder: Path, instructions: int = 52_000, instances: int = 80_000) -> Path:
    """Make the folder of a finished run; it must not exist yet.

    Args:
        folder: the run folder.
        instructions: how many instructions are accepted.
        instances: how many instances are accepted, at least one an instruction if there are as many.
    """
    keys = ["recipe=chat", "model=scripted", "model.mode=chat", f"target={instructions}"]
    keys.append("filters.instructions.rouge_l.keep_similar=3")
    composed = compose(keys, folder.parent)
    recipe = composed.recipe()
    with open_folder(recipe, folder) as opened:
        opened.keep_settings(composed.saved)
        store_outline(opened.journal, recipe)
        fill(opened.journal, recipe, instructions, instances)
        finish(opened, recipe)
    return folder


def fill(journal: Journal, recipe: Recipe, instructions: int, instances: int) -> None:
    """Store the requests, replies and candidates of all three stages."""
    rng = random.Random(0)
    made = _tasks(journal, rng, [seed.id for seed in recipe.seeds.tasks], instructions)
    _labels(journal, rng, made)
    _instances(journal, rng, made, instances)
    for stage, seconds in (("instructions", 5200.0), ("classification", 800.0), ("instances", 9100.0)):
        journal.add_seconds(stage, seconds)


def finish(folder: RunFolder, recipe: Recipe) -> None:
    """Write the files of a finished run."""
    events = Events(folder.path / EVENTS)
    events.tell("run", recipe=recipe.name, state="ends", finished=True)
    events.close()
    folder.journal.set_meta("target", recipe.config.target)
    folder.journal.set_meta(FINISHED, True)
    write_files(recipe, folder, True)


def _tasks(journal: Journal, rng: random.Random, seeds: list[str], count: int) -> list[Record]:
    """The accepted instructions; each reply also has candidates that the checks rejected."""
    accepted: list[Record] = []
    number = 0
    while len(accepted) < count:
        number += 1
        shown = rng.sample(seeds, 6) + [one.id for one in rng.sample(accepted, min(2, len(accepted)))]
        texts = [_instruction(rng, number * PER_REPLY + place) for place in range(PER_REPLY)]
        prompt = "Come up with new tasks.\n" + "".join(
            f"{place}. {id}\n" for place, id in enumerate(shown, 1)
        )
        request = Request("instructions", number, prompt, None, {"temperature": 0.7}, tuple(shown))
        records = []
        for place, text in enumerate(texts):
            record = Record(
                _id("instructions", number, place), "instructions", number, place, {"instruction": text}
            )
            _judge(record, rng, accepted, len(accepted) >= count)
            accepted += [record] if record.fate == ACCEPTED else []
            records.append(record)
        _answered(journal, request, json.dumps({"instructions": texts}), records, rng)
    return accepted


def _judge(record: Record, rng: random.Random, accepted: list[Record], full: bool) -> None:
    near = rng.choice(accepted).id if accepted else "general_en_001"
    drawn = rng.random()
    if full or drawn < 0.25:
        score = round(rng.uniform(0.7, 1), 4)
        record.reject(
            "rouge_l", Rejection(f"ROUGE-L {score:.2f} to {near}", {"nearest": near, "score": score})
        )
    elif drawn < 0.31:
        record.reject("length", Rejection("2 words, fewer than 3"))
    elif drawn < 0.34:
        record.reject("banned_words", Rejection("has the word image"))
    else:
        score = round(min(0.69, max(0.05, rng.gauss(0.38, 0.12))), 4)
        record.fate = ACCEPTED
        record.detail = {"most_similar": {near: score}, "average_similarity": round(score / 3, 4)}


def _labels(journal: Journal, rng: random.Random, made: list[Record]) -> None:
    for number, parent in enumerate(made, 1):
        labelled = {**parent.data, "is_classification": rng.random() < 0.15}
        request = Request(
            "classification", number, f"Task: {parent.data['instruction']}", None, {}, parent=parent.id
        )
        record = Record(
            _id("classification", number, 0), "classification", number, 0, labelled, parent.id, ACCEPTED
        )
        parent.data = labelled
        answer = {"is_classification": labelled["is_classification"]}
        _answered(journal, request, json.dumps(answer), [record], rng)


def _instances(journal: Journal, rng: random.Random, made: list[Record], count: int) -> None:
    """The accepted instances, spread evenly; about every twelfth candidate more is rejected."""
    for number, (parent, some) in enumerate(zip(made, _spread(count, len(made)), strict=True), 1):
        request = Request(
            "instances", number, f"Task: {parent.data['instruction']}", None, {}, parent=parent.id
        )
        records = []
        for place in range(some):
            fields = {
                "input": _sentences(rng, 2) if rng.random() < 0.6 else "",
                "output": _output(rng, parent.data),
            }
            id = _id("instances", number, place)
            records.append(
                Record(id, "instances", number, place, {**parent.data, **fields}, parent.id, ACCEPTED)
            )
        if rng.random() < 0.13:
            fields = {"input": "", "output": "Sorry, I can't help with that."}
            id = _id("instances", number, some)
            refused = Record(id, "instances", number, some, {**parent.data, **fields}, parent.id)
            refused.reject("refusals", Rejection("the output is a refusal"))
            records.append(refused)
        kept = [{key: one.data[key] for key in ("input", "output")} for one in records]
        _answered(journal, request, json.dumps({"instances": kept}), records, rng)


def _spread(count: int, among: int) -> Iterator[int]:
    for place in range(among):
        yield (place + 1) * count // among - place * count // among


def _answered(
    journal: Journal, request: Request, text: str, records: list[Record], rng: random.Random
) -> None:
    journal.sent([request])
    tokens = len(request.prompt) // 4 + 200, len(text) // 4
    cost = (tokens[0] * 0.15 + tokens[1] * 0.6) / 1e6
    journal.arrived(request, Reply(text, "stop", MODEL, *tokens, cost_usd=cost, seconds=rng.uniform(0.4, 3)))
    journal.take(request.stage, request.number, records)


def _id(stage: str, number: int, place: int) -> str:
    return f"{stage}-{number:06}-{place}"


def _instruction(rng: random.Random, nth: int) -> str:
    verb, thing, near = rng.choice(VERBS), rng.choice(THINGS), rng.choice(THINGS)
    where = f"about the {thing} near the {near}, for {rng.choice(PEOPLE)}"
    return f"{verb} {rng.choice(OBJECTS)} {where}, in {rng.randint(2, 90)} words (case {nth:,})."


def _sentences(rng: random.Random, count: int) -> str:
    parts = []
    for _ in range(count):
        where, who = f"{rng.choice(THINGS)} by the {rng.choice(THINGS)}", rng.choice(PEOPLE)
        waits = f"{who} wait {rng.choice(FILLERS)} at number {rng.randint(1, 9999)}"
        parts.append(f"The {where} opens {rng.choice(FILLERS)}, and {waits}.")
    return " ".join(parts)


def _output(rng: random.Random, data: dict[str, Any]) -> str:
    return (
        rng.choice(("yes", "no", "mixed"))
        if data["is_classification"]
        else _sentences(rng, rng.randint(1, 8))
    )


def main() -> None:
    """Make one and say how long it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--instructions", type=int, default=52_000)
    parser.add_argument("--instances", type=int, default=80_000)
    given = parser.parse_args()
    began = time.monotonic()
    make(given.folder.resolve(), given.instructions, given.instances)
    size = sum(path.stat().st_size for path in given.folder.rglob("*") if path.is_file())
    print(f"{given.folder}: {size / 1e6:,.0f} MB, made in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
