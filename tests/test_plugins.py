"""Penalties of the command line and of the user: terms, files, classes, entry points, and back."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import Array, random_tasks
from cases import SourceGroupL2 as Own
from penalty_cases import Blind

from amtl_cvx import Logistic, Model, TaskSet, certify, fit
from amtl_cvx import transfer as terms
from amtl_cvx.cli import main
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.runfolder import read_run, save
from amtl_cvx.transfer import Forbidden, make_transfer, transfers


def test_terms_of_the_command_line() -> None:
    assert make_transfer("elastic-net:rho=0.5", mu=0.1) == terms.ElasticNet(mu=0.1, rho=0.5)
    assert make_transfer("elastic-net:rho=0.5,mu=0.2", mu=0.1) == terms.ElasticNet(mu=0.2, rho=0.5)
    assert make_transfer("symmetric:0.3") == terms.Symmetric(mu=0.3)
    group = make_transfer("source-group-l2:weighted=false", mu=1.0)
    assert group == terms.SourceGroupL2(mu=1.0, weighted=False)
    for text, words in (
        ("elastic-net:rho", "a number"),
        ("elastic-net:rho=-1", "rho must be"),
        ("elastic-net:ro=1", "the parameters of elastic-net are mu, rho"),
        ("elastic-net:rho=1,rho=2", "different keys"),
        ("forbidden", "file=edges.csv"),
        ("nonsense", "unknown transfer penalty"),
        ("no.such.module:Class", "not known here"),
        ("source-group-l2:weighted=3", "true or false"),
    ):
        with pytest.raises(ModelError, match=words):
            make_transfer(text, mu=1.0)


def test_a_file_of_edges_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "edges.csv"
    with pytest.raises(DataError, match="cannot read"):
        make_transfer(f"forbidden:file={file}", mu=1.0)
    for text, words in (
        ("a,b\n", "header"),
        ("source,target\na\n", "line 2"),
        ("source,target\na,a\n", "itself"),
    ):
        file.write_text(text)
        with pytest.raises((DataError, ModelError), match=words):
            make_transfer(f"forbidden:file={file}", mu=1.0)
    file.write_text("source,target\nnorth,south\n\n")
    assert make_transfer(f"forbidden:file={file}", mu=1.0) == Forbidden(mu=1.0, edges=(("north", "south"),))


PLUGIN = '''
from dataclasses import dataclass
from amtl_cvx.losses import Squared
from amtl_cvx.transfer import LossWeightedL1

@dataclass(frozen=True, kw_only=True)
class Doubled(LossWeightedL1):
    """Twice the price."""
    name = "doubled"
    factor: float = 2.0

@dataclass(frozen=True, kw_only=True)
class MySquared(Squared):
    name = "my-squared"

class Other:
    pass
'''


HALF = """
from amtl_cvx.transfer import TransferPenalty

class Lacking(TransferPenalty):
    name = "lacking"

class Plain(TransferPenalty):
    name = "plain"
    expression = value = prox = conjugate = lambda self, *given: 0.0
"""


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (HALF, "Lacking", "it lacks expression, prox, value"),
        (HALF, "Plain", "it is no dataclass"),
        ("def (", "Any", "raises SyntaxError"),
        ("1 / 0", "Any", "raises ZeroDivisionError: division by zero"),
    ],
)
def test_a_class_that_is_not_whole_is_refused(
    content: str, name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("half_a_class.py").write_text(content)
    try:
        with pytest.raises(ModelError, match=words):
            transfers.admit(f"half_a_class:{name}")
    finally:
        sys.modules.pop("half_a_class", None)


def write_table(path: Path, rng: np.random.Generator) -> None:
    """Three tasks of six rows, two features."""
    lines = ["shop,a,b,y"]
    for name in ("north", "south", "east"):
        for x in rng.normal(size=(6, 2)):
            lines.append(f"{name},{x[0]:.6f},{x[1]:.6f},{x @ [1.0, -1.0] + 0.3 * rng.normal():.6f}")
    path.write_text("\n".join(lines) + "\n")


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_classes_of_ones_own_on_the_command_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rng: np.random.Generator,
) -> None:
    """Named by the user: it runs. Not named: one line says what is missing, and nothing is imported."""
    monkeypatch.chdir(tmp_path)
    Path("my_own_terms.py").write_text(PLUGIN)
    write_table(Path("data.csv"), rng)
    data = ("data.csv", "--task", "shop", "--target", "y")
    own = ("--transfer", "my_own_terms:Doubled:factor=3", "--loss", "my_own_terms:MySquared")
    known = dict(terms.TRANSFERS)
    from amtl_cvx.losses import LOSSES

    losses = dict(LOSSES)

    def forget() -> None:
        sys.modules.pop("my_own_terms", None)
        for registry, before in ((terms.TRANSFERS, known), (LOSSES, losses)):
            registry.clear()
            registry.update(before)  # type: ignore[arg-type]

    try:
        assert run("fit", *data, "--out", "run", "--mu", "0.1", "--coupling", "1", "--quiet", *own) == 0
        model = json.loads(Path("run/run.json").read_text())["model"]
        assert model["transfer"] == "my_own_terms:Doubled" and model["transfer_parameters"] == {"factor": 3.0}
        assert model["loss"] == "my_own_terms:MySquared"
        forget()
        capsys.readouterr()
        assert run("certify", "data.csv", "run") == 2
        said = capsys.readouterr().err
        assert "my_own_terms:" in said and "register" in said and said.count("\n") == 1
        assert "my_own_terms" not in sys.modules
        classes = ("--transfer", "my_own_terms:Doubled", "--loss", "my_own_terms:MySquared")
        assert run("certify", "data.csv", "run", "--quiet", *classes) == 0
        assert "my_own_terms" in sys.modules
        forget()
        rows = Path("rows.csv")
        rows.write_text("a,b\n1,2\n")
        assert run("predict", "run", rows, "--loss", "my_own_terms:MySquared") == 0
        said = capsys.readouterr()
        assert "my_own_terms:Doubled" in said.err and "do not need it" in said.err
        forget()
        assert run("predict", "run", rows) == 2
        assert "my_own_terms:MySquared" in capsys.readouterr().err
        assert run("plot", "run", "--out", "graph.png") == 0
        assert "my_own_terms:Doubled" in capsys.readouterr().err
        for wrong in ("my_own_terms:Other", "my_own_terms:Nothing", "no_such_module_here:Other"):
            assert run("fit", *data, "--out", "other", "--transfer", wrong) == 2
            assert wrong in capsys.readouterr().err
    finally:
        forget()


def test_every_penalty_from_the_command_line_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """fit, certify on the stored run without further words, the picture and the report: written by fit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("amtl_cvx.runfolder.folder.write_pictures", lambda *_: None)
    write_table(Path("data.csv"), rng)
    Path("edges.csv").write_text("source,target\nnorth,south\neast,south\n")
    data = ("data.csv", "--task", "shop", "--target", "y")
    for term in (
        "elastic-net:rho=0.1",
        "source-group-l2",
        "symmetric",
        "row-budget:budget=0.3",
        "forbidden:file=edges.csv",
    ):
        words = ("--transfer", term, "--coupling", "1", "--mu", "0.05", "--quiet")
        assert run("fit", *data, "--out", "run", "--force", *words) == 0
        stored = read_run("run")
        assert stored.B.any() and stored.run["model"]["transfer"] == term.partition(":")[0]
        assert run("certify", "data.csv", "run", "--quiet") == 0
    north, south, east = map(stored.task_names.index, ("north", "south", "east"))
    assert not stored.B[north, south] and not stored.B[east, south]


def test_entry_points_and_register(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    point = importlib.metadata.EntryPoint("mine", "cases:SourceGroupL2", "amtl_cvx.transfer")
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [point] if group == "amtl_cvx.transfer" else []
    )
    try:
        assert transfers.find("mine") is Own and transfers.label(Own) == "mine"
        with pytest.raises(ModelError, match="another transfer penalty"):
            terms.register(Blind, "mine")
        with pytest.raises(ModelError, match="derived from TransferPenalty"):
            terms.register(Logistic)  # type: ignore[arg-type]
    finally:
        terms.TRANSFERS.pop("mine", None)


def test_save_and_read_from_python(
    tmp_path: Path, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = random_tasks(rng)
    model = Model(transfer=Forbidden(mu=0.05, edges=[(0, 1)]), coupling=0.5)
    solution = fit(tasks, model)
    with caplog.at_level(logging.ERROR):
        save(solution, tmp_path / "run", tasks=tasks)
    stored = read_run(tmp_path / "run")
    again = certify(tasks, stored.model, stored.W, stored.B)
    assert again.passes and isinstance(tasks, TaskSet)


def test_a_conjugate_that_is_no_number_proves_nothing(rng: np.random.Generator) -> None:
    class Silent(Own):
        def conjugate(self, S: Array, losses: Array) -> float:
            return float("nan")

    tasks, model = random_tasks(rng), Model(transfer=Silent(mu=0.3), coupling=0.5)
    found = certify(tasks, model, np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T)))
    assert found.gap_B == np.inf and not found.passes
