"""Who gets in: hosts, origins, the token, and what the answers forbid a browser."""

import base64
import gzip
import hashlib
import os
import re
import stat
import time

import httpx
import pytest
from laboratory import in_a_loop

from widelimit.lab import _security as security
from widelimit.lab._app import app
from widelimit.lab._session import Lab
from widelimit.lab._static import import_map

BASE = "http://127.0.0.1:8421"


def served(host="127.0.0.1", port=8421):
    """Return the application, with live runs that nobody can open."""
    return app(Lab("t" * 43, None, lambda config: pytest.fail("a run was opened")), host, port)


def get(path="/", host="127.0.0.1", method="GET", **headers):
    """Return the answer of a lab that listens on ``host``."""

    async def ask():
        transport = httpx.ASGITransport(app=served(host))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return await client.request(method, path, headers=headers)

    return in_a_loop(ask())


@pytest.mark.parametrize("name", ["127.0.0.1:8421", "localhost:8421", "[::1]:8421", "LOCALHOST:8421"])
def test_its_own_names_are_served(name):
    assert get(Host=name).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1",
        "127.0.0.1:8422",
        "localhost.:8421",
        "localhost:8421/x",
        "x@localhost:8421",
        "127.0.0.2:8421",
        "192.168.1.5:8421",
        "[::1:8421",
        "rebound.example:8421",
        "localhost:port",
    ],
)
def test_other_names_are_refused_in_words(name):
    answer = get(Host=name)
    assert answer.status_code == 403
    assert "Open the address that it printed" in answer.text


@pytest.mark.parametrize(
    ("name", "status"),
    [("192.168.1.5:8421", 200), ("[fe80::1]:8421", 200), ("127.0.0.1:8421", 200), ("rebound.example:8421", 403)],
)
def test_where_it_is_reached_from_outside_numbers_are_its_names(name, status):
    assert get(host="0.0.0.0", Host=name).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:8422", f"{BASE}/"])
def test_writing_needs_the_origin_of_the_page(method, origin):
    headers = {} if origin is None else {"Origin": origin}
    assert get(method=method, **headers).status_code == 403


def test_there_is_nothing_to_write_to():
    for path in ("/", "/page.json", "/sealed/x"):
        assert get(path, method="POST", Origin=BASE).status_code == 405


@pytest.mark.parametrize("path", ["/", "/page.json", "/static/app.js", "/nothing", "/sealed/nothing/at-all"])
@pytest.mark.parametrize("host", ["127.0.0.1:8421", "evil.example"])
def test_every_answer_carries_the_rules(path, host):
    headers = get(path, Host=host).headers
    rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert rules["default-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert {rules[name] for name in ("base-uri", "object-src", "frame-ancestors", "form-action")} == {"'none'"}
    assert re.fullmatch(r"'self' 'sha256-[\w+/=]{44}'", rules["script-src"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


def test_the_import_map_is_the_only_script_in_the_page_and_has_its_hash():
    answer = get()
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", answer.text, re.DOTALL)
    inside = {kind: text for kind, text in scripts if text}
    (kept,) = (text for kind, text in inside.items() if "importmap" in kind)
    assert all("importmap" in kind or "application/json" in kind for kind in inside)
    digest = base64.b64encode(hashlib.sha256(kept.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]
    assert kept == str(import_map())


@pytest.mark.parametrize("path", ["/", "/page.json", "/static/app.js"])
def test_what_a_browser_has_is_not_sent_again(path):
    first = get(path)
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    again = get(path, **{"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert get(path, **{"If-None-Match": '"other"'}).status_code == 200


def test_texts_are_compressed():
    answer = get("/page.json", **{"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    plain = get("/page.json", **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert answer.content == plain.content
    assert int(answer.headers["content-length"]) < len(gzip.compress(plain.content, 1)) + 100


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://localhost:8421"])
def test_a_socket_from_another_origin_is_closed_before_it_opens(origin):
    headers = [(b"host", b"127.0.0.1:8421"), *([(b"origin", origin.encode())] if origin else [])]
    scope = {"type": "websocket", "path": "/lab", "headers": headers, "subprotocols": []}
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    in_a_loop(served()(scope, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert sent[0]["code"] == 4403


def test_a_token_is_made_once_and_is_private(tmp_path):
    made = security.token(tmp_path / "new")
    kept = tmp_path / "new" / "lab-token"
    assert len(made) >= 43
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert security.token(tmp_path / "new") == made


def old(path):
    then = time.time() - 8 * 86400
    os.utime(path, (then, then))


def readable(path):
    path.chmod(0o644)


def short(path):
    path.write_text("abc")


def strange(path):
    path.write_bytes(b"\xff" * 50)


def linked(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("spoil", [old, readable, short, strange, linked])
def test_a_token_that_cannot_be_trusted_is_replaced(tmp_path, spoil):
    made = security.token(tmp_path)
    spoil(tmp_path / "lab-token")
    again = security.token(tmp_path)
    assert again != made
    assert len(again) >= 43
    assert security.token(tmp_path) == again
    assert not (tmp_path / "lab-token").is_symlink()


def test_a_token_that_cannot_be_kept_still_opens_the_lab(tmp_path):
    (tmp_path / "file").write_text("")
    assert len(security.token(tmp_path / "file")) >= 43


@pytest.mark.parametrize("given", ["", "t" * 42, "t" * 44, "é" * 43, "T" * 43, "\ud800"])
def test_another_token_is_not_the_same(given):
    assert not security.same_token(given, "t" * 43)
    assert security.same_token("t" * 43, "t" * 43)
