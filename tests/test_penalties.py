"""Every transfer penalty from the class to the certificate: conjugate, gap of B, fit, store, command line."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
from cases import PENALTY_CASES, Array, penalty_id, random_tasks, random_transfer
from cases import SourceGroupL2 as Own

from amtl_cvx import Logistic, Model, Options, TaskSet, certify, fit
from amtl_cvx import transfer as terms
from amtl_cvx.cli import main
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.runfolder import model_from_dict, read_run, save
from amtl_cvx.transfer import Forbidden, TransferPenalty, make_transfer, transfers

every_penalty = pytest.mark.parametrize("penalty", PENALTY_CASES, ids=penalty_id)
EXACT = {"tol_gap_abs": 1e-13, "tol_gap_rel": 1e-13, "tol_feas": 1e-13}


def least(model: Model, losses: Array, W: Array) -> float:
    """min over B of coupling ||W - W B||^2 + R(B; losses) on the definition, by Clarabel."""
    T = W.shape[1]
    B = cp.Variable((T, T))
    limits = [B >= 0, cp.diag(B) == 0, *model.transfer.constraints(B)]
    objective = model.coupling * cp.sum_squares(W - W @ B) + model.transfer.expression(B, losses)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1e-13 is not always reached
        return float(cp.Problem(cp.Minimize(objective), limits).solve(solver="CLARABEL", **EXACT))


@every_penalty
def test_conjugate_is_the_supremum(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    """On multiples of S, inside its domain and outside: finite where a solver finds a supremum, and that."""
    T, losses = 4, rng.random(4) + 0.1
    B = cp.Variable((T, T))
    S = rng.normal(size=(T, T))
    for scale in (0.01, 0.1, 0.4, 3.0):
        limits = [B >= 0, cp.diag(B) == 0, *penalty.constraints(B), cp.sum(B) <= 1e3]
        rule = cp.sum(cp.multiply(scale * S, B)) - penalty.expression(B, losses)
        supremum = cp.Problem(cp.Maximize(rule), limits).solve(solver="CLARABEL")
        found = penalty.conjugate(scale * S, losses)
        assert found is not None
        if np.isfinite(found):
            assert found == pytest.approx(supremum, rel=1e-6, abs=1e-6)
        else:
            assert supremum > 1e-3


@every_penalty
def test_the_gap_is_never_below_the_true_one(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    """T - 1 <= d and T > d; points at random, near the best B and at it."""
    for d in (5, 2):
        tasks, W = random_tasks(rng, d=d), rng.normal(size=(d, 4))
        model = Model(transfer=penalty, coupling=0.5)
        losses = model.weighted_losses(tasks, W)
        below = least(model, losses, W)
        for size in (0.4, 0.01):
            B = penalty.project(random_transfer(rng, 4, size))
            true = model.coupling * float(((W - W @ B) ** 2).sum()) + penalty.value(B, losses) - below
            gap = certify(tasks, model, W, B).gap_B
            assert gap is not None and gap >= true - 1e-9 * below


@every_penalty
def test_the_gap_vanishes_at_solutions(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=5)
    model = Model(transfer=penalty, coupling=0.5)
    solution = fit(tasks, model, options=Options(tol=1e-12, max_rounds=3000))
    found = solution.certificate
    assert found.gap_B is not None and found.gap_B <= 1e-12 * found.objective
    assert found.gap_B >= 0.0 and found.edges > 0
    B = solution.B * 1.01
    if np.array_equal(penalty.project(B), B):  # and it is no accident
        assert certify(tasks, model, solution.W, B).gap_B > 1e-8 * found.objective  # type: ignore[operator]


@dataclass(frozen=True, kw_only=True)
class Blind(Own):
    """A penalty whose conjugate is not known."""

    name = "blind"

    def conjugate(self, S: Array, losses: Array) -> None:  # type: ignore[override]
        return None


def test_without_a_gap_nothing_passes(rng: np.random.Generator) -> None:
    """C1 is not reached where a gap is unknown, nor is C2, and the fit ends."""
    tasks = random_tasks(rng)
    solution = fit(tasks, Model(transfer=Blind(mu=0.5), coupling=0.1), options=Options(tol=1e-6))
    found = solution.certificate
    assert found.relative <= 1e-6 and found.gap_B is None and found.level == "C0" and not found.passes
    assert "conjugate" in found.reasons["gap_B"] and solution.status.value == "stalled"


@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
def test_forbidden_edges_stay_away(engine: str, rng: np.random.Generator) -> None:
    """With both engines; the same minimum as the definition from its own W and B."""
    tasks = random_tasks(rng, d=5)
    free = fit(tasks, Model(transfer=terms.LossWeightedL1(mu=0.05), coupling=0.5))
    edges = [(int(s), int(t)) for s, t in np.argwhere(free.B > 0)[::2]]
    model = Model(transfer=Forbidden(mu=0.05, edges=edges), coupling=0.5)
    solution = fit(tasks, model, options=Options(engine=engine, max_rounds=2000))  # type: ignore[arg-type]
    assert solution.certificate.passes, solution.certificate.verdict()
    assert not solution.B[tuple(np.array(edges).T)].any() and solution.certificate.edges > 0
    assert solution.objective > free.objective
    losses = model.weighted_losses(tasks, solution.W)
    value = solution.objective - losses.sum()
    assert value == pytest.approx(least(model, losses, solution.W), rel=1e-9)


def test_forbidden_edges_by_name_by_number_and_by_mask(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng)
    named = replace(tasks, tasks=tuple(replace(t, name=n) for t, n in zip(tasks, "abcd", strict=True)))
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 1] = mask[3, 2] = True
    forms = [Forbidden(mu=1.0, edges=e) for e in (mask, [(0, 1), (3, 2)], [("a", "b"), ("d", "c")])]  # type: ignore[arg-type]
    bound = [form.bind(named) for form in forms]
    assert {b.description() for b in bound} == {bound[0].description()}
    for b in bound:
        assert np.array_equal(~b.feasible(4).allowed(4), mask | np.eye(4, dtype=bool))
    turned = replace(named, tasks=named.tasks[::-1])
    assert not bound[0].bind(turned).feasible(4).allowed(4)[3, 2]  # a -> b in the other order
    assert not bound[0].bind(turned).feasible(4).allowed(4)[0, 1]
    for wrong in ([("a", "e")], [(0, 7)]):
        with pytest.raises(ModelError, match="no task"):
            Forbidden(mu=1.0, edges=wrong).bind(named)  # type: ignore[arg-type]
    for wrong in ([(0, 0)], [(0, 1), (0, 1)], 3, [(0.5, 1)], np.ones((2, 3), dtype=bool)):
        with pytest.raises(ModelError):
            Forbidden(mu=1.0, edges=wrong)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="bind"):
        forms[2].feasible(4)


@dataclass(frozen=True, kw_only=True)
class TotalBudget(TransferPenalty):
    """sum B = total: B = 0 is not feasible."""

    name = "my-total"
    mu: float
    total: float = 1.0
    weights_of_edges: Array = None  # type: ignore[assignment]

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(B, axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ B.sum(axis=1))

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        return [cp.sum(B) == self.total]

    def project(self, V: Array) -> Array:
        if V.min() >= 0.0 and not np.diag(V).any() and abs(V.sum() - self.total) <= 1e-12:
            return V.copy()
        off = ~np.eye(len(V), dtype=bool)
        x = np.sort(V[off])[::-1]
        excess = np.cumsum(x) - self.total
        k = np.count_nonzero(x * np.arange(1, len(x) + 1) > excess)
        return np.where(off, np.maximum(V - excess[k - 1] / k, 0.0), 0.0)

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return self.project(V - step * self.mu * losses[:, None])

    def conjugate(self, S: Array, losses: Array) -> float:
        D = (S - self.mu * losses[:, None])[~np.eye(len(S), dtype=bool)]
        return self.total * float(D.max())


def test_a_budget_starts_feasible_and_arrays_are_parameters(rng: np.random.Generator) -> None:
    """A start that is not B = 0, an array among the parameters: fit, store, read back."""
    tasks = random_tasks(rng, d=5)
    penalty = TotalBudget(mu=0.1, weights_of_edges=np.arange(6.0).reshape(2, 3))
    model = Model(transfer=penalty, coupling=0.5)
    solution = fit(tasks, model, options=Options(max_rounds=400, tol=1e-7))
    assert solution.certificate.passes, solution.certificate.verdict()
    assert solution.B.sum() == pytest.approx(1.0, abs=1e-11)
    terms.register(TotalBudget)
    try:
        again = model_from_dict(json.loads(json.dumps(model.to_dict())))
        assert again.transfer.description() == penalty.description()
        assert model.to_dict()["transfer"] == "my-total"
    finally:
        del terms.TRANSFERS["my-total"]


@every_penalty
def test_parameters_survive_the_file(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    model = Model(transfer=penalty, coupling=0.5)
    stored = json.loads(json.dumps(model.to_dict()))
    if type(penalty) is Own:
        with pytest.raises(ModelError, match="cases:SourceGroupL2.*--transfer"):
            model_from_dict(stored)
        return
    assert model_from_dict(stored).transfer.description() == penalty.description()
    assert ("transfer_parameters" in stored) == (
        penalty.name in ("elastic-net", "source-group-l2", "forbidden", "row-budget")
    )


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


def test_long_predictors_on_a_cycle_are_the_reason_of_a_large_gap(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=4, counts=(9, 12, 10))
    W, B = 1e5 * np.outer(rng.normal(size=4), np.ones(3)), np.zeros((3, 3))
    B[0, 1] = B[1, 0] = 1.0 - 1e-8
    model = Model(transfer=Forbidden(mu=0.3, edges=((0, 2),)), coupling=0.5)
    found = certify(tasks, model, W, B)
    assert not found.passes and found.gap_B > 1e-8 * found.objective  # type: ignore[operator]
    assert (
        "nearly singular (1.0e-08)" in found.reasons["gap_B"]
        and f"{np.linalg.norm(W[:, 0]):.1e}" in (found.reasons["gap_B"])
    )
    assert "gap_B" not in certify(tasks, model, W, np.zeros((3, 3))).reasons
