"""The names of the columns of exports that are about a record's origin, or details that checks have kept.

The columns of an export name fields of the records. They may also name `id`, `parent`, `request` and `model`,
the details that filters keep of the records that pass (`tells`), and the lines that a prompt drew. A record
without a detail gets that of the record it was made from, so an instance has the scores of its instruction.
If a field of the records has one of these names, the field is used. `dataset.origins` has their values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from selfinstruct.stages import Stage

ORIGIN = {
    "id": "the record's name, as in the file of its stage",
    "parent": "the id of the record that it was made from; null where it was made from none",
    "request": "the number of the request whose reply it was read from; null for a seed task",
    "model": "the model whose reply it was read from, as the provider calls it; null for a seed task",
}
# Details of the form id: score, and the two columns for the best of them.
PAIRS = {
    "most_similar": ("nearest", "score"),
    "nearest_in_meaning": ("nearest_in_meaning", "score_in_meaning"),
}


def names(stages: Sequence[Stage], of: str) -> dict[str, str]:
    """The names that a column may have besides the fields of the records, and what each means.

    Args:
        stages: all the stages.
        of: the stage with the records to write.
    """
    found: dict[str, str] = {}
    for stage in _line(stages, of):
        kept = dict.fromkeys(stage.lines, "the line of a file that the prompt drew")
        kept |= stage.kind.tells
        for _, check in stage.judge.checks:
            kept |= check.tells
        found = {**kept, **found}
    return {**found, **ORIGIN}


def unkept(stages: Sequence[Stage], of: str) -> dict[str, str]:
    """Those of these names that no filter keeps as it is set now, each with the key that changes this."""
    could: dict[str, str] = {}
    kept: set[str] = set()
    for stage in _line(stages, of):
        for name, check in stage.judge.checks:
            for detail in check.tells:
                if check.tells_with:
                    could.setdefault(detail, f"filters.{stage.name}.{name}.{check.tells_with}")
                else:
                    kept.add(detail)
    return {detail: key for detail, key in could.items() if detail not in kept}


def _line(stages: Sequence[Stage], of: str) -> Iterator[Stage]:
    """A stage, the stage that makes its records, and so on."""
    by_name, name = {stage.name: stage for stage in stages}, of
    while name in by_name:
        yield by_name[name]
        yield from (stage for stage in stages if stage.labels and stage.of == name)
        name = by_name[name].of or ""
