"""A recipe from a stranger: its keys decide nothing about where a user's secrets go.

The stranger's server is a real one on this machine, and must have got no request at all; for hosts elsewhere
a check is enough.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed
from server import ModelServer, text
from tiny_recipe import TINY, by_number

from selfinstruct import run
from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError, UserError
from selfinstruct.llm import addresses, keys
from selfinstruct.llm.naming import misplaced_parameters, providers
from selfinstruct.llm.parameters import BY_TAKER, elsewhere
from selfinstruct.llm.providers import LiteLLM
from selfinstruct.llm.trust import PLAIN, Model, Trust
from selfinstruct.project.composition import FAULT_KEY
from selfinstruct.recipe.compose import compose
from selfinstruct.recipe.said import Said
from selfinstruct.records import Request

SECRET, KEY = "hunter2-0123456789-secret", "sk-of-openai-0123456789"
EVIL = "evil.example.com"


@pytest.fixture(autouse=True)
def folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's folder with the groups of `tiny_recipe`, and keys in the environment."""
    monkeypatch.setenv("MY_OTHER_SECRET", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("TINY_KEY", "sk-tiny-0123456789")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    seeds = [{"instruction": f"Say {number}.", "instances": []} for number in range(4)]
    write("seeds/tiny.jsonl", "".join(json.dumps(row) + "\n" for row in seeds))
    for name, content in TINY.items():
        write(name, content)


def write(name: str, content: str) -> None:
    """A file of the project."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(content, encoding="utf-8")


def recipe(keys: str, base: str = "tiny") -> None:
    """A stranger's recipe that says these keys."""
    write("recipes/strange.yaml", f"# From somebody else.\ndefaults:\n  - {base}\n  - _self_\n{keys}\n")


@pytest.fixture
def stranger() -> Iterator[ModelServer]:
    """The server of whoever wrote the recipe."""
    with ModelServer(by_number) as server:
        yield server


def refused(typed: Typed, server: ModelServer, *arguments: str) -> str:
    """What is said of a recipe that is refused before anything is sent; never a key's value."""
    status, out, err = typed("recipe=strange", "run_dir=run", *arguments)
    assert status == 1, out + err
    assert server.asked == []
    assert SECRET not in out + err
    assert KEY not in out + err
    return err


# Whatever asks a model


WAYS: dict[str, tuple[str, list[str]]] = {  # what a recipe says, and the keys that are named
    "everywhere": (
        """\
model:
  api_base: BASE
  api_key_env: MY_OTHER_SECRET
  sampling: {base-url: BASE, extra_body: {api_base: BASE}}
  fallbacks: [tiny, {api_base: BASE2}, {sampling: {extra_headers: {a: b}}}]
prompts: {ideas: {sampling: {api_base: BASE}}}
filters:
  ideas:
    a.b: {kind: embedding_similarity, field: instruction, threshold: 0.9, model: openai/x, api_base: BASE,
      api_key_env: MY_OTHER_SECRET}
    c.d: {kind: embedding_similarity, field: instruction, threshold: 0.9,
      model: {name: openai/x, api_base: BASE, api_key_env: MY_OTHER_SECRET}}
""",
        [
            "model.api_base",
            "model.sampling.base-url",
            "model.sampling.extra_body.api_base",
            "model.fallbacks.1.api_base",
            "model.fallbacks.2.sampling.extra_headers",
            "prompts.ideas.sampling.api_base",
            "filters.ideas.a.b.api_base",
            "filters.ideas.c.d.model.api_base",
        ],
    ),
    "a stage's model": (
        "pipeline: {ideas: {model: {api_base: BASE, fallbacks: [{api_key_env: MY_OTHER_SECRET}]}}}",
        ["pipeline.ideas.model.api_base", "pipeline.ideas.model.fallbacks.0.api_base"],
    ),
    "the key of conf/": ("model: {api_base: BASE}", ["model.api_base"]),
    "an interpolation": (
        "model: {api_base: 'http://${seeds.language}'}\nseeds: {language: PLACE}",
        ["model.api_base"],
    ),
    "an address in a name": ("model: {name: huggingface/BASE}", ["model.name"]),
    "what a cloud's tools know": (
        "model: {name: bedrock/x, api_base: BASE, api_key_env: null}",
        ["model.api_base"],
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_recipe_sends_no_key_to_its_server(typed: Typed, stranger: ModelServer, way: str) -> None:
    """Whatever asks a model is refused, with the key of the recipe that says so; nothing is sent."""
    keys_, named = WAYS[way]
    place = stranger.base.removeprefix("http://")
    recipe(
        keys_.replace("BASE2", f"{stranger.base}/2").replace("BASE", stranger.base).replace("PLACE", place)
    )
    err = refused(typed, stranger)
    assert [key for key in named if f"  {key}: " not in err] == [], err


def test_the_message_says_which_key_would_go_where(typed: Typed, stranger: ModelServer) -> None:
    """The variable, the server, and how to allow it, once and for good; which then do."""
    recipe(f"model: {{api_base: {stranger.base}, api_key_env: MY_OTHER_SECRET}}")
    place = stranger.base.removeprefix("http://").removesuffix("/v1")
    err = refused(typed, stranger)
    assert f"the value of MY_OTHER_SECRET would go to {place}, a server that the recipe names" in err
    assert f"trust={place} this once, or for good: selfinstruct trust {place} MY_OTHER_SECRET" in err
    status, _, err = typed("recipe=strange", "run_dir=run", "target=2", f"trust={place}")
    assert status == 0, err
    assert {asked.headers["authorization"] for asked in stranger.asked} == {f"Bearer {SECRET}"}


def test_trust_is_for_a_server_and_its_port(typed: Typed, stranger: ModelServer) -> None:
    """Another port, a parent domain and a subdomain are others; a list or a host without a port will do."""
    recipe("model: {api_base: 'https://api.example.com:8443/v1', api_key_env: MY_OTHER_SECRET}")
    for other in ("example.com", "api.example.com:443", "v1.api.example.com", "[a.org,localhost]"):
        refused(typed, stranger, f"trust={other}")
    assert "'a b' is not a host" in refused(typed, stranger, "trust='a b'")
    assert typed("check", "recipe=strange", "trust=[a.org,API.example.com]")[0] == 0


def test_trust_for_good_is_for_one_key(typed: Typed, stranger: ModelServer, project: Path) -> None:
    """A server that may have one variable from now on gets no other; what is trusted can be taken back."""
    recipe(f"model: {{api_base: 'https://{EVIL}/v1', api_key_env: MY_OTHER_SECRET}}")
    assert typed("trust", EVIL, "TINY_KEY")[0] == 0
    refused(typed, stranger)
    status, out, _ = typed("trust", EVIL, "MY_OTHER_SECRET")
    assert (status, "may have MY_OTHER_SECRET, TINY_KEY from now on" in out) == (0, True)
    assert (project / ".config/selfinstruct/trusted.yaml").is_file()
    assert typed("check", "recipe=strange")[0] == 0
    assert f"{EVIL}  " in typed("trust")[1]
    assert typed("trust", "--remove", EVIL, "MY_OTHER_SECRET")[0] == 0
    refused(typed, stranger)
    assert typed("trust", "--remove", EVIL)[0] == 0
    assert "none" in typed("trust")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("trust", EVIL),
        ("trust", "a b", "KEY"),
        ("trust", EVIL, "not a name"),
        ("trust", "--remove", EVIL),
        ("trust", "--remove"),
        ("trust", "--all"),
    ],
)
def test_a_slip_of_trust_is_said(typed: Typed, arguments: tuple[str, ...]) -> None:
    """One line or two, and nothing is written."""
    status, _, err = typed(*arguments)
    assert (status, err[:13], Path(".config").exists()) == (1, "selfinstruct:", False)


def test_a_broken_list_of_the_trusted_is_said(typed: Typed) -> None:
    """It is not taken for an empty one."""
    write(".config/selfinstruct/trusted.yaml", "evil.example.com: MY_OTHER_SECRET\n")
    recipe("")
    for command in (["trust"], ["check", "recipe=strange"]):
        status, _, err = typed(*command)
        assert (status, "trusted.yaml" in err, "Traceback" in err) == (1, True, False)


def test_no_file_says_whom_to_trust(typed: Typed, stranger: ModelServer) -> None:
    """Neither a recipe, nor a group of the project, which may be a stranger's too."""
    recipe(f"trust: [{EVIL}]")
    assert "a 'trust' key belongs on the command line" in refused(typed, stranger)
    write("conf/model/other.yaml", f"name: openai/x\ntrust: [{EVIL}]\n")
    recipe("")
    assert "a 'trust' key belongs on the command line" in refused(typed, stranger)


def test_from_python_and_in_a_sweep(typed: Typed, stranger: ModelServer) -> None:
    """What is said of trust there is what is typed."""
    recipe(f"model: {{api_base: {stranger.base}, api_key_env: MY_OTHER_SECRET}}")
    with pytest.raises(UserError, match="the value of MY_OTHER_SECRET would go to"):
        run("strange", ["run_dir=a"], quiet=True)
    assert typed("-m", "recipe=strange", "target=1,2", "sweep_dir=s")[0] == 1
    assert stranger.asked == []
    place = stranger.base.removeprefix("http://").removesuffix("/v1")
    run("strange", ["run_dir=a", "target=1", f"trust={place}"], quiet=True)
    asked = len(stranger.asked)
    assert asked
    assert (
        typed("-m", "recipe=strange", "target=3,4", "sweep_dir=s2", "cache=off", f"trust=[{place}]")[0] == 0
    )
    assert len(stranger.asked) > asked


# The user's own will


def test_a_server_that_the_user_names_has_the_key(typed: Typed) -> None:
    """Typed, or in conf/model: with the key that is typed, in conf/, or the provider's own."""
    recipe("model: {name: openai/other}")
    with ModelServer(by_number) as mine:
        given = ["recipe=strange", f"model.api_base={mine.base}", "target=1", "run_dir=a"]
        assert typed(*given)[0] == 0
        write(
            "conf/model/mine.yaml",
            TINY["conf/model/tiny.yaml"].replace("api_base: null", f"api_base: {mine.base}"),
        )
        assert typed("recipe=strange", "model=mine", "target=1", "run_dir=b")[0] == 0
        keys_ = {asked.headers["authorization"] for asked in mine.asked}
    assert keys_ == {"Bearer sk-tiny-0123456789"}


def test_without_a_key_any_server_may_be_asked(
    typed: Typed, stranger: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe's server is asked without one; a check says where prompts go that leave this machine."""
    recipe(f"model: {{api_base: {stranger.base}, api_key_env: null}}")
    status, out, err = typed("recipe=strange", "run_dir=run", "target=2")
    assert (status, "the prompts go to" in out + err) == (0, False), err
    assert {asked.headers["authorization"] for asked in stranger.asked} == {"Bearer none"}
    monkeypatch.delenv("MY_OTHER_SECRET")
    recipe(f"model: {{api_base: 'http://{EVIL}/v1', api_key_env: MY_OTHER_SECRET}}")
    status, out, _ = typed("check", "recipe=strange")
    note = f"the prompts go to {EVIL}, which is not encrypted (http), which the recipe names"
    assert (status, note in out) == (0, True)


def test_a_key_of_another_provider(typed: Typed, stranger: ModelServer) -> None:
    """A key stays with its provider, whoever names another's model: the message says which key to set."""
    recipe("model: {name: groq/x, api_key_env: OPENAI_API_KEY}")
    err = refused(typed, stranger)
    assert "the value of OPENAI_API_KEY, which the recipe names, would go to api.groq.com" in err
    assert "set model.api_key_env=GROQ_API_KEY" in err
    write("recipes/plain.yaml", "# Mine.\ndefaults: [tiny, {override /model: openai}, _self_]\n")
    status, _, err = typed("recipe=plain", "model.name=groq/x")
    assert (status, "OPENAI_API_KEY is a key of openai, but would go to api.groq.com" in err) == (1, True)


# Without composing: one model, and who says what of it


def faults(
    said: str = "name api_base api_key_env", typed: str = "", here: str = "", **config: Any
) -> list[str]:
    """What speaks against a model."""
    trust = Trust([place for place in map(addresses.read_place, here.split()) if place])
    model = ModelConfig.model_validate(config)
    found = trust.clear(Model(model, "model", frozenset(said.split()), frozenset(typed.split())))
    assert model.cleared == (not found)
    return [f"{fault}" for fault in found]


HOSTILE = [
    "http://api.openai.com@evil.com/v1",
    "https://api.openai.com:x@evil.com/v1",
    "http://evil.com#@api.openai.com",
    "https://evil.com?@api.openai.com/v1",
    "https://evil.com\\@api.openai.com/v1",
    "https:\\\\evil.com/v1",
    "https://api.openai.com\t.evil.com",
    "https://api.openai.com\n",
    " https://api.openai.com",
    "https://api.openai.com./v1",
    "https://api。openai。com/v1",
    "https://аpi.openai.com/v1",
    "https://api.openai.com／v1",
    "https://ａpi.openai.com/v1",
    "http://2130706433/v1",
    "http://0x7f000001/v1",
    "http://127.1/v1",
    "http://0177.0.0.1/v1",
    "http://[::1%25lo]/v1",
    "http://[::1/v1",
    "https://api.openai.com:0/v1",
    "https://api.openai.com:65536/v1",
    "https://api.openai.com:４４３/v1",
    "https://%61pi.openai.com/v1",
    "https:///api.openai.com/v1",
    "https:api.openai.com/v1",
    "//api.openai.com/v1",
    "file:///etc/passwd",
    "https://-.com",
    "https://a..b",
    "os.environ/OPENAI_API_KEY",
]
PLAIN_FORMS = {
    "https://api.openai.com/v1": "api.openai.com",
    "HTTPS://API.OpenAI.com:443": "api.openai.com",
    "http://api.openai.com": "api.openai.com",
    "https://xn--pi-6kc.openai.com:8443/v1/": "xn--pi-6kc.openai.com:8443",
    "http://[::1]:8000/v1": "[::1]:8000",
    "http://[0:0:0:0:0:0:0:1]/v1": "[::1]",
    "http://[::ffff:10.0.0.1]/": "10.0.0.1",
    "http://192.168.0.7:8000/v1": "192.168.0.7:8000",
    "http://my_gpu-1:8000": "my_gpu-1:8000",
}


@pytest.mark.parametrize("address", HOSTILE)
def test_an_address_that_can_be_read_in_two_ways(address: str) -> None:
    """It is not taken from a recipe, with a key or without; nor is it a host to trust."""
    assert addresses.read(address) is None
    (fault,) = faults(name="openai/x", api_base=address)
    assert "is not an address that every program reads in the same way" in fault


@pytest.mark.parametrize("address", PLAIN_FORMS)
def test_an_address_is_read_as_its_client_reads_it(address: str) -> None:
    """Host, port and scheme are those that httpx and aiohttp connect to."""
    import httpx
    from yarl import URL

    place = addresses.read(address)
    assert place
    assert str(place) == PLAIN_FORMS[address]
    one, other = httpx.URL(address), URL(address)
    for host, url in ((one.raw_host.decode(), one), (str(other.raw_host), other)):
        same = addresses.read_place(host)
        assert same
        port = url.port or addresses.PORTS[url.scheme]
        assert (same.host, port, url.scheme) == (place.host, place.port, place.scheme)


def test_a_providers_own_server() -> None:
    """It may be named in a recipe: by https, on its own port, for its own keys."""
    own = {"name": "openai/x", "api_key_env": "OPENAI_API_KEY"}
    assert faults(**own) == []
    assert faults(**own, api_base="https://API.openai.com/v1") == []
    for other in ("http://api.openai.com/v1", "https://api.openai.com:8443/v1", "https://openai.com/v1"):
        assert len(faults(**own, api_base=other)) == 1, other
    (fault,) = faults(name="openai/x", api_base="https://api.openai.com/v1", api_key_env="MY_OTHER_SECRET")
    assert "the value of MY_OTHER_SECRET, which the recipe names, would go to api.openai.com" in fault
    assert faults(name="groq/x", api_base="https://api.openai.com/v1", api_key_env="OPENAI_API_KEY")


def test_a_server_of_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user's environment names for a provider may be named in a recipe too."""
    model = {"name": "openai/x", "api_base": "http://gate.example.com/v1", "api_key_env": "OPENAI_API_KEY"}
    assert faults(**model)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gate.example.com/other")
    assert faults(**model) == []


def test_a_name_that_resolves_to_this_machine_is_a_host_like_any(stranger: ModelServer) -> None:
    """`evil.localhost` leads to the loopback interface, and gets no key of who trusts localhost."""
    port = stranger.base.split(":")[-1].removesuffix("/v1")
    model = {"name": "openai/x", "api_base": f"http://evil.localhost:{port}/v1", "api_key_env": "TINY_KEY"}
    for here in ("", "localhost", "127.0.0.1", f"localhost:{port}"):
        assert len(faults(**model, here=here)) == 1
    assert faults(**model, here="evil.localhost") == []


@pytest.mark.parametrize(
    ("fault", "said", "typed", "model"),
    [
        # the variable is the recipe's
        (True, "api_key_env", "name", {"name": "openai/x", "api_key_env": "MY_OTHER_SECRET"}),
        (False, "api_key_env", "", {"name": "openai/x", "api_key_env": "OPENAI_API_KEY"}),
        (
            True,
            "api_key_env",
            "api_base",
            {"name": "hosted_vllm/x", "api_base": "http://mine/v1", "api_key_env": "TINY_KEY"},
        ),
        # the variable is typed
        (False, "name", "api_key_env", {"name": "openai/x", "api_key_env": "MY_OTHER_SECRET"}),
        (
            True,
            "name api_base",
            "api_key_env",
            {"name": "openai/x", "api_base": "http://mine/v1", "api_key_env": "TINY_KEY"},
        ),
        # the variable is of conf/, the name is the recipe's
        (True, "name", "", {"name": "openai/x", "api_key_env": "TINY_KEY"}),
        (False, "name", "", {"name": "openai/x", "api_base": "http://mine/v1", "api_key_env": "TINY_KEY"}),
        (True, "name", "", {"name": "watsonx/x", "api_base": "http://mine/v1", "api_key_env": "TINY_KEY"}),
        # the address is of conf/, for another model; the model and its key are the recipe's
        *[
            (
                fault,
                "name api_key_env",
                typed,
                {"name": "openai/x", "api_base": base, "api_key_env": "OPENAI_API_KEY"},
            )
            for fault, typed, base in (
                (True, "", "http://mine/v1"),
                (False, "api_base", "http://mine/v1"),
                (False, "", "https://api.openai.com/v1"),
            )
        ],
        # nothing is the recipe's
        (False, "", "", {"name": "groq/x", "api_key_env": "OPENAI_API_KEY"}),
        (True, "", "name", {"name": "groq/x", "api_key_env": "OPENAI_API_KEY"}),
        (
            False,
            "",
            "name api_base",
            {"name": "groq/x", "api_base": "http://mine/v1", "api_key_env": "OPENAI_API_KEY"},
        ),
        (False, "", "name", {"name": "openai/x", "api_key_env": "TINY_KEY"}),
        # a plug-in's kind
        (False, "", "", {"kind": "acme", "name": "x", "api_key_env": "TINY_KEY"}),
        (True, "kind", "", {"kind": "acme", "name": "x", "api_key_env": "TINY_KEY"}),
        (True, "api_key_env", "kind", {"kind": "acme", "name": "x", "api_key_env": "TINY_KEY"}),
        (
            True,
            "api_base",
            "kind",
            {"kind": "acme", "name": "x", "api_base": "http://a/v1", "api_key_env": "TINY_KEY"},
        ),
        (False, "api_base", "kind", {"kind": "acme", "name": "x", "api_base": "http://a/v1"}),
        (
            True,
            "options",
            "kind",
            {"kind": "acme", "name": "x", "api_key_env": "TINY_KEY", "options": {"at": "a.b"}},
        ),
        # names that lead elsewhere
        (True, "name", "", {"name": "oobabooga/https://evil.com"}),
        (True, "name", "", {"name": "bedrock/x?y"}),
        (True, "name", "", {"name": "azure/a#b"}),
        (False, "name", "", {"name": "cloudflare/@cf/meta/llama-2-7b"}),
        (False, "name", "", {"name": "bedrock/anthropic.claude-3-5-haiku-20241022-v1:0"}),
        (False, "name", "", {"name": "hosted_vllm/C:\\models\\a b (2).gguf", "api_base": "http://mine/v1"}),
        # what a provider finds on the machine
        *[
            (True, "api_base", "", {"name": f"{name}/x", "api_base": "https://evil.com"})
            for name in (
                "azure",
                "bedrock",
                "sagemaker",
                "vertex_ai",
                "databricks",
                "snowflake",
                "watsonx",
                "custom",
                "litellm_proxy",
                "huggingface",
                "gigachat",
                "github_copilot",
                "oci",
                "nobody_knows",
            )
        ],
        *[(False, "api_base", "", {"name": f"{name}/x", "api_base": "https://evil.com"}) for name in PLAIN],
    ],
)
def test_who_says_what(fault: bool, said: str, typed: str, model: dict[str, Any]) -> None:
    """A fault where a recipe decides that a key goes somewhere, or which; none where the user does."""
    assert bool(faults(said, typed, **model)) == fault


def test_own_variables_and_servers() -> None:
    """What LiteLLM's files say of the providers, under all names of a variable; OpenAI's is nobody else's."""
    expected = {
        "openai": "OPENAI_API_KEY",
        "text-completion-openai": "OPENAI_API_KEY",
        "anthropic": "ANTHROPIC_API_KEY",
        "gemini": "GEMINI_API_KEY GOOGLE_API_KEY",
        "azure": "AZURE_API_KEY AZURE_OPENAI_API_KEY AZURE_AD_TOKEN",
        "bedrock": "AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN AWS_BEARER_TOKEN_BEDROCK",
        "together_ai": "TOGETHERAI_API_KEY TOGETHER_API_KEY TOGETHER_AI_API_KEY",
        "openrouter": "OPENROUTER_API_KEY",
        "huggingface": "HF_TOKEN HUGGINGFACE_API_KEY",
        "watsonx": "WATSONX_API_KEY WATSONX_APIKEY WATSONX_TOKEN",
        "vertex_ai": "GOOGLE_APPLICATION_CREDENTIALS",
        "helicone": "HELICONE_API_KEY",
    }
    for provider, names in expected.items():
        assert set(names.split()) <= keys.variables(provider), provider
    holders = {provider for provider in providers() if "OPENAI_API_KEY" in keys.variables(provider)}
    assert holders == {"openai", "text-completion-openai", "custom_openai"}
    assert {provider for provider in PLAIN if not keys.hosts(provider)} == {
        "hosted_vllm",
        "ollama",
        "ollama_chat",
    }
    assert keys.owner("OPENAI_API_KEY") == "openai"
    assert keys.owner("NOBODYS_KEY") is None


# Where the key is read


def test_a_key_is_read_for_what_was_cleared_alone() -> None:
    """One function reads keys; a model that was not cleared, or is another by now, has none."""
    config = ModelConfig.model_validate({"name": "openai/x", "api_key_env": "OPENAI_API_KEY"})
    assert keys.key_of(config) is None
    config.clear()
    assert keys.key_of(config) == KEY
    assert keys.key_of(config.model_copy(update={"timeout": 5.0})) == KEY
    for other in ({"api_base": "http://evil/v1"}, {"api_key_env": "TINY_KEY"}, {"name": "groq/x"}):
        assert keys.key_of(config.model_copy(update=other)) is None


def test_nobody_else_reads_the_environment() -> None:
    """No other module takes a value from it that may be a key."""
    import re

    package = Path(keys.__file__).parents[1]
    reads = re.compile(r"environ\.get\(|environ\[[^]]+\](?! *=)|getenv\(|environb")
    found = [path.name for path in package.rglob("*.py") if reads.search(path.read_text(encoding="utf-8"))]
    harmless = {
        "lengths.py": "TIKTOKEN_CACHE_DIR",
        "output.py": "COLUMNS",
        "probe.py": "whether a key is set on a machine of a cluster; never its value",
        "push.py": "HF_ENDPOINT",
        "ray_library.py": "RAY_ADDRESS",
        "server.py": "DISPLAY",
        "writing.py": "SELFINSTRUCT_REPORT",
    }
    assert sorted(found) == sorted(["keys.py", *harmless])


CANARIES = {
    "OPENAI_ORG_ID": "canary-1",
    "OPENAI_ORGANIZATION": "canary-2",
    "OPENAI_PROJECT_ID": "canary-3",
    "OPENAI_CUSTOM_HEADERS": "X-Gate: canary-4",
    "OPENAI_ADMIN_KEY": "canary-5",
    "HOSTED_VLLM_API_KEY": "canary-6",
    "OLLAMA_API_KEY": "canary-7",
    "AWS_ACCESS_KEY_ID": "canary-8",
    "AIOHTTP_TRUST_ENV": "True",
}


@pytest.fixture
def canaries(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets in all places where libraries look for some by themselves."""
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(project))
    write(".netrc", "default login canary-9 password canary-10\n")
    (project / ".netrc").chmod(0o600)


async def asked(config: ModelConfig) -> None:
    """Ask a model once, and for vectors, whatever comes of it."""
    model = LiteLLM(config)
    await model.prepare()
    for work in (model.complete([Request("ideas", 1, "Go on.")]), model.embed(["A text"], None)):
        try:
            await work
        except Exception:
            continue
    await model.close()


@pytest.mark.usefixtures("canaries")
@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_a_strangers_server_gets_the_prompts_and_nothing_else(mode: str) -> None:
    """LiteLLM and what it stands on add no key, organization, header or password that they find."""
    for provider in PLAIN:
        with ModelServer([text("A reply")], anywhere=True) as server:
            keys_ = {
                "name": f"{provider}/x",
                "mode": mode,
                "api_base": server.base,
                "timeout": 5,
                "retries": 0,
            }
            config = ModelConfig.model_validate(keys_)
            config.clear(known=False)
            asyncio.run(asked(config))
        assert server.asked, provider
        sent = json.dumps([[one.path, dict(one.headers), one.body] for one in server.asked])
        assert "canary" not in sent, provider
        assert KEY not in sent, provider
        assert "Basic " not in sent, provider


def test_openais_key_is_not_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a provider's own key is not set, LiteLLM would send OpenAI's there."""
    with ModelServer([text("A reply")], anywhere=True) as server:
        for provider, variable, mode in (
            ("cerebras", "CEREBRAS_API_BASE", "chat"),
            ("text-completion-inception", "INCEPTION_API_BASE", "chat"),
            ("text-completion-inception", "INCEPTION_API_BASE", "completion"),
            ("nvidia_nim", "NVIDIA_NIM_API_BASE", "chat"),
        ):
            monkeypatch.setenv(variable, server.base)
            config = ModelConfig.model_validate({"name": f"{provider}/x", "timeout": 5.0, "mode": mode})
            config.clear()
            before = len(server.asked)
            asyncio.run(asked(config))
            assert len(server.asked) > before, provider
        lent = [one.headers.get("authorization") for one in server.asked]
        monkeypatch.setenv("NVIDIA_NIM_API_KEY", "sk-own-0123456789")
        asyncio.run(asked(config))
        assert server.asked[-1].headers["authorization"] == "Bearer sk-own-0123456789"
        monkeypatch.setenv("INCEPTION_API_KEY", "sk-inception-01234")
        config = ModelConfig.model_validate({"name": "text-completion-inception/x", "timeout": 5.0})
        config.clear()
        asyncio.run(asked(config))
    assert {*lent} == {"Bearer none"}
    assert server.asked[-1].headers["authorization"] == "Bearer sk-inception-01234"


@pytest.mark.parametrize("name", ["litellm_proxy/x", "lm_studio/x", "xinference/x", "hosted_vllm/x"])
def test_a_server_of_ones_own_has_an_address(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """LiteLLM would send its key, and the prompts, to OpenAI."""
    monkeypatch.setenv("LITELLM_PROXY_API_KEY", "sk-proxy-0123456789")
    with ModelServer([text("A reply")], anywhere=True) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base)
        config = ModelConfig.model_validate({"name": name, "timeout": 5.0, "retries": 0})
        config.clear()
        with pytest.raises(ModelError, match=r"model\.api_base is not set"):
            asyncio.run(asked(config))
        assert server.asked == []


@pytest.mark.usefixtures("canaries")
@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_who_asks_is_told_to_openai_alone(mode: str) -> None:
    """Other providers get no organization, project or header of OpenAI's, from whichever client asks."""
    providers = ("cerebras", "nvidia_nim", "together_ai/a", "mistral", "custom_openai", "litellm_proxy")
    for provider in (*providers, "text-completion-inception", "inception", "hosted_vllm"):
        with ModelServer([text("A reply")], anywhere=True) as server:
            named = {
                "name": f"{provider}/x",
                "mode": mode,
                "api_base": server.base,
                "timeout": 5,
                "retries": 0,
            }
            config = ModelConfig.model_validate(named)
            config.clear()
            asyncio.run(asked(config))
        assert server.asked, provider
        sent = json.dumps([dict(one.headers) for one in server.asked])
        assert not [value for key, value in CANARIES.items() if "OPENAI" in key and value in sent], provider
        assert "canary-4" not in sent, provider


# Sampling


NOT_SAMPLING = """\
api_base base_url api_key api_key_env organization project callbacks success_callback failure_callback headers
extra_headers default_headers default_query extra_query mock_response mock_tool_calls mock_delay timeout
request_timeout stream_timeout max_retries num_retries client http_client aclient custom_llm_provider model
model_list fallbacks context_window_fallback_dict proxies litellm_metadata litellm_credential_name api_version
aws_region_name aws_secret_access_key aws_bedrock_runtime_endpoint vertex_location vertex_credentials
azure_ad_token azure_endpoint deployment_id cache caching no-log no_log logger_fn verbose input_cost_per_token
base_model prompt_id prompt_variables guardrails tags user_continue_message hf_model_name shared_session
ssl_verify api-base API_BASE apiBase Api-Key API_KEY extra-headers ExtraHeaders baseURL bearer_token
"""


def test_sampling_takes_parameters_of_sampling_only() -> None:
    """Whatever else LiteLLM takes there is refused in any spelling, with the place where it belongs."""
    for key in NOT_SAMPLING.split():
        (fault,) = misplaced_parameters({key: "x"}, "model.sampling")
        assert fault.remedy.startswith("it belongs to "), key
    remedies = {
        key: next(misplaced_parameters({key: "x"}, "m")).remedy for key in ("api-base", "Timeout", "api_key")
    }
    assert remedies == {
        "api-base": "it belongs to model.api_base",
        "Timeout": "it belongs to model.timeout",
        "api_key": "it belongs to model.api_key_env, the name of the variable that holds it",
    }
    for nested in ("extra_body", "metadata"):
        (fault,) = misplaced_parameters({nested: {"api_key": "x", "seed": 1}}, "m")
        assert fault.where == f"m.{nested}.api_key"
    assert list(misplaced_parameters({"user": "os.environ/OPENAI_API_KEY"}, "m"))
    for names in BY_TAKER.values():
        assert not [name for name in names.split() if elsewhere(name)]


def test_sampling_is_held_to_that_where_it_is_sent() -> None:
    """What a plug-in's stage asks for is not checked in a recipe; it sends nothing either."""
    with ModelServer([text("A reply")]) as mine, ModelServer([text("A reply")]) as server:
        config = ModelConfig.model_validate({"name": "openai/x", "api_base": mine.base})
        request = Request("ideas", 1, "Go on.", sampling={"extra_body": {"base_url": server.base}})
        with pytest.raises(ModelError, match=r"it belongs to model\.api_base"):
            asyncio.run(LiteLLM(config).complete([request]))
    assert mine.asked + server.asked == []


# Who said it


def test_every_way_to_build_on_another_recipe() -> None:
    """However a defaults list names it, what it says is what a recipe says."""
    write("recipes/a part.yaml", f"model: {{api_base: 'https://{EVIL}'}}\n")
    write("recipes/part_tiny.yaml", f"model: {{api_base: 'https://{EVIL}'}}\n")
    composed_ = []
    for entry in ("a part", "/recipe/a part", "a part.yaml", "recipe: a part", "'part_${model}'"):
        write("recipes/strange.yaml", f"# Strange.\ndefaults:\n  - tiny\n  - {entry}\n  - _self_\n")
        try:
            one = compose(["recipe=strange"], Path())
        except UserError:  # Hydra does not read it as a name
            continue
        if FAULT_KEY not in one.config:
            composed_.append(entry)
            assert one.config.model.api_base == f"https://{EVIL}", entry
            assert one.said.by_recipe("model.api_base"), entry
    assert len(composed_) > 2, composed_


def test_what_nobody_is_found_to_have_said_is_a_recipes() -> None:
    """A path that leads nowhere, a part with a dot in it, an interpolation of a recipe's key."""
    said = Said(
        [{"a": {"b.c": 1, "e": 2}}], {"a": {"b.c": 1, "e": 2, "f": "${a.e}", "g": 3}, "h": 4}, [("a.e", 5)]
    )
    assert said.by_recipe(["a", "b.c"])
    assert said.by_recipe("a.b.c")
    assert said.by_recipe("nowhere")
    assert not said.by_recipe("a.e")
    assert not said.by_recipe("a.f")  # which is what was typed for a.e
    assert not said.by_recipe("a.g")
    assert not said.by_recipe("h")
    assert said.was_typed("a.e")
    assert not said.was_typed("a.g")
    assert not Said().by_recipe("nowhere")
