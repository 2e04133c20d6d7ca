"""Kernels of wide networks in scikit-learn: a pipeline, a search, probabilities, and an optimised Gaussian process."""

import os

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import widelimit as wl
from widelimit import gp
from widelimit.sklearn import NNGPKernel, NTKClassifier, NTKRegressor

small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
size = 80 if small else 350

x, y = load_diabetes(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, train_size=size, random_state=0)
model = make_pipeline(StandardScaler(), NTKRegressor())
grid = {"ntkregressor__depth": [1, 3], "ntkregressor__activation": [wl.Relu(), wl.Erf()]}
search = GridSearchCV(model, grid, cv=3).fit(x_train, y_train)
mean, std = search.predict(x_test), search.best_estimator_.predict(x_test, return_std=True)[1]
print("best:", search.best_params_)
print(f"R² {search.score(x_test, y_test):.2f}, {np.mean(np.abs(mean - y_test) < 1.96 * std):.0%} within 95 % intervals")

scaled = StandardScaler().fit(x_train)
kernel = ConstantKernel(1.0) * NNGPKernel(depth=1, activation=wl.Erf()) + WhiteKernel(0.5)
process = GaussianProcessRegressor(kernel, normalize_y=True).fit(scaled.transform(x_train), y_train)
print(f"optimised NNGP: {process.kernel_}, R² {process.score(scaled.transform(x_test), y_test):.2f}")

x, y = load_breast_cancer(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, train_size=size, random_state=0, stratify=y)
for calibration in (gp.Temperature(), gp.Dirichlet()):
    model = make_pipeline(StandardScaler(), NTKClassifier(depth=2, calibration=calibration)).fit(x_train, y_train)
    loss = log_loss(y_test, model.predict_proba(x_test))
    print(f"{type(calibration).__name__}: accuracy {model.score(x_test, y_test):.1%}, log loss {loss:.3f}")
