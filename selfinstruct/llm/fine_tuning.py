"""The tuning jobs of a provider, through LiteLLM's calls for files and tuning jobs.

LiteLLM 1.106.2 has all of these calls for OpenAI, for servers that speak as OpenAI does, and for Azure. For
Vertex AI it can only start a job. It has none for other providers, and none for the events of a job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import TransientError
from selfinstruct.llm.answers import Said, said_in
from selfinstruct.llm.failures import retry_after
from selfinstruct.llm.keys import key_of
from selfinstruct.llm.reach import chain, remedy, unreached, why
from selfinstruct.llm.signs import AGAIN, ENDING, ENDS, KEY, MONEY
from selfinstruct.llm.wire import RedirectError, UnusableError

PROVIDERS = ("openai", "azure")
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
ENDED = (SUCCEEDED, FAILED, CANCELLED)
NOT_READY = ("pending", "running", "notrunning")  # states of a file that cannot be used yet
LONGEST = 600.0  # seconds for a call; an upload may take minutes
PAGE = 100  # jobs on a page of the list


class UnknownError(ModelError):
    """The provider does not know what was asked for (404)."""


@dataclass(frozen=True)
class Job:
    """A tuning job.

    Attributes:
        id: its id.
        status: validating_files, queued, running, or one of `ENDED`.
        model: the name of the tuned model, if there is one.
        error: why it failed, in the provider's words.
        tokens: the tokens that are paid for; None while it runs.
        expected_end: when it should end, in seconds since 1970; None if that is unknown.
    """

    id: str
    status: str
    model: str | None = None
    error: str = ""
    tokens: int | None = None
    expected_end: float | None = None


class FineTuning:
    """A provider's files and tuning jobs; a context, inside of one event loop.

    Args:
        config: the base as a model: its name, its server, and its key, which `trust` has cleared.

    Each call raises TransientError if another attempt may succeed, and otherwise ModelError.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._provider, _, self._model = config.name.partition("/")
        self._fixed: dict[str, Any] = {
            "custom_llm_provider": self._provider,
            "api_key": key_of(config) or "none",  # otherwise LiteLLM takes one from the environment
            "timeout": LONGEST,
            "max_retries": 0,
        }
        if config.api_base:
            self._fixed["api_base"] = config.api_base
        self._library: Any = None

    async def __aenter__(self) -> FineTuning:
        from selfinstruct.llm.providers import load

        self._library = await asyncio.to_thread(load)
        from litellm.llms.openai.common_utils import BaseOpenAILLM

        self._library.aclient_session = BaseOpenAILLM._get_async_http_client()  # one for all calls
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from selfinstruct.llm.providers import release

        session, self._library.aclient_session = self._library.aclient_session, None
        await session.aclose()
        await release(self._library)

    async def upload(self, name: str, content: bytes) -> str:
        """Upload a file of examples; return its id."""
        made = await self._asked(
            self._library.acreate_file(file=(name, content), purpose="fine-tune", **self._fixed)
        )
        return str(made.id)

    async def find_file(self, name: str, size: int) -> str | None:
        """The id of an uploaded file with this name and size; None if there is none."""
        page = await self._asked(self._library.afile_list(purpose="fine-tune", **self._fixed))
        found = [one.id for one in page.data or [] if (one.filename, one.bytes) == (name, size)]
        return str(found[0]) if found else None

    async def ready(self, file: str) -> bool:
        """Whether the provider has read a file.

        Raises:
            ModelError: if the provider refuses the file.
        """
        found = await self._asked(self._library.afile_retrieve(file_id=file, **self._fixed))
        status = str(getattr(found, "status", "") or "").lower()
        if status in ("error", "failed"):
            words = getattr(found, "status_details", None) or "no reason is given"
            raise ModelError(f"{self._config.name}: the provider refuses the file of examples: {words}")
        return status not in NOT_READY

    async def start(self, file: str, hyperparameters: Mapping[str, Any], suffix: str, seed: int) -> Job:
        """Start a job on an uploaded file. It is paid for."""
        return _job(
            await self._asked(
                self._library.acreate_fine_tuning_job(
                    model=self._model,
                    training_file=file,
                    hyperparameters=dict(hyperparameters),
                    suffix=suffix,
                    seed=seed,
                    **self._fixed,
                )
            )
        )

    async def job(self, id: str) -> Job:
        """A job as it is now.

        Raises:
            UnknownError: if the provider does not know it.
        """
        call = self._library.aretrieve_fine_tuning_job(fine_tuning_job_id=id, **self._fixed)
        return _job(await self._asked(call))

    async def find_job(self, file: str, besides: Collection[str]) -> Job | None:
        """The job on an uploaded file; None if there is none besides those that are known."""
        after: str | None = None
        while True:
            call = self._library.alist_fine_tuning_jobs(after=after, limit=PAGE, **self._fixed)
            page = await self._asked(call)
            jobs = page.data or []
            for one in jobs:
                if one.training_file == file and one.id not in besides:
                    return _job(one)
            if not jobs or not page.has_more:
                return None
            after = jobs[-1].id

    async def _asked(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except Exception as error:  # LiteLLM raises the errors of several libraries
            raise _sorted(error, self._config) from error


def _job(found: Any) -> Job:
    error = getattr(found, "error", None)
    if not getattr(found, "id", None) or not getattr(found, "status", None):
        raise TransientError("its reply is not a tuning job; is train.api_base right?", misled=True)
    return Job(
        str(found.id),
        str(found.status),
        found.fine_tuned_model,
        str(getattr(error, "message", None) or getattr(error, "code", None) or ""),
        found.trained_tokens,
        found.estimated_finish,
    )


def _sorted(error: Exception, config: ModelConfig) -> Exception:
    """What a failure means: a TransientError or a ModelError; the error itself if it is a bug of ours."""
    unusable = next((one for one in chain(error) if isinstance(one, UnusableError)), None)
    if isinstance(unusable, RedirectError):
        words = f"{config.name}: the server does not answer: {unusable}. Nothing was sent there"
        return ModelError(f"{words}\n  if your server is there, set train.api_base to it")
    if unusable or isinstance(error, ValueError | AttributeError | KeyError):
        words = str(unusable or "its reply cannot be read; is train.api_base right?")
        return TransientError(words.replace("model.api_base", "train.api_base"), misled=True)
    if isinstance(error, TypeError | NotImplementedError | AssertionError):
        return error
    where = unreached(error)
    if where is not None:
        place = where or config.api_base or "the provider"
        words = f"{place}: no server answers there ({why(error)}). {remedy(error)}"
        return TransientError(words.replace("model.api_base", "train.api_base"), silent=True)
    return _of_answer(said_in(error), config)


def _of_answer(said: Said, config: ModelConfig) -> Exception:
    """The error for an answer with an error in it."""
    sign = next((one.meaning for one in ENDS if said.is_like(one)), None)
    cause = sign if sign in (KEY, MONEY) else ENDING.get(said.status or 0)
    source = f"from {config.api_key_env}" if config.api_key_env else "(train.api_key_env is not set)"
    if said.status is not None and said.status >= 500:
        cause = None
    if cause == KEY:
        words = f"the key {source} was refused; check that it is valid, and may tune models"
    elif cause == MONEY:
        words = "the account has no money left; top it up, and run the same command again"
    elif said.status == 403:
        words = (
            f"the key {source} may not do this; check its rights, and whether your organization may still "
            "start tuning jobs there"
        )
    elif said.status == 404:
        return UnknownError(
            f"{config.name}: the provider does not know this model, file or job; look at train.base and "
            f"train.api_base\n  {said.words}"
        )
    elif said.status == 429:
        return TransientError("the provider asks to go slower (429)", retry_after(said), slower=True)
    elif said.status is None or said.status >= 500 or said.status in AGAIN or said.status < 400:
        return TransientError(f"the server failed: {said.words}", retry_after(said))
    else:
        words = "the provider refuses this; look at train.base, train.epochs and train.options"
    return ModelError(f"{config.name}: {words}\n  {said.words}")
