r"""What the first-order point next to a stored one is: strictly complementary, degenerate, or none at all.

Arithmetic, J, Newton's method and the W-step are those of the adversary (`reports/adversary`: 120 digits,
nothing of the package). The support is that of the stored B; the rows on kinks are those of the exact W-step
at this B, less those whose multiplier leaves its ends at the root. There every margin is taken in a scale of
its own, and 0 up to `NOTHING`:

    edge          B_st |w_s| / |w_t|, positive entries of B
    multiplier    G_B[s, t] / (p_s + 2 coupling |w_s| |w_t|), entries that are 0
    row           |z - seam| / (|seam| + sum |x| |w|), rows off the seams of their loss
    row's u       its distance from the ends of [low, high], high - low = 1, rows on kinks
    curvature     the smallest eigenvalue of S = D^-1/2 H D^-1/2 along the rows on kinks, D = diag(H)

The root belongs to the stored point only if it is near: between the two S changes by less than half of its
smallest eigenvalue, and no entry moves by more than `NEAR` lengths D^-1/2 sqrt(J).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from arithmetic import ONE, Reals, arb, doubles, mid, positive_definite, reals, size, zeros
from blocks import best_W
from joint import Point, expand, newton
from problem import Floats, Problem

NOTHING = 1e-12
NEAR = 1e-3
EXCHANGES = 12
HALVINGS = 30


class Found(NamedTuple):
    """What is true next to a stored point."""

    word: str
    """"strict", "far", "degenerate", "saddle", or "unknown": nothing was found out."""
    why: str
    margins: dict[str, float]
    """The smallest of each kind at the root; infinite over nothing."""
    root: Point | None


class Curvature(NamedTuple):
    """Of J along the rows on kinks."""

    S: Floats
    smallest: float
    definite: bool
    """In all digits."""
    along: Reals
    """The move of (W, B > 0) of the smallest eigenvalue."""


def nearest(problem: Problem, W: Floats, B: Floats) -> Found:
    """The first-order point that belongs to the active set of (W, B), and its margins."""
    w, b = reals(W), reals(B)
    best = best_W(problem, w, b)
    here = Point(w, b, best.kinks, best.u)
    root = _root(problem, here._replace(W=best.W))
    if root is None:
        return _flat(problem, here, "no first-order point by Newton's method; at the stored point")
    at = curvature(root, expand(problem, root)[1])
    margins, places = _margins(problem, root)
    margins["curvature"] = at.smallest
    if not at.definite:
        found = _flat(problem, root, "at the first-order point")
        return found._replace(margins=margins, root=root)
    if why := _far(problem, here, root, at):
        return Found("far", why, margins, root)
    least = min(margins, key=margins.__getitem__)
    if margins[least] <= NOTHING:
        word = "saddle" if margins[least] < -NOTHING else "degenerate"  # an edge that is missing lowers J
        return Found(word, f"{least} {margins[least]:.1g} {places.get(least, '')}", margins, root)
    return Found("strict", "", margins, root)


def _root(problem: Problem, point: Point) -> Point | None:
    """A stationary point of the Lagrangian at which no multiplier of a row is beyond its ends."""
    for _ in range(EXCHANGES):
        found = newton(problem, point)
        if found is None or not problem.kinked:
            return found
        kinks, u = [], []
        for t, own in enumerate(found.kinks):
            ends = [problem.ends(problem.targets[t][i]) for i in own]
            kept = [j for j, (low, high, _) in enumerate(ends) if low <= found.u[t][j] <= high]
            kinks.append([own[j] for j in kept])
            u.append(found.u[t][kept])
        if kinks == found.kinks:
            return found
        point = Point(found.W, found.B, kinks, u)
    return None


def curvature(point: Point, H: Reals, unit: Reals | None = None) -> Curvature:
    """Of the Hessian H of the Lagrangian, scaled by D^-1/2 or `unit`."""
    n = point.W.size + len(point.free)
    unit = lengths(H, n) if unit is None else unit
    S, A = mid(H[:n, :n] * np.outer(unit, unit)), mid(H[n:, :n] * unit)
    Z = _kernel(A) if len(A) else reals(np.eye(n))
    if not Z.shape[1]:
        return Curvature(np.empty((0, 0)), np.inf, True, zeros(n))
    S = mid(Z.T @ S @ Z)
    values, vectors = np.linalg.eigh(doubles(S))
    definite, _ = positive_definite(S)
    return Curvature(doubles(S), float(values[0]), definite, mid((Z @ reals(vectors[:, 0])) * unit))


def lengths(H: Reals, n: int) -> Reals:
    """D^-1/2."""
    return np.array([1 / H[i, i].sqrt() if H[i, i] > 0 else ONE for i in range(n)], dtype=object)


def _kernel(A: Reals) -> Reals:
    """An orthonormal basis of the kernel of A (m, n): its rows and the unit vectors by Gram and Schmidt."""
    m, n = A.shape
    basis, kept = list[Reals](), list[Reals]()
    for number, row in enumerate([*A, *reals(np.eye(n))]):
        vector = mid(row / size(row)) if size(row) > 0 else row
        for _ in range(2):
            for b in basis:
                vector = mid(vector - (vector @ b) * b)
        length = (vector @ vector).mid().sqrt()
        if length > arb("1e-20"):
            basis.append(mid(vector / length))
            kept += [basis[-1]] * (number >= m)
    return np.array(kept, dtype=object).T if kept else zeros(n, 0)


def _far(problem: Problem, here: Point, root: Point, at: Curvature) -> str:
    """That the root does not belong to the stored point, in words; "" where it does."""
    H = expand(problem, root)[1]
    n = root.W.size + len(root.free)
    unit = lengths(H, n)
    stored = root._replace(W=here.W, B=here.B)
    change = curvature(stored, expand(problem, stored)[1], unit).S - at.S
    change = float(np.linalg.norm(change, 2)) if change.size else 0.0
    move = np.r_[(root.W - here.W).T.ravel(), [root.B[e] - here.B[e] for e in root.free]]
    J = problem.J(root.W, root.B).mid()
    away, reach = size(mid(move / unit)), NEAR * J.sqrt()
    if change < at.smallest / 2 and (away <= reach or away <= arb("1e-40")):
        return ""
    far = f"{float(away / J.sqrt()):.1g} sqrt(J) away" if J > 0 else "away from J = 0"
    return (
        f"the first-order point is {far}, S changes by {change:.1g} and has the eigenvalue {at.smallest:.1g}"
    )


def _margins(problem: Problem, root: Point) -> tuple[dict[str, float], dict[str, str]]:
    """The smallest margins but the curvature, and where they are."""
    T, lam = problem.T, float(problem.lam)
    long = np.sqrt((doubles(root.W) ** 2).sum(axis=0))
    q, p = (
        doubles(problem.gradient_B(root.W, root.B)),
        doubles(np.array(problem.prices(root.W), dtype=object)),
    )
    found: dict[str, list[tuple[float, str]]] = {"edge": [], "multiplier": [], "row": [], "row's u": []}
    for s, t in np.ndindex(T, T):
        if s != t and root.B[s, t] > 0:
            found["edge"].append((float(root.B[s, t]) * long[s] / long[t], f"of B[{s}, {t}]"))
        elif s != t:
            terms = p[s] + 2 * lam * long[s] * long[t]
            found["multiplier"].append((q[s, t] / terms if terms > 0 else 0.0, f"of B[{s}, {t}]"))
    for t, z in enumerate(problem.scores(root.W)):
        for i, y in enumerate(problem.targets[t]):
            x, name = problem.rows[t][i], f"of row {i}, task {t}"
            if i in root.kinks[t]:
                low, high, _ = problem.ends(y)
                u = root.u[t][root.kinks[t].index(i)]
                found["row's u"].append((min(float(u - low), float(high - u)), name))
                continue
            for seam in _seams(problem, y) if size(x) > 0 else ():
                room = abs(seam) + abs(x) @ abs(root.W[:, t])
                found["row"].append((float(abs(z[i] - seam) / room), name))
    least = {kind: min(each, default=(np.inf, "")) for kind, each in found.items()}
    return {k: value for k, (value, _) in least.items()}, {k: where for k, (_, where) in least.items()}


def _seams(problem: Problem, y: arb) -> list[arb]:
    if problem.loss == "huber":
        return [y - problem.parameter, y + problem.parameter]
    if problem.loss == "squared-hinge":
        return [ONE if y > 0 else -ONE]
    return [problem.ends(y)[2]] if problem.kinked else []


def _flat(problem: Problem, point: Point, where: str) -> Found:
    """Why there is no strict minimum at a point without curvature: J is flat there, or falls both ways."""
    at = curvature(point, expand(problem, point)[1])
    words = f"{where}: smallest eigenvalue {at.smallest:.1g}"
    if abs(at.smallest) <= NOTHING:
        return Found("degenerate", words, {}, None)
    fall = _fall(problem, point, at.along) if at.smallest < 0 else 0.0
    if fall > 0:
        return Found("saddle", f"{words}, J falls by {fall:.1g} of itself on both sides", {}, None)
    return Found("unknown", words, {}, None)


def _fall(problem: Problem, point: Point, along: Reals) -> float:
    """The largest part of J by which the mean of both ends of a move along +- a vector lies below it."""
    J, d, T = problem.J(point.W, point.B), problem.d, problem.T
    move_W, move_B, best = along[: d * T].reshape(T, d).T, zeros(T, T), 0.0
    for k, edge in enumerate(point.free, start=d * T):
        move_B[edge] = along[k]
    length = J.mid().sqrt()
    for _ in range(HALVINGS):
        ends = [(point.W + s * move_W, point.B + s * move_B) for s in (length, -length)]
        if all(B[e] >= 0 for _, B in ends for e in point.free):
            mean = sum((problem.J(*end) for end in ends), arb(0)) / 2
            best = max(best, float(((J - mean) / J).mid()))
        length = (length / 4).mid()
    return best
