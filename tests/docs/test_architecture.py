"""docs/architecture.md: the journal's tables are those of the code, and what it adds to the project works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ROOT, lines

from selfinstruct.describe import reference
from selfinstruct.journal.file import open_file

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = FENCED.findall(PAGE)
FILES = dict(code[2:].split("\n", 1) for language, code in BLOCKS if language in ("python", "yaml"))
COMMANDS = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]
LISTED = {  # by the file, a line of its list, and the one that the page adds
    "filters/__init__.py": ('"selfinstruct.filters.text",', '"selfinstruct.filters.capitals",'),
    "parse/__init__.py": ('"numbered",', '"lines",'),
    "export/__init__.py": ('"selfinstruct.export.alpaca",', '"selfinstruct.export.question",'),
}


def test_the_tables_of_the_journal(tmp_path: Path) -> None:
    """Each table of a new journal and each column of it but the checksum, in order, with the keys marked."""
    with closing(open_file(tmp_path / "run.sqlite")) as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        tables = {
            name: [
                f"`{row[1]}` (key)" if row[5] else f"`{row[1]}`"
                for row in db.execute(f"PRAGMA table_info({name})")
                if row[1] != "sum"
            ]
            for name in names
        }
    sections = re.findall(r"^### Table `(\w+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    said = {name: re.findall(r"^\| (`\w+`(?: \(key\))?) \|", text, re.MULTILINE) for name, text in sections}
    assert said == tables


def test_what_it_names_is_there() -> None:
    """Each path on the page is one of the repository, but for those of the examples."""
    named = re.findall(r"(?<![\w/])((?:[a-z_]+/)+(?:[a-z_]+\.py)?)(?=[ ,`])", PAGE)
    assert len(named) > 30
    gone = {path for path in named if not ((ROOT / path).exists() or (ROOT / "selfinstruct" / path).exists())}
    assert gone - set(reference.FILES) - set(FILES) == set()


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with all that the page adds: new files, and a line in the lists of registries."""
    tree = tmp_path_factory.mktemp("added")
    for name in ("selfinstruct", "conf", "recipes", "seeds"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in FILES.items():
        assert not (tree / path).exists()
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text(text, encoding="utf-8")
    for path, (there, line) in LISTED.items():
        assert line in PAGE
        code = (tree / "selfinstruct" / path).read_text(encoding="utf-8")
        assert code.count(there) == 1
        (tree / "selfinstruct" / path).write_text(code.replace(there, f"{there} {line}"), encoding="utf-8")
    return tree


def typed(tree: Path, *commands: str) -> str:
    """Type commands in a copy of the project, each of which has to end well; what they print."""
    script = "\n".join(["set -e", *commands]).replace("selfinstruct ", f"{sys.executable} -m selfinstruct ")
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_commands(added: Path) -> None:
    """A filter, a format, a model, a recipe and a part are found by name, and do what they say."""
    out = typed(added, *COMMANDS)
    assert "filters.capitals (built in)\n\nRejects a text that is mostly in capitals.\n" in out
    assert "parsers.line_by_line (built in)\n\nEach line of a reply is a candidate;" in out
    assert "exports.question_answer (built in)\n\nRows of question and answer.\n" in out
    rows = lines(added / "runs/calm/dataset/question.jsonl")
    assert rows and all(set(row) == {"question", "answer"} for row in rows)


TRIED = """
from selfinstruct.filters import FILTERS
from selfinstruct.parse import PARSERS
from selfinstruct.records import Record, Reply

check = FILTERS.factory("capitals")(field="instruction").each
for text in ("Do NOT shout.", "DO NOT SHOUT."):
    print(check(Record("a", "tasks", 1, 0, {"instruction": text})))
read = PARSERS.factory("line_by_line")(field="task").read
print([(piece.data, piece.check) for piece in read(Reply("Sing.\\n\\n Dan", "length"), 0)])
print(read(Reply(" "), 0)[0].check)
"""


def test_its_filter_and_its_parser(added: Path) -> None:
    """The filter counts capitals; the parser loses no line, and rejects the one that was cut."""
    assert typed(added, f"{sys.executable} - <<'END'\n{TRIED}\nEND").splitlines() == [
        "None",
        "Rejection(reason='10 of 10 letters are capitals', detail={})",
        "[({'task': 'Sing.'}, None), ({'task': 'Dan'}, 'cut')]",
        "unreadable",
    ]
