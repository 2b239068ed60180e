"""The paper's prompts in Japanese: their demonstrations, how replies are read, and a run to its end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from paper_prompts import ASKED, prompt, shown

from selfinstruct import run
from selfinstruct.parse import CUT, UNREADABLE, Parsed
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Reply

MINE = """\
defaults:
  - override /seeds: general_ja
  - override /prompts: paper_ja
  - override /filters: default_ja
  - _self_
target: 4
"""


def write(project: Path) -> None:
    """A user's recipe that takes what there is in Japanese."""
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(MINE, encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with that recipe."""
    project = tmp_path_factory.mktemp("project")
    write(project)
    return project


@pytest.fixture(scope="module")
def recipe(place: Path) -> Recipe:
    """The recipe, composed."""
    return compose(["recipe=mine", "model=scripted"], place).recipe()


def read(recipe: Recipe, text: str, variant: str, cut: bool = False) -> list[Parsed]:
    """The instances that a reply is read as."""
    return prompt(recipe, "instances", variant).parse.read(Reply(text, "length" if cut else "stop"), 0)


def pairs(pieces: list[Parsed]) -> list[tuple[str, str]]:
    """Input and output of those that no check rejected."""
    return [(piece.data["input"], piece.data["output"]) for piece in pieces if piece.check is None]


class TestPrompts:
    def test_no_blank_was_folded_into_a_text(self, recipe: Recipe) -> None:
        """A string that goes on in the next line of the YAML file has no blank there."""
        for where in ASKED:
            text = json.dumps(shown(recipe, *where), ensure_ascii=False)
            assert re.findall("[ぁ-んァ-ヶ一-龠、。」] [ぁ-んァ-ヶ一-龠「]", text) == []

    def test_layout(self, recipe: Recipe) -> None:
        """Each prompt ends where the reply begins, without a space after the colon."""
        task = {"instruction": "次の語を\n使うこと。"}
        few = prompt(recipe, "instructions").fill({"examples": [task] * 8})[1]
        assert few.split("\n", 1)[0].endswith("一覧：")
        assert few.endswith("\n8. 次の語を 使うこと。\n9.")
        question = prompt(recipe, "classification").fill(task)[1]
        assert question.endswith("\n\nタスク：次の語を 使うこと。\n決まったラベルから選ぶか：")
        for variant in ("output_first", "input_first"):
            text = prompt(recipe, "instances", variant).fill(task)[1]
            assert text.endswith("\n\nタスク：次の語を 使うこと。\n")
            assert text.count("タスク：") == len(shown(recipe, "instances", variant)) + 1

    @pytest.mark.parametrize("variant", ["output_first", "input_first"])
    def test_stops(self, recipe: Recipe, variant: str) -> None:
        """A reply ends at the sixth example or at the next task, in either width."""
        stop = prompt(recipe, "instances", variant).sampling["stop"]
        for text in ["a\n例6\nb", "a\n例６\nb", "a\n\nタスク：b", "a\n\nタスク:b"]:
            assert any(one in text for one in stop), text
        assert not any(one in "例1\n例2\nこのタスク：比例6\n" for one in stop)


class TestReplies:
    @pytest.mark.parametrize(
        ("reply", "expected"),
        [
            ("はい", True),
            (" はい", True),
            ("　はい\n", True),
            ("はい。", True),
            ("「はい」", True),
            ("いいえ", False),
            ("いいえ。", False),
            ("はい、そうです", True),
            ("いい", None),  # cut at three tokens
            ("はいえ", None),
            ("選ぶ", None),
            ("", None),
        ],
    )
    def test_yes_or_no(self, recipe: Recipe, reply: str, expected: bool | None) -> None:
        """A yes or a no as models write it is one; anything else is undecided."""
        (piece,) = prompt(recipe, "classification").parse.read(Reply(reply), 0)
        assert piece.data.get("is_classification") is expected
        assert piece.check == ("undecided" if expected is None else None)

    def test_list(self, recipe: Recipe) -> None:
        """A list goes on from the prompt's number; the number again, and full-width digits, do no harm."""
        items = ["９. 雲の名前を五つ挙げて。", "10. SQLとは何か。", "１１. 「春」の詩を\n  一つ。"]
        reply = "\n".join(items)
        pieces = prompt(recipe, "instructions").parse.read(Reply(reply), 8)
        assert [piece.data["instruction"] for piece in pieces] == [
            "雲の名前を五つ挙げて。",
            "SQLとは何か。",
            "「春」の詩を 一つ。",
        ]

    @pytest.mark.parametrize("mark", ["、", "．", "、 ", "． "])
    def test_list_with_other_marks(self, recipe: Recipe, mark: str) -> None:
        """The marks that Japanese puts after a number; not in 3．14 or in a row of numbers."""
        reply = f"９{mark}雲の名を挙げて。\n１０{mark}次の数を足すと？\n1、2、3\n11{mark}円周率は\n3．14か。"
        pieces = prompt(recipe, "instructions").parse.read(Reply(reply), 8)
        assert [piece.data["instruction"] for piece in pieces] == [
            "雲の名を挙げて。",
            "次の数を足すと？ 1、2、3",
            "円周率は 3．14か。",
        ]

    @pytest.mark.parametrize(
        "reply",
        [
            "例1\n文：雨だ。\n出力：晴れだ。\n例2\n文：寒い。\n出力：暑い。",
            "例１\n文：雨だ。\n出力：晴れだ。\n\n例２\n文：寒い。\n出力：暑い。\n",
            "　例 1\n文：雨だ。\n 出力: 晴れだ。\n例　２\n文：寒い。\n出力 ： 暑い。",
            "例1：\n文：雨だ。\n出力１：晴れだ。\n例2:\n文：寒い。\n出力２：暑い。",
            "例1．文：雨だ。\n出力：晴れだ。\n例2. 文：寒い。\n出力：\n暑い。",
            "【例1】\n文：雨だ。\n【出力】晴れだ。\n【例２】：\n文：寒い。\n【出力】：暑い。",
            "例1\n入力：文：雨だ。\n出力：晴れだ。\n例2\n入力１: 文：寒い。\n出力：暑い。\n入力：次",
            "例\n文：雨だ。\n出力：晴れだ。\n例：\n文：寒い。\n出力例：暑い。\n出力：涼しい。",
        ],
    )
    def test_input_first(self, recipe: Recipe, reply: str) -> None:
        """The marks are found in either width, with or without spaces, brackets and colons."""
        assert pairs(read(recipe, reply, "input_first")) == [
            ("文：雨だ。", "晴れだ。"),
            ("文：寒い。", "暑い。"),
        ]

    def test_words_that_begin_like_a_mark(self, recipe: Recipe) -> None:
        """例えば, 例：, 例1つ, 出力は and 入力ミス at the start of a line are text."""
        output = "例えば次のとおりです。\n例：紙→一枚\n例1つで足ります。\n出力は三行。\n入力ミスに注意。"
        assert pairs(read(recipe, f"例1\n語：紙\n出力：{output}", "input_first")) == [("語：紙", output)]

    def test_no_input(self, recipe: Recipe) -> None:
        """Without an example's mark the reply is one instance, whose output may have many lines."""
        assert pairs(read(recipe, "出力：一行目\n\n- 二行目", "input_first")) == [("", "一行目\n\n- 二行目")]

    def test_input_first_that_breaks_off(self, recipe: Recipe) -> None:
        """A reply cut by length loses its last instance."""
        pieces = read(
            recipe, "例1\n文：雨だ。\n出力：晴れだ。\n例2\n文：寒い。\n出力：暑", "input_first", cut=True
        )
        assert pairs(pieces) == [("文：雨だ。", "晴れだ。")]
        assert [piece.check for piece in pieces] == [None, CUT]

    def test_output_first(self, recipe: Recipe) -> None:
        """The label is the rest of its line, whatever stands around it; an input may be missing."""
        reply = "承知しました。\nクラスラベル：　肯定的 \n感想：楽しい。\n二行目\n\nクラスラベル：否定的\n"
        assert pairs(read(recipe, reply, "output_first")) == [
            ("感想：楽しい。\n二行目", "肯定的"),
            ("", "否定的"),
        ]

    def test_output_first_with_other_marks(self, recipe: Recipe) -> None:
        """The label's colon is of either width, and counts at the start of a line only."""
        reply = "　クラスラベル: 肯定的\n感想：楽しい。\nクラスラベル ：否定的\n「クラスラベル：」とは？"
        assert pairs(read(recipe, reply, "output_first")) == [
            ("感想：楽しい。", "肯定的"),
            ("「クラスラベル：」とは？", "否定的"),
        ]

    @pytest.mark.parametrize("variant", ["output_first", "input_first"])
    def test_unreadable(self, recipe: Recipe, variant: str) -> None:
        """A reply without any of the marks is kept, and rejected as unreadable."""
        (piece,) = read(recipe, "申し訳ありませんが、例えばどの文でしょうか。", variant)
        assert piece.check == UNREADABLE


POEM = "雪の朝の静けさを三行の詩にしてください。"
SORT = "感想が肯定的か否定的かを答えよ。"
WORD = "反対の意味の言葉を一つ書きなさい。"
NAME = "海の生き物の名前を七つ教えて。"
FIRST = f"""\
 {POEM}
10. {SORT}
11. 詩を書け
12. 次の地図を見て、駅までの道を説明してください。
13. """
SECOND = f"""\
 {WORD}
１０. カタカナの言葉を一つも使わないで同じ内容を言い換えなさい。
11. {NAME}"""
SORTED = "クラスラベル：肯定的\n感想：また読みたい。\nクラスラベル：否定的\n感想：途中で飽きた。"
OPPOSITES = """\
例１
言葉：拡大
出力：縮小
例２
言葉：重い
出力:軽い
例３
言葉：安全
出力：次のとおり："""
REPLIES = [
    {"stage": "instructions", "number": 1, "reply": FIRST},
    {"stage": "instructions", "reply": SECOND},
    {"stage": "classification", "match": f"{SORT}\n決まったラベルから選ぶか：$", "reply": "はい"},
    {"stage": "classification", "match": "決まったラベルから選ぶか：$", "reply": "いいえ"},
    {"stage": "instances", "match": f"\nタスク：{SORT}\n$", "reply": SORTED},
    {"stage": "instances", "match": f"\nタスク：{POEM}\n$", "reply": "出力：音が消えた\n窓の外はまだ青い"},
    {"stage": "instances", "match": f"\nタスク：{WORD}\n$", "reply": OPPOSITES},
    {"stage": "instances", "match": f"\nタスク：{NAME}\n$", "reply": "たこ、いか、えび、かになどです。"},
]


def test_a_run_to_its_end(project: Path) -> None:
    """Instructions, yes or no, and instances of both kinds; each that does not pass has its check."""
    write(project)
    rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in REPLIES)
    (project / "replies.jsonl").write_text(rows, encoding="utf-8")
    overrides = ["model=scripted", "model.options.replies=replies.jsonl", "model.options.rules={}"]
    done = run("mine", [*overrides, "pipeline.instructions.window=1"], project=project, quiet=True)
    made = {row["instruction"]: row["is_classification"] for row in done.records("instructions")}
    assert made == {POEM: False, SORT: True, WORD: False, NAME: False}
    assert {(row["instruction"], row["input"], row["output"]) for row in done.records("instances")} == {
        (POEM, "", "音が消えた\n窓の外はまだ青い"),
        (SORT, "感想：また読みたい。", "肯定的"),
        (SORT, "感想：途中で飽きた。", "否定的"),
        (WORD, "言葉：拡大", "縮小"),
        (WORD, "言葉：重い", "軽い"),
    }
    assert {row["check"] for row in done.records("rejected")} == {
        "word_count",
        "banned_words",
        "empty",
        "rouge_l",
        "output_ends_in_colon",
        "unreadable",
    }
    assert done.summary["finished"]
