"""Blots out secrets: the value of every key-like variable of the environment, wherever a text leaves us.

Whatever is printed, logged or stored passes `blotted`. A variable is key-like by its name: one of its words
is in `WORDS` or its last one ends as in `ENDINGS`, unless the last is in `ABOUT`, so that the value is
something about a key. Its value counts from `SHORTEST` characters on, and not where it is a path, an address
without a password, or a plain word such as "password" that any text may have. In an address, as of a proxy
or of a model's server, the name and password before the @ are secret whatever the variable is called.

A value is also found as JSON, YAML, HTML, Python and addresses write it, and in base64, as Basic auth has it.
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
FEWEST = 4  # different characters; fewer are a mask such as ********
LONGEST_WORD = 15  # a longer one without a digit or a mark is a password made of letters
WORDS = {
    *("key", "keys", "apikey", "token", "tokens", "jwt", "pat", "bearer", "cookie", "signature"),
    *("secret", "secrets", "credential", "credentials", "creds", "auth", "authorization"),
    *("password", "passwords", "passwd", "passphrase", "passcode", "pass", "pwd", "pw"),
}
ENDINGS = ("apikey", "accesskey", "token", "secret", "password", "passwd", "passphrase", "credentials")
ABOUT = {  # KEYBOARD_LAYOUT and TOKENIZERS_PARALLELISM have no word of the above
    *("file", "files", "path", "paths", "dir", "directory", "folder", "sock", "socket", "env", "name"),
    *("url", "uri", "host", "endpoint", "server", "port", "layout", "map", "bindings", "repeat", "prompt"),
    *("method", "mode", "algorithm", "ttl", "timeout", "limit", "length", "size", "count", "parallelism"),
    *("askpass", "type", "format", "version", "region", "provider", "backend", "issuer", "realm", "domain"),
    *("scope", "alias", "store", "vault", "user", "username"),
}
PUBLIC = {"GPG_KEY", "PWD", "OLDPWD"}  # Python's images have the fingerprint of a public key; folders
PLACEHOLDERS = {
    *("not-needed", "not-required", "not-set", "no-key", "no-key-required", "your-api-key"),
    *("placeholder", "change-me"),
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PATH = re.compile(r"(file:|~|\.{0,2})[/\\]|[A-Za-z]:[/\\]|~$|[\w./-]+\.(json|pem|key|txt|ya?ml|p12|crt)$")
_RANDOM = re.compile(r"(?=[^/\\]*[a-z])(?=[^/\\]*[A-Z])(?=[^/\\]*\d)[^/\\]{20,}|[+=]")
_ADDRESS = re.compile(r"[a-zA-Z][\w+.-]*://")
_USERINFO = re.compile(r"(?<=://)([^\s/?#@'\"]+(?:@[^\s/?#@'\"]+)*)@")
_VARIES = re.compile(r"\s+|%[0-9A-F]{2}")  # where the same form may look otherwise

_learned: dict[str, None] = {}  # addresses that a recipe or a command line named
_seen: tuple[Mapping[Any, Any], int] = ({}, -1)  # the environment and how much was learned, for `_now`
_now: tuple[tuple[str, ...], re.Pattern[str] | None] = ((), None)


def blotted(text: str) -> str:
    """The text with every secret of this process blotted out."""
    quick, pattern = _marks()
    if pattern is None or not any(mark in text for mark in quick):
        return text
    return pattern.sub(BLOT, text)


def without_passwords(text: str) -> str:
    """The text with the name and password of every address in it blotted out, known or not."""
    return _USERINFO.sub(f"{BLOT}@", text) if "://" in text else text


def learn(address: str | None) -> None:
    """Take the name and password in an address for secrets from now on."""
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
    """What to look for, made anew when the environment is another than it was."""
    global _seen, _now
    raw = getattr(os.environ, "_data", None)  # undecoded: this is asked for each text
    environment = os.environ.copy() if raw is None else raw
    if _seen[1] != len(_learned) or _seen[0] != environment:
        seen = dict(environment), len(_learned)
        extra = {f"_{place}": address for place, address in enumerate(_learned)}
        _now = _compiled(tuple(secrets({**os.environ, **extra})))
        _seen = seen
    return _now


@lru_cache(maxsize=8)
def _compiled(found: tuple[str, ...]) -> tuple[tuple[str, ...], re.Pattern[str] | None]:
    """Texts of which one is in whatever has a secret in it, and a pattern for these secrets in all forms."""
    forms = sorted({form for secret in found for form in _forms(secret)}, key=len, reverse=True)
    if not forms:
        return (), None
    marks = dict.fromkeys(max(_VARIES.split(form), key=len) for form in forms)
    return tuple(marks), re.compile("|".join(map(_either, forms)))


def _either(form: str) -> str:
    """A pattern for a form whose lines may have been broken at a blank, with %2F as %2f."""
    whole = r"(?:\s|\\n)+".join(map(re.escape, form.split()))
    return re.sub("%[0-9A-F]{2}", lambda found: f"(?i:{found[0]})", whole)


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is and as it is written in other languages, also in one within another."""
    once = {secret, *_written(secret)}
    yield from once
    for form in once - {secret}:
        yield from _written(form)
    for shift in range(3):  # by where it begins among the bytes; the ends also depend on what is around it
        coded = base64.b64encode(b"\0" * shift + secret.encode("utf-8", "surrogateescape")).decode()
        whole = (len(secret.encode("utf-8", "surrogateescape")) + shift) * 8 // 6
        inner = coded[(shift * 8 + 5) // 6 : whole]
        if len(inner) >= SHORTEST:
            yield from (inner, inner.replace("+", "-").replace("/", "_"))
            yield quote(inner, safe="")


def _written(text: str) -> set[str]:
    """A text as JSON, YAML, HTML, Python and addresses write it."""
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
    """What is secret in the value of a key-like variable: all of it, or each text of a JSON object's."""
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
    """Whether it is a word, a path or an address, which other texts have for reasons of their own."""
    if _ADDRESS.match(value) and not value.startswith("file:"):
        return True  # the password in it is found by `_of_address`
    if _PATH.match(value):
        return not _RANDOM.search(value)
    one_case = value in (value.lower(), value.upper(), value.title())
    word = value.isalpha() and one_case and len(value) <= LONGEST_WORD
    return word or len(set(value)) < FEWEST or value.lower().replace("_", "-") in PLACEHOLDERS


def _of_address(value: str) -> Iterable[str]:
    """The name and password in an address, together, and the password alone where it is long enough."""
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
