"""Few-shot images with the convolutional NTK: how much the kernel of an infinite network learns from 4 to 64 per class.

The experiment of Arora et al. 2020 (arXiv 1910.01663, table of CIFAR-10): networks of 3×3 convolutions, ReLU and global
average pooling, n training images, accuracy on a test set, mean over draws.

    python examples/cifar_few_shot.py --images cifar10.npz --sizes 40 160 640 --depths 8 14 --test 1000 --draws 5

The file holds arrays x_train, y_train, x_test, y_test: images (n, height, width, channels) and numbers of classes.
Without one, the 8×8 digits of scikit-learn are used. All sizes of a draw share one kernel: a smaller set is the
beginning of the larger, with as many images of each class. With --out, what each draw gave is kept in a file of JSON
lines, and a run that was interrupted goes on behind the last of them.
"""

import argparse
import json
import os
import pathlib
import time

import numpy as np
from sklearn.datasets import load_digits

import widelimit as wl
from widelimit.arch import Zeros

RIDGE = 1e-4  # of the mean of the kernel's diagonal


def data(path):
    """Return training and test images, each pixel standardised over the training images, and their classes."""
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


def accuracy(train, cross, y, y_test):
    """Return the share of test images that kernel regression on one-hot targets gets right."""
    targets = (y[:, None] == np.arange(10)) - 0.1
    ridge = RIDGE * np.trace(train) / len(y)
    scores = cross @ np.linalg.solve(train + ridge * np.eye(len(y)), targets)
    return np.mean(scores.argmax(1) == y_test)


def measure(net, images, sizes, draw):
    """Return the accuracy for each size, and the seconds that the kernels took."""
    x, y, x_test, y_test = images
    chosen, kernel, start = balanced(y, max(sizes), draw), wl.NTK(net), time.perf_counter()
    train = np.asarray(kernel(x[chosen]), np.float64)
    cross = np.asarray(kernel(x_test, x[chosen]), np.float64)
    seconds = time.perf_counter() - start
    return [accuracy(train[:n, :n], cross[:, :n], y[chosen[:n]], y_test) for n in sizes], seconds


def main():
    """Print a table: one line per depth and size, as they are known."""
    small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", help="NPZ file with x_train, y_train, x_test, y_test")
    parser.add_argument("--depths", type=int, nargs="+", default=[2] if small else [4, 8])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20] if small else [40, 160])
    parser.add_argument("--test", type=int, default=20 if small else 200)
    parser.add_argument("--draws", type=int, default=1 if small else 3)
    parser.add_argument("--out", type=pathlib.Path, help="keep what each draw gave here, and go on behind it")
    args = parser.parse_args()
    x, y, x_test, y_test = data(args.images)
    images = x, y, x_test[: args.test], y_test[: args.test]
    lines = args.out.read_text().splitlines() if args.out and args.out.exists() else []
    kept = [json.loads(line) for line in lines if line.endswith("}")]
    for depth in args.depths:
        net, rows = network(depth), []
        print(f"depth {depth}: {wl.Auto().select(net, images[2], x[: max(args.sizes)])}")
        for draw in range(args.draws):
            key = {"depth": depth, "draw": draw, "sizes": args.sizes, "test": args.test, "images": args.images}
            row = next((one for one in kept if key.items() <= one.items()), None)
            if row is None:
                found, seconds = measure(net, images, args.sizes, draw)
                row = {**key, "accuracy": found, "seconds": seconds}
                if args.out:
                    with args.out.open("a") as file:
                        file.write(json.dumps(row) + "\n")
            rows.append(row)
            told = ", ".join(f"n={n} {a:.1%}" for n, a in zip(args.sizes, row["accuracy"], strict=True))
            print(f"  draw {draw}: {told}", flush=True)
        for n, column in zip(args.sizes, np.transpose([row["accuracy"] for row in rows]), strict=True):
            error = f" ± {column.std(ddof=1) / len(column) ** 0.5:.1%}" if len(column) > 1 else ""
            print(f"depth {depth}, n = {n}: {column.mean():.1%}{error} right on {len(images[2])}")
        print(f"depth {depth}: {np.mean([row['seconds'] for row in rows]):.0f} s per draw")


if __name__ == "__main__":
    main()
