"""The verdict: what is known about a point, compared with a tolerance, in figures and in words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.certificate import words
from amtl_cvx.certificate.levels import Rung
from amtl_cvx.certificate.residuals import Residuals
from amtl_cvx.certificate.rules import RULES
from amtl_cvx.errors import ModelError
from amtl_cvx.known import VERDICT, Known, figures, with_figures
from amtl_cvx.notebook import paragraph
from amtl_cvx.problem import Problem
from amtl_cvx.problem.coupling import difference
from amtl_cvx.tasks import Array

_EPS = float(np.finfo(np.float64).eps)
_KINKED, _SMOOTH = 16.0, 2.0**16  # what the scores are known to, in eps of the targets


@with_figures
@dataclass(frozen=True, kw_only=True, repr=False)
class Certificate(Known):
    """What is known about a point (W, B): figures, a verdict, a level; certificate.json is its `to_dict`.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, TaskSet, certify
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [0.0, 1.0]])
    >>> model = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5)
    >>> found = certify(tasks, model, np.eye(2) / 2, np.zeros((2, 2)))
    >>> found.level, found.passes, found.edges, found.zeros_proven
    ('C2', True, 0, 2)
    >>> certify(tasks, model, np.eye(2), np.zeros((2, 2))).reasons["relative_W"]
    "w of 'task 0' for feature 0 is off by 1 of the terms of its own condition"
    """

    def __repr__(self) -> str:
        return f"Certificate({self.verdict()})"

    def _repr_html_(self) -> str:
        return paragraph([self.verdict(), *self.sentences()])

    @property
    def runs_off(self) -> bool:
        """Whether no block alone gains more than the limit and J yet falls along growing predictors."""
        return self.level == "C1" and bool({"minimum", "growth"} & self.reasons.keys())

    @property
    def settled(self) -> bool:
        """Whether the point passes and a move of both blocks does not lower J either: a fit is done."""
        return self.passes and "valley" not in self.reasons

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

    def rungs(self) -> tuple[Rung, ...]:
        """Every level of the ladder with its state, in words."""
        return words.rungs(self)

    def limit_words(self) -> str:
        """What the limit of the gains is."""
        return words.limit_words(self)

    def sentences(self) -> list[str]:
        """The certificate in plain words, up to C2; `rungs` goes on from there."""
        return words.sentences(self)


def resolution(problem: Problem) -> float:
    """Below what J is rounding, from J(0, 0): the scores are known to some K eps of the targets.

    K eps J(0, 0) with K = 16 for a loss with kinks, which is linear beside them, (K eps)^2 J(0, 0) with
    K = 2^16 for a smooth one, whose least values are squares.
    """
    at_zero = float((problem.task_weight * problem.losses_at_zero).sum())
    return at_zero * ((_SMOOTH * _EPS) ** 2 if problem.model.loss.smooth else _KINKED * _EPS)


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
    others: Mapping[str, Any] | None = None,
    unknown: str = "only the gaps of the steps are computed",
) -> Certificate:
    """The verdict and the level: the one place where figures are compared with the tolerance.

    `others` are the figures that are reported and not judged. Without them (a curriculum) the steps have
    their gaps, and what is not known is so because of `unknown`. J >= 0, so no move gains more than J: where
    J is within the limit, so is what W and B can gain.
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
    if alone := others is None:
        others = {"sigma_min": float(np.linalg.svd(difference(B), compute_uv=False)[-1])}
    edges = int(np.count_nonzero(B) - np.count_nonzero(np.diag(B)))
    certificate = Certificate(
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
        **others,
        tol=tol,
        passes=bool(passes),
        level=level,
        edges=edges,
        zeros=B.size - len(B) - edges,
        reasons=dict(reasons),
    )
    if not alone:
        return certificate
    unsaid = [
        figure.name
        for figure in figures()
        if figure.group != VERDICT and not figure.group.level and getattr(certificate, figure.name) is None
    ]
    return replace(certificate, reasons={**dict.fromkeys(unsaid, unknown), **reasons})


def check_tolerance(tol: object) -> None:
    """Raise `ModelError` unless 0 < tol < 1."""
    if not is_number(tol) or not 0.0 < float(tol) < 1.0:
        raise ModelError(f"tol must lie between 0 and 1, got {tol!r}")
