"""The options of a field of an object in a JSON reply; `structured` reads such objects."""

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
            raise ValueError(f"highest must be above lowest, by less than {LONGEST_SCALE}")
        return self


class ListMarks(BaseModel):
    """List marks before a text that are not part of it: numbers, bullets, labels such as "Task 3:"."""

    model_config = ConfigDict(extra="forbid", strict=True)

    labels: list[str] = Field(default_factory=list, description="words that are a label before a colon")
    ordinals: list[str] = Field(
        default_factory=list, description='words to which a number before them belongs ("2. Weltkrieg")'
    )


class JsonField(BaseModel):
    """A field of a candidate, and how to read it from an object of the reply."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: str | None = Field(None, description="its key in the reply, if that differs from its name")
    default: Any = Field(None, description="its value if null or missing; without one, the field is required")
    choices: dict[str, Choice] = Field(default_factory=dict, description="its closed set, as in `choice`")
    scale: Scale | None = Field(None, description="it is a whole number from `lowest` to `highest`")
    otherwise: Any = Field(None, description="its value if the reply has none of its choices or its scale")
    list_marks: ListMarks | None = Field(
        None, description="remove a list mark from its beginning: {labels, ordinals}"
    )

    @model_validator(mode="after")
    def _closed(self) -> JsonField:
        if self.choices and self.scale:
            raise ValueError("a field has choices or a scale, not both")
        if self.settles and not self.asked:
            raise ValueError("otherwise needs choices or a scale")
        if self.list_marks and self.asked:
            raise ValueError("list_marks is for a text, not for choices or a scale")
        return self

    @property
    def settles(self) -> bool:
        """Whether it gives a value for an answer that is missing or cannot be used."""
        return "otherwise" in self.model_fields_set

    @property
    def asked(self) -> tuple[Any, ...]:
        """The closed set from which a reply chooses; empty if there is none."""
        if self.scale:
            return tuple(range(self.scale.lowest, self.scale.highest + 1))
        return tuple(one.meaning(label) for label, one in self.choices.items())

    @property
    def values(self) -> tuple[Any, ...]:
        """All the values that a record may get; empty if they are not a closed set."""
        more = [getattr(self, key) for key in ("default", "otherwise") if key in self.model_fields_set]
        known = [repr(value) for value in self.asked]
        return (*self.asked, *(value for value in more if repr(value) not in known)) if self.asked else ()
