"""What a run is: its recipe, state, seeds, models, versions, and its stages with a sentence on each."""

from __future__ import annotations

from typing import Any

from selfinstruct.journal.store import GAVE_UP
from selfinstruct.plugins import PluginError
from selfinstruct.project.resolving import plain_list
from selfinstruct.report.limits import limit_sentences, limits_of
from selfinstruct.run_folder.opened import RUNNING, UNFINISHED, OpenedRun
from selfinstruct.stages import STAGES

OVERRIDES = ".hydra/overrides.yaml"
NOTES = {
    RUNNING: "The run is still being written; this is what it had when the report was made.",
    UNFINISHED: "The run is not finished; this is what it has so far.",
    "missed": "The run ended short of its target, or without a record.",
}


def run_facts(run: OpenedRun) -> dict[str, Any]:
    """The facts, without the notes of other parts of the report."""
    outline = run.outline
    return {
        "recipe": outline.recipe,
        "state": run.state,
        "running": run.running,
        "target": outline.target,
        "seed": outline.seed,
        "language": outline.language,
        "overrides": _overrides(run),
        "seeds": _seeds(run),
        "versions": run.summary.get("versions", {}),
        "models": _models(run),
        "stages": [
            {
                "name": stage.name,
                "kind": stage.kind,
                "of": stage.of,
                "labels": stage.labels,
                "what": _kind_words(stage.kind),
            }
            for stage in outline.stages
        ],
        "notes": _notes(run),
    }


def _overrides(run: OpenedRun) -> list[str]:
    path = run.path / OVERRIDES
    return plain_list(path) if path.is_file() else []


def _seeds(run: OpenedRun) -> dict[str, Any] | None:
    """The seed file's name, how many tasks it has, and how many of them the run took."""
    seeds = run.seeds
    return {"file": seeds.path.name, "count": seeds.count, "taken": len(seeds.tasks)} if seeds else None


def _models(run: OpenedRun) -> dict[str, list[str]]:
    """The models that answered, by stage; the one that it was to ask where none has answered yet."""
    found = {}
    for stage in run.outline.stages:
        names = [row["model"] for row in run.journal.spending(stage.name) if row["model"]]
        if names or stage.model:
            found[stage.name] = names or [stage.model]
    return found


def _kind_words(kind: str) -> str:
    """The sentence that a kind of stage says about itself; empty for a plug-in's that is gone."""
    try:
        return summary(STAGES.find(kind))
    except (PluginError, KeyError):
        return ""


def summary(factory: Any) -> str:
    """The first paragraph of what an entry of a registry says about itself."""
    return " ".join((factory.__doc__ or "").split("\n\n")[0].replace("`", "").split())


def _notes(run: OpenedRun) -> list[str]:
    notes = [NOTES[run.state]] if run.state in NOTES else []
    gave_up = run.journal.meta(GAVE_UP)
    if gave_up:
        notes.append(f"The stage {gave_up['stage']} stopped early, because its replies added nothing.")
    notes += limit_sentences(limits_of(run.journal))
    if run.seeds is None:
        notes.append("The run did not keep its seed tasks, so nothing is compared with them.")
    return notes
