"""Plug-ins: really installed distributions, used by name through the command line in a child process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import lines, seed_file
from pages import script, shell

from selfinstruct.stages import STAGES

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "tests/plugin"
PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
OFFLINE = ["--no-index", "--no-deps", "--no-build-isolation"]
BROKEN = {  # distribution: its module, and its entry points as group, name and object
    "lacks-a-module": ("import surely_not_installed", [("filters", "halved", "{}:made")]),
    "misspells": ("def made(:", [("exports", "misspelt", "{}:made")]),
    "leaves": ("import sys; sys.exit(0)", [("parsers", "left", "{}:made")]),
    "one-twin": ("def made(*, field: str): ...", [("filters", "twin", "{}:made")]),
    "other-twin": ("def made(*, field: str): ...", [("filters", "twin", "{}:made")]),
    "claims-ours": ("def made(*, field: str): ...", [("filters", "phone_number", "{}:made")]),
    "odd-objects": (
        "made = 3\ndef placed(field: str): ...\ndef untyped(*, field): ...\ndef empty(*, field: str): ...\n"
        "def forward(*, field: 'Nowhere'): ...\ndef tokens(*, size: int): ...",
        [
            ("filters", "number", "{}:made"),
            ("filters", "absent", "{}:absent"),
            ("filters", "placed", "{}:placed"),
            ("filters", "untyped", "{}:untyped"),
            ("filters", "forward", "{}:forward"),
            ("filters", "makes_nothing", "{}:empty"),
            ("tokenizers", "sized", "{}:tokens"),
            ("filter", "astray", "{}:made"),
        ],
    ),
}


def install(target: Path, *sources: Path) -> Path:
    """Install distributions for real, into a folder of their own."""
    command = [*PIP, *OFFLINE, "--target", str(target), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the example plug-in is installed."""
    folder = tmp_path_factory.mktemp("example")
    source = shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    return install(folder / "installed", source)


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the plug-ins are installed that cannot be used."""
    folder = tmp_path_factory.mktemp("broken")
    for package, (code, entries) in BROKEN.items():
        module = package.replace("-", "_")
        (folder / package).mkdir()
        (folder / package / f"{module}.py").write_text(code + "\n", encoding="utf-8")
        text = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        text += f'[project]\nname = "{package}"\nversion = "1.2"\n'
        for group in dict.fromkeys(group for group, _, _ in entries):
            text += f'[project.entry-points."selfinstruct.{group}"]\n'
            named = [(name, place) for among, name, place in entries if among == group]
            text += "".join(f'{name} = "{place.format(module)}"\n' for name, place in named)
        (folder / package / "pyproject.toml").write_text(text, encoding="utf-8")
    return install(folder / "installed", *(folder / package for package in BROKEN))


def typed(project: Path, arguments: Sequence[str], *installed: Path) -> tuple[int, str, str]:
    """Type a command in a child process in which some distributions are installed."""
    done = subprocess.run(
        [sys.executable, *(arguments if arguments[0] == "-c" else ["-m", "selfinstruct", *arguments])],
        cwd=project,
        env={**os.environ, "PYTHONPATH": joined(*installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def joined(*installed: Path) -> str:
    """A path for Python with the folders in front."""
    return os.pathsep.join([*map(str, installed), *filter(None, [os.environ.get("PYTHONPATH")])])


def counting(project: Path, **changed: dict[str, Any]) -> None:
    """A recipe that names a plug-in wherever it can: it has a model count down, and labels the long tasks."""
    text = {"type": "string"}
    groups: dict[str, dict[str, Any]] = {
        "model": {"kind": "countdown", "name": "counter", "mode": "completion", "options": {"start": 10}},
        "pipeline": {
            "tasks": {"kind": "bootstrap", "patience": 1},
            "long": {"kind": "label_long", "field": "instruction", "characters": 13},
        },
        "prompts": {
            "tasks": {
                "template": "Write tasks.",
                "parse": {"kind": "table", "fields": ["instruction", "output"]},
            },
            "long": {
                "template": "{{ instruction }} Is that long?",
                "parse": {"kind": "choice", "field": "long", "choices": {"yes": {}, "no": {}}},
            },
        },
        "filters": {
            "tasks": {
                "sentence_length": {"field": "instruction", "most": 4},
                "rouge_l": {"field": "instruction", "threshold": 0.8, "tokenizer": "bigrams"},
            }
        },
        "schema": {"tasks": {"properties": {"instruction": text, "output": text}}, "long": {}},
        "export": {"squad": {"of": "tasks"}},
    }
    overrides = [{f"override /{group}": "counting"} for group in groups]
    seeds = {"path": "seeds/mine.jsonl"}
    recipe = {"defaults": [*overrides, "_self_"], "seeds": seeds, "target": 10, **changed}
    seed_file(project / "seeds/mine.jsonl")
    files = {f"conf/{group}/counting": content for group, content in groups.items()}
    for name, content in {**files, "recipes/counting": recipe}.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


# Used by name


def test_a_recipe_of_plug_ins(project: Path, example: Path) -> None:
    """Model, parser, filter, tokenizer, stage kind and export are all a plug-in's, and all at work."""
    counting(project)
    status, _, err = typed(project, ["recipe=counting"], example)
    assert status == 4, err  # it counts down to nothing new
    run = project / "runs/counting"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["stages"]["tasks"]["rejected"] == {"sentence_length": 2, "rouge_l": 9}
    assert summary["stages"]["long"]["accepted"] == 1
    assert summary["versions"]["selfinstruct-example"] == "0.3.1"
    tasks = lines(run / "tasks.jsonl")
    assert [task["instruction"] for task in tasks] == [f"Count to {number}0." for number in range(10, 1, -1)]
    assert [task.get("long") for task in tasks] == ["yes"] + [None] * 8
    reasons = {row["check"]: row["reason"] for row in lines(run / "rejected.jsonl")}
    assert reasons["sentence_length"].startswith("a sentence of 10 words, more than 4")
    assert reasons["rouge_l"].startswith("ROUGE-L 0.9")  # by words it would be 0.667
    first = {"question": "Count to 100.", "context": "", "answers": {"text": ["Done."]}}
    assert lines(run / "dataset/squad.jsonl")[0] == first
    before = {name: (run / name).read_bytes() for name in ("tasks.jsonl", "rejected.jsonl")}
    assert typed(project, ["recipe=counting", "model.concurrency=1", "fresh=true"], example)[0] == 4
    assert {name: (run / name).read_bytes() for name in before} == before


def test_faults_of_their_options(project: Path, example: Path) -> None:
    """They are checked like those of built-in entries, all at once, each with its place."""
    counting(project)
    wrong = [
        "filters.tasks.sentence_length.most=0",
        "+filters.tasks.sentence_length.feild=output",
        "filters.tasks.rouge_l.tokenizer=bigram",
        "prompts.tasks.parse.fields=[]",
        "pipeline.long.characters=many",
        "export.squad.of=task",
        "+export.squad.answer=outptu",
        "model.options.start=100",
        "+filters.long.sentense_length.field=long",
    ]
    status, _, err = typed(project, ["check", "recipe=counting", *wrong], example)
    assert status == 1
    for words in (
        "filters.tasks.sentence_length.most: should be greater than or equal to 1, not 0",
        "filters.tasks.sentence_length.feild: unknown key 'feild'\n      did you mean 'field'?",
        "rouge_l.tokenizer: unknown tokenizer 'bigram'\n      did you mean 'bigrams'? known: bigrams, ch",
        "prompts.tasks.parse: needs at least one field",
        "pipeline.long.characters: should be a valid integer",
        "export.squad.of: unknown stage 'task'",
        "model.options.start: should be less than or equal to 99",
        "filters.long.sentense_length: unknown filter 'sentense_length'\n"
        "      did you mean 'sentence_length'?",
    ):
        assert words in err, err


def test_what_a_recipe_does_not_name_stays_out(project: Path, example: Path, broken: Path) -> None:
    """It is not imported, so it cannot stop a run; and what editors and readers have does not know of it."""
    code = (
        "import sys; from selfinstruct.cli.main import command;"
        "from selfinstruct.describe import recipe_schema, reference;"
        "status = command(['check', 'recipe=paper', 'model=scripted']);"
        "brought = ('selfinstruct_example', 'lacks_a_module', 'odd_objects');"
        "print(status, [name for name in sys.modules if name.startswith(brought)]);"
        "from pathlib import Path; root = Path(sys.argv[1]);"
        "print(reference.page() == (root / 'docs/reference.md').read_text(encoding='utf-8'),"
        " recipe_schema.written() == (root / recipe_schema.FILE).read_text(encoding='utf-8'))"
    )
    _, out, err = typed(project, ["-c", code, str(ROOT)], example, broken)
    assert out.splitlines()[-2:] == ["0 []", "True True"], err


# Only what is installed


def test_a_recipe_cannot_name_code(project: Path, example: Path) -> None:
    """A module's name or a path is an unknown name like any other, with a plug-in installed too."""
    for name in ("selfinstruct_example.filters:sentence_length", "selfinstruct_example.filters", "./mine.py"):
        counting(project, filters={"tasks": {"mine": {"kind": name, "field": "instruction"}}})
        status, _, err = typed(project, ["check", "recipe=counting"], example)
        assert status == 1
        assert f"filters.tasks.mine: unknown filter {name!r}" in err


def test_a_folder_is_no_installation(project: Path) -> None:
    """Metadata beside somebody's recipe registers nothing, though `python -m` has that folder on the path."""
    elsewhere = project / "elsewhere"
    for folder in (project, elsewhere):
        metadata = folder / "sneaky-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: sneaky\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("[selfinstruct.tokenizers]\nsneaky = sneaky:made\n")
        (folder / "sneaky.py").write_text("print('it runs')\ndef made(): ...\n")
    status, out, _ = typed(project, ["check", "--list", "tokenizers"])
    assert (status, "sneaky" in out, "it runs" in out) == (0, False, False)
    assert "it runs" in typed(project, ["check", "--list", "tokenizers"], elsewhere)[1]


# What cannot be used


def test_broken_plug_ins(project: Path, broken: Path) -> None:
    """Each that the recipe names is a fault: which one, of which distribution, why, and what to do."""
    seed_file(project / "seeds/mine.jsonl")
    names = ("halved", "twin", "phone_number", "number", "absent", "placed", "untyped", "forward")
    wrong = [f"+filters.instructions.{name}.field=instruction" for name in (*names, "makes_nothing")]
    wrong += ["+export.misspelt.file=a.jsonl", "prompts.classification.parse.kind=left"]
    wrong += ["+filters.instructions.rouge_l.tokenizer=sized"]
    for verb in ([], ["check"]):
        status, out, err = typed(project, [*verb, "recipe=paper", "model=scripted", *wrong], broken)
        assert (status, out) == (1, "")
        assert "Traceback" not in err
        assert not (project / "runs").exists()
    for words in (
        "instructions.halved: the plug-in 'halved' of lacks-a-module 1.2 cannot be loaded: "
        "ModuleNotFoundError: No module named 'surely_not_installed' (",
        "lacks_a_module.py, line 1)\n"
        "      fix lacks_a_module:made, or uninstall it: pip uninstall lacks-a-module",
        "export.misspelt: the plug-in 'misspelt' of misspells 1.2 cannot be loaded: SyntaxError: ",
        "prompts.classification.parse: the plug-in 'left' of leaves 1.2 cannot be loaded: SystemExit: 0 (",
        "instructions.twin: 2 filters are named 'twin': of one-twin 1.2 and of other-twin 1.2\n"
        "      uninstall what you do not need (one-twin 1.2, other-twin 1.2), or rename one",
        "2 filters are named 'phone_number': of selfinstruct itself and of claims-ours 1.2\n",
        "the plug-in 'number' of odd-objects 1.2 cannot be loaded: it is a int, not a function",
        "AttributeError: module 'odd_objects' has no attribute 'absent'",
        "its argument 'field' is not keyword-only: def placed(*, …)",
        "its option 'field' has no type",
        "its types cannot be read: name 'Nowhere' is not defined",
        "the filter 'makes_nothing' makes a NoneType, not a Filter\n      fix odd_objects",
        "rouge_l.tokenizer: size: is missing",
    ):
        assert words in err, err


# The list


def test_the_list(project: Path, example: Path) -> None:
    """What a recipe can name, where each comes from and its line; of one registry or of all."""
    status, out, _ = typed(project, ["check", "--list"], example)
    assert status == 0
    rows = [line.split(maxsplit=3) for line in out.splitlines()]
    assert ["rouge_l", "built", "in"] in [row[:3] for row in rows]
    assert "Makes children of each record; a child has its parent's fields and its own." in out
    brought = [row[0] for row in rows if row[1:3] == ["selfinstruct-example", "0.3.1"]]
    assert brought == ["label_long", "table", "sentence_length", "squad", "countdown", "bigrams"]
    for words in (["--list", "stages"], ["--list=stages"]):
        status, out, _ = typed(project, ["check", *words], example)
        names = [line.split()[0] for line in out.splitlines()]
        assert names == ["stages", *sorted([*STAGES.names(), "label_long"])]
    status, out, _ = typed(project, ["check", "--list", "filters.sentence_length"], example)
    assert status == 0
    assert out.startswith("filters.sentence_length (selfinstruct-example 0.3.1)\n")
    assert "\n  most: whole number, at least 1; " in out


def test_the_list_tells_what_cannot_be_used(project: Path, broken: Path) -> None:
    """The rest is listed all the same; a group that there is not is told too."""
    status, out, err = typed(project, ["check", "--list"], broken)
    assert status == 1
    assert "rouge_l " in out
    rows = {line.split()[0]: line for line in out.splitlines() if "cannot be used" in line}
    assert {"halved", "twin", "misspelt", "left", "phone_number"} <= set(rows)
    assert "one-twin 1.2, other-twin 1.2" in rows["twin"]
    assert "No module named 'surely_not_installed'" in err
    assert "'astray' of odd-objects 1.2: unknown group 'selfinstruct.filter'\n" in err
    assert "did you mean 'selfinstruct.filters'?" in err
    status, _, err = typed(project, ["check", "--list", "filters.twin"], broken)
    assert (status, "2 filters are named 'twin': of one-twin 1.2" in err) == (1, True)


def test_a_wrong_word_after_list(project: Path) -> None:
    """It is answered with what can be listed, and so is the question what check takes."""
    status, _, err = typed(project, ["check", "--list", "filter"])
    assert status == 1
    can = "exports, filters, models, parsers, stages, tokenizers"
    assert f"unknown list 'filter'\n  did you mean 'filters'? known: {can}" in err
    status, out, _ = typed(project, ["check", "--help"])
    assert status == 0
    assert out.startswith("selfinstruct check: ")
    assert "--list WHAT" in out


# The page


@shell
def test_the_commands_of_the_page(project: Path) -> None:
    """Typed one after the other in an empty folder: the plug-in is installed, listed, used, and rejects."""
    target = project / "installed"
    pip = f'pip() {{ "{sys.executable}" -m pip --quiet "$@" {" ".join(OFFLINE)} --target "{target}"; }}'
    commands = script("plug-ins.md", "model=scripted", fresh=True)
    text = "\n".join([pip, f'export PYTHONPATH="{joined(target)}"', commands])
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    page = (ROOT / "docs/plug-ins.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in done.stdout.splitlines() if line.split()[:1] == ["isbn"]]
    assert row in page
    assert json.loads((project / "library/runs/library/summary.json").read_text())["finished"]
    slip = ["~filters.instances.isbn.field", "+filters.instances.isbn.feild=output"]
    status, _, err = typed(project / "library", ["check", "recipe=library", *slip], target)
    assert status == 1
    told = err.removeprefix("selfinstruct: ").splitlines()
    assert len(told) == 5
    assert [line for line in told if line not in page] == []
    (target / "selfinstruct_isbn.py").write_text("\n" * 4 + "import isbnlib\n", encoding="utf-8")
    err = typed(project / "library", ["check", "recipe=library"], target)[2].replace(str(target), "…")
    assert [line for line in err.removeprefix("selfinstruct: ").splitlines() if line not in page] == []
