# ruff: noqa: E501 - a table holds one text a line, with the marks of their scripts
"""What nobody should train on: control tokens, stand-ins, an instruction twice, stray characters; and filters that mend."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any, cast

import jinja2
import pytest
import yaml
from conftest import Typed, lines, seed_file

from selfinstruct.filters import Filter
from selfinstruct.llm.endpoint import RunContext
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import ACCEPTED, Record, Rejection
from selfinstruct.stages.judge import Judge

ROOT = Path(__file__).resolve().parents[2]
SEEDS, CONF = ROOT / "seeds", ROOT / "conf/filters"
CLEAN = ("stray_characters", "control_tokens", "stand_in", "input_repeats_instruction")
TASK = "Compare kettles with harbours."
ANSWER = "The loom holds 3 parts."
_RECIPES: dict[tuple[str, ...], Recipe] = {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a recipe."""
    made = tmp_path_factory.mktemp("user")
    (made / "recipes").mkdir()
    (made / "recipes/mine.yaml").write_text("target: 5\n")
    return made


def recipe(folder: Path, language: str = "en", *more: str) -> Recipe:
    """A recipe with the default set of a language, made once."""
    words = (
        "recipe=mine",
        "model=scripted",
        f"filters=default_{language}",
        f"seeds=general_{language}",
        *more,
    )
    if words not in _RECIPES:
        _RECIPES[words] = compose(words, folder).recipe()
    return _RECIPES[words]


def checks(made: Recipe, stage: str) -> dict[str, Filter]:
    """The checks of this page, in the order of the chain."""
    return {name: check for name, check in made.stage(stage).judge.checks if name in CLEAN}


def judged(made: Recipe, stage: str, **data: Any) -> Record:
    """A candidate after the checks of this page."""
    record = Record("o-1", stage, 1, 0, data)
    judge = Judge(checks(made, stage), lambda data: None)
    judge.sift([record], random.Random(0))
    judge.admit(record)
    return record


def instance(
    folder: Path,
    output: str,
    instruction: str = TASK,
    input: str = "",
    label: bool = False,
    language: str = "en",
) -> Record:
    """An instance after the checks of this page."""
    made = recipe(folder, language)
    return judged(
        made, "instances", instruction=instruction, is_classification=label, input=input, output=output
    )


# Filters that mend


def mending(field: str, old: str, new: str) -> Filter:
    """A filter that writes one thing for another."""

    def mend(record: Record) -> dict[str, Any]:
        text = record.data[field].replace(old, new)
        return {field: text} if text != record.data[field] else {}

    return Filter(mend=mend)


def refusing(field: str, word: str) -> Filter:
    """A filter that rejects a text with a word."""
    return Filter(each=lambda record: Rejection(f"has {word}") if word in record.data[field] else None)


class TestMending:
    def test_later_checks_the_schema_and_what_learns_see_the_mended_value(self) -> None:
        """All that comes after it: a check of one, a check of all, the schema and the pool."""
        seen: list[str] = []

        def together(records: list[Record], rng: random.Random) -> dict[int, Rejection]:
            seen.extend(record.data["t"] for record in records)
            return {}

        def validate(data: dict[str, Any]) -> Rejection | None:
            seen.append(data["t"])
            return None

        filters = {
            "mends": mending("t", "kettle", "loom"),
            "whole": Filter(together=together),
            "one": refusing("t", "kettle"),
            "learns": Filter(learn=lambda record: seen.append(record.data["t"])),
        }
        record = Record("a", "tasks", 1, 0, {"t": "one kettle"})
        judge = Judge(filters, validate)
        judge.sift([record], random.Random(0))
        assert judge.admit(record)
        assert record.fate == ACCEPTED
        assert seen == ["one loom"] * 3
        assert record.data == {"t": "one loom"}
        assert record.detail == {"mended": {"t": "one kettle"}}

    def test_a_check_before_it_sees_what_the_model_wrote(self) -> None:
        """The order is the recipe's."""
        record = Record("a", "tasks", 1, 0, {"t": "one kettle"})
        judge = Judge(
            {"one": refusing("t", "kettle"), "mends": mending("t", "kettle", "loom")}, lambda data: None
        )
        assert not judge.admit(record)
        assert (record.check, record.data, record.detail) == ("one", {"t": "one kettle"}, {})

    def test_of_two_the_first_text_is_kept_and_a_rejection_keeps_it_too(self) -> None:
        """What the model wrote, not what the first of them made of it."""
        record = Record("a", "tasks", 1, 0, {"t": "a kettle", "u": "x"})
        filters = {
            "one": mending("t", "kettle", "loom"),
            "two": mending("t", "loom", "anvil"),
            "no": refusing("t", "anvil"),
        }
        assert not Judge(filters, lambda data: None).admit(record)
        assert record.data["t"] == "a anvil"
        assert record.detail["mended"] == {"t": "a kettle"}

    def test_a_long_text_is_shortened(self) -> None:
        """The detail is for a reader; the reply is in the journal."""
        record = Record("a", "tasks", 1, 0, {"t": "kettle " * 1000})
        assert Judge({"one": mending("t", "kettle", "loom")}, lambda data: None).admit(record)
        assert len(record.detail["mended"]["t"]) == 2_001

    def test_what_is_got_ready_is_the_mended_text_and_the_record_is_left_alone(self) -> None:
        """`prepare` runs ahead of a record's turn, on copies."""
        seen: list[str] = []

        async def prepare(records: Any, context: Any, stage: str, name: str) -> None:
            seen.extend(record.data["t"] for record in records)

        filters = {
            "one": mending("t", "kettle", "loom"),
            "no": refusing("t", "kettle"),
            "asks": Filter(each=lambda record: None, prepare=prepare),
        }
        record = Record("a", "tasks", 1, 0, {"t": "one kettle"})
        asyncio.run(Judge(filters, lambda data: None).prepare([record], cast(RunContext, None), "tasks"))
        assert seen == ["one loom"]
        assert (record.data, record.detail) == ({"t": "one kettle"}, {})


# Control tokens

FAMILIES = {
    "chatml": ["<|im_end|>", "<|im_start|>", "<|im_sep|>", "<|im_end|>\n<|im_start|>user\n", "<|im_end", "<|IM_END|>", "< |im_end| >", "<im_end>", "<|im_middle|>"],
    "gpt": ["<|endoftext|>", "<|endoftext|><|endoftext|>", "<|endofprompt|>", "<|end_of_text|>", "<|startoftext|>", "<end_of_utterance>"],
    "llama_2": ["[INST]", "[/INST]", "[ /INST ]", "<<SYS>>", "<</SYS>>"],
    "llama_3": ["<|eot_id|>", "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n", "<|eom_id|>", "<|python_tag|>", "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_12|>", "<| eot_id |>"],
    "llama_4": ["<|eot|>", "<|header_start|>assistant<|header_end|>\n\n", "<|eom|>", "<|step|>"],
    "mistral": ["[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[/THINK]"],
    "gemma": ["<end_of_turn>", "<end_of_turn>\n<start_of_turn>user\n", "<start_of_turn>model\n", "<start_of_image>"],
    "roles": ["<|end|>", "<|user|>", "<|assistant|>\n", "<|system|>", "<|observation|>", "<|prompter|>", "<|Assistant|>", "<|end|>\n<|user|>\n", "<|Bot|>"],
    "spaced_roles": ["\n<| user |>\n", "\n<| end |>\n"],
    "harmony": ["<|return|>", "<|call|>", "<|end|><|start|>assistant<|channel|>final<|message|>", "<|channel|>analysis<|message|>", "<|constrain|>"],
    "deepseek": ["<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<|end▁of▁sentence|>", "<｜tool▁calls▁begin｜>", "<｜end▁of▁sentence"],
    "command_r": ["<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<|USER_TOKEN|>", "<BOS_TOKEN>", "<EOS_TOKEN>", "<|END_RESPONSE|>"],
    "glm": ["[gMASK]", "[gMASK]<sop>", "<eop>", "<|observation|>"],
    "granite": ["<|start_of_role|>user<|end_of_role|>", "<|end_of_role|>"],
    "exaone": ["[|endofturn|]", "[|user|]"],
    "internlm": ["<eoh>", "<eoa>", "<TOKENS_UNUSED_1>", "[UNUSED_TOKEN_145]"],
    "baichuan": ["<reserved_106>", "<reserved_107>"],
    "minimax": ["]~b]ai\n", "]~!b[", "[e~[", "<end_of_sentence>"],
    "nemotron": ["<SPECIAL_12>"],
    "seed": ["<seed:eos>"],
    "ling": ["<role>HUMAN</role>"],
    "code": ["<fim_prefix>", "<fim-middle>", "<|fim_suffix|>", "<file_sep>"],
    "t5": ["<extra_id_0>", "<extra_id_99>"],
    "any": ["<|tool_list_start|>", "<|eod|>", "<|separator|>", "<|vision_end|>", "<|/assistant|>"],
    "sentence": ["</s>", "<s>", "</s></s>", "</s>\n<s>[INST]"],
    "sequence": ["<bos>", "<eos>", "<pad><pad>", "<unk>", "<sep>"],
    "bert": ["[SEP]", "[CLS]", "[PAD] [PAD]", "[MASK]", "[UNK]"],
}  # fmt: skip
TOKENS = [(family, token) for family, tokens in FAMILIES.items() for token in tokens]


@pytest.mark.parametrize(("family", "token"), TOKENS)
def test_tokens_of_each_family(folder: Path, family: str, token: str) -> None:
    """Cut off at the end and at the start, with the white space beside them; inside they cost the record."""
    for raw in (
        f"{ANSWER}{token}",
        f"{ANSWER}\n{token}\n",
        f"{token} {ANSWER}",
        f"{token}\n{ANSWER} {token}",
    ):
        record = instance(folder, raw)
        assert (record.check, record.data["output"]) == (None, ANSWER), raw
        assert record.detail == {"mended": {"output": raw}}
        assert instance(folder, ANSWER, input=raw).data["input"] == ANSWER
    record = instance(folder, f"Yes, it does. {token} {ANSWER}")
    assert record.check == "control_tokens"
    assert record.reason and record.reason.startswith("output has ")
    assert instance(folder, token).data["output"] == ""  # for the check `empty`
    if "mask" not in token.lower():  # with it, the instruction is about such tokens
        told = judged(recipe(folder), "instructions", instruction=f"{TASK} {token} Be brief.")
        assert told.check == "control_tokens"


def test_a_family_is_covered_by_its_own_pattern(folder: Path) -> None:
    """Each pattern of the list finds the tokens of its family, so that switching off another changes nothing."""
    options = recipe(folder).config.filters["instances"]["control_tokens"]
    assert options
    patterns = {**options.options["tokens"], **options.options["also_text"]}
    assert set(patterns) == set(FAMILIES)


TEMPLATES = {
    "chatml": ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}", "<|im_start|>", "<|im_end|>"),
    "llama_2": ("{% for m in messages %}{% if m.role == 'user' %}<s>[INST] {{ m.content }} [/INST]{% else %} {{ m.content }} </s>{% endif %}{% endfor %}", "[/INST]", "</s>"),
    "llama_3": ("<|begin_of_text|>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}<|eot_id|>{% endfor %}", "<|start_header_id|>", "<|eot_id|>"),
    "llama_4": ("<|begin_of_text|>{% for m in messages %}<|header_start|>{{ m.role }}<|header_end|>\n\n{{ m.content }}<|eot|>{% endfor %}", "<|header_start|>", "<|eot|>"),
    "mistral": ("<s>{% for m in messages %}{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]{% else %}{{ m.content }}</s>{% endif %}{% endfor %}", "[INST]", "</s>"),
    "gemma": ("<bos>{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}", "<start_of_turn>", "<end_of_turn>"),
    "phi": ("{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}<|endoftext|>", "<|assistant|>", "<|end|>"),
    "zephyr": ("{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}</s>\n{% endfor %}", "<|user|>", "</s>"),
    "deepseek": ("<｜begin▁of▁sentence｜>{% for m in messages %}{% if m.role == 'user' %}<｜User｜>{{ m.content }}{% else %}<｜Assistant｜>{{ m.content }}<｜end▁of▁sentence｜>{% endif %}{% endfor %}", "<｜User｜>", "<｜end▁of▁sentence｜>"),
    "command_r": ("<BOS_TOKEN>{% for m in messages %}<|START_OF_TURN_TOKEN|>{{ '<|CHATBOT_TOKEN|>' if m.role == 'assistant' else '<|USER_TOKEN|>' }}{{ m.content }}<|END_OF_TURN_TOKEN|>{% endfor %}", "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    "harmony": ("{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}<|message|>{{ m.content }}{{ '<|return|>' if loop.last else '<|end|>' }}{% endfor %}", "<|start|>", "<|return|>"),
    "glm": ("[gMASK]<sop>{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}", "<|user|>", "<|observation|>"),
    "granite": ("{% for m in messages %}<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}<|end_of_text|>\n{% endfor %}", "<|start_of_role|>", "<|end_of_text|>"),
}  # fmt: skip


@pytest.mark.parametrize("family", list(TEMPLATES))
def test_through_a_chat_template_a_record_has_as_many_turns_as_messages(folder: Path, family: str) -> None:
    """A token left in a field opens a turn of its own or ends one; after the check none does, or there is no record."""
    template, opens, closes = TEMPLATES[family]

    def counts(question: str, answer: str) -> tuple[int, int]:
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rendered = jinja2.Template(template).render(messages=messages)
        return rendered.count(opens), rendered.count(closes)

    right = counts("Q", "A")
    for leak in (
        f"{ANSWER}{closes}",
        f"{ANSWER}{closes}\n{opens}",
        f"{opens}\n{ANSWER}",
        f"{ANSWER}{closes}{opens} Next question?{closes}",
    ):
        assert counts("Q", leak) != right
        assert counts(leak, "A") != right
        for record in (instance(folder, leak), instance(folder, ANSWER, input=leak)):
            assert (
                record.check == "control_tokens"
                or counts(f"{TASK}\n{record.data['input']}", record.data["output"]) == right
            )
        assert instance(folder, leak).check == ("control_tokens" if "Next" in leak else None)


@pytest.mark.parametrize(
    ("output", "instruction", "input"),
    [
        ("<s>old</s> new", "Mark the price that changed.", ""),
        ("It fell from <s>$20</s> to <s>$15</s> $12.", "Show the new price.", ""),
        ("<s>old</s>", "Wrap the word old in HTML tags that strike it through.", ""),
        ("let y = x |> f <| y\nlet z = a <|b|> c", "Write it in F#.", ""),
        ("main = text <| String.fromInt <| add 1 2\nview model |> div", "Write some Elm.", ""),
        ("number = digit <|> letter <|> space", "Write a parser in Haskell.", ""),
        ("print <| user |> getName", "Write it in F#.", ""),
        ("std::vector<s> v; Map<S, T> m; fn f<s>(x: s) {}", "Show generics.", ""),
        ("import re\nre.search(r'(?P<s>\\w+) (?<s>x)', text)", "Write a pattern.", ""),
        ("<s> ::= <np> <vp>\n<np> ::= the cat", "Write a small one.", ""),
        ("for i in range(3):\n    rows[i] = cache[INST]", "Loop three times.", ""),
        ("The ket |x> and the bra <y| make <y|x>.", "Explain the notation of Dirac.", ""),
        ("cat <<EOF\nhi\nEOF", "Write a here document.", ""),
        ("| user | end |\n|---|---|\n| a | b |", "Make a table.", ""),
        ("<user> logs in and <system> answers.", "Write a use case.", ""),
        ("<tool_call>{}</tool_call> <pre>x</pre> <PRE>y</PRE>", "Show some markup.", ""),
        ("Usage: prog [OPTIONS] [ARGS]...", "Write a line of help.", ""),
        ("if a < b || c > d && e<|f: pass", "Compare.", ""),
        ("Paris is the [MASK] of France.", "Write an example for masked language models.", ""),
        ("BERT puts [CLS] first and ends each part in [SEP].", "How does BERT prepare two sentences?", ""),
        ("<unk> stands for words outside it.", "What does the vocabulary do with rare words?", ""),
        ("capital", "Which word is missing?", "Paris is the [MASK] of France."),
        ("Paris is the [MASK]", "Hide the last word behind [MASK].", "Paris is the capital"),
        ("Close `<s>` with `</s>`.", "How is it closed?", ""),
    ],
)  # fmt: skip
def test_text_that_looks_like_a_token(folder: Path, output: str, instruction: str, input: str) -> None:
    """Markup, code, operators, and tasks about such tokens are left as they are."""
    record = instance(folder, output, instruction, input)
    assert (record.check, record.data["output"], record.detail) == (None, output, {})


def test_half_a_pair_of_html_is_no_text(folder: Path) -> None:
    """An end without its beginning is a token, and so are pairs that are all there is."""
    assert instance(folder, "One</s> two").check == "control_tokens"
    assert instance(folder, f"<s> {ANSWER}</s>").data["output"] == ANSWER
    assert instance(folder, f"<s>What holds it?</s> <s>{ANSWER}</s>").check == "control_tokens"


def test_patterns_are_switched_off_and_added_by_name(folder: Path) -> None:
    """A recipe says which tokens are text for it, and which others are not."""
    mine = (
        "filters.instances.control_tokens.tokens.t5=false",
        "+filters.instances.control_tokens.tokens.mine='%%[a-z]+%%'",
        "filters.instances.stray_characters.patterns.private_use=false",
        "filters.instances.stray_characters.patterns.soft_hyphen='\\u00ad'",
        "+filters.instances.stand_in.nothing.mine='nada'",
        "filters.instances.stand_in.nothing.en=false",
    )
    made = recipe(folder, "en", *mine)
    for output, expected in (
        ("Use <extra_id_0> here.", None),
        ("Use %%stop%% here.", "control_tokens"),
        ("An icon: \ue000 here.", None),
        ("Do\u00adnau", "stray_characters"),
        ("nada", "stand_in"),
        ("N/A", None),
    ):
        assert (
            judged(
                made, "instances", instruction=TASK, is_classification=False, input="", output=output
            ).check
            == expected
        )
    assert instance(folder, "Use <extra_id_0> here.").check == "control_tokens"
    assert instance(folder, "An icon: \ue000 here.").check == "stray_characters"
    assert instance(folder, "Do\u00adnau").check is None


# Stand-ins

NOTHING = {
    "en": ["N/A", "n/a", "N.A.", "NA", "None", "none.", "**None**", '"None"', "-", "—", "...", "<noinput>", "<nooutput>", "<no output>", "[noinput]", "No input", "No input required.", "(no input)", "No input is required for this task.", "no_input", "not applicable", "null", "[None]", "(empty)", "<empty>", "Input: N/A", "There is no input.", "This task does not require any input.", "None required", "Not needed", "N/A (no input needed)", "Not provided."],
    "de": ["keine Eingabe", "Keine Eingabe erforderlich.", "Es ist keine Eingabe nötig.", "entfällt", "Entfällt.", "nicht zutreffend", "k. A.", "(leer)", "keine Angabe"],
    "ja": ["なし", "入力なし", "特になし", "（なし）", "入力は不要です。", "該当なし", "入力：なし", "該当するものはありません"],
    "zh": ["无", "无输入", "不适用", "（无）", "无需输入", "没有输入", "此任务不需要输入。", "输入：无", "暂无"],
}  # fmt: skip
ABSENT = {
    "en": ["[Image of a cat on a sofa]", "![chart](https://i.imgur.com/abc1.png)", "https://i.imgur.com/abc1.png", "<web page with an e-commerce store design>", "[insert text here]", "<insert code here>", "[Your text]", "see above", "See above.", "(see above)", "as above", "Same as above", "the text above", "The above text.", "input text", "[image]", "(image attached)", "[Attachment: report.pdf]", "<a paragraph about dogs>", "[Graph showing sales by month]", "Refer to the above passage.", "As mentioned above", "see attached", '<img src="cat.png">', "Your text here"],
    "de": ["siehe oben", "Siehe Text oben.", "wie oben", "s. o.", "der obige Text", "[Bild einer Katze]", "[Text hier einfügen]", "[Ihr Text]"],
    "ja": ["上記の通り", "上記参照", "同上", "上記のテキスト", "［画像：猫］", "【猫の写真】", "[テキストを入力]"],
    "zh": ["见上文", "如上所述", "同上", "上述文本", "请参考上文", "[图片：一只猫]", "【图片】", "[在此插入文本]"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language, texts in NOTHING.items() for text in texts]
)
def test_a_word_for_nothing(folder: Path, language: str, text: str) -> None:
    """An input becomes empty, and what it said is kept; an output is rejected."""
    record = instance(folder, ANSWER, input=text, language=language)
    assert (record.check, record.data["input"], record.detail) == (None, "", {"mended": {"input": text}})
    record = instance(folder, text, language=language)
    assert record.check == "stand_in"
    assert record.reason and record.reason.startswith(f"output is only {text!r} (")


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language, texts in ABSENT.items() for text in texts]
)
def test_a_note_on_what_is_not_there(folder: Path, language: str, text: str) -> None:
    """Rejected as an output, and as an input too: without it the task cannot be done."""
    assert instance(folder, text, language=language).check == "stand_in"
    record = instance(folder, ANSWER, input=text, language=language)
    assert (record.check, record.data["input"]) == ("stand_in", text)


@pytest.mark.parametrize(
    ("output", "instruction", "input"),
    [
        ("None", "Which of these numbers are prime? If there are none, say None.", "4, 6, 8"),
        ("none", "List the words in capitals, or answer 'none'.", "a b c"),
        ("N/A", "Fill in the table; write N/A where a year is missing.", ""),
        ("Not applicable", "Choose: Applicable, Not applicable or Unclear.", "A ship's speed"),
        ("None", "What does the Python function give back?", "def f(): pass"),
        ("null", "What does the query return for an unknown name?", "SELECT 1"),
        ("None.", "How many moons does Venus have?", ""),
        ("-", "Which sign stands for subtraction?", ""),
        ("...", "Write S in Morse.", ""),
        ("![A cat](cat.png)", "Write Markdown that shows cat.png with the text 'A cat'.", ""),
        ("<img src='cat.png'>", "Write the HTML for cat.png.", ""),
        ("<video>", "Which HTML tag plays a film?", ""),
        ("Na", "What is the symbol of sodium?", ""),
        ("No", "Is a whale a fish?", ""),
        ("0", "What is 3 minus 3?", ""),
        ("XXX", "Write 30 in Roman numerals.", ""),
        ("Nothing", "What is in the empty box?", ""),
        ("Unknown", "Who wrote Beowulf?", ""),
        ("[]", "Give the list without its members.", ""),
        ("/", "Which key divides?", ""),
        ("?", "Which mark ends a question?", ""),
        ("No input is lost when the lid is closed, said the loom.", "Continue.", ""),
        ("See above the door: a bell hangs there.", "Continue.", ""),
        ("The image of a cat on a sofa calms people.", "Continue.", ""),
        ("None of them is a prime number.", "Which are prime?", "4, 6, 8"),
        ("keine", "Welche davon sind Primzahlen?", "4, 6, 8"),
        ("没有", "他有弟弟吗？", ""),
    ],
)  # fmt: skip
def test_a_short_answer_that_is_right(folder: Path, output: str, instruction: str, input: str) -> None:
    """What the task names, or code, counting and signs have for an answer, passes; so does a sentence."""
    record = instance(folder, output, instruction, input)
    assert (record.check, record.data["output"], record.data["input"]) == (None, output, input)


def test_a_label_may_be_any_word(folder: Path) -> None:
    """A record whose output is a label has it from a closed set; its input is still looked at."""
    assert (
        instance(folder, "None", "Say whether the note names a colour.", "A kettle.", label=True).check
        is None
    )
    assert instance(folder, "None", "Name its mood.", "[Image of a cat]", label=True).check == "stand_in"
    assert instance(folder, "None", "Name its mood.", "N/A", label=True).data["input"] == ""


def test_an_input_that_the_instruction_names_is_an_input(folder: Path) -> None:
    """A task about the word itself keeps it."""
    assert instance(folder, ANSWER, "Explain what N/A means on a form.", "N/A").data["input"] == "N/A"
    assert instance(folder, ANSWER, "Give the opposite of the word.", "empty").data["input"] == "empty"


@pytest.mark.parametrize(
    ("input", "repeats"),
    [
        (TASK, True),
        ("compare kettles with harbours", True),
        (f'"{TASK}"', True),
        (f"Task: {TASK}", True),
        (f"**Instruction:** {TASK}", True),
        (f"1. {TASK}", True),
        (f"Question:\n{TASK}\n", True),
        (f"Aufgabe: {TASK}", True),
        (f"指示：{TASK}", True),
        (f"任务：{TASK}", True),
        ("Compare kettles with harbours and lanterns.", False),
        ("kettles, harbours", False),
        (f"{TASK} A kettle boils water.", False),
        ("", False),
    ],
)
def test_an_input_that_repeats_the_instruction(folder: Path, input: str, repeats: bool) -> None:
    """It becomes empty, whatever label, number, case or mark makes it look otherwise."""
    record = instance(folder, ANSWER, input=input)
    assert record.check is None
    assert record.data["input"] == ("" if repeats else input)
    assert record.detail == ({"mended": {"input": input}} if repeats else {})
    labelled = instance(folder, ANSWER, f"Task: {TASK}", TASK)
    assert labelled.data["input"] == ""


# Stray characters


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("The loom holds \x1b[31m3\x1b[0m parts.", "U+001B (ESC) at character 16"),
        ("a\x00b", "U+0000 (NUL) at character 2"),
        ("a\x07b", "U+0007 (BEL)"),
        ("a\x08b", "U+0008 (BS)"),
        ("a\x0bb", "U+000B (VT)"),
        ("\x0crac{1}{2}", "U+000C (FF) at character 1"),
        ("a\x7fb", "U+007F (DEL)"),
        ("a\x80b", "U+0080 at character 2"),
        ("a\x9b31mb", "U+009B (CSI)"),
        ("half \ufffd case", "U+FFFD (REPLACEMENT CHARACTER) at character 6"),
        ("half \ud83d case", "U+D83D at character 6"),
        ("a\ufffeb", "U+FFFE"),
        ("a\ufdd0b", "U+FDD0"),
        ("a\U0001ffffb", "U+1FFFF"),
        ("a\u202eb", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("שלום \u202eabc", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("a\u202ab\u202c", "U+202A (LEFT-TO-RIGHT EMBEDDING)"),
        ("a\u2066b\u2069", "U+2066 (LEFT-TO-RIGHT ISOLATE)"),
        ("a\u200eb", "U+200E (LEFT-TO-RIGHT MARK)"),
        ("a\u061cb", "U+061C (ARABIC LETTER MARK)"),
        ("and\u200b the", "U+200B (ZERO WIDTH SPACE) at character 4"),
        ("受欢迎\u200b的", "U+200B (ZERO WIDTH SPACE)"),
        ("a\u200cb", "U+200C (ZERO WIDTH NON-JOINER)"),
        ("a\u200db", "U+200D (ZERO WIDTH JOINER)"),
        ("👍\u200d b", "U+200D (ZERO WIDTH JOINER)"),
        ("a\u2060b", "U+2060 (WORD JOINER)"),
        ("the\ufeff anvil", "U+FEFF (ZERO WIDTH NO-BREAK SPACE) at character 4"),
        ("\ufeffThe anvil", "U+FEFF (ZERO WIDTH NO-BREAK SPACE) at character 1"),
        ("a\u3164b", "U+3164 (HANGUL FILLER)"),
        ("a\u180eb", "U+180E (MONGOLIAN VOWEL SEPARATOR)"),
        ("a\U000e0041b", "U+E0041 (TAG LATIN CAPITAL LETTER A)"),
        ("🏴\U000e0041 b", "U+E0041"),
        ("a\ue000b", "U+E000"),
        ("😀\ufe0f\ufe01\ufe02", "U+FE0F (VARIATION SELECTOR-16)"),
        ("$2 \times 3$", "U+0009 (TAB) at character 4"),
        ("$\theta$", "U+0009 (TAB) at character 2"),
    ],
)  # fmt: skip
def test_a_stray_character(folder: Path, text: str, told: str) -> None:
    """The record is rejected, with the character, its name and its place, in whichever field it is."""
    record = instance(folder, text)
    assert record.check == "stray_characters"
    assert record.reason and record.reason.startswith(f"output has {told}")
    assert instance(folder, ANSWER, input=text).check == "stray_characters"
    assert judged(recipe(folder), "instructions", instruction=text).check == "stray_characters"


@pytest.mark.parametrize(
    "text",
    [
        "tab\tline\nreturn\r\nnext\x85line\u2028separator\u2029",
        "A café — “quoted” … naïve ½ € \u00a0\u202f\u2009\u3000 x²+y₂ ∑ → ★ ♥️ 𝓗𝓮 ﬁ Do\u00adnau",
        "👨‍👩‍👧 👩🏽‍⚕️ ❤️‍🔥 🏳️‍🌈 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🇩🇪 1️⃣ 👁️‍🗨️ 🧑🏻‍❤️‍💋‍🧑🏼 🐈‍⬛ 🧑‍💻",
        "می‌خواهم به خانه بروم",
        "क्‍ष നന്‍മ க்‌ஷ",
        "שלום\u200f, hello\u200e \u2067abc\u2069",
        "مرحبا \u202babc\u202c",
        "สวัสดี\u200bครับ ខ្មែរ\u200bភាសា ဗမာ\u200bစာ",
        "葛\U000e0100城市、ｱｲｳ ①㈱",
        "한국어 옛한글 \u1112\u119e\u11ab",
        "\tint x;\n\textern int y;\n\timport z",
    ],
)
def test_a_character_that_a_text_needs(folder: Path, text: str) -> None:
    """White space, emoji, and the marks of the scripts that are written with them pass."""
    assert instance(folder, text).check is None


def conversation(project: Path, mode: str, *outputs: str) -> tuple[str, ...]:
    """A recipe of one stage whose replies are these texts, as JSON or plain."""
    parse = (
        "{kind: json, single: true, fields: {output: {}}}"
        if mode == "chat"
        else "{kind: text, field: output}"
    )
    replies = [json.dumps({"output": text}) if mode == "chat" else text for text in outputs]
    rows = [{"stage": "ideas", "number": place, "reply": reply} for place, reply in enumerate(replies, 1)]
    (project / f"{mode}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (project / "conf/filters").mkdir(parents=True, exist_ok=True)
    (project / "conf/filters/mine.yaml").write_text(
        "defaults: [common/clean@ideas, _self_]\nideas:\n  stray_characters: {fields: [output]}\n"
        "  control_tokens: {fields: [output], instruction: null}\n  stand_in: {reject: [output]}\n  input_repeats_instruction: null\n"
    )
    (project / "recipes").mkdir(exist_ok=True)
    (project / f"recipes/mine_{mode}.yaml").write_text(
        f"""defaults:
  - override /pipeline: null
  - override /prompts: null
  - override /schema: null
  - override /export: none
  - override /filters: mine
pipeline: {{ideas: {{kind: bootstrap, patience: {len(outputs)}}}}}
prompts:
  ideas:
    style: {mode}
    template: 'Say {{{{ examples[0].instruction }}}}'
    parse: {parse}
schema: {{ideas: {{type: object, properties: {{output: {{type: string}}}}}}}}
mix: {{examples: 1, generated: 0}}
"""
    )
    seed_file(project / "seeds/mine.jsonl")
    options = (f"model.mode={mode}", f"model.options.replies={mode}.jsonl", f"run_dir=runs/{mode}")
    return (f"recipe=mine_{mode}", "model=scripted", "seeds.path=seeds/mine.jsonl", *options)


def test_one_rule_for_json_and_plain_replies(typed: Typed, project: Path) -> None:
    """The same texts have the same fates in both, and each costs its record alone."""
    texts = [
        "A bell\x07 rings.",
        "Half \ud83d a pair.",
        "Zero\u200bwidth.",
        "Fine as it is.",
        "Cut.<|im_end|>",
        "N/A",
        "A \x1b[1mbold\x1b[0m one.",
    ]
    for mode in ("chat", "completion"):
        status, _, err = typed(*conversation(project, mode, *texts), f"target={2}")
        assert status == 0, err
        rows = lines(project / f"runs/{mode}/ideas.jsonl")
        assert [row["output"] for row in rows] == ["Fine as it is.", "Cut."]
        assert rows[1]["mended"] == {"output": "Cut.<|im_end|>"}
        rejected = lines(project / f"runs/{mode}/rejected.jsonl")
        assert [(row["check"], row["reason"]) for row in rejected] == [
            ("stray_characters", "output has U+0007 (BEL) at character 7"),
            ("stray_characters", "output has U+FFFD (REPLACEMENT CHARACTER) at character 6"),
            ("stray_characters", "output has U+200B (ZERO WIDTH SPACE) at character 5"),
        ]
        assert typed("replay", f"runs/{mode}", f"run_dir=runs/{mode}-again")[0] == 0
        for name in ("ideas.jsonl", "rejected.jsonl"):
            assert (project / f"runs/{mode}-again/{name}").read_bytes() == (
                project / f"runs/{mode}/{name}"
            ).read_bytes()


# All of it


@pytest.mark.parametrize("language", ["en", "de", "ja", "zh"])
def test_the_default_sets_have_the_checks_first(folder: Path, language: str) -> None:
    """All other checks see what they mended; the chat sets are held to it by `test_text_quality`."""
    made = recipe(folder, language)
    for stage, names in (("instructions", CLEAN[:3]), ("instances", CLEAN)):
        assert [name for name, _ in made.stage(stage).judge.checks][: len(names)] == list(names)


def test_the_papers_set_has_none_of_them(folder: Path) -> None:
    """It restores the original code."""
    made = compose(("recipe=mine", "model=scripted", "filters=paper_en"), folder).recipe()
    for stage in ("instructions", "instances"):
        assert not set(CLEAN) & {name for name, _ in made.stage(stage).judge.checks}


@pytest.mark.parametrize("name", ["evolve", "grounded"])
def test_the_other_recipes_for_data_to_train_on_have_them(folder: Path, name: str) -> None:
    """In each stage that makes a text for the dataset, before all others."""
    made = compose((f"recipe={name}", "model=scripted"), folder).recipe()
    for stage in made.stages:
        if stage.name in ("instructions", "instances", "evolve_1", "evolve_2"):
            assert [key for key, _ in stage.judge.checks][:3] == list(CLEAN[:3]), stage.name


def test_every_shipped_set_takes_them_or_restores_the_original() -> None:
    """A new set does too: it lists `common/clean`, or a file that does. Evaluations make no data to train on."""
    of_evaluations = {"evaluate", "rate", "compare"}
    for path in CONF.glob("*.yaml"):
        if path.stem in of_evaluations:
            continue
        assert path.stem == "paper_en" or ("clean" in files_of(path)) is (path.stem != "alpaca_en"), path


def files_of(path: Path) -> set[str]:
    """The files that a filter set is made of, by name."""
    listed = yaml.safe_load(path.read_text(encoding="utf-8")).get("defaults", [])
    names = {str(entry).partition("@")[0].removeprefix("common/") for entry in listed}
    files = [file for name in names for file in CONF.rglob(f"{name}.yaml")]
    return names.union(*map(files_of, files))


def test_alpacas_set_has_none_and_its_successor_has_all(folder: Path) -> None:
    """`alpaca_en` restores the original; `single_shot_en` is for data to train on."""
    words = ("recipe=alpaca", "model=scripted")
    for name, expected in (("alpaca_en", []), ("single_shot_en", list(CLEAN))):
        made = compose((*words, f"filters={name}"), folder).recipe()
        assert [key for key, _ in made.stage("tasks").judge.checks][: len(CLEAN)][: len(expected)] == expected
        assert bool(expected) or not set(CLEAN) & {key for key, _ in made.stage("tasks").judge.checks}
    record = Record(
        "t-1",
        "tasks",
        1,
        0,
        {"instruction": "Name the capital of Italy now.<|im_end|>", "input": "N/A", "output": "Rome.</s>"},
    )
    judge = made.stage("tasks").judge
    judge.sift([record], random.Random(0))
    assert judge.admit(record)
    assert record.data == {"instruction": "Name the capital of Italy now.", "input": "", "output": "Rome."}


def changed(made: Recipe, rows: list[dict[str, Any]]) -> list[str]:
    """What the checks reject or mend of tasks that are known to be good."""
    found = []
    for row in rows:
        records = [judged(made, "instructions", instruction=row["instruction"])]
        for one in row.get("instances", []):
            label = bool(row.get("is_classification"))
            records.append(
                judged(made, "instances", instruction=row["instruction"], is_classification=label, **one)
            )
        found += [
            f"{record.check}: {record.reason or record.detail} — {row['instruction']}"
            for record in records
            if record.check or record.detail
        ]
    return found


@pytest.mark.parametrize("name", sorted(path.stem for path in SEEDS.glob("*.jsonl")))
def test_every_seed_passes_as_it_is(folder: Path, name: str) -> None:
    """The seed tasks are good data: nothing of them is rejected or mended."""
    language = name.removeprefix("general_") if name.startswith("general_") else "en"
    assert changed(recipe(folder, language), lines(SEEDS / f"{name}.jsonl")) == []


@pytest.mark.parametrize(
    ("name", "language", "most"),
    [
        ("seed_tasks", "en", 0),
        ("user_oriented_instructions", "en", 0),
        ("alpaca_instructions_10k", "en", 0),
        ("alpaca_zh_instructions_3k", "zh", 4),  # these have zero-width spaces between Chinese characters
    ],
)
def test_real_text(shared: Path, folder: Path, name: str, language: str, most: int) -> None:
    """Of text that nobody here wrote only real faults are found."""
    found = changed(recipe(folder, language), lines(shared / f"{name}.jsonl"))
    assert len(found) <= most, "\n".join(found)
    assert all("ZERO WIDTH SPACE" in line for line in found)


HOSTILE = ["a", "<", "<|", "<|a", "<s>", "<s> x", "</s>", "<s>x</s>", "[", "[INST", "<|im_end", "<|im_end|>", "<|im_start|>user", "<｜", "<| user ", "`", "`<s>", "]~b]", " ", "\n", "-", ".", "(", "[the ", "no input ", "the ", "なし", "上記", "无", "\u200b", "\u200d", "\u0645\u200c", "👩\u200d", "🏴\U000e0041", "\U000e0041", "\ufe0f", "\x1b[", "\u202e", "ก\u200b", "task: ", "1. ", "**"]  # fmt: skip


def test_hostile(folder: Path) -> None:
    """10 kB of anything are judged at once, by each check alone."""
    slow = []
    for name, check in checks(recipe(folder), "instances").items():
        for piece in HOSTILE:
            text = (piece * 10_000)[:10_000]
            data = {
                "instruction": text,
                "is_classification": False,
                "input": f"{text}.",
                "output": f"A {text} b",
            }
            record = Record("o-1", "instances", 1, 0, data)
            start = time.process_time()
            for step in (check.mend, check.each):
                if step:
                    step(record)
            spent = time.process_time() - start
            if spent > 1:  # they take up to 0.2 s; what grew with the square would take minutes
                slow.append(f"{name} on {piece!r}: {spent:.1f} s")
    assert slow == []
