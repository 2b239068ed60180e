"""The paper's prompts in Chinese: their numbers, what is read from replies, and a run to its end."""

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

CHINESE = """
defaults:
  - override /model: scripted
  - override /seeds: general_zh
  - override /prompts: paper_zh
  - override /filters: default_zh
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a recipe that is Chinese throughout."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "recipes").mkdir()
    (folder / "recipes/mine.yaml").write_text(CHINESE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def recipe(place: Path) -> Recipe:
    """The Chinese one."""
    return compose(["recipe=mine"], place).recipe()


def pairs(recipe: Recipe, variant: str, text: str) -> list[tuple[str, str]]:
    """Inputs and outputs read from a reply."""
    found = prompt(recipe, "instances", variant).parse.read(Reply(text), 0)
    return [(one.data["input"], one.data["output"]) for one in found]


@pytest.mark.parametrize("variant", ["output_first", "input_first"])
def test_layout(recipe: Recipe, variant: str) -> None:
    """Every task stands under its field name, the asked one last, and the reply starts a line."""
    _, text, sampling = prompt(recipe, "instances", variant).fill({"instruction": "给小猫\n起个名字："})
    assert text.count("任务：") == len(shown(recipe, "instances", variant)) + 1
    assert text.endswith("\n任务：给小猫 起个名字\n")
    assert {"\n示例6", "\n\n任务："} <= set(sampling["stop"])


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (" 写一封信。\n10. 猜个谜语。", ["写一封信。", "猜个谜语。"]),
        ("9. 写一封信。\n10 . 猜个谜语。", ["写一封信。", "猜个谜语。"]),
        (" 写一封信。\n１０. 猜个谜语。", ["写一封信。", "猜个谜语。"]),
        (" 说说 3. 14 是什么。", ["说说 3. 14 是什么。"]),
        ("9、写一封信。\n10、猜个谜语。\n １１． 讲个笑话。", ["写一封信。", "猜个谜语。", "讲个笑话。"]),
        ("写一封信。\n10、2100年是闰年吗？", ["写一封信。", "2100年是闰年吗？"]),
        ("1、2、3加起来是多少？\n3．14是什么？", ["1、2、3加起来是多少？ 3．14是什么？"]),
    ],
)
def test_list(recipe: Recipe, reply: str, expected: list[str]) -> None:
    """A numbered list is split at its numbers, full-width ones too, under any of the marks in use."""
    found = prompt(recipe, "instructions").parse.read(Reply(reply), 8)
    assert [one.data["instruction"] for one in found] == expected


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        ("是", True),
        (" 是。", True),
        ("是的", True),
        ("否", False),
        ("不是", False),
        ("是的，因为", True),
        ("是不是", None),
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
        "示例1\n词：春\n输出：秋\n示例2\n词：大\n输出：小",
        "示例1\n词：春\n输出: 秋\n示例2\n词：大\n输出: 小",
        "示例１：\n词：春\n输出１：秋\n示例２：\n词：大\n输出２：小",
        "示例 1.\n输入：词：春\n输出：秋\n示例 2.\n输入: 词：大\n输出：小",
        "示例一：词：春\n输出：秋\n\n示例二：词：大\n输出：小\n",
        "示例1）\n词：春\n输出：秋\n输入：夏\n示例2）\n词：大\n输出：小\n输出：少",
    ],
)
def test_input_first(recipe: Recipe, reply: str) -> None:
    """Colons and digits of either width, a space or none, further fields: the same two instances."""
    assert pairs(recipe, "input_first", reply) == [("词：春", "秋"), ("词：大", "小")]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("输出：好。", [("", "好。")]),
        ("示例\n问：几点？\n输出：三点。", [("问：几点？", "三点。")]),
        (
            "示例1\n需求：排序\n输出：如下。\n示例代码：sorted(a)",
            [("需求：排序", "如下。\n示例代码：sorted(a)")],
        ),
        ("示例1\n题：说出该程序的输出：x\n输出：1", [("题：说出该程序的输出：x", "1")]),
        ("示例一样的词\n输出：没有", [("示例一样的词", "没有")]),
    ],
)
def test_input_first_in_text(recipe: Recipe, reply: str, expected: list[tuple[str, str]]) -> None:
    """A field name counts at a line's start only, and 示例 only with a number or alone."""
    assert pairs(recipe, "input_first", reply) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            "类别标签：夸\n弹幕：绝了\n类别标签： 损\n弹幕：就这？",
            [("弹幕：绝了", "夸"), ("弹幕：就这？", "损")],
        ),
        ("好的。\n类别标签：是", [("", "是")]),
        ("类别标签: 夸\n弹幕：绝了", [("弹幕：绝了", "夸")]),
        ("类别标签　：夸\n弹幕：类别标签：绝了", [("弹幕：类别标签：绝了", "夸")]),
    ],
)
def test_output_first(recipe: Recipe, reply: str, expected: list[tuple[str, str]]) -> None:
    """The label is the rest of its line, the input all after it; what stands before the first is dropped."""
    assert pairs(recipe, "output_first", reply) == expected


@pytest.mark.parametrize(
    ("variant", "reply"),
    [
        ("input_first", "我不知道该写什么。"),
        ("input_first", ""),
        ("output_first", "弹幕：绝了"),
        ("output_first", "弹幕：这类别标签：绝了"),
    ],
)
def test_unreadable(recipe: Recipe, variant: str, reply: str) -> None:
    """A reply without a field that the prompt shows is rejected as unreadable, and kept."""
    (found,) = prompt(recipe, "instances", variant).parse.read(Reply(reply), 0)
    assert (found.check, found.data) == ("unreadable", {"reply": reply})


FIRST = """ 给刚学骑车的人写三条安全提醒。
10. 判断这则留言是在问路还是在求助，只答“问路”或“求助”。
11. 用一句话解释什么叫“潮汐”。
12. 根据图片写一段介绍。
13. 写首诗
14. 给刚学骑车的人写四条安全提醒。"""
SECOND = "9. 给这段对话补上结尾。\n10. 推荐一种适合摆在"
REPLIES: list[dict[str, Any]] = [
    {"stage": "instructions", "number": 1, "reply": FIRST},
    {"stage": "instructions", "number": 2, "reply": SECOND, "finish_reason": "length"},
    {"stage": "instructions", "reply": " 用一句话解释什么叫“潮汐”。"},
    {"stage": "classification", "match": "任务：判断这则留言[^\n]*\n[^\n]*\\Z", "reply": "是。"},
    {"stage": "classification", "match": "任务：给刚学骑车[^\n]*\n[^\n]*\\Z", "reply": "否，应该不是"},
    {"stage": "classification", "reply": "否"},
    {
        "stage": "instances",
        "match": "任务：判断这则留言[^\n]*\n\\Z",
        "reply": "类别标签：问路\n留言：去火车站坐几路车？\n类别标签：求助\n留言：钱包丢了，\n谁能帮帮我？",
    },
    {
        "stage": "instances",
        "match": "任务：给刚学骑车[^\n]*\n\\Z",
        "reply": "输出：1. 戴好头盔。\n2. 先练刹车。\n3. 别走机动车道。",
    },
    {"stage": "instances", "match": "任务：用一句话解释[^\n]*\n\\Z", "reply": "潮汐很有意思。"},
    {
        "stage": "instances",
        "match": "任务：给这段对话[^\n]*\n\\Z",
        "reply": "示例１：\n甲：你迟到了。\n乙：堵车。\n输出: 早点走吧。\n示例2\n甲：吃了？\n输出：乙说：",
    },
]


def test_run(place: Path) -> None:
    """A run on replies of all sorts goes to its end; each record is kept or rejected by the right check."""
    rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in REPLIES)
    (place / "replies.jsonl").write_text(rows, encoding="utf-8")
    settings = ["model.options.replies=replies.jsonl", "model.options.rules=null", "target=4"]
    done = run("mine", settings, project=place, quiet=True)
    assert [(one["instruction"], one["is_classification"]) for one in done.records("instructions")] == [
        ("给刚学骑车的人写三条安全提醒。", False),
        ("判断这则留言是在问路还是在求助，只答“问路”或“求助”。", True),
        ("用一句话解释什么叫“潮汐”。", False),
        ("给这段对话补上结尾。", False),
    ]
    assert {(one["input"], one["output"]) for one in done.records("instances")} == {
        ("", "1. 戴好头盔。\n2. 先练刹车。\n3. 别走机动车道。"),
        ("留言：去火车站坐几路车？", "问路"),
        ("留言：钱包丢了，\n谁能帮帮我？", "求助"),
        ("甲：你迟到了。\n乙：堵车。", "早点走吧。"),
    }
    rejected = Counter((one["stage"], one["check"]) for one in done.records("rejected"))
    assert rejected == {
        ("instructions", "banned_words"): 1,
        ("instructions", "word_count"): 1,
        ("instructions", "rouge_l"): 1,
        ("instructions", "cut"): 1,
        ("instances", "unreadable"): 1,
        ("instances", "output_ends_in_colon"): 1,
    }
