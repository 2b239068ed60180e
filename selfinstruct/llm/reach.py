"""Check whether a server can be reached, and if not, explain why."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from selfinstruct.errors import ModelError

LONGEST_KNOCK = 5.0  # seconds
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)
REMEDIES = {  # by the beginning of a cause
    "its name": "Look at the address, and whether this machine is online",
    "it refuses": "Start it, or set model.api_base",
    "there is no route": "Look at the network, a VPN or a proxy (HTTPS_PROXY)",
    "TLS": "Look at http:// or https:// in the address, and at the certificates (SSL_CERT_FILE)",
    "nothing answers": "Look at the address, the network and the firewall",
}


def reach(api_base: str) -> None:
    """Connect to a server before the first request, so that a wrong address is found at once.

    Behind a proxy nothing is checked, since the server may not be reachable directly.

    Raises:
        ModelError: if no server answers.
    """
    address = urlsplit(api_base)
    if getproxies() and not proxy_bypass(address.hostname or ""):
        return
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname or "", port), timeout=LONGEST_KNOCK).close()
    except (OSError, ValueError) as error:
        raise ModelError(f"{api_base}: no server answers there ({why(error)}). {remedy(error)}") from error


def why(error: BaseException) -> str:
    """The reason why a connection failed."""
    found = next(_causes(error), None)
    words = getattr(found, "strerror", None) or str(found or error)
    if isinstance(found, socket.gaierror):
        return f"its name is not known: {words}"
    if isinstance(found, ConnectionRefusedError):
        return "it refuses the connection"
    if isinstance(found, ssl.SSLError):
        return f"TLS fails: {getattr(found, 'reason', None) or words}"
    if isinstance(found, TimeoutError) or getattr(found, "errno", None) == errno.ETIMEDOUT:
        return "nothing answers"
    if getattr(found, "errno", None) in NO_ROUTE:
        return "there is no route to it"
    return str(words)


def remedy(error: BaseException) -> str:
    """The remedy for a failed connection."""
    cause = why(error)
    return next(
        (words for begin, words in REMEDIES.items() if cause.startswith(begin)), REMEDIES["it refuses"]
    )


def unreached(error: BaseException) -> str | None:
    """The host and port that could not be reached; empty if they are unknown, None if they were reached."""
    for one in chain(error):
        host, port = getattr(one, "host", None), getattr(one, "port", None)
        if isinstance(host, str) and host and isinstance(one, OSError):
            return f"{host}:{port}" if port else host
    failed = any(
        isinstance(one, socket.gaierror | ConnectionRefusedError | ssl.SSLError) for one in chain(error)
    )
    return "" if failed else None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and the errors that caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The operating system's errors behind an error, the first cause first."""
    system = [one for one in chain(error) if isinstance(one, OSError)]
    yield from reversed(system)
