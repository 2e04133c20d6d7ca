"""A page without a browser: speaks the protocol over a WebSocket."""

import json

import websockets.exceptions
import websockets.sync.client

from widelimit.lab import _protocol as protocol


class Client:
    """One connection; frames are acknowledged, everything that was heard is kept."""

    def __init__(self, address, token=None, version=protocol.VERSION, greet=True):
        self.base, _, self.given = address.partition("/#token=")
        url = self.base.replace("http", "ws", 1) + "/lab"
        self.socket = websockets.sync.client.connect(url, origin=self.base, max_size=2**24, proxy=None)
        self.texts, self.frames = [], []
        if greet:
            self.greet(token, version)

    def greet(self, token=None, version=protocol.VERSION):
        """Say hello; by default with the token of the address."""
        self.send({"type": "hello", "token": self.given if token is None else token, "version": version})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, message):
        self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def hear(self, timeout=60):
        """Return the next message: a dict, or header and arrays of a frame."""
        message = self.socket.recv(timeout)
        if isinstance(message, str):
            self.texts.append(json.loads(message))
            return self.texts[-1]
        header, arrays = protocol.decode_frame(message)
        self.frames.append((header, arrays))
        self.send({"type": "ack", "run": header.run, "frame": header.frame})
        return header, arrays

    def until(self, wanted, timeout=60):
        """Return the first message for which ``wanted`` holds."""
        while True:
            message = self.hear(timeout)
            if wanted(message):
                return message

    def task(self, number, kind, payload, timeout=120):
        """Return the answer of a task."""
        self.send({"type": "start", "task": number, "kind": kind, "payload": payload})
        return self.until(
            lambda m: isinstance(m, dict) and m["type"] in ("result", "failed") and m["task"] == number, timeout
        )


def is_frame(message):
    return isinstance(message, tuple)


def is_phase(*names):
    return lambda m: isinstance(m, dict) and m["type"] == "phase" and m["phase"] in names
