"""The models of a recipe's stages: each stage's own or the recipe's, and their fallbacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from selfinstruct.config import ModelConfig, PromptConfig, RecipeConfig, StageConfig
from selfinstruct.errors import Fault, unknown
from selfinstruct.llm import MODELS, chat_template
from selfinstruct.llm.batch.possible import batch_faults
from selfinstruct.llm.direct.possible import transport_faults
from selfinstruct.llm.keys import is_set
from selfinstruct.llm.naming import full_names, misplaced_parameters, name_faults, sampling_faults
from selfinstruct.llm.taken import untaken
from selfinstruct.llm.thinking import EFFORT, THINKING, thinking_faults, thinks, with_thinking
from selfinstruct.llm.trust import Model, trust_of
from selfinstruct.project.layout import listing
from selfinstruct.project.resolving import model_config
from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe import size as spending
from selfinstruct.recipe.said import Said
from selfinstruct.registry import validate
from selfinstruct.safety.blot import learn

# The place of each of a model's keys in the recipe; a key that is not here is set in conf/.
Places = Mapping[str, Sequence[str]]
PLACED = ("kind", "name", "api_base", "api_key_env", "options")  # these decide where a key is sent
LITELLM = "litellm"
SENT_AS_THEY_ARE = (LITELLM, "local")  # kinds of model whose requests have a recipe's sampling


class Models:
    """Finds and checks models.

    Args:
        config: the recipe's keys.
        project: the user's folder.
        faults: gets the faults, each only once if stages share it.
        said: who set which value of the recipe.

    Attributes:
        wanting: what a run needs but a plan does not: the models' keys.
        notes: what the user should know about them.
    """

    def __init__(self, config: RecipeConfig, project: Path, faults: list[Fault], said: Said) -> None:
        self.config, self.project, self.faults, self.said = config, project, faults, said
        self.wanting: list[Fault] = []
        self.notes: list[str] = []
        self.trust = trust_of(config.trust, faults)

    def of(self, name: str, stage: StageConfig) -> tuple[ModelConfig, list[ModelConfig]]:
        """The stage's model, which is the recipe's unless it has its own, and its fallbacks."""
        model, where = self.config.model, "model"
        places: Places = places_of("model")
        if stage.model is not None:
            where = f"pipeline.{name}.model"
            own = self.named(stage.model, model, where)
            if own is None:
                return model, []
            model, places = own, moved(places, stage.model, "pipeline", name, "model")
        self.ready(model, where, places)
        self._writes(model, where)
        fallbacks = []
        holder = spending.place(self.config, name, "fallbacks")
        path = ("model",) if holder == "model" else ("pipeline", name, "model")
        for number, given in enumerate(model.fallbacks):
            where = f"{holder}.fallbacks.{number}"
            other = self.named(given, model, where)
            if other:
                of_conf = isinstance(stage.model, str) and holder != "model"
                theirs = {} if of_conf else moved(places, given, *path, "fallbacks", str(number))
                self.ready(other, where, theirs)
                self._writes(other, where)
                fallbacks.append(other.model_copy(update={"fallbacks": []}))  # a list, not a tree
        return model, fallbacks

    def of_variant(
        self, given: str | dict[str, Any], base: ModelConfig, where: str
    ) -> tuple[ModelConfig, list[ModelConfig]] | None:
        """The model of a prompt's variant that has its own, and its fallbacks; None after a fault.

        Args:
            given: its name, or the keys that differ.
            base: the stage's model.
            where: its place in the recipe.
        """
        path = where.split(".")
        own = self.named(given, base, where)
        if own is None:
            return None
        self.ready(own, where, moved(places_of("model"), given, *path))
        self._writes(own, where)
        fallbacks = []
        for number, other in enumerate(own.fallbacks):
            place = f"{where}.fallbacks.{number}"
            found = self.named(other, own, place)
            if found:
                self.ready(found, place, moved({}, other, *path, "fallbacks", str(number)))
                self._writes(found, place)
                fallbacks.append(found.model_copy(update={"fallbacks": []}))
        return own, fallbacks

    def named(
        self, given: str | dict[str, Any], base: ModelConfig | None, where: str, group: str = "model"
    ) -> ModelConfig | None:
        """A model by its file's name, or by its keys; None if there is a fault, which is added.

        Args:
            given: the name, or the keys.
            base: the model that the keys change; None if the keys are the whole model.
            where: its place in the recipe.
            group: the folder of its file, below `conf/`.
        """
        if isinstance(given, str):
            keys = model_config(given, self.project, group)
            if keys is None:
                self.tell([Fault(where, *self._unknown(given, group))])
                return None
        else:
            keys = _differing(base, given) if base else given
        model: ModelConfig | None
        model, found = validate(ModelConfig, keys, where)
        self.tell(found)
        return model

    def _unknown(self, name: str, group: str) -> tuple[str, str]:
        """The fault of an unknown name, and the remedy; the name may be one that LiteLLM knows."""
        kind = "model" if group == "model" else f"{group} model"
        what, remedy = unknown(kind, name, listing(f"conf/{group}", self.project))
        known = [] if group == "model" else full_names(name)
        return what, f"write {{name: {known[0]}}}; or of conf/{group}, {remedy}" if known else remedy

    def _writes(self, model: ModelConfig, where: str) -> None:
        """Add a fault if a stage's model cannot answer prompts."""
        kind = MODELS.build(model.kind, model.options, "", [])
        if kind and not kind.writes:
            what = f"a model of kind {model.kind} does not answer prompts"
            self.tell([Fault(f"{where}.kind", what, "choose another: model=NAME, with a name of conf/model")])

    def tell(self, found: list[Fault]) -> None:
        """Add faults, each only once although stages may share it."""
        self.faults.extend(fault for fault in found if fault not in self.faults)

    @contextmanager
    def renamed(self, places: Mapping[str, str]) -> Iterator[None]:
        """Report the faults found in this block at other places."""
        marks = [(found, len(found)) for found in (self.faults, self.wanting)]
        yield
        for found, mark in marks:
            for place, fault in enumerate(found[mark:], mark):
                found[place] = replace(fault, where=places.get(fault.where, fault.where))

    def ready(self, model: ModelConfig, where: str, places: Places) -> None:
        """Check a model's options, whether its key may be sent to its server, and whether it is set."""
        found: list[Fault] = []
        learn(model.api_base)
        kind = MODELS.build(model.kind, model.options, f"{where}.options", found)
        if kind:
            found += kind.check(self.project, f"{where}.options")
            found += chat_template.faults_of(model, self.project, where)
        if model.kind == LITELLM:
            found += name_faults(model, where)
            found += transport_faults(model, where)
        found += batch_faults(model, where)
        found += thinking_faults(model, where)
        if model.kind in SENT_AS_THEY_ARE:
            shared = {} if where == "model" else self.config.model.sampling
            own = {key: value for key, value in model.sampling.items() if key not in shared}
            found += sampling_faults(own, f"{where}.sampling")
        else:
            found += misplaced_parameters(model.sampling, f"{where}.sampling")
        said = frozenset(key for key, path in places.items() if self.said.by_recipe(path))
        typed = frozenset(key for key, path in places.items() if self.said.was_typed(path)) - said
        found += self.trust.clear(Model(model, where, said, typed))
        key = model.api_key_env
        self.tell(found)
        what = f"the environment variable {key} is not set"
        if key and not is_set(key) and what not in [fault.what for fault in self.wanting]:
            remedy = f"set it: export {key}=…  (model=local needs no key)"
            self.wanting.append(Fault(f"{where}.api_key_env", what, remedy))

    def parameters(self, prompt: PromptConfig, model: ModelConfig, where: str) -> None:
        """Add faults for parameters that the stage's prompt sets and the model does not know."""
        check = sampling_faults if model.kind in SENT_AS_THEY_ARE else misplaced_parameters
        found = list(check(prompt.sampling, f"{where}.sampling"))
        for name, variant in prompt.variants.items():
            found += check(variant.sampling, f"{where}.variants.{name}.sampling")
        self.tell(found)

    def fitted(self, stage: str, prompt: Prompt, model: ModelConfig, where: str) -> Prompt:
        """The prompt without the parameters that the model does not take; each is a fault or a note.

        Args:
            stage: the stage.
            prompt: its prompt, or a variant of it.
            model: its model, or a fallback of it.
            where: the model's place in the recipe.
        """
        sampling = with_thinking({**prompt.sampling, **model.sampling}, model)
        if model.seeded:
            sampling.setdefault("seed", 1)
        if model.kind == LITELLM and next(name_faults(model, where), None):
            return prompt
        found = untaken(sampling, model)
        if found and model.unsupported == "refuse":
            for name in found:
                place = _place_of(name, prompt, model, where)
                what = f"{model.name} does not take {name}={_shown(sampling[name])}"
                off = "false" if place.endswith(".seeded") else "null"
                remedy = f"write {place}={off}, or {where}.unsupported=drop to have it left out"
                self.tell([Fault(place, what, remedy)])
        elif found:
            named = ", ".join(f"{name}={_shown(sampling[name])}" for name in found)
            self.note(f"{stage}: {model.name} does not take {named}, so its requests go without")
        if thinks(sampling) and model.thinking_tokens is None and EFFORT not in found:
            room = f"{where}.thinking_tokens gives it room beside max_tokens"
            self.note(f"{stage}: {model.name} thinks within max_tokens, which may cut its answer; {room}")
        own_server = model.mode == "completion" or model.api_base is not None
        breaks = [text for text in sampling.get("stop") or () if "\n" in str(text)]
        if breaks and own_server and (thinks(sampling) or model.thinking_tokens):
            key = _place_of("stop", prompt, model, where)
            what = f"the stop string {breaks[0]!r} ends a thought too, if the server applies it there"
            self.note(f"{stage}: {what}; {key}=null sends none")
        return replace(prompt, left_out=prompt.left_out.union(found))

    def note(self, words: str) -> None:
        """Add a note, once."""
        if words not in self.notes:
            self.notes.append(words)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _place_of(parameter: str, prompt: Prompt, model: ModelConfig, where: str) -> str:
    """The key in the recipe that sets a parameter of a request."""
    if parameter in model.sampling:
        return f"{where}.sampling.{parameter}"
    if parameter in prompt.sampling:
        return prompt.key(parameter)
    own = {EFFORT: "reasoning_effort", THINKING: "thinking_tokens", "seed": "seeded"}
    return f"{where}.{own.get(parameter, 'sampling')}"


def places_of(*path: str) -> dict[str, Sequence[str]]:
    """The places of a model's keys that decide where a user's key is sent."""
    return {key: (*path, key) for key in PLACED}


def moved(base: Places, given: str | dict[str, Any], *path: str) -> Places:
    """The places of the keys of a model that has a name in conf/model, or that changes another one."""
    if isinstance(given, str):
        return {}
    return {**base, **{key: place for key, place in places_of(*path).items() if key in given}}


def _differing(base: ModelConfig, given: dict[str, Any]) -> dict[str, Any]:
    """A model's keys after a change; nested keys such as sampling are changed one by one.

    Some keys belong only to the other model and are not taken over: a kind's options, and a name's price.
    """
    keys = base.model_dump()
    if given.get("kind", base.kind) != base.kind:
        keys["options"] = {}
    if given.get("name", base.name) != base.name:
        keys["price"] = None
    for key, value in given.items():
        nested = isinstance(value, dict) and isinstance(keys.get(key), dict)
        keys[key] = {**keys[key], **value} if nested else value
    return keys
