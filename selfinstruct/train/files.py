"""`train=files`: the examples, and a config for each of four trainers, to tune a model elsewhere.

`files_configs` and `files_torchtune` have the configs. Each says in its comments what its keys do and which
command starts it. To add a trainer, name its file and its function in `TRAINERS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from selfinstruct.dataset.trainers import DATASET_INFO, of_llama_factory, plain_name
from selfinstruct.errors import UserError
from selfinstruct.export import LLAMA_FACTORY
from selfinstruct.export.turns import MESSAGES, trainers
from selfinstruct.project.jsonl import json_line
from selfinstruct.report.writing import short
from selfinstruct.run_folder.folder import write_whole
from selfinstruct.train.examples import TRAIN
from selfinstruct.train.files_configs import PAIRS, Plan, axolotl, llama_factory, trl
from selfinstruct.train.files_torchtune import MODELS, known, torchtune
from selfinstruct.train.folder import set_aside
from selfinstruct.train.kinds import Prepared, Trained

TRAINERS: Mapping[str, tuple[str, Callable[[Plan], str]]] = {  # by command: the file, and what writes it
    "trl sft --config trl.yaml": ("trl.yaml", trl),
    "axolotl train axolotl.yaml": ("axolotl.yaml", axolotl),
    "llamafactory-cli train llama_factory.yaml": ("llama_factory.yaml", llama_factory),
    "tune run lora_finetune_single_device --config torchtune.yaml": ("torchtune.yaml", torchtune),
}
EMBEDDED = "HuggingFaceTB/SmolLM2-135M-Instruct"  # the embedded model before it was quantized
OF_A_TRAINING = ("training.json", "hosted.json")  # files of the other kinds
ON_THE_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def train(prepared: Prepared) -> Trained:
    """Write the examples and the configs; see `kinds`.

    Raises:
        UserError: if the base is not one that these trainers can load, or the folder has other files.
    """
    plan = Plan(
        prepared.train,
        base_of(prepared.train.base, prepared.project),
        len(prepared.examples.rows),
        _name(prepared),
        prepared.seed,
    )
    texts = {**_data(prepared, plan), **{name: config(plan) for name, config in _configs(plan)}}
    if not prepared.plan_only:
        _make_way(prepared, texts)
        _write(prepared, texts)
    commands = [command for command, (name, _) in TRAINERS.items() if name in texts]
    return Trained(note=_text(prepared, plan, commands))


def base_of(base: str, project: Path) -> str:
    """The base as the trainers name it: a name of the Hugging Face hub, or the path of a folder.

    Raises:
        UserError: if it is neither.
    """
    folder = project / base
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
            "  set train.base to a name of the Hugging Face hub (Qwen/Qwen2.5-0.5B-Instruct), or to a folder "
            "in its form"
        )
    return base


def _configs(plan: Plan) -> Iterator[tuple[str, Callable[[Plan], str]]]:
    return ((name, config) for name, config in TRAINERS.values() if config != torchtune or known(plan.base))


def _name(prepared: Prepared) -> str:
    return Path(prepared.run).name or "run"


def _data(prepared: Prepared, plan: Plan) -> dict[str, str]:
    """The texts of the other files about the examples, by name."""
    info = {plain_name(plan.name): of_llama_factory(TRAIN, trainers("messages", MESSAGES)[LLAMA_FACTORY])}
    turns = (row["messages"] for row in prepared.examples.rows)
    pairs = (json_line({"prompt": one[:-1], "completion": one[-1:]}) for one in turns)
    return {
        TRAIN: "".join(prepared.examples.lines()),
        PAIRS: "".join(pairs),
        DATASET_INFO: json.dumps(info, indent=2, ensure_ascii=False) + "\n",
    }


def _write(prepared: Prepared, texts: Mapping[str, str]) -> None:
    """Write all files.

    Raises:
        UserError: if the folder cannot be written.
    """
    try:
        prepared.folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_whole(prepared.folder / name, [text.encode("utf-8", "backslashreplace")])
    except OSError as error:
        where = short(prepared.folder, prepared.project)
        raise UserError(f"{where} cannot be written: {error.strerror}; set to=DIR") from error


def _make_way(prepared: Prepared, texts: Mapping[str, str]) -> None:
    """Set aside what is in the folder if the user says so; refuse to replace other or edited files.

    Raises:
        UserError: if a file there is of another training, or differs from what would be written.
    """
    folder = prepared.folder
    others = [name for name in OF_A_TRAINING if (folder / name).exists()]
    edited = [name for name, text in texts.items() if _differs(folder / name, text)]
    if not others and not edited:
        return
    if prepared.fresh:
        prepared.progress.say(f"what was there is now in {set_aside(folder)}")
        return
    what = f"has files of another training: {', '.join(others)}" if others else f"has {', '.join(edited)}"
    why = "" if others else ", edited or of other settings"
    raise UserError(
        f"{short(folder, prepared.project)} {what}{why}\n"
        "  To set the folder aside: fresh=true; to write to another folder: to=DIR"
    )


def _differs(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8", errors="replace") != text


def _text(prepared: Prepared, plan: Plan, commands: list[str]) -> str:
    place = short(prepared.folder, prepared.project)
    would = "would be" if prepared.plan_only else "are"
    lines = [
        f"{plan.examples:,} examples and {len(commands)} configs for {plan.base} {would} in {place}",
        f"to tune there, type one of these in {place}:",
        *(f"  {command}" for command in commands),
    ]
    if not known(plan.base):
        lines.append(
            f"no torchtune.yaml: torchtune has a builder for each model, and none is known here for "
            f"{plan.base}; train.base can be {', '.join(MODELS)}"
        )
    return "\n".join(lines)
