"""Who may talk to the lab, and what its page may do.

The lab listens on the loopback interface, where every page that the user's browser shows can reach it too. So: the
``Host`` must be a name of this server (another name that resolves to it is DNS rebinding), everything but reading
needs an ``Origin`` of this server, the WebSocket opens for who knows the token, and the page itself may load nothing
from elsewhere.

The token lies in a file that only the user can read, and is the same for a week, so that an open page finds a server
that was started again.
"""

from __future__ import annotations

import dataclasses
import hmac
import ipaddress
import os
import pathlib
import secrets
import stat
import sys
import time
import urllib.parse

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._folders import state_folder

TOKEN_DAYS = 7
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD")


def policy(import_map_hash: str) -> str:
    """Return the content security policy of the page; the import map is the only script inside it."""
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' {import_map_hash}",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'none'",
        ]
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server that listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def same_token(given: str, token: str) -> bool:
    """Compare in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


@dataclasses.dataclass(frozen=True)
class Guard:
    """Refuses strangers, and writes the rules for the page into every answer.

    Attributes
    ----------
    app
        What is guarded.
    host, port
        Where the server listens.
    policy
        The content security policy.
    """

    app: ASGIApp
    host: str
    port: int
    policy: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, self._dressed(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403, "reason": refusal[:100]})
        else:
            await PlainTextResponse(refusal + "\n", 403)(scope, receive, self._dressed(send))

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._is_mine(host):
            return f"This server is not {host[:80]!r}. Open the address that it printed."
        reading = scope["type"] == "http" and scope["method"] in READING
        if not reading and headers.getlist("origin") != [f"http://{host}"]:
            return "This request does not come from the page of this server."
        return None

    def _is_mine(self, host: str) -> bool:
        try:
            parts = urllib.parse.urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port or parts.netloc != host or "@" in host or parts.path:
            return False
        shown = f"[{name}]" if ":" in name else name
        # A number cannot be rebound to another machine; where the server is reachable from outside, numbers are fine.
        return shown in LOOPBACK or name == self.host or (not is_loopback(self.host) and _is_number(name))

    def _dressed(self, send: Send) -> Send:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = self.policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
                headers["Server"] = "widelimit"
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-cache"
            await send(message)

        return dressed


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def token(folder: pathlib.Path | None = None) -> str:
    """Return the token of this user; a new one if there is none that is younger than a week and private."""
    folder = folder or state_folder()
    kept = folder / "lab-token"
    return _kept(kept) or _make(kept)


def _kept(path: pathlib.Path) -> str | None:
    try:
        if path.is_symlink() or not _private(path.stat()):
            return None
        found = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return found if len(found) >= 32 and found.replace("-", "").replace("_", "").isalnum() else None


def _private(status: os.stat_result) -> bool:
    young = 0 <= time.time() - status.st_mtime < TOKEN_DAYS * 86400
    if sys.platform == "win32":
        return young
    return young and stat.S_IMODE(status.st_mode) == 0o600 and status.st_uid == os.getuid()


def _make(path: pathlib.Path) -> str:
    made = secrets.token_urlsafe(32)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(made)
    except OSError:
        # It cannot be kept (a full disk, no permission): it holds for this server alone. What is half-written is too
        # short to be taken for a token.
        return made
    return made
