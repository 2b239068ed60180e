"""What a recipe says of the fields of an object in a JSON reply; `structured` reads them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from selfinstruct.parse.labels import Choice

LONGEST_SCALE = 1000


class Scale(BaseModel):
    """Whole numbers, both ends included."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lowest: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
    highest: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]

    @model_validator(mode="after")
    def _has_values(self) -> Scale:
        if not 0 < self.highest - self.lowest < LONGEST_SCALE:
            raise ValueError(f"highest has to be above lowest, and below it by less than {LONGEST_SCALE}")
        return self


class ListMarks(BaseModel):
    """Marks of a list before a text that are no part of it: numbers, bullets, labels such as "Task 3:"."""

    model_config = ConfigDict(extra="forbid", strict=True)

    labels: list[str] = Field(default_factory=list, description="words that are a label before a colon")
    ordinals: list[str] = Field(
        default_factory=list, description='words that a number before them belongs to ("2. Weltkrieg")'
    )


class JsonField(BaseModel):
    """A field of a candidate, and where it stands in an object of the reply."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: str | None = Field(None, description="its key in the reply, where that is another name")
    default: Any = Field(None, description="its value where it is null or missing; without one it is needed")
    choices: dict[str, Choice] = Field(default_factory=dict, description="its closed set, as in `choice`")
    scale: Scale | None = Field(None, description="it is a whole number from `lowest` to `highest`")
    otherwise: Any = Field(None, description="its value where the reply has none of its choices or its scale")
    list_marks: ListMarks | None = Field(
        None, description="take the mark of a list off its beginning: {labels, ordinals}"
    )

    @model_validator(mode="after")
    def _closed(self) -> JsonField:
        if self.choices and self.scale:
            raise ValueError("a field has choices or a scale, not both")
        if self.settles and not self.asked:
            raise ValueError("otherwise needs choices or a scale")
        if self.list_marks and self.asked:
            raise ValueError("list_marks are those of a text, not of choices or a scale")
        return self

    @property
    def settles(self) -> bool:
        """Whether it says what becomes of an answer that is none."""
        return "otherwise" in self.model_fields_set

    @property
    def asked(self) -> tuple[Any, ...]:
        """The closed set that a reply is to choose from; empty where there is none."""
        if self.scale:
            return tuple(range(self.scale.lowest, self.scale.highest + 1))
        return tuple(one.meaning(label) for label, one in self.choices.items())

    @property
    def values(self) -> tuple[Any, ...]:
        """All the values that a record may get; empty where they are not a closed set."""
        more = [getattr(self, key) for key in ("default", "otherwise") if key in self.model_fields_set]
        known = [repr(value) for value in self.asked]
        return (*self.asked, *(value for value in more if repr(value) not in known)) if self.asked else ()
