"""Penalties on W through the commands: `--omega`, stored and read back, and one of the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from amtl_cvx.cli import main
from amtl_cvx.scoring import NO_EDGES, SINGLE_TASK
from amtl_cvx.weights import OMEGAS, omegas

COLUMNS = ("--task", "shop", "--target", "y")
PRICES = ("--mu", "0.1", "--coupling", "1", "--engine", "fast")


def write_table(path: Path, rng: np.random.Generator) -> None:
    lines = ["shop,a,b,y"]
    for name in ("north", "south", "east"):
        for x in rng.normal(size=(6, 2)):
            lines.append(f"{name},{x[0]:.6f},{x[1]:.6f},{x @ [1.0, -1.0] + 0.3 * rng.normal():.6f}")
    path.write_text("\n".join(lines) + "\n")


PLUGIN = """
from amtl_cvx.weights import Ridge

class Mine(Ridge):
    name = "mine"

class Torn(Ridge):
    name = "torn"

    def root(self, T):
        return 2.0 * super().root(T)
"""


def test_omega_through_the_commands(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rng: np.random.Generator,
) -> None:
    """fit, certify, predict, plot, export, a start: stored and read back, shown, taken out by none."""
    monkeypatch.chdir(tmp_path)
    write_table(Path("data.csv"), rng)
    monkeypatch.setattr("amtl_cvx.runfolder.content.draw", lambda path, write: None)  # seconds of matplotlib

    def run(*words: str) -> int:
        return main([*words])

    fitted = ("fit", "data.csv", *COLUMNS, *PRICES, "--out", "run", "--test", "0.34")
    assert run(*fitted, "--omega", "mean:rho=0.5") == 0
    assert "omega mean:rho=0.5" in capsys.readouterr().out
    stored = json.loads(Path("run/run.json").read_text())
    model, scores = stored["model"], stored["scores"]
    assert model["omega"] == "mean" and model["omega_parameters"] == {"rho": 0.5}
    assert set(scores) == {"alternating", SINGLE_TASK, NO_EDGES} and scores[SINGLE_TASK] != scores[NO_EDGES]
    judged = ("certify", "data.csv", "run", "--quiet")
    assert run(*judged) == 0 == run(*judged, "--omega", "mean:0.5") == run(*judged, "--omega", "mean")
    assert run(*judged, "--omega", "none") == 1 == run(*judged, "--omega", "ridge:0.5")
    assert run("export", "data.csv", "run", *COLUMNS, "--out", "folder") == 0
    assert run("certify", "folder", "run/solution.npz", "--quiet") == 0
    assert run("predict", "run", "data.csv", *COLUMNS, "--out", "rows.csv") == 0
    start = ("fit", "data.csv", "--start", "run", "--quiet")
    assert run(*start, "--out", "more") == 0 == run(*start, "--out", "less", "--omega", "none")
    assert json.loads(Path("more/run.json").read_text())["model"] == model
    assert "omega" not in json.loads(Path("less/run.json").read_text())["model"]
    capsys.readouterr()
    assert run("fit", "data.csv", *COLUMNS, *PRICES, "--out", "x", "--omega", "mean") == 2
    assert "the parameters of mean are rho" in capsys.readouterr().err


def test_tasks_in_a_row_through_the_commands(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rng: np.random.Generator,
) -> None:
    """Their order from a file is stored, and read back without it; a loss with kinks is refused."""
    monkeypatch.chdir(tmp_path)
    write_table(Path("data.csv"), rng)
    Path("row.txt").write_text("south\nnorth\neast\n")
    monkeypatch.setattr("amtl_cvx.runfolder.content.draw", lambda path, write: None)  # seconds of matplotlib
    words = ["data.csv", *COLUMNS, *PRICES, "--omega", "fused:rho=0.3,file=row.txt", "--quiet"]
    assert main(["fit", *words, "--out", "run"]) == 0
    Path("row.txt").unlink()
    stored = json.loads(Path("run/run.json").read_text())["model"]["omega_parameters"]
    assert stored == {"rho": 0.3, "order": ["south", "north", "east"]}
    assert main(["certify", "data.csv", "run", "--quiet", "--level", "C3"]) == 0
    capsys.readouterr()
    refused = ["data.csv", *COLUMNS, *PRICES, "--loss", "quantile:0.5", "--omega", "l1:0.1", "--out", "x"]
    assert main(["fit", *refused]) == 2 and "both have kinks" in capsys.readouterr().err


def test_a_penalty_on_W_of_ones_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rng: np.random.Generator,
) -> None:
    """Named by the user it runs; a folder alone imports nothing."""
    monkeypatch.chdir(tmp_path)
    Path("my_omega.py").write_text(PLUGIN)
    write_table(Path("data.csv"), rng)
    known = dict(OMEGAS)
    words = ["data.csv", *COLUMNS, *PRICES, "--out", "run", "--quiet"]
    monkeypatch.setattr("amtl_cvx.runfolder.content.draw", lambda path, write: None)  # seconds of matplotlib
    try:
        assert main(["fit", *words, "--omega", "my_omega:Mine:rho=0.2"]) == 0
        assert json.loads(Path("run/run.json").read_text())["model"]["omega"] == "my_omega:Mine"
        OMEGAS.clear()
        OMEGAS.update(known)
        assert omegas.find("my_omega:Mine") is None
        assert main(["certify", "data.csv", "run"]) == 2
        assert "--omega my_omega:Mine" in capsys.readouterr().err
        assert main(["predict", "run", "data.csv", *COLUMNS, "--out", "rows.csv"]) == 0
        assert main(["certify", "data.csv", "run", "--quiet", "--omega", "my_omega:Mine:rho=0.2"]) == 0
        capsys.readouterr()
        assert main(["certify", "data.csv", "run", "--omega", "my_omega:Torn:rho=0.2"]) == 2
        assert "its value and its root differ" in capsys.readouterr().err
    finally:
        OMEGAS.clear()
        OMEGAS.update(known)
