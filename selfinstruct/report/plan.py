"""What `check` prints of a recipe that has no fault: what a run of it would do."""

from __future__ import annotations

from pathlib import Path

from selfinstruct.folder import look
from selfinstruct.llm import MODELS
from selfinstruct.recipe import Recipe
from selfinstruct.stages import Stage


def plan(recipe: Recipe, path: Path) -> str:
    """What a run would do, in words.

    Args:
        recipe: the recipe.
        path: the run folder it would use.

    Raises:
        RunFolderError: where the run folder could not be used.
    """
    config, seeds = recipe.config, recipe.seeds
    taken = f"{len(seeds.tasks)} of {seeds.lines}" if len(seeds.tasks) != seeds.lines else f"{seeds.lines}"
    mix = f"{config.mix.examples} examples, up to {config.mix.machine} of them machine-made"
    lines = [
        f"recipe {recipe.name}: no fault found",
        "",
        f"  seeds    {taken} tasks from {seeds.path}",
        f"  mix      {mix}",
        f"  run      {path}: {look(recipe, path)}",
        "",
    ]
    for place, stage in enumerate(recipe.stages, 1):
        lines += [
            f"  {place} {line}" if not row else f"    {line}"
            for row, line in enumerate(_stage(recipe, stage))
        ]
    lines += [
        "",
        "  files    " + ", ".join([f"{stage.name}.jsonl" for stage in recipe.makers] + ["rejected.jsonl"]),
    ]
    for name, export in recipe.exports.items():
        seeded = "seed tasks included" if export.seed_tasks else "without the seed tasks"
        lines.append(f"           dataset/{export.file} ({name}, {seeded})")
    if recipe.warnings:
        lines += ["", *(f"  note: {warning}" for warning in recipe.warnings)]
    return "\n".join(lines)


def _stage(recipe: Recipe, stage: Stage) -> list[str]:
    section = recipe.config.pipeline[stage.name]
    options = " ".join(f"{key}={value}" for key, value in section.options.items())
    if stage.kind.draws:
        does = f"asks for more until {recipe.config.target} are accepted"
    else:
        does = f"{'labels' if stage.kind.labels else 'expands'} each of {stage.of}, one request a record"
    filters = ", ".join(recipe.config.filters.get(stage.name, {})) or "none"
    model, kind = stage.model, MODELS.build(stage.model.kind, stage.model.options, "", [])
    note = f" — {kind.note}" if kind and kind.note else ""
    sampling = {**stage.prompts[0].sampling, **model.sampling}
    shown = " ".join(
        f"{key}={value}" for key, value in sampling.items() if key != "stop" and value is not None
    )
    lines = [
        f"{stage.name} ({section.kind}{' ' + options if options else ''}): {does}",
        f"  model    {model.name}, {model.mode} mode, {model.concurrency} at once{note}",
        f"  sampling {shown}",
        f"  filters  {filters}",
    ]
    variants = [prompt.name for prompt in stage.prompts if prompt.name]
    return [*lines, f"  variants {', '.join(variants)} by {stage.kind.by}"] if variants else lines
