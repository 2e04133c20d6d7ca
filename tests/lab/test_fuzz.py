"""Messages that nobody should send: each is answered in words, or ignored, and the server goes on."""

import contextlib
import json

import pytest
import websockets.exceptions
from clients import Client, is_frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from widelimit.lab import _protocol as protocol

TAGS = sorted(message.__struct_config__.tag for message in protocol.ClientMessage.__args__)
FIELDS = ["run", "config", "play", "pace", "steps", "frame", "task", "kind", "payload", "token", "version", "code"]
CONFIG = ["width", "depth", "activation", "weight_std", "target", "points", "x", "y", "ridge", "step", "freeze", "seed"]
KINDS = ["exhibit", "check", "cell", "measure", "snippet", "nothing"]

numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.sampled_from([0, -1, 1, 2**31, 2**63, 1e308])
)
texts = st.one_of(st.text(max_size=40), st.sampled_from(["", "relu", "\ud800", "\x00", "../../cli", "__init__"]))
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(CONFIG), texts), inner, max_size=4)
    ),
    max_leaves=12,
)
configs = st.dictionaries(st.sampled_from(CONFIG), plain, max_size=4)
payloads = st.fixed_dictionaries({}, optional={"name": texts, "config": configs, "steps": numbers, "code": numbers})
shaped = st.fixed_dictionaries(
    {"type": st.sampled_from(TAGS)},
    optional={
        **dict.fromkeys(FIELDS, plain),
        "run": st.integers(10**6, 10**7),
        "task": st.integers(10**6, 10**7),
        "config": configs,
        "kind": st.sampled_from(KINDS),
        "payload": payloads,
    },
)
deep = st.integers(1, 20_000).map(lambda depth: '{"type":"open","run":1,"config":' + "[" * depth)
messages = st.one_of(shaped.map(json.dumps), plain.map(json.dumps), deep, st.text(max_size=200))


def understood(text):
    """Return the message in a text, or the sentence that says why there is none."""
    try:
        return protocol.decode(text)
    except ValueError as error:
        return str(error)


@settings(max_examples=600, deadline=None)
@given(st.one_of(messages, st.binary(max_size=300)))
def test_a_text_is_a_message_or_a_sentence(text):
    found = understood(text)
    if isinstance(found, str):
        assert found.startswith(("the message is not understood: ", "the message has "))
        assert len(found) < 500
    else:
        assert type(found).__struct_config__.tag in TAGS


@pytest.fixture(scope="module")
def talk(lab):
    with Client(lab) as client:
        assert client.hear()["type"] == "welcome"
        yield client


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(messages, min_size=1, max_size=4))
def test_the_server_answers_and_goes_on(talk, sent):
    for text in sent:
        if '"cell"' not in text:
            talk.send(text.encode("utf-8", "replace").decode())
    # Whatever came before, the next sensible message is answered.
    answer = talk.task(1, "check", {"name": "nothing of this name"}, 60)
    assert answer["type"] == "failed"
    assert "there is no witness" in answer["text"].lower()


def test_after_all_that_a_run_plays(talk):
    talk.send({"type": "open", "run": 10**8, "config": {"width": 16}, "play": False})
    header, _ = talk.until(lambda m: is_frame(m) and m[0].run == 10**8, 120)
    assert header.opening
    failures = [m for m in talk.texts if m["type"] == "failed"]
    assert failures
    assert not [m["text"] for m in failures if "error in the program" in m["text"]]


@pytest.mark.parametrize("size", [65537, 200_000])
def test_a_long_message_is_refused_in_words(talk, size):
    talk.send('{"type":"start","task":5,"kind":"cell","payload":{"code":"' + "x" * size + '"}}')
    failed = talk.until(lambda m: isinstance(m, dict) and m["type"] == "failed" and m["task"] == 0)
    assert "at most 65536" in failed["text"]


def test_a_message_beyond_all_measure_ends_the_connection_and_nothing_else(lab, talk):
    with Client(lab) as other:
        other.hear()
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            other.send("x" * 2**20)
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            other.until(lambda _: False, 20)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
    assert talk.task(2, "check", {"name": "none"})["type"] == "failed"


@pytest.mark.parametrize(
    "first",
    [
        "",
        "{",
        b"\x00\x01",
        '{"type":"open","run":1,"config":{}}',
        '{"type":"hello"}',
        '{"type":"hello","token":5,"version":1}',
    ],
)
def test_a_first_message_that_is_no_greeting_is_refused(lab, first):
    with Client(lab, greet=False) as client:
        client.send(first)
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            client.hear(20)
    assert closed.value.rcvd.code == protocol.REFUSED
    assert closed.value.rcvd.reason
