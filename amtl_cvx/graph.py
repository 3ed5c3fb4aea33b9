"""The learned graph as data: which task helps which, and how much.

`B[s, t]` is the edge s -> t, "task s helps task t". Row sums are what a task gives (outgoing), column sums
what it takes (incoming). networkx reads a matrix the same way, `A[i, j]` is i -> j (LiNGAM reads the
reverse), so B is handed over as it is. An entry is an edge when it exceeds the threshold; with the default 0
every positive entry of an exactly feasible B counts. Where the penalty's set has entries of any sign
(`signed`) its size counts: a negative edge says that -w_s helps rebuild w_t, and sums are those of sizes.
The diagonal, which some penalties leave free, is no transfer and never an edge.

    >>> graph = TransferGraph(B=B, names=("north", "south", "east"))
    >>> graph.edges[0], graph.above(0.05).describe()
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Mask, in_named_order, snapshot
from amtl_cvx.errors import DataError
from amtl_cvx.notebook import paragraph, picture

if TYPE_CHECKING:
    import networkx as nx

ORIENTATION = "row s \N{RIGHTWARDS ARROW} column t: task s helps task t"
"""The reading of B that every figure and file states."""


class Edge(NamedTuple):
    """Task `source` helps task `target`; ``weight = B[source, target]``, below 0 where its opposite helps."""

    source: int
    target: int
    weight: float


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferGraph:
    """The directed graph of B: an entry above the threshold is an edge, source -> target.

    Parameters
    ----------
    B : (T, T) array_like
        Transfer, >= 0 unless `signed`.
    names : tuple of T str
        Task names.
    losses : (T,) array_like, optional
        L_t(w_t).
    threshold : float
        An entry is an edge when it (its size where `signed`) is larger than this.
    signed : bool
        Whether entries may be negative.
    degree : int, optional
        How many others a task should teach, where the penalty bounds the convex hull of that.
    barred : (T, T) array_like of bool, optional
        True where the penalty allows no edge.

    Raises
    ------
    DataError
        For a wrong shape, an entry that is not finite, or negative without `signed`, or a threshold that is
        not a number >= 0.

    Examples
    --------
    >>> from amtl_cvx import TransferGraph
    >>> graph = TransferGraph(B=[[0.0, 0.9], [0.02, 0.0]], names=("north", "south"))
    >>> graph.edges[0]
    Edge(source=0, target=1, weight=0.9)
    >>> print(graph.above(0.1).describe())
    1 edge among 2 tasks (entries of B above 0.1). 'north' teaches most: 0.9 in total, to 1 task.
    >>> graph.outgoing, graph.two_way()
    (array([0.9 , 0.02]), ((0, 1),))
    """

    B: Array
    names: tuple[str, ...]
    losses: Array | None = None
    threshold: float = 0.0
    signed: bool = False
    degree: int | None = None
    barred: Mask | None = None

    def __post_init__(self) -> None:
        B = snapshot(self.B, "B")
        if B.ndim != 2 or B.shape[0] != B.shape[1] or not B.size:
            raise DataError(f"B must be a square array (T, T) with T >= 1, it has shape {B.shape}")
        if not self.signed and B.min() < 0:
            s, t = np.unravel_index(int(B.argmin()), B.shape)
            raise DataError(
                f"B must be >= 0, entry ({s}, {t}) is {B[s, t]:.3g}: clip B at 0 first, or say signed=True"
            )
        if not isinstance(self.names, tuple | list) or len(self.names) != len(B):
            raise DataError(f"expected {len(B)} task names for a B of shape {B.shape}, got {len(self.names)}")
        if not (math.isfinite(self.threshold) and self.threshold >= 0):
            raise DataError(f"threshold must be a finite number >= 0, got {self.threshold!r}")
        names = tuple(str(name) for name in self.names)
        object.__setattr__(self, "B", snapshot(in_named_order(B, self.B, (names, names), "B"), "B"))
        object.__setattr__(self, "names", names)
        if self.barred is not None:
            barred = snapshot(self.barred, "barred") != 0.0
            if barred.shape != B.shape:
                raise DataError(f"barred must have the shape {B.shape} of B, it has {barred.shape}")
            np.fill_diagonal(barred, False)
            object.__setattr__(self, "barred", barred if barred.any() else None)
        if self.losses is not None:
            losses = snapshot(self.losses, "losses")
            if losses.shape != (len(B),):
                raise DataError(f"losses must have shape ({len(B)},), one per task, they have {losses.shape}")
            object.__setattr__(self, "losses", losses)

    @property
    def T(self) -> int:
        """Number of tasks."""
        return len(self.B)

    @cached_property
    def adjacency(self) -> Array:
        """B where it (where signed, its size) exceeds the threshold, else 0, with diagonal 0, (T, T)."""
        kept = np.where(self.threshold < np.abs(self.B), self.B, 0.0)
        np.fill_diagonal(kept, 0.0)
        kept.flags.writeable = False
        return kept

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, strongest first; ties by source, then target."""
        sources, targets = np.nonzero(self.adjacency)
        weights = self.adjacency[sources, targets]
        order = np.lexsort((targets, sources, -np.abs(weights)))
        return tuple(Edge(int(sources[i]), int(targets[i]), float(weights[i])) for i in order)

    @property
    def outgoing(self) -> Array:
        """What each task gives, (T,): row sums of the kept edges, of their sizes where signed."""
        return np.asarray(np.abs(self.adjacency).sum(axis=1))

    @property
    def incoming(self) -> Array:
        """What each task takes, (T,): column sums of the kept edges, of their sizes where signed."""
        return np.asarray(np.abs(self.adjacency).sum(axis=0))

    @property
    def negative(self) -> int:
        """How many edges are below 0."""
        return int(np.count_nonzero(self.adjacency < 0.0))

    @property
    def wider(self) -> int:
        """How many tasks teach more than `degree` others, 0 where there is none."""
        teaches = np.count_nonzero(self.adjacency, axis=1)
        return 0 if self.degree is None else int(np.count_nonzero(teaches > self.degree))

    def two_way(self) -> tuple[tuple[int, int], ...]:
        """Pairs s < t with an edge in both directions."""
        both = np.triu((self.adjacency != 0) & (self.adjacency.T != 0))
        return tuple((int(s), int(t)) for s, t in np.argwhere(both))

    def above(self, threshold: float) -> TransferGraph:
        """The same graph with another threshold."""
        return replace(self, threshold=threshold)

    def describe(self) -> str:
        """The graph in a few sentences."""
        if self.T == 1:
            return "There is one task, so no task can help another."
        if not self.edges:
            return f"The graph is empty: no task helps another (no entry of B is {self._above})."
        teacher = int(self.outgoing.argmax())
        pupils = int(np.count_nonzero(self.adjacency[teacher]))
        pairs = len(self.two_way())
        mutual = f", with {_count(pairs, 'two-way pair')}" if pairs else ""
        edges, name, given = _count(len(self.edges), "edge"), self.names[teacher], self.outgoing[teacher]
        turned = f", {self.negative} of them negative" if self.negative else ""
        return (
            f"{edges} among {self.T} tasks (entries of B {self._above}){turned}{mutual}. "
            f"{name!r} teaches most: {given:.3g} in total, to {_count(pupils, 'task')}."
            f"{self._wider}{self._kept_out}"
        )

    @property
    def _wider(self) -> str:
        if self.degree is None:
            return ""
        others = _count(self.degree, "other")
        return f" Tasks that teach more than {others}, as the convex hull allows: {self.wider}."

    @property
    def _kept_out(self) -> str:
        return "" if self.barred is None else f" {_count(int(self.barred.sum()), 'edge')} may not be."

    @property
    def _above(self) -> str:
        if self.signed:
            return f"of size above {self.threshold:g}"
        return f"above {self.threshold:g}"

    def __repr__(self) -> str:
        return f"TransferGraph({self.describe()})"

    def _repr_html_(self) -> str:
        return paragraph([self.describe()]) + picture(self.png(), self.describe())

    def png(self) -> bytes:
        """The picture of the graph, as of graph.png; matplotlib is loaded here."""
        from amtl_cvx.plotting.canvas import write_png
        from amtl_cvx.plotting.figures import graph_figure

        file = io.BytesIO()
        write_png(graph_figure(self), file, dpi=100)
        return file.getvalue()

    def to_networkx(self) -> nx.DiGraph:
        """The graph as a `networkx.DiGraph`.

        Nodes are 0..T-1 with `name`, `label`, `loss` (where losses are known), `outgoing` and `incoming`,
        edges have a `weight`.
        """
        import networkx as nx

        graph = nx.DiGraph(orientation=ORIENTATION, threshold=float(self.threshold))
        for task in self._task_rows():
            attributes = {key: value for key, value in task.items() if key != "index" and value is not None}
            graph.add_node(task["index"], label=task["name"], **attributes)
        graph.add_weighted_edges_from(self.edges)
        return graph

    def write_graphml(self, path: str | PathLike[str]) -> None:
        """Write GraphML, for Gephi, Cytoscape and networkx; characters that XML cannot hold become U+FFFD."""
        import networkx as nx

        graph = self.to_networkx()
        for _, attributes in graph.nodes(data=True):
            attributes["name"] = attributes["label"] = xml_text(attributes["name"])
        nx.write_graphml(graph, path)

    def to_dict(self) -> dict[str, Any]:
        """The graph as JSON can hold it: orientation, threshold, tasks and edges."""
        edges = [edge._asdict() for edge in self.edges]
        return {
            "orientation": ORIENTATION,
            "threshold": self.threshold,
            **({} if self.degree is None else {"degree": self.degree, "wider": self.wider}),
            **({} if self.barred is None else {"barred": np.argwhere(self.barred).tolist()}),
            "tasks": self._task_rows(),
            "edges": edges,
        }

    def write_json(self, path: str | PathLike[str]) -> None:
        """Write the graph as JSON (`to_dict`)."""
        Path(path).write_text(
            json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    def write_dot(self, path: str | PathLike[str]) -> None:
        """Write the graph in DOT, the language of Graphviz."""
        lines = [f"// {ORIENTATION}", "digraph transfer {"]
        lines += [f"  {index} [label={_quoted(name)}];" for index, name in enumerate(self.names)]
        lines += [f"  {s} -> {t} [weight={weight:.17g}];" for s, t, weight in self.edges]
        Path(path).write_text("\n".join([*lines, "}", ""]), encoding="utf-8")

    def _task_rows(self) -> list[dict[str, Any]]:
        losses: Sequence[float | None] = [None] * self.T if self.losses is None else self.losses.tolist()
        rows = zip(self.names, losses, self.outgoing.tolist(), self.incoming.tolist(), strict=True)
        return [
            {"index": index, "name": name, "loss": loss, "outgoing": gives, "incoming": takes}
            for index, (name, loss, gives, takes) in enumerate(rows)
        ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def xml_text(text: str) -> str:
    """`text` without the characters that XML 1.0 forbids."""
    return re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
