"""Messages: one definition, on both sides."""

import pathlib
import re
from typing import get_args

import numpy as np
import pytest

from widelimit.lab import _protocol as protocol


def test_a_frame_comes_back_as_it_was_sent():
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.zeros((0,)), "c": np.float32(3)}
    header = protocol.Header(1, 2, False, 3, {"loss": None, "gap": 0.5}, "Kernel – “so far”.", ())
    again, found = protocol.decode_frame(protocol.encode_frame(header, arrays))
    assert (again.run, again.frame, again.step, again.numbers, again.sentence) == (
        1,
        2,
        3,
        header.numbers,
        header.sentence,
    )
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type":"open"}', '{"type":"nothing"}', "[" * 50000, "x" * 70000])
def test_a_message_that_is_none_is_a_sentence(text):
    with pytest.raises(ValueError, match=r"not understood|characters"):
        protocol.decode(text)


def test_the_page_knows_the_same_constants():
    script = (pathlib.Path(protocol.__file__).parent / "static/core/protocol.js").read_text()
    assert f"VERSION = {protocol.VERSION};" in script
    assert f"LARGEST_MESSAGE = {protocol.LARGEST_MESSAGE};" in script
    assert f"FINAL = [{protocol.REFUSED}, {protocol.OUTDATED}];" in script


def test_every_message_of_the_server_has_its_receiver_in_the_page():
    script = (pathlib.Path(protocol.__file__).parent / "static/core/live.js").read_text()
    for message in get_args(protocol.ServerMessage):
        assert re.search(rf"^    {message.__struct_config__.tag}[(:]", script, re.MULTILINE), message


def test_the_page_sends_only_what_the_server_understands():
    folder = pathlib.Path(protocol.__file__).parent / "static"
    known = {message.__struct_config__.tag for message in get_args(protocol.ClientMessage)}
    sent = {tag for path in folder.rglob("core/live.js") for tag in re.findall(r'type: "(\w+)"', path.read_text())}
    assert sent == known
