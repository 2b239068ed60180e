"""The recipe `tiny`: one bootstrap stage, one candidate a reply, a server on this machine."""

from __future__ import annotations

from pathlib import Path

from conftest import seed_file
from server import CHAT, COMPLETION, Answer, Asked, ModelServer, text

KEY = "sk-tiny-0123456789-secret"
# name for LiteLLM, mode, and where such requests go
WAYS = {
    "openai chat": ("openai/tiny", "chat", CHAT),
    "openai completion": ("openai/tiny", "completion", COMPLETION),
    "hosted_vllm chat": ("hosted_vllm/tiny", "chat", CHAT),
    "hosted_vllm completion": ("hosted_vllm/tiny", "completion", COMPLETION),
    "text-completion-openai": ("text-completion-openai/tiny", "completion", COMPLETION),
}
TINY = {
    "recipes/tiny.yaml": """\
# One bootstrap stage, one candidate a reply.
defaults:
  - override /model: tiny
  - override /mix: tiny
  - override /pipeline: tiny
  - override /prompts: tiny
  - override /filters: tiny
  - override /schema: tiny
  - override /export: tiny
seeds: {path: seeds/tiny.jsonl}
""",
    "conf/model/tiny.yaml": """\
# A server on this machine.
kind: litellm
name: openai/tiny
mode: chat
api_base: null
api_key_env: TINY_KEY
concurrency: 4
timeout: 10
retries: 0
seeded: false
sampling: {}
options: {}
""",
    "conf/mix/tiny.yaml": "{examples: 1, generated: 0}",
    "conf/pipeline/tiny.yaml": "ideas: {kind: bootstrap, model: null, window: 8, patience: 20}",
    "conf/prompts/tiny.yaml": """\
ideas:
  style: chat
  system: null
  template: "Another one like: {{ examples[0].instruction }}"
  sampling: {max_tokens: 50, temperature: 0.5, top_p: 0, stop: ["###"]}
  parse: {kind: numbered_list}
""",
    "conf/filters/tiny.yaml": "ideas: {}",
    "conf/schema/tiny.yaml": """\
ideas: {type: object, required: [instruction], properties: {instruction: {type: string}}}
""",
    "conf/export/tiny.yaml": "{}",
}


def write_tiny(project: Path) -> None:
    """Write the recipe `tiny` and its seeds into a user's folder."""
    seed_file(project / "seeds/tiny.jsonl")
    for name, content in TINY.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content, encoding="utf-8")


def at(server: ModelServer, *keys: str, recipe: str = "tiny") -> list[str]:
    """The arguments of a run that asks this server."""
    return [f"recipe={recipe}", f"model.api_base={server.base}", "run_dir=run", *keys]


def by_number(asked: Asked) -> Answer:
    """Each request gets a reply of its own."""
    return text(f"Idea number {asked.number}")
