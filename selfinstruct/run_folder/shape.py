"""The shape of a run: every setting that its records follow from, by the whole path of its key.

A run goes on, and is replayed, only while its shape stays the same. What may change are the keys and options
that are marked `Machine` where they are declared; an option is one by its place and the kind of its part, so
that another kind's option, or a variant or a variable, can have the same name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any

from selfinstruct.config import Machine, ModelConfig, RecipeConfig, shaping
from selfinstruct.filters import FILTERS
from selfinstruct.journal.store import Journal
from selfinstruct.llm import MODELS
from selfinstruct.llm.embedding_local import NAME as LOCAL
from selfinstruct.project.renamed import now
from selfinstruct.recipe.asked import BEFORE
from selfinstruct.recipe.build import Recipe
from selfinstruct.safety.blot import blotted
from selfinstruct.stages import STAGES, Stage

SHAPE = "shape"  # the meta key of the shape that the run was started with
NAMES = "shape_names"  # and of how its keys are named: by their whole paths, unless the run is of before
WHOLE = "whole paths"
CONTENTS = " (contents)"  # the end of a key with the digest of what a file contains


def store_shape(journal: Journal, recipe: Recipe) -> None:
    """Note the shape of a run in its journal."""
    journal.set_meta(SHAPE, shape_of(recipe))
    journal.set_meta(NAMES, WHOLE)


def shapes(journal: Journal, recipe: Recipe) -> tuple[dict[str, Any], dict[str, Any]]:
    """The shape of a run, and that of a recipe that may go on with it, to be compared key by key."""
    free = list(_machine(recipe.config, recipe.stages))
    stored = {key: value for key, value in now(journal.meta(SHAPE, {})).items() if not _within(key, free)}
    shape = dict(json.loads(json.dumps(shape_of(recipe))))
    if journal.meta(NAMES) != WHOLE:
        unnamed = _unnamed_before()
        shape = {key: value for key, value in shape.items() if key in stored or not unnamed(key)}
    return stored, shape


def shape_of(recipe: Recipe) -> dict[str, Any]:
    """What must stay the same: every setting that shapes the records, and what they are made of.

    Exports are left out. They are written anew from the journal at every end, and cost nothing.
    """
    config = recipe.config
    left_out = ["export", "seeds.path", "seeds.columns"]  # which seeds these make, their digest says
    own_models = [stage for stage in recipe.stages if config.pipeline[stage.name].model is not None]
    left_out += [f"pipeline.{stage.name}.model" for stage in own_models]
    others = {
        f"prompts.{stage.name}.variants.{name}.model": model
        for stage in recipe.stages
        for name, (model, _) in stage.others.items()
    }
    left_out += others
    left_out += [f"pipeline.{stage.name}.lines.{name}" for stage in recipe.stages for name in stage.lines]
    shape = {key: value for key, value in shaping(config).items() if not _within(key, left_out)}
    for stage in own_models:  # as it was looked up and completed
        keys = shaping(stage.model).items()
        shape |= {f"pipeline.{stage.name}.model.{key}": value for key, value in keys}
    for where, model in others.items():
        shape |= {f"{where}.{key}": value for key, value in shaping(model).items()}
    free = list(_machine(config, recipe.stages))
    shape = {key: value for key, value in shape.items() if not _within(key, free)}
    for stage in recipe.stages:
        for name, check in stage.judge.checks:
            if check.asks:
                _put_model(shape, f"filters.{stage.name}.{name}", check.asks)
    shape = dict(json.loads(blotted(json.dumps(shape))))  # as it is stored
    shape[f"seeds{CONTENTS}"] = recipe.seeds.digest
    for stage in recipe.stages:
        shape |= _contents(stage)
    return shape


def _put_model(shape: dict[str, Any], filter: str, model: ModelConfig) -> None:
    """The model of a filter as it was looked up, by its name where nothing else shapes what it says.

    So it is the same however the recipe writes it, and as 0.1.0 wrote it; one that leaves it out has none.
    """
    given = [key for key in shape if key == f"{filter}.model" or key.startswith(f"{filter}.model.")]
    for key in [*given, *(f"{filter}.{option}" for option in BEFORE)]:
        shape.pop(key, None)
    facts, plain = shaping(model), shaping(ModelConfig.model_validate({"name": model.name}))
    if given and (facts == plain or model.name == LOCAL):
        shape[f"{filter}.model"] = model.name
    elif given:
        shape.update({f"{filter}.model.{key}": value for key, value in facts.items()})


def _contents(stage: Stage) -> dict[str, str]:
    """Digests of what a stage has read from files."""
    found = {}
    if stage.material:
        made_of = [*stage.material.rows, *stage.material.origins]
        rows = (f"{json.dumps(row, sort_keys=True)}\n" for row in made_of)
        found[f"pipeline.{stage.name}{CONTENTS}"] = stage.material.digest or _digest(rows)
    for name, check in stage.judge.checks:
        if check.loaded:
            found[f"filters.{stage.name}.{name}{CONTENTS}"] = check.loaded.digest
    for name, lines in stage.lines.items():
        found[f"pipeline.{stage.name}.lines.{name}{CONTENTS}"] = _digest(["\n".join(lines.texts)])
    return found


def _digest(pieces: Iterable[str]) -> str:
    digest = sha256()
    for piece in pieces:
        digest.update(piece.encode())
    return digest.hexdigest()[:16]


def _machine(config: RecipeConfig, stages: Iterable[Stage]) -> Iterator[str]:
    """The paths of the options that change nothing but how and where a run is done."""
    models = {"model": config.model.kind}
    models |= {f"pipeline.{stage.name}.model": stage.model.kind for stage in stages}
    models |= {
        f"prompts.{stage.name}.variants.{name}.model": model.kind
        for stage in stages
        for name, (model, _) in stage.others.items()
    }
    for where, kind in models.items():
        yield from (f"{where}.options.{option}" for option in MODELS.marked(Machine, kind))
    for name, part in config.pipeline.items():
        yield from (f"pipeline.{name}.{option}" for option in STAGES.marked(Machine, part.kind))
    for section, checks in config.filters.items():
        for name, check in checks.items():
            marked = FILTERS.marked(Machine, check.kind or name) if check else ()
            yield from (f"filters.{section}.{name}.{option}" for option in marked)


def _unnamed_before() -> Callable[[str], bool]:
    """The keys that a run of before does not name, though they shape it: they end like one that may."""
    ends = {".options.": MODELS.marked(Machine), "pipeline.": STAGES.marked(Machine)}
    checks = "|".join(map(re.escape, FILTERS.marked(Machine)))
    longer = re.compile(rf"pipeline\.[^.]+\.model[^.].*|filters\.[^.]+\.[^.]+\.({checks})")

    def unnamed(key: str) -> bool:
        last = key.rpartition(".")[2]
        ended = any(among in key and last in names for among, names in ends.items())
        return ended or bool(longer.fullmatch(key))

    return unnamed


def _within(key: str, paths: Iterable[str]) -> bool:
    """Whether a key is one of these, or below one."""
    return any(key == path or key.startswith(f"{path}.") for path in paths)
