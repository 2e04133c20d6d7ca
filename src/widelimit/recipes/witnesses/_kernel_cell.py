import numpy as np

rng = np.random.default_rng(0)
width, ridge = 512, 1e-3
bias = 1.0  # set this to 0.0 and see the trap
x = np.linspace(-1, 1, 40)
y = np.sin(3 * x)
grid = np.linspace(-1, 1, 200)

# One hidden layer: f(x) = v · relu(w x + bias * b) / sqrt(width)
w, b, v = rng.normal(size=(3, width))


def f(x):
    return np.maximum(np.outer(x, w) + bias * b, 0) @ v / np.sqrt(width)


def gradient(x):
    # In (w, b, v): one row of 3 * width numbers per input.
    u = np.outer(x, w) + bias * b
    on = u > 0
    parts = [x[:, None] * on * v, bias * on * v, u * on]
    return np.concatenate(parts, 1) / np.sqrt(width)


# The kernel: inner products of gradients.
theta = gradient(x) @ gradient(x).T
theta_grid = gradient(grid) @ gradient(x).T

# Kernel ridge regression, from the function f of the start.
alpha = np.linalg.solve(theta + ridge * np.eye(len(x)), y - f(x))
prediction = f(grid) + theta_grid @ alpha

error = np.mean((prediction - np.sin(3 * grid)) ** 2)
print("largest eigenvalues", np.round(np.linalg.eigvalsh(theta)[:-5:-1], 3))
print("mean squared error", round(error, 4))
