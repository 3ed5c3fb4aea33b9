"""One column of the B-step with flint's rationals: the active-set method of `certificate.exact`."""

from __future__ import annotations

from collections.abc import Sequence

from flint import fmpq, fmpq_mat

from amtl_cvx.certificate import exact


class Column(exact.Column):
    """min over b >= 0 of b'G b / 2 - (g - p)'b, p = prices / (2 coupling)."""

    zero = fmpq(0)

    def __init__(self, gram: fmpq_mat, t: int, others: Sequence[int], p: Sequence[fmpq]) -> None:
        super().__init__(
            [[gram[s, u] for u in others] for s in others],
            [gram[s, t] - price for s, price in zip(others, p, strict=True)],
        )

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

    def _solve(self, support: Sequence[int], right: Sequence[fmpq] | None = None) -> list[fmpq]:
        right = [self.target[j] for j in support] if right is None else right
        G = fmpq_mat([[self.G[i][j] for j in support] for i in support])
        return G.solve(fmpq_mat(len(support), 1, list(right))).entries()
