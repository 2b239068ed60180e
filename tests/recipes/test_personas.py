"""Lines drawn into prompts, such as personas: which, where they are told, what can be wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Typed, lines
from killing import data, start, stored
from results import prompts_of, requests_of

from selfinstruct.project.layout import packaged

PEOPLE = ["A baker of 50 who sings.", "A pilot, 31, with two cats.", "A retired judge who paints boats."]
MINE = ("recipe=paper", "model=scripted", "+pipeline.instructions.lines={person: people.txt}")
SHOWN = (
    "prompts.instructions.template='{{ person }}\n\n{% for one in examples %}{{ loop.index }}. "
    "{{ one.instruction | one_line }}\n{% endfor %}{{ examples | length + 1 }}.'"
)


@pytest.fixture
def people(project: Path) -> Path:
    """A file of personas, with a comment and an empty line, as an editor on Windows leaves it."""
    path = project / "people.txt"
    path.write_bytes(("# People.\r\n\r\n" + "\r\n".join(PEOPLE) + "\r\n").encode())
    return path


def ran(typed: Typed, *arguments: str) -> None:
    """Run a recipe to its end."""
    status, out, err = typed(*arguments)
    assert status == 0, out + err


def test_each_request_draws_a_line_and_its_records_have_it(typed: Typed, project: Path, people: Path) -> None:
    """Accepted or rejected, a candidate says whose request it came from; every line has its turn."""
    strict = "filters.instructions.rouge_l.threshold=0.4"
    assert typed(*MINE, SHOWN, "target=60", strict, "run_dir=run")[0] == 4  # it has no 60 that differ so much
    asked = prompts_of(project / "run", "instructions")
    drawn = {number: prompt.split("\n")[0] for number, prompt in asked.items()}
    assert set(drawn.values()) == set(PEOPLE)
    accepted = lines(project / "run/instructions.jsonl")
    rejected = [row for row in lines(project / "run/rejected.jsonl") if row["stage"] == "instructions"]
    assert rejected
    assert all(row["person"] == drawn[row["request"]] for row in accepted)
    assert all(row["detail"]["person"] == drawn[int(row["id"].split("-")[1])] for row in rejected)
    assert all("person" not in row["record"] for row in rejected)


def test_another_seed_draws_other_lines(typed: Typed, project: Path, people: Path) -> None:
    """And two files are drawn from by themselves."""
    (project / "moods.txt").write_text("".join(f"Mood {number}.\n" for number in range(50)), encoding="utf-8")
    two = "+pipeline.instructions.lines={person: moods.txt, mood: moods.txt}"
    shown = SHOWN.replace("{{ person }}", "{{ person }} {{ mood }}")
    for seed in (0, 1):
        ran(typed, *MINE[:2], two, shown, f"seed={seed}", "target=30", f"run_dir=run{seed}")
    first, second = (
        [prompt.split("\n")[0] for prompt in prompts_of(project / run, "instructions").values()]
        for run in ("run0", "run1")
    )
    assert first != second
    assert any(one.split(". ")[0] != one.split(". ")[1].rstrip(".") for one in first)


def test_the_same_bytes_however_it_was_run(typed: Typed, project: Path, people: Path) -> None:
    """At any concurrency, grown step by step, and across kills."""
    words = (*MINE, SHOWN)
    ran(typed, *words, "target=40", "run_dir=one", "model.concurrency=1")
    ran(typed, *words, "target=40", "run_dir=many", "model.concurrency=64", "model.options.delay=0.02")
    for target in (3, 17, 40):
        ran(typed, *words, f"target={target}", "run_dir=grown")
    for replies in (2, 5):
        slow = ("target=40", "model.options.delay=0.4", "model.concurrency=1", "run_dir=killed")
        process = start(project, *words, *slow)
        while process.poll() is None and len(stored(project / "killed")) < replies:
            pass
        assert process.poll() is None, "it came to its end before it was killed"
        process.kill()
        process.communicate()
    ran(typed, *words, "target=40", "run_dir=killed")
    runs = [data(project / name) for name in ("one", "many", "grown", "killed")]
    assert all(run == runs[0] for run in runs)


def test_another_file_is_another_run(typed: Typed, project: Path, people: Path) -> None:
    """What is in the file shapes the data; its comments, its name and its line ends do not."""
    ran(typed, *MINE, SHOWN, "target=5", "run_dir=run")
    moved = project / "others.txt"
    moved.write_text("# The same people.\n" + "\n".join(PEOPLE), encoding="utf-8")
    same = (*MINE[:2], "+pipeline.instructions.lines={person: others.txt}", SHOWN, "target=6", "run_dir=run")
    ran(typed, *same)
    moved.write_text("\n".join([*PEOPLE, "A diver."]), encoding="utf-8")
    status, _, err = typed(*same)
    assert status == 1
    assert "pipeline.instructions.lines.person (contents)" in err
    assert "fresh=true" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "pipeline.instructions.lines.person: there is no file people.txt"),
        (b"", "people.txt: has no line to draw"),
        (b"# Nobody yet.\n\n", "people.txt: has no line to draw"),
        ("Ein Bäcker.\n".encode("latin-1"), "people.txt: is not UTF-8 at byte 5 (line 1"),
        ("A baker.\n".encode("utf-16"), "people.txt: is not UTF-8 but UTF-16"),
    ],
)
def test_a_file_that_cannot_be_drawn_from(
    typed: Typed, project: Path, content: bytes | None, said: str
) -> None:
    """Found before the first request, with the file and what to do."""
    if content is not None:
        (project / "people.txt").write_bytes(content)
    status, _, err = typed("check", *MINE, SHOWN)
    assert status == 1
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["+pipeline.instructions.lines={examples: people.txt}"],
            "templates cannot use this name",
        ),
        (["+pipeline.instructions.lines={a-b: people.txt}"], "templates cannot use this name"),
        (["+pipeline.instructions.lines={header: people.txt}"], "'header' is a field of the records too"),
        (["+pipeline.instructions.lines={person: poeple.txt}"], "did you mean 'people.txt'?"),
        (["+pipeline.instances.lines={person: people.txt}"], "pipeline.instances.lines: unknown key 'lines'"),
    ],
)
def test_a_name_that_cannot_be_used(
    typed: Typed, project: Path, people: Path, words: list[str], said: str
) -> None:
    """The key, and the remedy."""
    status, _, err = typed("check", *MINE[:2], *words)
    assert status == 1
    assert said in err


def test_a_line_that_no_template_shows_is_told(typed: Typed, project: Path, people: Path) -> None:
    """It would be drawn and change nothing."""
    status, out, _ = typed("check", *MINE)
    assert status == 0
    assert "lines.person: no template of prompts.instructions shows it as {{ person }}" in out
    status, out, _ = typed("check", *MINE, SHOWN)
    assert "lines.person" not in out
    assert "one of 3 lines" in out


def test_the_shipped_recipe_asks_as_sixty_people(typed: Typed, project: Path) -> None:
    """Each prompt has one of them after what never changes; the rest is the recipe chat's."""
    replies = f"model.options.replies={Path(__file__).parents[1] / 'replies/en.jsonl'}"
    ran(typed, "recipe=personas", "model=scripted", "model.mode=chat", replies, "target=10", "run_dir=run")
    text = (packaged() / "seeds/personas_en.txt").read_text(encoding="utf-8")
    people = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(people) == len(set(people)) == 60
    asked = requests_of(project / "run", "instructions").values()
    shown = [one.prompt.split("brings to an assistant: ")[1].split("\n")[0] for one in asked]
    assert asked and set(shown) <= set(people)
    assert len({one.system for one in asked}) == 1
    assert {row["persona"] for row in lines(project / "run/instructions.jsonl")} <= set(people)
    assert all("persona" not in row for row in lines(project / "run/instances.jsonl"))
