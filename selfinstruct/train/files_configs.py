"""The configs of `trl sft`, axolotl and LLaMA-Factory, from the keys of the section train.

A config is a list of `Key`, each with the words of its comment; torchtune's is in `files_torchtune`. To add a
trainer, write a function of a `Plan` that returns a config, and name it in `files.TRAINERS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfinstruct.config import TrainConfig
from selfinstruct.dataset.trainers import of_axolotl, plain_name, yaml_text
from selfinstruct.export import AXOLOTL
from selfinstruct.export.turns import MESSAGES, trainers
from selfinstruct.train.examples import TRAIN

PAIRS = "train_prompt_completion.jsonl"
FULL = "remove this and the keys of LoRA to tune all weights, with a tenth of the learning rate"
PRECISION = {  # by train.precision; auto is a GPU's usual choice
    "auto": "false without a GPU that has bfloat16",
    "bfloat16": "16-bit numbers with the range of 32",
    "float32": "32-bit numbers",
}


@dataclass(frozen=True)
class Plan:
    """What the configs have in common.

    Attributes:
        config: the section train.
        base: the base, as a name of the hub or a folder.
        examples: the number of examples.
        name: the run's name.
        seed: the run's seed.
    """

    config: TrainConfig
    base: str
    examples: int
    name: str
    seed: int

    @property
    def micro(self) -> int:
        """Examples in memory at once."""
        return min(self.config.micro_batch or self.config.batch_size, self.config.batch_size)

    @property
    def accumulated(self) -> int:
        """Micro-batches in a step."""
        return max(1, round(self.config.batch_size / self.micro))

    @property
    def warmup_steps(self) -> int:
        """Steps in which the learning rate rises; a count, since versions differ in how they read a share."""
        steps = math.ceil(self.examples / self.config.batch_size) * self.config.epochs
        return round(steps * self.config.warmup)

    @property
    def sixteen(self) -> bool:
        """Whether to compute with 16 bits."""
        return self.config.precision != "float32"


@dataclass(frozen=True)
class Key:
    """A key of a config.

    Attributes:
        name: its name.
        value: its value.
        about: what it does.
    """

    name: str
    value: Any
    about: str = ""


def written(head: Sequence[str], keys: Sequence[Key]) -> str:
    """A config: its head as comments, and each key with its comment."""
    lines = [f"# {line}".rstrip() for line in head]
    for key in keys:
        text = yaml_text({key.name: key.value}).rstrip("\n")
        above = isinstance(key.value, dict | list) and key.about
        lines += [f"# {key.about}"] if above else []
        lines.append(text if above or not key.about else f"{text}  # {key.about}")
    return "\n".join(lines) + "\n"


def trl(plan: Plan) -> str:
    """The config of `trl sft`; more of its arguments are in train.options."""
    config = plan.config
    own = [
        Key("model_name_or_path", plan.base, "the base: a name of the Hugging Face hub, or a folder"),
        Key(
            "datasets",
            [{"path": "json", "data_files": PAIRS, "split": "train"}],
            "lists of messages under prompt and completion; TRL computes the loss on the completion",
        ),
        Key("completion_only_loss", True, "the loss is that of the answer alone"),
        Key("output_dir", "tuned-trl", "where checkpoints and the adapter go"),
        Key("num_train_epochs", config.epochs, "how often each example is used"),
        Key("learning_rate", config.learning_rate, "the highest learning rate"),
        Key("lr_scheduler_type", _schedule(config), "how it falls"),
        Key("warmup_steps", plan.warmup_steps, "the steps in which it rises"),
        Key("weight_decay", config.weight_decay, "weight decay of AdamW"),
        Key("per_device_train_batch_size", plan.micro, "examples in memory; lower it if memory runs out"),
        Key("gradient_accumulation_steps", plan.accumulated, "times the line above: examples in a step"),
        Key("max_length", config.max_tokens, "TRL cuts longer examples"),
        Key("packing", config.packing, "several short examples in one row"),
        Key("bf16", plan.sixteen, PRECISION[config.precision]),
        Key("use_cpu", False, "true without a GPU, which is slow"),
        Key("use_peft", True, f"LoRA; {FULL}"),
        Key("lora_r", config.rank, "rank of the LoRA matrices"),
        Key("lora_alpha", config.alpha, "their weight: alpha / rank scales what they add"),
        Key("lora_dropout", config.dropout, "dropout of the LoRA layers"),
        Key("lora_target_modules", listed(config), "the layers that get them"),
        Key("seed", plan.seed % 2**32, "the seed of the run"),
        Key("save_strategy", "epoch", "a checkpoint after each epoch"),
        Key("logging_steps", 10, "the loss every ten steps"),
        Key("report_to", "none", "or wandb, tensorboard …"),
    ]
    named = {key.name for key in own} & set(config.options)
    own = [Key(key.name, config.options[key.name]) if key.name in named else key for key in own]
    more = [Key(name, value) for name, value in config.options.items() if name not in named]
    return written(_head("TRL", "pip install 'trl[peft]'", "trl sft --config trl.yaml"), [*own, *more])


def axolotl(plan: Plan) -> str:
    """The config of axolotl."""
    config = plan.config
    entry = of_axolotl(TRAIN, "json", trainers("messages", MESSAGES)[AXOLOTL])
    everywhere = config.layers == "all-linear"
    return written(
        _head("axolotl", "pip install axolotl", "axolotl train axolotl.yaml"),
        [
            Key("base_model", plan.base, "the base: a name of the Hugging Face hub, or a folder"),
            Key("datasets", [{**entry, "roles_to_train": ["assistant"]}], "lists of messages"),
            Key("chat_template", "tokenizer_default", "the template that comes with the base"),
            Key("train_on_inputs", False, "the loss is that of the answer alone"),
            Key("dataset_prepared_path", "prepared-axolotl", "where the tokenized examples go"),
            Key("val_set_size", 0, "no share is held out; `selfinstruct evaluate` uses other tasks"),
            Key("output_dir", "tuned-axolotl", "where checkpoints and the adapter go"),
            Key("adapter", "lora", f"LoRA; {FULL}"),
            Key("lora_r", config.rank, "rank of the LoRA matrices"),
            Key("lora_alpha", config.alpha, "their weight: alpha / rank scales what they add"),
            Key("lora_dropout", config.dropout, "dropout of the LoRA layers"),
            Key("lora_target_linear", True, "all linear layers get them")
            if everywhere
            else Key("lora_target_modules", listed(config), "the layers that get them"),
            Key("sequence_len", config.max_tokens, "axolotl leaves longer examples out"),
            Key("sample_packing", config.packing, "several short examples in one row"),
            Key("num_epochs", config.epochs, "how often each example is used"),
            Key("micro_batch_size", plan.micro, "examples in memory; lower it if memory runs out"),
            Key("gradient_accumulation_steps", plan.accumulated, "times the line above: examples in a step"),
            Key("optimizer", "adamw_torch", "AdamW"),
            Key("learning_rate", config.learning_rate, "the highest learning rate"),
            Key("lr_scheduler", _schedule(config), "how it falls"),
            Key("warmup_ratio", config.warmup, "the share of the steps in which it rises"),
            Key("weight_decay", config.weight_decay, "weight decay of AdamW"),
            Key("bf16", "auto" if config.precision == "auto" else plan.sixteen, PRECISION[config.precision]),
            Key("seed", plan.seed % 2**32, "the seed of the run"),
            Key("saves_per_epoch", 1, "a checkpoint after each epoch"),
            Key("logging_steps", 10, "the loss every ten steps"),
        ],
    )


def llama_factory(plan: Plan) -> str:
    """The config of LLaMA-Factory; it finds the data through dataset_info.json."""
    config = plan.config
    target = "all" if config.layers == "all-linear" else ",".join(listed(config))
    return written(
        _head("LLaMA-Factory", "pip install llamafactory", "llamafactory-cli train llama_factory.yaml"),
        [
            Key("model_name_or_path", plan.base, "the base: a name of the Hugging Face hub, or a folder"),
            Key("stage", "sft", "supervised fine-tuning"),
            Key("do_train", True),
            Key("dataset", plain_name(plan.name), f"its name in dataset_info.json, which names {TRAIN}"),
            Key("dataset_dir", ".", "the folder of dataset_info.json"),
            Key("template", None, "null: the template that comes with the base; or qwen, llama3 …"),
            Key("train_on_prompt", False, "the loss is that of the answer alone"),
            Key("cutoff_len", config.max_tokens, "LLaMA-Factory cuts longer examples"),
            Key("packing", config.packing, "several short examples in one row"),
            Key("finetuning_type", "lora", "LoRA; full tunes all weights, with a tenth of the learning rate"),
            Key("lora_rank", config.rank, "rank of the LoRA matrices"),
            Key("lora_alpha", config.alpha, "their weight: alpha / rank scales what they add"),
            Key("lora_dropout", config.dropout, "dropout of the LoRA layers"),
            Key("lora_target", target, "the layers that get them"),
            Key("output_dir", "tuned-llama-factory", "where checkpoints and the adapter go"),
            Key("num_train_epochs", config.epochs, "how often each example is used"),
            Key("learning_rate", config.learning_rate, "the highest learning rate"),
            Key("lr_scheduler_type", _schedule(config), "how it falls"),
            Key("warmup_steps", plan.warmup_steps, "the steps in which it rises"),
            Key("weight_decay", config.weight_decay, "weight decay of AdamW"),
            Key("per_device_train_batch_size", plan.micro, "examples in memory; lower it if memory runs out"),
            Key("gradient_accumulation_steps", plan.accumulated, "times the line above: examples in a step"),
            Key("bf16", plan.sixteen, PRECISION[config.precision]),
            Key("seed", plan.seed % 2**32, "the seed of the run"),
            Key("save_strategy", "epoch", "a checkpoint after each epoch"),
            Key("logging_steps", 10, "the loss every ten steps"),
            Key("report_to", "none", "or wandb, tensorboard …"),
        ],
    )


def listed(config: TrainConfig) -> list[str]:
    """The layers that get LoRA matrices, as PEFT names them."""
    return [config.layers] if isinstance(config.layers, str) else config.layers


def _head(tool: str, install: str, command: str) -> list[str]:
    return [
        f"{tool}: tunes a model on the examples beside this file. Needs {install}.",
        "Start it in this folder:",
        f"    {command}",
    ]


def _schedule(config: TrainConfig) -> str:
    return "constant_with_warmup" if config.schedule == "constant" and config.warmup else config.schedule
