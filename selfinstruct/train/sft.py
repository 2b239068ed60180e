"""The training itself: TRL's SFTTrainer and PEFT's LoRA, with a loss only on the answers.

The examples come as tokens in their final order (`tokens.order`). So the trainer takes one after the other,
and a training that goes on from a checkpoint sees the same ones as one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from math import ceil
from pathlib import Path
from typing import Any

from selfinstruct.config import TrainConfig
from selfinstruct.errors import UserError, unknown
from selfinstruct.train.tokens import Encoded

MOST_LOSSES = 500  # points of the loss curve
OURS = ("output_dir", "per_device_train_batch_size", "num_train_epochs", "max_steps", "seed")


def with_adapter(model: Any, train: TrainConfig) -> Any:
    """The model with LoRA matrices beside its layers, all else frozen.

    Raises:
        UserError: if `train.layers` names no layer of the model.
    """
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(
        r=train.rank,
        lora_alpha=train.alpha,
        lora_dropout=train.dropout,
        target_modules=train.layers,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, lora)
    except ValueError as error:  # no layer has such a name
        raise UserError(f"train.layers: {str(error).splitlines()[0]}") from error


def trainer(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Encoded],
    drawn: Sequence[int],
    train: TrainConfig,
    micro: int,
    folder: Path,
    seed: int,
    callbacks: Sequence[Any],
) -> Any:
    """A trainer, ready to start.

    Args:
        model: the model, with LoRA matrices or without.
        tokenizer: its tokenizer.
        examples: the examples.
        drawn: their order over all epochs.
        train: the section `train`.
        micro: how many examples are in memory at once.
        folder: the folder for checkpoints.
        seed: the run's seed.
        callbacks: what follows the training.

    Raises:
        UserError: if `train.options` has a key that TRL does not know.
    """
    import torch
    from datasets import Dataset
    from trl import SFTTrainer

    rows = Dataset.from_list([one.row for one in examples]).select(drawn)
    kind = SFTTrainer if torch.cuda.is_available() else _scoring_answers_only()
    return kind(
        model=model,
        args=_arguments(train, micro, ceil(len(drawn) / train.batch_size), folder, seed),
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )


def _arguments(train: TrainConfig, micro: int, steps: int, folder: Path, seed: int) -> Any:
    import torch
    from trl import SFTConfig

    known = {one.name for one in fields(SFTConfig)}
    for key in train.options:
        if key not in known or key in OURS:
            what, near = unknown("option", key, known)
            why = "it follows from the keys of train" if key in OURS else near
            raise UserError(
                f"train.options.{key}: {what if key not in OURS else 'cannot be set'}; {why[:200]}"
            )
    recomputing = "activation" if "activation_checkpointing" in known else "gradient"
    ours: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": 1,  # the rows are those of all epochs, in order
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": train.batch_size // micro,
        "learning_rate": train.learning_rate,
        "lr_scheduler_type": train.schedule,
        "warmup_steps": min(ceil(train.warmup * steps), steps - 1),  # a warmup begins at the rate 0
        "weight_decay": train.weight_decay,
        "train_sampling_strategy": "sequential",
        "max_length": None,  # what is too long was left out
        "padding_free": train.packing,
        "bf16": bfloat16(train),
        "use_cpu": not torch.cuda.is_available(),
        f"{recomputing}_checkpointing": False,
        "logging_steps": max(1, steps // MOST_LOSSES),
        "logging_nan_inf_filter": False,  # it would log 0 for a loss that is not a number
        "save_strategy": "no",  # a callback says when
        "save_total_limit": 1,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "seed": seed,
    }
    return SFTConfig(**{**ours, **train.options})


def bfloat16(train: TrainConfig) -> bool:
    """Whether to calculate in bfloat16: if asked to, or on a GPU that has it."""
    import torch

    if train.precision == "auto":
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    return train.precision == "bfloat16"


def _scoring_answers_only() -> Any:
    """A trainer that computes the scores over the vocabulary only where there is a loss.

    TRL does so too, but only on a GPU; on a processor it scores each token of the question and the padding as
    well, and computes an entropy besides.
    """
    from trl import SFTTrainer

    class AnswersOnly(SFTTrainer):  # type: ignore[misc, valid-type, unused-ignore]
        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            return loss_of_answers(model, inputs, num_items_in_batch)

    return AnswersOnly


def loss_of_answers(model: Any, inputs: dict[str, Any], tokens: Any = None) -> Any:
    """The mean cross-entropy of the tokens with a loss.

    Args:
        model: the model.
        inputs: a batch: input_ids and labels, of shape (examples, tokens), and what else the model takes.
        tokens: the tokens with a loss in the whole step, if the batch is a part of one.
    """
    import torch

    given = {key: value for key, value in inputs.items() if key != "labels"}
    targets = inputs["labels"][:, 1:]
    places = (targets != -100).any(0).nonzero().flatten()
    scores = model(**given, use_cache=False, logits_to_keep=places).logits.float()
    targets = targets[:, places]
    total = torch.nn.functional.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum")
    return total / ((targets != -100).sum() if tokens is None else tokens)
