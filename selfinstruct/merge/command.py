"""`selfinstruct merge RUN RUN …`: one run out of several, their records compared with each other."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from selfinstruct.api import Run, execute, write_report
from selfinstruct.errors import MISSED_STATUS, RunFolderError, UserError
from selfinstruct.merge.parts import Part, read_parts, refuse_differing
from selfinstruct.merge.recipe import ONCE, keys_of, recipe_of
from selfinstruct.merge.target import ANOTHER, folder_to_write
from selfinstruct.monitor.progress import Progress
from selfinstruct.monitor.terminal import console
from selfinstruct.project.layout import path_below
from selfinstruct.recipe.build import Recipe
from selfinstruct.report.ending import MISSED, last_line
from selfinstruct.report.writing import short
from selfinstruct.run_folder.claim import ELSEWHERE
from selfinstruct.show.merged_table import merged_table, paid_line

TO, UNFINISHED, DRY = "--to", "--unfinished", "--dry-run"
FOLDER = "runs/merged"
HELP = """\
selfinstruct merge: make one run out of several, with one dataset

  selfinstruct merge RUN RUN … [--to FOLDER] [--dry-run] [--unfinished] [KEY=VALUE …]

  RUN is the folder of a run. All runs need the same stages and fields, as runs of one recipe have, with
  other seeds, models, languages, or on other machines. No model is asked for a text, and the runs stay as
  they are. The result is a run folder, so show, review, export, push, finetune and evaluate take it, and so
  does merge.

  The filters that compare records (rouge_l, exact_duplicate, embedding_similarity, …) compare those of all
  runs, with the settings of the first run. The order is that of the runs as you name them: of two records
  that are too much alike, the one of the run named first stays. What was made from a record goes with it.
  Each record that is dropped is in rejected.jsonl, with both records and their runs.

  --to FOLDER     where to write (or run_dir=FOLDER); runs/merged by default
  --dry-run       only count what would be dropped, and write nothing
  --unfinished    take what unfinished runs have so far
  filters.…       other options of those filters; also export, license, report, review, budget, cache,
                  repair=true, and fresh=true, which sets aside what is in the folder

  selfinstruct merge runs/night1 runs/night2 runs/night3 --to runs/all
  selfinstruct merge runs/en runs/de filters.instructions.rouge_l.threshold=0.6 --dry-run
"""


@dataclass
class Asked:
    """What the arguments ask for.

    Attributes:
        runs: the folders of the runs, as typed.
        to: the folder to write, as typed.
        dry: whether to write nothing.
        unfinished: whether to take what unfinished runs have.
        overrides: the overrides.
    """

    runs: list[str] = field(default_factory=list)
    to: str = FOLDER
    dry: bool = False
    unfinished: bool = False
    overrides: list[str] = field(default_factory=list)


def main(arguments: list[str], project: Path) -> int:
    """Merge runs; return the exit status.

    Raises:
        UserError: if the runs cannot be merged, or the folder cannot be written.
    """
    asked, progress = parsed(arguments, project), Progress()
    with progress.busy("reading the runs"):
        parts = read_parts(asked.runs, project, asked.unfinished)
        refuse_differing(parts)
        lasting = _lasting(asked.overrides)
        to = folder_to_write(asked.to, parts, asked.dry or lasting != asked.overrides, project)
        keys = keys_of(parts, asked.overrides, to, project)
        recipe = recipe_of(keys, parts, project)
    for note in (*recipe.warnings, *_notes(parts)):
        progress.say(f"note: {note}")
    saved = _saved(keys, asked, recipe.name)
    if asked.dry:
        with tempfile.TemporaryDirectory(prefix="selfinstruct-merge-") as scratch:
            done = execute(recipe, Path(scratch) / "merged", progress, saved)
            _print(done.summary)
        print("nothing was written; without --dry-run this goes to " + asked.to)
        return 0
    try:
        done = execute(recipe, to, progress, saved)
    except RunFolderError as error:
        raise RunFolderError(str(error).replace(ELSEWHERE, ANOTHER)) from error
    _print(done.summary)
    print(f"\n{last_line(recipe, done.summary, Path(short(done.folder, project)))}")
    return _ended(recipe, done, progress, project)


def parsed(arguments: Sequence[str], project: Path) -> Asked:
    """What the arguments ask for.

    Raises:
        UserError: if they cannot be used.
    """
    asked, rest = Asked(), list(arguments)
    while rest:
        part = rest.pop(0)
        key, equals, value = part.partition("=")
        if key in (TO, "to", "run_dir"):
            asked.to = value if equals else rest.pop(0) if rest else ""
            if not asked.to or asked.to.startswith("-"):
                raise UserError(f"merge: {TO} needs the folder to write: {TO} {FOLDER}")
        elif part == DRY:
            asked.dry = True
        elif part == UNFINISHED:
            asked.unfinished = True
        elif part.startswith("~") or (equals and not path_below(project, part).exists()):
            asked.overrides.append(part)
        elif part.startswith("-"):
            raise UserError(f"merge: {part} is not an option; see selfinstruct merge --help")
        else:
            asked.runs.append(part)
    if len(asked.runs) < 2:
        raise UserError("merge takes the folders of two runs or more: selfinstruct merge runs/one runs/two")
    return asked


def _notes(parts: Sequence[Part]) -> Iterator[str]:
    """What the user should know about the runs."""
    licences = {part.name: part.config.get("license") for part in parts}
    if len(set(licences.values())) > 1:
        told = ", ".join(f"{licence or 'none'} of {name}" for name, licence in licences.items())
        yield f"the runs have different licences ({told}); the first counts, unless you set license=NAME"
    for one, other in combinations(parts, 2):
        if set(one.origins) & set(other.origins):
            yield (
                f"{one.words} and {other.words} have the records of one run in common; its costs are counted "
                "twice, and records that no filter compares stay twice"
            )
    for part in parts:
        if not part.finished:
            yield f"{part.words} is not finished; what it has now is taken"


def _saved(keys: Mapping[str, Any], asked: Asked, name: str) -> dict[str, str]:
    """The files of `.hydra/`: the composed config, and the command."""
    import yaml

    flags = [UNFINISHED] if asked.unfinished else []
    files = {
        "config.yaml": {**keys, "fresh": False, "repair": False},
        "overrides.yaml": ["merge", *asked.runs, *flags, *_lasting(asked.overrides)],
        "hydra.yaml": {"hydra": {"runtime": {"choices": {"recipe": name}}}},
    }
    return {file: yaml.safe_dump(one, sort_keys=False, allow_unicode=True) for file, one in files.items()}


def _lasting(overrides: Sequence[str]) -> list[str]:
    """The overrides without those for one start alone."""
    return [one for one in overrides if one.partition("=")[0] not in ONCE]


def _print(summary: Mapping[str, Any]) -> None:
    facts = summary["merged"]
    console(sys.stdout).print(merged_table(facts))
    print(paid_line(facts))


def _ended(recipe: Recipe, done: Run, progress: Progress, project: Path) -> int:
    page = write_report(recipe, done, progress)
    if page:
        print(f"report: {short(page, project)}")
    return MISSED_STATUS if done.summary["state"] == MISSED else 0
