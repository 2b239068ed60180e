"""Filters, each at its bounds, and the judge that gives a candidate its one fate."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfinstruct.errors import Fault
from selfinstruct.filters import FILTERS, Filter
from selfinstruct.records import ACCEPTED, REJECTED, WAITING, Record, Rejection
from selfinstruct.schema.validation import Validate, compile_schema
from selfinstruct.stages.judge import Judge
from selfinstruct.text.tokenizers import tokenizer

WORDS = {"image": True, "images": True, "map": True, "go to": True, "file": False}


def build(name: str, **options: Any) -> Filter:
    """A filter with these options."""
    faults: list[Fault] = []
    made = FILTERS.build(name, options, f"filters.tasks.{name}", faults)
    assert made is not None, faults
    return made


def faults_of(name: str, **options: Any) -> list[str]:
    """What is wrong with a filter's options."""
    faults: list[Fault] = []
    assert FILTERS.build(name, options, f"filters.tasks.{name}", faults) is None
    return [str(fault) for fault in faults]


def record(place: int = 0, **data: Any) -> Record:
    """A candidate."""
    return Record(f"tasks-{place}", "tasks", 1, place, data)


def reply(*pairs: tuple[str, str]) -> list[Record]:
    """The candidates of one reply, by input and output."""
    return [record(place, input=input, output=output) for place, (input, output) in enumerate(pairs)]


def reason(check: Filter, **data: Any) -> str | None:
    """Why a filter rejects a candidate; None where it passes."""
    assert check.each
    rejection = check.each(record(**data))
    return rejection.reason if rejection else None


def together(check: Filter, records: list[Record], seed: int = 0) -> dict[int, Rejection]:
    """What a filter that sees a whole reply rejects."""
    assert check.together
    return check.together(records, random.Random(seed))


class TestText:
    @pytest.mark.parametrize("text", ["", " ", "\n\t "])
    def test_empty(self, text: str) -> None:
        """A text without a visible character is empty."""
        assert reason(build("empty", field="t"), t=text) == "t is empty"
        assert reason(build("empty", field="t"), t=f"{text}.") is None

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (3, "3 words, fewer than 4"),
            (4, None),
            (150, None),
            (151, "151 words, more than 150"),
        ],
    )
    def test_word_count(self, words: int, expected: str | None) -> None:
        """4 and 150 words pass; 3 and 151 do not."""
        check = build("word_count", field="t", minimum=4, maximum=150)
        assert reason(check, t=" ".join(["word"] * words)) == expected

    @pytest.mark.parametrize(
        ("options", "text", "expected"),
        [
            ({"language": "ja"}, "海を描く", None),
            ({"language": "ja"}, "海を見", "3 words, fewer than 4"),
            ({"language": "zh-Hans"}, "写一首诗吧。", None),
            ({"language": "de"}, "Nenne e-mail-Regeln!", None),
            ({"language": "en"}, "Nenne e-mail-Regeln!", "2 words, fewer than 4"),
            ({"language": "ja", "tokenizer": "spaces"}, "海を描く", "1 words, fewer than 4"),
            ({"tokenizer": "characters"}, "a, b", "3 words, fewer than 4"),
        ],
    )
    def test_words_by_language(self, options: dict[str, str], text: str, expected: str | None) -> None:
        """The language picks what a word is, a character in some scripts; a name overrules it."""
        assert reason(build("word_count", field="t", minimum=4, maximum=5, **options), t=text) == expected

    def test_words_between_spaces(self) -> None:
        """Words are what stands between whitespace of any kind and length."""
        check = build("word_count", field="t", minimum=4, maximum=4)
        assert reason(check, t="  a  well-known\tword,\n too ") is None

    def test_word_count_without_bounds(self) -> None:
        """Without bounds every number of words passes."""
        assert reason(build("word_count", field="t"), t="") is None
        assert reason(build("word_count", field="t"), t="word " * 10_000) is None

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("Describe the image below", "image"),
            ("IMAGE of it", "IMAGE"),
            ("Sort these Images.", "Images"),
            ("Read the map", "map"),
            ("Then go to bed", "go to"),
            ("Go To sleep", "Go To"),
            ("an image-based task", "image"),
        ],
    )
    def test_banned_words(self, text: str, found: str) -> None:
        """A banned word counts as a whole word and whatever its case."""
        assert (
            reason(build("banned_words", field="t", words=WORDS), t=text) == f"has the banned word {found!r}"
        )

    @pytest.mark.parametrize(
        "text",
        ["Explain imagery", "a roadmap", "maps", "imagine it", "ago to", "go too", "go, to", "image_2", ""],
    )
    def test_words_within_words(self, text: str) -> None:
        """A banned word as part of another word passes."""
        assert reason(build("banned_words", field="t", words=WORDS), t=text) is None

    def test_banned_words_without_spaces(self) -> None:
        """In a script without spaces a word need not stand apart; other words beside it still have to."""
        check = build("banned_words", field="t", words={"画像": True, "map": True, "文map": True})
        assert reason(check, t="この画像を説明") == "has the banned word '画像'"
        assert reason(check, t="画面の説明") is None
        assert reason(check, t="この map を説明") == "has the banned word 'map'"
        assert reason(check, t="この文map を") == "has the banned word '文map'"
        assert reason(check, t="この文maps") is None

    def test_word_switched_off(self) -> None:
        """A word switched off passes; with all of them off everything does."""
        assert reason(build("banned_words", field="t", words=WORDS), t="Open the file") is None
        off = dict.fromkeys(WORDS, False)
        assert reason(build("banned_words", field="t", words=off), t="image map go to file") is None

    @pytest.mark.parametrize(
        ("text", "any_case", "exact_case"),
        [
            ("Write a program that sorts", False, False),
            ("Write a programme", False, False),
            ("write a program", False, True),
            ("Please write a program", True, True),
            ("Write a poem", True, True),
        ],
    )
    def test_starts_with(self, text: str, any_case: bool, exact_case: bool) -> None:
        """Only the beginning counts; case does too where the recipe says so."""
        said = "starts with 'Write a program'"
        loose = build("starts_with", field="t", text="Write a program")
        exact = build("starts_with", field="t", text="Write a program", ignore_case=False)
        assert reason(loose, t=text) == (None if any_case else said)
        assert reason(exact, t=text) == (None if exact_case else said)

    @pytest.mark.parametrize("character", string.punctuation)
    def test_first_character_punctuation(self, character: str) -> None:
        """A text that starts with ASCII punctuation is rejected; one that goes on with it passes."""
        check = build("first_character_punctuation", field="t")
        assert reason(check, t=f"{character}word") == f"starts with {character!r}"
        assert reason(check, t=f"w{character}") is None

    @pytest.mark.parametrize("text", ["word", "7 words", "«word»", "équipe", ""])
    def test_other_first_characters(self, text: str) -> None:
        """Letters, digits, punctuation beyond ASCII and an empty text are no ASCII punctuation."""
        assert reason(build("first_character_punctuation", field="t"), t=text) is None

    @pytest.mark.parametrize("character", ["é", "«", "文", "\x80"])
    def test_first_character_ascii(self, character: str) -> None:
        """A text that starts outside ASCII is rejected; one that goes on outside it passes."""
        check = build("first_character_ascii", field="t")
        assert reason(check, t=f"{character}a") == f"starts with {character!r}, not ASCII"
        assert reason(check, t=f"a{character}") is None
        assert reason(check, t="\x7f") is None

    @pytest.mark.parametrize(
        ("input", "output", "expected"),
        [
            ("a:", "b", "input ends with ':'"),
            ("a", "b: \n", "output ends with ':'"),
            ("a:", "b:", "input ends with ':'"),
            ("a: b", ":b", None),
            ("", "b", None),
        ],
    )
    def test_ends_with(self, input: str, output: str, expected: str | None) -> None:
        """A record is rejected where one of the fields ends with the text, blanks after it aside."""
        check = build("ends_with", text=":", fields=["input", "output"])
        assert reason(check, input=input, output=output) == expected

    def test_matches(self) -> None:
        """A regular expression rejects where it is found, with what it found at up to 60 characters."""
        check = build("matches", field="t", pattern=r"https?://\S+")
        assert reason(check, t="see http://a.example now") == "has 'http://a.example'"
        assert reason(check, t="http://" + "a" * 99) == f"has {'http://' + 'a' * 53!r}"
        assert reason(check, t="see it") is None

    def test_matches_not(self) -> None:
        """With `reject: false` it rejects where it is not found."""
        check = build("matches", field="t", pattern=r"\d", reject=False)
        assert reason(check, t="none") == r"has nothing that matches '\\d'"
        assert reason(check, t="1") is None

    @pytest.mark.parametrize(
        ("output", "expected"), [("a", "input and output are the same"), ("A", None), ("a ", None)]
    )
    def test_equal(self, output: str, expected: str | None) -> None:
        """Two fields are the same only where every character is."""
        assert reason(build("equal", fields=["input", "output"]), input="a", output=output) == expected


class TestSiblings:
    def test_contradicting(self) -> None:
        """Two that share an input and differ in the output take all of their reply with them."""
        found = together(
            build("contradicting", same="input", differs="output"), reply(("a", "1"), ("b", "2"), ("a", "3"))
        )
        assert list(found) == [0, 1, 2]
        reasons = {rejection.reason for rejection in found.values()}
        assert reasons == {"two of this reply share the input and differ in the output"}

    @pytest.mark.parametrize(
        "pairs",
        [
            [],
            [("a", "1")],
            [("a", "1"), ("b", "2")],
            [("a", "1"), ("a", "1")],
            [("", "1"), ("", "2")],
        ],
    )
    def test_not_contradicting(self, pairs: list[tuple[str, str]]) -> None:
        """Equal pairs and empty inputs contradict nothing."""
        assert together(build("contradicting", same="input", differs="output"), reply(*pairs)) == {}

    def test_contradicting_lists(self) -> None:
        """Values that are no texts are compared too."""
        check = build("contradicting", same="input", differs="output")
        same = [Record(f"o-{n}", "o", 1, n, {"input": ["a", {"b": 1}], "output": [1]}) for n in range(2)]
        assert together(check, same) == {}
        other = Record("o-2", "o", 1, 2, {"input": ["a", {"b": 1}], "output": [2]})
        assert list(together(check, [*same, other])) == [0, 1, 2]

    def test_duplicate(self) -> None:
        """The first of equal candidates stays; the others name it."""
        found = together(
            build("duplicate", fields=["input", "output"]),
            reply(("a", "1"), ("b", "1"), ("a", "1"), ("a", "2"), ("a", "1"), ("A", "1")),
        )
        assert list(found) == [2, 4]
        assert found[4] == Rejection("the same as tasks-0", {"nearest": "tasks-0", "score": 1.0})

    def test_at_most(self) -> None:
        """Of more candidates than the count so many stay, drawn at random."""
        records = reply(*[(str(place), "x") for place in range(8)])
        found = together(build("at_most", count=5), records)
        assert len(found) == 3
        assert {rejection.reason for rejection in found.values()} == {"not among the 5 drawn of 8"}

    @pytest.mark.parametrize("count", [0, 1, 5])
    def test_no_more_than_the_count(self, count: int) -> None:
        """As many as the count, or fewer, all stay."""
        assert together(build("at_most", count=5), reply(*[("a", "x")] * count)) == {}

    def test_at_most_is_seeded(self) -> None:
        """The same random stream draws the same ones, and all places are drawn by some stream."""
        records = reply(*[(str(place), "x") for place in range(8)])
        draws = [list(together(build("at_most", count=5), records, seed)) for seed in range(40)]
        assert draws == [list(together(build("at_most", count=5), records, seed)) for seed in range(40)]
        assert {place for left_out in draws for place in left_out} == set(range(8))

    def test_at_most_of_each_value(self) -> None:
        """Of each value of the field so many stay, without regard to case."""
        records = reply(*[(str(place), "yes" if place < 5 else "No") for place in range(7)], ("7", "no"))
        found = together(build("at_most", count=2, each="output"), records)
        kept = [records[place].data["output"] for place in range(8) if place not in found]
        assert sorted(map(str.casefold, kept)) == ["no", "no", "yes", "yes"]

    def test_one_sided(self) -> None:
        """A task with inputs for only one label loses them all; with two labels, nothing."""
        check = build("one_sided", field="output")
        found = together(check, reply(("a", "online"), ("b", "Online")))
        assert list(found) == [0, 1]
        assert found[0].reason == "output is only 'Online' in this reply, and 2 different ones are needed"
        assert together(check, reply(("a", "online"), ("b", "in the store"))) == {}
        assert together(check, []) == {}


class TestRougeL:
    def rouge(self, *texts: str, **options: Any) -> Filter:
        """The filter, told of some texts."""
        check = build("rouge_l", field="t", **options)
        assert check.learn
        for place, text in enumerate(texts):
            check.learn(Record(f"seed-{place}", "seeds", place, 0, {"t": text}))
        return check

    def test_above_the_threshold(self) -> None:
        """A text above the threshold is rejected with the nearest text and its score."""
        check = self.rouge("name a river", "write a poem about the sea")
        assert check.each
        assert check.each(record(t="Write a poem about the stars!")) == Rejection(
            "ROUGE-L 0.833 to seed-1, above 0.7", {"nearest": "seed-1", "score": 5 / 6}
        )

    def test_the_threshold_itself_stays(self) -> None:
        """7 of 10 words in common is 0.7 and stays; 8 of 10 does not."""
        words = [f"word{place}" for place in range(10)]
        check = self.rouge(" ".join(words))
        assert reason(check, t=" ".join([*words[:7], "ten", "eleven", "twelve"])) is None
        assert (
            reason(check, t=" ".join([*words[:8], "ten", "eleven"])) == "ROUGE-L 0.800 to seed-0, above 0.7"
        )

    def test_other_threshold(self) -> None:
        """The threshold is the recipe's."""
        said = "ROUGE-L 0.600 to seed-0, above 0.5"
        assert reason(self.rouge("a b c d e", threshold=0.5), t="a b c x y") == said
        assert reason(self.rouge("a b c d e", threshold=0.65), t="a b c x y") is None

    def test_keep_similar(self) -> None:
        """A text that passes keeps its most similar texts with their scores, and the average."""
        check = self.rouge("a b x y", "a b c d", "p q r s", keep_similar=2)
        candidate = record(t="a b c q w")
        assert check.each
        assert check.each(candidate) is None
        assert list(candidate.detail["most_similar"].items()) == [("seed-1", 0.6667), ("seed-0", 0.4444)]
        assert candidate.detail["average_similarity"] == 0.4444

    def test_record_without_the_field(self) -> None:
        """A seed without the field is not compared with."""
        check = self.rouge()
        assert check.learn
        check.learn(Record("seed-0", "seeds", 0, 0, {"other": "a b c"}))
        assert reason(check, t="a b c") is None

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, None),
            ({"language": "zh"}, "ROUGE-L 0.909 to seed-0, above 0.7"),
            ({"language": "zh", "tokenizer": "rouge"}, None),
            ({"tokenizer": "characters"}, "ROUGE-L 0.714 to seed-0, above 0.7"),
        ],
    )
    def test_by_language(self, options: dict[str, str], expected: str | None) -> None:
        """The language picks how texts are compared; in English nothing of a Chinese text is."""
        check = self.rouge("写一首短诗！", **options)
        assert reason(check, t="写一首歌短诗。.") == expected

    def test_exact_duplicate(self) -> None:
        """A text that equals a seed or an accepted one is rejected, case and spacing aside."""
        check = build("exact_duplicate", field="t")
        assert check.learn
        for place, text in enumerate(["Name a  river.", "name a river.", "文字", "?"]):
            check.learn(record(place, t=text))
        check.learn(Record("seed-9", "seeds", 0, 0, {"other": "a b c"}))
        assert check.each
        found = check.each(record(t=" name\nA river. "))
        assert found == Rejection("the same as tasks-0", {"nearest": "tasks-0", "score": 1.0})
        assert reason(check, t="文字") == "the same as tasks-2"
        assert reason(check, t="name a river") is None
        assert reason(check, t="") is None

    @settings(max_examples=1000, deadline=None, derandomize=True)
    @given(st.text("aB1 \t\u3000.-ÄßİK文", max_size=12), st.text("aB1 \t\u3000.-ÄßİK文", max_size=12))
    def test_exact_duplicate_changes_no_decision(self, first: str, second: str) -> None:
        """Whatever it rejects that has a token, `rouge_l` of an English recipe would have rejected."""
        for text in (second, first.upper(), f" {first.lower()} "):
            equal, similar = build("exact_duplicate", field="t"), self.rouge(first)
            assert equal.learn
            equal.learn(record(t=first))
            if reason(equal, t=text) and tokenizer("rouge")(text):
                assert reason(similar, t=text) == "ROUGE-L 1.000 to seed-0, above 0.7"


class TestOptions:
    @pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 1.5])
    def test_threshold_out_of_range(self, threshold: float) -> None:
        """A threshold has to lie between 0 and 1."""
        (fault,) = faults_of("rouge_l", field="t", threshold=threshold)
        assert "filters.tasks.rouge_l.threshold" in fault

    @pytest.mark.parametrize(
        ("name", "options", "said"),
        [
            (
                "word_count",
                {"field": "t", "minimum": 5, "maximum": 4},
                "minimum (5) is more than maximum (4)",
            ),
            ("word_count", {"field": "t", "minimum": -1}, "word_count.minimum"),
            ("word_count", {"field": "t", "tokenizer": "space"}, "did you mean 'spaces'?"),
            ("rouge_l", {"field": "t", "tokenizer": "unicod"}, "did you mean 'unicode'?"),
            ("rouge_l", {"field": "t", "tokenizer": "unicod"}, "filters.tasks.rouge_l.tokenizer: "),
            ("rouge_l", {"field": "t", "tokenizer": 3}, "filters.tasks.rouge_l.tokenizer: "),
            ("matches", {"field": "t", "pattern": "("}, "is not a valid regular expression"),
            ("equal", {"fields": ["a"]}, "equal.fields"),
            ("at_most", {"count": 0}, "at_most.count"),
            ("empty", {}, "empty.field: is missing"),
            ("empty", {"fild": "t", "field": "t"}, "did you mean 'field'?"),
            ("banned_word", {}, "did you mean 'banned_words'?"),
        ],
    )
    def test_faults(self, name: str, options: dict[str, Any], said: str) -> None:
        """An option that cannot be used is a fault that names it, and the nearest where it is unknown."""
        (fault,) = faults_of(name, **options)
        assert said in fault


def anything(data: dict[str, Any]) -> Rejection | None:
    """A schema that all satisfy."""
    return None


def judge(validate: Validate = anything, **filters: Filter) -> Judge:
    """A judge with these filters, in order."""
    return Judge(filters, validate)


def decide(ruling: Judge, records: list[Record]) -> list[str | None]:
    """The check that rejected each candidate of a reply, None for an accepted one."""
    ruling.sift(records, random.Random(0))
    for one in records:
        if one.fate == WAITING:
            ruling.admit(one)
    assert all(one.fate == (REJECTED if one.check else ACCEPTED) for one in records)
    return [one.check for one in records]


def long() -> Filter:
    """A filter that wants two words of an input."""
    return build("word_count", field="input", minimum=2)


def filled() -> Filter:
    """A filter that wants an output."""
    return build("empty", field="output")


class TestJudge:
    def test_first_check_counts(self) -> None:
        """The first check that rejects a candidate is the one that counts."""
        bad = reply(("a", ""))
        assert decide(judge(long=long(), filled=filled()), bad) == ["long"]
        assert bad[0].reason == "1 words, fewer than 2"
        assert decide(judge(filled=filled(), long=long()), reply(("a", ""))) == ["filled"]

    def test_name_in_the_recipe(self) -> None:
        """A rejection carries the check's name in the recipe, not its kind."""
        assert decide(judge(too_short=long()), reply(("a", "1"), ("a b", "1"))) == ["too_short", None]

    def test_accepted_joins_at_once(self) -> None:
        """An accepted candidate is compared with the next one of the same reply."""
        records = [
            record(0, t="name a long river"),
            record(1, t="Name a long river!"),
            record(2, t="sort it"),
        ]
        assert decide(judge(rouge_l=build("rouge_l", field="t")), records) == [None, "rouge_l", None]
        assert records[1].detail == {"nearest": "tasks-0", "score": 1.0}

    def test_rejected_does_not_join(self) -> None:
        """A candidate rejected by a later filter or by the schema is compared with nothing."""
        ruling = judge(rouge_l=build("rouge_l", field="t"), dot=build("ends_with", text=".", fields=["t"]))
        assert decide(ruling, [record(0, t="name a river."), record(1, t="name a river")]) == ["dot", None]

    def test_learns_of_seeds(self) -> None:
        """Candidates are compared with the seeds, and with records accepted earlier."""
        ruling = judge(rouge_l=build("rouge_l", field="t"))
        ruling.learn_all([record(7, t="name a river"), record(8, t="sort a list")])
        records = [record(0, t="sort a list"), record(1, t="name a river")]
        assert decide(ruling, records) == ["rouge_l", "rouge_l"]
        assert [one.detail["nearest"] for one in records] == ["tasks-8", "tasks-7"]

    def test_schema_is_last(self) -> None:
        """A candidate that passes all filters has to satisfy the JSON Schema, and may fail it only."""
        schema = {"type": "object", "properties": {"output": {"maxLength": 2}}}
        validate = compile_schema(schema, "schema.tasks", [])
        assert validate
        records = reply(("a", "123"), ("a b", "123"), ("a b", "12"))
        assert decide(judge(validate, long=long()), records) == ["long", "schema", None]
        assert (records[1].reason, records[1].detail) == ("output: '123' is too long", {"path": "$.output"})

    def test_whole_reply_sees_what_is_left(self) -> None:
        """A filter that sees a whole reply does not see what an earlier check rejected."""
        ruling = judge(filled=filled(), against=build("contradicting", same="input", differs="output"))
        assert decide(ruling, reply(("a", "1"), ("a", ""), ("b", "2"))) == [None, "filled", None]

    def test_order_of_whole_reply_filters(self) -> None:
        """Filters that see a whole reply run in the recipe's order: equal ones go before the sample."""
        same, most = build("duplicate", fields=["input", "output"]), build("at_most", count=1)
        assert decide(judge(same=same, most=most), reply(("a", "1"), ("a", "1"))) == [None, "same"]
        assert "most" in decide(judge(most=most, same=same), reply(("a", "1"), ("a", "1")))

    def test_read_as_rejected(self) -> None:
        """A candidate that its parser rejected keeps that fate and is no sibling to the others."""
        records = reply(("a", "1"), ("a", "2"))
        records[1].reject("cut", Rejection("the reply reached max_tokens within this one"))
        ruling = judge(against=build("contradicting", same="input", differs="output"))
        assert decide(ruling, records) == [None, "cut"]

    def test_learning_before_a_whole_reply(self) -> None:
        """A filter that learns and stands before one that sees a whole reply is a fault of the recipe."""
        learns, whole = build("rouge_l", field="t"), build("at_most", count=5)
        (fault,) = judge(novel=learns, most=whole).faults("filters.tasks")
        assert fault.where == "filters.tasks.novel"
        assert "must come after all filters that see a whole reply" in fault.what
        assert judge(most=whole, novel=learns).faults("filters.tasks") == []
