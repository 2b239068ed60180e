"""A project whose scripted model answers with real instructions: a large run of the pipeline at no cost.

    python tests/bench/corpus.py FOLDER 10000
    cd FOLDER && selfinstruct recipe=corpus run_dir=run target=10000

FOLDER gets a recipe, the paper's seeds and the replies; what it prints is what to run. No model writes these
texts. Instructions come seven to a reply: Alpaca's first 10,000 and the paper's 252 user tasks, mixed, and
after each tenth a near copy of it, in which a few words are exchanged, so that the threshold of ROUGE-L
matters where it is high, too. When they are used up they come again with half of their words exchanged. A
fifth of them are called classification, whatever they say, and the instances are those of the paper's own
tasks, one to three to a reply. All draws are from a generator seeded 0.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
A_REPLY = 7  # as many as the paper's prompt has room for
SPARE = 2.5  # so many instructions for one to accept
CLASSIFICATION = 0.22  # 11,584 of the paper's 52,445
RECIPE = """\
# {size:,} real instructions through the whole pipeline, answered from replies.jsonl; no model writes them.
#
#   selfinstruct recipe=corpus run_dir=run target={size}
defaults:
  - override /model: scripted

seeds: {{path: seeds/corpus.jsonl}}
model: {{options: {{replies: replies.jsonl}}}}
cache: "off"
"""


def write_corpus(folder: Path, size: int) -> list[str]:
    """Write the project; the overrides that make `size` instructions of it.

    Args:
        folder: where to write; it is made where it does not exist.
        size: of the instructions to accept.
    """
    rng = random.Random(0)
    seeds, users = rows("seed_tasks"), rows("user_oriented_instructions")
    for name in ("recipes", "seeds"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "recipes/corpus.yaml").write_text(RECIPE.format(size=size), encoding="utf-8")
    write(folder / "seeds/corpus.jsonl", seeds)
    texts = list(islice(instructions(rng, users), int(SPARE * size)))
    instances = [instance for task in [*seeds, *users] for instance in task["instances"]]
    labelled = [instance for task in seeds if task["is_classification"] for instance in task["instances"]]
    write(folder / "replies.jsonl", [*listed(texts), *answered(rng, size, instances, labelled)])
    return ["recipe=corpus", "run_dir=run", f"target={size}"]


def instructions(rng: random.Random, users: list[dict[str, Any]]) -> Iterator[str]:
    """Instructions without end, each on one line."""
    tasks = [*rows("alpaca_instructions_10k"), *users]
    rng.shuffle(tasks)
    texts = [" ".join(task["instruction"].split()) for task in tasks]
    words = [word for text in texts for word in text.split()]
    for place, text in enumerate(texts, 1):
        yield text
        if place % 10 == 0:
            yield exchanged(rng, text, words, rng.uniform(0.1, 0.4))
    while True:
        for text in texts:
            yield exchanged(rng, text, words, 0.5)


def exchanged(rng: random.Random, text: str, words: list[str], share: float) -> str:
    """The text, each of its words but the first replaced with a probability by a word drawn from all."""
    first, *rest = text.split()
    return " ".join([first, *(rng.choice(words) if rng.random() < share else word for word in rest)])


def listed(texts: list[str]) -> Iterator[dict[str, Any]]:
    """Replies of numbered lists, which go on from the prompt's ninth number."""
    for number, start in enumerate(range(0, len(texts), A_REPLY), 1):
        first, *rest = texts[start : start + A_REPLY]
        items = [f" {first}", *(f"{place}. {text}" for place, text in enumerate(rest, 10))]
        yield {"stage": "instructions", "number": number, "reply": "\n".join(items)}


def answered(
    rng: random.Random, size: int, instances: list[dict[str, str]], labelled: list[dict[str, str]]
) -> Iterator[dict[str, Any]]:
    """For each instruction whether it is classification, and instances in the shape then asked for."""
    for number in range(1, size + 1):
        label = rng.random() < CLASSIFICATION
        yield {"stage": "classification", "number": number, "reply": " Yes" if label else " No"}
        drawn = rng.sample(labelled if label else instances, rng.choice([1, 1, 1, 2, 3]))
        blocks = [
            f"Class label: {one['output']}\n{one['input']}"
            if label
            else f"Example {place}\n{one['input']}\nOutput: {one['output']}"
            for place, one in enumerate(drawn, 1)
        ]
        yield {"stage": "instances", "number": number, "reply": "\n".join(blocks)}


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of one of the shared files."""
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write rows as JSONL."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Write the project named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="where to write the project")
    parser.add_argument("size", type=int, help="instructions to accept")
    given = parser.parse_args()
    print("selfinstruct", *write_corpus(given.folder, given.size))


if __name__ == "__main__":
    main()
