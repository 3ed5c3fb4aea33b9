"""J of a network in sixty digits, by plain loops over its definition: shares nothing with the package.

SPEC section 9, eq. 6 and 7 with ReLU; c_t task weights, v row weights, n_t = sum of v, P the rows that are
rebuilt, each as often as it stands there, floor_t = price_floor / sqrt(n_t / mean n), gamma / |P| for gamma
per row, b_l and b biases or none:

    z^0 = x,  u^l = z^(l-1) W_l + b_l,  z^l = max(u^l, 0),  F = z^h S,  R = F A + b,  E = z^h - max(R, 0)
    J = sum_t c_t l_t + sum_t alpha (c_t l_t + floor_t) ||a_t||_1 + mu ||S||_1 + gamma sum_P ||E||^2
        + decay (sum_l ||W_l||^2 + ||b_l||^2 + ||b||^2),     l_t = sum_i v_i phi(F_it; y_it) / n_t

Derivatives are differences of J, of no formula: of steps of 1e-25 they are right to some thirty digits.
Where J has a kink, a `Cell` says which of its pieces is meant: z = m u for a unit with mask m (any number),
max(R, 0) as 0 or R, |s| as sign s. `lift` moves z^l of a row after its max: the slope of J in it is the
weight of the kink.

    oracle = Oracle.of(tasks, model)                       # or Oracle(X=..., y=..., layers=(3,), ...)
    oracle.objective(x), oracle.gradient(x)                # x: all entries, V_1 row by row, ..., S, A, b
    oracle.slopes(x, directions)                           # J'(x; d) of each, from one side

A vector x holds V_l (W_l, b_l as its last row), S, A with b as its last row. Numbers are `Decimal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property, wraps
from typing import Any

DIGITS = 60
NEAR, FAR = Decimal(10) ** -25, Decimal(10) ** -15
"""How far differences of J, and of such differences, reach: what they leave out is of its square."""

Vector = Sequence[Decimal]
Row = tuple[Decimal, ...]
Lift = Mapping[Row, Mapping[int, Sequence[Decimal]]]


def exact(values: Any) -> Any:
    """Doubles as decimals, bit for bit, in lists as deep as the arrays."""
    if isinstance(values, (int, float, Decimal)):
        return Decimal(values)
    return [exact(value) for value in (values.tolist() if hasattr(values, "tolist") else values)]


def many_digits(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(*given: Any, **named: Any) -> Any:
        with localcontext() as context:
            context.prec = DIGITS
            return method(*given, **named)

    return call


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Which piece of J is meant; what is not named is as it is at the point.

    `masks[l][row]` are the masks of the units of layer l (from 0) on a row, `rebuilt[row]` whether each entry
    of R is rebuilt; `signs` are the signs of the entries of x, of which those of S and A (but b) are read.
    """

    masks: Sequence[Mapping[Row, Sequence[Decimal]]] | None = None
    rebuilt: Mapping[Row, Sequence[bool]] | None = None
    signs: Sequence[int] | None = None


POINT = Cell()


@dataclass(frozen=True, kw_only=True, eq=False)
class Oracle:
    """One problem; X, y, v by task, the labelled rows only. `pool` is P, by default the rows of all tasks."""

    X: Sequence[Any]
    y: Sequence[Any]
    layers: tuple[int, ...]
    mu: float
    alpha: float
    gamma: float
    decay: float
    loss: str = "squared"
    reduction: str = "mean"
    per_row: bool = False
    price_floor: float = 0.0
    c: Sequence[float] | str = "equal"
    v: Sequence[Any] | None = None
    pool: Any = None
    fit_bias: bool = False
    feedback_bias: bool = False

    @classmethod
    def of(cls, tasks: Any, model: Any, *, pool: Any = None) -> Oracle:
        """The numbers in tasks and a model; `pool` where it is not all rows of all tasks."""
        return cls(
            X=[task.X for task in tasks], y=[task.y for task in tasks], v=[task.weights for task in tasks],
            layers=model.layers, mu=model.mu, alpha=model.alpha, gamma=model.gamma, decay=model.decay,
            loss=model.loss.label, reduction=model.loss.reduction, per_row=model.gamma_per == "row",
            price_floor=model.price_floor, c=model.task_weights, pool=pool,
            fit_bias=model.fit_bias, feedback_bias=model.feedback_bias,
        )  # fmt: skip

    # numbers

    @property
    def T(self) -> int:
        return len(self.X)

    @cached_property
    def rows(self) -> list[list[Row]]:
        """The rows of each task, as numbers."""
        return [[tuple(row) for row in exact(X)] for X in self.X]

    @cached_property
    def rebuilt(self) -> list[Row]:
        """P."""
        if self.pool is None:
            return [row for rows in self.rows for row in rows]
        return [tuple(row) for row in exact(self.pool)]

    @cached_property
    def targets(self) -> list[list[Decimal]]:
        return [exact(y) for y in self.y]

    @cached_property
    def weights(self) -> list[list[Decimal]]:
        return [[Decimal(1)] * len(y) for y in self.y] if self.v is None else [exact(v) for v in self.v]

    @cached_property
    def shapes(self) -> list[tuple[int, int]]:
        """Of V_1, ..., V_h, S and A with its bias."""
        widths = [len(self.rows[0][0]), *self.layers]
        layers = [(widths[i] + self.fit_bias, widths[i + 1]) for i in range(len(self.layers))]
        return [*layers, (widths[-1], self.T), (self.T + self.feedback_bias, widths[-1])]

    @property
    def size(self) -> int:
        return sum(rows * columns for rows, columns in self.shapes)

    def blocks(self, x: Vector) -> list[list[list[Any]]]:
        """V_1, ..., V_h, S, A of a vector, as lists of rows."""
        found, at = [], 0
        for rows, columns in self.shapes:
            found.append([list(x[at + i * columns : at + (i + 1) * columns]) for i in range(rows)])
            at += rows * columns
        return found

    def count(self, t: int) -> Decimal:
        """n_t."""
        return sum(self.weights[t], Decimal(0))

    def task_weight(self, t: int) -> Decimal:
        if isinstance(self.c, str):
            return Decimal(1) if self.c == "equal" else 1 / self.count(t).sqrt()
        return Decimal(self.c[t])

    def floor(self, t: int) -> Decimal:
        mean = sum(map(self.count, range(self.T)), Decimal(0)) / self.T
        return Decimal(self.price_floor) / (self.count(t) / mean).sqrt()

    # J

    def phi(self, z: Decimal, y: Decimal) -> Decimal:
        """The loss of one row."""
        name, _, parameter = self.loss.partition(":")
        sign, r = (1 if y > 0 else -1), z - y
        if name == "squared":
            return r * r
        if name == "huber":
            K = Decimal(float(parameter))
            return r * r if abs(r) <= K else K * (2 * abs(r) - K)
        if name == "squared-hinge":
            m = 1 - sign * z
            return m * m if m > 0 else 0 * z
        if name == "poisson":
            return z.exp() - y * z + (y * y.ln() - y if y > 0 else 0)
        assert name == "logistic"
        return (1 + (-sign * z).exp()).ln()

    def forward(
        self, x: Vector, row: Row, cell: Cell = POINT, lift: Mapping[int, Sequence[Decimal]] | None = None
    ) -> tuple[list[list[Decimal]], list[list[Decimal]], list[Decimal], list[Decimal], list[Decimal]]:
        """u^l and z^l of each layer, F, R and what of R is rebuilt, of one row."""
        *V, S, A = self.blocks(x)
        below, U, Z = list(row), [], []
        for layer, weights in enumerate(V):
            inputs = [*below, Decimal(1)] if self.fit_bias else below
            u = [_sum(inputs[i] * weights[i][j] for i in range(len(inputs))) for j in range(len(weights[0]))]
            if cell.masks is None:
                z = [max(value, Decimal(0)) for value in u]
            else:
                z = [mask * value for mask, value in zip(cell.masks[layer][row], u, strict=True)]
            if lift is not None and layer in lift:
                z = [value + more for value, more in zip(z, lift[layer], strict=True)]
            U.append(u)
            Z.append(z)
            below = z
        F = [_sum(below[j] * S[j][t] for j in range(len(below))) for t in range(self.T)]
        given = [*F, Decimal(1)] if self.feedback_bias else F
        R = [_sum(given[t] * A[t][j] for t in range(len(given))) for j in range(len(below))]
        if cell.rebuilt is None:
            made = [max(value, Decimal(0)) for value in R]
        else:
            made = [value if on else 0 * value for on, value in zip(cell.rebuilt[row], R, strict=True)]
        return U, Z, F, R, made

    @many_digits
    def terms(self, x: Vector, cell: Cell = POINT, lift: Lift | None = None) -> list[Decimal]:
        """Losses, feedback, ||S||_1, reconstruction and squares, each with its weight."""
        *V, S, A = self.blocks(x)
        seen: dict[Row, Any] = {}

        def passed(row: Row) -> Any:
            if row not in seen:
                seen[row] = self.forward(x, row, cell, None if lift is None else lift.get(row))
            return seen[row]

        *_, sign_S, sign_A = self.blocks(cell.signs or [(value > 0) - (value < 0) for value in x])
        losses = feedback = reconstruction = Decimal(0)
        for t in range(self.T):
            scores = [passed(row)[2][t] for row in self.rows[t]]
            parts = zip(self.weights[t], scores, self.targets[t], strict=True)
            loss = _sum(v * self.phi(z, y) for v, z, y in parts)
            loss = self.task_weight(t) * loss / (self.count(t) if self.reduction == "mean" else 1)
            norm = _sum(a * sign for a, sign in zip(A[t], sign_A[t], strict=True))
            losses += loss
            feedback += Decimal(self.alpha) * (loss + self.floor(t)) * norm
        size = _sum(S[j][t] * sign_S[j][t] for j in range(len(S)) for t in range(self.T))
        for row in self.rebuilt:
            _, Z, _, _, made = passed(row)
            reconstruction += _sum((z - r) ** 2 for z, r in zip(Z[-1], made, strict=True))
        squares = _sum(value * value for weights in V for values in weights for value in values)
        squares += _sum(value * value for values in A[self.T :] for value in values)
        reconstruction *= Decimal(self.gamma) / (len(self.rebuilt) if self.per_row else 1)
        return [losses, feedback, Decimal(self.mu) * size, reconstruction, Decimal(self.decay) * squares]

    @many_digits
    def objective(self, x: Vector, cell: Cell = POINT, lift: Lift | None = None) -> Decimal:
        return _sum(self.terms(x, cell, lift))

    # derivatives, by differences

    @many_digits
    def moved(self, x: Vector, d: Vector, step: Decimal) -> list[Decimal]:
        return [value + step * part for value, part in zip(x, d, strict=True)]

    @many_digits
    def slopes(self, x: Vector, directions: Sequence[Vector]) -> list[Decimal]:
        """J'(x; d) of each direction from one side, but for some 1e-25 of the curvature."""
        here = self.objective(x)
        return [(self.objective(self.moved(x, d, NEAR)) - here) / NEAR for d in directions]

    @many_digits
    def slopes_of_R(self, x: Vector, directions: Sequence[Vector], rows: Sequence[Row]) -> list[Any]:
        """R'(x; d) of each direction from one side, on each of some rows."""
        here = [self.forward(x, row)[3] for row in rows]
        there = [[self.forward(self.moved(x, d, NEAR), row)[3] for row in rows] for d in directions]
        return [
            [
                [(b - a) / NEAR for a, b in zip(before, after, strict=True)]
                for before, after in zip(here, R, strict=True)
            ]
            for R in there
        ]

    @many_digits
    def central(self, x: Vector, d: Vector, cell: Cell = POINT) -> Decimal:
        """The slope along d where J has one."""
        ends = [self.objective(self.moved(x, d, way * NEAR), cell) for way in (1, -1)]
        return (ends[0] - ends[1]) / (2 * NEAR)

    @many_digits
    def gradient(self, x: Vector, cell: Cell = POINT) -> list[Decimal]:
        """All slopes, the prices of S and A included."""
        return [self.central(x, _unit(self.size, at), cell) for at in range(self.size)]

    @many_digits
    def hessian_times(self, x: Vector, d: Vector, cell: Cell = POINT) -> list[Decimal]:
        """The second derivatives along d: differences of gradients, which are differences of J."""
        ends = [self.gradient(self.moved(x, d, way * FAR), cell) for way in (1, -1)]
        return [(up - down) / (2 * FAR) for up, down in zip(*ends, strict=True)]

    @many_digits
    def kink_weight(self, x: Vector, row: Row, layer: int, unit: int, cell: Cell = POINT) -> Decimal:
        """dJ/dz of a unit (layer from 0) on all rows equal to this one."""
        ends = []
        for way in (1, -1):
            up = [way * NEAR * (j == unit) for j in range(self.layers[layer])]
            ends.append(self.objective(x, cell, {row: {layer: up}}))
        return (ends[0] - ends[1]) / (2 * NEAR)


def _sum(values: Any) -> Decimal:
    return sum(values, Decimal(0))


def _unit(size: int, at: int) -> list[Decimal]:
    return [Decimal(i == at) for i in range(size)]
