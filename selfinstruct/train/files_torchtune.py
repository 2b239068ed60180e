"""The config of torchtune, which names a builder for each model; `MODELS` has those that it is written for.

To add a model, add a line: the builder of its LoRA form, its family, and the files of its weights on the hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from selfinstruct.train.examples import TRAIN
from selfinstruct.train.files_configs import Key, Plan, listed, written

DOWNLOADED = "base"  # the folder that `tune download` fills
SCHEDULE = "torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup"


@dataclass(frozen=True)
class Family:
    """What the models of a family share.

    Attributes:
        tokenizer: the builder of the tokenizer.
        files: its arguments that name files of the base.
        type: the name of the family for the checkpointer.
    """

    tokenizer: str
    files: Mapping[str, str]
    type: str


QWEN = Family(
    "torchtune.models.qwen2_5.qwen2_5_tokenizer",
    {"path": "vocab.json", "merges_file": "merges.txt"},
    "QWEN2",
)
LLAMA3 = Family("torchtune.models.llama3.llama3_tokenizer", {"path": "original/tokenizer.model"}, "LLAMA3")
LLAMA3_2 = Family(LLAMA3.tokenizer, LLAMA3.files, "LLAMA3_2")
PHI3 = Family("torchtune.models.phi3.phi3_mini_tokenizer", {"path": "tokenizer.model"}, "PHI3_MINI")
MODELS: Mapping[str, tuple[str, Family, int]] = {  # the builder, the family, the number of files
    "Qwen2.5-0.5B-Instruct": ("torchtune.models.qwen2_5.lora_qwen2_5_0_5b", QWEN, 1),
    "Qwen2.5-1.5B-Instruct": ("torchtune.models.qwen2_5.lora_qwen2_5_1_5b_instruct", QWEN, 1),
    "Qwen2.5-3B-Instruct": ("torchtune.models.qwen2_5.lora_qwen2_5_3b", QWEN, 2),
    "Qwen2.5-7B-Instruct": ("torchtune.models.qwen2_5.lora_qwen2_5_7b_instruct", QWEN, 4),
    "Llama-3.2-1B-Instruct": ("torchtune.models.llama3_2.lora_llama3_2_1b", LLAMA3_2, 1),
    "Llama-3.2-3B-Instruct": ("torchtune.models.llama3_2.lora_llama3_2_3b", LLAMA3_2, 2),
    "Llama-3.1-8B-Instruct": ("torchtune.models.llama3_1.lora_llama3_1_8b", LLAMA3, 4),
    "Phi-3-mini-4k-instruct": ("torchtune.models.phi3.lora_phi3_mini", PHI3, 2),
}
MODULES = {
    "q_proj": "q_proj",
    "k_proj": "k_proj",
    "v_proj": "v_proj",
    "o_proj": "output_proj",
}  # PEFT's names
MLP = {"gate_proj", "up_proj", "down_proj"}


def known(base: str) -> bool:
    """Whether the config can be written for a base."""
    return PurePath(base).name in MODELS


def torchtune(plan: Plan) -> str:
    """The config of torchtune's recipe lora_finetune_single_device, for a base in `MODELS`."""
    config = plan.config
    name = PurePath(plan.base).name
    builder, family, _ = MODELS[name]
    local = PurePath(plan.base).is_absolute()
    folder = plan.base if local else DOWNLOADED
    epochs = max(1, round(config.epochs))
    return written(
        _head(plan.base, local),
        [
            Key("output_dir", "tuned-torchtune", "where checkpoints and the adapter go"),
            Key("model", {"_component_": builder, **_lora(plan)}, "the base with LoRA matrices"),
            Key(
                "tokenizer",
                {
                    "_component_": family.tokenizer,
                    **{key: f"{folder}/{file}" for key, file in family.files.items()},
                    "max_seq_len": config.max_tokens,
                },
                "its tokenizer and chat template; longer examples are cut",
            ),
            Key("checkpointer", _checkpointer(folder, name, family), "the files of the base"),
            Key("resume_from_checkpoint", False, "true continues from the last checkpoint"),
            Key(
                "dataset",
                {
                    "_component_": "torchtune.datasets.chat_dataset",
                    "source": "json",
                    "data_files": TRAIN,
                    "split": "train",
                    "conversation_column": "messages",
                    "conversation_style": "openai",
                    "train_on_input": False,
                    "packed": config.packing,
                },
                "lists of messages; the loss is that of the answer alone",
            ),
            Key("seed", plan.seed % 2**32, "the seed of the run"),
            Key("shuffle", True, "a new order of the examples"),
            Key("epochs", epochs, "how often each example is used"),
            Key("max_steps_per_epoch", None, "null: all examples"),
            Key("batch_size", plan.micro, "examples in memory; lower it if memory runs out"),
            Key("gradient_accumulation_steps", plan.accumulated, "times the line above: examples in a step"),
            Key(
                "optimizer",
                {
                    "_component_": "torch.optim.AdamW",
                    "lr": config.learning_rate,
                    "weight_decay": config.weight_decay,
                },
                "AdamW, with the highest learning rate",
            ),
            Key(
                "lr_scheduler",
                {
                    "_component_": SCHEDULE,
                    "num_warmup_steps": plan.warmup_steps,
                    "num_cycles": 0.0 if config.schedule == "constant" else 0.5,
                },
                "rises, then falls as a cosine; num_cycles 0.0 keeps it constant; there is no linear one",
            ),
            Key("loss", {"_component_": "torchtune.modules.loss.CEWithChunkedOutputLoss"}, "cross-entropy"),
            Key("device", "cuda", "cpu without a GPU, which is slow"),
            Key("dtype", "bf16" if plan.sixteen else "fp32", "the precision"),
            Key("enable_activation_checkpointing", False, "true takes less memory and more time"),
            Key("enable_activation_offloading", False, "true keeps activations in the memory of the machine"),
            Key("clip_grad_norm", None, "null: gradients are not clipped"),
            Key("compile", False, "true compiles the model, which pays in a long training"),
            Key(
                "metric_logger",
                {
                    "_component_": "torchtune.training.metric_logging.DiskLogger",
                    "log_dir": "tuned-torchtune/logs",
                },
                "where the loss is written",
            ),
            Key("log_every_n_steps", 10, "the loss every ten steps"),
            Key("log_peak_memory_stats", False),
        ],
    )


def _head(base: str, local: bool) -> list[str]:
    fetch = [] if local else [f"    tune download {base} --output-dir {DOWNLOADED}"]
    return [
        "torchtune: tunes a model on the examples beside this file. Needs pip install torchtune torchao.",
        "Type in this folder:",
        *fetch,
        "    tune run lora_finetune_single_device --config torchtune.yaml",
    ]


def _lora(plan: Plan) -> dict[str, Any]:
    layers = listed(plan.config)
    everywhere = layers == ["all-linear"]
    attention = [ours for name, ours in MODULES.items() if everywhere or name in layers]
    return {
        "lora_attn_modules": attention,
        "apply_lora_to_mlp": everywhere or bool(MLP & set(layers)),
        "lora_rank": plan.config.rank,
        "lora_alpha": plan.config.alpha,
        "lora_dropout": plan.config.dropout,
    }


def _checkpointer(folder: str, name: str, family: Family) -> dict[str, Any]:
    count = MODELS[name][2]
    many = {"filename_format": "model-{}-of-{}.safetensors", "max_filename": f"{count:05}"}
    return {
        "_component_": "torchtune.training.FullModelHFCheckpointer",
        "checkpoint_dir": folder,
        "checkpoint_files": ["model.safetensors"] if count == 1 else many,
        "recipe_checkpoint": None,
        "output_dir": "tuned-torchtune",
        "model_type": family.type,
    }
