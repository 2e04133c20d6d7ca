"""Few-shot images with the convolutional NTK: how much the kernel of an infinite network learns from 4 to 64 per class.

The experiment of Arora et al. 2020 (arXiv 1910.01663, table of CIFAR-10): networks of 3×3 convolutions, ReLU and global
average pooling, n training images, accuracy on a test set, mean over draws.

    python examples/cifar_few_shot.py --images cifar10.npz --sizes 40 160 640 --depths 8 14 --test 1000 --draws 5

The file holds arrays x_train, y_train, x_test, y_test: images (n, height, width, channels) and numbers of classes.
Without one, the 8×8 digits of scikit-learn are used. The kernels of all depths come from one pass, and all sizes of a
draw share them: a smaller set is the beginning of the larger, with as many images of each class. With --out, how many
test images were right is kept, block by block, in a file of JSON lines, and a run that was interrupted goes on behind
the last of them. With --plot, a figure is written; with --images it also has the published accuracies of CIFAR-10.
"""

import argparse
import json
import os
import pathlib
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import widelimit as wl
from widelimit.arch import Zeros

RIDGE = 1e-4  # of the mean of the kernel's diagonal
PUBLISHED = {  # of Arora et al. 2020, CIFAR-10
    "CNTK of depth 14, published": [15.33, 18.79, 21.34, 25.48, 30.48, 36.57, 42.63],
    "ResNet-34, published": [14.59, 17.50, 19.52, 23.32, 28.30, 33.15, 41.66],
}
PUBLISHED_SIZES = [10, 20, 40, 80, 160, 320, 640]


def data(path):
    """Return training and test images, each channel standardised over the training images, and their classes."""
    if path is None:
        x, y = load_digits(return_X_y=True)
        x = x.reshape(-1, 8, 8, 1)
        arrays = {"x_train": x[:1200], "y_train": y[:1200], "x_test": x[1200:], "y_test": y[1200:]}
    else:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    x, x_test = (arrays[name].astype(np.float32) for name in ("x_train", "x_test"))
    mean, std = x.mean((0, 1, 2)), x.std((0, 1, 2))
    return (x - mean) / std, arrays["y_train"], (x_test - mean) / std, arrays["y_test"]


def network(depth):
    """Return ``depth`` convolutions with ReLU, global average pooling and a readout."""
    block = (wl.Conv(64, (3, 3), weight_std=2**0.5, padding=Zeros()), wl.Relu())
    return wl.serial(*block * depth, wl.GlobalAvgPool(), wl.Dense(1))


def balanced(y, n, seed):
    """Return n indices in random order, of which every prefix of whole rounds has each class equally often."""
    rng = np.random.default_rng(seed)
    each = np.bincount(y).min()
    classes = [rng.permutation(np.flatnonzero(y == c))[:each] for c in np.unique(y)]
    return np.stack(classes, 1).ravel()[:n]


def right(train, cross, y, y_test):
    """Return how many test images kernel regression on one-hot targets gets right."""
    targets = (y[:, None] == np.arange(10)) - 0.1
    ridge = RIDGE * np.trace(train) / len(y)
    scores = cross @ np.linalg.solve(train + ridge * np.eye(len(y)), targets)
    return int(np.sum(scores.argmax(1) == y_test))


def measure(depths, images, sizes, draw, blocks):
    """Yield for each block of test images the numbers that are right, for each depth and size, and the seconds."""
    x, y, x_test, y_test = images
    chosen, kernels, start = balanced(y, max(sizes), draw), [wl.NTK(network(d)) for d in depths], time.perf_counter()
    trains = [np.asarray(k, np.float64) for k in wl.kernels.together(kernels, x[chosen])]
    for low, high in blocks:
        crosses = [np.asarray(k, np.float64) for k in wl.kernels.together(kernels, x_test[low:high], x[chosen])]
        seconds, start = time.perf_counter() - start, time.perf_counter()
        found = [
            [right(train[:n, :n], cross[:, :n], y[chosen[:n]], y_test[low:high]) for n in sizes]
            for train, cross in zip(trains, crosses, strict=True)
        ]
        yield (low, high), found, seconds


def record(file, key, measured):
    """Return all rows of a draw: those that a file keeps, and behind them what is measured anew."""
    text = file.read_text() if file and file.exists() else ""
    rows = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    rows = [row for row in rows if key.items() <= row.items()]
    # The last line may have been cut off.
    between = "" if text.endswith("\n") or not text else "\n"
    for block, found, seconds in measured([tuple(row["block"]) for row in rows]):
        rows.append({**key, "block": block, "right": found, "seconds": seconds})
        if file:
            with file.open("a") as out:
                out.write(between + json.dumps(rows[-1]) + "\n")
            between = ""
    return rows


def plot(file, depths, sizes, shares, published):
    """Draw accuracy against the number of training images; ``shares`` is of shape (draws, depths, sizes)."""
    figure, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
    for name, style, colour in zip(published, "os", ("#22252a", "#9aa1a9"), strict=False):
        ax.plot(PUBLISHED_SIZES, published[name], style, color=colour, markersize=5, fillstyle="none", label=name)
    told = f"{len(shares)} draws, mean ± its standard error" if len(shares) > 1 else "one draw"
    for k, (depth, colour) in enumerate(zip(depths, ("#2a7f62", "#33658a", "#c8553d", "#8a6d33"), strict=False)):
        mean, error = 100 * shares[:, k].mean(0), None
        if len(shares) > 1:
            error = 100 * shares[:, k].std(0, ddof=1) / len(shares) ** 0.5
        label = f"CNTK of depth {depth}, here ({told})"
        ax.errorbar(sizes, mean, error, color=colour, capsize=3, linewidth=1.8, label=label)
    ax.set_xscale("log")
    ax.set_xticks(sizes, [str(n) for n in sizes])
    ax.minorticks_off()
    ax.set_xlabel("training images, as many of each class")
    ax.set_ylabel("test images that are right, %")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    figure.savefig(file, dpi=160)


def main():
    """Print a table: one line per depth and size, as they are known."""
    small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=pathlib.Path, help="NPZ file with x_train, y_train, x_test, y_test")
    parser.add_argument("--depths", type=int, nargs="+", default=[2] if small else [4, 8])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20] if small else [40, 160])
    parser.add_argument("--test", type=int, default=20 if small else 200)
    parser.add_argument("--draws", type=int, default=1 if small else 3)
    parser.add_argument("--block", type=int, default=100, help="test images at a time")
    parser.add_argument("--plot", type=pathlib.Path, help="draw a figure into this file")
    parser.add_argument("--out", type=pathlib.Path, help="keep what each block gave here, and go on behind it")
    args = parser.parse_args()
    x, y, x_test, y_test = data(args.images)
    images = x, y, x_test[: args.test], y_test[: args.test]
    blocks = [(low, min(low + args.block, len(images[2]))) for low in range(0, len(images[2]), args.block)]
    print(wl.Auto().select(network(max(args.depths)), images[2], x[: max(args.sizes)]))
    shares, seconds = [], []
    for draw in range(args.draws):
        key = {"draw": draw, "depths": args.depths, "sizes": args.sizes, "images": args.images and args.images.name}

        def measured(known, draw=draw):
            todo = [block for block in blocks if block not in known]
            return measure(args.depths, images, args.sizes, draw, todo) if todo else ()

        rows = [row for row in record(args.out, key, measured) if tuple(row["block"]) in blocks]
        shares.append(np.sum([row["right"] for row in rows], axis=0) / len(images[2]))
        seconds.append(sum(row["seconds"] for row in rows))
        for depth, row in zip(args.depths, shares[-1], strict=True):
            told = ", ".join(f"n={n} {share:.1%}" for n, share in zip(args.sizes, row, strict=True))
            print(f"draw {draw}, depth {depth}: {told}", flush=True)
    for k, depth in enumerate(args.depths):
        for i, n in enumerate(args.sizes):
            found = np.array([share[k, i] for share in shares])
            error = f" ± {found.std(ddof=1) / len(found) ** 0.5:.1%}" if len(found) > 1 else ""
            print(f"depth {depth}, n = {n}: {found.mean():.1%}{error} right on {len(images[2])}")
    print(f"{np.mean(seconds):.0f} s per draw")
    if args.plot:
        plot(args.plot, args.depths, args.sizes, np.array(shares), PUBLISHED if args.images else {})


if __name__ == "__main__":
    main()
