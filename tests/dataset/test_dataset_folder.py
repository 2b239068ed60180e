"""`dataset/`: what `load_dataset` reads, which files are set aside, and what a row says of its record."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed, lines, seed_file

from selfinstruct.api import execute
from selfinstruct.dataset.features import common, features
from selfinstruct.errors import BudgetReached
from selfinstruct.monitor.progress import Progress
from selfinstruct.project.jsonl import json_line
from selfinstruct.recipe.compose import Composed, compose

LINE_ENDS = "\n\u2028\u2029"  # those that a seed task may have
ODD = {
    "instruction": f"Say 日本語 – naïve 🙂 {LINE_ENDS} again.",
    "instances": [{"input": "", "output": f"a{LINE_ENDS}b 123456789012345678901234567890"}],
}


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve plain seed tasks and an odd one."""
    path = seed_file(tmp_path_factory.mktemp("seeds") / "mine.jsonl")
    odd = {**lines(path)[0], **ODD, "id": "odd"}
    path.write_text(path.read_text(encoding="utf-8") + json.dumps(odd) + "\n", encoding="utf-8")
    return path


@lru_cache
def composed(seeds: Path, *overrides: str) -> Composed:
    """A recipe on these seeds; to compose one takes longer than to run it."""
    return compose(["recipe=paper", "model=scripted", f"seeds.path={seeds}", *overrides], seeds.parent)


@pytest.fixture
def made(project: Path, seeds: Path) -> Callable[..., Path]:
    """Run `paper` on these seeds with overrides, always in the same run folder; its folder `dataset/`."""

    def make(*overrides: str) -> Path:
        target = () if any(one.startswith("target=") for one in overrides) else ("target=3",)
        recipe = composed(seeds, *target, *overrides).recipe()
        execute(recipe, project / "run", Progress(quiet=True), {})
        return project / "run/dataset"

    return make


def names(folder: Path) -> set[str]:
    """The files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def header(dataset: Path) -> dict[str, Any]:
    """The header of the README.md."""
    _, head, _ = (dataset / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return dict(yaml.safe_load(head))


def configs(dataset: Path) -> dict[str, str]:
    """The file of each config, as the library finds it."""
    found = {}
    for config in header(dataset).get("configs", []):
        ((split, path),) = [(one["split"], one["path"]) for one in config["data_files"]]
        assert split == "train"
        found[config["config_name"]] = path
    return found


def rows_of(dataset: Path, config: str) -> list[Any]:
    """The rows of a config, read as the library does: bytes, a line each."""
    data = (dataset / configs(dataset)[config]).read_bytes()
    assert data.endswith(b"}\n")
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


class TestHeader:
    def test_a_config_an_export(self, made: Callable[..., Path]) -> None:
        """Each export has a config with its file, and the first is taken where none is named."""
        dataset = made()
        assert configs(dataset) == {
            name: f"{name}.jsonl" for name in ("prompt_completion", "alpaca", "chat", "sharegpt")
        }
        assert [one["config_name"] for one in header(dataset)["configs"] if one.get("default")] == [
            "prompt_completion"
        ]
        assert header(dataset)["language"] == ["en"]
        assert "license" not in header(dataset)

    def test_types(self, made: Callable[..., Path]) -> None:
        """The types of the columns are told, so that the library need not guess them from the first rows."""
        dataset = made("export.chat.columns=[parent,request]", "export.chat.seed_tasks=true")
        types = {one["config_name"]: one["features"] for one in header(dataset)["dataset_info"]}
        text = {"dtype": "string"}
        assert types["chat"] == [
            {"name": "messages", "list": [{"name": "role", **text}, {"name": "content", **text}]},
            {"name": "parent", **text},
            {"name": "request", "dtype": "int64"},
        ]
        assert rows_of(dataset, "chat")[0]["parent"] is None

    def test_no_two_runs_have_the_same_header(self, made: Callable[..., Path]) -> None:
        """The library knows a dataset by its folder's name and its header, so a run that grew has another."""
        before, after = (header(made(f"target={target}"))["configs"] for target in (2, 3))
        pairs = [(one["description"], other["description"]) for one, other in zip(before, after, strict=True)]
        assert len(pairs) == 4
        assert all(one != other for one, other in pairs)

    def test_page(self, made: Callable[..., Path]) -> None:
        """It tells the recipe, the counts, the models, and what each column means; no date, no path."""
        dataset = made("model.name=scripted/tester", "export.chat.columns=[model,is_classification]")
        page = (dataset / "README.md").read_text(encoding="utf-8")
        count = len(rows_of(dataset, "chat"))
        assert f"| `chat` | `train` | `chat.jsonl` | {count} |" in page
        assert "13 of them from seed tasks" in page
        assert "| `instances` | `scripted/tester` |" in page
        assert "| `model` | the model whose reply it was read from" in page
        assert "| `is_classification` | the field `is_classification` of the records |" in page
        assert "No licence is set." in page
        assert str(dataset.parent) not in page

    def test_a_run_that_did_not_end_says_so(self, made: Callable[..., Path]) -> None:
        """Files of a run that its budget stopped are told to be of such a run."""
        with pytest.raises(BudgetReached):
            made("target=9", "budget.requests=5")
        page = Path("run/dataset/README.md").read_text(encoding="utf-8")
        assert "was not finished" in page


class TestLines:
    @pytest.mark.parametrize("place", range(0, 0x110000, 0x11000))
    def test_every_character(self, place: int) -> None:
        """One record is one line to `str.splitlines`, whatever it holds, and reads back the same."""
        texts = [chr(code) for code in range(place, place + 0x11000) if not 0xD800 <= code < 0xE000]
        for text in ["".join(texts), {"".join(texts): [texts[0]]}]:
            (line,) = json_line(text).splitlines()
            assert json.loads(line) == text

    def test_every_file(self, made: Callable[..., Path]) -> None:
        """So it is in all files of a run, and other characters stay as they are."""
        dataset = made("export.chat.seed_tasks=true")
        for path in [*dataset.glob("*.jsonl"), *dataset.parent.glob("*.jsonl")]:
            text = path.read_text(encoding="utf-8")
            assert text.splitlines() == text.split("\n")[:-1]
        (odd,) = [row for row in rows_of(dataset, "chat") if "日本語" in row["messages"][0]["content"]]
        assert [turn["content"] for turn in odd["messages"]] == [
            ODD["instruction"],
            ODD["instances"][0]["output"],  # type: ignore[index]
        ]
        assert "日本語 – naïve 🙂" in (dataset / "chat.jsonl").read_text(encoding="utf-8")


class TestSetAside:
    def test_exports_no_longer_asked_for(self, made: Callable[..., Path]) -> None:
        """Their files go to `set-aside/`, in the same bytes, and the header names only what is asked for."""
        dataset = made()
        before = (dataset / "chat.jsonl").read_bytes()
        made("export=alpaca")
        assert names(dataset) == {"README.md", "alpaca.jsonl"}
        assert list(configs(dataset)) == ["alpaca"]
        aside = dataset.parent / "set-aside"
        beside = {"dataset_info.json", "axolotl.yaml"}
        assert names(aside) == {"chat.jsonl", "prompt_completion.jsonl", "sharegpt.jsonl"} | beside
        assert (aside / "chat.jsonl").read_bytes() == before

    def test_another_file_name(self, made: Callable[..., Path]) -> None:
        """A file is set aside too where its export writes to another."""
        dataset = made("export=chat")
        made("export=chat", "export.chat.file=talk.jsonl")
        assert names(dataset) == {"README.md", "talk.jsonl"}
        assert configs(dataset) == {"chat": "talk.jsonl"}
        assert names(dataset.parent / "set-aside") == {"chat.jsonl"}

    def test_nothing_in_it_is_lost(self, made: Callable[..., Path]) -> None:
        """A second file of the same name gets a place of its own; the same bytes are there once."""
        dataset = made("export=[alpaca,chat]")
        for exports in ("alpaca", "[alpaca,chat]", "alpaca"):
            made(f"export={exports}")
        assert names(dataset.parent / "set-aside") == {"chat.jsonl"}
        made("export=[alpaca,chat]", "export.chat.system=Hello.")
        made("export=alpaca")
        assert names(dataset.parent / "set-aside") == {"chat.jsonl", "2/chat.jsonl"}

    def test_no_export_at_all(self, made: Callable[..., Path]) -> None:
        """Then the page goes as well, and nothing loads that was not asked for."""
        dataset = made("export=chat")
        made("export=none")
        assert names(dataset) == set()
        assert names(dataset.parent / "set-aside") == {"README.md", "chat.jsonl"}

    def test_files_of_the_users(self, made: Callable[..., Path]) -> None:
        """What the user put there stays, whatever exports come and go."""
        dataset = made()
        (dataset / "mine.jsonl").write_text("{}\n", encoding="utf-8")
        (dataset / "notes").mkdir()
        (dataset / "notes/a.txt").write_text("mine", encoding="utf-8")
        made("export=chat")
        assert names(dataset) == {"README.md", "chat.jsonl", "mine.jsonl", "notes/a.txt"}
        made("export=none")
        assert names(dataset) == {"mine.jsonl", "notes/a.txt"}

    def test_a_file_of_the_users_in_the_way(self, made: Callable[..., Path]) -> None:
        """One whose name an export needs is set aside, and so is one of ours that the user has changed."""
        dataset = made("export=chat")
        (dataset / "alpaca.jsonl").write_text("mine\n", encoding="utf-8")
        (dataset / "chat.jsonl").write_text("changed\n", encoding="utf-8")
        made("export=[alpaca,chat]")
        assert all("mine" not in str(row) for name in ("alpaca", "chat") for row in rows_of(dataset, name))
        aside = dataset.parent / "set-aside"
        assert {path.name: path.read_text(encoding="utf-8") for path in aside.iterdir()} == {
            "alpaca.jsonl": "mine\n",
            "chat.jsonl": "changed\n",
        }

    def test_a_readme_of_the_users(self, made: Callable[..., Path]) -> None:
        """A README.md that the user has changed is kept, and the new one is beside it until that is gone."""
        dataset = made("export=chat")
        page = dataset / "README.md"
        own = page.read_text(encoding="utf-8").replace("language:", "license: cc0-1.0\nlanguage:")
        page.write_text(own, encoding="utf-8")
        made("export=alpaca")
        assert page.read_text(encoding="utf-8") == own
        assert names(dataset) == {"README.md", "README.new.md", "alpaca.jsonl"}
        (dataset / "README.new.md").replace(page)
        made("export=alpaca", "export.alpaca.file=more.jsonl")
        assert names(dataset) == {"README.md", "more.jsonl"}
        assert configs(dataset) == {"alpaca": "more.jsonl"}

    def test_a_run_that_works_elsewhere(self, made: Callable[..., Path], tmp_path: Path) -> None:
        """Where a run works on other disks and hands its files over, what it set aside is gone there too."""
        dataset = made("export=[alpaca,chat]", f"scratch={tmp_path}/local")
        made("export=alpaca", f"scratch={tmp_path}/local")
        assert names(dataset) == {"README.md", "alpaca.jsonl"}
        assert names(dataset.parent / "set-aside") == {"chat.jsonl"}


def test_an_export_without_a_row_has_no_file(made: Callable[..., Path]) -> None:
    """The page says so, and the others load."""
    dataset = made("filters.instances.ends_in_colon.text=''")
    assert lines(dataset.parent / "instances.jsonl") == []
    assert names(dataset) == {"README.md", "prompt_completion.jsonl"}
    assert list(configs(dataset)) == ["prompt_completion"]
    assert len(rows_of(dataset, "prompt_completion")) == 13
    page = (dataset / "README.md").read_text(encoding="utf-8")
    assert "| `chat` |  | none: no row | 0 |" in page
    assert "An export without a row has no file" in page


def test_no_row_at_all(made: Callable[..., Path]) -> None:
    """Then there is the page alone, without a config."""
    dataset = made("filters.instances.ends_in_colon.text=''", "export=[chat,alpaca]")
    assert names(dataset) == {"README.md"}
    assert configs(dataset) == {}


class TestColumns:
    def test_where_a_record_comes_from(self, made: Callable[..., Path]) -> None:
        """Id, parent, request and model of each record, and the scores of the instruction it is about."""
        wanted = "[id,parent,request,model,nearest,score,average_similarity]"
        dataset = made(f"export.alpaca.columns={wanted}", "+pipeline.instances.model={name: other/writer}")
        instances = {row["id"]: row for row in lines(dataset.parent / "instances.jsonl")}
        tasks = {row["id"]: row for row in lines(dataset.parent / "instructions.jsonl")}
        rows = rows_of(dataset, "alpaca")
        assert [row["id"] for row in rows] == [*instances]
        for row in rows:
            instance, task = instances[row["id"]], tasks[row["parent"]]
            assert (row["parent"], row["request"]) == (instance["parent"], instance["request"])
            assert row["model"] == "other/writer"
            assert row["score"] == task["most_similar"][row["nearest"]] == max(task["most_similar"].values())
            assert row["average_similarity"] == task["average_similarity"]

    def test_seed_tasks(self, made: Callable[..., Path]) -> None:
        """A seed task has an id, and null for what made it."""
        columns = "export.chat.columns=[id,parent,request,model,score]"
        dataset = made(columns, "export.chat.seed_tasks=true")
        seeds = [row for row in rows_of(dataset, "chat") if row["model"] is None]
        assert [row["id"] for row in seeds] == [*(f"seed_{place}-0" for place in range(12)), "odd-0"]
        assert {(row["parent"], row["request"], row["score"]) for row in seeds} == {(None, None, None)}

    def test_a_field_comes_first(self, typed: Typed, project: Path) -> None:
        """In a recipe with a judge, `score` is what the judge gave."""
        replies = Path(__file__).parents[1] / "replies/en.jsonl"
        hosted = ("model=scripted", "model.mode=chat", f"model.options.replies={replies}", "target=3")
        keys = (
            "export.chat.columns=[score,id]",
            "filters.instructions.rouge_l.keep_similar=1",
            "run_dir=run",
        )
        status, out, err = typed("recipe=judged", *hosted, *keys)
        assert status == 0, out + err
        given = {row["id"]: row["score"] for row in lines(project / "run/instances.jsonl")}
        rows = lines(project / "run/dataset/chat.jsonl")
        assert {row["id"]: row["score"] for row in rows} == given
        assert set(given.values()) <= {4, 5}
        page = (project / "run/dataset/README.md").read_text(encoding="utf-8")
        assert "| `score` | the number of the level that fits |" in page  # the words of its schema

    def test_of_passages(self, typed: Typed, project: Path) -> None:
        """What a filter found out about the record itself; a passage has no model."""
        keys = ("export.chat.columns=[within_passage,model]", "+export.source={kind: chat, of: passages,")
        source = f"{keys[1]} user: '{{{{ document }}}}', output: passage, columns: [model, id]}}"
        status, out, err = typed(
            "recipe=grounded", "model=scripted", "model.mode=chat", "target=2", "run_dir=run", keys[0], source
        )
        assert status == 0, out + err
        rows = lines(project / "run/dataset/chat.jsonl")
        found = [row["within_passage"] for row in lines(project / "run/instances.jsonl")]
        assert [row["within_passage"] for row in rows] == found
        assert {row["model"] for row in rows} == {"scripted"}
        assert {row["model"] for row in lines(project / "run/dataset/source.jsonl")} == {None}

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            ("[modle]", "did you mean 'model'?"),
            ("[nearst]", "did you mean 'nearest'?"),
            ("[within_passage]", "unknown field 'within_passage'"),
            ("[messages]", "is already a key of the format"),
        ],
    )
    def test_a_slip(self, typed: Typed, columns: str, words: str) -> None:
        """A name that nothing has is refused with the nearest one."""
        status, _, err = typed("check", "recipe=chat", "model=scripted", f"export.chat.columns={columns}")
        assert status == 1
        assert "export.chat.columns" in err
        assert words in err

    def test_what_is_not_kept(self, typed: Typed) -> None:
        """A score that no filter keeps as it is set is null, and `check` names the key that would keep it."""
        check = ("check", "recipe=chat", "model=scripted", "export.chat.columns=[id,score]")
        status, out, err = typed(*check)
        assert status == 0, err
        note = "score is null in every row unless filters.instructions.rouge_l.keep_similar is set"
        assert note in " ".join(out.split())
        assert "is null in every row" not in typed(*check, "filters.instructions.rouge_l.keep_similar=1")[1]


@pytest.mark.parametrize(
    "name", ["chat.txt", "chat", "README.md", "a[1].jsonl", "a*.jsonl", ".a.jsonl", "a/b.jsonl"]
)
def test_a_file_that_the_library_cannot_read(typed: Typed, name: str) -> None:
    """It tells the format by the name, and takes some characters for a pattern."""
    status, _, err = typed("check", "recipe=chat", "model=scripted", f"export.chat.file='{name}'")
    assert status == 1
    assert "export.chat.file" in err
    assert "load_dataset" in err


class TestFeatures:
    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            (["a", None], {"dtype": "string"}),
            ([None, 1], {"dtype": "int64"}),
            ([1, 2.5], {"dtype": "float64"}),
            ([True, None], {"dtype": "bool"}),
            ([None], {"dtype": "null"}),
            ([[], ["a"]], {"list": "string"}),
            ([[["a"]], []], {"list": {"list": "string"}}),
            ([[{"a": 1}], []], {"list": [{"name": "a", "dtype": "int64"}]}),
            ([{"a": None}, {"a": "b"}], {"struct": [{"name": "a", "dtype": "string"}]}),
        ],
    )
    def test_one_type(self, values: list[Any], kind: dict[str, Any]) -> None:
        """A column has the type of all its values, in the library's words."""
        assert features(common({"column": value} for value in values)) == [{"name": "column", **kind}]

    @pytest.mark.parametrize(
        "values", [["a", 1], [True, 1], [{"a": 1}, {"b": 1}], [10**30], [["a"], "a"], [{}]]
    )
    def test_no_type(self, values: list[Any]) -> None:
        """Where the values have several, or one that the library lacks, it is left to guess."""
        assert features(common({"column": value} for value in values)) is None


def test_the_library_loads_it(made: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every config of a run that grows, each with the rows that its file has then."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    library = pytest.importorskip("datasets", reason="needs datasets, of the extra dev")
    for target in (2, 3):
        dataset = made(
            f"target={target}", "export.chat.columns=[id,parent,request,score]", "export.chat.seed_tasks=true"
        )
        for name in configs(dataset):
            loaded = library.load_dataset(str(dataset), name, split="train", cache_dir=".datasets")
            assert [dict(row) for row in loaded] == rows_of(dataset, name)
