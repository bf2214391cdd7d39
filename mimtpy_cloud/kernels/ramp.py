"""Stand-in."""

import numpy as np

_TERMS = {"constant": ("1",), "linear": ("1", "x", "y"), "quadratic": ("1", "x", "y", "x^2", "x y", "y^2")}


def ramp_terms(kind):
    return _TERMS[kind]


def _basis(x, y, kind):
    x, y = np.broadcast_arrays(x[np.newaxis], y[:, np.newaxis])
    all_ = {"1": np.ones_like(x), "x": x, "y": y, "x^2": x**2, "x y": x * y, "y^2": y**2}
    return np.stack([all_[t] for t in _TERMS[kind]])


def accumulate_ramp(values, x_km, y_km, kind, scale=1.0, weights=None):
    g = _basis(x_km / scale, y_km / scale, kind)
    ok = np.isfinite(values)
    w = np.where(ok, 1.0 if weights is None else weights, 0.0)
    d = np.where(ok, values, 0.0).astype(float)
    return np.concatenate(
        [
            [ok.sum(), w.sum(), (w * d * d).sum()],
            np.einsum("kyx,yx->k", g, w * d),
            np.einsum("kyx,lyx,yx->kl", g, g, w).ravel(),
        ]
    )


def normal_equations(vector, kind, scale):
    k = len(_TERMS[kind])
    s = scale ** np.array([0 if t == "1" else 1 if t in "xy" else 2 for t in _TERMS[kind]], float)
    return vector[3 + k :].reshape(k, k) * np.outer(s, s), vector[3 : 3 + k] * s, np.sqrt(vector[2] / vector[1])


def evaluate_ramp(coefficients, x_km, y_km, kind):
    return np.einsum("k,kyx->yx", coefficients, _basis(x_km, y_km, kind))
