"""Chat templates in completion mode: where they come from, and what they make of a request's messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from conftest import Typed
from server import COMPLETION, Asked, ModelServer, text
from tiny_recipe import at, write_tiny

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm.chat_template import ChatTemplate, faults_of, from_server, template_of
from selfinstruct.records import Message, Request

CHATML = """\
{% for message in messages %}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""
LLAMA = (  # with what real templates have: the first token, trimmed texts, tools, loop controls, a refusal
    "{{ bos_token }}{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}"
    "{% if m.role == 'tool' %}{% continue %}{% endif %}"
    "{% if m.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('Unknown role') }}{% endif %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
TURNS = Request(
    "ideas",
    1,
    "And 3?",
    "Add one.",
    {"stop": ["###"], "max_tokens": 9},
    before=(Message("user", "1?"), Message("assistant", "2")),
    start="It is",
)


def model(**keys: Any) -> ModelConfig:
    """A model's keys."""
    return ModelConfig.model_validate({"name": "hosted_vllm/x", "mode": "completion", **keys})


def test_a_request_becomes_one_text_that_ends_at_the_end_of_a_turn() -> None:
    """All its messages in order, the opening of the answer, and its start."""
    made = ChatTemplate(CHATML).completed(TURNS)
    assert made.prompt == (
        "<|im_start|>system\nAdd one.<|im_end|>\n<|im_start|>user\n1?<|im_end|>\n"
        "<|im_start|>assistant\n2<|im_end|>\n<|im_start|>user\nAnd 3?<|im_end|>\n<|im_start|>assistant\nIt is"
    )
    assert made.sampling == {"stop": ["###", "<|im_end|>"], "max_tokens": 9}
    assert (made.system, made.before, made.start) == (None, (), "")


def test_a_users_turn_is_opened_and_left_open() -> None:
    """The text ends where the user's own text would begin, after a system message and earlier turns."""
    opened = Request("ideas", 1, "", opens="user")
    assert ChatTemplate(CHATML).completed(opened).prompt == "<|im_start|>user\n"
    later = Request("ideas", 1, "", "Be a cook.", before=TURNS.before, opens="user")
    assert ChatTemplate(CHATML).completed(later).prompt.endswith("\n2<|im_end|>\n<|im_start|>user\n")
    made = ChatTemplate(LLAMA, "<|eot_id|>").completed(opened)
    assert made.prompt == "<|start_header_id|>user<|end_header_id|>\n\n"
    assert made.sampling == {"stop": ["<|eot_id|>"]}


def test_where_a_template_comes_from(tmp_path: Path) -> None:
    """Its text; a file; a tokenizer's configuration with one, with several, and with one in a file beside."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "mine.jinja").write_text(CHATML)
    tokenizer = folder / "tokenizer_config.json"
    assert template_of(model(chat_template=CHATML), tmp_path) == ChatTemplate(CHATML)
    assert template_of(model(chat_template="mine.jinja"), tmp_path) == ChatTemplate(CHATML)
    assert template_of(model(chat_template="server", api_base="http://x"), tmp_path) is None
    keys: dict[str, Any] = {"eos_token": {"content": "</s>"}}
    several = [{"name": "tool_use", "template": "-"}, {"name": "default", "template": LLAMA}]
    for found in (LLAMA, several, None):
        (folder / "chat_template.jinja").write_text(LLAMA)
        tokenizer.write_text(json.dumps({**keys, "chat_template": found}))
        made = template_of(model(chat_template="model/tokenizer_config.json"), tmp_path)
        assert made == ChatTemplate(LLAMA, "</s>"), found


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"chat_template": CHATML, "mode": "chat"}, "only for completion mode"),
        ({"chat_template": "server", "name": "openai/x"}, "there is no server"),
        ({"chat_template": "absent.jinja"}, "there is no file absent.jinja"),
        ({"chat_template": "{% for m in messages %}"}, "cannot be filled in"),
        ({"chat_template": "{{ 'Hello' }}"}, "leaves out the text of a message"),
        ({"chat_template": "{{ raise_exception('No system') }}"}, "No system"),
        ({"chat_template": LLAMA}, "writes eos_token"),
        ({"chat_template": "{{ ''.__class__.__mro__ }}{{ messages[0].content }}"}, "unsafe"),
        ({"chat_template": "{% for i in range(10**9) %}{% endfor %}{{ messages }}"}, "cannot be filled in"),
        ({"chat_template": "base/tokenizer_config.json"}, "has no chat_template"),
        ({"chat_template": "broken/tokenizer_config.json"}, "is not valid JSON"),
    ],
)
def test_faults_of_a_template(tmp_path: Path, keys: dict[str, Any], words: str) -> None:
    """Each names the key, before any request."""
    for name, content in {"base": '{"eos_token": "</s>"}', "broken": "{"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer_config.json").write_text(content)
    faults = list(faults_of(model(**keys), tmp_path, "model"))
    assert [fault.where for fault in faults] == ["model.chat_template"]
    assert words in str(faults[0])


def test_messages_that_a_template_refuses_are_a_fault(project: Path, typed: Typed) -> None:
    """Such as a system message, before any request."""
    write_tiny(project)
    refusing = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('No system role') }}{% endif %}" + CHATML
    )
    (project / "mine.jinja").write_text(refusing)
    words = ("check", "recipe=tiny", "model.mode=completion", "model.chat_template=mine.jinja")
    assert typed(*words, "model.name=hosted_vllm/tiny", "model.api_base=http://127.0.0.1:1/v1")[0] == 0
    status, _, err = typed(*words, "prompts.ideas.system=Be brief.")
    assert status == 1
    assert "prompts.ideas.system: the chat template of openai/tiny refuses these messages" in err
    assert "No system role" in err


def test_a_recipe_names_no_template_outside_of_its_project(project: Path, typed: Typed) -> None:
    """Its text would be sent to the model; for one stage's model, a variant's or a fallback too."""
    write_tiny(project)
    for where in ("model", "pipeline.ideas.model", "prompts.ideas.variants.a.model"):
        keys: dict[str, Any] = {"chat_template": "/etc/passwd"}
        for part in reversed(where.split(".")):
            keys = {part: keys}
        (project / "recipes/bad.yaml").write_text(yaml.safe_dump({"defaults": ["tiny", "_self_"], **keys}))
        status, _, err = typed("check", "recipe=bad")
        assert status == 1
        assert f"{where}.chat_template: /etc/passwd is outside of the project" in err


def serving(answer: Callable[[str], dict[str, Any] | None]) -> ThreadingHTTPServer:
    """A server that says something about itself, by path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answer(self.path)
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *given: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.mark.parametrize("place", ["/props", "/tokenizer_info"])
def test_the_template_of_a_running_server(place: str) -> None:
    """As llama.cpp says it, and as vLLM does if it was started so."""
    said = {"chat_template": LLAMA, "eos_token": "<|eot_id|>"}
    server = serving(lambda path: said if path == place else None)
    try:
        base = f"http://127.0.0.1:{server.server_port}/v1"
        assert from_server(base, "m") == ChatTemplate(LLAMA, "<|eot_id|>")
        said["chat_template"] = "{% for %}"
        with pytest.raises(ModelError, match="cannot be filled in"):
            from_server(base, "m")
        said["chat_template"] = ""
        with pytest.raises(ModelError, match="--enable-tokenizer-info-endpoint"):
            from_server(base, "m")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("transport", ["direct", "litellm"])
def test_a_run_sends_the_text(
    project: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """Through both ways; with the stop of the template."""
    monkeypatch.setenv("TINY_KEY", "sk-tiny-0123456789-secret")
    write_tiny(project)
    (project / "chatml.jinja").write_text(CHATML)
    with ModelServer(lambda asked: text(f"Idea number {asked.number}")) as server:
        keys = ("model.mode=completion", "model.chat_template=chatml.jinja", "target=2")
        status, _, err = typed(
            *at(server, *keys, f"model.transport={transport}", "model.name=hosted_vllm/tiny")
        )
        assert status == 0, err
        asked: Asked = server.asked[0]
    assert asked.path == COMPLETION
    assert asked.prompt.startswith("<|im_start|>user\nAnother one like: ")
    assert asked.prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert asked.body["stop"] == ["###", "<|im_end|>"]
