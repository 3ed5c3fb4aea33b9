"""What was proved about a point."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from amtl_cvx.tasks import TaskSet


@dataclass(frozen=True, kw_only=True)
class ProvenPoint:
    """One true first-order point, enclosed.

    Attributes
    ----------
    radius : float
        The first-order point is known to this, entry by entry: exactly one lies in a box of this half-width.
        Below `min_positive_B` and `min_multiplier`. Rounded up.
    isolation : float
        Half-width of the largest box tried in which it is proved to be the only first-order point, the
        entries of B off the support included; where it is above `distance` that box holds the stored point.
    room : float
        How far that box, or one that is stretched towards the stored point, reaches beyond the stored point
        in every entry; not above 0 where no box that holds it is proved.
    distance : float
        Largest distance of an entry of the stored W or B from the proven point, rounded up.
    strict_local_min : bool
        True: the reduced Hessian is proved positive definite, for a loss with a kink on the moves that keep
        the rows of "kink" there. False: it is proved to have a negative eigenvalue, the point is a saddle.
    W : tuple of d tuples of T str
        Decimals, rounded correctly in every digit shown: as many as asked for, or as the enclosure proves.
        ``0E-49`` is an entry of which 49 decimals are known to be 0.
    B : tuple of T tuples of T str
        The same; "0" off the support.
    objective : str
        J of the proven point.
    support : tuple of pairs (s, t)
        The positive entries of B, by target.
    min_multiplier : float
        A lower bound of the smallest G_B[s, t] off the support and the diagonal; infinite if there is none.
    min_positive_B : float
        A lower bound of the smallest positive entry of B; infinite for an empty graph.
    active_rows : tuple of T tuples of int
        The rows of each task with 1 - y z > 0 (hinge, squared hinge) or a residual below the threshold
        (Huber), proved. Empty for another loss.
    rows : dict of str to tuple of T tuples of int
        The rows of each task on each piece of the loss, proved: "inside" (1 - y z > 0), "outside", "kink" for
        the hinge losses; "below" (z < y, Huber: by more than the threshold), "within", "kink", "above" for
        Huber and quantile. Empty for a loss that is smooth everywhere.
    min_row_distance : float
        A lower bound of the distance of x_i'w_t from the next piece of the loss, rows on a kink left out;
        infinite if there is none.
    min_row_multiplier : float
        Hinge, quantile: a lower bound of how far the subgradients of the rows on a kink are inside their
        interval, which has length 1; infinite if there is none.
    unknowns : int
        W, the positive entries of B, the multipliers of the rows on a kink.
    dps : int
        Decimals that the proof was computed with.
    seconds : float
        Wall time of the proof.
    """

    radius: float
    isolation: float
    room: float
    distance: float
    strict_local_min: bool
    W: tuple[tuple[str, ...], ...]
    B: tuple[tuple[str, ...], ...]
    objective: str
    support: tuple[tuple[int, int], ...]
    min_multiplier: float
    min_positive_B: float
    active_rows: tuple[tuple[int, ...], ...]
    rows: dict[str, tuple[tuple[int, ...], ...]]
    min_row_distance: float
    min_row_multiplier: float
    unknowns: int
    dps: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: "inf" where a minimum is over nothing becomes null."""
        found = dataclasses.asdict(self)
        return {key: None if value == float("inf") else value for key, value in found.items()}

    def named(self, tasks: TaskSet) -> dict[str, Any]:
        """The same with the names of the columns and rows of W: what digits.json holds."""
        features = tasks.feature_names
        names = {
            "task_names": list(tasks.names),
            "feature_names": None if features is None else list(features),
        }
        return {**names, **self.to_dict()}

    def lines(self, tasks: TaskSet) -> list[str]:
        """J, and the entries of W and B that are not 0, one a line, by the names of features and tasks."""
        names = tasks.names
        features = tasks.feature_names or [f"feature {j}" for j in range(tasks.d)]
        lines = [f"J = {self.objective}"]
        for feature, row in zip(features, self.W, strict=True):
            lines += [f"W[{feature}, {name}] = {value}" for name, value in zip(names, row, strict=True)]
        for s, t in sorted(self.support):
            lines.append(f"B[{names[s]}, {names[t]}] = {self.B[s][t]}  ({names[s]} helps {names[t]})")
        for name, rows in zip(names, self.rows.get("kink", ()), strict=False):
            lines.append(f"rows of {name} on their kinks: {', '.join(map(str, rows)) or 'none'}")
        return lines
