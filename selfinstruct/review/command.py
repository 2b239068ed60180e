"""`selfinstruct review RUN`: opens the page, and says at the end what was saved and how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from selfinstruct.config import QuestionConfig, ReviewConfig
from selfinstruct.errors import RecipeError, UserError, unknown
from selfinstruct.monitor.progress import Progress
from selfinstruct.recipe.again import sections
from selfinstruct.registry import validate
from selfinstruct.review.server import LOOPBACK, bound, browser_opens, heard, refuse_missing, serve
from selfinstruct.review.store import name_of
from selfinstruct.run_folder.opened import OpenedRun, opened, run_of

HELP = """\
selfinstruct review: judge a sample of the records of a run on a local page

  selfinstruct review RUN [--sample N] [--name NAME] [--overlap N] [--port P] [--no-browser] [KEY=VALUE …]
  selfinstruct review RUN --release NAME

  selfinstruct review runs/paper                       200 records, with the paper's three questions
  selfinstruct review runs/paper --sample 500          more; those reviewed before are part of it
  selfinstruct review runs/paper --overlap 20          20 records go to every reviewer: agreement is measured
  selfinstruct review runs/paper review=mine           the questions of conf/review/mine.yaml

  --sample N      how many records to review (200); drawn at random, and always the same ones
  --name NAME     the reviewer; without it the page asks, and several people can review at once
  --overlap N     how many records of the sample go to all reviewers (0); the others go to one each
  --release NAME  no page: the records that NAME has not finished go to those who ask next; answers stay
  --port P        the port of the page (a free one)
  --no-browser    only print the address; over ssh, with --port P, from here: ssh -L P:127.0.0.1:P HOST

  The page is only for this machine, and for who has the address that is printed. It shows one record at a
  time; each answer is stored in the run's journal at once. Keys: those of the answers, u undoes, c comments,
  e edits the record (kept beside the original), arrows go back and forth, ? shows the keys. The run may be at
  work meanwhile. Ctrl-C ends the review; the same command continues it.
"""
SAMPLE = 200  # as in the paper
EVALUATION = "evaluation.json"  # beside the run, if `evaluate` has made it for people to judge
NAMES = ("--name", "--release")
NUMBERS = {"--sample": (1, 1_000_000), "--overlap": (0, 1_000_000), "--port": (0, 65_535)}


@dataclass(frozen=True)
class Asked:
    """The arguments of the command."""

    run: str
    sample: int = SAMPLE
    overlap: int = 0
    port: int = 0
    name: str = ""
    release: str = ""
    browser: bool = True
    overrides: list[str] = field(default_factory=list)


def main(arguments: list[str], project: Path) -> int:
    """Review a run until Ctrl-C; return the exit status.

    Raises:
        UserError: if the arguments, the run or the questions cannot be used.
    """
    asked = arguments_of(arguments)
    path = run_of(asked.run, project, "review")
    if asked.release:
        print(released(asked, path, project))
        return 0
    refuse_missing()
    with site_of(asked, path, project) as (application, listening, address, desk):
        begun = saved(desk.reviews.all())
        with heard() as stop:
            print(f"review of {asked.run}: {len(desk.material.sample):,} records of {desk.material.stage}")
            print(f"  {address}\n  Ctrl-C ends it; each answer is stored at once", flush=True)
            if asked.browser and browser_opens():
                import webbrowser

                webbrowser.open(address)
            serve(application, listening, stop)
        then, now = following(asked, path)[0], saved(desk.reviews.all())
        print(f"\n{last_words(arguments, begun, now, desk.progress(''), then)}")
    return 0


@contextmanager
def site_of(asked: Asked, path: Path, project: Path) -> Iterator[tuple[Any, Any, str, Any]]:
    """The application, the socket, the address with the token, and the desk.

    Raises:
        UserError: if the run, the questions or the port cannot be used.
    """
    from selfinstruct.review.app import application
    from selfinstruct.review.desk import Desk
    from selfinstruct.review.guard import Guard
    from selfinstruct.review.material import read_material
    from selfinstruct.review.store import open_reviews
    from selfinstruct.review.visit import Site

    with opened(path, project) as run:  # what is wrong with the run or the config is found first
        questions = questions_of(run, asked.overrides, project)
    with Progress().busy("reading the journal"), open_reviews(path) as reviews, opened(path, project) as run:
        material = read_material(run, reviews.given(), asked.sample)
        desk = Desk(reviews, material, questions, asked.overlap)
        with bound(asked.port) as listening:
            port, token = listening.getsockname()[1], token_urlsafe(24)
            name = path.resolve().name
            site = Site(run, name, asked.run, desk, asked.name, Guard(token, port), following(asked, path))
            yield application(site), listening, f"http://{LOOPBACK}:{port}/?token={token}", desk


def released(asked: Asked, path: Path, project: Path) -> str:
    """Free the records that a reviewer has not finished; return what to say about it.

    Raises:
        UserError: if nobody of this name was given a record.
    """
    from selfinstruct.review.desk import complete
    from selfinstruct.review.store import open_reviews

    with opened(path, project) as run:
        questions = questions_of(run, asked.overrides, project)
    with open_reviews(path) as reviews:
        given = reviews.given()
        if asked.release not in given:
            raise UserError("--release: " + "; ".join(unknown("reviewer", asked.release, given)))
        freed = reviews.release(asked.release, lambda review: complete(questions, review))
    what = f"{len(freed):,} {'record' if len(freed) == 1 else 'records'} of {asked.release}"
    return f"{what} {'is' if len(freed) == 1 else 'are'} free for other reviewers; no answer was changed"


def arguments_of(arguments: list[str]) -> Asked:
    """The arguments as typed: `--sample 50` or `--sample=50`.

    Raises:
        UserError: if one of them cannot be used.
    """
    found: dict[str, Any] = {"overrides": []}
    rest = list(arguments)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option == "--no-browser" and not equals:
            found["browser"] = False
        elif option in (*NUMBERS, *NAMES):
            if not equals and not rest:
                raise UserError(f"{option} needs a value")
            given = value if equals else rest.pop(0)
            found[option[2:]] = name_of(given) if option in NAMES else _number(option, given)
        elif option.startswith("--"):
            known = [*NUMBERS, *NAMES, "--no-browser"]
            raise UserError("review: " + "; ".join(unknown("option", option, known)))
        elif equals or option.startswith("~"):
            found["overrides"].append(option + equals + value)
        elif "run" in found:
            raise UserError(f"review takes one RUN, not also {option!r}")
        else:
            found["run"] = option
    if "run" not in found:
        raise UserError("review takes the folder of a run: selfinstruct review runs/NAME")
    return Asked(**found)


def _number(option: str, given: str) -> int:
    low, high = NUMBERS[option]
    if not given.isascii() or not given.isdecimal() or not low <= int(given[:9]) <= high:
        raise UserError(f"{option} is a whole number from {low} to {high:,}, not {given!r}")
    return int(given)


def questions_of(run: OpenedRun, overrides: list[str], project: Path) -> Mapping[str, QuestionConfig]:
    """The questions of a run, or those chosen now; for a run of before there were any, the paper's.

    Raises:
        UserError: if they cannot be used; the message says what to change.
    """
    saved: Mapping[str, Any] = run.config
    if not saved.get("review"):
        saved = {**saved, **sections({}, ["review=paper"], project, ["review"])}
    chosen = sections(saved, overrides, project, ["review"])["review"]
    if chosen is None:
        raise UserError("review: there are no questions; choose some: review=paper")
    config, faults = validate(ReviewConfig, chosen, "review")
    if faults:
        raise RecipeError(faults, notes=["the questions of a review: conf/review/NAME.yaml, by review=NAME"])
    found: Mapping[str, QuestionConfig] = config.questions
    return found


def following(asked: Asked, path: Path) -> list[tuple[str, str]]:
    """What to do after a review: words and a command."""
    run = shlex.quote(asked.run)
    if (path.parent / EVALUATION).is_file():  # people judge the answers of models
        evaluation = shlex.quote(str(Path(asked.run).parent))
        return [
            ("The results of the models", f"selfinstruct evaluate {evaluation}"),
            ("Measure agreement with a second reviewer", f"selfinstruct review {run} --overlap 20"),
        ]
    chosen = "".join(f" {shlex.quote(one)}" for one in asked.overrides)  # such as review=mine
    return [
        ("The figures in the report", f"selfinstruct report {run}{chosen}"),
        (
            "Only the good records, with your edits",
            f"selfinstruct export {run} 'export=[chat]' 'export.chat.where={{review: ok}}'{chosen}",
        ),
        ("Go on, with more records", f"selfinstruct review {run} --sample {2 * asked.sample}{chosen}"),
        (
            "Measure agreement with a second reviewer",
            f"selfinstruct review {run} --sample {asked.sample} --overlap 20{chosen}",
        ),
    ]


def saved(reviews: Mapping[str, Mapping[str, Any]]) -> int:
    """How many reviews have an answer, an edit or a note."""
    return sum(
        bool(review["answers"] or review["edit"] or review["note"])
        for of in reviews.values()
        for review in of.values()
    )


def last_words(
    arguments: list[str], begun: int, now: int, progress: Mapping[str, int], then: tuple[str, str]
) -> str:
    """The last lines: what was saved, and how to go on, or what to do when all is reviewed."""
    more = f" ({now - begun:,} of them now)" if now > begun else ""
    what = f"{now:,} {'review is' if now == 1 else 'reviews are'} saved{more}; "
    what += f"{progress['done']:,} of {progress['size']:,} records are finished."
    if progress["done"] >= progress["size"]:
        return f"{what}\n  {then[0][0].lower()}{then[0][1:]}: {then[1]}"
    return f"{what}\n  to go on: {shlex.join(['selfinstruct', 'review', *arguments])}"
