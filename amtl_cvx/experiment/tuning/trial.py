"""Trial: one point of a tuning, its errors on the held-out rows of every split, and what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from amtl_cvx.experiment.tuning.axes import Value


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One point: its parameters and its errors.

    Parameters
    ----------
    parameters : mapping
        The values of the axes.
    errors : tuple of float
        The error of every split; infinite where a fit failed.
    seconds : float
        What its fits took in all; points that differ in their rounds share theirs. Not compared.
    failed : str
        What the first solver said that failed; "" where none did.
    growing, bounded : int
        On how many splits the fit ended as its predictors only grew, and at its bound of steps.
    """

    parameters: Mapping[str, Value]
    errors: tuple[float, ...]
    seconds: float = field(default=0.0, compare=False)
    failed: str = ""
    growing: int = 0
    bounded: int = 0

    @property
    def mean(self) -> float:
        """The mean error over the splits."""
        return float(np.mean(self.errors))

    @property
    def se(self) -> float | None:
        """Its standard error: the standard deviation over the splits, divided by the root of their number.

        None for one split, which does not tell. Folds share most of their training rows, so that it is a
        measure of how firm a choice is and no confidence interval.
        """
        if len(self.errors) < 2 or not math.isfinite(self.mean):
            return None
        return float(np.std(self.errors, ddof=1) / math.sqrt(len(self.errors)))

    @property
    def words(self) -> str:
        """The parameters in a line."""
        return ", ".join(f"{name} {shown(value)}" for name, value in self.parameters.items())

    @property
    def ended(self) -> str:
        """Where fits ended short of a first-order point, in words; "" where none did."""
        splits = f"of {len(self.errors)} splits" if len(self.errors) > 1 else "split"
        said = {"growing": self.growing, "at its bound of steps": self.bounded}
        return "; ".join(f"{word} on {count} {splits}" for word, count in said.items() if count)

    def row(self) -> dict[str, Any]:
        """As a row of a table."""
        splits = {f"split {k}": error for k, error in enumerate(self.errors, start=1)}
        ends = {"mean": self.mean, "se": self.se}
        said = {"failed": self.failed, "ended": self.ended}
        return {**self.parameters, **ends, **splits, "seconds": self.seconds, **said}

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; an infinite error is None."""
        finite = [error if math.isfinite(error) else None for error in self.errors]
        return {
            "parameters": dict(self.parameters),
            "errors": finite,
            "mean": self.mean if math.isfinite(self.mean) else None,
            "se": self.se,
            "seconds": self.seconds,
            "failed": self.failed,
            "growing": self.growing,
            "bounded": self.bounded,
        }


def shown(value: Value) -> str:
    """A value in a sentence."""
    return value if isinstance(value, str) else f"{value:.4g}"
