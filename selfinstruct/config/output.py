"""What a run is for: the files that it exports, its report, and its review by people."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from selfinstruct.config.keys import Component, OnDisk, Share, Strict
from selfinstruct.where import Conditions


def _shares(split: dict[str, float]) -> dict[str, float]:
    """The shares of splits, if there can be such splits.

    Raises:
        ValueError: with what is wrong.
    """
    for name, share in split.items():
        if not re.fullmatch(r"\w+", name) or name == "all":
            raise ValueError(f"{name!r} cannot be the name of a split; use letters, digits and _, not all")
        if share <= 0:
            raise ValueError(f"the share of {name} is {share:g}; a share is more than 0")
    if split and abs(sum(split.values()) - 1) > 1e-6:
        raise ValueError(f"the shares add up to {sum(split.values()):g}, not to 1")
    if len({name.casefold() for name in split}) < len(split):
        raise ValueError("two splits have names that differ only in case, so their files would be the same")
    return split


class ExportConfig(Component):
    """One file to write; all keys not named here are options of its format."""

    of: str | None = Field(
        None, description="the stage whose records to write; by default the last that makes records"
    )
    where: Conditions = Field(
        default_factory=dict,
        description="write only the records whose fields fit: a value, a list, or {not: …}, {at_least: …}; a "
        "seed task without such a field is written",
    )
    seed_tasks: bool = Field(False, description="write the seed tasks too")
    shuffle: bool = Field(False, description="shuffle the rows")
    file: str | None = Field(
        None,
        description="name of the file in dataset/; by default the export's name. The ending is that of the "
        "format, and a split puts its name before it: chat-train.parquet",
    )
    format: Literal["jsonl", "parquet", "csv"] = Field(
        "jsonl",
        description="jsonl; parquet, with one schema for all files; or csv for people, which opens in a "
        "spreadsheet, where no text is run as a formula",
    )
    split: Annotated[dict[str, Share], AfterValidator(_shares)] = Field(
        default_factory=dict,
        description="splits with their shares, such as {train: 0.95, validation: 0.05}. All records made "
        "from one instruction are in one split, always the same as the run grows; seed tasks are in train",
    )
    provenance: bool = Field(
        False,
        description="add the columns id, recipe, model, scores (those that checks and judges gave), parents "
        "(the ids of the records that it was made from) and edited (whether a reviewer has changed it)",
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="leave out rows with more tokens, counted by `tokenizer` in all their texts",
    )
    tokenizer: Annotated[str | None, OnDisk] = Field(
        None,
        description="what counts them: an encoding or a model of tiktoken (cl100k_base, gpt-4o), a "
        "tokenizer.json, or a model of the Hugging Face hub whose tokenizer.json is in the cache",
    )
    columns: list[str] = Field(
        default_factory=list,
        description="more columns for the rows, besides the format's own: fields of the records, labels too; "
        "id, parent, request and model; details that filters keep (score, nearest, within_passage …). Null "
        "in a row whose record has none. If a field has the same name as another, the field is used",
    )


class ReportConfig(Strict):
    """The page that explains a run."""

    figures: Literal["page", "svg", "png"] = Field(
        "page", description="also write each figure as a file of this form, to figures/"
    )
    rows: int = Field(
        2000, ge=0, le=100_000, description="the most records, and the most rejections, in its tables"
    )


PAGE_KEYS = {"u": "undo", "c": "comment", "e": "edit", "?": "help"}  # of the page of a review


def _pressable(key: str) -> str:
    if key.lower() in PAGE_KEYS:
        raise ValueError(
            f"{key!r} is a key of the page itself ({PAGE_KEYS[key.lower()]}); choose another key"
        )
    if not key.isprintable() or key.isspace():
        raise ValueError(f"{key!r} is not a key with a sign; choose a letter or a digit")
    return key


def _apart(choices: dict[str, ChoiceConfig]) -> dict[str, ChoiceConfig]:
    """Choices without two that have the same key; capitals and small letters are the same key."""
    seen: dict[str, str] = {}
    for value, choice in choices.items():
        other = seen.setdefault(choice.key.lower(), value)
        if other != value:
            raise ValueError(
                f"{other} and {value} have the same key {choice.key!r}; give one of them another"
            )
    return choices


class ChoiceConfig(Strict):
    """An answer to a question of a review."""

    key: Annotated[str, AfterValidator(_pressable)] = Field(
        min_length=1, max_length=1, description="the key to press; u, c, e and ? are the page's own"
    )
    text: str = Field(min_length=1, description="its text on the page")


class QuestionConfig(Strict):
    """A question that people answer about a record."""

    text: str = Field(min_length=1, description="the question")
    choices: Annotated[dict[str, ChoiceConfig], AfterValidator(_apart)] = Field(
        min_length=2, description="the answers, by the value that is stored; the first is the good one"
    )


class ReviewConfig(Strict):
    """The questions that people answer about records, on the page of `selfinstruct review`."""

    questions: dict[str, QuestionConfig] = Field(min_length=1, description="the questions, by name, in order")
