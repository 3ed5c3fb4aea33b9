r"""The certificate: how good a point (W, B) is, judged from the data alone.

Nothing here comes from a solver: no status, dual, residual or gap. NumPy recomputes, on the original rows,

first-order residuals (SPEC section 4), with P = (I - B)(I - B)', h_s = 2 coupling ||w_s||^2, c*l the weighted
losses and p the prices of edges (p_s = mu c_s l_s for AMTL)

    stationarity_W = max |G_W|                    G_W[:, t] = a_t grad L_t(w_t) + 2 coupling (W P)_t
    stationarity_B = max |min(h_s B, G_B)|        G_B[s, t] = p_s - 2 coupling w_s'(w_t - W b_t)
    relative_W, relative_B                        the same over the size of their terms, by column and row

duality gaps (CERTIFICATES sections 1 and 2)

    gap_W  squared loss: (1/2) g'H^-1 g, the exact sub-optimality of W; otherwise the Fenchel bound
           ||G_W M^-T||_F^2 / (4 coupling), M = I - B
    gap_B  per column, r = w_t - W b, q = p - 2 s coupling W'r >= 0 for a feasible scaling s >= 0:
           coupling (1 - s)^2 ||r||^2 + b'q,   a sum of non-negative terms (no cancellation)

so J(W, B) - gap_W <= min over W of J(., B) and J(W, B) - gap_B <= min over B of J(W, .). J is biconvex: a
point that passes is a first-order point and a partial optimum, never "the optimum".

Levels: C0 evaluated; C1 eps-partial-optimum (both gaps small); C2 first-order-verified (`passes`).

One deliberate departure: for w_s = 0 the residual of row s uses max h instead of h_s = 0. With h_s = 0 the
minimum is 0 for every B[s, t] > 0 although lowering it saves p_s B[s, t].
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.errors import ModelError
from amtl_cvx.model import Model
from amtl_cvx.tasks import Array, TaskSet, check_weights

LEVELS = {"C0": "evaluated", "C1": "eps-partial-optimum", "C2": "first-order-verified"}
DENSE_LIMIT = 6000
"""Largest T*d for which the exact gap of the W-step (a dense T*d factorisation) is computed."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What is known about a point; see the module essay and `certificate.json` in the README.

    Attributes
    ----------
    kind : str
        The problem the point is judged against: "joint" (J), "single-task" (the W-step at B = 0),
        "curriculum" (every convex step of Algorithm 2).
    objective : float
        J(W, B).
    stationarity_W, stationarity_B : float
        Largest residual, in the units of the gradient.
    relative_W, relative_B, relative : float
        Scale-free residuals; `relative` is the one that is judged.
    joint_relative : float
        The residual of J as a whole; equals `relative` for kind "joint", only reported for the others.
    feasibility : float
        max(0, -min B, max |diag B|); must be exactly 0.
    gap_W, gap_B : float or None
        Duality gaps in units of J; None where not available, with the reason in `reasons`.
    gap_W_exact : bool
        True when gap_W is the exact sub-optimality, False when it is an upper bound.
    sigma_min : float
        Smallest singular value of I - B; near 0 it inflates an upper bound gap_W.
    tol : float
        What the residual and the gaps (relative to J) are held against.
    passes : bool
    level : str or None
        "C0", "C1", "C2"; None for an infeasible point.
    edges : int
        Number of positive entries of B.
    """

    kind: str
    objective: float
    stationarity_W: float
    stationarity_B: float
    relative_W: float
    relative_B: float
    relative: float
    joint_relative: float
    feasibility: float
    gap_W: float | None
    gap_B: float | None
    gap_W_exact: bool
    sigma_min: float
    tol: float
    passes: bool
    level: str | None
    edges: int
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: numbers that are not finite become null."""
        result = dataclasses.asdict(self)
        result["reasons"] = dict(self.reasons)
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in result.items()
        }

    def verdict(self) -> str:
        """One line: level, word and the figures that decide."""
        if self.level is None:
            return f"not feasible: B violates B >= 0 or diag(B) = 0 by {self.feasibility:.2g}"
        word = f"{self.level} {LEVELS[self.level]}"
        figures = f"relative residual {self.relative:.1e}"
        for name, gap in (("gap_W", self.gap_W), ("gap_B", self.gap_B)):
            if gap is not None:
                figures += f", {name} {gap:.1e}"
        return f"{word}: {figures}, tolerance {self.tol:.0e} ({'passes' if self.passes else 'does not pass'})"

    def sentences(self) -> list[str]:
        """The certificate in plain words."""
        if self.level is None:
            return [self.verdict()]
        lines = [_KIND_WORDS[self.kind]]
        bound = "can gain exactly" if self.gap_W_exact else "can gain at most"
        if self.gap_W is not None:
            lines.append(
                f"A move of W alone {bound} {self.gap_W:.2g} in an objective of {self.objective:.6g}."
            )
        if self.gap_B is not None:
            lines.append(f"A move of B alone can gain at most {self.gap_B:.2g}.")
        compared = "at most" if self.relative <= self.tol else "more than"
        lines.append(
            f"The first-order residual is {self.relative:.2g} of the size of its terms,"
            f" {compared} the tolerance {self.tol:.0e}."
        )
        lines += [f"{name}: {reason}." for name, reason in self.reasons.items()]
        lines.append(
            "The graph is empty: no task helps another." if self.edges == 0 else f"{self.edges} edges."
        )
        return lines


_KIND_WORDS = {
    "joint": "The point is judged as a first-order point of the joint objective J;"
    " J is not convex, other such points can exist.",
    "single-task": "The point is judged as the minimum of the single-task problems (the W-step at B = 0),"
    " which is convex.",
    "curriculum": "Every step of the curriculum is judged as the convex problem it is;"
    " the result as a whole is not a first-order point of J.",
}


class Residuals(NamedTuple):
    """First-order residuals of a feasible point."""

    stationarity_W: float
    stationarity_B: float
    relative_W: float
    relative_B: float

    @property
    def relative(self) -> float:
        return max(self.relative_W, self.relative_B)


def certify(
    tasks: TaskSet, model: Model, W: Array, B: Array, *, tol: float = 1e-8, kind: str = "joint"
) -> Certificate:
    """Judge a point from any source.

    Parameters
    ----------
    tasks, model
        The problem.
    W, B : (d, T), (T, T) array_like
        The point. B is judged as it is: a negative entry or a diagonal makes it infeasible.
    tol : float
        Limit for the relative residual, and for the gaps relative to J.
    kind : {"joint", "single-task"}
        The problem the point claims to solve (the curriculum is judged by `certify_curriculum`).

    Raises
    ------
    DataError
        For a wrong shape, a NaN or an infinity.
    """
    if kind not in ("joint", "single-task"):
        raise ModelError(f"kind must be 'joint' or 'single-task', got {kind!r}")
    check_tolerance(tol)
    model.check(tasks)
    W, B = check_weights(W, B, d=tasks.d, T=tasks.T)
    feasibility = infeasibility(B)
    objective = model.objective(tasks, W, B)
    found = residuals(tasks, model, W, B)
    reasons: dict[str, str] = {}
    gap_W, exact, reason_W = weight_gap(tasks, model, W, B)
    gap_B, reason_B = transfer_gap(tasks, model, W, B) if feasibility <= 0.0 else (None, "B is not feasible")
    if kind == "single-task":
        gap_B, reason_B = None, "B is fixed at 0 in this problem"
        if np.any(B):
            feasibility = max(feasibility, float(np.abs(B).max()))
    if gap_W is None:
        reasons["gap_W"] = reason_W
    if gap_B is None:
        reasons["gap_B"] = reason_B
    relative = found.relative if kind == "joint" else found.relative_W
    return conclude(
        kind=kind,
        objective=objective,
        found=found,
        relative=relative,
        joint_relative=found.relative,
        feasibility=feasibility,
        gaps=(gap_W, gap_B),
        gap_W_exact=exact,
        B=B,
        tol=tol,
        reasons=reasons,
    )


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
    B: Array,
    tol: float,
    reasons: Mapping[str, str],
) -> Certificate:
    """The verdict and the level: the one place where figures are compared with the tolerance."""
    limit = tol * abs(objective)
    gap_W, gap_B = gaps
    judged = [gap for gap, counts in ((gap_W, gap_W_exact), (gap_B, True)) if gap is not None and counts]
    feasible = feasibility <= 0.0
    passes = feasible and relative <= tol and sum(judged) <= limit
    known = [gap for gap in gaps if gap is not None]
    small = gap_W is not None and (gap_B is not None or kind == "single-task") and sum(known) <= limit
    level = None if not feasible else "C2" if passes else "C1" if small else "C0"
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
        sigma_min=float(np.linalg.svd(np.eye(len(B)) - B, compute_uv=False)[-1]),
        tol=tol,
        passes=bool(passes),
        level=level,
        edges=int(np.count_nonzero(B > 0)),
        reasons=dict(reasons),
    )


def infeasibility(B: Array) -> float:
    """max(0, -min B, max |diag B|)."""
    return max(0.0, -float(B.min()), float(np.abs(np.diag(B)).max()))


def residuals(tasks: TaskSet, model: Model, W: Array, B: Array) -> Residuals:
    """The residuals of SPEC section 4, absolute and relative."""
    pull = model.loss_weight(tasks, B) * model.loss_gradient(tasks, W)
    at_zero = model.loss_weight(tasks, B) * model.loss_gradient(tasks, np.zeros_like(W))
    coupling = model.coupling_gradient_W(W, B)
    miss_W = np.abs(pull + coupling).max(axis=0)
    size_W = np.max([np.abs(term).max(axis=0) for term in (pull, at_zero, coupling)], axis=0)
    miss_B, size_B = _transfer_residual(tasks, model, W, B)
    return Residuals(
        stationarity_W=float(miss_W.max()),
        stationarity_B=float(miss_B.max()),
        relative_W=_largest_ratio(miss_W, size_W),
        relative_B=_largest_ratio(miss_B, size_B),
    )


def _transfer_residual(tasks: TaskSet, model: Model, W: Array, B: Array) -> tuple[Array, Array]:
    """Per row of B: the prox residual in gradient units, and the size of its terms."""
    losses = model.weighted_losses(tasks, W)
    prices = model.transfer.prices(losses)
    inner = 2.0 * model.coupling * np.abs(W.T @ W)
    steps = prox_steps(model, W, 0.0 if prices is None else float(np.abs(prices).max()))
    np.fill_diagonal(inner, 0.0)
    smooth = model.coupling_gradient_B(W, B)
    if prices is None:
        moved = model.transfer.prox(B - smooth / steps, 1.0 / steps, losses)
        miss = np.abs(steps * (B - moved))
        return miss.max(axis=1), inner.max(axis=1)
    miss = np.abs(np.minimum(steps * B, prices[:, None] + smooth))
    np.fill_diagonal(miss, 0.0)
    return miss.max(axis=1), prices + inner.max(axis=1)


def prox_steps(model: Model, W: Array, fallback: float) -> Array:
    """h (T, 1): 2 coupling ||w_s||^2, and the largest of them (or `fallback`) for a row with w_s = 0."""
    h = 2.0 * model.coupling * (W**2).sum(axis=0)
    largest = float(h.max()) or fallback or 1.0
    return np.where(h > 0, h, largest)[:, None]


def weight_gap(tasks: TaskSet, model: Model, W: Array, B: Array) -> tuple[float | None, bool, str]:
    """How much a move of W alone can gain: the gap, whether it is exact, the reason where there is none."""
    gradient = model.gradient_W(tasks, W, B)
    if model.loss.quadratic and tasks.T * tasks.d <= DENSE_LIMIT:
        exact = _quadratic_gap(tasks, model, W, B, gradient)
        if exact is not None:
            return exact, True, ""
    M = np.eye(tasks.T) - B
    singular = np.linalg.svd(M, compute_uv=False)
    if singular[-1] <= tasks.T * np.finfo(float).eps * singular[0]:
        return (
            None,
            False,
            f"I - B is singular (smallest singular value {singular[-1]:.1e}), the bound is infinite",
        )
    return float((np.linalg.solve(M, gradient.T) ** 2).sum()) / (4.0 * model.coupling), False, ""


def _quadratic_gap(tasks: TaskSet, model: Model, W: Array, B: Array, gradient: Array) -> float | None:
    """(1/2) g'H^-1 g; None when H is numerically singular along g."""
    H = weight_hessian(tasks, model, W, B)
    g = gradient.T.ravel()
    try:
        return 0.5 * float(g @ sl.cho_solve(sl.cho_factor(H, lower=True), g))
    except sl.LinAlgError:
        values, vectors = np.linalg.eigh(H)
        parts = vectors.T @ g
        kept = values > len(g) * np.finfo(float).eps * values[-1]
        noise = len(g) * np.finfo(float).eps * float(np.abs(H @ W.T.ravel()).max())
        if np.abs(parts[~kept]).max(initial=0.0) > noise:
            return None
        return 0.5 * float((parts[kept] ** 2 / values[kept]).sum())


def weight_hessian(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    """Hessian of J in vec(W), tasks stacked: blockdiag(a_t Hess L_t) + 2 coupling P (x) I_d, (T d, T d)."""
    d, T = W.shape
    M = np.eye(T) - B
    H: Array = np.kron(2.0 * model.coupling * (M @ M.T), np.eye(d)).astype(np.float64)
    for t, (task, a) in enumerate(zip(tasks, model.loss_weight(tasks, B), strict=True)):
        block = slice(t * d, (t + 1) * d)
        H[block, block] += a * model.loss.hessian(task, W[:, t])
    return H


def transfer_gap(tasks: TaskSet, model: Model, W: Array, B: Array) -> tuple[float | None, str]:
    """How much a move of B alone can gain, summed over columns; None with the reason where not available."""
    prices = model.transfer.prices(model.weighted_losses(tasks, W))
    if prices is None:
        return None, f"{type(model.transfer).__name__} has no closed-form dual"
    total = 0.0
    for t in range(tasks.T):
        others = np.arange(tasks.T) != t
        total += _column_gap(W[:, others], W[:, t], B[others, t], prices[others], model.coupling)
    if not math.isfinite(total):
        return None, "a task without loss makes an edge free and the other tasks are collinear"
    return total, ""


def _column_gap(A: Array, w: Array, b: Array, p: Array, coupling: float) -> float:
    """Gap of one B-step column, the better of two dual bounds (CERTIFICATES section 2)."""
    if not len(b):
        return 0.0
    b = np.maximum(b, 0.0)
    r = w - A @ b
    rr = float(r @ r)
    slope = 2.0 * coupling * (A.T @ r)
    scale = max(0.0, float(r @ w) / rr) if rr > 0 else 0.0
    if (slope > 0).any():
        scale = min(scale, float((p[slope > 0] / slope[slope > 0]).min()))
    scaled = coupling * (1.0 - scale) ** 2 * rr + float(b @ np.maximum(p - scale * slope, 0.0))
    if scale >= 1.0:
        return scaled
    excess = np.maximum(slope - p, 0.0)
    bound = np.divide(coupling * float(w @ w), p, out=np.full_like(p, np.inf), where=p > 0)
    if len(b) <= len(w):
        smallest = float(np.linalg.svd(A, compute_uv=False)[-1])
        if smallest > 0:
            bound = np.minimum(bound, float(np.linalg.norm(w)) / smallest)
    boxed = float(b @ (p - slope)) + float((bound[excess > 0] * excess[excess > 0]).sum())
    return min(scaled, max(boxed, 0.0))


def check_tolerance(tol: float) -> None:
    """Raise `ModelError` unless 0 < tol < 1."""
    if not 0.0 < tol < 1.0:
        raise ModelError(f"tol must lie between 0 and 1, got {tol!r}")


def _largest_ratio(miss: Array, size: Array) -> float:
    """max over entries of miss/size with 0/0 = 0 and x/0 = inf."""
    ratio = np.divide(miss, size, out=np.where(miss > 0, np.inf, 0.0), where=size > 0)
    return float(ratio.max())
