r"""J and its gradients as somebody computes them: every place where a mistake is made is a field.

    l_t      = scale_t sum_i v_i phi(x_ti'w_t; y_ti)
    J        = sum_t c_t l_t + mu sum_s p_s sum_t B[s, t] + coupling ||R||_F^2 + ridge ||W||_F^2
    p_s      = k_s q_s,   q_s = l_s                         k = c; another loss or power of it by mistake
    R        = W (I - C),   C = B                           B' by mistake
    G_W      = a_t grad l_t + 2 coupling R (I - C)' + 2 ridge W,     a_t = c_t + mu k_t dq/dl sum_u B[t, u]
    G_B[s,t] = mu p_s - 2 coupling w_s'r_t

`Formula` without a change is the right one; a `Variation` changes a field or two. It is written apart from
the package's own J, on rows and in loops: what is held against a back end should not share its slips.

Sizes, (d, T) and (T, T), are sums of |terms|: what a difference is held against.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from amtl_cvx.arrays import Array

TINY = 1e-300


class RowLoss(Protocol):
    """phi of every row with two derivatives."""

    def rows(self, z: Array, y: Array) -> Array: ...

    def slopes(self, z: Array, y: Array) -> Array: ...

    def curvatures(self, z: Array, y: Array) -> Array: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The rows of a task: X (n, d), y (n,), how often each counts (n,), and the factor before their sum."""

    X: Array
    y: Array
    weight: Array
    scale: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Formula:
    """One way to compute J.

    Attributes
    ----------
    data : tuple of Rows
    loss : RowLoss
    task_weights, price_weights : (T,) ndarray
        c_t before the loss and in the price of an edge.
    mu, coupling, ridge : float
    priced : RowLoss, optional
        The loss in the price, where it is not the model's.
    power : int
        Of the loss in the price.
    through : bool
        Whether a power of the loss is differentiated, or its value taken as the price of an edge.
    held : (T,) ndarray, optional
        Losses that the prices are made of, whatever W is.
    incoming : bool
        Edges are paid by the task that takes.
    transposed, transposed_back : bool
        B' stands for B in the residual; I - B for (I - B)' in the gradient.
    cross : bool
        Whether the gradient has the residuals of the tasks that w_t helps.
    norm : {"squared", "norm", "columns"}
        ||R||_F^2, ||R||_F or the sum of the ||r_t||.
    slope_of_loss, slope_of_coupling : float
        Factors of the gradients alone.
    """

    data: tuple[Rows, ...]
    loss: RowLoss
    task_weights: Array
    price_weights: Array
    mu: float
    coupling: float
    ridge: float = 0.0
    priced: RowLoss | None = None
    power: int = 1
    through: bool = True
    held: Array | None = None
    incoming: bool = False
    transposed: bool = False
    transposed_back: bool = False
    transposed_slope: bool = False
    cross: bool = True
    norm: str = "squared"
    slope_of_loss: float = 1.0
    slope_of_coupling: float = 1.0

    @property
    def T(self) -> int:
        return len(self.data)

    def losses(self, W: Array, *, priced: bool = False) -> Array:
        """l (T,), or the losses of the price."""
        loss = self.priced if priced and self.priced is not None else self.loss
        return np.array(
            [
                rows.scale * float(rows.weight @ loss.rows(rows.X @ w, rows.y))
                for rows, w in zip(self.data, W.T, strict=True)
            ]
        )

    def prices(self, W: Array) -> Array:
        """mu p (T,): what a unit of a task's edges costs."""
        losses = self.losses(W, priced=True) if self.held is None else self.held
        prices: Array = self.mu * self.price_weights * losses**self.power
        return prices

    def edges(self, B: Array) -> Array:
        """What each task pays for, (T,)."""
        sums: Array = B.sum(axis=0 if self.incoming else 1)
        return sums

    def coupling_value(self, W: Array, B: Array) -> float:
        """The coupling of J."""
        R = W @ self._M(B)
        if self.norm == "norm":
            return self.coupling * float(np.linalg.norm(R))
        if self.norm == "columns":
            return self.coupling * float(np.linalg.norm(R, axis=0).sum())
        return self.coupling * float((R * R).sum())

    def objective(self, W: Array, B: Array) -> float:
        """J(W, B)."""
        own = float(self.task_weights @ self.losses(W)) + float(self.prices(W) @ self.edges(B))
        return own + self.coupling_value(W, B) + self.ridge * float((W * W).sum())

    def terms(self, W: Array, B: Array) -> float:
        """The sum of the sizes of the terms of J."""
        own = float(np.abs(self.task_weights) @ np.abs(self.losses(W)))
        paid = float(np.abs(self.prices(W)) @ np.abs(self.edges(np.abs(B))))
        return own + paid + abs(self.coupling_value(W, B)) + self.ridge * float((W * W).sum())

    def loss_slopes(self, W: Array, B: Array, *, sizes: bool = False) -> Array:
        """a_t grad l_t, (d, T), or the sizes of what it is summed from."""
        columns = []
        sums = self.edges(B)
        losses = self.losses(W) if self.power != 1 else np.ones(self.T)
        for t, (rows, w) in enumerate(zip(self.data, W.T, strict=True)):
            paid = self.mu * self.price_weights[t] * sums[t]
            z = rows.X @ w
            X = np.abs(rows.X) if sizes else rows.X
            slope = rows.weight * self.loss.slopes(z, rows.y)
            own = X.T @ (np.abs(slope) if sizes else slope)
            if self.priced is not None:
                other = rows.weight * self.priced.slopes(z, rows.y)
                column = self.task_weights[t] * own + paid * (X.T @ (np.abs(other) if sizes else other))
            else:
                power = self.power * losses[t] ** (self.power - 1) if self.through else losses[t]
                column = (self.task_weights[t] + paid * power) * own
            columns.append(rows.scale * self.slope_of_loss * column)
        return np.column_stack(columns)

    def curvature(self, t: int, W: Array, paid: float) -> Array:
        """The second derivative of the losses of task t in w_t, (d, d); `paid` is what it pays for."""
        rows, price = self.data[t], self.mu * self.price_weights[t] * paid
        z = rows.X @ W[:, t]
        own = rows.weight * self.loss.curvatures(z, rows.y)
        first = rows.weight * self.loss.slopes(z, rows.y)
        c, outer = self.task_weights[t], 0.0
        if self.priced is not None:
            D = c * own + price * rows.weight * self.priced.curvatures(z, rows.y)
        elif self.power == 1:
            D = (c + price) * own
        else:
            value = rows.scale * float(rows.weight @ self.loss.rows(z, rows.y))
            outer = self.slope_of_loss * price * rows.scale**2 * (2.0 if self.through else 1.0)
            D = (c + price * value * (2.0 if self.through else 1.0)) * own
        H: Array = self.slope_of_loss * rows.scale * (rows.X.T * D) @ rows.X
        slope = rows.X.T @ first
        return H + outer * np.outer(slope, slope)

    def gradient_W(self, W: Array, B: Array) -> Array:
        """G_W (d, T)."""
        return self.loss_slopes(W, B) + self.coupling_slope(W, B) + 2.0 * self.ridge * W

    def coupling_slope(self, W: Array, B: Array) -> Array:
        """The part of G_W that the coupling has."""
        first, second = self.between(B)
        R = W @ first
        return self._per_norm(R) @ second.T

    def between(self, B: Array) -> tuple[Array, Array]:
        """The matrices (T, T) between which the residual stands in the gradient: W first second'."""
        first = self._M(B)
        if not self.cross:
            return first, np.eye(self.T)
        return first, first.T if self.transposed_back else first

    def gradient_B(self, W: Array, B: Array) -> Array:
        """G_B (T, T), the diagonal as it comes."""
        slope = -(W.T @ self._per_norm(W @ self._M(B)))
        if self.transposed != self.transposed_slope:
            slope = slope.T
        return self.price_matrix(W) + slope

    def price_matrix(self, W: Array) -> Array:
        """The price of every edge, (T, T)."""
        prices = self.prices(W)
        return np.broadcast_to(prices[None, :] if self.incoming else prices[:, None], (self.T, self.T))

    def size_W(self, W: Array, B: Array) -> Array:
        """(d, T): what the entries of G_W are summed from."""
        first, second = (np.abs(M) for M in self.between(B))
        coupled = 2.0 * self.coupling * (np.abs(W) @ first @ second.T)
        return self.loss_slopes(W, B, sizes=True) + coupled + 2.0 * self.ridge * np.abs(W)

    def size_B(self, W: Array, B: Array) -> Array:
        """(T, T): what the entries of G_B are summed from."""
        inner = np.abs(W.T @ W)
        seen = np.eye(self.T) + np.abs(B.T if self.transposed else B)  # I - B may be 0
        coupled = 2.0 * self.coupling * (inner @ seen)
        return np.abs(self.price_matrix(W)) + (coupled.T if self.transposed else coupled)

    def steps_B(self, W: Array) -> Array:
        """h (T, T): the curvature of J along every edge."""
        h = 2.0 * self.coupling * (W * W).sum(axis=0)
        return np.broadcast_to(h[None, :] if self.transposed else h[:, None], (self.T, self.T))

    def _M(self, B: Array) -> Array:
        M: Array = np.eye(self.T) - (B.T if self.transposed else B)
        return M

    def _per_norm(self, R: Array) -> Array:
        """2 coupling R, or what stands for it where the norm is not squared."""
        factor = self.coupling * self.slope_of_coupling
        if self.norm == "norm":
            return factor * R / max(float(np.linalg.norm(R)), TINY)
        lengths = np.maximum(np.linalg.norm(R, axis=0), TINY)
        slope: Array = factor * R / lengths if self.norm == "columns" else 2.0 * factor * R
        return slope


def with_data(formula: Formula, data: list[Rows]) -> Formula:
    """The same on other rows."""
    return replace(formula, data=tuple(data))
