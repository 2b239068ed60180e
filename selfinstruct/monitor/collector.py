"""Python's garbage collector, kept away from what lives as long as the process.

Starting makes hundreds of thousands of objects that stay: modules, classes, the recipe. Each time their
number grows by a quarter, the collector looks through all of them. That takes a quarter of the time of
LiteLLM's import, and time and again some 0.2 s of a run.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def set_aside() -> Iterator[None]:
    """Collect nothing inside the block, and afterwards leave out what there is.

    What is garbage by then stays in memory, so a block is short and does one thing: an import, or the way
    from a command to its recipe.
    """
    if not gc.isenabled():  # a block inside another, or someone else decides about it
        yield
        return
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
