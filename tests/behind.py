"""What may be between us and a server: a proxy, and a certificate that only the user trusts."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from server import ModelServer

HOST = "model.invalid"  # no name server knows it, so only a proxy gets there


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine and for `HOST` that nobody signed, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs openssl")
    made, key = folder / "certificate.pem", folder / "key.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
    names = ["-addext", f"subjectAltName=DNS:localhost,DNS:{HOST},IP:127.0.0.1"]
    files = ["-out", str(made), "-keyout", str(key)]
    subprocess.run([program, "req", "-x509", *kind, *names, *files], check=True, capture_output=True)
    return made, key


def encrypt(server: ModelServer, folder: Path) -> Path:
    """Have a server that has not started speak TLS; the certificate to trust."""
    made, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    server.wrap(context)
    return made


class Proxy:
    """A proxy that passes everything to one port of this machine, whatever is asked for.

    Args:
        port: the port.

    Attributes:
        asked: the places that were asked for.
        address: the proxy's own.
    """

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self._port = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @contextmanager
    def working(self) -> Iterator[Proxy]:
        """The proxy, at work."""
        threading.Thread(target=self._serve, daemon=True).start()
        try:
            yield self
        finally:
            self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                near, _ = self._socket.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(1)
        self.asked.append(head.split()[1].decode())
        with socket.create_connection(("127.0.0.1", self._port)) as far, near:
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
