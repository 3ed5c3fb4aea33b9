"""`amtl-cvx plot`: every figure in every format."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Run, assert_error, listing


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", ["graph", "heatmap", "node-link", "convergence"])
def test_plot(run: Run, fitted: Path, kind: str) -> None:
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for suffix, magic in start.items() if kind == "graph" else [("png", start["png"])]:
        assert run("plot", "run", "--kind", kind, "--out", f"p.{suffix}") == (0, "", "")
        assert Path(f"p.{suffix}").read_bytes().startswith(magic)


def test_plot_truth(run: Run) -> None:
    settings = ("--coupling", "5", "--mu", "0.01", "--no-refine", "--max-rounds", "1")
    assert run("fit", "paper-synthetic", "--out", "run", *settings, "--quiet").code in (0, 1)
    assert run("plot", "run", "--kind", "truth", "--out", "p.PNG").code == 0
    assert Path("p.PNG").read_bytes().startswith(b"\x89PNG")


def test_plot_refuses(run: Run, fitted: Path, tmp_path: Path) -> None:
    before = listing(tmp_path)
    assert_error(run("plot", "run", "--out", "p.gif"), ".png, .svg or .pdf")
    assert_error(run("plot", "run", "--out", "p"), ".png, .svg or .pdf")
    assert_error(run("plot", "run", "--out", "p.png", "--kind", "pie"), "heatmap")
    assert_error(run("plot", "run", "--out", "p.png", "--kind", "truth"), "no truth is known")
    assert_error(run("plot", "run", "--out", "p.png", "--kind", "images"), "learns no features")
    assert_error(run("plot", "run", "--out", "p.png", "--image-shape", "8x8"), "of --kind images")
    assert_error(run("plot", "run", "--out", "p.png", "--threshold", "nan"), "threshold")
    assert_error(run("plot", "run", "--out", "no/such/p.png"), "cannot write")
    assert_error(run("plot", "nowhere", "--out", "p.png"), "nowhere")
    Path("run/history.csv").write_text("round,step\n1,W\n")
    assert_error(run("plot", "run", "--out", "p.png", "--kind", "convergence"), "history")
    assert listing(tmp_path) == before
