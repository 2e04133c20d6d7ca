"""The routes of the lab."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from ._page import page_data, render, sealed
from ._security import Guard, policy
from ._session import Lab, serve
from ._static import FOLDER, import_map_hash


def app(lab: Lab, host: str, port: int, started: Callable[[], None] = lambda: None) -> Starlette:
    """Return the application.

    Parameters
    ----------
    lab
        What the pages share.
    host, port
        Where it is served.
    started
        Called once it serves.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        started()
        yield
        lab.close()

    async def websocket(socket: WebSocket) -> None:
        await serve(socket, lab)

    routes = [
        Route("/", _page),
        Route("/page.json", _data),
        Route("/sealed/{key:path}", _sealed),
        Mount("/static", StaticFiles(directory=FOLDER)),
        WebSocketRoute("/lab", websocket),
    ]
    guard = Middleware(Guard, host=host, port=port, policy=policy(import_map_hash()))
    zipped = Middleware(GZipMiddleware, minimum_size=1024, compresslevel=6)
    return Starlette(routes=routes, middleware=[guard, zipped], lifespan=lifespan)


def _page(request: Request) -> Response:
    return _tagged(request, *_written("page"), "text/html; charset=utf-8")


def _data(request: Request) -> Response:
    return _tagged(request, *_written("data"), "application/json")


def _sealed(request: Request) -> Response:
    found, key = _kept_back(), request.path_params["key"]
    if key not in found:
        return JSONResponse({"error": "There is nothing under this name."}, 404)
    return JSONResponse(found[key])


@functools.cache
def _written(what: str) -> tuple[bytes, str]:
    # Text and entity tag of the page, or of its data.
    text = render() if what == "page" else json.dumps(page_data(), allow_nan=False)
    body = text.encode()
    return body, f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


_kept_back = functools.cache(sealed)


def _tagged(request: Request, body: bytes, tag: str, kind: str) -> Response:
    headers = {"ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)
