"""What a dataset is made from: a run's records with the answers of their reviewers, and facts about the run.

It is made at the end of a run, from the recipe, and at any time from a run folder alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from selfinstruct.config import SeedsConfig
from selfinstruct.dataset.reviews import Reviews
from selfinstruct.journal.labelled_records import one_by_one
from selfinstruct.journal.store import FINISHED, Journal
from selfinstruct.project.resolving import model_config
from selfinstruct.recipe.build import Recipe
from selfinstruct.records import Record
from selfinstruct.registry import validate
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.run_folder.outline import Outline, outline_of
from selfinstruct.run_folder.shape import CONTENTS, SHAPE
from selfinstruct.schema.validation import compile_schema
from selfinstruct.sources.pool import SEED_STAGE, Seeds, load_seeds


class Made:
    """The records of a stage with their labels; they are read from the journal each time, one by one.

    Args:
        read: reads them.
    """

    def __init__(self, read: Callable[[], Iterator[Record]]) -> None:
        self._read = read
        self._found: tuple[int, frozenset[str]] | None = None  # how many there are, and their models

    def __iter__(self) -> Iterator[Record]:
        """The records, in order."""
        count, models = 0, set[str]()
        for record in self._read():
            count += 1
            if model := record.detail.get("model"):
                models.add(str(model))
            yield record
        self._found = count, frozenset(models)

    def __len__(self) -> int:
        """How many there are."""
        return self._seen[0]

    @property
    def models(self) -> frozenset[str]:
        """The models that their details name, as those of a merge do."""
        return self._seen[1]

    @property
    def _seen(self) -> tuple[int, frozenset[str]]:
        if self._found is None:
            for _ in self:
                pass
        assert self._found is not None
        return self._found


@dataclass(frozen=True)
class Source:
    """The records of a run, and what its dataset's page says about it.

    Attributes:
        outline: the stages.
        journal: the journal.
        seeds: the seed tasks; None if the run is of a version that did not keep them.
        schemas: the JSON Schema of each stage's records, whose descriptions explain the columns.
        questions: the questions of reviews.
        license: the licence that the user has set.
        finished: whether the run is finished.
    """

    outline: Outline
    journal: Journal
    seeds: Seeds | None
    schemas: Mapping[str, Any] = field(default_factory=dict)
    questions: Mapping[str, Any] = field(default_factory=dict)
    license: str | None = None
    finished: bool = True

    @cached_property
    def records(self) -> dict[str, Made]:
        """The accepted records with their labels, by stage that makes records."""
        names = (stage.name for stage in self.outline.makers)
        return {name: Made(partial(one_by_one, self.outline, self.journal, name)) for name in names}

    @cached_property
    def reviews(self) -> Reviews:
        """The answers of the reviewers."""
        return Reviews(self.journal.facts("review/"), self.questions)

    def of(self, stage: str) -> Iterator[Record]:
        """The records of a stage as a dataset has them: with the edited texts of the reviewers."""
        return map(self.reviews.applied, self.records[stage])

    @property
    def left(self) -> dict[str, int]:
        """How many records are left after the labels, by stage that makes records."""
        return {stage: len(records) for stage, records in self.records.items()}


def of_recipe(recipe: Recipe, journal: Journal, finished: bool) -> Source:
    """The source of the dataset of a run that ends now."""
    review = recipe.config.review
    return Source(
        outline_of(recipe),
        journal,
        recipe.seeds,
        recipe.config.schemas,
        review.model_dump()["questions"] if review else {},
        recipe.config.license,
        finished,
    )


def of_run(run: OpenedRun, journal: Journal | None = None, license: str | None = None) -> Source:
    """The source of the dataset of a run folder, without its recipe.

    Args:
        run: the run.
        journal: its journal, if it is open for writing too.
        license: the licence; that of its recipe if there is none.
    """
    config = run.config
    review: Mapping[str, Any] = config.get("review") or model_config("paper", run.project, "review") or {}
    return Source(
        run.outline,
        journal or run.journal,
        run.seeds or _read_again(run),
        config.get("schema") or {},
        review.get("questions") or {},
        license or config.get("license"),
        bool(run.journal.meta(FINISHED)),
    )


def _read_again(run: OpenedRun) -> Seeds | None:
    """The seed tasks of a run that has not kept them, from their file; None if it is gone or has changed."""
    config = run.config
    schema = config.get("schema", {}).get(SEED_STAGE) or {}
    seeds, faults = validate(SeedsConfig, config.get("seeds") or {}, "seeds")
    if seeds is None or faults:
        return None
    found = load_seeds(seeds, schema, compile_schema(schema, "", []), run.project, [], [])
    shape = run.journal.meta(SHAPE) or {}
    return found if found and found.digest == shape.get(f"seeds{CONTENTS}") else None
