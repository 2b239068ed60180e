"""The paper's prompts in German: their numbers, what is read from replies, and a run to its end."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from paper_prompts import prompt, shown

from selfinstruct import run
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Reply

GERMAN = """
defaults:
  - override /model: scripted
  - override /seeds: general_de
  - override /prompts: paper_de
  - override /filters: default_de
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a recipe that is German throughout."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "recipes").mkdir()
    (folder / "recipes/mine.yaml").write_text(GERMAN, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def recipe(place: Path) -> Recipe:
    """The German one."""
    return compose(["recipe=mine"], place).recipe()


def pairs(recipe: Recipe, variant: str, text: str) -> list[tuple[str, str]]:
    """Inputs and outputs read from a reply."""
    found = prompt(recipe, "instances", variant).parse.read(Reply(text), 0)
    return [(one.data["input"], one.data["output"]) for one in found]


@pytest.mark.parametrize("variant", ["output_first", "input_first"])
def test_layout(recipe: Recipe, variant: str) -> None:
    """Every task stands under its field name, the asked one last, and the reply starts a line."""
    _, text, sampling = prompt(recipe, "instances", variant).fill({"instruction": "Übersetze\ndas:"})
    assert text.count("Aufgabe: ") == len(shown(recipe, "instances", variant)) + 1
    assert text.endswith("\nAufgabe: Übersetze das\n")
    assert sampling["stop"] == ["\nBeispiel 6", "\n\nAufgabe:"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            " Erkläre „Übermut“.\n10. Zähle Äpfel und Öfen.",
            ["Erkläre „Übermut“.", "Zähle Äpfel und Öfen."],
        ),
        ("9. ändere den Satz.\n10 . „Ja“ sagen: wann?", ["Ändere den Satz.", "„Ja“ sagen: wann?"]),
        (" Was geschah am 3. Oktober 1990?", ["Was geschah am 3. Oktober 1990?"]),
    ],
)
def test_list(recipe: Recipe, reply: str, expected: list[str]) -> None:
    """A numbered list is split at its numbers, not at a date; nouns and umlauts keep their capitals."""
    found = prompt(recipe, "instructions").parse.read(Reply(reply), 8)
    assert [one.data["instruction"] for one in found] == expected


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        (" Ja", True),
        ("ja", True),
        ("JA", True),
        ("Ja.", True),
        (" Nein", False),
        ("nein.", False),
        ("Antwort: Nein", False),
        ("Ja, denn es gibt nur zwei.", True),
        ("Jain", None),
        ("Ja und nein", None),
        ("", None),
    ],
)
def test_question(recipe: Recipe, answer: str, meant: bool | None) -> None:
    """The ways to say yes or no mean it; anything else is undecided."""
    (found,) = prompt(recipe, "classification").parse.read(Reply(answer), 0)
    assert (found.check, found.data.get("is_classification")) == (
        None if meant is not None else "undecided",
        meant,
    )


@pytest.mark.parametrize(
    "reply",
    [
        "Beispiel 1\nWort: groß\nAusgabe: klein\nBeispiel 2\nWort: früh\nAusgabe: spät",
        "Beispiel 1:\nWort: groß\nAusgabe 1: klein\n\nBeispiel 2:\nWort: früh\nAusgabe 2: spät\n",
        "Beispiel 1.\nEingabe: Wort: groß\nAusgabe: klein\nBeispiel 2.\nEingabe: Wort: früh\nAusgabe: spät",
        "Beispiel\nWort: groß\nAusgabe: klein\nBeispiel:\nWort: früh\nAusgabe: spät",
        "Beispiel1) Wort: groß\nAusgabe: klein\nEingabe: x\nBeispiel2) Wort: früh\nAusgabe :spät\nAusgabe: x",
    ],
)
def test_input_first(recipe: Recipe, reply: str) -> None:
    """With a mark after the number or none, further fields or none: the same two instances."""
    assert pairs(recipe, "input_first", reply) == [("Wort: groß", "klein"), ("Wort: früh", "spät")]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Ausgabe: „Schön“, sagte Jörg.", [("", "„Schön“, sagte Jörg.")]),
        (
            "Beispiel 1\nWort: Metapher\nAusgabe: ein Sprachbild.\nBeispiel: „Wüstenschiff“ für das Kamel.",
            [("Wort: Metapher", "ein Sprachbild.\nBeispiel: „Wüstenschiff“ für das Kamel.")],
        ),
        (
            "Beispiel 1\nNotiz: Beispiele fehlen\nAusgabe: Beispiele und Belege fehlen.\nBeispielsätze auch.",
            [("Notiz: Beispiele fehlen", "Beispiele und Belege fehlen.\nBeispielsätze auch.")],
        ),
        (
            "Beispiel 1\nAusgaben: 30 Euro\nEinnahmen: 50 Euro\nAusgabe: 20 Euro",
            [("Ausgaben: 30 Euro\nEinnahmen: 50 Euro", "20 Euro")],
        ),
    ],
)
def test_input_first_in_text(recipe: Recipe, reply: str, expected: list[tuple[str, str]]) -> None:
    """Field names count at a line's start only, and not as a part of another word or before an example."""
    assert pairs(recipe, "input_first", reply) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            "Richtige Klasse: Österreich\nSatz: Servus!\nRichtige Klasse: Schweiz\nSatz: Grüezi!",
            [("Satz: Servus!", "Österreich"), ("Satz: Grüezi!", "Schweiz")],
        ),
        ("Gern.\nRichtige Klasse: „ja“", [("", "„ja“")]),
        (
            "Richtige Klasse: entschuldigt\nName: Ayşe\nKlasse: 4b",
            [("Name: Ayşe\nKlasse: 4b", "entschuldigt")],
        ),
    ],
)
def test_output_first(recipe: Recipe, reply: str, expected: list[tuple[str, str]]) -> None:
    """The label is the rest of its line, the input all after it, even with a school class in it."""
    assert pairs(recipe, "output_first", reply) == expected


@pytest.mark.parametrize(
    ("variant", "reply"),
    [
        ("input_first", "Dazu fällt mir nichts ein."),
        ("input_first", ""),
        ("output_first", "Satz: Servus!"),
    ],
)
def test_unreadable(recipe: Recipe, variant: str, reply: str) -> None:
    """A reply without a field that the prompt shows is rejected as unreadable, and kept."""
    (found,) = prompt(recipe, "instances", variant).parse.read(Reply(reply), 0)
    assert (found.check, found.data) == ("unreadable", {"reply": reply})


FIRST = """ Nenne drei Gründe, abends spazieren zu gehen.
10. Klingt der Gruß nach Nord- oder nach Süddeutschland?
11. Erfinde ein Sprichwort über Öfen und Übermut.
12. Beschreibe das Bild an der Wand.
13. Übersetze ihn sofort.
14. Nenne vier Gründe, abends spazieren zu gehen."""
SECOND = "9. Ergänze das fehlende Wort im Satz.\n10. Schlage ein Gericht mit Äpfeln vor, das"
REPLIES: list[dict[str, Any]] = [
    {"stage": "instructions", "number": 1, "reply": FIRST},
    {"stage": "instructions", "number": 2, "reply": SECOND, "finish_reason": "length"},
    {"stage": "instructions", "reply": " Erfinde ein Sprichwort über Öfen und Übermut."},
    {"stage": "classification", "match": "Aufgabe: Klingt der Gruß[^\n]*\n[^\n]*\\Z", "reply": " Ja."},
    {"stage": "classification", "match": "Aufgabe: Nenne drei[^\n]*\n[^\n]*\\Z", "reply": " Nein, eher nie"},
    {"stage": "classification", "reply": " Nein"},
    {
        "stage": "instances",
        "match": "Aufgabe: Klingt der Gruß[^\n]*\n\\Z",
        "reply": "Richtige Klasse: Süddeutschland\nGruß: Grüß Gott,\nschöner Tag heut!\n"
        "Richtige Klasse: Norddeutschland\nGruß: Moin!",
    },
    {
        "stage": "instances",
        "match": "Aufgabe: Nenne drei[^\n]*\n\\Z",
        "reply": "Ausgabe: 1. Die Luft ist kühler.\n2. Es ist still.\n3. Man schläft besser.",
    },
    {"stage": "instances", "match": "Aufgabe: Erfinde ein[^\n]*\n\\Z", "reply": "Öfen sind warm."},
    {
        "stage": "instances",
        "match": "Aufgabe: Ergänze das[^\n]*\n\\Z",
        "reply": "Beispiel 1:\nSatz: Der Hund ... laut.\nAusgabe: bellt\n"
        "Beispiel 2:\nSatz: Sie sagte ...\nAusgabe: Folgendes:",
    },
]


def test_run(place: Path) -> None:
    """A run on replies of all sorts goes to its end; each record is kept or rejected by the right check."""
    rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in REPLIES)
    (place / "replies.jsonl").write_text(rows, encoding="utf-8")
    settings = ["model.options.replies=replies.jsonl", "model.options.rules=null", "target=4"]
    done = run("mine", settings, project=place, quiet=True)
    assert [(one["instruction"], one["is_classification"]) for one in done.records("instructions")] == [
        ("Nenne drei Gründe, abends spazieren zu gehen.", False),
        ("Klingt der Gruß nach Nord- oder nach Süddeutschland?", True),
        ("Erfinde ein Sprichwort über Öfen und Übermut.", False),
        ("Ergänze das fehlende Wort im Satz.", False),
    ]
    assert {(one["input"], one["output"]) for one in done.records("instances")} == {
        ("", "1. Die Luft ist kühler.\n2. Es ist still.\n3. Man schläft besser."),
        ("Gruß: Grüß Gott,\nschöner Tag heut!", "Süddeutschland"),
        ("Gruß: Moin!", "Norddeutschland"),
        ("Satz: Der Hund ... laut.", "bellt"),
    }
    rejected = Counter((one["stage"], one["check"]) for one in done.records("rejected"))
    assert rejected == {
        ("instructions", "banned_words"): 1,
        ("instructions", "word_count"): 1,
        ("instructions", "rouge_l"): 1,
        ("instructions", "cut"): 1,
        ("instances", "unreadable"): 1,
        ("instances", "ends_in_colon"): 1,
    }
