"""Builds that end before their time: deaths at every step, kills at random, two at once, disks that are full."""

import contextlib
import os
import resource
import shutil
import stat
import subprocess
import sys

import pytest
from grams import Product, Slow, X, build, files

from widelimit.gram import build_stored, open_stored, plan_stored, verify_stored


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a build that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole") / "gram.zarr"
    build(folder)
    return files(folder)


# Interruptions.


def stop_after(count, error=RuntimeError("stop")):
    def progress(done, total, what):
        if what == "tiles" and done == count:
            raise error

    return progress


def test_a_build_goes_on(tmp_path, whole):
    """Nothing that is there is computed again."""
    folder = tmp_path / "gram.zarr"
    for error in (RuntimeError("stop"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            build(folder, progress=stop_after(2 if error.args else 4, error))
    with pytest.raises(ValueError, match="is not finished"):
        open_stored(folder)
    told = []
    build(folder, progress=lambda *news: told.append(news))
    assert told == [*((i, 4, "checking") for i in range(1, 5)), *((i, 6, "tiles") for i in range(4, 7))]
    assert files(folder) == whole


def test_an_interrupt_says_what_is_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt, match=r"3 of 6 tiles are kept in .*gram.zarr. The same call goes on"):
        build(tmp_path / "gram.zarr", progress=stop_after(3, KeyboardInterrupt()))


class Died(BaseException):
    """The process ends here."""


@contextlib.contextmanager
def death_at(step, tear):
    """Die at one of the steps at which the disk changes: before it, and with half of what it writes if it is torn."""
    count = 0
    originals = {name: getattr(os, name) for name in ("fsync", "replace", "unlink")}

    def dying(name):
        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count == step:
                if tear and name == "fsync" and stat.S_ISREG(os.fstat(args[0]).st_mode):
                    os.ftruncate(args[0], os.fstat(args[0]).st_size // 2)
                raise Died
            return originals[name](*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in originals:
            patch.setattr(os, name, dying(name))
        yield


@pytest.mark.parametrize("stride", [19, pytest.param(1, marks=pytest.mark.slow)])
def test_death_at_every_step(tmp_path, whole, stride):
    """Before each flush, rename and removal, also with half-written files: the next build ends with the same bytes."""
    for tear in (False, True):
        for step in range(1, 1000, stride):
            folder = tmp_path / f"{tear}-{step}"
            try:
                with death_at(step, tear):
                    build(folder)
            except Died:
                build(folder)
                assert files(folder) == whole
                shutil.rmtree(folder)
            else:
                # The build got to its end: there are so many steps.
                assert step > 30
                break


SCRIPT = r"""
import os, random, shutil, signal, sys, time
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from grams import NET, X, Slow
import numpy as np
import widelimit as wl
from widelimit import gram

_, _, folder, kind, kills, seed = sys.argv
chance = random.Random(int(seed))

def build(progress=None):
    if kind == "slow":
        threads = gram.Distributed(threads=2)
        gram.build_stored(Slow(), X, folder, 3, label="product", schedule=threads, progress=progress)
    else:
        x = np.random.default_rng(0).standard_normal((300, 70)).astype(np.float32)
        gram.build_stored(wl.NTK(NET, engine=wl.engine.Native()), x, folder, 30, progress=progress)

done = 0
while done < int(kills):
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        build(lambda *news: os.write(write, b"."))
        os._exit(0)
    os.close(write)
    os.read(read, 1)
    time.sleep(chance.uniform(0, 0.15))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(read)
    if os.WIFSIGNALED(status):
        done += 1
        print("killed", sum(len(files) for _, _, files in os.walk(folder)), flush=True)
    else:
        shutil.rmtree(folder)
build()
"""


def killed(folder, kind, kills, seed=0):
    """Build in a process that is killed again and again, and return what it printed."""
    command = [sys.executable, "-c", SCRIPT, __file__, str(folder), kind, str(kills), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("killed") == kills
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
@pytest.mark.parametrize(
    ("kind", "kills"), [("slow", 3), *(pytest.param(k, 20, marks=pytest.mark.slow) for k in ("slow", "ntk"))]
)
def test_killed_at_random(tmp_path, kind, kills):
    """SIGKILL at random moments; the last build ends with the bytes of one that was left alone."""
    killed(tmp_path / "killed.zarr", kind, kills)
    if kind == "slow":
        build_stored(Slow(), X, tmp_path / "alone.zarr", 3, label="product")
    else:
        killed(tmp_path / "alone.zarr", kind, 0)
    assert files(tmp_path / "killed.zarr") == files(tmp_path / "alone.zarr")
    assert verify_stored(tmp_path / "killed.zarr") == {"slow": 36, "ntk": 55}[kind]


def test_two_builds_at_once_are_refused(tmp_path, whole):
    """By a lock of the system, so that the file that a killed process leaves holds nobody up."""
    folder = tmp_path / "gram.zarr"

    def progress(done, total, what):
        if done == 2:
            with pytest.raises(ValueError, match="is being built by another process"):
                build(folder)

    folder.mkdir()
    (folder / "build.lock").touch()
    build(folder, progress=progress)
    assert files(folder) == whole


# Disks.


def test_a_disk_that_takes_no_more(tmp_path, whole):
    """The system itself refuses to write so large a file: one sentence, and the next call goes on."""
    folder = tmp_path / "gram.zarr"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def progress(done, total, what):
        if done == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))

    try:
        with pytest.raises(ValueError, match=r"cannot be written: File too large. 2 of 6 tiles are kept.* 3 KB can be"):
            build(folder, progress=progress)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [name for name in files(folder) if name.endswith(".part")]
    build(folder)
    assert files(folder) == whole


def test_a_matrix_that_does_not_fit_is_refused_beforehand(tmp_path, monkeypatch):
    from widelimit.gram import _build

    monkeypatch.setattr(_build, "free_bytes", lambda path: 3000)
    with pytest.raises(ValueError, match=r"needs 4 KB on disk, and 3 KB are free there. Free some"):
        build(tmp_path / "gram.zarr")
    assert not (tmp_path / "gram.zarr").exists()
    plan = plan_stored(Product(), X, tmp_path / "gram.zarr", 9)
    assert (plan.disk, plan.tiles, plan.seconds, plan.free > 0) == (6 * 81 * 8, 6, None, True)


FULL = r"""
import sys, os
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from grams import Product, files
import numpy as np
from widelimit import gram
x = np.random.default_rng(0).standard_normal((300, 3))
def build(progress=None):
    return gram.build_stored(Product(), x, "disk/gram.zarr", 50, label="p", schedule=gram.InTurn(), progress=progress)
def fill(done, total, what):
    if done == 7:
        with open("disk/filler", "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)): pass
            except OSError: pass
try: build(fill)
except ValueError as error: print(error)
os.unlink("disk/filler")
build()
gram.build_stored(Product(), x, "alone.zarr", 50, label="p")
print(files(__import__("pathlib").Path("disk/gram.zarr")) == files(__import__("pathlib").Path("alone.zarr")))
"""


@pytest.mark.slow
def test_a_full_disk(tmp_path):
    """A small disk that something else fills while tiles are written."""
    (tmp_path / "disk").mkdir()
    inside = f"mount -t tmpfs -o size=700k none disk && exec {sys.executable} full.py {__file__}"
    (tmp_path / "full.py").write_text(FULL)
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "mount -t tmpfs none disk"], cwd=tmp_path).returncode
    ):
        pytest.skip("no disk can be mounted here")
    done = subprocess.run([*command, inside], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cannot be written: No space left on device. 7 of 21 tiles are kept" in done.stdout
    assert done.stdout.splitlines()[-1] == "True"
