"""Read server addresses from untrusted sources.

HTTP clients, URL parsers and people read some addresses differently: `http://api.openai.com@evil.com`,
`http://evil.com#@api.openai.com`, a backslash, `http://2130706433`. This module accepts only addresses that
all of them read in the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

PORTS = {"https": 443, "http": 80}
LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
HOST = rf"{LABEL}(?:\.{LABEL})*|\[[0-9a-f:.]+\]"
PLACE = re.compile(rf"({HOST})(?::([1-9]\d{{0,4}}))?", re.IGNORECASE | re.ASCII)
PATH = re.compile(r"(?:/[\w.~!$&'()*+,;=:@%-]*)*", re.ASCII)
REMEDY = (
    "write https://HOST/PATH or https://HOST:PORT/PATH, in plain letters, without a password or ? # and \\"
)


@dataclass(frozen=True)
class Address:
    """The host and port that a client connects to.

    Attributes:
        host: the host in lower case; an IPv6 address has no brackets.
        port: the port; None if it may be any.
        scheme: http or https; empty if it may be either.
    """

    host: str
    port: int | None = None
    scheme: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in (None, PORTS.get(self.scheme)) else f"{host}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether it is this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def bare(self) -> bool:
        """Whether others on the network can read the data sent to it."""
        return self.scheme == "http" and not self.local

    def covers(self, other: Address) -> bool:
        """Whether another address has the same host, and the same port if this one has a port."""
        return self.host == other.host and self.port in (None, other.port)


def read(text: str) -> Address | None:
    """The address of a URL; None if it is not a URL, or not one that every program reads in the same way."""
    scheme, _, rest = text.partition("://")
    place, slash, path = rest.partition("/")
    found = read_place(place)
    if scheme.lower() not in PORTS or found is None or not PATH.fullmatch(slash + path):
        return None
    return Address(found.host, found.port or PORTS[scheme.lower()], scheme.lower())


def read_place(text: str) -> Address | None:
    """A host, with or without a port."""
    bare = f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text
    found = PLACE.fullmatch(bare)
    if found is None or int(found[2] or 1) > 65535 or len(found[1]) > 253:
        return None
    host = _canonical(found[1].lower())
    return Address(host, int(found[2]) if found[2] else None) if host else None


def _canonical(host: str) -> str | None:
    """A host in the form used for comparison; None for a number that is not written as an IP address."""
    last = host.rpartition(".")[2]
    if host[0] != "[" and not re.match(r"\d|0x", last):
        return host
    try:
        found = ip_address(host.strip("[]"))
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(found)
