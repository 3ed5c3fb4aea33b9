r"""Proven digits of shared features: one true first-order point next to a stored one, by Krawczyk's theorem.

    found = prove_features(problem.at(L=L, S=S, A=A))
    found.radius, found.strict_local_min, found.S[0][1], found.objective

As `digits` has it for W and B: the problem is the exact one (doubles are the rationals they are, 1/n_t and
gamma / N the real numbers), the system that of `balls` on the free entries. On a box X around an approximate
root it is proved in ball arithmetic that

    the system has exactly one root in X (Krawczyk)
    free entries of S and A keep their signs on X
    |G_S| < mu and |G_A| < p_t (where A >= 0: G_A > -p_t) at the other entries, these in the box as well
    gamma X'X + decay I is definite where a feature is dead
    every row keeps its piece of the loss (Huber, squared hinge) on all of it

so that the root is the one first-order point in X: an entry that is held at 0 is 0 at every such point, and
so is L_j of a dead feature. A reduced Hessian that is proved definite on X makes it a strict local minimum.
That is all that is proved: J is not convex in its blocks together, and lower points may exist.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from flint import arb, arb_mat, ctx

from amtl_cvx.digits.boxes import GUARD, Boxes, decided, distance
from amtl_cvx.digits.decimals import at_most, decimal
from amtl_cvx.digits.krawczyk import Root, Undecided, contract, inertia, largest, newton
from amtl_cvx.digits.losses import PIECEWISE
from amtl_cvx.digits.proof import check_rows, check_size, finite
from amtl_cvx.digits.rows import positive, row_distance
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.features.balls import FeatureSystem, free_entries
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.tasks import TaskSet

Decimals = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class ProvenFeatures:
    """One true first-order point, enclosed.

    Attributes
    ----------
    radius : float
        The point is known to this, entry by entry: exactly one lies in a box of this half-width. Below
        `min_entry` and `min_multiplier`. Rounded up.
    isolation : float
        Half-width of the largest box tried in which it is proved to be the only first-order point, the
        entries that are 0 included.
    room : float
        How far that box, or one that is stretched towards the stored point, reaches beyond the stored point
        in every entry; not above 0 where no box that holds it is proved.
    distance : float
        Largest distance of a stored entry from the proven point, rounded up.
    strict_local_min : bool
        True: the reduced Hessian is proved positive definite. False: it is proved to have a negative
        eigenvalue, the point is a saddle.
    L, S, A : tuples of tuples of str
        Decimals, rounded correctly in every digit shown; "0" for an entry that is 0. A is empty for GO-MTL.
    objective : str
        J of the proven point.
    live : tuple of int
        The features that are not 0.
    min_multiplier : float
        A lower bound of how far the entries of S and A that are 0 are from leaving it; infinite if there is
        none.
    min_entry : float
        A lower bound of the size of the other entries of S and A; infinite if there is none.
    rows : dict of str to tuple of T tuples of int
        The rows of each task on each piece of the loss, proved; empty for a loss that is smooth everywhere.
    min_row_distance : float
        A lower bound of the distance of x_i'L s_t from the next piece; infinite if there is none.
    unknowns : int
        L of the live features, the entries of S and A that are not 0.
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
    L: Decimals
    S: Decimals
    A: Decimals
    objective: str
    live: tuple[int, ...]
    min_multiplier: float
    min_entry: float
    rows: dict[str, tuple[tuple[int, ...], ...]]
    min_row_distance: float
    unknowns: int
    dps: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: "inf" where a minimum is over nothing becomes null; no A where the family has none."""
        found = dataclasses.asdict(self)
        kept = {key: None if value == float("inf") else value for key, value in found.items()}
        return {key: value for key, value in kept.items() if key != "A" or value}

    def named(self, tasks: TaskSet) -> dict[str, Any]:
        """The same with the names of tasks and features: what digits.json holds."""
        features = tasks.feature_names
        names = {
            "task_names": list(tasks.names),
            "feature_names": None if features is None else list(features),
        }
        return {**names, **self.to_dict()}

    def lines(self, tasks: TaskSet) -> list[str]:
        """J, and the entries that are not 0, one a line, by the names of tasks and features of the data."""
        names = tasks.names
        features = tasks.feature_names or [f"feature {i}" for i in range(tasks.d)]
        whole = range(len(self.S))
        lines = [f"J = {self.objective}"]
        for block, rows, columns, entries in (
            ("L", features, whole, self.L),
            ("S", whole, names, self.S),
            ("A", names, whole, self.A),
        ):
            for row, values in zip(rows, entries, strict=False):
                pairs = zip(columns, values, strict=True)
                lines += [f"{block}[{row}, {column}] = {value}" for column, value in pairs if value != "0"]
        return lines


def prove_features(
    point: FeaturePoint, *, dps: int = 70, digits: int = 40, within: float = 1e-5
) -> ProvenFeatures:
    """Prove that one first-order point lies next to a stored one, and enclose it.

    Parameters
    ----------
    point : FeaturePoint
        Its entries of S and A that are not 0, with their signs, are the active set that is proved.
    dps, digits, within
        As `digits.prove` has them.

    Raises
    ------
    NotCertifiable
        Where there is no proof, with the reason.
    DataError
        For data that do not fit the loss.

    Examples
    --------
    >>> from amtl_cvx import TaskSet
    >>> from amtl_cvx.features import FeatureProblem, GoMtlModel
    >>> tasks = TaskSet.from_arrays([[[1.0]]], [[1.0]])
    >>> problem = FeatureProblem(tasks, GoMtlModel(features=1, mu=0.5, decay=1.0))
    >>> found = prove_features(problem.at(L=[[0.5]], S=[[1.0]]))  # (l s - 1)^2 + s / 2 + l^2
    >>> found.strict_local_min, found.L[0][0][:12], found.radius < 1e-49
    (True, '0.5000000000', True)
    """
    start = time.perf_counter()
    point.problem.check()
    check_rows(point.tasks, point.model.loss)
    if point.model.has_feedback and not point.model.signed and (point.A < 0.0).any():
        raise NotCertifiable("A is not feasible (non-negative feedback): clip it first")
    if not point.live.any():
        raise NotCertifiable("no feature is live: at the point 0 there are no digits to prove")
    live, S, A = free_entries(point)
    check_size(point.tasks, len(live) * point.tasks.d + len(S) + len(A))
    proof = functools.partial(_prove, point, digits=digits, within=within)
    return replace(decided(proof, max(dps, digits + 30)), seconds=time.perf_counter() - start)


class _Least(NamedTuple):
    """What is nearest to another active set on a box: lower bounds, infinite for a minimum over nothing."""

    entry: arb
    multiplier: arb
    distance: arb


def _prove(point: FeaturePoint, *, digits: int, within: float) -> ProvenFeatures:
    """The proof at the precision of `ctx`; seconds are left to the caller."""
    system, dps = FeatureSystem(point), ctx.dps
    system.check_dead()
    stored, unit = system.unknowns(point), arb(10) ** (GUARD - dps)
    x, inverse = newton(system, stored, unit / 10**5)
    radius = (unit * largest(x).max(arb(1))).abs_upper()
    boxes = Boxes(system, functools.partial(_only_point, system))
    inverse, root, least = boxes.first(x, inverse, radius)
    furthest, apart = distance(root, stored, system.blocks, within=within, radius=at_most(radius))
    isolation, room = boxes.isolation(x, inverse, apart, radius)
    if not (radius < least.entry and radius < least.multiplier):
        raise Undecided("the radius is not below the smallest entry and the smallest multiplier")
    L, S, A = (_decimals(block, digits) for block in system.arrays(root.enclosure))
    rows = system.state(root.box).losses
    return ProvenFeatures(
        radius=at_most(radius),
        isolation=isolation,
        room=room,
        distance=furthest,
        strict_local_min=inertia(root.jacobian) == 0,
        L=L,
        S=S,
        A=A if system.feedback else (),
        objective=decimal(system.objective(root.enclosure), digits),
        live=tuple(np.flatnonzero(point.live).tolist()),
        min_multiplier=finite(least.multiplier),
        min_entry=finite(least.entry),
        rows={piece: rows.on(piece) for piece in PIECEWISE.get(point.model.loss.name, ())},
        min_row_distance=finite(least.distance),
        unknowns=system.size,
        dps=dps,
        seconds=0.0,
    )


def _only_point(
    system: FeatureSystem, x: arb_mat, inverse: arb_mat, radii: Sequence[arb]
) -> tuple[Root, _Least]:
    """Exactly one first-order point in x +- radii, the other entries up to the smallest of them."""
    root = contract(system, x, inverse, radii)
    around = arb(0, min(radii))
    entry = _least(
        system.sizes(root.box),
        "{} does not have this sign: it would be {:.2g} times it",
        "{} is 0 to all digits: degenerate, the active set is not unique",
    )
    multiplier = _least(
        system.rooms(root.box, around),
        "{} is missing: its multiplier is beyond its limit by {:.2g}, moving it lowers J",
        "the multiplier of {} is at its limit to all digits: strict complementarity fails",
    )
    return root, _Least(entry, multiplier, row_distance(system.rows, system.state(root.box, around).W))


def _least(values: Iterable[tuple[str, arb]], negative: str, undecided: str) -> arb:
    """The smallest of named values, proved positive."""
    smallest = arb.pos_inf()
    for name, value in values:
        size = abs(float(value.mid()))
        smallest = smallest.min(positive(value, negative.format(name, size), undecided.format(name)))
    return smallest


def _decimals(block: arb_mat, digits: int) -> Decimals:
    """Entry by entry; one that is not free is 0."""
    return tuple(
        tuple("0" if entry.is_zero() else decimal(entry, digits) for entry in row) for row in block.tolist()
    )
