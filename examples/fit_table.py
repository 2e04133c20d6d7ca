"""A table becomes a model that is kept in a folder, and predicts a new table: what `widelimit fit` and `predict` do."""

import csv
import dataclasses
import os
import pathlib
import tempfile

import numpy as np

from widelimit import recipes

small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
rows = 60 if small else 400
rng = np.random.default_rng(0)
area, rooms = rng.uniform(30, 150, rows), rng.integers(1, 6, rows)
town = np.array(["north", "south", "harbour"])[rng.integers(0, 3, rows)]
price = 2000 * area * (1 + 0.4 * (town == "harbour")) + 9000 * rooms + rng.normal(0, 15000, rows)

folder = pathlib.Path(tempfile.mkdtemp())
for name, part in (("train", slice(0, -5)), ("new", slice(-5, None))):
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["area", "rooms", "town", "price"] if name == "train" else ["area", "rooms", "town"])
        for row in zip(area[part].round(1), rooms[part], town[part], price[part].round(), strict=True):
            writer.writerow(row if name == "train" else row[:3])

config = recipes.FitConfig(depths=(1,) if small else (1, 2, 3))
fit = recipes.fit(str(folder / "train.csv"), "price", config)
print(fit.choice)
print(fit.document["verdict"])
for finding in fit.document["findings"]:
    print("!", finding["sentence"])

recipes.write_fit(fit, folder / "model")
model = recipes.read_model(folder / "model")
predicted = recipes.predict(model, str(folder / "new.csv"), level=0.9).columns
for true, mean, low, high in zip(price[-5:], predicted["mean"], predicted["low"], predicted["high"], strict=True):
    print(f"true {true:9.0f}   predicted {mean:9.0f}   90 % interval {low:9.0f} to {high:9.0f}")

# Through some of the rows alone, as is done by itself where there are more than 20,000.
few = recipes.fit(str(folder / "train.csv"), "price", dataclasses.replace(config, landmarks=30 if small else 100))
print("on landmarks:", few.document["verdict"])
