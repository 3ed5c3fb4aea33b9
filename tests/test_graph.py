"""TransferGraph: orientation, thresholds, exports that another program reads back, sentences."""

from __future__ import annotations

import json
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from amtl_cvx.errors import DataError
from amtl_cvx.graph import ORIENTATION, TransferGraph

Array = NDArray[np.float64]


def sparse(T: int, edges: int, seed: int = 0) -> Array:
    """A B with that many edges at random places off the diagonal."""
    rng = np.random.default_rng(seed)
    places = [(s, t) for s in range(T) for t in range(T) if s != t]
    B = np.zeros((T, T))
    for place in rng.choice(len(places), edges, replace=False):
        B[places[place]] = rng.uniform(0.05, 1.0)
    return B


def one_edge(T: int, source: int, target: int, weight: float = 0.5) -> TransferGraph:
    B = np.zeros((T, T))
    B[source, target] = weight
    return TransferGraph(B=B, names=tuple(f"task {t}" for t in range(T)))


def named(B: Array, **more: object) -> TransferGraph:
    return TransferGraph(B=B, names=tuple(f"task {t}" for t in range(len(B))), **more)  # type: ignore[arg-type]


def test_an_entry_is_an_edge_from_its_row_to_its_column() -> None:
    graph = one_edge(3, 0, 2)
    assert graph.edges == ((0, 2, 0.5),)
    assert list(graph.to_networkx().edges) == [(0, 2)]
    assert graph.outgoing.tolist() == [0.5, 0, 0]
    assert graph.incoming.tolist() == [0, 0, 0.5]


def test_networkx_reads_the_adjacency_the_same_way() -> None:
    graph = named(sparse(6, 11))
    expected = nx.from_numpy_array(graph.adjacency, create_using=nx.DiGraph)
    found = graph.to_networkx()
    assert {(s, t): w for s, t, w in found.edges(data="weight")} == {
        (s, t): w for s, t, w in expected.edges(data="weight")
    }
    out = dict(found.out_degree(weight="weight"))
    np.testing.assert_allclose([out[t] for t in range(6)], graph.outgoing)


def test_edges_come_strongest_first_and_ties_in_order() -> None:
    B = np.array([[0, 0.2, 0.7], [0.2, 0, 0], [0.9, 0.2, 0]])
    edges = named(B).edges
    assert [(e.source, e.target) for e in edges] == [(2, 0), (0, 2), (0, 1), (1, 0), (2, 1)]
    assert {(e.source, e.target): e.weight for e in edges} == {(s, t): B[s, t] for s, t in np.argwhere(B)}


def test_a_threshold_is_exclusive_and_changes_sums_and_pairs() -> None:
    graph = named(np.array([[0, 0.2, 0], [0.5, 0, 0.1], [0, 0.1, 0]]))
    assert graph.two_way() == ((0, 1), (1, 2))
    above = graph.above(0.1)
    assert [e.weight for e in above.edges] == [0.5, 0.2]
    assert above.two_way() == ((0, 1),)
    assert above.outgoing.tolist() == [0.2, 0.5, 0]
    assert graph.threshold == 0.0 and len(graph.edges) == 4
    assert above.above(0.0).edges == graph.edges


def test_the_diagonal_is_no_transfer() -> None:
    assert named(np.eye(3)).edges == ()


def test_relabelling_tasks_relabels_edges() -> None:
    B, order = sparse(5, 9), np.array([3, 0, 4, 1, 2])
    plain = {(e.source, e.target, e.weight) for e in named(B).edges}
    moved = named(B[np.ix_(order, order)]).edges
    assert {(order[e.source], order[e.target], e.weight) for e in moved} == plain


def test_graphml_read_by_networkx_is_the_same_graph(tmp_path) -> None:  # type: ignore[no-untyped-def]
    names = ("north & <south>", 'a "quoted" name', "Größe \x07 bell", "d", "lone \ud800")
    graph = TransferGraph(B=sparse(5, 8), names=names, losses=np.arange(5) / 7)
    graph.write_graphml(tmp_path / "graph.graphml")
    back = nx.read_graphml(tmp_path / "graph.graphml", node_type=int)
    assert back.is_directed()
    assert [(s, t, back[s][t]["weight"]) for s, t, _ in graph.edges] == list(graph.edges)
    assert back.number_of_edges() == 8 and sorted(back.nodes) == list(range(5))
    assert [back.nodes[t]["label"] for t in (0, 1, 3)] == [names[t] for t in (0, 1, 3)]
    assert back.nodes[2]["name"] == "Größe \ufffd bell"
    np.testing.assert_array_equal([back.nodes[t]["loss"] for t in range(5)], graph.losses)
    np.testing.assert_allclose([back.nodes[t]["incoming"] for t in range(5)], graph.incoming)
    assert back.graph["orientation"] == ORIENTATION


def test_json_holds_every_edge_and_the_orientation(tmp_path) -> None:  # type: ignore[no-untyped-def]
    graph = named(sparse(4, 5), losses=np.ones(4))
    graph.write_json(tmp_path / "graph.json")
    back = json.loads((tmp_path / "graph.json").read_text(encoding="utf-8"))
    assert back == graph.to_dict()
    B = np.zeros((4, 4))
    for edge in back["edges"]:
        B[edge["source"], edge["target"]] = edge["weight"]
    np.testing.assert_array_equal(B, graph.B)
    assert back["orientation"] == ORIENTATION


def test_dot_quotes_names(tmp_path) -> None:  # type: ignore[no-untyped-def]
    B = np.array([[0, 0.25], [0, 0]])
    TransferGraph(B=B, names=('say "hi"', "back\\slash")).write_dot(tmp_path / "graph.dot")
    text = (tmp_path / "graph.dot").read_text(encoding="utf-8")
    assert "0 -> 1 [weight=0.25]" in text and r"say \"hi\"" in text and r"back\\slash" in text


def test_sentences() -> None:
    assert "empty" in named(np.zeros((3, 3))).describe()
    assert "one task" in named(np.zeros((1, 1))).describe()
    words = named(np.array([[0, 0.2, 0.2], [0.3, 0, 0], [0, 0, 0]])).above(0.1).describe()
    assert (
        "3 edges" in words
        and "'task 0' teaches most" in words
        and "0.1" in words
        and "1 two-way pair" in words
    )


def test_a_signed_graph_counts_sizes() -> None:
    B = np.array([[0, -0.7, 0.2], [0.3, 0, -0.05], [0, 0, 0]])
    with pytest.raises(DataError, match="signed=True"):
        named(B)
    graph = named(B, signed=True)
    assert graph.edges == ((0, 1, -0.7), (1, 0, 0.3), (0, 2, 0.2), (1, 2, -0.05))
    assert graph.outgoing == pytest.approx([0.9, 0.35, 0.0])
    assert graph.incoming == pytest.approx([0.3, 0.7, 0.25])
    assert graph.two_way() == ((0, 1),) and graph.negative == 2
    assert graph.describe().startswith("4 edges among 3 tasks (entries of B of size above 0), 2 of them neg")
    assert graph.above(0.1).edges == graph.edges[:3]
    assert graph.to_networkx()[0][1]["weight"] == -0.7


def test_what_comes_in_is_copied() -> None:
    B = sparse(3, 2)
    graph = named(B)
    B[:] = 7.0
    assert len(graph.edges) == 2
    with pytest.raises(ValueError, match="read-only"):
        graph.adjacency[0, 1] = 1.0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"B": np.zeros((2, 3))}, "square"),
        ({"B": np.zeros((0, 0)), "names": ()}, "T >= 1"),
        ({"B": np.array([[0, -0.1], [0, 0]])}, r"entry \(0, 1\) is -0.1"),
        ({"B": np.array([[0, np.nan], [0, 0]])}, "finite"),
        ({"B": [["a", "b"], ["c", "d"]]}, "real numbers"),
        ({"names": ("only one",)}, "2 task names"),
        ({"names": "ab"}, "task names"),
        ({"losses": np.ones(3)}, "losses must have shape"),
        ({"losses": np.array([1.0, np.inf])}, "losses must be finite"),
        ({"threshold": -1.0}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
    ],
)
def test_bad_input_is_named(more: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        TransferGraph(**{"B": np.zeros((2, 2)), "names": ("a", "b"), **more})  # type: ignore[arg-type]


def test_rows_with_more_edges_than_a_degree_are_counted() -> None:
    B = np.array([[0.0, 0.5, 0.5, 0.5], [0.1, 0.0, 0.2, 0.0], [0.0] * 4, [0.0, 0.3, 0.0, 0.0]])
    graph = named(B, degree=1)
    assert graph.wider == 2 and graph.above(0.1).wider == 1 and named(B).wider == 0
    assert graph.describe().endswith("Tasks that teach more than 1 other, as the convex hull allows: 2.")
    assert graph.to_dict()["degree"] == 1 and graph.to_dict()["wider"] == 2
    assert "degree" not in named(B).to_dict() and "hull" not in named(B).describe()


def test_edges_that_may_not_be_are_told() -> None:
    barred = np.zeros((3, 3), dtype=bool)
    barred[0, 2] = barred[1, 1] = True
    graph = replace(one_edge(3, 0, 1), barred=barred)
    assert graph.describe().endswith("1 edge may not be.")
    assert graph.to_dict()["barred"] == [[0, 2]] and graph.above(0.1).to_dict()["barred"] == [[0, 2]]
    assert "barred" not in replace(graph, barred=np.eye(3, dtype=bool)).to_dict()
    with pytest.raises(DataError, match="barred"):
        replace(graph, barred=np.zeros((2, 2), dtype=bool))
