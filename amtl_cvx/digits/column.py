"""One column of the B-step over the rationals: a non-negative lasso by an exact active-set method."""

from __future__ import annotations

from collections.abc import Sequence

from flint import fmpq, fmpq_mat


class Column:
    """min over b >= 0 of b'G b / 2 - (g - p)'b, p = prices / (2 coupling), by an exact active-set method.

    Between moves b minimises over its support, which is positive and independent.
    """

    def __init__(self, gram: fmpq_mat, t: int, others: Sequence[int], p: Sequence[fmpq]) -> None:
        self.G = [[gram[s, u] for u in others] for s in others]
        self.target = [gram[s, t] - price for s, price in zip(others, p, strict=True)]
        self.b = [fmpq(0)] * len(others)
        self.support: list[int] = []
        self.exchanges = 0

    def start(self, tried: list[int]) -> None:
        """Begin at a support, without what is negative there; at the empty one if it is dependent."""
        while tried:
            try:
                found = self._solve(tried)
            except ZeroDivisionError:
                return
            kept = [j for j, value in zip(tried, found, strict=True) if value > 0]
            if len(kept) == len(tried):
                self.support = tried
                for j, value in zip(tried, found, strict=True):
                    self.b[j] = value
                return
            self.exchanges += len(tried) - len(kept)
            tried = kept

    def minimise(self) -> None:
        """Let edges enter until no multiplier is negative."""
        while True:
            q = self.multipliers()
            j = min(range(len(q)), key=q.__getitem__, default=0)
            if not q or q[j] >= 0:
                return
            self._enter(j)
            self._settle()

    def multipliers(self) -> list[fmpq]:
        """q / (2 coupling)."""
        P = self.support
        if not P:
            return [-aim for aim in self.target]
        columns = fmpq_mat([[row[j] for j in P] for row in self.G])
        pulls = (columns * fmpq_mat(len(P), 1, [self.b[j] for j in P])).entries()
        return [pull - aim for pull, aim in zip(pulls, self.target, strict=True)]

    def unique(self) -> bool:
        """Whether the tasks whose edge could be positive are independent."""
        free = [j for j, value in enumerate(self.multipliers()) if value == 0]
        return not free or fmpq_mat([[self.G[i][j] for j in free] for i in free]).rank() == len(free)

    def _enter(self, j: int) -> None:
        self.exchanges += 1
        P = self.support
        combination = self._solve(P, [self.G[i][j] for i in P]) if P else []
        curvature = self.G[j][j] - sum(
            (self.G[i][j] * c for i, c in zip(P, combination, strict=True)), fmpq(0)
        )
        if curvature == 0:
            # prices >= 0 bound the column from below, so some edge of P falls
            length = min(self.b[i] / c for i, c in zip(P, combination, strict=True) if c > 0)
            for i, c in zip(P, combination, strict=True):
                self.b[i] -= length * c
            self.b[j] = length
            self.support = [i for i in P if self.b[i] > 0]
            self.exchanges += 1
        self.support = [*self.support, j]

    def _settle(self) -> None:
        """Go to the minimum over the support, dropping the edges that reach 0 on the way."""
        while True:
            aim = self._solve(self.support)
            steps = [
                self.b[j] / (self.b[j] - value)
                for j, value in zip(self.support, aim, strict=True)
                if value <= 0
            ]
            length = min(steps, default=fmpq(1))
            for j, value in zip(self.support, aim, strict=True):
                self.b[j] += length * (value - self.b[j])
            if not steps:
                return
            kept = [j for j in self.support if self.b[j] > 0]
            self.exchanges += len(self.support) - len(kept)
            self.support = kept

    def _solve(self, support: Sequence[int], right: Sequence[fmpq] | None = None) -> list[fmpq]:
        right = [self.target[j] for j in support] if right is None else right
        G = fmpq_mat([[self.G[i][j] for j in support] for i in support])
        return G.solve(fmpq_mat(len(support), 1, list(right))).entries()
