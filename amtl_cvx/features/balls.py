r"""The first-order system of J(L, S, A) on its free entries, in balls.

Free are the columns of L of live features and the entries of S and A that are not 0, with their signs: there
J is smooth. With sigma and tau these signs (0 elsewhere), G = X'X, W = L S, M = I - S A, K = G L M,
e_t = c_t (1 + alpha ||a_t||_1), p_t = alpha (c_t l_t + f_t) and column t of GW e_t grad L_t(w_t),

    G_L = GW S' + 2 gamma K M' + 2 decay L
    G_S = L'GW - 2 gamma L'K A'  + mu sigma
    G_A = -2 gamma W'K  + p_t tau_t

    along (dL, dS, dA):    dW = dL S + L dS,   dM = -(dS A + S dA),   dK = G (dL M + L dM)
    column t of dGW        e_t Hess L_t dw_t + alpha c_t (tau_t'da_t) grad L_t
    dG_L = dGW S' + GW dS' + 2 gamma (dK M' + K dM') + 2 decay dL
    dG_S = dL'GW + L'dGW - 2 gamma (dL'K A' + L'dK A' + L'K dA')
    dG_A = -2 gamma (dW'K + W'dK)  + alpha c_t (grad L_t'dw_t) tau_t

A feature whose L_j, S_j and A_j are all 0 is dead: where S_j and A_j are, its equations are
2 (gamma G + decay I) L_j = 0 and nothing else depends on L_j. Where feedback has no price (alpha = 0) and any
sign, all of A is free, and L with it. GO-MTL has no A.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from flint import arb, arb_mat

from amtl_cvx.digits.counts import exact_count
from amtl_cvx.digits.krawczyk import negative_eigenvalues
from amtl_cvx.digits.rows import Losses, TaskRows, exact_task_weights
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.problem import FeatureProblem


class Entry(NamedTuple):
    """A free entry of S or A: its place and its sign, 0 for one that may have any."""

    row: int
    column: int
    sign: int


class Slopes(NamedTuple):
    """A derivative of J in every block."""

    L: arb_mat
    S: arb_mat
    A: arb_mat


class State(NamedTuple):
    """L (d, k), S (k, T), A (T, k), W (d, T), M (k, k), K (d, k), the losses; ||a_t||_1 and e_t by task."""

    L: arb_mat
    S: arb_mat
    A: arb_mat
    W: arb_mat
    M: arb_mat
    K: arb_mat
    losses: Losses
    norms: list[arb]
    weights: list[arb]


class FeatureSystem:
    """The system of one problem and the signs of one point."""

    def __init__(self, point: FeaturePoint) -> None:
        problem, model, tasks = point.problem, point.model, point.tasks
        self.tasks, self.d, self.T, self.k = tasks, tasks.d, tasks.T, model.features
        self.feedback, self.signed = model.has_feedback, model.signed
        self.rows = TaskRows(tasks, model.loss)
        self.c = exact_task_weights(tasks, model.task_weights, model.task_weight(tasks))
        self.mu, self.decay, self.alpha = arb(model.mu), arb(model.decay), arb(model.alpha)
        self.gamma, self.gram = _reconstruction(problem)
        counts = [arb(exact_count(task)) for task in tasks]
        mean = sum(counts, arb(0)) / self.T
        self.floor = [arb(model.price_floor) / (count / mean).sqrt() for count in counts]
        self.live, self.S, self.A = free_entries(point)
        self.tau = arb_mat(self.T, self.k)
        for t, j, sign in self.A:
            self.tau[t, j] = sign
        self.size = self.d * len(self.live) + len(self.S) + len(self.A)

    def unknowns(self, point: FeaturePoint) -> arb_mat:
        """The stored point as exact unknowns, (size, 1): L by columns, S and A by rows."""
        entries = [
            *point.L[:, self.live].T.ravel().tolist(),
            *(float(point.S[j, t]) for j, t, _ in self.S),
            *(float(point.A[t, j]) for t, j, _ in self.A),
        ]
        return arb_mat(self.size, 1, entries)

    @property
    def blocks(self) -> dict[str, slice]:
        """Where the unknowns of each block are."""
        split = self.d * len(self.live)
        found = {"L": slice(split), "S": slice(split, split + len(self.S))}
        return {**found, "A": slice(split + len(self.S), self.size)} if self.feedback else found

    def arrays(self, x: arb_mat, around: arb | None = None) -> Slopes:
        """L, S and A of the unknowns; entries that are not free are 0, up to the ball `around`."""
        rest = arb(0) if around is None else around
        L, S = ([[rest] * m for _ in range(n)] for n, m in ((self.d, self.k), (self.k, self.T)))
        A = [[rest if self.feedback else arb(0)] * self.k for _ in range(self.T)]
        values = iter(x.entries())
        for j in self.live:
            for i in range(self.d):
                L[i][j] = next(values)
        for block, entries in ((S, self.S), (A, self.A)):
            for row, column, _ in entries:
                block[row][column] = next(values)
        return Slopes(arb_mat(L), arb_mat(S), arb_mat(A))

    def state(self, x: arb_mat, around: arb | None = None) -> State:
        """What derivatives are made of, at a point or over a box."""
        L, S, A = self.arrays(x, around)
        W, M = L * S, _identity(self.k) - S * A
        norms = [arb(0)] * self.T
        for t in range(self.T):
            for j in range(self.k):
                norms[t] += A[t, j] * self.tau[t, j] if self.tau[t, j] != 0 else abs(A[t, j])
        weights = [c * (1 + self.alpha * norm) for c, norm in zip(self.c, norms, strict=True)]
        return State(L, S, A, W, M, self.gram * L * M, self.rows.losses(W), norms, weights)

    def prices(self, at: State) -> list[arb]:
        """p_t."""
        parts = zip(self.c, at.losses.values, self.floor, strict=True)
        return [self.alpha * (c * value + floor) for c, value, floor in parts]

    def objective(self, x: arb_mat) -> arb:
        """J."""
        at = self.state(x)
        total = sum((c * value for c, value in zip(self.c, at.losses.values, strict=True)), arb(0))
        total += sum((p * norm for p, norm in zip(self.prices(at), at.norms, strict=True)), arb(0))
        total += self.mu * sum((at.S[j, t] * sign for j, t, sign in self.S), arb(0))
        total += self.gamma * _dot(at.L * at.M, at.K)
        return total + self.decay * _dot(at.L, at.L)

    def slopes(self, at: State) -> Slopes:
        """G_L, and G_S and G_A without mu sigma and p_t tau_t."""
        GW, twice = self._pull(at), 2 * self.gamma
        return Slopes(
            GW * at.S.transpose() + at.K * at.M.transpose() * twice + at.L * (2 * self.decay),
            at.L.transpose() * (GW - at.K * at.A.transpose() * twice),
            at.W.transpose() * at.K * -twice,
        )

    def gradient(self, x: arb_mat) -> arb_mat:
        """g, (size, 1)."""
        at = self.state(x)
        G, prices = self.slopes(at), self.prices(at)
        for j, t, sign in self.S:
            G.S[j, t] += self.mu * sign
        for t, j, sign in self.A:
            G.A[t, j] += prices[t] * sign
        return arb_mat(self.size, 1, self._gathered(G))

    def jacobian(self, x: arb_mat) -> arb_mat:
        """g', (size, size), the reduced Hessian of J; symmetric."""
        at = self.state(x)
        curves = [
            self.rows.hessian(t, at.losses.rows[t]) * (self.rows.scales[t] * at.weights[t])
            for t in range(self.T)
        ]
        return arb_mat([self._gathered(self._along(at, curves, move)) for move in self._moves()])

    def rooms(self, x: arb_mat, around: arb) -> Iterator[tuple[str, arb]]:
        """By how much every entry that is not free is held at 0, with its name."""
        at = self.state(x, around)
        G, prices = self.slopes(at), self.prices(at)
        free = {(j, t) for j, t, _ in self.S}
        for j in range(self.k):
            for t in range(self.T):
                if (j, t) not in free:
                    yield self.name("S", j, t), self.mu - abs(G.S[j, t])
        free = {(t, j) for t, j, _ in self.A}
        for t in range(self.T if self.feedback else 0):
            for j in range(self.k):
                if (t, j) not in free:
                    pull = abs(G.A[t, j]) if self.signed else -G.A[t, j]
                    yield self.name("A", j, t), prices[t] - pull

    def sizes(self, x: arb_mat) -> Iterator[tuple[str, arb]]:
        """The free entries of S and A times their signs, with their names."""
        at = self.arrays(x)
        yield from ((self.name("S", j, t), at.S[j, t] * sign) for j, t, sign in self.S)
        yield from ((self.name("A", j, t), at.A[t, j] * sign) for t, j, sign in self.A if sign)

    def name(self, block: str, j: int, t: int) -> str:
        """An entry in words."""
        task = self.tasks.names[t]
        return f"S[{j}, {task}]" if block == "S" else f"A[{task}, {j}]"

    def check_dead(self) -> None:
        """`NotCertifiable` unless L_j of dead features is held at 0: gamma G + decay I is definite."""
        if len(self.live) < self.k and not self.decay > 0:
            if not self.gamma > 0:
                raise NotCertifiable("nothing holds a dead feature at 0: decay and gamma are 0")
            negative_eigenvalues(self.gram)

    def _pull(self, at: State) -> arb_mat:
        """GW."""
        columns = zip(at.losses.gradients, at.weights, strict=True)
        return _side_by_side([gradient * weight for gradient, weight in columns])

    def _along(self, at: State, curves: list[arb_mat], move: Slopes) -> Slopes:
        """The derivative of g along a move, as the module essay has it."""
        dL, dS, dA = move
        twice, A_, S_ = 2 * self.gamma, at.A.transpose(), at.S.transpose()
        dW = dL * at.S + at.L * dS
        dM = -(dS * at.A + at.S * dA)
        dK = self.gram * (dL * at.M + at.L * dM)
        columns = []
        for t, (curve, gradient) in enumerate(zip(curves, at.losses.gradients, strict=True)):
            gain = sum((self.tau[t, j] * dA[t, j] for j in range(self.k)), arb(0))
            columns.append(curve * _column(dW, t) + gradient * (self.alpha * self.c[t] * gain))
        GW, dGW = self._pull(at), _side_by_side(columns)
        dG_A = (dW.transpose() * at.K + at.W.transpose() * dK) * -twice
        for t, j, sign in self.A:
            slope = (at.losses.gradients[t].transpose() * _column(dW, t))[0, 0]
            dG_A[t, j] += self.alpha * self.c[t] * slope * sign
        back = dL.transpose() * at.K * A_ + at.L.transpose() * (dK * A_ + at.K * dA.transpose())
        return Slopes(
            dGW * S_
            + GW * dS.transpose()
            + (dK * at.M.transpose() + at.K * dM.transpose()) * twice
            + dL * (2 * self.decay),
            dL.transpose() * GW + at.L.transpose() * dGW - back * twice,
            dG_A,
        )

    def _moves(self) -> Iterator[Slopes]:
        """The unit move of every unknown."""
        places = [("L", i, j) for j in self.live for i in range(self.d)]
        places += [("S", j, t) for j, t, _ in self.S] + [("A", t, j) for t, j, _ in self.A]
        for block, row, column in places:
            move = Slopes(arb_mat(self.d, self.k), arb_mat(self.k, self.T), arb_mat(self.T, self.k))
            getattr(move, block)[row, column] = 1
            yield move

    def _gathered(self, G: Slopes) -> list[arb]:
        """The entries that belong to the unknowns."""
        return [
            *(G.L[i, j] for j in self.live for i in range(self.d)),
            *(G.S[j, t] for j, t, _ in self.S),
            *(G.A[t, j] for t, j, _ in self.A),
        ]


def free_entries(point: FeaturePoint) -> tuple[list[int], list[Entry], list[Entry]]:
    """The live features, the free entries of S and those of A; all features, all of A where it is free.

    An entry of A without a price may have any sign, which is 0 here.
    """
    model, (k, T) = point.model, point.S.shape
    if model.has_feedback and model.signed and model.alpha == 0.0:
        return list(range(k)), _entries(point.S), [Entry(t, j, 0) for t in range(T) for j in range(k)]
    given = _entries(point.A) if model.has_feedback else []
    return np.flatnonzero(point.live).tolist(), _entries(point.S), given


def _reconstruction(problem: FeatureProblem) -> tuple[arb, arb_mat]:
    """gamma in total and X'X of the rows that are reconstructed, from the rows themselves."""
    model, gram = problem.model, arb_mat(problem.tasks.d, problem.tasks.d)
    if model.gamma == 0.0:
        return arb(0), gram
    pool = problem.tasks.pool(labelled=model.reconstruct == "labelled")
    for part in pool.parts:
        rows = arb_mat(part.tolist())
        gram += rows.transpose() * rows
    per_row = model.gamma_per == "row"
    return arb(model.gamma) / (pool.rows if per_row else 1), gram


def _entries(block: np.ndarray) -> list[Entry]:
    return [Entry(int(a), int(b), 1 if block[a, b] > 0 else -1) for a, b in np.argwhere(block != 0.0)]


def _identity(n: int) -> arb_mat:
    return arb_mat([[int(i == j) for j in range(n)] for i in range(n)])


def _dot(left: arb_mat, right: arb_mat) -> arb:
    pairs = zip(left.entries(), right.entries(), strict=True)
    return sum((a * b for a, b in pairs), arb(0))


def _column(matrix: arb_mat, t: int) -> arb_mat:
    return arb_mat(matrix.nrows(), 1, [matrix[i, t] for i in range(matrix.nrows())])


def _side_by_side(columns: list[arb_mat]) -> arb_mat:
    return arb_mat([column.entries() for column in columns]).transpose()
