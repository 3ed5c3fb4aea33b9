"""The picture of a graph beside the planted one, and the files of pictures."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
import pytest
from pictures import example, panel, words

from amtl_cvx.errors import DataError
from amtl_cvx.graph import TransferGraph
from amtl_cvx.plotting import (
    heatmap,
    node_link,
    truth_figure,
    write_png,
)


def test_truth_of_a_signed_graph_may_be_negative() -> None:
    truth = np.array([[0, -0.8, 0], [0, 0, 0.3], [0, 0, 0]])
    graph = TransferGraph(
        B=np.array([[0, -0.5, 0.1], [0, 0, 0], [0, 0, 0]]), names=("a", "b", "c"), signed=True
    )
    assert "1 hit, 1 miss, 1 false edge" in words(truth_figure(graph, truth))


def test_truth_counts_hits_misses_and_false_edges() -> None:
    B, truth = np.zeros((4, 4)), np.zeros((4, 4))
    B[0, 1] = B[0, 2] = B[3, 0] = 0.4
    B[1, 2] = 0.01
    truth[0, 1] = truth[0, 2] = truth[2, 3] = truth[1, 2] = 1.0
    figure = truth_figure(TransferGraph(B=B, names=tuple("abcd"), threshold=0.1), truth)
    assert "2 hits, 2 misses, 1 false edge" in words(figure)
    assert {"precision 0.67", "recall 0.50"} <= set(words(figure).splitlines())
    marks = panel(figure, "Estimate against truth").collections
    found = {m.get_label(): {(int(s), int(t)) for t, s in np.asarray(m.get_offsets())} for m in marks}
    assert (
        found["hit"] == {(0, 1), (0, 2)}
        and found["miss"] == {(1, 2), (2, 3)}
        and found["false edge"] == {(3, 0)}
    )


def test_truth_without_edges_is_put_in_words() -> None:
    text = words(truth_figure(example(3, 0), np.zeros((3, 3))))
    assert "precision undefined" in text and "recall undefined" in text


def test_truth_of_another_shape_is_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(3, 3\), got \(2, 2\)"):
        truth_figure(example(3, 2), np.zeros((2, 2)))


def test_png_has_the_size_asked_for(tmp_path) -> None:  # type: ignore[no-untyped-def]
    figure = node_link(example(4, 3))
    write_png(figure, tmp_path / "graph.png", dpi=100)
    content = (tmp_path / "graph.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(content[16:20], "big") == pytest.approx(100 * figure.get_figwidth(), abs=1)


def test_of_the_users_settings_only_fonts_reach_a_figure() -> None:
    def drawn(**settings: object) -> bytes:
        with matplotlib.rc_context({name.replace("_", "."): value for name, value in settings.items()}):
            file, before = io.BytesIO(), dict(matplotlib.rcParams)
            write_png(heatmap(example(3, 4), title="$x$"), file, dpi=30)
            assert dict(matplotlib.rcParams) == before
        return file.getvalue()

    plain = drawn()
    assert plain == drawn(text_usetex=True, axes_grid=True, path_sketch=(1, 100, 2), savefig_bbox="tight")
    assert plain == drawn(xtick_labeltop=True, savefig_transparent=True, font_size=30)
    assert plain != drawn(font_family="monospace")
