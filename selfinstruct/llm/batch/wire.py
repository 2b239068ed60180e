"""The way to a provider's files and batches: over the connections, and with the headers, of its requests."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
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


class IncompleteError(TransientError):
    """Results that lack lines, or have a part of one, as after a connection that broke."""


class Wire:
    """The way to one provider.

    Args:
        form: how requests of its model are sent.
        config: the model's keys.
        progress: shows failed attempts.

    Attributes:
        url: the address of the model's requests.
        behind: the seconds by which the provider's clock is behind ours, as its last answer says; or 0.
    """

    def __init__(self, form: Form, config: ModelConfig, progress: Progress) -> None:
        self._form, self._config, self._progress = form, config, progress
        self.url: URL = form.sender.url
        self.behind = 0.0

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

    async def lines(self, url: URL, least: int = 0) -> AsyncIterator[dict[str, Any]]:
        """The lines of JSON at an address; the file is downloaded whole first.

        Args:
            url: the address.
            least: so many lines it has at least, as the provider says.

        Raises:
            ModelError: if it stays incomplete, after the lines that are whole; not with
                `batch_lost: ask_again`.
        """
        stays: ModelError | None = None
        with tempfile.TemporaryFile() as file:
            fetch = partial(self._whole, url, cast(BinaryIO, file), least)
            try:
                await patiently(self._progress, fetch, "the results of a batch", SILENCE)
            except ModelError as error:
                if not isinstance(error.__cause__, IncompleteError):
                    raise
                stays = error
            for line in _lines(cast(BinaryIO, file)):
                if (found := _object(line)) is not None:
                    yield found
        if stays and self._config.batch_lost == "stop":
            raise ModelError(
                f"{self._config.name}: {stays.__cause__}\n  What is whole is taken in. The provider keeps "
                "the results, so run the same command again later. To ask the requests that are not there "
                "again, which costs again: model.batch_lost=ask_again"
            ) from stays
        if stays:
            self._progress.say(f"{stays.__cause__}; the requests that are not there are asked again")

    async def _whole(self, url: URL, into: BinaryIO, least: int) -> None:
        """Download lines; each must be a JSON object, and there must be enough."""
        await self.download(url, into)
        there, end = 0, into.tell()
        for line in _lines(into):
            there += 1
            if _object(line) is None:
                what = "the results of the batch"
                if into.tell() == end:
                    raise IncompleteError(f"{what} are broken off in line {there:,}")
                raise IncompleteError(f"line {there:,} of {what} is not a JSON object")
        if there < least:
            raise IncompleteError(
                f"the results of the batch have {there:,} lines, but the provider counts {least:,} answers"
            )

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
        with suppress(ValueError, TypeError):  # without a date, or with one that is none
            theirs = parsedate_to_datetime(response.headers.get("date"))  # type: ignore[arg-type]
            self.behind = max(0.0, time.time() - theirs.timestamp())
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
            except (ValueError, RecursionError) as error:
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


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file that are not empty."""
    file.seek(0)
    return filter(bytes.strip, iter(partial(file.readline, LONGEST_LINE), b""))


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None if it is none, or only a part of one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
