r"""Tasks on a graph that the user knows: rho sum over its edges of a_st ||w_s - w_t||^2.

    Gamma = D - A,  A symmetric with a_st >= 0, D its row sums;  G has the columns sqrt(a_st) (e_s - e_t)

The edges are undirected, each pair stands there once. With all pairs at a_st = 1/T this is the penalty of the
mean. What is alike on a connected part of the graph is free. The conjugate needs rows of V that sum to 0
over every such part, and is tr(V Gamma^+ V') / (4 rho) then.

Source: Evgeniou, Micchelli, Pontil, Learning multiple tasks with kernel methods, JMLR 2005.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, ClassVar, Self

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import check_weight
from amtl_cvx.tasks import Array, Indices, TaskSet
from amtl_cvx.transfer.edges import Names, Triples, as_triples, named, numbers, read_values
from amtl_cvx.weights.quadratic import QuadraticPenalty

_OF = "edges of the laplacian"


@dataclass(frozen=True, kw_only=True)
class Laplacian(QuadraticPenalty):
    """How far predictors of neighbours are apart, ``rho * sum of a_st ||w_s - w_t||^2`` over a given graph.

    Parameters
    ----------
    rho : float
        Its weight, > 0.
    edges : sequence of (source, target, a_st), or (T, T) symmetric array
        The undirected edges and their weights >= 0, tasks by number or by name, each pair once.
    names : tuple of str, optional
        The names of the tasks in their order, where edges go by name; `bind` fills it in.

    Raises
    ------
    ModelError
        For a rho that is no such number, edges that are none, repeated, negative, or of a task with itself.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Laplacian
    >>> chain = Laplacian(rho=0.5, edges=[(0, 1, 1.0), (1, 2, 3.0)])
    >>> chain.value(np.array([[1.0, 3.0, 4.0]]))
    3.5
    >>> chain.gram(3).round(12)
    array([[ 1., -1.,  0.],
           [-1.,  4., -3.],
           [ 0., -3.,  3.]])
    """

    name: ClassVar[str] = "laplacian"
    rho: float
    edges: Triples
    names: Names | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_weight("rho", self.rho, positive=True)
        given: object = self.edges
        edges = as_triples(_listed(given) if isinstance(given, np.ndarray) else given)
        pairs = [frozenset(edge[:2]) for edge in edges]
        if len(set(pairs)) < len(pairs):
            s, t = next(edge[:2] for edge in edges if pairs.count(frozenset(edge[:2])) > 1)
            raise ModelError(f"edges: {s!r} and {t!r} stand there twice, they have no direction")
        if not any(a > 0.0 for _, _, a in edges):
            raise ModelError("laplacian: no edge has a weight > 0, then it is no penalty: leave it out")
        object.__setattr__(self, "edges", edges)

    @classmethod
    def options(cls, words: Mapping[str, str]) -> dict[str, Any]:
        rest = {name: text for name, text in words.items() if name != "file"}
        if "file" not in words:
            raise ModelError(
                "laplacian needs file=edges.csv, with the columns source,target,value by task name"
            )
        return {**super().options(rest), "edges": read_values(words["file"])}

    def bind(self, tasks: TaskSet) -> Self:
        names = tasks.names
        edges = tuple((named(s, names, of=_OF), named(t, names, of=_OF), a) for s, t, a in self.edges)
        return replace(self, edges=edges, names=names)

    def parameters(self) -> dict[str, Any]:
        return {"rho": self.rho, "edges": self.edges}

    @property
    def label(self) -> str:
        return f"{super().label}, {len(self.edges)} edges"

    def root(self, T: int) -> Array:
        s, t, a = self._pairs(T)
        G = np.zeros((T, len(s)))
        G[s, np.arange(len(s))], G[t, np.arange(len(s))] = np.sqrt(a), -np.sqrt(a)
        return G

    def exact_gram(self, T: int) -> tuple[tuple[Fraction, ...], ...]:
        rows = [[Fraction(0)] * T for _ in range(T)]
        for s, t, a in zip(*self._pairs(T), strict=True):
            size = Fraction(float(a))
            for here, there in ((s, t), (t, s)):
                rows[here][here] += size
                rows[here][there] -= size
        return tuple(map(tuple, rows))

    def expression(self, W: cp.Expression) -> cp.Expression:
        s, t, a = self._pairs(W.shape[1])
        return self.rho * cp.sum_squares((W[:, s] - W[:, t]) @ np.diag(np.sqrt(a)))

    def value(self, W: Array) -> float:
        s, t, a = self._pairs(W.shape[1])
        return self.rho * float(((W[:, s] - W[:, t]) ** 2).sum(axis=0) @ a)

    def prox(self, V: Array, step: float) -> Array:
        P = np.eye(V.shape[1]) + 2.0 * step * self.rho * self.gram(V.shape[1])
        return np.asarray(np.linalg.solve(P, V.T), dtype=np.float64).T

    def conjugate(self, V: Array) -> float:
        T, parts = V.shape[1], self._parts(V.shape[1])
        rounding = 4.0 * T * np.finfo(np.float64).eps * np.abs(V).max(initial=0.0)
        if not (np.abs(V @ parts) <= rounding).all():
            return np.inf
        return float(((V @ np.linalg.pinv(self.gram(T), hermitian=True)) * V).sum()) / (4.0 * self.rho)

    def _pairs(self, T: int) -> tuple[Indices, Indices, Array]:
        """Both ends and the weights of the edges that weigh something, (k,) each."""
        kept = [edge for edge in self.edges if edge[2] > 0.0]
        sources = np.array(numbers((s for s, _, _ in kept), self.names, of=_OF))
        targets = np.array(numbers((t for _, t, _ in kept), self.names, of=_OF))
        if (last := max(sources.max(), targets.max())) >= T:
            raise ModelError(f"{_OF}: there is no task {last} of {T}")
        return sources, targets, np.array([a for _, _, a in kept])

    def _parts(self, T: int) -> Array:
        """The connected parts of the graph, a column of 0 and 1 each, (T, k)."""
        s, t, _ = self._pairs(T)
        joined = sp.csr_array((np.ones(len(s)), (s, t)), shape=(T, T))
        count, labels = sp.csgraph.connected_components(joined, directed=False)
        return np.asarray(labels[:, None] == np.arange(count), dtype=np.float64)


def _listed(A: Array) -> list[tuple[int, int, float]]:
    """The edges of a symmetric array of weights; `ModelError` for another one."""
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.dtype.kind not in "bif":
        raise ModelError(f"edges must be a (T, T) array of weights, it is {A.dtype} of shape {A.shape}")
    if not (np.array_equal(A, A.T) and not np.diag(A).any()):
        raise ModelError("edges must be a symmetric array with a zero diagonal: they have no direction")
    return [(int(s), int(t), float(A[s, t])) for s, t in np.argwhere(np.triu(A != 0))]
