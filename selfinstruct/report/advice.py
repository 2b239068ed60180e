"""What helps when a check rejects too much: a table by the kind of check.

A tip names the keys to change in a form that can be typed. A tip is left out if it has a placeholder that
does not apply, such as `{fewer_examples}` in a stage that shows no examples from the pool. To say more about
a check, add a line to `HELP`; for a check that is not in it, `OTHER` is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from selfinstruct.config import RecipeConfig
from selfinstruct.prompts.templates import Prompt
from selfinstruct.stages import Stage


@dataclass(frozen=True)
class Help:
    """The meaning of a check, and what helps.

    Attributes:
        what: what happened to the rejected candidates, as the end of a sentence about them.
        tips: what may help, the best tip first.
    """

    what: str
    tips: tuple[str, ...]


ENOUGH_TO_THINK = 4096  # tokens; LiteLLM's budget for a high effort
LARGER = "a larger or instruction-tuned model ({model})"
ANOTHER = "another model ({model})"
SEEDS = "{draws}more or other seeds (seeds.path)"
HOTTER = "a higher temperature ({hotter})"
WORDS = "other words in {prompt}"

OTHER = Help("were rejected", ("look at their reasons in rejected.jsonl", "change or drop {section}"))
COPIES = Help(
    "were copies of the prompt",
    (
        LARGER,
        "{chat}a completion-style recipe (recipe=completion)",
        "fewer examples ({fewer_examples})",
        "{about}other examples in {prompt}",
    ),
)
NEW = (SEEDS, HOTTER, ANOTHER, "change {section}")
SIMILAR = Help("were too similar to an existing text", NEW)
HELP: dict[str, Help] = {
    # a whole reply, or a part of it, is faulty
    "unreadable": Help(
        "could not be read",
        (
            "make the provider enforce the form by response_format ({constrain})",
            LARGER,
            "{draws}{chat}for a base model, a recipe in completion mode (recipe=completion)",
            "{draws}{completion}for a chat model, a recipe in chat mode (recipe=chat)",
            "another {prompt}.parse",
        ),
    ),
    "cut": Help("were cut at max_tokens", ("{more_tokens} (now {tokens})", "a prompt that asks for less")),
    "empty_reply": Help(
        "were empty", ("{more_tokens} (now {tokens}), where a model thinks before it answers", ANOTHER, WORDS)
    ),
    "thinking_cut": Help(
        "had a thought but no answer",
        (
            "more room to think ({more_thinking})",
            "less thinking ({effort}), where the model takes that",
            "no stop strings that a thought may contain ({stops}=null)",
            "a model that does not think ({model})",
        ),
    ),
    "content_filter": Help(
        "were withheld by the provider's content filter",
        ("another model or provider ({model})", "{draws}other seeds (seeds.path)", WORDS),
    ),
    "context": Help(
        "were too long for the model",
        (
            "{fewer_tokens} (now {tokens})",
            "fewer examples ({fewer_examples})",
            "a shorter {prompt}",
            "a model that takes more ({model})",
        ),
    ),
    "no_choices": Help("came back without a reply", ("another model or provider ({model})",)),
    "broken_off": Help("broke off on the server", ("another model or provider ({model})",)),
    "refused": Help("were refused by the provider", ("another model or provider ({model})", WORDS)),
    "missing_choice": Help("did not come back", ("one choice per request (model.sampling.n=1)", ANOTHER)),
    "undecided": Help(
        "were none of the answers asked for",
        (LARGER, "{more_tokens} (now {tokens})", "more answers in {prompt}.parse"),
    ),
    "oversized": Help("were far too long", ("{prompt}.sampling.max_tokens", ANOTHER)),
    "repeated_line": Help("repeated one line", ("model.sampling.frequency_penalty=0.5", LARGER, HOTTER)),
    # filters, by kind
    "copied": COPIES,
    "exact_duplicate": Help("were the same as an existing text", NEW),
    "rouge_l": SIMILAR,
    "embedding_similarity": SIMILAR,
    "parent": Help("were made from a record that was not taken", ()),
    "duplicate": Help("occurred twice in one reply", (HOTTER, LARGER, WORDS)),
    "decontaminate": Help(
        "overlap with an evaluation file",
        (
            SEEDS,
            HOTTER,
            "a larger share of the evaluation text ({section}.share=0.5), where short phrases are met",
            "only the columns that hold the questions ({section}.columns)",
        ),
    ),
    "repeated_output": Help("had the output of many others", (HOTTER, LARGER, "change {section}")),
    "repetition": Help("repeated themselves", ("model.sampling.frequency_penalty=0.5", LARGER, HOTTER)),
    "stray_characters": Help("had characters that no text needs", (ANOTHER, WORDS, "change {section}")),
    "control_tokens": Help(
        "had control tokens of a chat template",
        ("{chat}a chat template on the server that fits the model", "stop strings in {prompt}.sampling.stop"),
    ),
    "stand_in": Help("had a stand-in instead of text", (LARGER, WORDS)),
    "input_repeats_instruction": Help("had the instruction as their input", (LARGER, WORDS)),
    "placeholder": Help("had a placeholder instead of text", (LARGER, WORDS)),
    "refusal": Help("were refusals", (ANOTHER, "{draws}other seeds (seeds.path)", WORDS)),
    "wrong_language": Help(
        "were in another language", ("{prompt} in the language wanted", ANOTHER, "change {section}")
    ),
    "below": Help(
        "were below the minimum", ("a stronger model for what is judged", "change {section}.minimum")
    ),
    "has_value": Help("have a value that is not wanted", (LARGER, "change {section}.values")),
    "missing_input": Help("speak of a text that is not there", (LARGER, WORDS)),
    "agreement": Help(
        "have another answer than other tries",
        (LARGER, "tasks with one short answer", "change {section}.share or {section}.threshold"),
    ),
    "keeps_limits": Help("broke a limit of their instruction", (LARGER, "change {section}.units")),
    "parses": Help("had code that does not parse", (LARGER, "change {section}.languages")),
    "named_label": Help(
        "had a label that the instruction does not name", (LARGER, "change or drop {section}")
    ),
    "parts_kept": Help("lost a part of the original", (LARGER, WORDS, "change {section}")),
    # stages that make pairs or conversations
    "margin": Help(
        "had answers with scores too close to each other",
        (
            "more answers to each task, or by several models (+parts=other_answers)",
            "a smaller pipeline.{stage}.margin",
        ),
    ),
    "length_bias": Help(
        "had a better answer that is the longer one, and there are enough of these",
        ("more answers to each task", "a larger pipeline.{stage}.length_bias"),
    ),
    "identical_answers": Help("had answers that are all the same", ("a higher temperature for the answers",)),
    "one_answer": Help("had fewer than two accepted answers", ("more answers to each task",)),
    "unscored": Help("had fewer than two scores", ("a stronger judge", "more answers to each task")),
    "tie": Help("had no better answer", ("pipeline.{stage}.ties=shorter", "a stronger judge")),
    "position": Help("had a verdict that changed with the order", ("a stronger judge",)),
    "too_short": Help(
        "had too few turns",
        (
            "a smaller pipeline.{stage}.least",
            "other words about the end of the conversation in prompts.{stage}.variables",
        ),
    ),
    "schema": Help(
        "did not fit the schema", ("look at their paths in rejected.jsonl", "change schema.{stage}")
    ),
}


def advice(help: Help, check: str, config: RecipeConfig, stage: Stage, variant: str | None) -> str:
    """What may help, as a sentence.

    Args:
        help: the line of the table.
        check: the name of the check in the recipe.
        config: the recipe.
        stage: the stage.
        variant: the variant of the prompt that most of the rejected candidates come from.
    """
    names = _names(check, config, stage, variant)
    tips = []
    for tip in help.tips:
        try:
            tips.append(tip.format_map(names))
        except KeyError:  # the tip does not apply here
            continue
    tips = tips or [tip.format_map(names) for tip in OTHER.tips[:1]]
    words = f"{'; '.join(tips[:-1])}; or {tips[-1]}" if len(tips) > 1 else tips[0]
    return f"What may help: {words}"


def _names(check: str, config: RecipeConfig, stage: Stage, variant: str | None) -> dict[str, Any]:
    """The values of the placeholders; those that do not apply are left out."""
    names: dict[str, Any] = {"stage": stage.name}
    if stage.prompts:  # otherwise it asks no model
        own = config.pipeline[stage.name].model is not None
        names["model"] = f"pipeline.{stage.name}.model" if own else "model.name"
    if any(check == name for name, _ in stage.judge.checks):
        names["section"] = f"filters.{stage.name}.{check}"
    names |= stage.kind.levers(config.mix)
    if stage.prompts:
        names |= {"prompt": f"prompts.{stage.name}", stage.model.mode: ""}
        prompt = next((one for one in stage.prompts if one.name == variant), stage.prompts[0])
        names |= _sampling(config, stage, prompt)
    return names


def _sampling(config: RecipeConfig, stage: Stage, prompt: Prompt) -> dict[str, Any]:
    room, given = stage.model.thinking_tokens, config.pipeline[stage.name].model
    names: dict[str, Any] = {}
    if not isinstance(given, str):  # a model's file sets the keys of such a model
        where = "model" if given is None else f"pipeline.{stage.name}.model"
        names["more_thinking"] = f"{where}.thinking_tokens={2 * room if room else ENOUGH_TO_THINK}"
        names["effort"] = f"{where}.reasoning_effort=low"
    sampling = {**prompt.sampling, **stage.model.sampling}
    if sampling.get("stop") and (stops := _key(config, stage, prompt, "stop")):
        names["stops"] = stops
    tokens, temperature = sampling.get("max_tokens"), sampling.get("temperature")
    key = _key(config, stage, prompt, "max_tokens")
    if key and isinstance(tokens, int) and tokens > 1:
        more, fewer = f"{key}={2 * tokens}", f"{key}={tokens // 2}"
        names |= {"tokens": tokens, "more_tokens": more, "fewer_tokens": fewer}
    key = _key(config, stage, prompt, "temperature")
    if key and isinstance(temperature, int | float) and temperature < 1:
        names["hotter"] = f"{key}=1.0"
    if stage.model.mode == "chat" and prompt.parse.outline and "response_format" not in sampling:
        names["constrain"] = f"prompts.{stage.name}.constrain=true"
    return names


def _key(config: RecipeConfig, stage: Stage, prompt: Prompt, name: str) -> str | None:
    """The key that sets a parameter, in a form that can be typed; None if a model's file sets it."""
    if name in stage.model.sampling:
        own = config.pipeline[stage.name].model
        if own is None:
            return f"model.sampling.{name}"
        return None if isinstance(own, str) else f"pipeline.{stage.name}.model.sampling.{name}"
    variants = config.prompts[stage.name].variants
    own_value = prompt.name in variants and name in variants[prompt.name].sampling
    variant = f".variants.{prompt.name}" if own_value else ""
    return f"prompts.{stage.name}{variant}.sampling.{name}"
