"""The memory of a training: how much it takes, and what to lower where it runs out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

RAN_OUT = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "bad_alloc",
)


def peak_mb() -> int:
    """The most memory that this process has had, in megabytes: of the GPU if there is one."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated() / 1e6)
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset / 1e6)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most / 1e6 if sys.platform == "darwin" else most / 1e3)


def now_mb() -> int:
    """The memory that this process has now, in megabytes: of the GPU if there is one."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated() / 1e6)
    return int(psutil.Process().memory_info().rss / 1e6)


@dataclass
class Kept:
    """What a forward pass keeps for its backward pass, in bytes; what it keeps twice counts once."""

    sizes: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """All of it."""
        return sum(self.sizes.values())


@contextmanager
def kept(parameters: Iterator[Any]) -> Iterator[Kept]:
    """Count what a forward pass in the block keeps, without the model's own parameters."""
    import torch

    own = {one.untyped_storage().data_ptr() for one in parameters}
    found = Kept()

    def count(tensor: Any) -> Any:
        place = tensor.untyped_storage().data_ptr()
        if place not in own:
            found.sizes[place, tensor.untyped_storage().nbytes()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        yield found


def ran_out(error: BaseException) -> bool:
    """Whether an error means that there is not enough memory; torch raises several."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(words in text for words in RAN_OUT)


def remedy(kind: str, micro_batch: int | None, max_tokens: int, rank: int) -> str:
    """What to lower, the thing that helps most first."""
    ways = []
    if micro_batch is None or micro_batch > 1:
        ways.append(f"train.micro_batch={max(1, (micro_batch or 2) // 2)} (examples in memory at once)")
    ways.append(f"train.max_tokens={max_tokens // 2} (longer examples are left out)")
    ways.append("train.options.gradient_checkpointing=true (a third slower)")
    ways.append("train=lora (in place of full)" if kind == "full" else f"train.rank={max(1, rank // 2)}")
    return "not enough memory to train; lower one of these:\n    " + "\n    ".join(ways)
