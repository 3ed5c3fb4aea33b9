"""A problem that was written comes back bit for bit, and one that was changed does not."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from amtl_cvx.errors import DataError
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import ElasticNet


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
