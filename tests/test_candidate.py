"""Named methods as candidates of a grid: their models, and alternations that are stopped on purpose."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from amtl_cvx import LossWeightedL1, Model, Options, TaskSet, fit, tune
from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.families import FAMILIES, family_named, settings_of
from amtl_cvx.families.settings.named import NAMED, named

RNG = np.random.default_rng(3)
SIZES = (9, 12, 8, 30)
TASKS = TaskSet.from_arrays([RNG.normal(size=(n, 3)) for n in SIZES], [RNG.normal(size=n) for n in SIZES])
SHALLOW = TaskSet.from_arrays(
    [RNG.normal(size=(n, 120)) for n in (5, 6)], [RNG.normal(size=n) for n in (5, 6)]
)


@pytest.mark.parametrize("name", NAMED)
def test_a_name_makes_a_model_of_its_family(name: str) -> None:
    method = NAMED[name]
    assert method.family in FAMILIES and method.method in family_named(method.family).methods
    parameters = {each.name: each.values[0] for each in method.parameters}
    model = Candidate(method=method, parameters=parameters).model(TASKS)
    assert type(model).family == method.family
    table = settings_of(method.family)
    assert table is not None and set(method.settings(parameters)) <= set(table.defaults)


def test_parameters_of_terms_reach_them() -> None:
    mean = Candidate(method=named("mean"), parameters={"rho": 0.25}).model(TASKS)
    assert (mean.coupling, mean.mu, mean.omega.rho) == (0.0, 0.0, 0.25)
    sizes = {"coupling": 2.0, "mu": 0.5, "power": 2.0}
    model = Candidate(method=named("amtl-imbalanced"), parameters=sizes).model(TASKS)
    assert (model.transfer.power, model.loss.reduction) == (2.0, "sum")
    np.testing.assert_allclose(model.task_weight(TASKS), np.sqrt(1.0 / np.array(SIZES)))


def test_what_a_method_has_not_is_refused_with_what_it_has() -> None:
    with pytest.raises(ModelError, match="mtfl has no parameter 'mu': choose among rho"):
        Candidate(method=named("mtfl"), parameters={"rho": 1.0, "mu": 1.0}).model(TASKS)
    with pytest.raises(ModelError, match="stl has no parameter 'rounds': choose among coupling"):
        Candidate(method=named("stl"), parameters={"rounds": 2})
    with pytest.raises(ModelError, match="unknown method 'amtll': choose one of stl, "):
        named("amtll")
    with pytest.raises(ModelError, match="amtl has no setting 'decay'"):
        Candidate(method=named("amtl"), settings={"decay": 1.0}).model(TASKS)
    with pytest.raises(ModelError, match=r"rounds must be a whole number >= 1, got 0"):
        Candidate(method=named("amtl"), parameters={"rounds": 0})


@pytest.mark.parametrize("tasks", (TASKS, SHALLOW), ids=("whole", "row space"))
def test_iterates_are_those_of_fits_that_were_stopped_earlier(tasks: TaskSet) -> None:
    assert (tasks.row_basis is None) == (tasks is TASKS)
    model = Model(transfer=LossWeightedL1(mu=0.01), coupling=0.1)
    seen = {}

    def keep(number: int, step: str, blocks: dict[str, np.ndarray]) -> None:
        seen[number, step] = blocks["W"]

    trial = Options(engine="fast", refine=False, max_rounds=3, iterate=keep, judged=False)
    found = fit(tasks, model, options=trial)
    assert not found.certificate.passes and found.certificate.level in (None, "C0")
    assert "a trial is scored" in str(found.certificate.reasons)
    last = max(number for number, _ in seen)
    np.testing.assert_array_equal(seen[last, "B"], found.W)
    for rounds in range(1, last + 1):
        early = fit(tasks, model, options=dataclasses.replace(trial, max_rounds=rounds, iterate=None))
        np.testing.assert_allclose(seen[rounds, "W"], early.W, rtol=1e-12, atol=1e-14)
    ridge = fit(tasks, model, method="stl", options=Options(engine="fast"))
    np.testing.assert_allclose(seen[1, "W"], ridge.W, rtol=1e-9, atol=1e-12)


def test_a_point_that_was_stopped_says_so_and_is_judged_as_what_it_is() -> None:
    parameters = {"coupling": 0.1, "mu": 0.01, "rounds": 2}
    early = Candidate(method=named("amtl"), parameters=parameters).fit(TASKS)
    assert early.certificate.kind == "stopped after 2 rounds"
    assert (early.certificate.level, early.certificate.passes) == ("C0", False)
    assert "stopped after 2 rounds" in early.certificate.sentences()[0]
    assert early.certificate.relative > 1e-6
    whole = Candidate(method=named("amtl"), parameters={**parameters, "rounds": 400}).fit(TASKS)
    assert whole.certificate.passes and whole.certificate.kind == "joint"


@pytest.mark.parametrize("asked", ({"standardize": True}, {"intercept": True}, {"class_weight": "balanced"}))
def test_what_is_done_to_the_tasks_is_no_setting_of_a_model(asked: dict[str, object]) -> None:
    (name,) = asked
    with pytest.raises(ModelError, match=f"{name} is no setting of a model in Python: prepare the tasks"):
        tune(TASKS, "stl", {"coupling": [0.1, 1.0]}, settings=asked, splits=2)
