r"""The upper bound: the best point of many fits, polished to more digits than a double has.

`fit` ends at a first-order point to double precision. There Newton's method goes on in exact arithmetic: the
gradient of the free variables (W and the positive entries of B) is computed in rationals, the step with the
Hessian in doubles, so that every round adds about ten digits; the result is rounded to multiples of 2^-bits.
J at it is a rational number, and an upper bound of the minimum whatever happened before.

A step is taken only where it halves the gradient. Where the Hessian is nearly singular, that of the first
point does not, and the iterates would run away with three times the digits each round: then the Hessian of
the point reached takes its place, and where that does not help either the polish ends at what it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from amtl_cvx.enclosure.exact import ExactProblem, Matrix, exact_matrix, magnitude
from amtl_cvx.enclosure.polynomial import edges_of
from amtl_cvx.errors import SolveError
from amtl_cvx.limits import check_time, seconds_left
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Point
from amtl_cvx.solution import Blocks, Solution, Status
from amtl_cvx.tasks import Array, TaskSet

_ROUNDS = 30
_ZERO = 1e-10  # of the largest entry of B: below it an entry of a polished B is 0


@dataclass(frozen=True, kw_only=True)
class ExactPoint:
    """A feasible point in rationals, and J there."""

    W: Matrix
    B: Matrix
    objective: Fraction

    @property
    def support(self) -> tuple[tuple[int, int], ...]:
        """Edges (s, t) with B[s, t] > 0."""
        return tuple((s, t) for s, t in edges_of(len(self.B)) if self.B[s][t] > 0)


def exact_point(problem: ExactProblem, W: Array, B: Array) -> ExactPoint:
    """The point that the doubles W (d, T), B (T, T) stand for."""
    exact_W, exact_B = exact_matrix(W), exact_matrix(B)
    return ExactPoint(W=exact_W, B=exact_B, objective=problem.objective(exact_W, exact_B))


def best_point(tasks: TaskSet, model: Model, *, starts: int, rng: np.random.Generator) -> Blocks:
    """The lowest J of the alternation from B = 0 and of `starts - 1` fits from random sparse B."""
    best, lowest = Blocks(np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))), math.inf
    for start in [None, *(random_start(tasks, rng) for _ in range(starts - 1))]:
        if start is not None and seconds_left() <= 0.0:
            break
        if (found := _fitted(tasks, model, start)) is not None and found.objective < lowest:
            best, lowest = Blocks(found.W, found.B), found.objective
    return best


def descended(point: Point) -> Blocks:
    """Where a fit from (W, B) ends; (W, B) itself where it fails."""
    W, B = point.W, point.B
    found = _fitted(point.tasks, point.model, Blocks(W, B))
    return Blocks(W, B) if found is None else Blocks(found.W, found.B)


def _fitted(tasks: TaskSet, model: Model, start: Blocks | None) -> Solution | None:
    """The fit, None where no solver answers; an interrupt of it ends the proof too."""
    try:
        found = fit(tasks, model, options=Options(engine="fast", start=start))
    except SolveError:
        return None
    if found.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return found


def random_start(tasks: TaskSet, rng: np.random.Generator) -> Blocks:
    """W = 0 and a sparse non-negative B of random size (the fit begins with its W-step)."""
    T = tasks.T
    B = np.abs(rng.normal(size=(T, T))) * (rng.random((T, T)) < 0.5) * 10.0 ** rng.uniform(-1.0, 0.5)
    np.fill_diagonal(B, 0.0)
    return Blocks(np.zeros((tasks.d, T)), B)


def polish(problem: ExactProblem, W: Array, B: Array, *, bits: int) -> ExactPoint:
    """Newton's method in exact arithmetic on the free variables; the raw point where that is not lower."""
    raw = exact_point(problem, W, B)
    B = np.where(_ZERO * max(1.0, float(B.max(initial=0.0))) < B, B, 0.0)
    edges = edges_of(problem.T)
    z = [Fraction(value) for value in [*W.ravel().tolist(), *(float(B[edge]) for edge in edges)]]
    free = [k for k in range(len(z)) if k < W.size or z[k] > 0]
    H = _hessian(problem, z, free)
    if H is None:
        return raw
    enough = Fraction(float(np.abs(H).sum(axis=1).max())) / 2**bits  # what rounding z leaves
    slopes, own = _gradient(problem, z, free), True
    for _ in range(_ROUNDS):
        check_time("the best point was polished")
        size = max(map(abs, slopes))
        if size <= enough:
            break
        moved = _moved(z, free, H, slopes, bits=bits)
        there = _gradient(problem, moved, free)
        if 2 * max(map(abs, there)) < size:
            z, slopes, own = moved, there, False
        elif own or (H := _hessian(problem, z, free)) is None:
            break
        else:
            own = True
    point_W, point_B = unpack(problem, z)
    if min(map(min, point_B)) < 0:
        return raw
    point = ExactPoint(W=point_W, B=point_B, objective=problem.objective(point_W, point_B))
    return min(point, raw, key=lambda candidate: candidate.objective)


def unpack(problem: ExactProblem, z: Sequence[Fraction]) -> tuple[Matrix, Matrix]:
    """W (d, T) and B (T, T) of a vector of all variables."""
    T, d = problem.T, problem.d
    values = dict(zip(edges_of(T), z[d * T :], strict=True))
    B = tuple(tuple(values.get((s, t), Fraction(0)) for t in range(T)) for s in range(T))
    return tuple(tuple(z[i * T : (i + 1) * T]) for i in range(d)), B


def _moved(
    z: Sequence[Fraction], free: Sequence[int], H: Array, slopes: Sequence[Fraction], *, bits: int
) -> list[Fraction]:
    """Newton's step with the Hessian H, rounded to multiples of 2^-bits."""
    unit = Fraction(2) ** magnitude(max(slopes, key=abs))
    step = np.linalg.solve(H, np.array([float(slope / unit) for slope in slopes]))
    moved = list(z)
    for k, change in zip(free, step.tolist(), strict=True):
        moved[k] = Fraction(math.floor((z[k] - unit * Fraction(change)) * 2**bits), 2**bits)
    return moved


def _gradient(problem: ExactProblem, z: Sequence[Fraction], free: Sequence[int]) -> list[Fraction]:
    """The slopes of the free variables."""
    G_W, G_B = problem.gradients(*unpack(problem, z))
    slopes = [slope for row in G_W for slope in row] + [G_B[s][t] for s, t in edges_of(problem.T)]
    return [slopes[k] for k in free]


def _hessian(problem: ExactProblem, z: Sequence[Fraction], free: Sequence[int]) -> Array | None:
    """Hessian of J in the free variables, in doubles; None unless positive definite.

    Exact before rounding, for J has degree 2 in every single variable.
    """
    columns = []
    for k in free:
        ahead, behind = ([*z[:k], z[k] + side, *z[k + 1 :]] for side in (1, -1))
        pairs = zip(_gradient(problem, ahead, free), _gradient(problem, behind, free), strict=True)
        columns.append([float((a - b) / 2) for a, b in pairs])
    H = np.array(columns)
    return H if np.linalg.eigvalsh(H)[0] > 1e-12 * np.abs(H).max() else None
