"""Blots out secrets, the values of key-like environment variables, in every text that leaves the process.

All printed, logged and stored text goes through `blotted`. A variable is key-like if one of the words in its
name is in `WORDS`, or the last word has one of the `ENDINGS`; but not if the last word is in `ABOUT`, since
then its value only describes a key. Its value is a secret if it has at least `SHORTEST` characters and is not
a path, an address without a password, or a plain word such as "password", which any text may have. In an
address, such as that of a proxy or a model's server, the name and password before the @ are secret, whatever
the variable's name is.

A value is also found in the spelling of JSON, YAML, HTML, Python and addresses, and in base64 (Basic auth).
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

BLOT = "***"
SHORTEST = 8
FEWEST = 4  # different characters of a secret; a text with fewer is a mask such as ********
LONGEST_WORD = 15  # a longer word, even one of letters only, is a password
WORDS = {
    *("key", "keys", "apikey", "token", "tokens", "jwt", "pat", "bearer", "cookie", "signature"),
    *("secret", "secrets", "credential", "credentials", "creds", "auth", "authorization"),
    *("password", "passwords", "passwd", "passphrase", "passcode", "pass", "pwd", "pw"),
}
ENDINGS = ("apikey", "accesskey", "token", "secret", "password", "passwd", "passphrase", "credentials")
ABOUT = {  # KEYBOARD_LAYOUT and TOKENIZERS_PARALLELISM have none of the words above
    *("file", "files", "path", "paths", "dir", "directory", "folder", "sock", "socket", "env", "name"),
    *("url", "uri", "host", "endpoint", "server", "port", "layout", "map", "bindings", "repeat", "prompt"),
    *("method", "mode", "algorithm", "ttl", "timeout", "limit", "length", "size", "count", "parallelism"),
    *("askpass", "type", "format", "version", "region", "provider", "backend", "issuer", "realm", "domain"),
    *("scope", "alias", "store", "vault", "user", "username"),
}
PUBLIC = {"GPG_KEY", "PWD", "OLDPWD"}  # the fingerprint of a public key (in Python's images), and folders
PLACEHOLDERS = {
    *("not-needed", "not-required", "not-set", "no-key", "no-key-required", "your-api-key"),
    *("placeholder", "change-me"),
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PATH = re.compile(r"(file:|~|\.{0,2})[/\\]|[A-Za-z]:[/\\]|~$|[\w./-]+\.(json|pem|key|txt|ya?ml|p12|crt)$")
_RANDOM = re.compile(r"(?=[^/\\]*[a-z])(?=[^/\\]*[A-Z])(?=[^/\\]*\d)[^/\\]{20,}|[+=]")
_ADDRESS = re.compile(r"[a-zA-Z][\w+.-]*://")
_USERINFO = re.compile(r"(?<=://)([^\s/?#@'\"]+(?:@[^\s/?#@'\"]+)*)@")
_VARIES = re.compile(r"\s+|%[0-9A-F]{2}")  # parts of a form that may be written differently

_learned: dict[str, None] = {}  # addresses in a recipe or on a command line
_seen: tuple[Mapping[Any, Any], int] = ({}, -1)  # the environment and the number of addresses behind `_now`
_now: tuple[tuple[str, ...], re.Pattern[str] | None] = ((), None)


def blotted(text: str) -> str:
    """The text with every secret of this process blotted out."""
    quick, pattern = _marks()
    if pattern is None or not any(mark in text for mark in quick):
        return text
    return pattern.sub(BLOT, text)


def without_passwords(text: str) -> str:
    """The text with the name and password of every address in it blotted out, whether known or not."""
    return _USERINFO.sub(f"{BLOT}@", text) if "://" in text else text


def learn(address: str | None) -> None:
    """Treat the name and password in an address as secrets from now on."""
    if address and "@" in address:
        _learned[address] = None


def secrets(environment: Mapping[str, str]) -> list[str]:
    """The secrets among these variables, the longest first."""
    found: dict[str, None] = {}
    for name, value in environment.items():
        found |= dict.fromkeys(_of_address(value))
        if _is_key_like(name):
            found |= dict.fromkeys(_of_value(name, value.strip()))
    return sorted(found, key=len, reverse=True)


def _marks() -> tuple[tuple[str, ...], re.Pattern[str] | None]:
    """The texts and the pattern to look for, made again when the environment has changed."""
    global _seen, _now
    raw = getattr(os.environ, "_data", None)  # undecoded, which is faster: this runs for each text
    environment = os.environ.copy() if raw is None else raw
    if _seen[1] != len(_learned) or _seen[0] != environment:
        seen = dict(environment), len(_learned)
        extra = {f"_{place}": address for place, address in enumerate(_learned)}
        _now = _compiled(tuple(secrets({**os.environ, **extra})))
        _seen = seen
    return _now


@lru_cache(maxsize=8)
def _compiled(found: tuple[str, ...]) -> tuple[tuple[str, ...], re.Pattern[str] | None]:
    """Marks and a pattern: a text with a secret contains a mark; the pattern finds secrets in all forms."""
    forms = sorted({form for secret in found for form in _forms(secret)}, key=len, reverse=True)
    if not forms:
        return (), None
    marks = dict.fromkeys(max(_VARIES.split(form), key=len) for form in forms)
    return tuple(marks), re.compile("|".join(map(_either, forms)))


def _either(form: str) -> str:
    """A pattern for a form; it also matches line breaks in place of blanks, and %2f for %2F."""
    whole = r"(?:\s|\\n)+".join(map(re.escape, form.split()))
    return re.sub("%[0-9A-F]{2}", lambda found: f"(?i:{found[0]})", whole)


def _forms(secret: str) -> Iterator[str]:
    """All spellings of a secret: as it is, in each language, in two of them nested, and in base64."""
    once = {secret, *_written(secret)}
    yield from once
    for form in once - {secret}:
        yield from _written(form)
    # Base64 depends on the place in a group of three bytes, and at both ends also on the bytes around.
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + secret.encode("utf-8", "surrogateescape")).decode()
        whole = (len(secret.encode("utf-8", "surrogateescape")) + shift) * 8 // 6
        inner = coded[(shift * 8 + 5) // 6 : whole]
        if len(inner) >= SHORTEST:
            yield from (inner, inner.replace("+", "-").replace("/", "_"))
            yield quote(inner, safe="")


def _written(text: str) -> set[str]:
    """The spellings of a text in JSON, YAML, HTML, Python and addresses."""
    try:
        quoted = {quote(text, safe=""), quote(text), quote_plus(text), quote(text, safe="-._~!$&'()*+,;=:@/")}
    except UnicodeEncodeError:
        quoted = set()
    as_json = {json.dumps(text, ensure_ascii=ascii)[1:-1] for ascii in (True, False)}
    slashed = {one.replace("/", "\\/") for one in as_json}
    others = {repr(text)[1:-1], text.replace("'", "''"), html.escape(text), html.escape(text, quote=False)}
    return {*quoted, *as_json, *slashed, *others, ascii(text)[1:-1]}


def _is_key_like(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    if name.upper() in PUBLIC or not words or words[-1] in ABOUT:
        return False
    return not WORDS.isdisjoint(words) or words[-1].endswith(ENDINGS)


def _of_value(name: str, value: str) -> Iterator[str]:
    """The secrets in a key-like variable's value: the value, its lines, and the texts of a JSON object."""
    if value.startswith("{"):
        try:
            parts = json.loads(value)
        except ValueError:
            parts = None
        if isinstance(parts, dict):
            yield from secrets({key: one for key, one in parts.items() if isinstance(one, str)})
    lines = value.splitlines() if "\n" in value else []
    for one in [value, *(line.strip() for line in lines if not line.startswith("-----"))]:
        counts = one.isdigit() and name.lower().endswith("tokens")
        if len(one) >= SHORTEST and not counts and not _is_plain(one):
            yield one


def _is_plain(value: str) -> bool:
    """Whether it is a word, a path or an address, which may be in any text without being a secret."""
    if _ADDRESS.match(value) and not value.startswith("file:"):
        return True  # the password in it is found by `_of_address`
    if _PATH.match(value):
        return not _RANDOM.search(value)
    one_case = value in (value.lower(), value.upper(), value.title())
    word = value.isalpha() and one_case and len(value) <= LONGEST_WORD
    return word or len(set(value)) < FEWEST or value.lower().replace("_", "-") in PLACEHOLDERS


def _of_address(value: str) -> Iterable[str]:
    """The name and password of an address together, and the password by itself if it is long enough."""
    for found in _USERINFO.finditer(value):
        user, colon, password = found[1].partition(":")
        for one in (password, unquote(password)):
            if len(one) >= SHORTEST and not _is_plain(one):
                yield one
        if password:
            yield from (f"{user}{colon}{password}@", f"{unquote(user)}{colon}{unquote(password)}@")
            if len(f"{user}:{password}") >= SHORTEST:
                yield f"{unquote(user)}:{unquote(password)}"
        elif len(user) >= SHORTEST and not _is_plain(user):  # a token in place of a name
            yield user
