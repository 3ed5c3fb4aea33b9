"""The verdict: what is known about a point, compared with a tolerance, in figures and in words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.certificate import words
from amtl_cvx.certificate.known import Known
from amtl_cvx.certificate.residuals import Residuals
from amtl_cvx.certificate.rules import RULES
from amtl_cvx.errors import ModelError
from amtl_cvx.model import Model
from amtl_cvx.notebook import paragraph
from amtl_cvx.tasks import Array, TaskSet

_EPS = float(np.finfo(np.float64).eps)
_KINKED, _SMOOTH = 16.0, 2.0**16  # what the scores are known to, in eps of the targets


@dataclass(frozen=True, kw_only=True, repr=False)
class Certificate(Known):
    """What is known about a point, in figures (`Known`) and in words; see the module essay."""

    def __repr__(self) -> str:
        return f"Certificate({self.verdict()})"

    def _repr_html_(self) -> str:
        return paragraph([self.verdict(), *self.sentences()])

    @property
    def runs_off(self) -> bool:
        """Whether no block alone gains more than the limit and J yet falls along growing predictors."""
        return self.level == "C1" and "minimum" in self.reasons

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: numbers that are not finite become null; and the version of the `rules`, every rung."""
        result = {"rules": RULES, **dataclasses.asdict(self)}
        result["reasons"] = dict(self.reasons)
        result["refused"] = list(self.refused)
        result["rungs"] = {
            rung.code: {"state": rung.state, "reason": rung.words} for rung in words.rungs(self)
        }
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in result.items()
        }

    def verdict(self) -> str:
        """One line: level, word and the figures that decide."""
        return words.verdict(self)

    def limit_words(self) -> str:
        """What the limit of the gains is."""
        return words.limit_words(self)

    def sentences(self) -> list[str]:
        """The certificate in plain words, up to C2; `rungs` goes on from there."""
        return words.sentences(self)


def resolution(tasks: TaskSet, model: Model) -> float:
    """Below what J is rounding, from J(0, 0): the scores are known to some K eps of the targets.

    K eps J(0, 0) with K = 16 for a loss with kinks, which is linear beside them, (K eps)^2 J(0, 0) with
    K = 2^16 for a smooth one, whose least values are squares.
    """
    at_zero = float(model.weighted_losses(tasks, np.zeros((tasks.d, tasks.T))).sum())
    return at_zero * ((_SMOOTH * _EPS) ** 2 if model.loss.smooth else _KINKED * _EPS)


class Bounds(NamedTuple):
    """First-order evidence beside the gaps, named as in `Certificate`; None has its reason in `reasons`."""

    sigma_min: float
    error_W: float | None
    error_B: float | None
    zeros_proven: int | None
    condition_W: float | None
    condition_B: float | None


def conclude(
    *,
    kind: str,
    objective: float,
    found: Residuals,
    relative: float,
    joint_relative: float,
    feasibility: float,
    gaps: tuple[float | None, float | None],
    gap_W_exact: bool,
    gain_W: float | None,
    gain_W_by: str = "none",
    resolution: float = 0.0,
    B: Array,
    tol: float,
    reasons: Mapping[str, str],
    bounds: Bounds | None = None,
) -> Certificate:
    """The verdict and the level: the one place where figures are compared with the tolerance.

    Without `bounds` (a curriculum) the steps have their gaps and nothing else is known about W and B. J >= 0,
    so no move gains more than J: where J is within the limit, so is what W and B can gain.
    """
    limit = max(tol * abs(objective), resolution)
    gap_W, gap_B = gaps
    feasible = feasibility <= 0.0
    if zero := objective <= resolution:
        gain_W, gain_W_by = objective, "value"
    judged = [math.inf if gain_W is None else gain_W, *([] if gap_B is None else [gap_B])]
    small = zero or (math.isfinite(sum(judged)) and sum(judged) <= limit)
    partial = small and (gap_B is not None or kind == "single-task" or zero)
    passes = feasible and relative <= tol and small and partial and "minimum" not in reasons
    level = None if not feasible else "C2" if passes else "C1" if partial else "C0"
    if bounds is None:
        sigma_min = float(np.linalg.svd(np.eye(len(B)) - B, compute_uv=False)[-1])
        bounds = Bounds(sigma_min, *[None] * 5)
        reasons = dict.fromkeys(Bounds._fields[1:], "only the gaps of the steps are computed") | dict(reasons)
    return Certificate(
        kind=kind,
        objective=objective,
        **found._asdict(),
        relative=relative,
        joint_relative=joint_relative,
        feasibility=feasibility,
        gap_W=gap_W,
        gap_B=gap_B,
        gap_W_exact=gap_W_exact,
        gain_W=gain_W,
        gain_W_by=gain_W_by,
        limit=limit,
        **bounds._asdict(),
        tol=tol,
        passes=bool(passes),
        level=level,
        edges=int(np.count_nonzero(B > 0)),
        zeros=int(np.count_nonzero(B <= 0)) - int(np.count_nonzero(np.diag(B) <= 0)),
        reasons=dict(reasons),
    )


def check_tolerance(tol: object) -> None:
    """Raise `ModelError` unless 0 < tol < 1."""
    if not is_number(tol) or not 0.0 < float(tol) < 1.0:
        raise ModelError(f"tol must lie between 0 and 1, got {tol!r}")
