"""`train=files`: the examples, and a config for each of four trainers, to tune a model elsewhere.

`files_configs` and `files_torchtune` have the configs. Each says in its comments what its keys do and which
command starts it. To add a trainer, name its file and its function in `TRAINERS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from selfinstruct.dataset.trainers import DATASET_INFO, of_llama_factory, plain_name
from selfinstruct.errors import UserError
from selfinstruct.export import LLAMA_FACTORY
from selfinstruct.export.messages import MESSAGES, trainers
from selfinstruct.train.elsewhere import TRAIN, Order, Outcome, chat_rows, jsonl, put
from selfinstruct.train.files_configs import PAIRS, Plan, axolotl, llama_factory, trl
from selfinstruct.train.files_torchtune import MODELS, known, torchtune

TRAINERS: Mapping[str, tuple[str, Callable[[Plan], str]]] = {  # by command: the file, and what writes it
    "trl sft --config trl.yaml": ("trl.yaml", trl),
    "axolotl train axolotl.yaml": ("axolotl.yaml", axolotl),
    "llamafactory-cli train llama_factory.yaml": ("llama_factory.yaml", llama_factory),
    "tune run lora_finetune_single_device --config torchtune.yaml": ("torchtune.yaml", torchtune),
}
EMBEDDED = "HuggingFaceTB/SmolLM2-135M-Instruct"  # the embedded model before it was quantized
ON_THE_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def write(order: Order) -> Outcome:
    """Write the examples and the configs.

    Raises:
        UserError: if the base is not one that these trainers can load.
    """
    plan = Plan(order.config, base_of(order), len(order.examples), order.name, order.seed)
    order.to.mkdir(parents=True, exist_ok=True)
    for name, text in _data(order).items():
        put(order.to / name, text)
    commands = []
    for command, (name, config) in TRAINERS.items():
        if config is torchtune and not known(plan.base):
            (order.to / name).unlink(missing_ok=True)  # of another base
            continue
        put(order.to / name, config(plan))
        commands.append(command)
    return Outcome(_text(order, plan, commands))


def base_of(order: Order) -> str:
    """The base as the trainers name it: a name of the Hugging Face hub, or the path of a folder.

    Raises:
        UserError: if it is neither.
    """
    base = order.config.base
    folder = order.project / base
    if (folder / "config.json").is_file():
        return str(folder.resolve())
    if base == "embedded":
        raise UserError(
            "train.base=embedded: other trainers cannot load the embedded model, which is quantized\n"
            f"  set train.base={EMBEDDED}, the same model on the Hugging Face hub"
        )
    if base.endswith(".gguf") or folder.exists() or not ON_THE_HUB.fullmatch(base):
        what = "a GGUF file" if base.endswith(".gguf") else "a folder without config.json"
        what = what if base.endswith(".gguf") or folder.exists() else "neither a folder nor a name of the hub"
        raise UserError(
            f"train.base={base}: it is {what}, which other trainers cannot load\n"
            "  set train.base to a name of the Hugging Face hub (Qwen/Qwen2.5-0.5B-Instruct), or to a folder in "
            "its form"
        )
    return base


def _data(order: Order) -> dict[str, str]:
    """The texts of the files with the examples, by name."""
    reads = trainers("messages", MESSAGES)[LLAMA_FACTORY]
    info = {plain_name(order.name): of_llama_factory(TRAIN, reads)}
    pairs = [
        {"prompt": [dict(turn) for turn in turns[:-1]], "completion": [dict(turns[-1])]}
        for turns in order.examples
    ]
    return {
        TRAIN: jsonl(chat_rows(order.examples)),
        PAIRS: jsonl(pairs),
        DATASET_INFO: json.dumps(info, indent=2, ensure_ascii=False) + "\n",
    }


def _text(order: Order, plan: Plan, commands: list[str]) -> str:
    place = _short(order.to, order.project)
    lines = [f"{plan.examples:,} examples and {len(commands)} configs for {plan.base} are in {place}"]
    lines += [f"to tune there, type one of these in {place}:", *(f"  {command}" for command in commands)]
    if not known(plan.base):
        lines.append(
            f"no torchtune.yaml: torchtune needs a builder for each model, and none is known here for "
            f"{plan.base}; there is one for {', '.join(MODELS)}"
        )
    return "\n".join(lines)


def _short(path: Path, project: Path) -> str:
    return str(path.relative_to(project) if path.is_relative_to(project) else path)
