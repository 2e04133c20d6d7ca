"""Every message between page and server, defined once.

Control messages are JSON texts tagged by ``type``. A binary message is one frame of a live run: four bytes with the
length of the header (little endian), the header as JSON, padded with spaces to a multiple of four bytes, then the
arrays of the header, one after the other, as little-endian float32 in C order.

The page opens one WebSocket at ``/lab`` and says `Hello` first. It numbers its runs and tasks itself, upwards; what
belongs to an older run is dropped on both sides.
"""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec
import numpy as np

from ..recipes.live import Change, LiveConfig

VERSION = 1
LARGEST_MESSAGE = 65536
"""Characters of the longest message of a page."""
UNACKNOWLEDGED = 2
FRAMES_PER_SECOND = 30

REFUSED, OUTDATED, SILENT, FULL = 4401, 4406, 4408, 4429
"""Codes with which the server closes: wrong token, other version, no greeting in time, too many pages."""

TaskKind = Literal["exhibit", "check", "cell", "measure", "snippet"]
Phase = Literal["compiling", "training", "paused", "converged", "diverged"]


class AbstractClientMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """A message of the page."""


class Hello(AbstractClientMessage, frozen=True, tag="hello"):
    """The first message; the token is the one of the address the server printed."""

    token: str
    version: int


class Open(AbstractClientMessage, frozen=True, tag="open"):
    """Start run ``run`` in this state; it replaces the run before. It starts paused at step 0 unless ``play``."""

    run: int
    config: LiveConfig
    play: bool = True
    pace: int = 0


class Play(AbstractClientMessage, frozen=True, tag="play"):
    """Train on."""

    run: int


class Pause(AbstractClientMessage, frozen=True, tag="pause"):
    """Stop after the frame that is being made."""

    run: int


class Step(AbstractClientMessage, frozen=True, tag="step"):
    """Make ``steps`` gradient steps, send one frame, and pause."""

    run: int
    steps: int = 1


class Rewind(AbstractClientMessage, frozen=True, tag="rewind"):
    """Go back to step 0 with the same initial parameters, and pause."""

    run: int


class Pace(AbstractClientMessage, frozen=True, tag="pace"):
    """At most so many gradient steps per frame; 0 grows them with the step number, so that all time scales are seen."""

    run: int
    steps: int


class Ack(AbstractClientMessage, frozen=True, tag="ack"):
    """Frame ``frame`` has been drawn."""

    run: int
    frame: int


class Start(AbstractClientMessage, frozen=True, tag="start"):
    """Run a task: an experiment, the check of a witness, a code cell, a measurement, a snippet of code."""

    task: int
    kind: TaskKind
    payload: dict[str, Any]


class Cancel(AbstractClientMessage, frozen=True, tag="cancel"):
    """Stop a task; nothing more is heard of it but `Failed`."""

    task: int


class AbstractServerMessage(msgspec.Struct, frozen=True, tag_field="type"):
    """A message of the server."""


class Welcome(AbstractServerMessage, frozen=True, tag="welcome"):
    """The answer to `Hello`."""

    version: int
    library: str
    cells: bool
    """Whether code cells may run."""


class Opened(AbstractServerMessage, frozen=True, tag="opened"):
    """Run ``run`` has begun, in this state; ``changes`` says what had to be clamped."""

    run: int
    config: LiveConfig
    changes: tuple[Change, ...]


class PhaseChange(AbstractServerMessage, frozen=True, tag="phase"):
    """What run ``run`` is doing, and the words for it."""

    run: int
    phase: Phase
    text: str


class Progress(AbstractServerMessage, frozen=True, tag="progress"):
    """How far a task has come."""

    task: int
    done: float
    total: float
    text: str


class Result(AbstractServerMessage, frozen=True, tag="result"):
    """A task has ended well."""

    task: int
    value: Any


class Failed(AbstractServerMessage, frozen=True, tag="failed"):
    """A task (or, with task 0, run ``run``) has failed or was refused; ``text`` is a sentence for people."""

    task: int
    text: str
    run: int = 0


class Array(msgspec.Struct, frozen=True):
    """Name and shape of an array of a frame."""

    name: str
    shape: tuple[int, ...]


class Header(msgspec.Struct, frozen=True):
    """What a frame says before its arrays.

    ``opening`` frames come once, at step 0, with all that does not change during the run.
    """

    run: int
    frame: int
    opening: bool
    step: int
    numbers: dict[str, float | None]
    sentence: str
    arrays: tuple[Array, ...]


ClientMessage = Hello | Open | Play | Pause | Step | Rewind | Pace | Ack | Start | Cancel
ServerMessage = Welcome | Opened | PhaseChange | Progress | Result | Failed

_decoder = msgspec.json.Decoder(ClientMessage)
_header = msgspec.json.Decoder(Header)
_encoder = msgspec.json.Encoder()


def decode(text: str | bytes) -> ClientMessage:
    """Return the message in a text.

    Raises
    ------
    ValueError
        If it is too long, no JSON, or no message of the page.
    """
    if len(text) > LARGEST_MESSAGE:
        raise ValueError(f"the message has {len(text)} characters; at most {LARGEST_MESSAGE} are read.")
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"the message is not understood: {error}.") from None


def encode(message: ServerMessage) -> str:
    """Return a message as text."""
    return _encoder.encode(message).decode()


def encode_frame(header: Header, arrays: dict[str, np.ndarray]) -> bytes:
    """Return a frame as bytes; the header's list of arrays is taken from ``arrays``."""
    listed = tuple(Array(name, value.shape) for name, value in arrays.items())
    head = _encoder.encode(msgspec.structs.replace(header, arrays=listed))
    head += b" " * (-len(head) % 4)
    data = b"".join(np.ascontiguousarray(value, "<f4").tobytes() for value in arrays.values())
    return struct.pack("<I", len(head)) + head + data


def decode_frame(data: bytes) -> tuple[Header, dict[str, np.ndarray]]:
    """Return header and arrays of a frame, as the page reads it."""
    (length,) = struct.unpack_from("<I", data)
    header, offset, arrays = _header.decode(data[4 : 4 + length]), 4 + length, {}
    for array in header.arrays:
        size = int(np.prod(array.shape))
        arrays[array.name] = np.frombuffer(data, "<f4", size, offset).reshape(array.shape)
        offset += 4 * size
    return header, arrays
