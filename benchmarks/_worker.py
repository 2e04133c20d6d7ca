"""The other end of `_serve`: start a side as a process of its own, and ask it."""

import json
import os
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
# Large buffers come from the system and go back to it, so that resident memory shows what is in use.
EXACT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}


class Worker:
    """A side that runs in an interpreter of its own and is idle unless asked; a context manager.

    Parameters
    ----------
    side
        Name in the tables; ``_<side>_worker.py`` is its script.
    python
        Its interpreter.
    environment
        Variables beside those of this process.
    """

    def __init__(self, side: str, python: str | pathlib.Path, environment: dict[str, str] | None = None):
        self.side = side
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONWARNINGS": "ignore"}
        self.process = subprocess.Popen(
            [str(python), str(HERE / f"_{side}_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, **quiet, **(environment or {})},
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def ask(self, do: str, **fields: object) -> dict:
        """Return the answer to a request.

        Raises
        ------
        RuntimeError
            If the side fails or has ended.
        """
        try:
            print(json.dumps({"do": do, **fields}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.log.seek(0)
            raise RuntimeError(f"the side '{self.side}' has ended; its log closes with\n{self.log.read()[-2000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"the side '{self.side}' failed to {do} {fields}: {answer['error']}")
        return answer
