"""Whether an answer stays within its passage, in each language that has prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record, Rejection

pytest.importorskip("semantic_text_splitter")

PASSAGES = {
    "en": "A book can be renewed twice, for three weeks each, at the desk, by telephone or on the website. "
    "It cannot be renewed once another reader has reserved it, or while five pounds of fines are open.",
    "de": "Ein Buch kann zweimal um drei Wochen verlängert werden, am Schalter, telefonisch oder im Netz. "
    "Es kann nicht verlängert werden, wenn es vorgemerkt ist oder über fünf Euro Gebühren offen sind.",
    "ja": "本は二回まで、一回につき三週間、窓口、電話、またはウェブサイトで貸出期間を延長できます。"
    "ほかの利用者が予約している場合や、未払いの延滞料が五百円を超えている場合は延長できません。",
    "zh": "图书可以续借两次，每次三周，可在服务台、通过电话或在网站上办理。如果已有其他读者预约，"
    "或者欠缴的罚款超过五十元，就不能续借。",
}
WITHIN = {
    "en": [
        "You can renew it twice, each time for three weeks, at the desk, by phone or on the website.",
        "That is not possible once another reader has reserved it, or if you owe more than five pounds.",
        "- Desk\n- Telephone\n- Website",
        "Yes.",
    ],
    "de": [
        "Sie verlängern es am Schalter, per Telefon oder im Netz, höchstens zweimal um drei Wochen.",
        "Das geht nicht, sobald jemand das Buch vorgemerkt hat oder Sie mehr als fünf Euro schulden.",
    ],
    "ja": [
        "窓口か電話、ウェブサイトで申し込めば、三週間ずつ二回まで延長できます。",
        "予約が入っているときや、延滞料の未払いが五百円を超えるときは延長できません。",
    ],
    "zh": [
        "可以在服务台、打电话或上网站办理续借，最多两次，每次三周。",
        "如果有别的读者预约，或者罚款欠缴超过五十元，就不能续借。",
    ],
}
BEYOND = {
    "en": [
        "Libraries let members extend loans through a mobile application; log in with your card number.",
        "It can be renewed four times for 30 days, and students receive an automatic extension by email.",
    ],
    "de": [
        "Die meisten Bibliotheken bieten dafür eine App an; melden Sie sich mit Ihrer Ausweisnummer an.",
        "Es lässt sich viermal um 30 Tage verlängern, Studierende erhalten die Verlängerung per Mail.",
    ],
    "ja": [
        "多くの図書館では専用アプリから手続きが可能です。会員番号を入力し、画面の更新ボタンを押してください。",
        "学生は学期末まで自動的に四回更新され、結果はメールで届きます。",
    ],
    "zh": [
        "大多数图书馆都提供手机应用，登录账号后点击更新按钮即可自动延长借阅时间。",
        "学生可以自动延期四次，每次三十天，系统会发送电子邮件提醒。",
    ],
}


def judged(check: Filter, **data: Any) -> tuple[Rejection | None, dict[str, Any]]:
    """What the filter says of a record, and what it leaves with it."""
    record = Record("x-1", "instances", 1, 0, data)
    assert check.each
    return check.each(record), record.detail


def made(**options: Any) -> Filter:
    """The filter with these options."""
    check = FILTERS.build("within_passage", options, "", [])
    assert check
    return check


@pytest.mark.parametrize("language", PASSAGES)
def test_answers_in_each_language(project: Path, language: str) -> None:
    """With the settings that come with the language, paraphrases pass and inventions do not."""
    words = [f"prompts=grounded_{language}", f"filters=grounded_{language}", f"seeds=general_{language}"]
    judge = compose(["recipe=grounded", "model=scripted", *words], project).recipe().stage("instances").judge
    check = dict(judge.checks)["within_passage"]
    for passes, answers in ((True, WITHIN[language]), (False, BEYOND[language])):
        for output in answers:
            rejection, _ = judged(check, passage=PASSAGES[language], instruction="", output=output)
            assert (rejection is None) is passes, (output, rejection)


def test_what_is_kept() -> None:
    """The share and the words that are not there, of what passes and of what does not."""
    check = made(stop_words="the a")
    passed, detail = judged(check, passage="The kiln holds 180 litres.", output="The kiln holds a lot.")
    assert passed is None
    assert detail == {"within_passage": 0.667, "not_in_passage": ["lot"]}
    rejection, _ = judged(check, passage="The kiln holds 180 litres.", output="Kilns burn 200 logs, 200!")
    assert rejection == Rejection(
        "20% of its content words are in the passage; not there: burn, 200, logs",
        {"within_passage": 0.2, "not_in_passage": ["burn", "200", "logs"]},
    )
    assert judged(check, passage="It is open.", output="The ...") == (None, {"within_passage": 1.0})


def test_options() -> None:
    """How many letters count, which fields a word may stand in, and the threshold itself passes."""
    said = {"passage": "It was cleaned.", "instruction": "Which valve?", "output": "Cleaning valve"}
    assert judged(made(), **said)[1] == {"within_passage": 0.5, "not_in_passage": ["valve"]}
    assert judged(made(sources=["passage", "instruction"]), **said)[1] == {"within_passage": 1.0}
    assert judged(made(prefix_length=0), **said)[0] is not None
    assert judged(made(threshold=0.51), **said)[0] is not None
    assert judged(made(prefix_length=2), passage="1812", output="1813")[0] is not None
