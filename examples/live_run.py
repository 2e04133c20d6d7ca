"""One network watched while it trains, beside its linearisation and its infinite-width limit: the numbers of the lab.

Prints how far the three are apart in four states, and the script that reproduces one of them.
"""

import os

from widelimit.recipes import live

STEPS = 50 if os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small" else 800
STATES = {
    "narrow, bold step": live.LiveConfig(width=64),
    "wide": live.LiveConfig(width=4096),
    "mean-field": live.LiveConfig(width=1024, parameterization="mean_field"),
    "frozen features": live.LiveConfig(width=64, freeze=True),
}

print(f"{'after ' + str(STEPS) + ' steps':<20}{'gap to linearisation':>22}{'kernel moved':>14}")
for name, config in STATES.items():
    numbers = live.measure(config, STEPS).frame.numbers
    print(f"{name:<20}{numbers['gap']:>22.1%}{numbers['kernel_change']:>14.1%}")

print("\nThe first state as code:\n")
print(live.snippet(STATES["narrow, bold step"], STEPS))
