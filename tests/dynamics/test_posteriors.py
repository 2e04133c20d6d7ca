"""Both posteriors against explicit inverses."""

import numpy as np

import widelimit as wl
from widelimit.dynamics import posteriors

RNG = np.random.default_rng(0)
X, Y, AT = RNG.standard_normal((9, 2)), RNG.standard_normal((9, 2)), RNG.standard_normal((4, 2))
NET = wl.serial(wl.Dense(8, 1.4, 0.3), wl.Erf(), wl.Dense(1, 1.2, 0.1))


def test_they_are_those_of_explicit_inverses():
    nngp, ntk, noise = wl.NNGP(NET), wl.NTK(NET), 0.2
    found = posteriors(NET, X, Y, AT, noise=noise)
    for one, governing in ((found.bayesian, nngp), (found.ensemble, ntk)):
        a = governing(AT, X) @ np.linalg.inv(governing(X) + noise * np.eye(9))
        mixed = a @ nngp(X, AT)
        covariance = nngp(AT) + a @ (nngp(X) + noise * np.eye(9)) @ a.T - mixed - mixed.T
        np.testing.assert_allclose(one.mean, a @ Y, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(one.covariance, covariance, rtol=1e-8, atol=1e-10)
    inverse = np.linalg.inv(nngp(X) + noise * np.eye(9))
    posterior = nngp(AT) - nngp(AT, X) @ inverse @ nngp(X, AT)
    np.testing.assert_allclose(found.bayesian.covariance, posterior, rtol=1e-8, atol=1e-10)
