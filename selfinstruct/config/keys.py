"""What the sections of a recipe are made of: their base classes, and the marks of keys."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Machine:
    """Marks a key that only affects how and where a run is done."""


class OnDisk:
    """Marks a key that names a file or a folder; in a recipe it must be in the project (`paths`)."""


class SinceSet:
    """Marks a key that earlier versions did not have: it is part of a run's shape only if it is set."""


AFTER, BEFORE = "after", "before"  # the keys that give a stage or a filter its place


@dataclass(frozen=True)
class Asks:
    """Marks an option that says which model a part asks; the part gets its `ModelConfig`.

    Attributes:
        group: the folder below `conf/` with the files that a recipe may name. Instead it may give a model's
            keys: for `model` those that differ from the recipe's model, otherwise all keys of the model.
        vectors: whether it is asked for vectors of texts.
    """

    group: str = "model"
    vectors: bool = False


class Strict(BaseModel):
    """Refuses unknown keys and does not convert between types."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True, allow_inf_nan=False)


class Component(BaseModel):
    """A named part from a registry; all its keys except `kind` are options of that part."""

    model_config = ConfigDict(extra="allow", strict=True)

    kind: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """The options, as in the recipe."""
        return dict(self.model_extra or {})


def _sane(value: Any, where: str = "") -> Any:
    """The parameters of a request, if every number in them can be sent and none is implausibly large.

    Raises:
        ValueError: with the first parameter that is wrong.
    """
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        _sane(one, f"{where}.{key}".lstrip("."))
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{where} is not a finite number")
    most = LARGEST.get(where, 2**63 - 1)
    if isinstance(value, int | float) and abs(value) > most:
        raise ValueError(f"{where} is more than {most:,}; give it a smaller number")
    return value


# The largest plausible values of some parameters of a request; the others may have any 64-bit number.
LARGEST = {
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "min_tokens", "num_predict"), 10_000_000),
    **dict.fromkeys(("n_predict", "num_ctx"), 10_000_000),
    **dict.fromkeys(("n", "best_of"), 1_000),
}
Sampling = Annotated[dict[str, Any], AfterValidator(_sane)]

Share = Annotated[float, Field(ge=0, le=1)]


def off(value: Any) -> Any:
    """`cache=off`; YAML reads an unquoted off as a boolean."""
    return None if value is False or value == "off" else value


def switch(value: Any) -> Any:
    """`prompt_cache=off` and `=on`; YAML reads an unquoted on or off as a boolean."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value
