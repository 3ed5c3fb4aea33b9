r"""Least squares over an l1 ball, exactly and for all tasks at once: the codes of a quadratic loss.

    min over g of   g'A g - 2 b'g,      ||g||_1 <= radius           A (K, K) positive semidefinite

With c = 2 (b - A g) and lambda the multiplier of the ball, g is the minimum where |c_k| <= lambda, c_k =
lambda sign(g_k) where g_k != 0, and lambda = 0 or ||g||_1 = radius. As lambda falls from max |2 b| the
minimum moves along straight lines, on which entries come and go; it is followed until the ball is full or
lambda is 0 (Osborne, Presnell, Turlach 2000). Each event costs a system of K unknowns, for all tasks in one
call. A code whose support and signs are already right takes one system (`settled`).

A singular system on the support, of a task with fewer rows than atoms, is solved with `_RIDGE` of the largest
diagonal entry; the answer is then corrected by the exact residual.

Source: Osborne, Presnell, Turlach, A new approach to variable selection in least squares problems, IMA J.
Numer. Anal. 20, 2000.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Mask

_RIDGE = 1e-13  # of the largest diagonal entry of A
_EVENTS = 12  # times K: entries that come and go before a path is given up
_WITHIN = 1e-11  # of the terms of the conditions: what counts as met
_ROUNDS = 4000  # of projected gradients where a path was lost


class Codes(NamedTuple):
    """g'A g - 2 b'g for m tasks: A (m, K, K), b (m, K)."""

    A: Array
    b: Array

    def some(self, at: Mask) -> Codes:
        """Those of some of the tasks."""
        return Codes(self.A[at], self.b[at])


def code_minimum(codes: Codes, radius: float, start: Array | None = None) -> Array:
    """The minima (m, K); `start` (m, K) is where supports and signs are taken from first."""
    g, todo = np.zeros_like(codes.b), np.ones(len(codes.b), dtype=bool)
    if start is not None:
        g, right = _ended(codes, radius, start)
        todo = ~right
    if todo.any():
        rest = codes.some(todo)
        found, right = _ended(rest, radius, _path(rest, radius))
        if not right.all():
            lost = ~right
            found[lost] = _by_gradients(rest.some(lost), radius, found[lost])
        g[todo] = found
    return g


def _ended(codes: Codes, radius: float, start: Array) -> tuple[Array, Mask]:
    """The minima on the supports of `start`, or `start` where it is one and they are not."""
    found, right = settled(codes, radius, start)
    own = ~right & _is_minimum(codes, radius, start, np.sign(start))
    return np.where(right[:, None], found, start), right | own


@np.errstate(over="ignore", invalid="ignore")  # of systems that are singular; what is no number is no minimum
def settled(codes: Codes, radius: float, start: Array) -> tuple[Array, Mask]:
    """The minima on the supports and signs of `start`, and which of them are minima.

    The ball is taken to be full; where it would push (lambda < 0), to be open.
    """
    sign = np.sign(start)
    M = bordered(codes.A, sign != 0.0)
    whole, turned = np.moveaxis(np.linalg.solve(M, np.stack([codes.b * np.abs(sign), sign], axis=2)), 2, 0)
    pull = np.maximum((sign * turned).sum(axis=1), 1e-300)
    half = ((sign * whole).sum(axis=1) - radius) / pull
    full = half > 0.0
    g = whole - np.where(full, half, 0.0)[:, None] * turned
    for _ in range(2):  # by the exact residual
        more = _solved(M, (codes.b - _times(codes.A, g)) * np.abs(sign))
        lacking = radius - (sign * g).sum(axis=1)
        shift = np.where(full, ((sign * more).sum(axis=1) - lacking) / pull, 0.0)
        g = g + more - shift[:, None] * turned
    return g, _is_minimum(codes, radius, g, sign)


def _is_minimum(codes: Codes, radius: float, g: Array, sign: Array) -> Mask:
    """Whether signs hold, and what the ball can still gain is rounding."""
    c = 2.0 * (codes.b - _times(codes.A, g))
    size = 2.0 * (np.abs(codes.b) + _times(np.abs(codes.A), np.abs(g)))
    kept = (g * sign > 0.0) == (sign != 0.0)
    most = np.abs(c).max(axis=1)
    inside = np.abs(g).sum(axis=1) < radius * (1.0 - _WITHIN)
    limit = _WITHIN * size.max(axis=1)
    off = np.where(sign != 0.0, np.abs(np.where(inside[:, None], c, c - most[:, None] * sign)), 0.0)
    over = np.abs(g).sum(axis=1) > radius * (1.0 + _WITHIN)
    idle = inside & (most > limit)
    found: Mask = kept.all(axis=1) & (off <= limit[:, None]).all(axis=1) & ~over & ~idle
    return found


def _path(codes: Codes, radius: float) -> Array:
    """The minima as lambda falls; what is reached when a path is given up is feasible."""
    A, b = codes
    m, K = b.shape
    g, c = np.zeros((m, K)), 2.0 * b
    level = np.abs(c).max(axis=1)
    sign, left = np.zeros((m, K)), np.full(m, -1)
    going = np.flatnonzero(level > 0.0)
    first = np.abs(c[going]).argmax(axis=1)
    sign[going, first] = np.sign(c[going, first])
    for _ in range(_EVENTS * K):
        if not len(going):
            break
        s, here, slope, top = sign[going], g[going], c[going], level[going]
        v = _solved(bordered(A[going], s != 0.0), s)
        moved = _times(A[going], v)
        step, place = _next(here, slope, s, v, moved, top, radius, left[going])
        g[going] = np.where(s != 0.0, here + 0.5 * step[:, None] * v, 0.0)
        c[going], level[going] = slope - step[:, None] * moved, top - step
        rows = np.arange(len(going))
        event = place < K
        entering = event & (s[rows, np.minimum(place, K - 1)] == 0.0)
        leaving = event & ~entering
        at = going[entering], place[entering]
        sign[at] = np.sign(c[at])
        out = going[leaving], place[leaving]
        sign[out], g[out] = 0.0, 0.0
        left[going] = np.where(leaving, place, -1)
        going = going[event]
    return g


def _next(
    g: Array, c: Array, s: Array, v: Array, moved: Array, top: Array, radius: float, left: Array
) -> tuple[Array, Array]:
    """How far lambda falls to the next event, (m,), and the entry that comes or goes; K for the end.

    The one that has just left, `left`, can only come back with its other sign.
    """
    off, just = s == 0.0, np.arange(s.shape[1]) == left[:, None]
    up, down = off & ~(just & (c > 0.0)), off & ~(just & (c < 0.0))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        up = np.where(up & (moved < 1.0), (top[:, None] - c) / (1.0 - moved), np.inf)
        down = np.where(down & (moved > -1.0), (top[:, None] + c) / (1.0 + moved), np.inf)
        gone = np.where((s != 0.0) & (v * s < 0.0), -2.0 * g / v, np.inf)
        room = 2.0 * (radius - np.abs(g).sum(axis=1)) / np.maximum((s * v).sum(axis=1), 1e-300)
    events = np.maximum(np.minimum(np.minimum(up, down), gone), 0.0)
    end = np.minimum(np.maximum(room, 0.0), top)
    place = events.argmin(axis=1)
    step = events[np.arange(len(place)), place]
    return np.minimum(step, end), np.where(step < end, place, s.shape[1])


def bordered(A: Array, on: Mask, *, ridge: float = _RIDGE) -> Array:
    """A on the supports and the identity beside them, (m, K, K); `ridge` is of the largest diagonal entry."""
    K, diagonal = on.shape[1], np.einsum("tkk->tk", A)
    M: Array = np.where(on[:, :, None] & on[:, None, :], A, 0.0)
    added = ridge * np.maximum(diagonal.max(axis=1), 1e-300)
    M[:, np.arange(K), np.arange(K)] = np.where(on, diagonal + added[:, None], 1.0)
    return M


def _solved(M: Array, right: Array) -> Array:
    """M^-1 right: not by an inverse, whose products are off by eps over the ridge where A is singular."""
    return np.asarray(np.linalg.solve(M, right[:, :, None])[:, :, 0], dtype=np.float64)


def _times(A: Array, x: Array) -> Array:
    found: Array = (A @ x[:, :, None])[:, :, 0]
    return found


def _by_gradients(codes: Codes, radius: float, start: Array) -> Array:
    """Accelerated projected gradients with restarts, then the minimum on the support they found."""
    A, b = codes
    steepest = np.maximum(np.linalg.eigvalsh(A)[:, -1], 1e-300)[:, None]
    x, y, momentum = start, start, 1.0
    for count in range(_ROUNDS):
        new = l1_projected(y + (b - _times(A, y)) / steepest, radius)
        if ((y - new) * (new - x)).sum() > 0.0:
            momentum = 1.0
        ahead = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        y, x, momentum = new + (momentum - 1.0) / ahead * (new - x), new, ahead
        if count % 200 == 199:
            found, right = settled(codes, radius, x)
            if right.all():
                return found
    found, right = settled(codes, radius, x)
    return np.where(right[:, None], found, x)


def l1_projected(V: Array, radius: float) -> Array:
    """The nearest points (m, K) with ||.||_1 <= radius (Duchi et al. 2008)."""
    size = np.abs(V)
    order = -np.sort(-size, axis=1)
    count = np.arange(1, V.shape[1] + 1)
    level = (np.cumsum(order, axis=1) - radius) / count
    kept = (order > level).sum(axis=1)
    cut = level[np.arange(len(V)), np.maximum(kept, 1) - 1]
    found: Array = np.sign(V) * np.maximum(size - np.maximum(cut, 0.0)[:, None], 0.0)
    return found
