"""The way to a provider's files and batches: over the connections, and with the headers, of its requests."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, BinaryIO, cast

from aiohttp import ClientError, ClientResponse
from yarl import URL

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import RefusedError, TransientError
from selfinstruct.llm.answers import said_in
from selfinstruct.llm.direct.asking import Form
from selfinstruct.llm.direct.sending import Answer
from selfinstruct.llm.failures import retry_after, sort_failure
from selfinstruct.llm.fine_tuning import UnknownError
from selfinstruct.llm.signs import QUEUE_FULL
from selfinstruct.llm.waiting import patiently
from selfinstruct.monitor.progress import Progress

LONGEST = 600.0  # seconds without a byte; a provider reads a large file before it answers
SILENCE = 600.0  # seconds of failures after which results are not fetched now
PIECE = 1_000_000  # bytes read at a time
LONGEST_LINE = 64_000_000  # bytes; a reply has a few kilobytes
JSON = {"content-type": "application/json"}


class Wire:
    """The way to one provider.

    Args:
        form: how requests of its model are sent.
        config: the model's keys.
        progress: shows failed attempts.

    Attributes:
        url: the address of the model's requests.
    """

    def __init__(self, form: Form, config: ModelConfig, progress: Progress) -> None:
        self._form, self._config, self._progress = form, config, progress
        self.url: URL = form.sender.url

    def at(self, path: str, **query: str) -> URL:
        """Another address of the same provider, with the same query."""
        return self.url.with_path(path).with_query(self.url.query).update_query(query)

    async def ask(
        self, method: str, url: URL, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The answer, as JSON.

        Args:
            method: the method.
            url: the address.
            body: a mapping, which is sent as JSON, or anything that aiohttp sends.
            headers: headers besides the usual ones.

        Raises:
            TransientError: if another attempt may succeed.
            UnknownError: if the provider does not know what is asked for.
            ModelError: if it refuses.
        """
        if isinstance(body, dict):
            body, headers = json.dumps(body), {**JSON, **(headers or {})}
        async with self._opened(method, url, body, headers) as response:
            return self._json(await self._form.sender.answer(response))

    async def address(self, url: URL, body: dict[str, Any], headers: Mapping[str, str], name: str) -> URL:
        """The address in a header of the answer.

        Raises:
            ModelError: as `ask`, and if the address is of another server, which gets no key.
        """
        async with self._opened("POST", url, json.dumps(body), {**JSON, **headers}) as response:
            self._json(await self._form.sender.answer(response))
            place = URL(response.headers.get(name, ""))
        if place.origin() != self.url.origin() if place.is_absolute() else True:
            raise ModelError(
                f"{self._config.name}: it names another server for the upload, which gets nothing"
            )
        return place

    async def download(self, url: URL, into: BinaryIO) -> None:
        """Write the lines of JSON at an address into a file.

        Raises:
            TransientError: also if they are not complete.
        """
        into.seek(0)
        into.truncate()
        async with self._opened(
            "GET", url, None, {"accept": "*/*", "accept-encoding": "identity"}
        ) as response:
            if not 200 <= response.status < 300:
                self._json(await self._form.sender.answer(response))
            try:
                async for piece in response.content.iter_chunked(PIECE):
                    into.write(piece)
            except (ClientError, TimeoutError) as error:
                raise TransientError(f"the results broke off: {error or type(error).__name__}") from error

    async def lines(self, *urls: URL) -> AsyncIterator[dict[str, Any]]:
        """The lines of JSON at some addresses; each file is downloaded whole first."""
        for url in urls:
            with tempfile.TemporaryFile() as file:
                fetch = partial(self._whole, url, cast(BinaryIO, file))
                await patiently(self._progress, fetch, "the results of a batch", SILENCE)
                file.seek(0)
                for line in iter(partial(file.readline, LONGEST_LINE), b""):
                    if line.strip():
                        yield json.loads(line)

    async def _whole(self, url: URL, into: BinaryIO) -> None:
        """Download lines; each must be JSON."""
        await self.download(url, into)
        into.seek(0)
        for line in iter(partial(into.readline, LONGEST_LINE), b""):
            try:
                found = json.loads(line) if line.strip() else {}
            except ValueError as error:
                raise TransientError(f"the results are not complete: {error}") from error
            if not isinstance(found, dict):
                raise TransientError("the results are not lines of JSON objects", misled=True)

    @asynccontextmanager
    async def _opened(
        self, method: str, url: URL, body: Any, headers: Mapping[str, str] | None
    ) -> AsyncIterator[ClientResponse]:
        sender = self._form.sender
        given = sender.headers("host", "content-type")
        given.update({name.lower(): value for name, value in (headers or {}).items()})
        try:
            response = await sender.sent(method, url, body, given, LONGEST)
        except Exception as error:
            raise self._sorted(error) from error
        try:
            yield response
        except (TransientError, ModelError):
            raise
        except Exception as error:  # of the libraries, while the answer is read
            raise self._sorted(error) from error
        finally:
            response.close()

    def _json(self, answer: Answer) -> dict[str, Any]:
        """The answer as JSON; its error, if it is one."""
        if 200 <= answer.status < 300:
            try:
                found = json.loads(answer.content or b"{}")
            except ValueError as error:
                raise TransientError(f"its answer is not JSON ({error})", misled=True) from error
            if isinstance(found, dict):
                return found
            raise TransientError("its answer is not a JSON object", misled=True)
        refused = self._form.reader.error(answer.status, answer, answer.content)
        if answer.status in (404, 410):
            raise UnknownError(f"{self._config.name}: {said_in(refused).words}") from refused
        raise self._sorted(refused) from refused

    def _sorted(self, error: Exception) -> Exception:
        """What a failure means: a TransientError or a ModelError; the error itself if it is a bug of ours."""
        said = said_in(error)
        if said.is_like(QUEUE_FULL):
            return TransientError(said.words, retry_after(said), slower=True)
        try:
            refused = sort_failure(error, self._config)
        except RefusedError as found:  # of a call about files and batches, not of a prompt
            return ModelError(str(found))
        except TransientError as found:
            words = f"{found}: {said.words}" if found.slower else str(found)
            return TransientError(words, found.wait, found.slower, silent=found.silent, misled=found.misled)
        except Exception as found:
            return found
        return ModelError(f"{self._config.name}: {refused.error}")
