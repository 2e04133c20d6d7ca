"""The routes of the lab."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ._page import page_data, render, sealed
from ._static import FOLDER


def _page(_request: Request) -> Response:
    return HTMLResponse(render())


def _data(_request: Request) -> Response:
    return JSONResponse(page_data())


def _sealed(request: Request) -> Response:
    found = sealed()
    key = request.path_params["key"]
    return JSONResponse(found[key]) if key in found else JSONResponse({"error": f"no {key!r}"}, 404)


def app() -> Starlette:
    """Return the application."""
    routes = [
        Route("/", _page),
        Route("/page.json", _data),
        Route("/sealed/{key:path}", _sealed),
        Mount("/static", StaticFiles(directory=FOLDER)),
    ]
    return Starlette(routes=routes)
