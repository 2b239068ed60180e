"""The export of preference pairs, in the forms of TRL, OpenAI and LLaMA-Factory."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from results import refused

from selfinstruct.errors import Fault
from selfinstruct.export import EXPORTS, Export, convert
from selfinstruct.records import ACCEPTED, Record

PAIR = {"instruction": "Sort.", "input": "b a", "chosen": "a b", "rejected": "b a!"}
ASKED = [{"role": "user", "content": "Sort.\n\nb a"}]
BETTER = [{"role": "assistant", "content": "a b"}]
WORSE = [{"role": "assistant", "content": "b a!"}]
STYLES = ["trl", "openai", "llama_factory"]
RECIPE = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: preferences
pipeline: {pairs: {kind: rows, path: pairs.jsonl}}
prompts: {}
schema: {pairs: {properties: {instruction: {}, input: {}, chosen: {}, rejected: {}}}}
"""


def build(style: str, **options: Any) -> Export:
    """The format in this style."""
    faults: list[Fault] = []
    made = EXPORTS.build("preference", {"style": style, **options}, "export.preference", faults)
    assert made is not None, faults
    return made


def row(export: Export, data: dict[str, Any]) -> dict[str, Any]:
    """The row of a record with these fields."""
    return export.convert(data, random.Random(0))


def test_trl() -> None:
    """Three lists of messages; a system message goes into the prompt."""
    assert row(build("trl"), PAIR) == {"prompt": ASKED, "chosen": BETTER, "rejected": WORSE}
    system = {"role": "system", "content": "Be kind."}
    assert row(build("trl", system="Be kind."), PAIR)["prompt"] == [system, *ASKED]


def test_openai() -> None:
    """The messages under input, and each answer as a list of one message."""
    assert row(build("openai"), PAIR) == {
        "input": {"messages": ASKED},
        "preferred_output": BETTER,
        "non_preferred_output": WORSE,
    }


def test_llama_factory() -> None:
    """A column for each text, and one for the system message if there is one."""
    assert row(build("llama_factory"), PAIR) == PAIR
    assert row(build("llama_factory", system="Be kind."), PAIR) == {**PAIR, "system": "Be kind."}
    assert row(build("llama_factory"), {**PAIR, "input": None})["input"] == ""


@pytest.mark.parametrize("style", STYLES)
def test_other_fields(style: str) -> None:
    """A recipe names the fields of the two answers."""
    data = {"instruction": "Sort.", "input": "b a", "good": "a b", "bad": "b a!"}
    assert row(build(style, chosen="good", rejected="bad"), data) == row(build(style), PAIR)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("lacking", ["instruction", "chosen", "rejected"])
@pytest.mark.parametrize("value", [None, " \n"], ids=["no field", "blank"])
def test_a_record_that_lacks_a_text(style: str, lacking: str, value: str | None) -> None:
    """It is left out by `schema`; a record with all texts is written."""
    data = {key: text for key, text in {**PAIR, "input": "", lacking: value}.items() if text is not None}
    records = [
        Record(f"pairs-{place}", "pairs", place, 0, fields, fate=ACCEPTED)
        for place, fields in enumerate((data, PAIR), 1)
    ]
    rows, left = convert("preference", build(style), records, 0)
    assert len(rows) == 1
    assert [(one.id, one.check) for one in left] == [("pairs-1", "schema")]


@pytest.fixture
def mine(project: Path) -> Path:
    """A recipe that takes its pairs from a file."""
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(RECIPE, encoding="utf-8")
    rows = [{**PAIR, "instruction": f"Sort list {place}."} for place in range(20)]
    (project / "pairs.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows), encoding="utf-8")
    return project


def test_the_files_of_a_run(typed: Typed, mine: Path) -> None:
    """A file for each style; LLaMA-Factory's entry says that the dataset is ranked, and axolotl has none."""
    splits = [
        f"export.preference_{style}.split={{train: 0.5, test: 0.5}}" for style in ("trl", "llama_factory")
    ]
    status, out, err = typed("recipe=mine", "run_dir=run", *splits)
    assert status == 0, out + err
    dataset = mine / "run/dataset"
    assert (
        len(lines(dataset / "preference_trl-train.jsonl")) + len(lines(dataset / "preference_trl-test.jsonl"))
        == 20
    )
    info = json.loads((dataset / "dataset_info.json").read_text(encoding="utf-8"))
    columns = {"prompt": "instruction", "query": "input", "chosen": "chosen", "rejected": "rejected"}
    assert info == {
        f"mine_preference_llama_factory_{split}": {
            "file_name": f"preference_llama_factory-{split}.jsonl",
            "ranking": True,
            "columns": columns,
        }
        for split in ("train", "test")
    }
    assert not (dataset / "axolotl.yaml").exists()
    page = (dataset / "README.md").read_text(encoding="utf-8")
    assert "the better answer, as one message" in page


def test_columns_beside_the_pairs(typed: Typed, mine: Path) -> None:
    """Parquet too, since all rows have the same nested columns."""
    pytest.importorskip("pyarrow")
    keys = ("export.preference_trl.format=parquet", "export.preference_trl.columns=[id]")
    assert typed("recipe=mine", "run_dir=run", *keys)[0] == 0
    from pyarrow import parquet

    table = parquet.read_table(mine / "run/dataset/preference_trl.parquet").to_pylist()
    assert table[0]["chosen"] == BETTER
    assert {"prompt", "chosen", "rejected", "id"} == set(table[0])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("+export.preference_trl.chosen=best", "unknown field 'best'"),
        ("export.preference_trl.style=trlx", "should be 'trl', 'openai' or 'llama_factory'"),
        ("export.preference_trl.columns=[chosen]", "'chosen' is already a key of the format"),
    ],
)
def test_slips_in_the_export(typed: Typed, mine: Path, given: str, words: str) -> None:
    """Told by check, with the place."""
    refused(typed("check", "recipe=mine", given), "export.preference_trl", words)


def test_a_run_is_exported_again(typed: Typed, mine: Path) -> None:
    """From its folder alone, in a form that it did not have."""
    assert typed("recipe=mine", "run_dir=run", "export=none")[0] == 0
    status, out, err = typed("export", "run", "export=[preferences]")
    assert status == 0, out + err
    assert len(lines(mine / "run/dataset/preference_openai.jsonl")) == 20
