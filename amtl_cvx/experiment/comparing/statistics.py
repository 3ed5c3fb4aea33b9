"""What few numbers say: standard errors, paired intervals by Student's t, McNemar's exact test.

Differences d_1, ..., d_n of two methods over n parts of the data (splits, folds, draws), each pair on the
same rows, with mean m and standard deviation s (divisor n - 1):

    standard error       s / sqrt(n)
    interval             m +- q s / sqrt(n),  q the (1 + level)/2 quantile of t with n - 1 degrees of freedom
    p                    of the t statistic m sqrt(n) / s, two-sided

Parts that are drawn from the same rows again and again share training rows, so that their differences are
not independent and s / sqrt(n) is too small. For them the variance s^2 / n is taken as s^2 (1/n + r), r the
test rows of a part over its training rows (Nadeau, Bengio, Machine Learning 52, 2003, the corrected
resampled t).

On one part with classes two methods meet on the same test rows. Of the rows that one of them alone gets
right each side has half by chance, which is a binomial law: McNemar's test, exact.

    paired([10.0, 11.0, 12.0], [9.0, 10.5, 10.5]).low
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.errors import DataError

LEVEL = 0.95
"""Of the intervals, where nobody says."""


class Interval(NamedTuple):
    """A mean over n values, and where the mean of all that could be drawn lies; None where n < 2."""

    mean: float
    n: int
    se: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None

    @property
    def side(self) -> int:
        """1 where the interval lies above 0, -1 where below, 0 where it holds 0 or there is none."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0.0) - int(self.high < 0.0)


def standard_error(values: ArrayLike) -> float | None:
    """The standard deviation over the root of the number; None for fewer than two values."""
    found = _known(values)
    return float(stats.sem(found)) if len(found) > 1 and np.isfinite(found).all() else None


def interval(values: ArrayLike, *, level: float = LEVEL, overlap: float = 0.0) -> Interval:
    """Mean, standard error, interval and two-sided p of the mean against 0, by Student's t.

    Parameters
    ----------
    values : (n,) array_like
        Entries that are NaN are left out; where one is infinite so is the mean, without an interval.
    level : float
        The share of such intervals that hold the true mean.
    overlap : float
        Test rows over training rows, for parts that are drawn from the same rows; 0 for parts of their own.

    Raises
    ------
    DataError
        For a level outside of (0, 1), a negative overlap, or no values.
    """
    if not 0.0 < level < 1.0:
        raise DataError(f"the level of an interval lies between 0 and 1, got {level!r}: say 0.95")
    if not 0.0 <= overlap < math.inf:
        raise DataError(f"the overlap is test rows over training rows, >= 0, got {overlap!r}")
    found = _known(values)
    n = len(found)
    if not n:
        raise DataError("no values to take a mean of")
    with np.errstate(invalid="ignore"):
        mean = float(found.mean())
    if n < 2 or not math.isfinite(mean):
        return Interval(mean, n)
    se = float(found.std(ddof=1)) * math.sqrt(1.0 / n + overlap)
    if se <= 1e-14 * float(np.abs(found).max()):  # equal but for rounding
        return Interval(mean, n, 0.0, mean, mean, 1.0 if abs(mean) <= 0.0 else 0.0)
    law = stats.t(df=n - 1)
    half = float(law.ppf(0.5 * (1.0 + level))) * se
    return Interval(mean, n, se, mean - half, mean + half, float(2.0 * law.sf(abs(mean) / se)))


def paired(first: ArrayLike, second: ArrayLike, *, level: float = LEVEL, overlap: float = 0.0) -> Interval:
    """`interval` of first minus second, pair by pair; `DataError` for other numbers of them."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise DataError(f"expected as many values of both, pair by pair, got {a.shape} and {b.shape}")
    with np.errstate(invalid="ignore"):
        return interval(a - b, level=level, overlap=overlap)


class McNemar(NamedTuple):
    """How two methods do on the same rows: `first` and `second` count what that one alone gets right."""

    both: int
    first: int
    second: int
    neither: int
    p: float


def mcnemar(first: Sequence[bool] | Mask, second: Sequence[bool] | Mask) -> McNemar:
    """McNemar's exact test of two methods that are right or wrong on the same rows.

    Raises
    ------
    DataError
        For other numbers of rows.

    Examples
    --------
    >>> from amtl_cvx.experiment.comparing import mcnemar
    >>> mcnemar([True, True, True, False], [True, False, False, False])
    McNemar(both=1, first=2, second=0, neither=1, p=0.5)
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise DataError(f"expected both methods on the same rows, got {a.shape} and {b.shape}")
    ours, theirs = int((a & ~b).sum()), int((b & ~a).sum())
    p = float(stats.binomtest(min(ours, theirs), ours + theirs).pvalue) if ours + theirs else 1.0
    return McNemar(int((a & b).sum()), ours, theirs, int((~a & ~b).sum()), p)


def _known(values: Any) -> Array:
    found = np.asarray(values, dtype=np.float64).ravel()
    return found[~np.isnan(found)]
