r"""How far everything at a point may be off: the passes of `point` line by line, with an error beside each.

A sum of products a b is off by sum (da |b| + (|a| + da) db) + `part` sum (|a| + da) (|b| + db), where a and b
are off by da and db and `part` is what rounding does to a sum of its terms in absolute values. With no error
at the start this is what rounding does to J's derivatives at the doubles of the point (running error
analysis). With an error for every entry it is also how far what is computed at the point may be from what it
is anywhere within these errors, the units keeping their cells: `second_order` asks that nothing may have
changed its side.

No error ever cancels. For that reason what errors y of the entries and rounding do to the gradient together,
beyond what each does alone, is what rounding does to H y, H the Hessian, and y > 0 bounds its eigenvalues:
those of a matrix K >= 0 are at most max_i (K y)_i / y_i (`rounding_of_hessian`).

Sources: Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition 2002, section 3.3; the bound of
the eigenvalues is that of Collatz and Wielandt (Horn and Johnson, Matrix Analysis, theorem 8.1.26).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.network.backward import Gradient
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.vertex import concave

PART = 4.0 * float(np.finfo(np.float64).eps)  # as in `features.local`
_STEPS = 6


class Spread:
    """What may be off at a point, and by how much; all arrays have the shapes of what they are of.

    Parameters
    ----------
    point : NetworkPoint
        Where.
    entries : (n,) array, optional
        By how much each entry may be off; by default not at all.
    gradient : Gradient
        There, with the multipliers of the kinks.
    held : sequence of (N, k_l) arrays, optional
        By how much the multipliers may be off; 0 elsewhere.
    part : float
        What rounding does to a sum, over the sum of its terms in absolute values.
    smooth : bool
        Whether jumps of phi'' are left out: it is off by its own size for each unit that a score is off.
    """

    def __init__(
        self,
        point: NetworkPoint,
        gradient: Gradient,
        *,
        entries: Array | None = None,
        held: Sequence[Array] | None = None,
        part: float = PART,
        smooth: bool = False,
    ) -> None:
        entries = np.zeros(point.problem.size) if entries is None else entries
        self.point, self.at, self.part, self._held, self._smooth = point, gradient, part, held, smooth
        *self.V, self.S, self.A_plus = point.problem.layout.split(entries)
        self._forward()
        self._backward()

    def _forward(self) -> None:
        """u, F, R and E."""
        point, U, z = self.point, [], np.zeros((len(self.point.F), 0))
        for number, V in enumerate(point.V):
            below = np.zeros_like(point.below[number])
            below[:, : z.shape[1]] = z
            U.append(self._product(point.below[number], below, V, self.V[number]))
            z = point.on[number] * U[-1]
        self.U, self.Z = tuple(U), z
        self.F = self._product(point.features, z, point.S, self.S)
        F_plus = np.zeros_like(point.F_plus)
        F_plus[:, : self.F.shape[1]] = self.F
        self.F_plus = F_plus
        self.R = self._product(point.F_plus, F_plus, point.A_plus, self.A_plus)

    def _backward(self) -> None:
        """The gradient, w and what enters them."""
        point, gradient, T = self.point, self.at, self.point.tasks.T
        scale = 2.0 * point.problem.gamma * point.problem.rows.times[:, None]
        rounded = point.features + self.Z + point.rebuilding * (np.abs(point.R) + self.R)
        G_E = scale * (self.Z + point.rebuilding * self.R + self.part * rounded)
        G_R = point.rebuilding * G_E
        given = 1.0 + point.model.alpha * np.abs(point.A).sum(axis=1)
        more = point.model.alpha * self.A_plus[:T].sum(axis=1)
        more = more + self.part * (given + more)
        P, self.P = np.abs(point.loss_slopes), self._slopes()
        own = given * self.P + more * (P + self.P)
        F = own + self._product(gradient.R, G_R, point.A.T, self.A_plus[:T].T)
        losses = (given * (P + self.P) * self.F).sum()
        self._off = losses + (np.abs(point.E) * G_E).sum()
        self.G_S = self._product(point.features.T, self.Z.T, gradient.F, F)
        self.G_A = self._product(point.F_plus.T, self.F_plus.T, gradient.R, G_R)
        self.G_A[T:] += self._decayed(point.A_plus[T:], self.A_plus[T:])
        moved = point.model.alpha * ((P + self.P) * self.F).sum(axis=0)
        self.prices = moved + self.part * (point.prices + moved)
        w = self._product(gradient.F, F, point.S.T, self.S.T) + G_E
        w += self.part * (scale * np.abs(point.E) + G_E)
        G_V, kinks, G_us, self.below = [], [], [], self._below()
        for number in reversed(range(len(point.V))):
            kinks.append(w)
            V, G_u = point.V[number], gradient.slopes[number]
            off = point.on[number] * w
            off = off + self.part * (np.abs(G_u) + off)
            if self._held is not None:
                off = off + self._held[number]
            G = self._product(point.below[number].T, self.below[number].T, G_u, off)
            G_V.append(G + self._decayed(V, self.V[number]))
            G_us.append(off)
            if number:
                width = point.Z[number - 1].shape[1]
                w = self._product(G_u, off, V[:width].T, self.V[number][:width].T)
        self.G_V, self.kinks, self.G_u = tuple(G_V[::-1]), tuple(kinks[::-1]), tuple(G_us[::-1])

    def _below(self) -> list[Array]:
        """Of what enters each layer."""
        found = [np.zeros_like(self.point.below[0])]
        for number, U in enumerate(self.U[:-1]):
            below = np.zeros_like(self.point.below[number + 1])
            below[:, : U.shape[1]] = self.point.on[number] * U
            found.append(below)
        return found

    def _slopes(self) -> Array:
        """Of the slopes P, with the largest curvature within reach of the scores."""
        point, rows = self.point, self.point.problem.rows
        off = self.F[rows.row, rows.task]
        ways = (0.0,) if self._smooth else (-1.0, 0.0, 1.0)
        ends = [point.row_loss.curvatures(point.scores + way * off, rows.y) for way in ways]
        bent = np.max(ends, axis=0) * (1.0 + off * (self._smooth and not point.model.loss.quadratic))
        slopes = np.abs(point.row_loss.slopes(point.scores, rows.y)) + bent * off
        scale = (point.problem.task_weight * point.problem.loss_scales)[rows.task]
        return rows.spread(scale * (bent * off + self.part * slopes), point.tasks.T)

    def _decayed(self, block: Array, off: Array) -> Array:
        found: Array = 2.0 * self.point.model.decay * (off + self.part * (off + np.abs(block)))
        return found

    def _product(self, a: Array, da: Array, b: Array, db: Array) -> Array:
        """Of a b."""
        a, b = np.abs(a), np.abs(b)
        found: Array = da @ b + (a + da) @ db + self.part * ((a + da) @ (b + db))
        return found

    @property
    def objective(self) -> float:
        """Of J."""
        return float(self._off) + self.part * self.point.objective

    @cached_property
    def pulls(self) -> tuple[Array, Array, Array]:
        """Of what kinks of the reconstruction take (`vertex`) from S (k, T), A and its bias, and from w^h."""
        point, T = self.point, self.point.tasks.T
        c = concave(point)
        if not c.any():
            return np.zeros_like(point.S), np.zeros_like(point.A_plus), np.zeros_like(c)
        off = np.where(c > 0.0, 2.0 * point.problem.gamma * point.problem.rows.times[:, None] * self.Z, 0.0)
        off = off + self.part * c
        held = self._product(c, off, point.A.T, self.A_plus[:T].T)
        S = self._product(point.features.T, self.Z.T, c @ np.abs(point.A.T), held)
        q = self._product(point.S, self.S, point.A, self.A_plus[:T])
        taken = self._product(c, off, (point.S @ point.A).T, q.T)
        return S, self._product(point.F_plus.T, self.F_plus.T, c, off), taken

    @property
    def weights(self) -> tuple[Array, ...]:
        """Of the weights of kinks of the layers, less what those of the reconstruction take, (N, k_l)."""
        return (*self.kinks[:-1], self.kinks[-1] + self.pulls[2])

    @cached_property
    def gradient(self) -> Array:
        """Of the gradient with the prices, each entry of S and A on its side of 0, (n,)."""
        point, T = self.point, self.point.tasks.T
        G_A = self.G_A.copy()
        G_A[:T] += self.prices[:, None]
        G_S = self.G_S + self.part * point.model.mu
        return np.concatenate([part.ravel() for part in (*self.G_V, G_S, G_A)])


def rounding_of_hessian(point: NetworkPoint, gradient: Gradient, *, free: Indices, root: Array) -> float:
    """At most what rounding does to an eigenvalue of D^-1/2 H D^-1/2, H in the entries at `free`, D = root^2.

    H is that of `hessian` with the multipliers that are in the gradient.
    """
    share = 1e-5

    def errors(entries: Array | None, part: float) -> Array:
        found = Spread(point, gradient, entries=entries, part=part, smooth=True)
        return found.gradient[free] / root

    y, alone, found = np.ones(len(free)), errors(None, share), np.inf
    for _ in range(_STEPS):
        entries = np.zeros(point.problem.size)
        entries[free] = share * y / root
        Ky = np.maximum(errors(entries, share) - errors(entries, 0.0) - alone, 0.0) / share**2
        found = min(found, float((Ky / y).max(initial=0.0)))
        y = Ky / (Ky.max(initial=0.0) or 1.0) + 1e-3
    return PART * found
