"""Mistakes that people make in recipes and overrides, each with words of the answer.

Shared by the tests of `check`, which finds them all, and of the JSON Schema, with which an editor finds some.
"""

from __future__ import annotations

PAPER = ("recipe=paper", "model=scripted")

TYPED_SLIPS: list[tuple[list[str], list[str]]] = [
    (["recipe=papre"], ["unknown recipe 'papre'", "did you mean 'paper'?", "alpaca"]),
    ([], ["choose a recipe", "quickstart"]),
    (["recipe=paper", "model=opnai"], ["unknown model config 'opnai'", "did you mean 'openai'?"]),
    (["recipe=paper", "modle=openai"], ["'modle'", "did you mean 'model'?"]),
    (["recipe=paper", "targt=5"], ["unknown key 'targt'", "did you mean 'target'?"]),
    (
        ["recipe=paper", "filters.instructions.rouge_l.treshold=0.6"],
        ["did you mean 'filters.instructions.rouge_l.threshold'?"],
    ),
    (["recipe=paper", "~filters.instructions.nothing"], ["unknown key 'filters.instructions.nothing'"]),
    (["recipe=paper", "x y"], ["'x y' is not an override"]),
    (["paper"], ["'paper' is not an override", "did you mean recipe=paper?"]),
    (
        ["recipe=paper", "prompts.classification.template={{ x }}"],
        ["is not an override", "'prompts.classification.template=\"{{ x }}\"'"],
    ),
    (["recipe=paper", "seed=range(2"], ["'seed=range(2' is not an override", "'(' is not closed"]),
    (["recipe=paper", "seed=range2)"], ["')' was never opened"]),
    (["recipe=paper", "run_dir=r 1,x=y"], ["is not an override", "'run_dir=\"r 1,x=y\"'"]),
    (["recipe=paper", "run_dir=it's"], ["'run_dir=\"it'\\''s\"'"]),
    (["recipe=paper", "target=5,10"], ["'target=5,10' gives several values", "put -m first"]),
    (["recipe=paper", "target", "=", "5"], ["no spaces around '=': write target=5"]),
    (["recipe=paper", "target=", "5"], ["no spaces around '=': write target=5"]),
    (["recipe=paper", "target", "=5"], ["no spaces around '=': write target=5"]),
    (["recipe", "=", "paper"], ["no spaces around '=': write recipe=paper"]),
    (["recipe=paper", "--target", "5"], ["keys of a recipe have no dashes: write target=5"]),
    (["recipe=paper", "--model.name=openai/x"], ["write model.name=openai/x"]),
    (["recipe=paper", "--multrun"], ["unknown option '--multrun'", "did you mean '--multirun'?"]),
    (["recipe=paper", "-t", "5"], ["unknown option '-t'", "such as target=5"]),
    (["recipes=paper"], ["unknown key 'recipes'", "did you mean 'recipe'?"]),
    (
        ["recipe=paper", "filters.rouge_l.threshold=0.6"],
        [
            "unknown key 'filters.rouge_l.threshold'",
            "did you mean 'filters.instructions.rouge_l.threshold'?",
        ],
    ),
    (["recipe=paper", "rouge_l.threshold=0.6"], ["'filters.instructions.rouge_l.threshold'"]),
    (["recipe=paper", "~filters.rouge_l"], ["did you mean 'filters.instructions.rouge_l'?"]),
    (
        ["recipe=paper", "filter.instructions.rouge_l.threshold=0.6"],
        ["'filters.instructions.rouge_l.thr"],
    ),
    (["recipe=paper", "temperature=0.6"], ["did you mean 'model.sampling.temperature'"]),
    (["recipe=paper", "max_tokens=6"], ["did you mean 'model.sampling.max_tokens'"]),
    (["recipe=paper", "model=gpt-4o"], ["unknown model config", "model=openai model.name=openai/gpt-4o"]),
    (
        ["recipe=paper", "model=claude-sonnet-4-5"],
        ["model=anthropic model.name=anthropic/claude-s"],
    ),
    ([*PAPER, "model.top_p=0.5"], ["a parameter of the request: model.sampling.top_p"]),
    ([*PAPER, "+prompts.instructions.stop=[x]"], ["prompts.instructions.sampling.stop"]),
    (["recipe=paper", "model=groq/x"], ["like this: model.name=groq/x"]),
    (["recipe=paper", "mix={exampels: 4}"], ["unknown key 'mix.exampels'", "'mix.examples'"]),
    (["recipe=paper", "mix=null"], ["'mix=null': a config group takes the name"]),
    (["recipe=paper", "mix=[1]"], ["'mix=[1]': a config group takes the name"]),
    (["recipe=paper", "seeds=seeds/mine.jsonl"], ["seeds.path=FILE.jsonl"]),
    ([*PAPER, "+filters.instructions.rouge={field: instruction}"], ["unknown filter", "'rouge_l'"]),
    ([*PAPER, "+filters.instructions.word_count.minimun=3"], ["unknown key 'minimun'", "'minimum'"]),
    ([*PAPER, "filters.instructions.empty.field=instrution"], ["unknown field 'instrution'"]),
    ([*PAPER, "pipeline.classification.kind=lable"], ["unknown stage kind 'lable'", "'label'"]),
    ([*PAPER, "pipeline.instances.by=topic"], ["pipeline.instances.by: unknown field 'topic'"]),
    ([*PAPER, "pipeline.instances.by=instruction"], ["'instruction' may have any value"]),
    ([*PAPER, "pipeline.instances.of=instruction"], ["pipeline.instances.of", "known: instructions"]),
    ([*PAPER, "pipeline.instances.model=opnai"], ["unknown model 'opnai'", "'openai'"]),
    (
        [*PAPER, "filters.instructions.rouge_l.threshold=1.5"],
        ["rouge_l.threshold: should be less than 1"],
    ),
    ([*PAPER, "filters.instructions.rouge_l.threshold=0"], ["rouge_l.threshold: should be greater"]),
    (
        [*PAPER, "+filters.instructions.rouge_l.tokenizer=unicod"],
        ["filters.instructions.rouge_l.tokenizer: unknown tokenizer 'unicod'", "did you mean 'unicode'?"],
    ),
    (
        [*PAPER, "+filters.instructions.word_count.tokenizer=words", "target=0"],
        ["word_count.tokenizer: unknown tokenizer 'words'", "known: characters, rouge", "target: "],
    ),
    ([*PAPER, "target=0"], ["target: should be greater than or equal to 1, not 0"]),
    ([*PAPER, "model.concurrency=-1"], ["model.concurrency: should be greater"]),
    ([*PAPER, "model.mode=chatty"], ["model.mode: should be 'chat' or 'completion', not 'chatty'"]),
    ([*PAPER, "mix.generated=9"], ["mix.generated: is 9, more than the 8 examples"]),
    ([*PAPER, "schema.instances.type=objekt"], ["schema.instances.type: is not a valid JSON Schema"]),
    (
        [*PAPER, "prompts.classification.template='{{ instrction }}'"],
        ["prompts.classification.template", "did you mean 'instruction'?"],
    ),
    ([*PAPER, "prompts.classification.template='{% if %}'"], ["prompts.classification.template: line 1"]),
    ([*PAPER, "export.alpaca.of=instance"], ["export.alpaca.of: unknown stage", "'instances'"]),
    ([*PAPER, "+export.chat.user='{{ instrution }}'"], ["export.chat", "did you mean 'instruction'?"]),
    ([*PAPER, "export.chat.file=../run.sqlite"], ["is not the name of a file in dataset/"]),
    (
        [*PAPER, "+pipeline.rejected={kind: bootstrap}"],
        ["pipeline.rejected: no stage can have this name"],
    ),
    ([*PAPER, "export.chat.file=alpaca.jsonl"], ["another export writes alpaca.jsonl"]),
    ([*PAPER, "+export.csv={file: a.csv}"], ["unknown export format 'csv'"]),
]

FORBIDDEN: list[tuple[str, list[str]]] = [
    ("a: [1\n", ["mine.yaml", "line"]),
    ("- a\n", ["a recipe is a mapping"]),
    ("hydra: {run: {dir: x}}\n", ["'hydra' key", "command line"]),
    ("hydra.run.dir: x\n", ["'hydra' key"]),
    ("model: {_target_: os.system}\n", ["model._target_", "would run code"]),
    ("x: [{_target_: os.system}]\n", ["x.0._target_"]),
    ("defaults: [paper, {override hydra/launcher: joblib}]\n", ["Hydra's own settings"]),
    ("defaults: [paper, {'/hydra/callbacks@hydra.callbacks': x}]\n", ["Hydra's own settings"]),
]

RECIPE_SLIPS: list[tuple[str, list[str]]] = [
    ("defaults: paper\n", ["recipes/mine.yaml: 'defaults' is a list"]),
    ("defaults: 5\n", ["recipes/mine.yaml: 'defaults' is a list"]),
    ("defaults: [null]\n", ["recipes/mine.yaml: 'defaults' is a list"]),
    ("defaults: [{a: b, c: d}]\n", ["recipes/mine.yaml: 'defaults' is a list"]),
    ("defaults: [mine]\n", ["leads back to the recipe itself"]),
    ("defaults: [papre]\n", ["unknown recipe 'papre'", "did you mean 'paper'?"]),
    ("defaults: [{override /modle: openai}]\n", ["unknown config group 'modle'"]),
    ("defaults: [{model: openai}]\n", ["write 'override /model: openai'"]),
    (
        "defaults: [{/filters: default_de}]\n",
        ["write 'override /filters: default_de'", "filters=default_de"],
    ),
    ("mix: alpaca\n", ["'mix' is a mapping of keys", "'override /mix: NAME'"]),
    ("seeds: mine.jsonl\n", ["'seeds' is a mapping of keys", "seeds: {path: FILE.jsonl}"]),
    ("pipeline: [instructions]\n", ["'pipeline' is a mapping of keys"]),
    ("filters: {instructions: [empty]}\n", ["mine.yaml: filters.instructions is a list where a mapping"]),
    ("schema: {instances: {required: {a: b}}}\n", ["mine.yaml: schema.instances.required is"]),
    (
        "prompts: {instructions: {template: 'It costs ${5}'}}\n",
        ["template: ${5}: there is no key '5'", "\\${name}"],
    ),
    (
        "prompts: {instructions: {template: 'It costs ${{ 5 }}'}}\n",
        ["instructions.template", "\\${name}"],
    ),
    ("prompts: {instructions: {variants: {a: {when: 1}}}}\n", ["prompts.instructions.variants:"]),
    ("prompts: {classification: {template: '{{ instruction'}}\n", ["1 fault", "template: line 1"]),
]
