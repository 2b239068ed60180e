"""`train=files`: the examples, and configs of four trainers, read by their own code if it is installed."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed, lines
from filelock import FileLock
from ordered import examples_of, prepared_for
from results import refused
from users import user_with_a_run

from selfinstruct.errors import UserError
from selfinstruct.train.files import TRAINERS
from selfinstruct.train.folder import LOCK
from selfinstruct.train.kinds import training

LLAMA = "meta-llama/Llama-3.2-3B-Instruct"
OTHERS = {  # settings, no two of them defaults
    "train__precision": "float32",
    "train__schedule": "constant",
    "train__layers": ["q_proj", "o_proj", "up_proj"],
    "train__packing": True,
    "train__epochs": 3.0,
    "train__learning_rate": 5e-5,
    "train__batch_size": 6,
    "train__micro_batch": 2,
    "train__weight_decay": 0.1,
    "train__warmup": 0.2,
    "train__rank": 4,
    "train__alpha": 8,
    "train__dropout": 0.1,
    "train__max_tokens": 512,
    "train__base": LLAMA,
}


def written(project: Path, **changes: Any) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The folder that `train=files` writes, and its configs by file."""
    prepared = prepared_for(project, "files", **changes)
    training("files")(prepared)
    names = [name for name, _ in TRAINERS.values() if (prepared.folder / name).is_file()]
    return prepared.folder, {
        name: yaml.safe_load((prepared.folder / name).read_text(encoding="utf-8")) for name in names
    }


def test_the_examples_are_written_as_messages_and_as_prompts_with_completions(project: Path) -> None:
    """Both files have every example; `datasets` loads them; LLaMA-Factory's entry names an existing file."""
    folder, _ = written(project)
    rows, pairs = (lines(folder / name) for name in ("train.jsonl", "train_prompt_completion.jsonl"))
    expected = [row["messages"] for row in examples_of().rows]
    assert [row["messages"] for row in rows] == expected
    assert [pair["prompt"] + pair["completion"] for pair in pairs] == expected
    assert {len(pair["completion"]) for pair in pairs} == {1}
    assert pairs[0]["completion"][0]["role"] == "assistant"

    datasets = pytest.importorskip("datasets")
    for name, count in (("train.jsonl", 20), ("train_prompt_completion.jsonl", 20)):
        found = datasets.load_dataset(
            "json", data_files=str(folder / name), split="train", cache_dir=str(project / "cache")
        )
        assert len(found) == count
    info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    assert [(folder / entry["file_name"]).is_file() for entry in info.values()] == [True]
    assert info["tiny"]["columns"] == {"messages": "messages"}
    assert info["tiny"]["tags"]["assistant_tag"] == "assistant"


def test_each_config_has_the_keys_of_the_section_train(project: Path) -> None:
    """Base, epochs, learning rate, batch, rank and the others are in all four, as each trainer names them."""
    _, found = written(project, **OTHERS)
    trl, axolotl, factory, tune = (found[name] for name, _ in TRAINERS.values())

    assert trl["model_name_or_path"] == axolotl["base_model"] == factory["model_name_or_path"] == LLAMA
    assert tune["model"]["_component_"].endswith("lora_llama3_2_3b")
    assert {trl["num_train_epochs"], axolotl["num_epochs"], factory["num_train_epochs"], tune["epochs"]} == {
        3
    }
    rates = {
        trl["learning_rate"],
        axolotl["learning_rate"],
        factory["learning_rate"],
        tune["optimizer"]["lr"],
    }
    assert rates == {5e-5}
    in_memory = [
        trl["per_device_train_batch_size"],
        axolotl["micro_batch_size"],
        factory["per_device_train_batch_size"],
        tune["batch_size"],
    ]
    assert in_memory == [2] * 4
    assert {config["gradient_accumulation_steps"] for config in found.values()} == {3}
    assert [trl["lora_r"], axolotl["lora_r"], factory["lora_rank"], tune["model"]["lora_rank"]] == [4] * 4
    alphas = [trl["lora_alpha"], axolotl["lora_alpha"], factory["lora_alpha"], tune["model"]["lora_alpha"]]
    assert alphas == [8] * 4
    assert trl["lora_target_modules"] == axolotl["lora_target_modules"] == OTHERS["train__layers"]
    assert factory["lora_target"] == "q_proj,o_proj,up_proj"
    assert tune["model"]["lora_attn_modules"] == ["q_proj", "output_proj"]
    assert tune["model"]["apply_lora_to_mlp"] is True
    lengths = [trl["max_length"], axolotl["sequence_len"], factory["cutoff_len"]]
    assert [*lengths, tune["tokenizer"]["max_seq_len"]] == [512] * 4
    assert [trl["bf16"], axolotl["bf16"], factory["bf16"], tune["dtype"]] == [False, False, False, "fp32"]
    assert [trl["warmup_steps"], factory["warmup_steps"], tune["lr_scheduler"]["num_warmup_steps"]] == [2] * 3
    assert {config["seed"] for config in found.values()} == {7}
    assert axolotl["datasets"][0]["type"] == "chat_template"
    assert tune["dataset"]["_component_"] == "torchtune.datasets.chat_dataset"
    named = [trl["datasets"][0]["data_files"], axolotl["datasets"][0]["path"], tune["dataset"]["data_files"]]
    assert named == ["train_prompt_completion.jsonl", "train.jsonl", "train.jsonl"]


def test_each_key_has_a_comment_and_each_config_the_command_that_starts_it(project: Path) -> None:
    """A reader learns from the file itself what to type and what a key does."""
    folder, found = written(project)
    for command, (name, _) in TRAINERS.items():
        text = (folder / name).read_text(encoding="utf-8")
        assert f"#     {command}" in text
        assert "pip install" in text
        commented = text.count("  # ") + text.count("\n# ")
        assert commented >= 0.8 * len(found[name])
    assert "tune download Qwen/Qwen2.5-0.5B-Instruct --output-dir base" in text


def test_options_go_into_the_config_of_trl(project: Path) -> None:
    """`train.options` adds arguments of SFTConfig, and replaces those that are there."""
    _, found = written(project, train__options={"neftune_noise_alpha": 5, "report_to": "tensorboard"})
    assert found["trl.yaml"]["neftune_noise_alpha"] == 5
    assert found["trl.yaml"]["report_to"] == "tensorboard"


def test_a_base_that_torchtune_has_no_builder_for_gets_the_other_three(project: Path) -> None:
    """The note says which bases there are; a folder of the user's is named by its path."""
    base = project / "models/mine"
    base.mkdir(parents=True)
    (base / "config.json").write_text("{}")
    prepared = prepared_for(project, "files", train__base="models/mine")
    note = training("files")(prepared).note
    assert not (prepared.folder / "torchtune.yaml").exists()
    assert "no torchtune.yaml" in note and "Qwen2.5-0.5B-Instruct" in note
    assert yaml.safe_load((prepared.folder / "axolotl.yaml").read_text())["base_model"] == str(base.resolve())


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("embedded", "set train.base=HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("models/mine.gguf", "it is a GGUF file"),
        ("runs", "it is a folder without config.json"),
        ("just-a-word", "neither a folder nor a name of the hub"),
    ],
)
def test_a_base_that_no_trainer_loads_is_refused(project: Path, base: str, words: str) -> None:
    """The message says what to set; nothing is written."""
    (project / "runs").mkdir()
    with pytest.raises(UserError, match=words):
        written(project, train__base=base)
    assert not (project / "runs/tiny").exists()


def test_an_edited_config_is_not_replaced_unless_the_user_says_so(project: Path) -> None:
    """The same command may be typed again; `fresh=true` sets the folder aside."""
    folder, _ = written(project)
    written(project)  # the same again changes nothing
    edited = "# mine\n" + (folder / "trl.yaml").read_text()
    (folder / "trl.yaml").write_text(edited)
    with pytest.raises(UserError, match=r"has trl\.yaml, edited or of other settings\n.*fresh=true.*to=DIR"):
        written(project)
    written(project, fresh=True)
    assert (folder.with_name("model.before-1") / "trl.yaml").read_text() == edited
    assert (folder / "trl.yaml").read_text() != edited


def test_a_folder_with_a_tuned_model_is_left_alone(project: Path) -> None:
    """The examples there are those of the training."""
    folder = project / "runs/tiny/model"
    folder.mkdir(parents=True)
    (folder / "training.json").write_text("{}")
    (folder / "train.jsonl").write_text("theirs")
    with pytest.raises(UserError, match=r"files of another training: training\.json"):
        written(project)
    assert (folder / "train.jsonl").read_text() == "theirs"
    with FileLock(folder / LOCK), pytest.raises(UserError, match="another finetune tunes a model here"):
        written(project, fresh=True)  # it would write its files into the folder that was set aside
    assert (folder / "train.jsonl").read_text() == "theirs"
    written(project, fresh=True)
    assert (folder.with_name("model.before-1") / "train.jsonl").read_text() == "theirs"


def test_the_command_writes_them_for_a_run(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`finetune RUN train=files` takes the records of the run, and names the commands to type."""
    user_with_a_run(project)
    command = ("finetune", "x", "train=files", "finetune.evaluate=false")
    monkeypatch.setenv("SELFINSTRUCT_REPORT", "on")
    status, out, err = typed(*command, "train.rank=4")
    assert "report" not in out + err  # there is nothing to show until a trainer has run
    assert status == 0
    assert "type one of these in x/model:" in out and "axolotl train axolotl.yaml" in out
    assert yaml.safe_load((project / "x/model/trl.yaml").read_text())["lora_r"] == 4
    assert (project / "x/model/train.jsonl").stat().st_size
    refused(typed(*command, "train.base=embedded"), "set train.base=HuggingFaceTB/")
    status, _, err = typed(*command, "to=elsewhere")
    assert (status, err) == (0, "")  # no report, since nothing was tuned, and no note about that
    (project / "mine").mkdir()
    (project / "mine/train.jsonl").write_text("mine")
    refused(typed(*command, "to=mine"), "mine has train.jsonl, edited or of other settings", "to=DIR")
    for folder in ("x", ".", "..", "x/../x/"):
        refused(typed(*command, f"to={folder}", "fresh=true"), f"to={folder}: ", "name one of its own")
    refused(typed(*command, "to=mine/train.jsonl"), "cannot be written", "set to=DIR")
    assert (project / "mine/train.jsonl").read_text() == "mine"
    status, _, err = typed("finetune", "-m", *command[1:], "finetune.examples=2,3,2")
    assert (status, sorted(path.name for path in (project / "x/models").iterdir() if path.is_dir())) == (
        0,
        ["0", "1"],
    )


@pytest.fixture(params=["as it is", "changed"])
def configs(project: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the configs, in which their commands are typed."""
    folder, _ = written(project, **(OTHERS if request.param == "changed" else {}))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(project / "cache"))
    monkeypatch.setenv("DISABLE_VERSION_CHECK", "1")  # LLaMA-Factory's, of the packages beside it
    return folder


def _imported(name: str, why: str) -> Any:
    try:
        return import_module(name)
    except Exception as error:  # these projects raise their own errors if a package beside them does not fit
        pytest.skip(f"{why} cannot be imported: {error!r:.80}")


def test_trl_reads_its_config(configs: Path) -> None:
    """TRL's own parser accepts every key, and finds the examples."""
    pytest.importorskip("torch")
    pytest.importorskip("trl")
    script = import_module("trl.scripts.sft")
    found = script.make_parser().parse_args_and_config(["--config", "trl.yaml", "--use_cpu", "true"])
    _, training_args, model_args, dataset_args = found
    config = yaml.safe_load((configs / "trl.yaml").read_text())
    assert training_args.learning_rate == config["learning_rate"]
    assert model_args.lora_r == config["lora_r"]
    rows = import_module("trl").get_dataset(dataset_args)["train"]
    assert len(rows) == 20 and set(rows.column_names) == {"prompt", "completion"}


def test_axolotl_reads_its_config(configs: Path) -> None:
    """The schema of axolotl accepts it and knows every key."""
    schemas = _imported("axolotl.utils.schemas.config", "axolotl")
    datasets = _imported("axolotl.utils.schemas.datasets", "axolotl")
    config = yaml.safe_load((configs / "axolotl.yaml").read_text())
    found = schemas.AxolotlInputConfig(**config)
    assert set(config) <= set(schemas.AxolotlInputConfig.model_fields)
    assert set(config["datasets"][0]) <= set(datasets.SFTDataset.model_fields)
    assert found.datasets[0].type == "chat_template"


def test_llama_factory_reads_its_config(configs: Path) -> None:
    """LLaMA-Factory's parser accepts every key, and its list of datasets has the examples."""
    parser = _imported("llamafactory.hparams.parser", "LLaMA-Factory")
    config = {**yaml.safe_load((configs / "llama_factory.yaml").read_text()), "use_cpu": True}
    _, data, arguments, tuning, _ = parser.get_train_args(config)
    assert arguments.num_train_epochs == config["num_train_epochs"]
    assert tuning.lora_rank == config["lora_rank"]
    listed = _imported("llamafactory.data.parser", "LLaMA-Factory's data")
    (one,) = listed.get_dataset_list(data.dataset, data.dataset_dir)
    assert (one.dataset_name, one.formatting, one.messages) == ("train.jsonl", "sharegpt", "messages")


def test_torchtune_reads_its_config(configs: Path) -> None:
    """The arguments of every component fit, as `tune validate` sees it, and the examples load."""
    config = _imported("torchtune.config", "torchtune")
    from omegaconf import OmegaConf

    found: Any = OmegaConf.load("torchtune.yaml")
    config.validate(found)
    del found.dataset["packed"]
    rows = config.instantiate(found.dataset, tokenizer=lambda sample, **_: {"tokens": [1], "mask": [False]})
    assert len(rows) == 20
