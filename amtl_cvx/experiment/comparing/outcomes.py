"""Outcomes: one contender on one part, first as it was fitted, then as it was scored.

Learned     tuned, fitted and judged on the training part; no test row was seen
Outcome     the same with its errors on the test rows
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.experiment.comparing.scores import Scored
from amtl_cvx.solution import Solution


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """A contender on the training rows of a part.

    Attributes
    ----------
    parameters, settings : mapping
        Those that were chosen, and those that were held.
    chosen : mapping
        What the choice was: the mean error on rows apart, its standard error, the number of trials, a
        sentence.
    status, kind, level : str or None
        How the fit ended, what its certificate is about and what it reached.
    passes : bool
        Whether the certificate passes: never for a fit that was stopped early.
    objective, relative : float
        J and its largest relative residual.
    gap : float or None
        How far J can be from the global minimum, in units of J, for convex problems.
    certificate : mapping
        All its figures and reasons, as certificate.json of a run has them.
    edges : int or None
        Edges of the graph, None for a method without one.
    blocks : mapping
        The blocks by name.
    seconds : mapping
        "tuning" and "fit".
    """

    parameters: Mapping[str, Any]
    settings: Mapping[str, Any]
    chosen: Mapping[str, Any]
    status: str
    kind: str
    level: str | None
    passes: bool
    objective: float
    relative: float
    gap: float | None
    certificate: Mapping[str, Any]
    edges: int | None
    blocks: Mapping[str, Array]
    seconds: Mapping[str, float]
    order: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls, solution: Solution, candidate: Candidate, *, chosen: Mapping[str, Any], tuning: float
    ) -> Learned:
        """What counts of a solution."""
        certificate = solution.certificate
        return cls(
            parameters=dict(candidate.parameters),
            settings={name: value for name, value in candidate.settings.items() if value is not None},
            chosen=dict(chosen),
            status=solution.status.value,
            kind=certificate.kind,
            level=certificate.level,
            passes=certificate.passes,
            objective=float(solution.objective),
            relative=float(certificate.relative),
            gap=_global_gap(certificate),
            certificate=certificate.to_dict(),
            edges=int((solution.blocks["B"] != 0.0).sum()) if "B" in solution.blocks else None,
            blocks=dict(solution.blocks),
            seconds={"tuning": float(tuning), "fit": float(solution.seconds.get("total", 0.0))},
            order=None if solution.order is None else tuple(int(t) for t in solution.order),
        )

    def facts(self) -> dict[str, Any]:
        """All but the blocks, as JSON holds it."""
        return {
            "parameters": dict(self.parameters),
            "settings": dict(self.settings),
            "chosen": dict(self.chosen),
            "status": self.status,
            "kind": self.kind,
            "level": self.level,
            "passes": self.passes,
            "objective": self.objective,
            "relative": self.relative,
            "gap": self.gap,
            "certificate": dict(self.certificate),
            "edges": self.edges,
            "seconds": dict(self.seconds),
            "order": None if self.order is None else list(self.order),
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], blocks: Mapping[str, Array]) -> Learned:
        """What `facts` and the blocks were made from; anything may be raised for what they were not."""
        order = facts["order"]
        known = {name: facts[name] for name in facts if name != "order"}
        return cls(**known, blocks=dict(blocks), order=None if order is None else tuple(order))

    @property
    def stopped(self) -> bool:
        """Whether it was stopped early, as was chosen."""
        return self.kind.startswith("stopped")

    @property
    def judged(self) -> str:
        """The certificate in a few words."""
        level = self.level or "not feasible"
        if self.stopped:
            return f"{level}, {self.kind}"
        return level if self.passes else f"{level}, {self.status}"


def _global_gap(certificate: Any) -> float | None:
    """The width of a proven bound, or the gap of W where W alone is minimised; in units of J."""
    width: float | None = getattr(certificate, "global_width", None)
    if width is not None or certificate.kind != "single-task":
        return width
    gap: float | None = getattr(certificate, "gap_W", None)
    return None if gap is None or certificate.objective <= 0.0 else float(gap / certificate.objective)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """A contender on a part, with its errors on the test rows.

    Attributes
    ----------
    part, contender : str
        Their names.
    learned : Learned
        What was fitted.
    error : float
        In the measure of the comparison.
    by_task : (T,) array
        Of each task, NaN where there are no test rows of it.
    right : (N,) array of bool or None
        Which test rows are right, for targets that are classes.
    others : mapping
        Errors by other measures.
    """

    part: str
    contender: str
    learned: Learned
    error: float
    by_task: Array
    right: Mask | None
    others: Mapping[str, float]

    @classmethod
    def of(cls, part: str, contender: str, learned: Learned, scored: Scored) -> Outcome:
        """What was learned, and how it scored."""
        return cls(
            part=part,
            contender=contender,
            learned=learned,
            error=scored.error,
            by_task=scored.by_task,
            right=scored.right,
            others=scored.others,
        )

    @property
    def B(self) -> Array | None:
        """The graph (T, T); None for a method without one."""
        return self.learned.blocks.get("B")

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, without blocks."""
        return {
            "part": self.part,
            "contender": self.contender,
            "error": self.error,
            "others": dict(self.others),
            "by_task": [None if np.isnan(each) else float(each) for each in self.by_task],
            "right": None if self.right is None else int(self.right.sum()),
            "rows": None if self.right is None else len(self.right),
            **self.learned.facts(),
        }
