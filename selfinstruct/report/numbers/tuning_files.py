"""The files that training and evaluation leave: their forms, read as plain data.

`finetune` and `evaluate` write them; whatever is absent is no fault, and a file that is half-written, or that
another program wrote, is a note on the page. A key that is not named here is ignored. To show one more, name
it here.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

TRAINING, EVALUATION, COMPARISON, ANSWERS = (
    "training.json",
    "evaluation.json",
    "comparison.json",
    "answers.jsonl",
)
MODEL, MODELS = "model", "models"  # folders below a run: of its tuned model, and of those of a sweep
Form = TypeVar("Form", bound=BaseModel)


def _number(value: Any) -> Any:
    """None for a number that JSON does not have: the loss of a training that fails becomes NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Real = Annotated[float | None, BeforeValidator(_number)]


class Data(BaseModel):
    """Data of a file; keys that are not named are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Score(Data):
    """A mean with its interval."""

    mean: float
    low: float
    high: float
    tasks: int | None = None


class Shown(Score):
    """A difference, and whether it is shown: whether zero is outside of its interval."""

    shown: bool


class Difference(Shown):
    """The paired difference of two models in a metric."""

    before: str
    after: str
    metric: str
    at_equal_length: Shown | None = None


class Evaluated(Data):
    """What is known of a model that was evaluated."""

    scores: dict[str, Score]
    at_reference_length: dict[str, Score] = {}
    words: float | None = None
    empty: int = 0
    categories: dict[str, dict[str, Any]] = {}


class Evaluation(Data):
    """evaluation.json."""

    eval: str
    tasks: int
    metrics: list[str] = []
    confidence: float = 0.95
    words_of_references: float | None = None
    unit: str = "words"
    notes: list[str] = []
    models: dict[str, Evaluated]
    differences: list[Difference] = []
    judged: Any = None

    @model_validator(mode="after")
    def _names_its_own(self) -> Evaluation:
        """Each difference is that of two of the models."""
        for one in self.differences:
            for name in (one.before, one.after):
                if name not in self.models or one.metric not in self.models[name].scores:
                    raise ValueError(f"differences name {one.metric} of {name}, which is not in models")
        return self


class Loss(Data):
    """The loss at a step."""

    step: int
    epoch: float | None = None
    loss: Real
    learning_rate: Real = None


class Pair(Data):
    """An example, and the task that it overlaps with."""

    example: str | int
    task: str | int


class Overlap(Data):
    """The examples that overlap with the evaluation."""

    eval: str = ""
    examples: int = 0
    named: list[Pair] = []


class Training(Data):
    """training.json."""

    state: str
    kind: str
    base: str
    examples: int | None = None
    tokens: int | None = None
    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None
    peak_memory_mb: float | None = None
    losses: list[Loss] = []
    train: dict[str, Any] = {}
    finetune: dict[str, Any] = {}
    left_out: dict[str, int] = {}
    overlap: Overlap | None = None
    seed: int | None = None


class Job(Data):
    """A job of a sweep over trainings."""

    folder: str
    run: str = ""
    overrides: list[str] = []
    examples: int | None = None
    error: str | None = None
    evaluation: Annotated[Evaluation | None, BeforeValidator(lambda found: found or None)] = None


class Comparison(Data):
    """comparison.json."""

    jobs: list[Job] = Field(min_length=1)


class Part(Data):
    """A mean with its interval; without values there is none."""

    mean: float | None = None
    low: float | None = None
    high: float | None = None


class Level(Part):
    """How many answers got a level, and their share in percent."""

    count: int


class Rated(Data):
    """The ratings of a model's answers."""

    rated: int
    left_out: int = 0
    levels: dict[str, Level]


class RatedModels(Data):
    """The ratings that somebody gave."""

    models: dict[str, Rated]


class Agreement(Data):
    """How far the judge and people agree."""

    records: int
    same: float | None = None
    kappa: float | None = None
    weighted_kappa: float | None = None
    disagrees: bool = False


class Ratings(Data):
    """The ratings of answers, from the best level to the worst."""

    levels: list[str]
    judge: RatedModels | None = None
    people: RatedModels | None = None
    agreement: Agreement | None = None


class Position(Data):
    """How often the answer that was shown first was called better."""

    named: int = 0
    first_share: float | None = None


class Compared(Data):
    """The comparisons of two models, from the side of the second one."""

    before: str
    after: str
    pairs: int
    wins: int
    ties: int
    losses: int
    win_rate: Part
    at_equal_length: Part = Part()
    shown: bool
    position: Position = Position()


class Pairs(Data):
    """The comparisons of models."""

    judge: list[Compared] = []
    people: list[Compared] = []
    agreement: Agreement | None = None


class Judged(Data):
    """What a judge and people say: the key `judged` of evaluation.json."""

    judge: str | None = None
    ratings: Ratings | None = None
    pairs: Pairs | None = None


class Answer(Data):
    """A model's answer to a task, with its scores by metric."""

    model: str
    text: str | None = None
    scores: dict[str, Real] = {}


class Answered(Data):
    """A task with the answers to it: a line of answers.jsonl."""

    id: str
    instruction: str
    input: str = ""
    category: str = ""
    references: list[str] = []
    answers: list[Answer] = []


def read(path: Path, form: type[Form], notes: list[str]) -> Form | None:
    """The contents of a file; None if it is absent, or not of that form, which is then a note.

    Args:
        path: the file.
        form: what it has to hold.
        notes: gets a note if it cannot be used.
    """
    if not path.is_file():
        return None
    try:
        return form.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        notes.append(f"{path.parent.name}/{path.name} is left out: {_why(error)}")
        return None


def read_lines(path: Path, form: type[Form], notes: list[str]) -> list[Form]:
    """The lines of a file, each of that form; none, and a note, if one of them is not."""
    if not path.is_file():
        return []
    try:
        return [form.model_validate(json.loads(line)) for line in path.read_bytes().splitlines() if line]
    except (OSError, ValueError, RecursionError) as error:
        notes.append(f"{path.parent.name}/{path.name} is left out: {_why(error)}")
        return []


def _why(error: Exception) -> str:
    """What is wrong, in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it is not valid JSON"
