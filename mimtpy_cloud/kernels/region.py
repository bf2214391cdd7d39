"""What misfits of a grid of models say: metrics, confidence regions and marginal distributions."""

import math

import numpy as np

from mimtpy_cloud.errors import ParameterError

__all__ = ["METRICS", "confidence_threshold", "evaluate_metric", "marginal"]

#: Names of metrics -> whether more is better.
METRICS: dict[str, bool] = {"rms": False, "misfit": False, "chi2": False, "loglike": True}


def evaluate_metric(
    misfit: np.ndarray, metric: str, *, count: int, terms: int, logdet: float, known: bool
) -> np.ndarray:
    """
    Turn misfits into another metric.

    Parameters
    ----------
    misfit : np.ndarray
        ``r^T C^-1 r``, or the sum of the squares of the residuals where the covariance is not known.
    metric : str
        One of `METRICS`.
    count : int
        Number of observations.
    terms : int
        Number of coefficients that were solved for each model.
    logdet : float
        Logarithm of the determinant of the covariance.
    known : bool
        Whether the covariance is.

    Returns
    -------
    np.ndarray
        ``"rms"``: ``sqrt(misfit / count)``. ``"misfit"``: itself. ``"chi2"``: ``misfit / (count - terms)``, the reduced
        chi-square. ``"loglike"``: ``-(misfit + logdet + count log 2 pi) / 2``, of Gaussian noise; where the covariance
        is not known, with the variance that makes it largest, ``misfit / count``.

    Raises
    ------
    ParameterError
        If there is no such metric.

    Examples
    --------
    >>> options = {"count": 3, "terms": 0, "logdet": -25.4250104852, "known": True}
    >>> [round(float(evaluate_metric(np.array(6.46102640998), m, **options)), 6) for m in ("rms", "loglike")]
    [1.467541, 6.725176]
    """
    if metric not in METRICS:
        raise ParameterError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
    if metric == "misfit":
        return misfit
    if metric == "rms":
        return np.sqrt(misfit / count)
    with np.errstate(divide="ignore", invalid="ignore"):
        if metric == "chi2":
            return misfit / float(count - terms)
        if known:
            return -0.5 * (misfit + logdet + count * math.log(2 * math.pi))
        return -0.5 * count * (np.log(2 * math.pi * misfit / count) + 1.0)


def confidence_threshold(
    misfit: np.ndarray, level: float, *, count: int, terms: int, parameters: int, known: bool
) -> float:
    """
    Find the misfit up to which models are in the confidence region.

    Parameters
    ----------
    misfit : np.ndarray
        Of all models, any shape; NaN where there is none.
    level : float
        Probability, between 0 and 1.
    count, terms : int
        Observations, and coefficients solved for each model.
    parameters : int
        Number of parameters that vary.
    known : bool
        Whether the covariance is; else noise is white and of one unknown variance.

    Returns
    -------
    float
        NaN if no model has a misfit, or there are no more observations than unknowns.

    Notes
    -----
    With a known covariance the misfit of the truth exceeds the smallest one by chi-square of as many degrees of freedom
    as parameters [1]_: ``m <= m_min + chi2_p(level)``. Else by the F test [2]_:
    ``m <= m_min (1 + p / (n - k - p) F_{p, n-k-p}(level))``. Both hold where the model is nearly linear in its
    parameters over the region, and the grid is finer than it.

    References
    ----------
    .. [1] Press, W. H. et al. (2007), Numerical Recipes, 3rd edition, Cambridge University Press, section 15.6.
    .. [2] Draper, N. R. and Smith, H. (1998), Applied Regression Analysis, 3rd edition, Wiley, section 24.3,
       doi:10.1002/9781118625590.

    Examples
    --------
    >>> options = {"count": 100, "terms": 3, "parameters": 1}
    >>> round(confidence_threshold(np.array([100.0, 120.0]), 0.95, known=True, **options), 2)
    103.84
    """
    from scipy import stats  # takes a while to load

    if not np.isfinite(misfit).any():
        return math.nan
    least, free = float(np.nanmin(misfit)), count - terms - parameters
    if parameters == 0:
        return least
    if known:
        return least + float(stats.chi2.ppf(level, parameters))
    if free < 1:
        return math.nan
    return least * (1.0 + parameters / free * float(stats.f.ppf(level, parameters, free)))


def marginal(misfit: np.ndarray, axis: int, *, free: int, known: bool) -> np.ndarray:
    """
    Integrate the probability of models over all parameters but one.

    Parameters
    ----------
    misfit : np.ndarray
        Of a grid of models, one dimension a parameter; NaN counts as impossible.
    axis : int
        The parameter that is kept.
    free : int
        Observations less coefficients that were solved.
    known : bool
        Whether the covariance is.

    Returns
    -------
    np.ndarray
        Probability of each value, sum one, for a prior in which all models of the grid are as likely; NaN if there is
        no model.

    Notes
    -----
    ``exp(-m / 2)`` with a known covariance, else ``m^(-free / 2)``: the variance integrated with the prior 1 / sigma.

    Examples
    --------
    >>> marginal(np.array([[0.0, 2.0], [2.0, 4.0]]), 0, free=9, known=True).round(3).tolist()
    [0.731, 0.269]
    """
    if not np.isfinite(misfit).any():
        return np.full(misfit.shape[axis], np.nan)
    least = float(np.nanmin(misfit))
    if known:
        power = -0.5 * (misfit - least)
    else:
        logarithm = np.log(np.maximum(misfit, np.finfo(float).tiny))  # a perfect model is finitely likelier
        power = -0.5 * free * (logarithm - np.nanmin(logarithm))
    weight = np.where(np.isfinite(misfit), np.exp(power), 0.0)
    total = weight.sum(axis=tuple(k for k in range(misfit.ndim) if k != axis))
    share: np.ndarray = total / total.sum()
    return share
