"""Parquet, CSV, splits, provenance and limits of length, read back with the libraries that people use."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
import yaml
from conftest import Typed, lines, seed_file
from results import summary

from selfinstruct.api import execute
from selfinstruct.dataset import parquet, table
from selfinstruct.dataset.command import main
from selfinstruct.dataset.features import common
from selfinstruct.dataset.rows import Rows
from selfinstruct.dataset.splits import Sides
from selfinstruct.dataset.written import written
from selfinstruct.export import EXPORTS
from selfinstruct.monitor.progress import Progress
from selfinstruct.recipe.compose import Composed, compose
from selfinstruct.records import Record

SPLIT = "{train: 0.6, validation: 0.4}"
EXPORTED = (
    "export=[alpaca,chat,sharegpt,trl,csv]",
    "license=cc-by-4.0",
    "export.chat.format=parquet",
    f"export.chat.split={SPLIT}",
    "export.chat.provenance=true",
    "export.chat.seed_tasks=true",
    "export.chat.system='Answer in {{ instruction | length }} words.'",
    f"export.alpaca.split={SPLIT}",
    "export.alpaca.columns=[id]",
    f"export.sharegpt.split={SPLIT}",
    "export.csv.provenance=true",
)


def composed(project: Path, *keys: str) -> Composed:
    """The recipe `paper` on twelve seeds, with a model that answers from a script."""
    seed_file(project / "mine.jsonl")
    return compose(["recipe=paper", "model=scripted", "seeds.path=mine.jsonl", *keys], project)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `dataset/` of one run that all tests of this file read."""
    project = tmp_path_factory.mktemp("project")
    made = composed(project, "target=12", *EXPORTED)
    execute(made.recipe(), project / "run", Progress(quiet=True), made.saved)
    return project / "run/dataset"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries look for nothing on the network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")


def sides(dataset: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of `alpaca` by split."""
    return {split: lines(dataset / f"alpaca-{split}.jsonl") for split in ("train", "validation")}


class TestSplits:
    def test_no_instruction_is_on_two_sides(self, dataset: Path) -> None:
        """No instruction is on two sides."""
        train, validation = ({row["instruction"] for row in rows} for rows in sides(dataset).values())
        assert train and validation
        assert not train & validation

    def test_every_record_is_in_one(self, dataset: Path) -> None:
        """Every record is in one."""
        ids = [row["id"] for rows in sides(dataset).values() for row in rows]
        assert sorted(ids) == sorted(row["id"] for row in lines(dataset.parent / "instances.jsonl"))

    def test_formats_agree(self, dataset: Path) -> None:
        """The same record is on the same side in every file."""
        import pyarrow.parquet

        for split, rows in sides(dataset).items():
            chat = pyarrow.parquet.read_table(dataset / f"chat-{split}.parquet").to_pylist()
            made = {row["id"] for row in chat if row["model"]}
            assert made == {row["id"] for row in rows}

    def test_seed_tasks_are_in_train(self, dataset: Path) -> None:
        """Seed tasks are in train."""
        import pyarrow.parquet

        tables = {
            split: pyarrow.parquet.read_table(dataset / f"chat-{split}.parquet").to_pylist()
            for split in ("train", "validation")
        }
        seeds = {split: [row for row in rows if row["model"] is None] for split, rows in tables.items()}
        assert (len(seeds["train"]), len(seeds["validation"])) == (12, 0)

    def test_a_record_stays_on_its_side_as_the_run_grows(self, tmp_path: Path) -> None:
        """A record stays on its side as the run grows."""
        found: list[dict[str, str]] = []
        for target in (4, 12):
            keys = ("export=alpaca", f"export.alpaca.split={SPLIT}", "export.alpaca.columns=[id]")
            execute(
                composed(tmp_path, f"target={target}", *keys).recipe(),
                tmp_path / "run",
                Progress(quiet=True),
                {},
            )
            files = (tmp_path / "run/dataset").glob("alpaca-*.jsonl")
            found.append({row["id"]: path.stem for path in files for row in lines(path)})
        before, after = found
        assert len(after) > len(before) > 2
        assert before.items() <= after.items()

    def test_ancestors_decide(self) -> None:
        """A rewritten task is where its first ancestor is; another with its text is left out elsewhere."""
        records = {
            f"{stage}-{n}": Record(
                f"{stage}-{n}", stage, n, 0, {"instruction": f"Do {stage if stage != 'b' else 'it'} {n}."}
            )
            for stage in "ab"
            for n in range(40)
        }
        root = {f"b-{n}": records[f"a-{n}"] for n in range(40)}
        rule = Sides({"train": 0.5, "test": 0.5}, 0, [], lambda record: root.get(record.id, record))
        assert {rule.of(record) for record in records.values()} == {"train", "test"}
        for n in range(40):
            assert rule.of(records[f"b-{n}"]) == rule.of(records[f"a-{n}"])
        first, other = (
            next(n for n in range(40) if rule.of(records[f"a-{n}"]) == side) for side in rule._split
        )
        records[f"b-{other}"].data = {"instruction": "  do IT\n" + f"{first}."}
        assert rule.unfit(records[f"b-{first}"]) is None
        refused = rule.unfit(records[f"b-{other}"])
        assert refused is not None and f"b-{first}" in refused.reason

    def test_the_form_of_the_characters_makes_no_difference(self) -> None:
        """A letter with an accent is one character or two, and the text is the same."""
        texts = [f"Name the caf\u00e9 number {n}." for n in range(30)]
        both = [
            [
                Record(f"{form}-{n}", "a", n, 0, {"instruction": normalize(form, text)})
                for n, text in enumerate(texts)
            ]
            for form in ("NFC", "NFD")
        ]
        rule = Sides({"train": 0.5, "test": 0.5}, 0, [], lambda record: record)
        assert [rule.of(record) for record in both[0]] == [rule.of(record) for record in both[1]]

    @pytest.mark.parametrize(
        ("split", "says"),
        [
            ("{train: 0.9, test: 0.2}", "add up to 1.1, not to 1"),
            ("{train: 1.5, test: -0.5}", "split.test: should be greater than or equal to 0, not -0.5"),
            ("{train: 0.5, all: 0.5}", "'all' cannot be the name of a split"),
            ("{train: 0.5, Train: 0.5}", "differ only in case"),
        ],
    )
    def test_shares_that_cannot_be(self, typed: Typed, split: str, says: str) -> None:
        """Shares that cannot be."""
        status, _, err = typed("check", "recipe=paper", "model=scripted", f"export.alpaca.split={split}")
        assert status == 1
        assert "export.alpaca.split" in err
        assert says in err


class TestLoading:
    def test_datasets(self, dataset: Path, tmp_path: Path) -> None:
        """`load_dataset` gives the splits of each config."""
        library = pytest.importorskip("datasets", reason="needs datasets, of the extra dev")
        cache = str(tmp_path)
        alpaca = library.load_dataset(str(dataset), "alpaca", cache_dir=cache)
        assert {split: [dict(row) for row in alpaca[split]] for split in alpaca} == sides(dataset)
        trl = library.load_dataset(str(dataset), "trl", split="train", cache_dir=cache)
        assert [dict(row) for row in trl] == lines(dataset / "trl.jsonl")

    def test_datasets_in_parquet(self, dataset: Path, tmp_path: Path) -> None:
        """An export of the run to another folder, in Parquet alone, loads in the same way."""
        library = pytest.importorskip("datasets", reason="needs datasets, of the extra dev")
        keys = [f"export.alpaca.{key}" for key in ("format=parquet", f"split={SPLIT}")]
        arguments = [str(dataset.parent), "export=[chat,alpaca]", *keys, *EXPORTED[2:7], f"to={tmp_path}/new"]
        assert main(arguments, tmp_path) == 0
        cache = str(tmp_path / "cache")
        alpaca = library.load_dataset(f"{tmp_path}/new", "alpaca", cache_dir=cache)
        assert {split: len(alpaca[split]) for split in alpaca} == {
            k: len(v) for k, v in sides(dataset).items()
        }
        chat = library.load_dataset(f"{tmp_path}/new", "chat", cache_dir=cache)
        assert set(chat) == {"train", "validation"}
        assert chat["train"].features == chat["validation"].features
        first = chat["validation"][0]
        assert [turn["role"] for turn in first["messages"]] == ["system", "user", "assistant"]
        assert first["messages"][0]["content"].startswith("Answer in ")

    def test_trl(self, dataset: Path) -> None:
        """TRL takes `chat` for a conversation, and `trl` for a conversational prompt with its completion."""
        why = "needs trl and transformers, installed without what they depend on; see the Makefile"
        pytest.importorskip("transformers", reason=why)
        checks = pytest.importorskip("trl.data_utils", reason=why)
        import pyarrow.parquet

        for row in lines(dataset / "trl.jsonl"):
            assert set(row) == {"prompt", "completion"}
            assert checks.is_conversational(row)
        for row in pyarrow.parquet.read_table(dataset / "chat-train.parquet").to_pylist():
            assert checks.is_conversational({"messages": row["messages"]})

    def test_pandas(self, dataset: Path) -> None:
        """Pandas."""
        pandas = pytest.importorskip("pandas", reason="needs pandas, of the extra pandas")
        frame = pandas.read_json(dataset / "alpaca-train.jsonl", lines=True)
        assert frame.to_dict("records") == sides(dataset)["train"]
        chat = pandas.read_parquet(dataset / "chat-validation.parquet")
        assert [turn["role"] for turn in chat["messages"][0]] == ["system", "user", "assistant"]
        people = pandas.read_csv(dataset / "csv.csv", keep_default_na=False)
        rows = lines(dataset.parent / "instances.jsonl")
        assert list(people["id"]) == [row["id"] for row in rows]
        assert list(people["instruction"]) == [row["instruction"] for row in rows]


def test_provenance(dataset: Path) -> None:
    """Every row says which recipe and model made it, from which records, and what the checks found."""
    import pyarrow.parquet

    rows = [
        row
        for split in ("train", "validation")
        for row in pyarrow.parquet.read_table(dataset / f"chat-{split}.parquet").to_pylist()
    ]
    tasks = {row["id"]: row for row in lines(dataset.parent / "instructions.jsonl")}
    for row in rows:
        assert list(row) == ["messages", "id", "recipe", "model", "parents", "edited", "scores"]
        assert (row["recipe"], row["edited"]) == ("paper", False)
        if row["model"] is None:
            assert row["parents"] == []
            assert set(row["scores"].values()) == {None}
        else:
            (parent,) = row["parents"]
            assert row["scores"]["average_similarity"] == tasks[parent]["average_similarity"]


def test_card(dataset: Path) -> None:
    """The header has the files by split, the licence and the size; the page has the funnel and the recipe."""
    page = (dataset / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(page.split("---\n")[1])
    configs = {one["config_name"]: one["data_files"] for one in header["configs"]}
    assert list(configs) == ["alpaca", "sharegpt", "trl"]  # CSV is for people; Parquet is loaded otherwise
    assert configs["alpaca"] == [
        {"split": "train", "path": "alpaca-train.jsonl"},
        {"split": "validation", "path": "alpaca-validation.jsonl"},
    ]
    assert 'load_dataset("parquet", data_files={"train": "chat-train.parquet"' in page
    assert header["license"] == "cc-by-4.0"
    assert header["size_categories"] == ["n<1K"]
    assert header["task_categories"] == ["text-generation"]
    assert "The licence is `cc-by-4.0`" in page
    for words in ("## From candidates to records", "## Known limits", "Nobody has reviewed"):
        assert words in page
    for name, stage in summary(dataset.parent)["stages"].items():
        assert f"| `{name}` | {stage['candidates']} | {sum(stage['rejected'].values())} |" in page
        assert all(f"`{check}`: {count}" in page for check, count in stage["rejected"].items())
    recipe = yaml.safe_load(page.split("yaml\n")[1].split("```")[0])
    assert recipe["filters"]["instructions"]["rouge_l"]["threshold"] == 0.7
    assert str(dataset.parent) not in page


def test_the_files_of_other_trainers(dataset: Path) -> None:
    """LLaMA-Factory's dataset_info.json and axolotl's stanza name each file, and how its turns are read."""
    info = json.loads((dataset / "dataset_info.json").read_text(encoding="utf-8"))
    turns = info["paper_sharegpt_train"]
    assert turns["file_name"] == "sharegpt-train.jsonl"
    row = lines(dataset / turns["file_name"])[0][turns["columns"]["messages"]]
    tags = turns["tags"]
    assert [turn[tags["role_tag"]] for turn in row] == [tags["user_tag"], tags["assistant_tag"]]
    assert all(turn[tags["content_tag"]] for turn in row)
    columns = info["paper_alpaca_validation"]["columns"]
    assert set(columns.values()) <= lines(dataset / "alpaca-validation.jsonl")[0].keys()
    assert all((dataset / one["file_name"]).is_file() for one in info.values())

    stanza = yaml.safe_load((dataset / "axolotl.yaml").read_text(encoding="utf-8"))
    (train,), (held_out,) = stanza["datasets"], stanza["test_datasets"]
    assert (train["path"], held_out["path"]) == ("sharegpt-train.jsonl", "sharegpt-validation.jsonl")
    assert (train["type"], train["ds_type"]) == ("chat_template", "json")
    assert set(lines(dataset / train["path"])[0][train["field_messages"]][0]) == set(
        train["message_property_mappings"].values()
    )


class TestCsv:
    @pytest.mark.parametrize(
        "first", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\ufeff=1", "\uff1d1"]
    )
    def test_no_text_is_a_formula(self, first: str) -> None:
        """It has an apostrophe before it, and can still be read."""
        (names, row) = rows_of(b"".join(table.pieces([{"output": first}], ["output"])))
        assert (names, row) == (["output"], [f"'{first}"])

    def test_other_values(self) -> None:
        """Numbers stay numbers, nested values are JSON, and control characters are seen, not followed."""
        row = {"a": -1.5, "b": None, "c": ["ü", {"d": 1}], "e": "x\x1b[31m\x00", "f": "one\ntwo", "g": True}
        names, values = rows_of(b"".join(table.pieces([row], list(row))))
        assert names == list(row)
        assert values == ["-1.5", "", '["ü", {"d": 1}]', "x␛[31m␀", "one\ntwo", "true"]

    def test_a_line_is_split_at_commas_only(self) -> None:
        """Where a spreadsheet also splits at semicolons, quotes keep what follows one in its text."""
        assert b'"one;=1+1"' in b"".join(table.pieces([{"a": "one;=1+1"}], ["a"]))

    def test_a_spreadsheet_reads_it_as_utf_8(self) -> None:
        """A spreadsheet reads it as utf 8."""
        assert b"".join(table.pieces([{"a": "ü"}], ["a"])).startswith(b"\xef\xbb\xbf")


def rows_of(data: bytes) -> Iterator[list[str]]:
    """The rows of a CSV file."""
    return csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))


class TestParquet:
    def schema(self, *splits: list[Any]) -> list[Any]:
        """The schemas of the files of an export with these values in each split."""
        import pyarrow.parquet

        export = EXPORTS.build("alpaca", {}, "", [])
        assert export
        names = ["train", "test"][: len(splits)]
        export = replace(export, file="a.parquet", format="parquet", split=dict.fromkeys(names, 0.5))
        rows = Rows(names)
        for name, values in zip(names, splits, strict=True):
            rows.extend([{"x": value} for value in values], [name] * len(values))
        return [
            pyarrow.parquet.read_schema(io.BytesIO(b"".join(data.pieces()))).field("x").type
            for data in written("a", export, rows).contents.values()
        ]

    @pytest.mark.parametrize(
        ("one", "other", "kind"),
        [
            ([None], ["a"], "string"),
            ([None], [None], "string"),
            ([1], [None, 2.5], "double"),
            ([[]], [["a"]], "list<element: string>"),
            ([{"a": None}], [{"a": 1}], "struct<a: int64>"),
            ([1], ["a"], "string"),
        ],
    )
    def test_one_schema(self, one: list[Any], other: list[Any], kind: str) -> None:
        """A column has one type in all files, also if it is null in one of them; mixed values are JSON."""
        first, second = self.schema(one, other)
        assert str(first) == str(second) == kind

    @pytest.mark.parametrize("empty", [[], {"a": None}, [{"a": None}]])
    def test_what_is_always_empty_loads(self, tmp_path: Path, empty: Any) -> None:
        """The header gives it the type that the file has, as of the parents of records without any."""
        import datasets

        export = EXPORTS.build("alpaca", {}, "", [])
        assert export
        rows = Rows(["train"])
        rows.extend([{"x": empty}] * 2, ["train"] * 2)
        made = written("a", replace(export, file="a.parquet", format="parquet"), rows)
        (tmp_path / "a.parquet").write_bytes(b"".join(made.contents["a.parquet"].pieces()))
        keys = {
            "configs": [{"config_name": "a", "data_files": "a.parquet"}],
            "dataset_info": [{"config_name": "a", "features": made.features}],
        }
        (tmp_path / "README.md").write_text(f"---\n{yaml.safe_dump(keys)}---\n", encoding="utf-8")
        found = datasets.load_dataset(str(tmp_path), "a", split="train", cache_dir=str(tmp_path / "cache"))
        assert found[0]["x"] == empty

    @pytest.mark.parametrize(
        ("values", "read"),
        [
            ([2**53 + 1, 0.5], [2.0**53, 0.5]),
            ([[2**60 + 1, 0.5]], [[2.0**60, 0.5]]),
            (["half \ud800"], ["half \\ud800"]),
            ([{"a": "\ud800"}, 1], ['{"a": "\\ud800"}', "1"]),
        ],
    )
    def test_what_it_cannot_hold(self, values: list[Any], read: list[Any]) -> None:
        """A number is rounded among fractions, and half a character is written as its escape."""
        import pyarrow.parquet

        rows = [{"x": value} for value in values]
        data = b"".join(parquet.pieces(rows, common(rows)))
        assert pyarrow.parquet.read_table(io.BytesIO(data)).column("x").to_pylist() == read


class TestMaxTokens:
    def test_longer_rows_are_left_out(self, typed: Typed, project: Path) -> None:
        """Longer rows are left out."""
        keys = ("export=alpaca", "export.alpaca.max_tokens=28", "export.alpaca.tokenizer=cl100k_base")
        status, out, err = typed("recipe=paper", "model=scripted", "target=6", "run_dir=run", *keys)
        assert status == 0, out + err
        left = [row for row in lines(project / "run/rejected.jsonl") if row["check"] == "max_tokens"]
        kept = lines(project / "run/dataset/alpaca.jsonl")
        assert left and kept
        assert all(row["detail"]["tokens"] > 28 for row in left)
        page = (project / "run/dataset/README.md").read_text(encoding="utf-8")
        assert f"{len(left)} are longer than its `max_tokens`" in page

    @pytest.mark.parametrize(
        ("tokenizer", "says"),
        [
            ("null", "needs a tokenizer"),
            ("gpt2", "get it with: python -c"),
            ("nobody/none", "hf download nobody/none tokenizer.json"),
            ("mine.json", "does not exist"),
        ],
    )
    def test_a_tokenizer_that_is_not_there(self, typed: Typed, tokenizer: str, says: str) -> None:
        """It is a fault before the run, and nothing is downloaded."""
        keys = ("export=alpaca", "export.alpaca.max_tokens=28", f"export.alpaca.tokenizer={tokenizer}")
        status, _, err = typed("check", "recipe=paper", "model=scripted", *keys)
        assert status == 1
        assert says in err

    def test_a_file_of_a_tokenizer(self, typed: Typed, project: Path) -> None:
        """A file of a tokenizer."""
        library = pytest.importorskip("tokenizers", reason="tokenizers comes with LiteLLM")
        made = library.Tokenizer(library.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
        made.pre_tokenizer = library.pre_tokenizers.Whitespace()
        made.save(str(project / "words.json"))
        keys = ("export=alpaca", "export.alpaca.max_tokens=1", "export.alpaca.tokenizer=words.json")
        status, out, err = typed("recipe=paper", "model=scripted", "target=2", "run_dir=run", *keys)
        assert status == 0, out + err
        assert not (project / "run/dataset/alpaca.jsonl").exists()


def test_parquet_without_pyarrow(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is a fault before the run, with the command that installs it."""
    monkeypatch.setattr("selfinstruct.recipe.exports.find_spec", lambda name: None)
    status, _, err = typed("check", "recipe=paper", "model=scripted", "export.chat.format=parquet")
    assert status == 1
    assert "export.chat.format" in err
    assert "pip install 'selfinstruct[parquet]'" in err
