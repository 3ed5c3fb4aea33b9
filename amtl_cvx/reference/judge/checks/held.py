"""A figure held against its limit, in words; and the failure that is handed on where it is above it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import infeasibility
from amtl_cvx.reference.judge.asked import Asked
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.failure import Failure, Quantity
from amtl_cvx.reference.judge.tolerance import ANSWERS, APART, SOLVABLE, Limits

_WORDS = {
    "gap": "a better answer lowers J by {found:.2e} (J is {J:.6g}), the limit is {limit:.1e}",
    "residual": "not stationary: the relative residual is {found:.2e}, the limit is {limit:.1e}",
    "distance": "off the only answer by {found:.2e} of it, the limit is {limit:.1e}",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """An answer of a step or a fit, what was asked, and the right one where there is one."""

    case: Case
    quantity: Quantity
    asked: Asked
    answer: Mapping[str, Array]
    limits: Limits
    """At the right point, or at that of the answer where there is none."""
    right: Mapping[str, Array] = field(default_factory=dict)
    final: bool = False
    """Whether it is the end of an iteration of steps."""

    @property
    def distance(self) -> float:
        """How far from the only answer it may be, entry by entry, relative to the largest one."""
        kappa = kappa_of(self.case)
        if self.final:
            return kappa * self.limits.final
        return kappa * max(ANSWERS * self.limits.eps, self.limits.accuracy or 0.0)

    @property
    def residual(self) -> float:
        """The largest relative residual it may have."""
        return self.limits.final if self.final else self.limits.step

    def held(self, what: str, found: float, limit: float) -> Outcome:
        """A figure, "gap", "residual" or "distance", held against its limit."""
        most = SOLVABLE * self.limits.terms if what == "gap" else APART if what == "distance" else SOLVABLE
        if not limit <= most:
            words = f"{self.case.dtype} does not resolve it: the limit of the {what} would be {limit:.1e}"
            return Outcome("skipped", words)
        figures = {what: found, "limit": limit}
        if found <= limit:
            return Outcome("passed", f"the {what} is {found:.1e}, its limit {limit:.1e}", figures)
        words = _WORDS[what].format(found=found, limit=limit, J=self.limits.point.objective)
        return self.failed(words, figures)

    def feasible(self) -> Outcome:
        """Whether B is in its set: exactly where that is B >= 0 without a diagonal, else up to rounding."""
        model, B = self.case.problem.model, self.answer["B"]
        plain = model.transfer.row_prices(np.ones(self.case.T)) is not None
        size = max(1.0, float(np.abs(B).max()))
        limit = 0.0 if plain else self.case.T**2 * self.limits.eps * size
        found = infeasibility(model, B)
        figures = {"infeasibility": found, "limit": limit}
        if found <= limit:
            return Outcome("passed", "B is feasible", figures)
        s, t = np.unravel_index(int(np.abs(B - model.transfer.project(B)).argmax()), B.shape)
        demands = model.transfer.demands(self.case.T)
        words = f"expected {demands}, B[{s}, {t}] is {B[s, t]:.3g}: off by {found:.1e}"
        return self.failed(words, figures)

    def failed(self, words: str, figures: Mapping[str, float]) -> Outcome:
        """The outcome of an answer that is not right."""
        names = [name for name in self.answer if name in self.right]
        evidence = {
            key: side[name]
            for name in names[:1]
            for key, side in (("answer", self.answer), ("right", self.right))
        }
        failure = Failure(
            check="",
            asked=self.asked,
            problem=self.case.problem,
            quantity=self.quantity,
            answer=self.answer,
            right=self.right,
            limit=self.residual,
            pack=self.case.pack,
            figures=figures,
        )
        return Outcome("failed", words, figures, evidence, failure)


def kappa_of(case: Case) -> float:
    """The condition number of the pack's answer; infinite where the pack has none."""
    found = (case.pack.claims.get("condition") or {}).get("kappa")
    return math.inf if found is None else float(found)


def distance(answer: Array, right: Array) -> float:
    """The largest entry that it is off by, over the largest of the right one; 0/0 is 0."""
    with np.errstate(all="ignore"):
        off, size = float(np.abs(answer - right).max(initial=0.0)), float(np.abs(right).max(initial=0.0))
        found = off / size if size > 0.0 else (0.0 if off <= 0.0 else math.inf)
    return found if math.isfinite(found) else math.inf
