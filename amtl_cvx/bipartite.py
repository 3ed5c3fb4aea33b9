"""The learned features as data: which task shapes which feature, and which feature serves which task.

Two kinds of arrows between T tasks and k features, the columns of Z = X L:

    A[t, j]   task t -> feature j: the feedback of task t to feature j
    S[j, t]   feature j -> task t: the use that task t makes of feature j

`giving[t]` is ||a_t||_1, the feedback that the loss of task t prices. A feature that no task uses is dead:
at a first-order point L_j, S_j and A_j are all 0. A family without feedback (GO-MTL) has no A.

    >>> graph = FeatureGraph(L=L, S=S, A=A, tasks=("north", "south"))
    >>> graph.giving, graph.live, graph.describe()

Source: Lee, Yang, Hwang, ICML 2018, equation 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Mask, snapshot
from amtl_cvx.errors import DataError
from amtl_cvx.graph import xml_text

if TYPE_CHECKING:
    import networkx as nx

FEEDBACK = "task t \N{RIGHTWARDS ARROW} feature j: feedback A[t, j]"
USE = "feature j \N{RIGHTWARDS ARROW} task t: use S[j, t]"
"""The reading of A and S that every figure and file states."""


class Link(NamedTuple):
    """An arrow between a task and a feature, in the direction of its kind; `weight` is A[t, j] or S[j, t]."""

    task: int
    feature: int
    weight: float


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureGraph:
    """Tasks and learned features with the arrows between them.

    Parameters
    ----------
    L : (d, k) array_like
        The features as weights of the inputs.
    S : (k, T) array_like
        What each task uses.
    A : (T, k) array_like, optional
        Feedback; None in a family without it.
    tasks : tuple of T str
        Task names.
    losses, prices : (T,) array_like, optional
        L_t, without task weights, and p_t, what a unit of feedback of task t costs.
    sizes, errors, balance : (k,) array_like, optional
        ||Z_j||, ||E_j|| of the reconstruction error E (`missed`), and the balance residual of each feature.
    inputs : tuple of str, optional
        Names of the rows of L; those of the raw inputs come first.
    missed : str
        The formula of E.
    letters : (str, str)
        What the family calls L and S.

    Raises
    ------
    DataError
        For shapes that do not fit each other, or an entry that is not finite.

    Examples
    --------
    >>> from amtl_cvx.bipartite import FeatureGraph
    >>> graph = FeatureGraph(L=[[1.0, 0.0]], S=[[0.5], [0.0]], A=[[0.25, 0.0]], tasks=("north",))
    >>> graph.names, graph.live, graph.giving
    (('z0', 'z1'), array([ True, False]), array([0.25]))
    >>> graph.feedback
    (Link(task=0, feature=0, weight=0.25),)
    """

    L: Array
    S: Array
    A: Array | None = None
    tasks: tuple[str, ...]
    losses: Array | None = None
    prices: Array | None = None
    sizes: Array | None = None
    errors: Array | None = None
    balance: Array | None = None
    inputs: tuple[str, ...] | None = None
    missed: str = "Z - Z S A"
    letters: tuple[str, str] = ("L", "S")

    def __post_init__(self) -> None:
        L, S = (snapshot(getattr(self, name), name) for name in "LS")
        if L.ndim != 2 or S.ndim != 2 or L.shape[1] != S.shape[0] or not S.size:
            raise DataError(f"L (d, k) and S (k, T) must fit each other, they have {L.shape} and {S.shape}")
        if len(self.tasks) != S.shape[1]:
            raise DataError(f"expected {S.shape[1]} task names for an S of {S.shape}, got {len(self.tasks)}")
        k, T = S.shape
        shapes = {"A": (T, k), "losses": (T,), "prices": (T,)}
        shapes |= dict.fromkeys(("sizes", "errors", "balance"), (k,))
        for name, shape in shapes.items():
            if getattr(self, name) is not None:
                array = snapshot(getattr(self, name), name)
                if array.shape != shape:
                    raise DataError(f"{name} must have shape {shape}, it has {array.shape}")
                object.__setattr__(self, name, array)
        object.__setattr__(self, "L", L)
        object.__setattr__(self, "S", S)
        object.__setattr__(self, "tasks", tuple(map(str, self.tasks)))

    @property
    def k(self) -> int:
        """Number of features, dead ones included."""
        return len(self.S)

    @property
    def T(self) -> int:
        """Number of tasks."""
        return len(self.tasks)

    @property
    def reading(self) -> str:
        """The reading of S, by its letter."""
        return USE.replace("S[", f"{self.letters[1]}[")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features: z0, z1, ..., the columns of Z."""
        return tuple(f"z{j}" for j in range(self.k))

    @cached_property
    def live(self) -> Mask:
        """Which features some task uses, (k,)."""
        found: Mask = (self.S != 0.0).any(axis=1)
        return found

    @property
    def giving(self) -> Array:
        """||a_t||_1: the feedback that each task gives, (T,)."""
        return np.zeros(self.T) if self.A is None else np.asarray(np.abs(self.A).sum(axis=1))

    @property
    def receiving(self) -> Array:
        """The feedback that each feature receives, (k,): sums of sizes over the tasks."""
        return np.zeros(self.k) if self.A is None else np.asarray(np.abs(self.A).sum(axis=0))

    @property
    def serving(self) -> Array:
        """||S_j||_1: how much all tasks use each feature, (k,)."""
        return np.asarray(np.abs(self.S).sum(axis=1))

    @property
    def using(self) -> Array:
        """How many features each task uses, (T,)."""
        return np.asarray(np.count_nonzero(self.S, axis=0))

    @property
    def lengths(self) -> Array:
        """||L_j||, (k,)."""
        return np.asarray(np.linalg.norm(self.L, axis=0))

    @cached_property
    def feedback(self) -> tuple[Link, ...]:
        """The arrows task -> feature, strongest first."""
        return () if self.A is None else _links(self.A)

    @cached_property
    def use(self) -> tuple[Link, ...]:
        """The arrows feature -> task, strongest first."""
        return _links(self.S.T)

    @property
    def negative(self) -> bool:
        """Whether an arrow is below 0."""
        return bool((self.S < 0.0).any() or (self.A is not None and (self.A < 0.0).any()))

    def describe(self) -> str:
        """The features in a few sentences."""
        alive = int(self.live.sum())
        every = _count(self.k, "learned feature")
        if not alive:
            return f"None of the {every} is live: every predictor is 0."
        lines = [
            f"{alive} of {every} {'is' if alive == 1 else 'are'} live; a task uses {self.using.mean():.3g} on"
            " average."
        ]
        if self.A is None:
            return lines[0]
        givers = int(np.count_nonzero(self.giving))
        if not givers:
            return f"{lines[0]} No task gives feedback (A = 0)."
        most = int(self.giving.argmax())
        lines.append(
            f"{givers} of {_count(self.T, 'task')} {'gives' if givers == 1 else 'give'} feedback,"
            f" {self.tasks[most]!r} most: {self.giving[most]:.3g} in total."
        )
        return " ".join(lines)

    def to_networkx(self) -> nx.DiGraph:
        """A `networkx.DiGraph`: nodes ``t0``, ... and ``z0``, ..., edges with their kind and weight."""
        import networkx as nx

        graph = nx.DiGraph(orientation=f"{FEEDBACK}; {self.reading}")
        for t, name in enumerate(self.tasks):
            loss = {} if self.losses is None else {"loss": float(self.losses[t])}
            gives = float(self.giving[t])
            graph.add_node(f"t{t}", kind="task", label=name, name=name, gives=gives, **loss)
        for j, name in enumerate(self.names):
            graph.add_node(name, kind="feature", label=name, name=name, live=bool(self.live[j]))
        for t, j, weight in self.feedback:
            graph.add_edge(f"t{t}", f"z{j}", kind="feedback", weight=weight)
        for t, j, weight in self.use:
            graph.add_edge(f"z{j}", f"t{t}", kind="use", weight=weight)
        return graph

    def write_graphml(self, path: str | PathLike[str]) -> None:
        """Write GraphML; characters that XML cannot hold become U+FFFD."""
        import networkx as nx

        graph = self.to_networkx()
        for _, attributes in graph.nodes(data=True):
            attributes["name"] = attributes["label"] = xml_text(attributes["name"])
        nx.write_graphml(graph, path)


def _links(weights: Array) -> tuple[Link, ...]:
    """The entries other than 0 of an array (T, k), largest first; ties by task, then feature."""
    tasks, features = np.nonzero(weights)
    values = weights[tasks, features]
    order = np.lexsort((features, tasks, -np.abs(values)))
    return tuple(Link(int(tasks[i]), int(features[i]), float(values[i])) for i in order)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
