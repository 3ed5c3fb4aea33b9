"""Problems, models and points that were stored come back as they were, and what was changed does not."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from amtl_cvx.amtl import AMTL
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment.jobs import Job, _judged, fit_many
from amtl_cvx.families import Found
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.problem.stored import model_from
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import ElasticNet, LossWeightedL1

FAST = Options(engine="fast")


def stored_problems_come_back() -> None:
    """Bits, counts, ones and the second number of a penalty; a changed file is refused."""
    tasks = TaskSet(
        tasks=(
            Task(X=[[0.1, -0.0]], y=[1 / 3], name="a", count=7, ones=[2.0]),
            Task(X=[[0.1, 0.0]], y=[1.0], name="d"),
            Task(X=[[5e-324, 3.0]], y=[2.0], name="b"),
        )
    )
    model = Model(transfer=ElasticNet(mu=0.1, rho=0.7), coupling=1 / 3, task_weights=(0.1, 0.2, 0.3))
    with tempfile.TemporaryDirectory() as home:
        place = Path(home) / "p"
        Problem(tasks, model).save(place)
        back = Problem.load(place)
        for one, other in zip(tasks, back.tasks, strict=True):
            assert one.X.tobytes() == other.X.tobytes() and one.y.tobytes() == other.y.tobytes()
            assert (one.n, one.name, one.ones is None) == (other.n, other.name, other.ones is None)
        assert back.model.to_dict() == model.to_dict() and back.tasks.fingerprint() == tasks.fingerprint()
        for name in ("X.npy", "names.json", "problem.json"):
            sound = (place / name).read_bytes()
            old = (b"0.1" if name == "problem.json" else b"b") if name != "X.npy" else np.float64(3).tobytes()
            new = {b"0.1": b"0.2", b"b": b"c"}.get(old, np.float64(2).tobytes())
            (place / name).write_bytes(new.join(sound.rsplit(old, 1)))
            try:
                Problem.load(place)
            except DataError:
                (place / name).write_bytes(sound)
            else:
                raise AssertionError(f"{name} was changed, and nobody noticed")


def another_family_reads_its_own_models() -> None:
    """A model of a family that is not there is not read as one of AMTL."""
    stored = Model(transfer=LossWeightedL1(mu=0.1), coupling=0.3).to_dict()
    assert model_from(stored).to_dict() == stored == model_from({**stored, "family": "amtl"}).to_dict()
    try:
        model_from({**stored, "family": "nobody"})
    except ModelError:
        return
    raise AssertionError("a model of no family was read")


def points_follow_their_names() -> None:
    """Task t of the result is task ``tasks[t]``, in every block and in the order of a curriculum."""
    rng, tasks, features = np.random.default_rng(3), np.array([2, 0, 1]), np.array([1, 3, 0, 2])
    W, B, order = rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), (1, 2, 0)
    found = AMTL.arranged(Found({"W": W, "B": B}, order=order), tasks=tasks, features=features)
    for s, t, j in np.ndindex(3, 3, 4):
        assert found.blocks["W"][j, t] == W[features[j], tasks[t]]
        assert found.blocks["B"][s, t] == B[tasks[s], tasks[t]]
    assert [int(tasks[t]) for t in found.order] == list(order)
    point = AMTL.point(found, ridge=0.5)
    assert (point.order, point.ridge) == (found.order, 0.5) and point.B is found.blocks["B"]


def a_workers_claim_is_judged() -> None:
    """A fit at another mu that calls itself certified is none of this job."""
    tasks = TaskSet.from_matrix(np.eye(3), [[1.0, 1.0], [2.0, 1.0], [0.0, 1.0]])
    one, other = (
        Job(tasks=tasks, model=Model(transfer=LossWeightedL1(mu=mu), coupling=1.0), options=FAST)
        for mu in (0.01, 0.1)
    )
    (found,) = fit_many([one])
    assert _judged(one, found) is not None and _judged(other, found) is None
