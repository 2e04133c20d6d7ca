"""The race from Python: finite networks of several widths against their infinite-width limit."""

import os
import pathlib

from widelimit import recipes

small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
config = recipes.RaceConfig(
    recipes.Architecture(depth=2, activation="erf"),
    widths=(16, 64) if small else (32, 128, 512, 2048),
    seeds=2 if small else 5,
    steps=16 if small else None,
)
report = recipes.race(recipes.load("sine"), config)
recipes.write_race(report.to_dict(), pathlib.Path("race-sine"))
for trend in report.trends:
    print(f"{trend.quantity:20s} width^({trend.slope.exponent:.2f} ± {trend.slope.standard_error:.2f})  {trend.theory}")
print(report.verdict)
