"""Points next to first-order points that are none; nothing of the package."""

from __future__ import annotations

import numpy as np
from arithmetic import doubles, reals
from blocks import best_W, best_W_held
from draws import Given, Rng
from joint import Point, newton
from problem import Floats, Problem


def perturbed(rng: Rng, problem: Problem, W: Floats, B: Floats, count: int) -> list[Given]:
    """`count` different kinds of moves away from (W, B), as far as they apply."""
    kinds = list(_MOVES)
    rng.shuffle(kinds)
    found: list[Given] = []
    for name in kinds:
        moved = _MOVES[name](rng, problem, W, B)
        if moved is not None and all(np.isfinite(A).all() for A in moved):
            found.append(Given(name, *moved))
        if len(found) == count:
            break
    return found


Move = tuple[Floats, Floats] | None


def _flip(rng: Rng, problem: Problem, W: Floats, B: Floats) -> Move:
    at = _entry(rng, W)
    return None if at is None else (_with(W, at, -W[at]), B)


def _flip_refitted(rng: Rng, problem: Problem, W: Floats, B: Floats) -> Move:
    """One sign flipped, the other entries of W the best there are for that."""
    at = _entry(rng, W)
    if at is None or problem.kinked:
        return None
    held = best_W_held(problem, reals(_with(W, at, -0.8 * W[at])), reals(B), at)
    return doubles(held), B


def _off(rng: Rng, problem: Problem, W: Floats, B: Floats) -> Move:
    at = _entry(rng, W)
    return None if at is None else (_with(W, at, W[at] * (1 + 10.0 ** rng.uniform(-12, 0))), B)


def _column(rng: Rng, problem: Problem, W: Floats, B: Floats) -> Move:
    t = int(rng.integers(problem.T))
    return np.where(np.arange(problem.T) == t, W * (1 + 10.0 ** rng.uniform(-12, 0)), W), B


def _removed(rng: Rng, problem: Problem, W: Floats, B: Floats) -> Move:
    at = _entry(rng, B)
    return None if at is None else (W, _with(B, at, 0.0))


def _removed_refitted(rng: Rng, problem: Problem, W: Floats, B: Floats) -> Move:
    """An edge removed and the rest stationary without it."""
    at = _entry(rng, B)
    if at is None:
        return None
    held = reals(_with(B, at, 0.0))
    best = best_W(problem, reals(W), held)
    found = newton(problem, Point(best.W, held, best.kinks, best.u))
    return (doubles(best.W), doubles(held)) if found is None else (doubles(found.W), doubles(found.B))


def _added(rng: Rng, problem: Problem, W: Floats, B: Floats) -> Move:
    open_ = np.argwhere((B <= 0) & ~np.eye(problem.T, dtype=bool))
    if not len(open_):
        return None
    s, t = open_[int(rng.integers(len(open_)))]
    natural = np.linalg.norm(W[:, t]) / max(float(np.linalg.norm(W[:, s])), 1e-300)
    return W, _with(B, (int(s), int(t)), float(natural * 10.0 ** rng.uniform(-12, 0)))


def _edge_off(rng: Rng, problem: Problem, W: Floats, B: Floats) -> Move:
    at = _entry(rng, B)
    return None if at is None else (W, _with(B, at, B[at] * (1 + 10.0 ** rng.uniform(-12, 0))))


def _flat(rng: Rng, problem: Problem, W: Floats, B: Floats) -> Move:
    """Along the direction that J sees least (smooth losses: of its Hessian; else of the coupling)."""
    if problem.kinked:
        U, _, _ = np.linalg.svd(np.eye(problem.T) - B)
        flat = np.outer(rng.normal(size=problem.d), U[:, -1])
    else:
        H = doubles(problem.hessian_W(reals(W), reals(B)))
        root = np.sqrt(np.maximum(np.diag(H), 1e-300))
        v = np.linalg.eigh(H / np.outer(root, root))[1][:, 0] / root
        flat = v.reshape(W.shape[::-1]).T
    size = float(np.abs(W).max()) or 1.0
    return W + flat / float(np.abs(flat).max()) * size * 10.0 ** rng.uniform(-8, 0), B


_MOVES = {
    "sign flipped": _flip,
    "sign flipped, the rest refitted": _flip_refitted,
    "coefficient off": _off,
    "column scaled": _column,
    "edge removed": _removed,
    "edge removed, the rest refitted": _removed_refitted,
    "edge added": _added,
    "edge off": _edge_off,
    "along a flat direction": _flat,
}


def _entry(rng: Rng, A: Floats) -> tuple[int, int] | None:
    """The place of a random entry that is not 0."""
    places = np.argwhere(A != 0)
    if not len(places):
        return None
    i, j = places[int(rng.integers(len(places)))]
    return int(i), int(j)


def _with(A: Floats, at: tuple[int, int], value: float) -> Floats:
    A = A.copy()
    A[at] = value
    return A
