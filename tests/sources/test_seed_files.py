"""Seeds as people have them: which files are read, which column is which field, and what each fault says."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
import yaml
from conftest import Typed, lines
from pyarrow import parquet

from selfinstruct.config import SeedsConfig
from selfinstruct.errors import Fault
from selfinstruct.plan import seed_lint
from selfinstruct.project.layout import packaged
from selfinstruct.recipe.compose import compose
from selfinstruct.schema.validation import compile_schema
from selfinstruct.sources.pool import Seeds, load_seeds

Rows = list[dict[str, Any]]
PAPER = ("recipe=paper", "model=scripted")
NOUNS = ["kettle", "harbour", "orchard", "violin", "glacier", "ferry", "compass", "quarry"]
NOUNS += ["lantern", "tunnel", "loom", "anvil"]
TASKS = [f"Say something number {place} about a {noun} you know." for place, noun in enumerate(NOUNS)]
ANSWERS = [f"The {noun} is number {place}." for place, noun in enumerate(NOUNS)]
FLAT: Rows = [
    {"instruction": task, "input": "" if place % 3 else f'Note, "{place}";\nsecond line', "output": answer}
    for place, (task, answer) in enumerate(zip(TASKS, ANSWERS, strict=True))
]


@dataclass(frozen=True)
class Read:
    """What came of reading a seed file."""

    seeds: Seeds | None
    faults: list[Fault]
    notes: list[str]

    @property
    def tasks(self) -> Rows:
        """The fields of its tasks."""
        assert self.seeds, self.said
        return [task.data for task in self.seeds.tasks]

    @property
    def said(self) -> str:
        """Its faults as they are shown."""
        return "\n".join(map(str, self.faults))


@lru_cache
def declared(path: str) -> dict[str, Any]:
    """A file of conf/."""
    found: dict[str, Any] = yaml.safe_load((packaged() / "conf" / path).read_text(encoding="utf-8"))
    return found


def read(path: Path | str, schema: str = "paper", columns: dict[str, Any] | None = None, **keys: Any) -> Read:
    """Read a seed file as a recipe with this schema does."""
    known = {**declared("seeds/common/columns.yaml")["columns"], **(columns or {})}
    given = {"path": str(path), "columns": known, "instances_key": "instances", **keys}
    config = SeedsConfig.model_validate(given)
    rules = declared(f"schema/{schema}.yaml")["seeds"]
    faults: list[Fault] = []
    notes: list[str] = []
    validate = compile_schema(rules, "schema.seeds", faults)
    return Read(load_seeds(config, rules, validate, Path.cwd(), faults, notes), faults, notes)


def jsonl(rows: Sequence[Any]) -> bytes:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows: Rows, mark: str = ",", encoding: str = "utf-8") -> bytes:
    """Rows as a CSV file."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=mark)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode(encoding)


def saved(folder: Path, rows: Rows) -> Path:
    """Rows as `save_to_disk` leaves them."""
    folder.mkdir(parents=True)
    made = arrow.Table.from_pylist(rows)
    for number, part in enumerate((made.slice(0, 5), made.slice(5))):
        name = str(folder / f"data-{number:05}-of-00002.arrow")
        with arrow.OSFile(name, "wb") as file, arrow.ipc.new_stream(file, made.schema) as stream:
            stream.write_table(part)
    (folder / "dataset_info.json").write_text("{}")
    files = [{"filename": f"data-{number:05}-of-00002.arrow"} for number in (0, 1)]
    (folder / "state.json").write_text(json.dumps({"_data_files": files}))
    return folder


# What is read

CONTENTS: dict[str, Callable[[Rows], bytes]] = {
    "seeds.jsonl": jsonl,
    "array.json": lambda rows: json.dumps(rows, indent=1).encode(),
    "one-line.json": lambda rows: json.dumps(rows).encode(),
    "wrapped.json": lambda rows: json.dumps({"version": "1.0", "tags": ["a"], "data": rows}).encode(),
    "columns.json": lambda rows: json.dumps({key: [row[key] for row in rows] for key in rows[0]}).encode(),
    "pandas.json": lambda rows: json.dumps(
        {key: {str(at): row[key] for at, row in enumerate(rows)} for key in rows[0]}
    ).encode(),
    "many-lines.json": lambda rows: "\n".join(json.dumps(row, indent=2) for row in rows).encode(),
    "array.jsonl": lambda rows: json.dumps(rows, indent=1).encode(),
    "lines.txt": jsonl,
    "lines": jsonl,
    "windows.jsonl": lambda rows: b"\xef\xbb\xbf" + jsonl(rows).replace(b"\n", b"\r\n"),
    "seeds.csv": table,
    "semicolons.csv": lambda rows: table(rows, ";"),
    "mark.csv": lambda rows: table(rows, encoding="utf-8-sig"),
    "excel.csv": lambda rows: b"sep=;\r\n" + table(rows, ";"),
    "seeds.tsv": lambda rows: table(rows, "\t"),
    "a-table.jsonl": table,
    "a-table.dat": table,
    "index.csv": lambda rows: table([{"": at, **row} for at, row in enumerate(rows)]),
    "seeds.jsonl.gz": lambda rows: gzip.compress(jsonl(rows)),
    "array.json.gz": lambda rows: gzip.compress(json.dumps(rows).encode()),
    "seeds.csv.gz": lambda rows: gzip.compress(table(rows)),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_text_file_is_read_as_what_it_is(project: Path, name: str) -> None:
    """The same tasks, ids and digest in every format, whatever the suffix says."""
    (project / "plain.jsonl").write_bytes(jsonl(FLAT))
    (project / name).write_bytes(CONTENTS[name](FLAT))
    plain, other = read("plain.jsonl"), read(name)
    assert other.tasks == plain.tasks == FLAT
    assert plain.seeds and other.seeds
    assert other.seeds.digest == plain.seeds.digest
    assert [task.id for task in other.seeds.tasks] == [f"seed-{number}" for number in range(1, 13)]


def test_parquet_arrow_and_saved_folders_are_read(project: Path) -> None:
    """A file, with its suffix or without, a folder of shards, and what datasets saved, with splits or not."""
    made = arrow.Table.from_pylist(FLAT)
    parquet.write_table(made, "seeds.parquet")
    parquet.write_table(made, "nameless")
    (project / "shards/data").mkdir(parents=True)
    for number, part in enumerate((made.slice(0, 5), made.slice(5))):
        parquet.write_table(part, f"shards/data/train-{number:05}-of-00002.parquet")
    saved(project / "saved", FLAT)
    saved(project / "splits/train", FLAT)
    (project / "splits/dataset_dict.json").write_text('{"splits": ["train"]}')
    with arrow.OSFile("seeds.arrow", "wb") as file, arrow.ipc.new_file(file, made.schema) as writer:
        writer.write_table(made)
    names = ("seeds.parquet", "nameless", "shards", "saved", "splits", "seeds.arrow")
    assert [read(name).tasks == FLAT for name in names] == [True] * len(names)
    saved(project / "splits/test", FLAT)
    said = read("splits").said
    assert "splits: is a folder saved by datasets with the splits test, train" in said
    assert f"choose one: seeds.path={project}/splits/train" in said


def test_cells_without_a_value_and_numbers(project: Path) -> None:
    """NaN, null and empty cells are no value; a number in a text column is text, with its digits."""
    rows = [{"id": 1.0, "instruction": "A", "input": None, "output": 5, "score": float("nan")}]
    rows += [{"id": None, "instruction": "B", "input": "x", "output": 7, "score": 1.5}]
    parquet.write_table(arrow.Table.from_pylist(rows), "seeds.parquet")
    got = read("seeds.parquet")
    assert got.tasks == [
        {"id": 1, "instruction": "A", "input": "", "output": "5", "score": None},
        {"instruction": "B", "input": "x", "output": "7", "score": 1.5},
    ]
    assert got.seeds and [task.id for task in got.seeds.tasks] == ["1", "seed-2"]
    assert "seeds: read as text: 2 numbers in output" in got.notes
    (project / "n.jsonl").write_text(
        '{"instruction": "A", "output": 9.90}\n{"instruction": 7, "output": true}\n'
    )
    assert [(task["instruction"], task["output"]) for task in read("n.jsonl").tasks] == [
        ("A", "9.90"),
        ("7", "true"),
    ]
    (project / "n.csv").write_text("instruction,output,is_classification,year\nA,nan,,\nB,0.50,TRUE,2020\n")
    assert read("n.csv").tasks == [
        {"instruction": "A", "year": None},
        {"instruction": "B", "input": "", "output": "0.50", "is_classification": True, "year": "2020"},
    ]
    for where in ({"is_classification": True}, {"year": 2020}):
        assert [task["instruction"] for task in read("n.csv", where=where).tasks] == ["B"]


def test_a_line_an_instruction(project: Path) -> None:
    """Plain text, which recipes that show whole records refuse once for the file."""
    (project / "seeds.txt").write_text("\r\n".join(TASKS) + "\r\n\r\n")
    assert read("seeds.txt").tasks == [{"instruction": task} for task in TASKS]
    said = read("seeds.txt", "single_shot").said
    assert said.count("has no output") == 1
    assert "seeds.txt lines 1, 2, 3, 4, 5 and 7 more: has no output" in said


# Which column is which field


def turns(user: str, assistant: str, names: tuple[str, str], roles: tuple[str, str], *more: Any) -> Rows:
    """A conversation."""
    who, what = names
    return [{who: roles[0], what: user}, {who: roles[1], what: assistant}, *more]


FORMS: dict[str, tuple[Callable[[str, str], dict[str, Any]], str]] = {
    "alpaca": (
        lambda q, a: {"instruction": q, "input": "", "output": a, "text": "Below is"},
        "instruction, input, output (found); left as they are: text",
    ),
    "completion": (
        lambda q, a: {"prompt": q, "completion": a},
        "prompt → instruction, completion → output (found)",
    ),
    "response": (lambda q, a: {"prompt": q, "response": a}, "prompt → instruction, response → output"),
    "output": (lambda q, a: {"prompt": q, "output": a}, "prompt → instruction, output (found)"),
    "answer": (lambda q, a: {"prompt": q, "answer": a}, "prompt → instruction, answer → output"),
    "question": (lambda q, a: {"question": q, "answer": a}, "question → instruction, answer → output"),
    "query": (lambda q, a: {"query": q, "response": a}, "query → instruction, response → output"),
    "capitals": (
        lambda q, a: {"Instruction": q, "OUTPUT": a},
        "Instruction → instruction, OUTPUT → output (found)",
    ),
    "dolly": (
        lambda q, a: {"instruction": q, "context": "", "response": a, "category": "qa"},
        "instruction, context → input, response → output (found); left as they are: category",
    ),
    "input": (lambda q, a: {"input": q, "output": a}, "input → instruction, output (found)"),
    "task": (lambda q, a: {"task": q, "answer": a}, "task → instruction, answer → output"),
    "messages": (
        lambda q, a: {"messages": turns(q, a, ("role", "content"), ("user", "assistant"))},
        "messages: first question → instruction, its answer → output (found)",
    ),
    "conversations": (
        lambda q, a: {"conversations": turns(q, a, ("from", "value"), ("human", "gpt"))},
        "conversations: first question → instruction, its answer → output (found)",
    ),
    "prompts that are turns": (
        lambda q, a: {
            "prompt": [{"role": "user", "content": q}],
            "completion": [{"role": "assistant", "content": a}],
        },
        "prompt → instruction, completion → output (found)",
    ),
    "a prompt beside its messages": (
        lambda q, a: {"prompt": q, "messages": turns(q, a, ("role", "content"), ("user", "assistant"))},
        "messages: first question → instruction",
    ),
    "parts": (
        lambda q, a: {
            "messages": turns([{"type": "text", "text": q}], a, ("role", "content"), ("user", "assistant"))  # type: ignore[arg-type]
        },
        "messages: first question → instruction",
    ),
    "turns as columns": (
        lambda q, a: {"conversations": {"from": ["human", "gpt"], "value": [q, a]}},
        "conversations: first question",
    ),
}


@pytest.mark.parametrize("schema", ["paper", "single_shot", "evolve", "grounded"])
@pytest.mark.parametrize("form", FORMS)
def test_columns_as_people_have_them(project: Path, form: str, schema: str) -> None:
    """Read for every recipe as a task with one instance, and said."""
    make, told = FORMS[form]
    rows = [make(task, answer) for task, answer in zip(TASKS, ANSWERS, strict=True)]
    (project / "seeds.jsonl").write_bytes(jsonl(rows))
    got = read("seeds.jsonl", schema)
    shown = [{key: task[key] for key in ("instruction", "input", "output")} for task in got.tasks]
    assert shown == [
        {"instruction": task, "input": "", "output": answer}
        for task, answer in zip(TASKS, ANSWERS, strict=True)
    ]
    assert any(note.startswith(f"seeds: {told}") for note in got.notes), got.notes


def test_the_projects_own_form_is_not_spoken_of(project: Path) -> None:
    """A note that is always there is not read; all instances stay, and their texts are text."""
    instances = [{"input": None, "output": 4}, {"input": "b", "output": "c"}]
    row = {
        "id": "a",
        "name": "x",
        "instruction": "Count.",
        "instances": instances,
        "is_classification": False,
    }
    (project / "seeds.json").write_text(json.dumps([row]))
    for schema in ("paper", "single_shot", "evolve", "grounded"):
        assert read("seeds.json", schema).notes == ["seeds: read as text: 1 number in output"]
    got = read("seeds.json")
    assert got.seeds
    assert [(one.data["input"], one.data["output"]) for one in got.seeds.rows] == [("", "4"), ("b", "c")]


def test_conversations_that_hold_more(project: Path) -> None:
    """A system message is kept, later turns are left out, both are said; no question is a fault."""
    system = {"role": "system", "content": "Be brief."}
    later = {"role": "user", "content": "And then?"}
    talk = turns("Why?", "So.", ("role", "content"), ("user", "assistant"), later)
    (project / "seeds.jsonl").write_bytes(jsonl([{"messages": [system, *talk]}, {"messages": talk[:1]}]))
    got = read("seeds.jsonl")
    assert got.tasks == [
        {"system": "Be brief.", "instruction": "Why?", "input": "", "output": "So."},
        {"instruction": "Why?"},
    ]
    said = " ".join(got.notes)
    assert "1 of the conversations have a system message" in said
    assert "1 of the conversations go on; their later turns are left out" in said
    image = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}
    rows = [{"messages": [system]}, {"messages": "Hello"}, image]
    (project / "seeds.jsonl").write_bytes(jsonl(rows))
    said = read("seeds.jsonl").said
    assert "line 1: messages: has no turn of a user" in said
    assert "line 2: messages: should be a list, but is text" in said
    assert "line 3: messages: a turn holds something other than text" in said


def test_columns_are_set(typed: Typed, project: Path) -> None:
    """On the command line or in a recipe, one or all; a column that is not there has its nearest name."""
    rows = [{"prompt": "no", "ask": task, "ans": answer} for task, answer in zip(TASKS, ANSWERS, strict=True)]
    (project / "seeds.jsonl").write_bytes(jsonl(rows))
    mine = ("seeds.path=seeds.jsonl",)
    recipe = compose(
        [*PAPER, *mine, "seeds.columns={instruction: ask, output: ans, topic: prompt}"], project
    ).recipe()
    assert recipe.seeds.tasks[0].data == {
        "topic": "no",
        "instruction": TASKS[0],
        "input": "",
        "output": ANSWERS[0],
    }
    status, out, err = typed(
        "check", *PAPER, *mine, "seeds.columns.instruction=ask", "seeds.columns.output=ans"
    )
    assert status == 0, err
    assert "note: seeds: ask → instruction, ans → output (set); left as they are: prompt" in out
    status, _, err = typed("check", *PAPER, *mine, "seeds.columns.output=answ")
    assert status == 1
    assert "seeds.columns.output: " in err
    assert "seeds.jsonl has no column 'answ'" in err
    assert "did you mean 'ans'? its columns are prompt, ask, ans" in err
    assert "1 fault" in err
    assert "note: seeds: prompt → instruction (found)" in err, "how the rest was read is said beside a fault"


def test_an_input_is_the_instruction_only_where_nothing_else_is(project: Path) -> None:
    """A row that lacks its instruction is a fault, whatever its input says; what is not read is said."""
    rows = [{"instruction": "Sum up.", "input": "A text.", "context": "b", "output": "c"}]
    (project / "seeds.jsonl").write_bytes(jsonl([*rows, {"input": "Another text.", "output": "d"}]))
    got = read("seeds.jsonl")
    assert "line 2: 'instruction' is a required property" in got.said
    assert got.notes == ["seeds: instruction, input, output (found); left as they are: context"]


def test_a_column_that_the_schema_names_keeps_its_name(project: Path) -> None:
    """A recipe with fields of its own takes a question as its question."""
    rules = {"type": "object", "required": ["question"], "properties": {"question": {"type": "string"}}}
    (project / "seeds.jsonl").write_bytes(jsonl([{"question": "Why?", "answer": "So."}]))
    columns = declared("seeds/common/columns.yaml")["columns"]
    config = SeedsConfig.model_validate({"path": "seeds.jsonl", "columns": columns})
    seeds = load_seeds(config, rules, None, project, [], [])
    assert seeds and seeds.tasks[0].data == {"question": "Why?", "answer": "So."}


def test_ids_that_are_missing_are_made(project: Path) -> None:
    """By the row's place, never one that another row has; the same id twice is one fault."""
    rows = [{**FLAT[0], "id": "seed-3"}, FLAT[1], FLAT[2], {**FLAT[3], "id": 7}]
    (project / "seeds.jsonl").write_bytes(jsonl(rows))
    seeds = read("seeds.jsonl").seeds
    assert seeds and [task.id for task in seeds.tasks] == ["seed-3", "seed-2", "seed-3-2", "7"]
    (project / "seeds.jsonl").write_bytes(jsonl([{**row, "id": 1} for row in FLAT]))
    assert "lines 2, 3, 4, 5, 6 and 6 more: the id '1' is on line 1 already" in read("seeds.jsonl").said


def test_places_are_those_of_the_file(project: Path) -> None:
    """A line is counted with the empty ones before it, an item among the items; notes name them so."""
    texts = [json.dumps(row, indent=1) for row in FLAT[:2]]
    (project / "seeds.jsonl").write_text("\n" + "\n\n".join([*texts, json.dumps(FLAT[2])]) + "\n")
    seeds = read("seeds.jsonl").seeds
    assert seeds and [(task.id, task.request) for task in seeds.tasks] == [
        ("seed-1", 2),
        ("seed-2", 8),
        ("seed-3", 14),
    ]
    (project / "seeds.json").write_text(json.dumps([*FLAT, FLAT[3]], indent=1))
    recipe = compose([*PAPER, "seeds.path=seeds.json"], project).recipe()
    assert "seeds.json: repeated tasks: item 13 of item 4" in seed_lint.notes(recipe)


# What cannot be read

PLAIN = '{"instruction": "Say hi.", "output": "Hi."}'


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"instruction": "Say hi.", "score": NaN}', "holds NaN, which is not valid JSON"),
        ('{"instruction": "Say hi.", "score": -Infinity}', "holds -Infinity, which is not valid JSON"),
        ('{"instruction": "Say hi.", "score": 1e999}', "holds a number that is too large"),
        (f'{{"instruction": "Say hi.", "n": {"9" * 5000}}}', "holds a number of too many digits"),
        ('{"instruction": "Say hi.", "instruction": "Say ho."}', "has the key 'instruction' twice"),
        ('{"instruction": "Say hi.", "a": {"b": 1, "b": 2}}', "has the key 'b' twice"),
        ('{"instruction": "Say\\u0000 hi."}', "holds the control character U+0000 (NUL)"),
        ('{"instruction": "Say\0 hi."}', "holds the control character U+0000 (NUL) unescaped"),
        ('{"instruction": "Say\\u001b[1m hi."}', "holds the control character U+001B (ESC)"),
        ('{"instruction": "Say\x93 hi."}', "holds the control character U+0093"),
        ('{"instruction": "Say\\ud83d hi."}', "holds half of a character (an unpaired surrogate)"),
        ('{"instruction": "Say hi.", "a": ' + "[" * 60_000 + "]" * 60_000 + "}", "is nested too deeply"),
        ('{"instruction": "Say hi.", "a": ' + "[" * 80 + "]" * 80 + "}", "is nested too deeply"),
        ("{'instruction': 'Say hi.'}", "is not valid JSON: Expecting property name"),
        ('{"instruction": "Say hi."', "is not valid JSON"),
        ('["Say hi."]', "is not of type 'object'"),
        ("null", "is not of type 'object'"),
        ('{"instruction": ["Say hi."]}', "instruction: ['Say hi.'] is not of type 'string'"),
        ('{"instruction": ""}', "instruction: '' does not match"),
    ],
)
def test_a_line_that_cannot_be_read(project: Path, line: str, what: str) -> None:
    """The lines that have the same fault are named together; another fault is said beside it."""
    other = '{"instruction": "Say hi.", "instances": 5}'
    content = [line if number in (3, 7) else PLAIN for number in range(1, 12)]
    (project / "seeds.jsonl").write_text("\n".join([*content, other, ""]), encoding="utf-8")
    got = read("seeds.jsonl")
    assert f"{project}/seeds.jsonl lines 3, 7: {what}" in got.said
    assert len(got.said) < 1000


def test_different_faults_are_said_at_once_up_to_ten_kinds(project: Path) -> None:
    """Each kind once, then how many are left; a value that differs from line to line makes no new kind."""
    rows = [*({"instruction": [place]} for place in range(20)), {}, {"instruction": "A", "instances": 3}]
    (project / "seeds.jsonl").write_bytes(jsonl(rows))
    got = read("seeds.jsonl")
    assert len(got.faults) == 3
    assert "lines 1, 2, 3, 4, 5 and 15 more: instruction: [0] is not of type 'string'" in got.said
    ids = [{**FLAT[0], "id": place // 2} for place in range(60)]
    (project / "seeds.jsonl").write_bytes(jsonl(ids))
    got = read("seeds.jsonl")
    assert len(got.faults) == 11
    assert got.said.endswith("seeds.jsonl: 20 more faults, of 20 other kinds")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.xlsx",
            b"PK\x03\x04" + bytes(26) + b"xl/workbook.xml",
            "is an Excel workbook\n      save the sheet as CSV",
        ),
        ("a.jsonl", b"PK\x03\x04" + bytes(26) + b"a.jsonl", "is a ZIP archive\n      unpack it first"),
        ("a.jsonl", b"SQLite format 3\0" + bytes(99), "is an SQLite database"),
        ("a.txt", b"%PDF-1.7\n\xe2\xe3", "is a PDF file"),
        (
            "a.parquet",
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a Git LFS pointer in place of the file",
        ),
        ("a.json", b"<!DOCTYPE html>\n<html>", "is a web page (HTML)"),
        (
            "a.yaml",
            b"- instruction: Say hi.\n",
            "is a kind of text file that cannot be read as seeds (.yaml)",
        ),
        ("a.csv", "instruction\nGrüße\n".encode("utf-16"), "is not UTF-8 but UTF-16\n      save it as UTF-8"),
        ("a.csv", "instruction\nSay hi\n".encode("utf-32"), "is not UTF-8 but UTF-32"),
        ("a.csv", "instruction\nSay hi\n".encode("utf-16-be"), "is not UTF-8 but UTF-16"),
        ("a.csv", "instruction\nGrüße\n".encode("latin-1"), "is not UTF-8 at byte 14 (line 2, where Latin-1"),
        ("a.csv", b'instruction,output\nA,B\n"open,B\nC,D\n', "a.csv line 3: is not valid CSV"),
        (
            "a.csv",
            b"instruction,output\nA,B\nC,D,E\n",
            "line 3: has 3 cells, but the first line names 2 columns",
        ),
        ("a.csv", b"instruction,output,output\nA,B,C\n", "names the column 'output' twice in its first line"),
        ("a.csv", b"Say hi.,Hi.\nSay ho.,Ho.\n", "its first line names the columns Say hi., Hi.;"),
        ("a.csv", b"instruction,output\n", "a.csv: is empty"),
        ("a.json", b"[]", "a.json: is empty"),
        (
            "a.json",
            b'[{"instruction": "A"},\n {"instruction": "B"\n',
            "a.json line 3, column 1: is not valid JSON",
        ),
        (
            "a.json",
            b'{"train": [{"a": 1}], "test": [{"a": 1}]}',
            "more than one list of objects: 'train', 'test'",
        ),
        ("a.json", b'[{"instruction": "A"},\n{"instruction": 1, "a": NaN}]', "item 2 (line 2): holds NaN"),
        (
            "a.gz",
            gzip.compress(b'{"instruction": "A"}', mtime=0)[:-9],
            "is a gzip file, but it cannot be unpacked",
        ),
        ("a.parquet", b"PAR1" + bytes(200) + b"PAR1", "is a Parquet file, but it cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_for_what_it_is(
    project: Path, name: str, content: bytes, words: str
) -> None:
    """One fault, with what it is and what to do; never as another encoding."""
    (project / name).write_bytes(content)
    got = read(name)
    assert words in got.said
    assert len(got.faults) == 1


def test_without_pyarrow_the_fault_has_the_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a Parquet file and for a folder that datasets saved."""
    parquet.write_table(arrow.Table.from_pylist(FLAT), "seeds.parquet")
    saved(project / "saved", FLAT)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    command = "and reading it needs pyarrow\n      pip install 'selfinstruct[parquet]'"
    assert f"seeds.parquet: is a Parquet file, {command}" in read("seeds.parquet").said
    assert f"saved: is a folder saved by datasets, {command}" in read("saved").said


def test_a_path_that_is_not_a_file(project: Path) -> None:
    """An address, a name on the hub and a folder each have a remedy of their own."""
    assert "is an address, but seeds are read from disk" in read("https://example.org/a.jsonl").said
    said = read("tatsu-lab/alpaca").said
    assert "there is no file tatsu-lab/alpaca" in said
    assert (
        "hf download tatsu-lab/alpaca --repo-type dataset --local-dir alpaca, then seeds.path=alpaca/FILE"
        in said
    )
    (project / "mine").mkdir()
    assert "mine: is a folder without Parquet files" in read("mine").said
    (project / "mine/a.csv").write_bytes(table(FLAT))
    assert "name a file: seeds.path=mine/a.csv" in read("mine").said
    assert "did you mean 'mine/a.csv'?" in read("mine/b.csv").said


def test_a_long_line_is_noted(project: Path) -> None:
    """A seed of a megabyte is no fault, but each prompt that shows it is as long."""
    (project / "seeds.jsonl").write_bytes(jsonl([*FLAT, {**FLAT[0], "input": "word " * 200_000}]))
    assert (
        "seeds: line 13 is very long (up to 1.0 MB), and so is each prompt that shows it"
        in read("seeds.jsonl").notes
    )


def test_a_whole_dataset_is_read_in_seconds(project: Path) -> None:
    """Some people's seeds are tens of thousands; 10,000 take under a second of CPU."""
    rows = [{"instruction": f"Task {place}", "output": f"Answer {place}"} for place in range(10_000)]
    (project / "seeds.json").write_text(json.dumps(rows))
    began = time.process_time()
    assert len(read("seeds.json").tasks) == 10_000
    assert time.process_time() - began < 8


# In a run


def test_the_same_rows_make_the_same_bytes_in_every_format(typed: Typed, project: Path) -> None:
    """A run on an array is one on its lines: it goes on with the other file, and writes the same."""
    (project / "seeds.jsonl").write_bytes(jsonl(FLAT))
    (project / "seeds.json").write_text(json.dumps(FLAT, indent=1))
    (project / "other.csv").write_bytes(table(FLAT[1:]))
    more = ("export.alpaca.seed_tasks=true", "cache=off")
    for name in ("seeds.jsonl", "seeds.json"):
        status, _, err = typed(*PAPER, *more, "target=4", f"seeds.path={name}", f"run_dir={name}.run")
        assert status == 0, err
        assert "note: seeds: instruction, input, output (found)" in err
    first, second = project / "seeds.jsonl.run", project / "seeds.json.run"
    written = [path.relative_to(first) for path in first.rglob("*.jsonl") if path.name != "events.jsonl"]
    assert len(written) > 5
    assert [(first / path).read_bytes() == (second / path).read_bytes() for path in written] == [True] * len(
        written
    )
    assert lines(first / "dataset/alpaca.jsonl")[:12] == FLAT
    swapped = typed(*PAPER, *more, "target=6", "seeds.path=seeds.json", "run_dir=seeds.jsonl.run")
    assert swapped[0] == 0, swapped[2]
    changed = typed(*PAPER, *more, "target=8", "seeds.path=other.csv", "run_dir=seeds.jsonl.run")
    assert changed[0] == 1
    assert "seeds (contents)" in changed[2]


def test_a_recipe_made_from_one_with_columns_of_its_own(typed: Typed, project: Path) -> None:
    """`new` writes examples in the project's own form, so the columns of its base are taken back."""
    (project / "seeds").mkdir()
    (project / "recipes").mkdir()
    rows = [{"ask": task, "ans": answer} for task, answer in zip(TASKS, ANSWERS, strict=True)]
    (project / "seeds/base.jsonl").write_bytes(jsonl(rows))
    columns = "columns: {instruction: ask, output: ans}"
    (project / "recipes/base.yaml").write_text(
        "defaults: [paper, override /model: scripted, _self_]\n"
        f"seeds: {{path: seeds/base.jsonl, {columns}}}\n"
    )
    status, out, err = typed("new", "garden", "--from", "base")
    assert (status, "check still finds" in out) == (0, False), out + err


def test_the_trials(trials: Path, project: Path) -> None:
    """The files of the folder of trials: read, or one fault that says what they are."""
    files = trials / "seeds"
    assert len(read(files / "array.json").tasks) == len(read(files / "seeds.csv", "single_shot").tasks) == 9
    assert "seeds: prompt → instruction, completion → output (found)" in read(files / "cols.jsonl").notes
    expected = {
        "seeds.parquet": "is a Parquet file, but it cannot be read",
        "hf": "is a folder saved by datasets, but it cannot be read",
        "nul.jsonl": "nul.jsonl line 1: holds the control character U+0000 (NUL)",
        "nulesc.jsonl": "nulesc.jsonl line 1: holds the control character U+0000 (NUL)",
        "deep.jsonl": "deep.jsonl line 33: is nested too deeply",
    }
    for name, words in expected.items():
        got = read(files / name)
        assert len(got.faults) == 1
        assert words in got.said
        assert "UTF-16" not in got.said


def test_the_page_names_the_columns_that_are_known() -> None:
    """The table of docs/seeds-and-mix.md is that of conf/seeds/common/columns.yaml."""
    page = (Path(__file__).resolve().parents[2] / "docs/seeds-and-mix.md").read_text(encoding="utf-8")
    shown = page.split("| field | columns |")[1].split("\n\n")[0].strip().splitlines()[1:]
    found = {}
    for row in shown:
        field, names = row.strip("| ").split(" | ")
        found[field.strip("`")] = [name.strip("` ") for name in names.split(",")]
    assert found == declared("seeds/common/columns.yaml")["columns"]


def test_a_parquet_file_of_millions_of_rows_is_left(typed: Typed, project: Path) -> None:
    """Half a megabyte can stand for gigabytes; it is left as soon as that shows."""
    arrow = pytest.importorskip("pyarrow")
    text = arrow.array(["Say something " + "x" * 1_000])
    column = arrow.DictionaryArray.from_arrays(arrow.array([0] * 3_000_000, arrow.int32()), text)
    from pyarrow import parquet

    parquet.write_table(arrow.table({"instruction": column}), project / "bomb.parquet")
    assert (project / "bomb.parquet").stat().st_size < 1_000_000
    status, _, err = typed("check", "recipe=chat", "model=scripted", "seeds.path=bomb.parquet")
    assert status == 1
    assert "bomb.parquet: has more than 200 MB (unpacked" in err
