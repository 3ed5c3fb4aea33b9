"""AMTL's penalty over graphs that a user restricts: edges that may not be, edges that must be, an order.

    Forbidden   B[s, t] = 0 on some edges
    Required    B[s, t] >= lo[s, t] on some edges
    Ordered     only edges from a task to later ones, in an order of the tasks: no cycles

each with R = mu sum_s l_s sum_t B[s, t]. With D = S - prices off the diagonal R*(S) is 0 where D <= 0 on the
edges that may be, for required edges sum lo D there, else infinite.

Tasks go by number or by name; `bind` gives a penalty the names of the tasks, and from then on it goes by
names, whatever their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from amtl_cvx.errors import ModelError
from amtl_cvx.tasks import Array
from amtl_cvx.transfer.atoms import Atoms, entry_atoms
from amtl_cvx.transfer.base import check_mu
from amtl_cvx.transfer.edges import (
    Label,
    Names,
    Pairs,
    Triples,
    as_order,
    as_pairs,
    as_triples,
    named,
    numbers,
    read_edges,
    read_order,
    read_values,
)
from amtl_cvx.transfer.linear import RowPriced
from amtl_cvx.transfer.sets import AtLeast, Masked


@dataclass(frozen=True, kw_only=True)
class Forbidden(RowPriced):
    """AMTL's penalty where some edges may not be.

    Parameters
    ----------
    mu : float
        Price of transfer, >= 0.
    edges : sequence of (source, target), or (T, T) array of bool
        The edges that may not be, by number or by name of the tasks; a mask is True where an edge is barred.
    names : tuple of str, optional
        The names of the tasks in their order, where edges go by name; `bind` fills it in.

    Raises
    ------
    ModelError
        For a mu that is no price, edges that are none, repeated, or from a task to itself.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Forbidden
    >>> Forbidden(mu=0.5, edges=[(0, 1)]).project(np.ones((2, 2)))
    array([[0., 0.],
           [1., 0.]])
    """

    name: ClassVar[str] = "forbidden"
    mu: float
    edges: Pairs
    names: Names | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_mu(self.mu)
        object.__setattr__(self, "edges", as_pairs(self.edges))

    def named(self, names: Names) -> Self:
        edges = tuple((named(s, names, of=_BARRED), named(t, names, of=_BARRED)) for s, t in self.edges)
        return replace(self, edges=edges, names=names)

    def parameters(self) -> dict[str, Any]:
        return {"edges": self.edges}

    @classmethod
    def options(cls, words: Mapping[str, str]) -> dict[str, Any]:
        path, rest = _file(cls.name, words, "source,target")
        return {**super().options(rest), "edges": read_edges(path)}

    def feasible(self, T: int) -> Masked:
        sources = numbers((s for s, _ in self.edges), self.names, of=_BARRED)
        targets = numbers((t for _, t in self.edges), self.names, of=_BARRED)
        return Masked(tuple(zip(sources, targets, strict=True)))


@dataclass(frozen=True, kw_only=True)
class Required(RowPriced):
    """AMTL's penalty where some edges must be, each with a least weight.

    Parameters
    ----------
    mu : float
        Price of transfer, >= 0; from some price on B is what is required and nothing else.
    edges : sequence of (source, target, least)
        The edges that must be, tasks by number or by name, and their least weights, >= 0.
    names : tuple of str, optional
        The names of the tasks in their order, where edges go by name; `bind` fills it in.

    Raises
    ------
    ModelError
        For a mu that is no price, edges that are none, repeated, or from a task to itself.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Required
    >>> Required(mu=0.5, edges=[(0, 1, 0.2)]).project(np.zeros((2, 2)))
    array([[0. , 0.2],
           [0. , 0. ]])
    """

    name: ClassVar[str] = "required"
    mu: float
    edges: Triples
    names: Names | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_mu(self.mu)
        object.__setattr__(self, "edges", as_triples(self.edges))

    def named(self, names: Names) -> Self:
        edges = tuple(
            (named(s, names, of=_NEEDED), named(t, names, of=_NEEDED), lo) for s, t, lo in self.edges
        )
        return replace(self, edges=edges, names=names)

    def parameters(self) -> dict[str, Any]:
        return {"edges": self.edges}

    @classmethod
    def options(cls, words: Mapping[str, str]) -> dict[str, Any]:
        path, rest = _file(cls.name, words, "source,target,value")
        return {**super().options(rest), "edges": read_values(path)}

    def feasible(self, T: int) -> AtLeast:
        sources = numbers((s for s, _, _ in self.edges), self.names, of=_NEEDED)
        targets = numbers((t for _, t, _ in self.edges), self.names, of=_NEEDED)
        return AtLeast(
            tuple((s, t, lo) for s, t, (_, _, lo) in zip(sources, targets, self.edges, strict=True))
        )

    def conjugate(self, S: Array, losses: Array) -> float:
        D = S - self.prices(losses)[:, None]
        np.fill_diagonal(D, 0.0)
        return float((self.feasible(len(S)).lowest(len(S)) * D).sum()) if (D <= 0.0).all() else np.inf

    def atoms(self, T: int) -> Atoms:
        rates, lowest = np.full(T, float(self.mu)), self.feasible(T).lowest(T)
        return entry_atoms(~np.eye(T, dtype=bool), rates=rates, lowest=lowest)


@dataclass(frozen=True, kw_only=True)
class Ordered(RowPriced):
    """AMTL's penalty where a task helps later ones only, so that the graph has no cycles.

    Parameters
    ----------
    mu : float
        Price of transfer, >= 0.
    order : sequence of tasks, optional
        All tasks, the first one first, by number or by name; default: the order of the data.
    names : tuple of str, optional
        The names of the tasks in their order, where `order` goes by name; `bind` fills it in.

    Raises
    ------
    ModelError
        For a mu that is no price, and an order that is none.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Ordered
    >>> Ordered(mu=0.5, order=[1, 0]).project(np.ones((2, 2)))
    array([[0., 0.],
           [1., 0.]])
    """

    name: ClassVar[str] = "ordered"
    mu: float
    order: tuple[Label, ...] | None = None
    names: Names | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_mu(self.mu)
        if self.order is not None:
            object.__setattr__(self, "order", as_order(self.order))

    def named(self, names: Names) -> Self:
        order = names if self.order is None else tuple(named(task, names, of="order") for task in self.order)
        if missing := [name for name in names if name not in order]:
            raise ModelError(f"order: {missing[0]!r} is missing: it must list every task once")
        return replace(self, order=as_order(order), names=names)

    def parameters(self) -> dict[str, Any]:
        return {} if self.order is None else {"order": self.order}

    @classmethod
    def options(cls, words: Mapping[str, str]) -> dict[str, Any]:
        rest = {name: text for name, text in words.items() if name not in ("file", "order")}
        if "file" in words and "order" in words:
            raise ModelError("ordered takes file= or order=, not both")
        given = super().options(rest)
        if "order" in words:
            given["order"] = as_order(words["order"].split())
        return {**given, "order": read_order(words["file"])} if "file" in words else given

    def feasible(self, T: int) -> Masked:
        order = range(T) if self.order is None else numbers(self.order, self.names, of="order")
        places = {task: place for place, task in enumerate(order)}
        if set(places) != set(range(T)):
            raise ModelError(f"order: it must list every one of {T} tasks once, it has {list(order)}")
        pairs = ((s, t) for s in range(T) for t in range(T))
        return Masked(tuple((s, t) for s, t in pairs if places[s] > places[t]))


_BARRED, _NEEDED = "forbidden edges", "required edges"


def _file(name: str, words: Mapping[str, str], columns: str) -> tuple[str, dict[str, str]]:
    """The file of the words and the other ones; `ModelError` without one."""
    if "file" not in words:
        raise ModelError(f"{name} needs file=edges.csv, with the columns {columns}, tasks by name")
    return words["file"], {key: text for key, text in words.items() if key != "file"}
