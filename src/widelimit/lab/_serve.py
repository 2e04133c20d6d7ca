"""Starting the lab: its port, its address, the browser, and a clean end."""

from __future__ import annotations

import contextlib
import errno
import functools
import http.client
import logging
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable

import uvicorn

from ..recipes import live
from ._ahead import Ahead
from ._app import app
from ._cell import Cells
from ._protocol import LARGEST_MESSAGE
from ._security import is_loopback, token
from ._session import Lab
from ._tasks import shape
from ._worker import Memory, Worker, keep_compiled_code, live_threads

PORT = 8421

Say = Callable[[str], None]


def run(host: str, port: int, browser: bool, cells: bool | None, say: Say) -> None:
    """Serve the lab until it is interrupted.

    Parameters
    ----------
    host, port
        Where to listen.
    browser
        Whether to open the page in the browser, if there is one.
    cells
        Whether code cells may run; by default where only this machine reaches the server.
    say
        Is given what to print.

    Raises
    ------
    ValueError
        If it cannot listen there.
    """
    listening = listen(host, port)
    port = listening.getsockname()[1]
    allowed = is_loopback(host) if cells is None else cells
    lab, ahead = make_lab(token(), allowed)
    address = f"http://{shown(host)}:{port}/#token={lab.token}"
    if keep_compiled_code() is None:
        say("Compiled code cannot be kept on this disk; the lab works, and prepares each network anew at every start.")
    _tell(address, host, allowed, say)
    if browser and has_browser():
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    config = uvicorn.Config(
        app(lab, host, port, functools.partial(_warm_up, lab, ahead)),
        log_level=logging.WARNING,
        # Another loop, taken where it is installed, forks for each cell, beside the threads of JAX.
        loop="asyncio",
        ws="websockets-sansio",
        ws_max_size=4 * LARGEST_MESSAGE,
        ws_per_message_deflate=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
    say("Stopped. Notes and predictions stay in the browser.")
    # What is being computed cannot be interrupted: it ends with the process.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def make_lab(secret: str, cells: bool) -> tuple[Lab, Ahead]:
    """Return a lab whose live runs are those of the library, and what compiles ahead of its pages."""
    memory, live_worker, long_worker = Memory(), Worker("live", live_threads()), Worker("long", 1)
    ahead = Ahead(memory, lambda: min(live_worker.quiet(), long_worker.quiet()))

    def open_run(config: live.LiveConfig) -> live.LiveRun:
        memory.note(shape(config))
        run = live.LiveRun.open(config)
        ahead.note(run.config)
        return run

    return Lab(secret, Cells() if cells else None, open_run, live_worker, long_worker, memory), ahead


def _tell(address: str, host: str, cells: bool, say: Say) -> None:
    say("The lab is open; press Ctrl+C to stop it. Its address, with the key that opens it:")
    say(address)
    if not is_loopback(host):
        say(f"It can be reached from other machines; what is sent is not encrypted. Code cells are {_switch(cells)}.")


def _switch(on: bool) -> str:
    return "on: whoever has the address runs code as you" if on else "off"


def _warm_up(lab: Lab, ahead: Ahead) -> None:
    # The state that the page shows first is compiled before it is asked for, then its neighbours.
    def compile_default() -> None:
        run = lab.open_run(live.LiveConfig())
        run.advance(1)
        ahead.start()

    threading.Thread(target=_quietly, args=(compile_default,), daemon=True, name="lab-warm-up").start()


def _quietly(job: Callable[[], None]) -> None:
    try:
        job()
    except Exception as error:
        logging.getLogger("widelimit.lab").error("the default state cannot be prepared", exc_info=error)


def shown(host: str) -> str:
    """Return how a host stands in an address; one that means every interface is shown as loopback."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    ValueError
        If the port is none, taken (it is said whether by another lab) or forbidden, or the host is not of this machine.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"port is {port}; expected a number from 1 to 65535, or 0 for any that is free.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ValueError(f"host is {host!r}, which is no address: {error}.") from None
    try:
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ValueError(_refused(host, port, error)) from None
    return listening


def _refused(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        who = "another lab" if is_lab(host, port) else "another program"
        return f"port {port} is taken by {who}; stop it, or choose another with --port {port + 1}."
    return f"the lab cannot listen on {host}, port {port}: {error.strerror}; choose others with --host and --port."


def is_lab(host: str, port: int) -> bool:
    """Return whether a lab answers there."""
    connection = http.client.HTTPConnection(shown(host).strip("[]"), port, timeout=2)
    try:
        connection.request("HEAD", "/page.json")
        return connection.getresponse().getheader("Server") == "widelimit"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def has_browser() -> bool:
    """Return whether a browser can be expected to open a window here."""
    if sys.platform in ("win32", "darwin"):
        return True
    remote = "SSH_CONNECTION" in os.environ
    return not remote and bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
