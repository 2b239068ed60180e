# ruff: noqa: E501 - a table holds one text a line
"""Text of the prompt as data: what `copied` and `repeated_output` reject, and above all what they let pass."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from results import prompts_of

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.prompts.asked import FilledPrompt
from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record, Rejection

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
CHAT = {"en": "chat", "de": "german", "zh": "chinese", "ja": "japanese"}
TASK = {
    "en": "Say what is wrong with the sentence below.",
    "de": "Sag, was an dem Satz unten falsch ist.",
    "zh": "指出下面这句话哪里有毛病。",
    "ja": "次の文のどこがおかしいか述べてください。",
}

_RECIPES: dict[tuple[str, ...], Recipe] = {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder; one for all, since to compose takes longer than to judge."""
    return tmp_path_factory.mktemp("user")


def recipe(folder: Path, *words: str) -> Recipe:
    """A recipe, made once."""
    if words not in _RECIPES:
        _RECIPES[words] = compose([*words, "model=scripted"], folder).recipe()
    return _RECIPES[words]


def variant(made: Recipe, stage: str, name: str | None = None) -> Prompt:
    """A prompt of a stage."""
    return next(prompt for prompt in made.stage(stage).prompts if prompt.name == name)


def judged(
    made: Recipe,
    stage: str,
    data: dict[str, Any],
    about: dict[str, Any] | None = None,
    examples: list[dict[str, Any]] | None = None,
    name: str | None = None,
) -> Rejection | None:
    """What the stage's `copied` says of a record that answers this prompt."""
    check = dict(made.stage(stage).judge.checks)["copied"]
    record = Record(f"{stage}-000001-0", stage, 1, 0, {**(about or {}), **data})
    drawn = {"examples": examples} if examples else {}
    record.asked = FilledPrompt(variant(made, stage, name), about or {}, lambda: drawn)
    assert check.each
    return check.each(record)


def instance(
    folder: Path, input: str, output: str, instruction: str = "", name: str = "open", language: str = "en"
) -> Rejection | None:
    """What is said of an instance in the chat recipe of a language."""
    about = {"instruction": instruction or TASK[language], "is_classification": name == "labels"}
    made = recipe(folder, f"recipe={CHAT[language]}")
    return judged(made, "instances", {"input": input, "output": output}, about, name=name)


# --- what is rejected, and the place


@pytest.mark.parametrize(
    ("input", "output", "reason"),
    [
        (
            "kitchen tap drips since Sunday, bucket needs emptying twice a day, home after 5 pm",
            "It drips.",
            "input is the whole of input 1 of example 1",
        ),
        (
            "Kitchen tap drips since Monday; bucket needs emptying twice a day. Home after 5 pm!",
            "It drips.",
            "input is most of input 1 of example 1",
        ),
        (
            "",
            "The light in the hallway has failed for the third time this year.",
            "output is a piece of output 2 of example 1",
        ),
        (
            "",
            "2. Trees tell you about the place, since alders point to wet ground.",
            "output is a piece of the output of example 2",
        ),
        ("", "Turn the notes into one polite sentence to a landlord.", "the instruction of example 1"),
        (
            "It holds all that the task needs and no hint at the answer.",
            "None is given.",
            "the rule 'fitting'",
        ),
        ("", "It is right and complete, and keeps to every limit and form that it sets.", "the rule 'right'"),
        (
            "If the task already holds everything, write one example with an empty input.",
            "It is empty.",
            "input is the whole of a line of the prompt: '- If the task already holds everything",
        ),
        (
            "",
            "Write examples for the last task, in English wherever it does not ask.",
            "a line of the prompt",
        ),
        ("", "You write training examples for a language model that learns.", "the system message"),
        (
            "",
            '{"instances": [{"input": "", "output": "1. You notice more on every walk: a row of green becomes limes, hornbeams and a lone oak."}]}',
            "the output of example 2",
        ),
        (
            "",
            "kitchen tap drips since Sunday, bucket needs emptying twice a day. It holds all that the task needs and no hint at the answer. It begins with the answer itself: no greeting, no repetition.",
            "output is pieced together from the prompt",
        ),
    ],
)
def test_a_copy_is_rejected_with_its_place(folder: Path, input: str, output: str, reason: str) -> None:
    """Examples, rules, lines and the system message; whole, in part, with words changed, in JSON again."""
    found = instance(folder, input, output)
    assert found
    assert reason in found.reason
    assert set(found.detail) == {"place", "share", "copied"}
    assert 0.6 <= found.detail["share"] <= 1
    assert found.detail["place"] in found.reason
    assert found.detail["copied"][:20] in f"{input} {output}"


@pytest.mark.parametrize("language", ["en", "de", "zh", "ja"])
@pytest.mark.parametrize("name", ["open", "labels"])
def test_every_demonstration_is_known(folder: Path, language: str, name: str) -> None:
    """Each input and output that the shipped prompts show is a copy elsewhere; unless it is a label."""
    shown = variant(recipe(folder, f"recipe={CHAT[language]}"), "instances", name).variables["demonstrations"]
    texts = [(key, one[key]) for task in shown for one in task["instances"] for key in ("input", "output")]
    long = [(key, text) for key, text in texts if len(text) > 20]
    assert len(long) >= 3
    for key, text in texts:
        input, output = (text, "") if key == "input" else ("", text)
        found = instance(folder, input, output, name=name, language=language)
        assert (found is not None) == (len(text) > 20), text


@pytest.mark.parametrize(
    ("words", "stage", "instruction"),
    [
        ("recipe=chat", "instructions", "the first task"),
        ("recipe=chat", "instructions", "The second task."),
        ("recipe=chat", "instructions", "the third task"),  # it goes on to count
        ("recipe=chat", "instructions", "the first task of the set"),
        ("recipe=german", "instructions", "die erste Aufgabe"),
        ("recipe=german", "instructions", "Die dritte Aufgabe"),
        ("recipe=chinese", "instructions", "第一个任务"),
        ("recipe=chinese", "instructions", "第三个任务。"),
        ("recipe=japanese", "instructions", "一つ目のタスク"),
        ("recipe=japanese", "instructions", "三つ目のタスク"),
        ("recipe=evolve", "instructions", "the first task"),
    ],
)
def test_the_form_of_the_reply_is_no_task(folder: Path, words: str, stage: str, instruction: str) -> None:
    """What stands for a task in the form that a prompt shows, and what hardly differs from it."""
    found = judged(recipe(folder, words), stage, {"instruction": instruction})
    assert found
    assert found.reason == f"instruction is {instruction!r}, from the form of the reply"


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ("recipe=grounded", "the answer"),
        ("recipe=grounded", "The answer."),
        ("recipe=chat", "the answer"),  # whose own form has no such words
        ("recipe=evolve", "the answer"),
        ("recipe=german", "Die Antwort"),
        ("recipe=chinese", "答案"),
        ("recipe=japanese", "答え"),
    ],
)
def test_the_form_of_the_reply_is_no_answer(folder: Path, words: str, output: str) -> None:
    """Not in any recipe, whatever its own form has."""
    made = recipe(folder, words)
    name = variant(made, "instances", made.stage("instances").prompts[-1].name).name
    about = {"instruction": TASK["en"], "passage": "The pump has a filter.", "input": ""}
    found = judged(made, "instances", {"output": output}, about, name=name)
    assert found
    assert found.detail["place"] == "the form of the reply"


@pytest.mark.parametrize(
    ("template", "output", "rejected"),
    [
        ('{"label": "one of the labels"}', "one of the labels", True),
        ('{\n  "reply": "your own words"\n}', "Your own words", True),
        ('{"tasks": ["a good task", "a hard task"]}', "a hard task", True),
        ('{"tasks": ["a good task", "a hard task"]}', "a long task", True),
        ("Answer: <the whole reply>", "the whole reply", True),
        ('{"output": "not urgent"}\n{"output": "very urgent"}\nTask: {{ instruction }}', "not urgent", False),
        ('Task: {{ instruction }}\nSay "not urgent" or "very urgent".', "very urgent", False),
        (
            'If nothing is there, reply with "The text says nothing of it at all."',
            "The text says nothing of it at all.",
            False,
        ),
        ('{"output": "positive"}', "positive", False),
        ('{"output": "the reply"}', "The reply came a week too late.", False),
        ('{"output": "the first reply"}', "The first reply was polite.", False),
    ],
)
def test_forms_of_a_recipe_of_ones_own(template: str, output: str, rejected: bool) -> None:
    """Forms over several lines, lists and brackets are found; examples and answers prescribed are free."""
    check = FILTERS.build("copied", {"fields": ["output"]}, "", [])
    assert check
    found = told(check, template, {"output": output})
    assert (found is not None) is rejected


def told(check: Filter, template: str, data: dict[str, Any], **variables: Any) -> Rejection | None:
    """What a check says of a record that answers a prompt of one's own."""
    prompt = Prompt(None, None, "chat", template, None, variables, {}, None)  # type: ignore[arg-type]  # not read
    record = Record("a-000001-0", "a", 1, 0, data)
    record.asked = FilledPrompt(prompt, {"instruction": "How urgent is it?"})
    assert check.each
    return check.each(record)


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        (
            {"shots": [{"q": "x", "a": "The ferry leaves the harbour at nine."}]},
            "the whole of the a of example 1",
        ),
        (
            {"hints": {"tone": "The ferry leaves the harbour at nine."}},
            "the whole of hints.tone of the prompt",
        ),
        ({"topic": "The ferry leaves the harbour at nine."}, "the whole of the topic of the prompt"),
        ({"topics": ["a", "The ferry leaves the harbour at nine."]}, "the whole of item 2 of topics"),
        ({"unused": "The ferry leaves the harbour at nine."}, None),
    ],
)
def test_a_place_whatever_a_recipe_names_it(variables: dict[str, Any], place: str | None) -> None:
    """Variables of any shape are walked; one that no template names is not in the prompt."""
    check = FILTERS.build("copied", {"fields": ["output"]}, "", [])
    assert check
    template = "{{ shots }} {{ hints }} {{ topic }} {{ topics }}"
    found = told(check, template, {"output": "The ferry leaves the harbour at nine."}, **variables)
    assert (found and found.detail["place"]) == place


# --- what passes


PASSES = {
    "en": [
        (
            "Rewrite the note below in a friendlier tone.",
            "You must hand in the key by Friday at noon or pay forty euros.",
            "Please hand in the key by Friday at noon, or you will have to pay forty euros.",
        ),
        (
            "Translate the sentence below into German.",
            "The shop on the corner opens at nine on weekdays.",
            "Der Laden an der Ecke öffnet werktags um neun.",
        ),
        (
            "Extract the sentence that names a price from the text below.",
            "We met at noon. The room costs 80 euros a night with breakfast. Nobody complained.",
            "The room costs 80 euros a night with breakfast.",
        ),
        (
            "Fix the grammar of the sentence.",
            "Each of the violins were tuned before the concert begun.",
            "Each of the violins was tuned before the concert began.",
        ),
        (
            "Repeat the following sentence word for word: The harbour was quiet at dawn.",
            "",
            "The harbour was quiet at dawn.",
        ),
        (
            "Turn the notes into one polite sentence to a landlord.",
            "heating cold since Tuesday, child ill, at home all day",
            "The heating has been cold since Tuesday and my child is ill, so could you please have it repaired? I am at home all day.",
        ),
        (
            "Give three reasons to learn to swim.",
            "",
            "1. You are safer near water.\n2. It keeps you fit at any age.\n3. It makes holidays by a lake more fun.",
        ),
    ],
    "de": [
        (
            "Schreib die Notiz unten freundlicher.",
            "Der Schlüssel ist bis Freitag zwölf Uhr abzugeben, sonst werden vierzig Euro fällig.",
            "Bitte gib den Schlüssel bis Freitag um zwölf Uhr ab, sonst werden leider vierzig Euro fällig.",
        ),
        (
            "Übersetze den Satz unten ins Englische.",
            "Der Laden an der Ecke öffnet werktags um neun.",
            "The shop on the corner opens at nine on weekdays.",
        ),
        (
            "Nenne den Satz des Textes, in dem ein Preis steht.",
            "Wir kamen mittags an. Das Zimmer kostet achtzig Euro die Nacht mit Frühstück. Niemand klagte.",
            "Das Zimmer kostet achtzig Euro die Nacht mit Frühstück.",
        ),
        (
            "Berichtige den Satz.",
            "Wegen den starken Regen fällt das Fest aus und wird verschoben.",
            "Wegen des starken Regens fällt das Fest aus und wird verschoben.",
        ),
        (
            "Gib drei Tipps, wie man sich Namen merkt.",
            "",
            "1. Wiederhole den Namen im Gespräch.\n2. Denk dir ein Bild dazu aus.\n3. Schreib ihn am Abend auf.",
        ),
    ],
    "zh": [
        (
            "把下面的通知改得客气一些。",
            "钥匙必须在周五中午以前交回，否则罚款四十元。",
            "麻烦您在周五中午以前把钥匙交回，否则要收四十元，谢谢配合。",
        ),
        (
            "把下面的句子译成英文。",
            "街角的小店工作日九点开门。",
            "The shop on the corner opens at nine on weekdays.",
        ),
        (
            "从下面的文字里找出写了价格的那一句。",
            "我们中午到的。房间每晚八十元，含早餐。没有人抱怨。",
            "房间每晚八十元，含早餐。",
        ),
        (
            "改正下面句子里的错别字。",
            "他门今天下午要去公园里放风筝和野餐。",
            "他们今天下午要去公园里放风筝和野餐。",
        ),
        (
            "给第一次养狗的人提三条建议。",
            "",
            "1. 每天固定时间遛狗。\n2. 尽早带它打疫苗。\n3. 别喂巧克力和葡萄。",
        ),
    ],
    "ja": [
        (
            "次のお知らせを、もっと丁寧な言い方に書き直してください。",
            "鍵は金曜の正午までに返すこと。遅れたら四千円を払うこと。",
            "鍵は金曜の正午までにお返しください。遅れた場合は四千円をお支払いいただきます。",
        ),
        (
            "次の文を英語に訳してください。",
            "角の店は平日は九時に開きます。",
            "The shop on the corner opens at nine on weekdays.",
        ),
        (
            "次の文章から、値段が書いてある一文を抜き出してください。",
            "昼に着きました。部屋は朝食付きで一泊八千円です。苦情はありませんでした。",
            "部屋は朝食付きで一泊八千円です。",
        ),
        (
            "次の文の誤字を直してください。",
            "彼らは今日の午後に公園で凧を上げて遊ぶ予程です。",
            "彼らは今日の午後に公園で凧を上げて遊ぶ予定です。",
        ),
        (
            "電車で席を譲るときの言い方を三つ挙げてください。",
            "",
            "1. 「どうぞお座りください」\n2. 「すぐ降りますので」\n3. 「こちらの席、空いていますよ」",
        ),
    ],
}


@pytest.mark.parametrize(
    ("language", "instruction", "input", "output"),
    [(language, *case) for language, cases in PASSES.items() for case in cases],
)
def test_what_is_made_of_its_own_input_passes(
    folder: Path, language: str, instruction: str, input: str, output: str
) -> None:
    """Rewriting, translating, extracting, correcting, quoting the task, and stock phrases of an example."""
    assert instance(folder, input, output, instruction, language=language) is None


GROUNDED = {
    "en": (
        "The pump has a filter of steel that has to be rinsed every two weeks. Where the water is hard, rinse it each Monday. Reply with JSON alone, in this form, says the sign on the pump.",
        "How often does the filter of the pump have to be rinsed?",
        [
            "The filter has to be rinsed every two weeks; where the water is hard, each Monday.",
            "Reply with JSON alone, in this form, says the sign on the pump.",
            "every two weeks",
        ],
    ),
    "de": (
        "Der Filter der Pumpe ist aus Stahl und muss alle zwei Wochen gespült werden. Bei hartem Wasser wird er jeden Montag gespült.",
        "Wie oft wird der Filter gespült?",
        [
            "Der Filter muss alle zwei Wochen gespült werden, bei hartem Wasser jeden Montag.",
            "alle zwei Wochen",
        ],
    ),
    "zh": (
        "水泵的滤网是不锈钢的，每两周要冲洗一次。水质偏硬的地方，每周一都要冲洗。",
        "滤网多久冲洗一次？",
        ["滤网每两周要冲洗一次；水质偏硬的地方，每周一都要冲洗。", "每两周一次"],
    ),
    "ja": (
        "ポンプのフィルターはステンレス製で、二週間に一度洗う必要があります。水が硬い地域では、毎週月曜日に洗います。",
        "フィルターはどのくらいの間隔で洗いますか。",
        [
            "フィルターは二週間に一度洗う必要があります。水が硬い地域では、毎週月曜日に洗います。",
            "二週間に一度",
        ],
    ),
}


@pytest.mark.parametrize("language", GROUNDED)
def test_an_answer_from_the_passage_passes(folder: Path, language: str) -> None:
    """Word for word too, even where the passage has words of the prompt."""
    passage, instruction, outputs = GROUNDED[language]
    made = recipe(folder, "recipe=grounded", f"prompts=grounded_{language}", f"filters=grounded_{language}")
    about = {"passage": passage, "document": "pump.md", "section": "", "instruction": instruction}
    for output in outputs:
        assert judged(made, "instances", {"output": output}, about) is None
    task = judged(made, "instructions", {"instruction": instruction}, {"passage": passage})
    assert task is None
    rule = variant(made, "instances").variables["output_rules"]["complete"]
    found = judged(made, "instances", {"output": rule}, about)
    assert found
    assert found.detail["place"] == "the whole of the rule 'complete'"


@pytest.mark.parametrize("output", ["workshop", "canteen", "no", "The office.", "91", "Henrike"])
def test_a_label_of_the_demonstrations_passes(folder: Path, output: str) -> None:
    """Labels, numbers and names are free below the length that the set gives."""
    assert instance(folder, "Six new brushes for the lathe.", output, name="labels") is None


def test_the_length_below_which_a_text_is_free_is_an_option(folder: Path) -> None:
    """A recipe with long labels sets it, for one field alone where it names that check again."""
    about = {"instruction": TASK["en"], "is_classification": False}
    data = {"input": "", "output": "Turn the notes into one polite sentence to a landlord."}
    more = recipe(folder, "recipe=chat", "filters.instances.copied.least=11")
    assert judged(more, "instances", data, about, name="open") is None
    assert judged(recipe(folder, "recipe=chat"), "instances", data, about, name="open")


def test_an_evolved_task_may_keep_its_input_and_words(folder: Path) -> None:
    """A rewriting is about its task; a rule of the rewriting is not."""
    made = recipe(folder, "recipe=evolve")
    before = {
        "instruction": "Sum up the minutes of the meeting below.",
        "input": "The board met on Tuesday and moved the fair to May, since the hall is let in April.",
    }
    after = {
        **before,
        "instruction": "Sum up the minutes of the meeting below in two sentences for the caretaker.",
    }
    assert judged(made, "evolve_1", after, before, name="constrained") is None
    rule = "It grows by 40 words at most, and drops what is no longer needed."
    found = judged(made, "evolve_1", {**after, "instruction": rule}, before, name="constrained")
    assert found
    assert found.detail["place"] == "the whole of the rule 'short'"


# --- seeds and real text


def seeds(name: str) -> list[dict[str, Any]]:
    """The instances of a seed file."""
    tasks = lines(SEEDS / f"{name}.jsonl")
    return [{"instruction": task["instruction"], **one} for task in tasks for one in task["instances"]]


@pytest.mark.parametrize(
    "name", ["general_en", "general_de", "general_zh", "general_ja", "code", "starter_en"]
)
def test_no_seed_is_a_copy_of_the_others(folder: Path, name: str) -> None:
    """Each as a record of a prompt that shows eight others with their inputs and outputs."""
    rows = seeds(name)
    made = recipe(folder, "recipe=alpaca", "filters=single_shot_en")
    rng = random.Random(name)
    for row in rows[:: max(1, len(rows) // 60)]:
        others = [one for one in rows if one["instruction"] != row["instruction"]]
        found = judged(made, "tasks", row, examples=rng.sample(others, 8))
        assert found is None, (found, row)
        shown = [*rng.sample(others, 7), row]
        if len(row["output"]) > 60:
            again = judged(made, "tasks", {**row, "instruction": "x", "input": ""}, examples=shown)
            assert again
            assert again.detail["place"].startswith("the whole of")
            assert again.detail["place"].endswith("of example 8")


@pytest.mark.parametrize("name", ["alpaca_instructions_10k", "alpaca_zh_instructions_3k"])
def test_real_instructions_are_not_copies_of_others(shared: Path, folder: Path, name: str) -> None:
    """Of four hundred, each beside eight or nine others, hardly one is."""
    rows = lines(shared / f"{name}.jsonl")
    made, rng = recipe(folder, "recipe=chat"), random.Random(name)
    found = []
    for row in rng.sample(rows, 400):
        others = [one for one in rng.sample(rows, 9) if one != row]
        if judged(made, "instructions", row, examples=others):
            found.append(row["instruction"])
    assert len(found) <= 1, found


# --- in a run


def made_up(name: object, count: int) -> list[str]:
    """Words that no other text has."""
    rng = random.Random(str(name))
    return ["".join(rng.choices("abcdefghijklmnoprstuvw", k=7)) for _ in range(count)]


SEED = "Compare {} {} {} {} with {} {} {}."
COPY = SEED.format(*made_up("seed 3", 7))


def copying(request: int) -> str:
    """A reply with a copy of a seed among its tasks; no two of the others are alike."""
    words = made_up(request, 12)
    fresh = [
        "Explain how {} {} {} helps {} and {}.",
        "Which {} {} or {} {} suits {}, if {} is dear and {} is not?",
    ]
    tasks = [fresh[0].format(*words), fresh[1].format(*words[5:]), COPY]
    return json.dumps({"tasks": [{"instruction": task} for task in tasks]})


OUTPUT = "It takes an hour, a rag and some patience."


def scripted(project: Path) -> list[str]:
    """The words of a run whose replies copy an example now and then, and have one output only."""
    tasks = [SEED.format(*made_up(f"seed {place}", 7)) for place in range(12)]
    seeds = [
        {"instruction": task, "instances": [{"input": "", "output": "It is."}], "is_classification": False}
        for task in tasks
    ]
    replies = [{"stage": "instructions", "number": n, "reply": copying(n)} for n in range(1, 40)]
    replies.append({"stage": "classification", "reply": '{"is_classification": false}'})
    made = {"instances": [{"input": "", "output": OUTPUT}]}
    replies.append({"stage": "instances", "reply": json.dumps(made)})
    for name, rows in (("replies", replies), ("mine", seeds)):
        (project / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        "recipe=chat",
        "model=scripted",
        "model.mode=chat",
        "model.options.replies=replies.jsonl",
        "seeds.path=mine.jsonl",
        "mix.examples=12",
        "cache=off",
    ]


def bytes_of(run: Path) -> dict[str, bytes]:
    """The bytes of the data files of a run."""
    files = [*set(run.glob("*.jsonl")) - {run / "events.jsonl"}, *run.glob("dataset/*")]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def shown(run: Path, number: int) -> list[str]:
    """The examples of a prompt, as the journal has it."""
    prompt = prompts_of(run, "instructions")[number]
    return [line.partition(". ")[2] for line in prompt.split("\n") if line[:1].isdigit()]


def copies(run: Path) -> dict[int, str]:
    """By request, the place of the instruction that `copied` rejected."""
    rows = [row for row in lines(run / "rejected.jsonl") if row["check"] == "copied"]
    made = [row for row in rows if row["stage"] == "instructions"]
    return {int(row["id"].split("-")[1]): row["detail"]["place"] for row in made}


def test_a_run_says_the_same_however_it_goes_on(typed: Typed, project: Path) -> None:
    """Places are those of the prompt that was sent; a run stopped and grown ends in the bytes of one at once."""
    words, run = scripted(project), project / "one"
    status, _, err = typed(*words, "target=12", "model.concurrency=1", "run_dir=one")
    assert status == 0, err
    found = copies(run)
    assert len(found) >= 5
    for number, place in found.items():
        assert place == f"the whole of the instruction of example {shown(run, number).index(COPY) + 1}"
    kept = [row["id"] for row in lines(run / "instances.jsonl")]
    again = [row for row in lines(run / "rejected.jsonl") if row["check"] == "repeated_output"]
    assert len(kept) == 3
    assert len(again) == 9
    assert {row["reason"] for row in again} == {
        f"output is the same for 3 other instructions: {', '.join(kept)}"
    }
    for target, budget in ((3, 60), (12, 14), (12, 60)):
        typed(*words, f"target={target}", f"budget.requests={budget}", "run_dir=grown")
    assert bytes_of(project / "grown") == bytes_of(run)


def test_a_replay_looks_at_what_was_really_shown(typed: Typed, project: Path) -> None:
    """A check that is new changes the pool, and so what would be drawn; the replies answer what was sent."""
    words = scripted(project)
    off = ["filters.instructions.copied=null", "filters.instances.repeated_output=null", "mix.generated=6"]
    status, _, err = typed(*words, *off, "target=16", "run_dir=before")
    assert status == 0, err
    check = "filters.instructions.copied={fields: [instruction], least: 4}"
    fewer = "filters.instructions.word_count.maximum=12"  # so that other examples would be drawn
    status, _, err = typed("replay", "before", check, fewer, "run_dir=after")
    assert status == 0, err
    summary = json.loads((project / "after/summary.json").read_text())
    assert summary["replay"]["stages"]["instructions"]["prompts_differ"] > 0
    found = copies(project / "after")
    assert len(found) >= 3
    for number, place in found.items():
        assert shown(project / "before", number)[int(place.rpartition(" ")[2]) - 1] == COPY


# --- the same output again and again


def outputs(**options: Any) -> tuple[Filter, Callable[..., Rejection | None]]:
    """The check, and what it says of an output before it learns it."""
    check = FILTERS.build("repeated_output", options, "", [])
    assert check

    def say(number: int, output: str, instruction: str | None = None, **more: Any) -> Rejection | None:
        task = instruction or f"Do task number {number}."
        record = Record(f"o-{number}", "o", number, 0, {"instruction": task, "output": output, **more})
        assert check.each
        assert check.learn
        found = check.each(record)
        if found is None:
            check.learn(record)
        return found

    return check, say


def test_an_output_of_many_instructions_is_rejected() -> None:
    """With the records that have it; case, punctuation and a word more make no difference."""
    _, say = outputs()
    text = "The app helps people to learn new words and to share them with their friends."
    assert [say(number, text) for number in (1, 2, 3)] == [None, None, None]
    for again in (text, text.upper(), text.replace("new", "many new")):
        found = say(4, again)
        assert found
        assert found.reason == "output is the same for 3 other instructions: o-1, o-2, o-3"
        assert found.detail["nearest"] == "o-1"
    assert say(5, "The app is of no use to people who know all words already.") is None


def test_instances_of_one_instruction_count_once() -> None:
    """And an instruction that has the output may have it again; `duplicate` is another check."""
    _, say = outputs(most=2)
    text = "There is nothing to mend in this text at all."
    assert [say(number, text, "Mend the text.") for number in range(5)] == [None] * 5
    assert say(6, text, "Correct the letter.") is None
    assert say(7, text, "mend the  text.") is None
    found = say(8, text, "Check the note.")
    assert found
    assert found.detail["instructions"] == 2


@pytest.mark.parametrize(
    "output", ["positive", "Not enough information", "42", "信息不足无法判断", "はい、そうです"]
)
def test_labels_are_no_repeated_outputs(output: str) -> None:
    """Below a length of words, where two characters of Chinese or Japanese are one."""
    _, say = outputs()
    assert [say(number, output) for number in range(20)] == [None] * 20


def test_long_labels_are_none_where_a_field_says_so() -> None:
    """Of a classification the output is a label, however long."""
    _, say = outputs(label="is_classification")
    text = "The claim is not supported by the passage."
    assert [say(number, text, is_classification=True) for number in range(9)] == [None] * 9
    assert [say(20 + number, text, is_classification=False) for number in range(3)] == [None] * 3
    assert say(30, text, is_classification=False)


@pytest.mark.parametrize(
    "text",
    [
        "这个应用可以帮助大家学习新单词，还能和朋友分享。",
        "このアプリは新しい単語を学び、友人と共有するのに役立ちます。",
        "Das hilft allen, neue Wörter zu lernen und sie mit Freunden zu teilen.",
    ],
)
def test_repeated_in_any_language(text: str) -> None:
    """The words of any script are compared."""
    _, say = outputs()
    assert [say(number, text) for number in range(3)] == [None] * 3
    assert say(9, text)


# --- the shipped sets


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        *[((f"recipe={name}",), {"instructions": "copied", "instances": "both"}) for name in CHAT.values()],
        *[
            (("recipe=paper", f"filters=default_{one}"), {"instructions": "copied", "instances": "both"})
            for one in CHAT
        ],
        *[
            (("recipe=grounded", f"filters=grounded_{one}"), {"instructions": "copied", "instances": "both"})
            for one in CHAT
        ],
        (("recipe=alpaca", "filters=single_shot_en"), {"tasks": "both"}),
        (("recipe=quickstart",), {"instructions": "copied", "instances": "both"}),
        (
            ("recipe=evolve",),
            {"instructions": "copied", "evolve_1": "copied", "evolve_2": "copied", "instances": "both"},
        ),
        (("recipe=paper", "filters=paper_en"), {}),
        (("recipe=alpaca", "filters=alpaca_en"), {}),
    ],
)
def test_which_sets_have_the_checks(folder: Path, words: tuple[str, ...], stages: dict[str, str]) -> None:
    """All but those that restore an original; copies before lengths, repeated outputs at the end."""
    for stage in recipe(folder, *words).stages:
        names = [name for name, _ in stage.judge.checks]
        wanted = stages.get(stage.name)
        assert ("copied" in names) == (wanted is not None)
        assert ("repeated_output" in names) == (wanted == "both")
        if wanted:
            first = [name for name in ("word_count", "exact_duplicate", "rouge_l", "echo") if name in names]
            assert all(names.index("copied") < names.index(name) for name in first)
        if wanted == "both":
            assert names[-1] == "repeated_output"
