"""Transfer penalties through the commands: `--transfer`, its files, `--mu auto`, what is stored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_cli_omega import COLUMNS, write_table

from amtl_cvx.cli import main
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.graph import TransferGraph
from amtl_cvx.problem import Problem
from amtl_cvx.runfolder import read_run
from amtl_cvx.transfer import Forbidden, Ordered, Required, SquaredTransfer, make_transfer

FILES = {
    "barred.csv": "source,target\nnorth,south\n",
    "needed.csv": "source,target,value\nsouth,east,0.25\n\n",
    "order.txt": "east\nnorth\n\nsouth\n",
}
TERMS = {
    "l1": 0.05,
    "size-priced-l1:power=2": 0.1,
    "squared": 0.1,
    "signed-l1": 0.1,
    "required:file=needed.csv": 0.1,
    "ordered:file=order.txt": 0.1,
    "forbidden:file=barred.csv": 0.1,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("amtl_cvx.runfolder.content.draw", lambda path, write: None)  # seconds of matplotlib
    write_table(Path("data.csv"), rng)
    for name, text in FILES.items():
        Path(name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("term", TERMS)
def test_a_penalty_through_the_commands(term: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """fit, certify up to C4, export, and the problem read back: the same penalty, of the same tasks."""
    words = ("data.csv", *COLUMNS, "--mu", str(TERMS[term]), "--coupling", "1", "--transfer", term)
    assert main(["fit", *words, "--engine", "fast", "--out", "run", "--quiet"]) == 0
    for name in FILES:
        Path(name).unlink()  # the run holds them
    assert main(["certify", "data.csv", "run", "--level", "C4"]) == 0
    assert "C4 digits-proven" in capsys.readouterr().out
    assert main(["export", "data.csv", "run", *COLUMNS, "--out", "folder"]) == 0
    stored, problem = read_run("run"), Problem.load("folder")
    assert stored.model.bind(problem.tasks) == problem.model
    B, T = stored.B, problem.tasks.T
    assert B.any() and np.array_equal(problem.model.transfer.project(B), B)
    names = problem.tasks.names
    if term.startswith("required"):
        assert B[names.index("south"), names.index("east")] >= 0.25
    graph: TransferGraph = stored.family.stored_graph(stored, threshold=0.0)  # type: ignore[attr-defined]
    barred = {
        "forbidden": {("north", "south")},
        "ordered": {("north", "east"), ("south", "east"), ("south", "north")},
    }
    found = np.zeros((T, T), dtype=bool) if graph.barred is None else graph.barred
    assert {(names[s], names[t]) for s, t in np.argwhere(found)} == barred.get(term.partition(":")[0], set())
    assert (graph.signed, graph.negative > 0) in ((term == "signed-l1", (B < 0).any()),)


@pytest.mark.parametrize(
    ("term", "file", "words"),
    [
        ("required:file=f", "source,target\na,b\n", "header source,target,value"),
        ("required:file=f", "source,target,value\nnorth,south,much\n", "line 2: value must be a number"),
        ("required:file=f", "source,target,value\nnorth,south,-1\n", "a number >= 0"),
        ("required:file=f", "source,target,value\nnorth,north,1\n", "cannot help itself"),
        ("required:file=f", "source,target,value\nnorth,south,1\nnorth,south,2\n", "stands there twice"),
        ("required:file=f", "source,target,value\nnorth,nowhere,1\n", "no task 'nowhere'"),
        ("required", "", "required needs file="),
        ("forbidden:file=f", "source,target\nnorth,south\nnorth,south\n", "stands there twice"),
        ("forbidden:file=f", "source,target\nnorth,nowhere\n", "no task 'nowhere'"),
        ("forbidden:file=g", "", "cannot read the edges"),
        ("ordered:file=f", "north\nsouth\nnorth\n", "'north' stands there twice"),
        ("ordered:file=f", "north\nsouth\n", "'east' is missing"),
        ("ordered:order=north south nowhere", "", "no task 'nowhere'"),
        ("ordered:order=north south east,file=f", "", "not both"),
        ("ordered:file=g", "", "cannot read the order"),
        ("squared:loss_power=2", "", "not affine in the losses"),
        ("size-priced-l1:power=-1", "", "power"),
        ("signed-l1:power=1", "", "the parameters of signed-l1 are mu"),
    ],
)
def test_what_does_not_fit_is_one_line(
    term: str, file: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("f").write_text(file)
    given = ("--mu", "0.1", "--coupling", "1", "--transfer", term)
    assert main(["fit", "data.csv", *COLUMNS, *given, "--out", "run"]) == 2
    error = capsys.readouterr().err
    assert words in error and error.startswith("error: ") and error.count("\n") == 1
    assert not Path("run").exists()


def test_mu_auto_is_refused_where_no_price_gives_the_empty_graph(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for term, words in (("squared", "no price on a first small edge"), ("required:file=needed.csv", "B = 0")):
        given = ("--coupling", "1", "--transfer", term)
        assert main(["fit", "data.csv", *COLUMNS, *given, "--out", "run"]) == 2
        error = capsys.readouterr().err
        assert words in error and "give mu a number" in error and error.count("\n") == 1
    for term in ("l1", "size-priced-l1", "signed-l1", "ordered", "forbidden:file=barred.csv", "symmetric"):
        given = ("--coupling", "1", "--transfer", term, "--engine", "fast", "--out", term[:4], "--quiet")
        assert main(["fit", "data.csv", *COLUMNS, *given]) == 0
        chosen = json.loads(Path(term[:4], "run.json").read_text())
        assert 0.0 < chosen["model"]["mu"] == pytest.approx(0.1 * chosen["chosen"]["mu_max"])


def test_an_order_by_words_by_number_and_of_the_data() -> None:
    names = ("a", "b", "c")
    given = make_transfer("ordered:order=c a b", mu=1.0)
    assert given == Ordered(mu=1.0, order=("c", "a", "b"))
    for order, expected in ((None, names), (("c", "a", "b"),) * 2, ((2, 0, 1), ("c", "a", "b"))):
        bound = Ordered(mu=1.0, order=order).named(names)
        assert bound.order == expected and bound == bound.named(names)
        allowed = bound.feasible(3).allowed(3)
        places = [expected.index(name) for name in names]
        assert all(allowed[s, t] == (places[s] < places[t]) for s in range(3) for t in range(3))
        turned = bound.named(names[::-1]).feasible(3).allowed(3)  # other tasks' numbers, the same names
        assert np.array_equal(turned, allowed[::-1, ::-1])
    for wrong in ((0, 0, 1), ("a",), 3, (True, 1, 2)):
        with pytest.raises(ModelError):
            Ordered(mu=1.0, order=wrong).named(names)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="use bind"):
        Ordered(mu=1.0, order=names).feasible(3)


def test_required_edges_by_number_and_by_name() -> None:
    named = Required(mu=1.0, edges=[("a", "b", 0.5)]).named(("a", "b"))
    assert Required(mu=1.0, edges=[(0, 1, 0.5)]).named(("a", "b")) == named
    assert named.feasible(2).lowest(2).tolist() == [[0.0, 0.5], [0.0, 0.0]]
    for wrong in ([(0, 1)], [(0, 1, -1.0)], [(0, 1, np.inf)], [(0, 1, "much")], [(0, 0, 1.0)], 3):
        with pytest.raises(ModelError):
            Required(mu=1.0, edges=wrong)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="no task 5 of 2"):
        Forbidden(mu=1.0, edges=[(5, 1)]).named(("a", "b"))
    with pytest.raises(ModelError, match="not affine"):
        SquaredTransfer(mu=1.0, loss_power=2)
    with pytest.raises(DataError, match="cannot read"):
        make_transfer("required:file=no.csv", mu=1.0)
