"""One process of the lab's benchmark: how long a reader waits, as JSON on stdout."""

import dataclasses
import json
import time

import jax

from widelimit.recipes.live import LiveConfig, LivePhase, LiveRun, compile_ahead, neighbours

LARGEST = {
    "width 4096": LiveConfig(width=4096, points=32),
    "2 layers of 1024": LiveConfig(width=1024, depth=2, points=32),
    "6 layers of 512": LiveConfig(width=512, depth=6, points=32),
}


def first_frame(config: LiveConfig) -> float:
    """Return the seconds until the opening of a run and its first step are there."""
    began = time.perf_counter()
    run = LiveRun.open(config)
    run.advance(1)
    assert run.opening.step == 0
    return time.perf_counter() - began


def frames_per_second(config: LiveConfig, seconds: float = 3.0) -> float:
    """Return the rate of frames at the pace of the lab."""
    run = LiveRun.open(config)
    run.advance(1)
    began, frames = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        if run.advance(run.pace()).phase is not LivePhase.TRAINING:
            run.rewind()
        frames += 1
    return frames / (time.perf_counter() - began)


def main() -> None:
    """Measure, and print."""
    jax.numpy.zeros(1).block_until_ready()
    default = LiveConfig()
    found = {"first_s": first_frame(default)}
    found["value_s"] = first_frame(dataclasses.replace(default, weight_std=1.1, target="bump", seed=1, step=0.5))
    found["width_s"] = first_frame(dataclasses.replace(default, width=128))
    found["width_again_s"] = first_frame(dataclasses.replace(default, width=128, seed=2))
    found["activation_s"] = first_frame(dataclasses.replace(default, activation="relu"))
    found["depth_s"] = first_frame(dataclasses.replace(default, depth=2))
    began, near = time.perf_counter(), neighbours(default)
    for config in near:
        compile_ahead(config, lambda: None)
    found["neighbours_s"] = time.perf_counter() - began
    found["ahead_s"] = max(first_frame(dataclasses.replace(config, seed=3)) for config in near)
    rates = {"default": frames_per_second(default)}
    rates |= {name: frames_per_second(config) for name, config in LARGEST.items()}
    print(json.dumps({**found, "rates": rates}))


if __name__ == "__main__":
    main()
