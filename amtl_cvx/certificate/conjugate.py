r"""The gap of B from the conjugate alone: for every transfer penalty and every feasible set (W fixed).

With R = W - W B, R~ the penalty with its set, R~* its conjugate off the diagonal, and any Theta (d, T),

    J(W, B) - min J(W, .)  <=  ||2 lam R - Theta||_F^2 / (4 lam) + [ R~(B) + R~*(S) - <B, S> ],   S = W'Theta

two terms >= 0 each (Fenchel). Two directions of Theta are tried, each times the largest s in [0, 1] for which
R~*(s S) is finite, and the lesser gap is kept; s = 0 always is feasible, as R~ >= 0:

    scaled    2 lam R: linear in the residual
    shifted   B+ = prox(B - G/h), V = h (B - B+) + G(B+) - G(B), G = -2 lam W'R: V - G(B+) is a subgradient of
              R~ at B+, and Theta_t = 2 lam (w_t - W b+_t) + pinv(A_t)'V_t has that for S where the columns of
              A_t = W without w_t are independent (T - 1 <= d): quadratic in the residual. Where T - 1 > d
              only the rows with an edge in B+ are asked for, the others have room at a strict solution. V is
              asked for less twice the rounding of S (nearer to 0 by that): a free edge leaves no s above 0
              otherwise

How Theta was found proves nothing, only the conjugate does. Rounding: with u of `duals`, W'Theta is known to
within u ||w_s|| ||theta_t||, and R~* of a set in B >= 0 grows with every entry of S, so it is asked at S plus
that; a set with `signed` is asked at S moved away from 0. It falls with the losses, which are known to within
`loss_room`: the low ones are asked. What the sums themselves lose, u times their terms, is added.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.certificate.residuals import prox_steps
from amtl_cvx.certificate.room import SUMMED, features, loss_room, rounding
from amtl_cvx.problem import Model, Point
from amtl_cvx.problem.coupling import residual, slope_B
from amtl_cvx.tasks import Array

_HALVINGS = 60


def conjugate_gap(point: Point) -> float | None:
    """What a move of B alone can gain at most, rounding included; None where no conjugate is known."""
    tasks, model, W, B = point.tasks, point.model, point.W, point.B
    losses = point.weighted_losses
    room = point.problem.task_weight * loss_room(point) + SUMMED * losses
    if model.transfer.conjugate(np.zeros_like(B), losses) is None:
        return None
    noise = rounding(W, features(tasks))
    judge = _Judge(model, W, B, losses, room, noise)
    return min(judge.gap(Theta) for Theta in (judge.pull, shifted(model, W, B, losses, noise=noise)))


def shifted(model: Model, W: Array, B: Array, losses: Array, *, noise: float) -> Array:
    """The second direction of the essay."""
    d, T = W.shape
    h = prox_steps(model, W, 1.0)
    slope = slope_B(model.coupling, W, residual(W, B))
    after = model.transfer.prox(B - slope / h, 1.0 / h, losses)
    R = residual(W, after)
    V = h * (B - after) + slope_B(model.coupling, W, R) - slope
    Theta = 2.0 * model.coupling * R
    room = 2.0 * noise * np.outer(np.linalg.norm(W, axis=0), np.linalg.norm(Theta, axis=0))
    V -= np.clip(V, -room, room) if model.transfer.feasible(T).signed else room
    for t in range(T):
        others = np.arange(T) != t
        if d < T - 1:
            others &= after[:, t] != 0.0
        Theta[:, t] += np.linalg.lstsq(W[:, others].T, V[others, t], rcond=None)[0]
    return Theta


class _Judge:
    """The bound of the essay at one point, for any Theta."""

    def __init__(self, model: Model, W: Array, B: Array, losses: Array, room: Array, noise: float) -> None:
        self.model, self.W, self.B, self.noise = model, W, B, noise
        self.low = np.maximum(losses - room, 0.0)
        self.spent = model.transfer.value(B, losses + room)
        self.signed = model.transfer.feasible(len(B)).signed
        self.length = np.linalg.norm(W, axis=0)
        self.pull = 2.0 * model.coupling * residual(W, B)
        self.blur = 2.0 * model.coupling * noise * (self.length + self.length @ np.abs(B))

    def gap(self, Theta: Array) -> float:
        """The bound at the largest multiple of Theta that is feasible."""
        S = self.W.T @ Theta
        np.fill_diagonal(S, 0.0)
        room = self.noise * np.outer(self.length, np.linalg.norm(Theta, axis=0))
        asked = S + (np.where(S < 0.0, -room, room) if self.signed else room)
        np.fill_diagonal(asked, 0.0)
        scale, conjugate = self._largest(asked)
        away = np.linalg.norm(self.pull - scale * Theta, axis=0) + self.blur
        first = float((away**2).sum()) / (4.0 * self.model.coupling)
        inner = scale * float((self.B * S).sum())
        lost = scale * float((np.abs(self.B) * room).sum())
        terms = abs(self.spent) + abs(conjugate) + scale * float((np.abs(self.B) * np.abs(S)).sum())
        second = max(self.spent + conjugate - inner, 0.0) + lost + self.noise * terms
        return (first + second) * (1.0 + self.noise)

    def _largest(self, S: Array) -> tuple[float, float]:
        """The largest s in [0, 1], by bisection, with R~*(s S) finite; and that value."""
        conjugate = self._conjugate(S)
        if np.isfinite(conjugate):
            return 1.0, conjugate
        low, high, best = 0.0, 1.0, self._conjugate(0.0 * S)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            conjugate = self._conjugate(middle * S)
            if np.isfinite(conjugate):
                low, best = middle, conjugate
            else:
                high = middle
        return low, best

    def _conjugate(self, S: Array) -> float:
        found = self.model.transfer.conjugate(S, self.low)
        assert found is not None
        return np.inf if np.isnan(found) else float(found)  # of a class that says nothing, nothing is known
