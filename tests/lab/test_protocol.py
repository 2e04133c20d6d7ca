"""Messages: one definition, on both sides."""

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
