"""Few-shot images with the convolutional NTK: how much the kernel of an infinite network learns from 4 to 64 per class.

The experiment of Arora et al. 2020 (arXiv 1910.01663, table of CIFAR-10): networks of 3×3 convolutions, ReLU and global
average pooling, n training images, accuracy on a test set, mean over draws.

    python examples/cifar_few_shot.py --images cifar10.npz --sizes 40 160 640 --depths 8 14 --test 1000 --draws 5

The file holds arrays x_train, y_train, x_test, y_test: images (n, height, width, channels) and numbers of classes.
Without one, the 8×8 digits of scikit-learn are used. All sizes of a draw share one kernel: a smaller set is the
beginning of the larger, with as many images of each class.
"""

import argparse
import os
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


def main():
    """Print a table: one line per depth and size, as they are known."""
    small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", help="NPZ file with x_train, y_train, x_test, y_test")
    parser.add_argument("--depths", type=int, nargs="+", default=[2] if small else [4, 8])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20] if small else [40, 160])
    parser.add_argument("--test", type=int, default=20 if small else 200)
    parser.add_argument("--draws", type=int, default=1 if small else 3)
    args = parser.parse_args()
    x, y, x_test, y_test = data(args.images)
    x_test, y_test = x_test[: args.test], y_test[: args.test]
    for depth in args.depths:
        net, found, start = network(depth), [], time.perf_counter()
        print(f"depth {depth}: {wl.Auto().select(net, x_test, x[: max(args.sizes)])}")
        for draw in range(args.draws):
            chosen = balanced(y, max(args.sizes), draw)
            kernel = wl.NTK(net)
            train = np.asarray(kernel(x[chosen]), np.float64)
            cross = np.asarray(kernel(x_test, x[chosen]), np.float64)
            found.append([accuracy(train[:n, :n], cross[:, :n], y[chosen[:n]], y_test) for n in args.sizes])
            print(f"  draw {draw}: " + ", ".join(f"n={n} {a:.1%}" for n, a in zip(args.sizes, found[-1], strict=True)))
        seconds = (time.perf_counter() - start) / args.draws
        for n, column in zip(args.sizes, np.transpose(found), strict=True):
            error = f" ± {column.std(ddof=1) / len(column) ** 0.5:.1%}" if len(column) > 1 else ""
            print(f"depth {depth}, n = {n}: {column.mean():.1%}{error} right on {len(y_test)}")
        print(f"depth {depth}: {seconds:.0f} s per draw")


if __name__ == "__main__":
    main()
