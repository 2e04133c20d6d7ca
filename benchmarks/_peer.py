"""The environment of the peer: neural-tangents needs releases of JAX and NumPy that no current code runs on."""

import pathlib
import subprocess
import sys

REQUIREMENTS = ["neural-tangents==0.6.5", "jax==0.4.23", "jaxlib==0.4.23", "numpy<2", "scipy<1.13"]
DEFAULT = pathlib.Path(__file__).parent / ".peer"


def interpreter(folder: pathlib.Path) -> pathlib.Path | None:
    """Return the interpreter of a finished environment, None where there is none."""
    complete = _stamp(folder).is_file() and _stamp(folder).read_text().split("\n") == REQUIREMENTS
    return _python(folder) if complete else None


def build(folder: pathlib.Path, python: str = sys.executable) -> pathlib.Path:
    """Return the interpreter of the peer's environment, which is made first if need be (2.6 GB, some minutes).

    Raises
    ------
    ValueError
        If ``python`` is newer than 3.12: the peer's jaxlib has no build for it.
    """
    found = interpreter(folder)
    if found is not None:
        return found
    code = "import sys; print(*sys.version_info[:2])"
    version = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    if not (3, 9) <= tuple(map(int, version)) <= (3, 12):
        raise ValueError(f"{python} is Python {'.'.join(version)}; the peer needs 3.9 to 3.12: give --peer-python.")
    print(f"building the peer's environment in {folder} (2.6 GB) ...", file=sys.stderr)
    subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    subprocess.run([_python(folder), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    _stamp(folder).write_text("\n".join(REQUIREMENTS))
    return _python(folder)


def _python(folder: pathlib.Path) -> pathlib.Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _stamp(folder: pathlib.Path) -> pathlib.Path:
    return folder / "requirements-installed.txt"
