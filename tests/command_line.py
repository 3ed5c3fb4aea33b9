"""What the tests of the commands share: small data files, and what an answer must look like."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cases
import numpy as np
import pytest

from amtl_cvx.data import read
from amtl_cvx.runfolder import model_from_dict

T, D, ROWS = 3, 4, 12
SEVEN = {
    "solution.npz", "certificate.json", "history.csv", "graph.png", "graph.graphml", "report.html", "run.json"
}  # fmt: skip
GIVEN = ("--coupling", "1", "--mu", "0.01")


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Answer]


def arrays(**changes: Any) -> dict[str, Any]:
    """Three related tasks, stacked."""
    rng = np.random.default_rng(7)
    W = rng.normal(size=(D, 1)) + 0.2 * rng.normal(size=(D, T))
    task = np.repeat(np.arange(T), ROWS)
    X = rng.normal(size=(T * ROWS, D))
    y = np.einsum("ij,ji->i", X, W[:, task]) + 0.3 * rng.normal(size=T * ROWS)
    return {"X": X, "y": y, "task": task, **changes}


def with_entry(key: str, value: float) -> dict[str, Any]:
    found = arrays()
    found[key] = found[key].astype(float)
    found[key][5] = value
    return found


def labels(**changes: Any) -> dict[str, Any]:
    """Classes -1/+1, some of them wrong, so that no plane separates them."""
    found = arrays(**changes)
    wrong = np.where(np.arange(T * ROWS) % 4 == 0, -1.0, 1.0)
    return {**found, "y": wrong * np.where(found["y"] > np.median(found["y"]), 1.0, -1.0)}


def write_csv(path: Path, data: dict[str, Any], names: Sequence[str] = ("ash", "birch", "cedar")) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["kind", *(f"x{j}" for j in range(D)), "price"])
        for x, y, t in zip(data["X"], data["y"], data["task"], strict=True):
            writer.writerow([names[t], *(repr(float(v)) for v in x), repr(float(y))])


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def assert_error(answer: Answer, *words: str) -> None:
    lines = answer.err.splitlines()
    assert answer.code == 2
    assert len(lines) == 1 and lines[0].startswith("error: "), answer.err
    assert "Traceback" not in answer.err and answer.out == ""
    for word in words:
        assert word in lines[0]


def states(answer: Answer) -> dict[str, str]:
    """What the ladder says of each level."""
    found = {}
    for line in answer.out.splitlines():
        code, _, rest = line.partition(" ")
        if (
            code in ("C0", "C1", "C2", "C3", "C4", "C5")
            and ":" not in rest.split("reached")[0].split("not")[0]
        ):
            word = rest.split(maxsplit=1)[1].strip()
            found[code] = next(
                state
                for state in ("reached", "not reached", "cannot tell", "cannot be had", "not tried")
                if word.startswith(state)
            )
    return found


def point(folder: Path = Path("run")) -> dict[str, np.ndarray]:
    with np.load(folder / "solution.npz") as file:
        return {key: file[key] for key in ("W", "B")}


def assert_consistent(folder: Path, data: str, pictures: bool = True, **columns: str) -> None:
    """The seven files tell one story, and its figures are those of NumPy."""
    assert {path.name for path in folder.iterdir()} == SEVEN
    stored = {key: value for key, value in np.load(folder / "solution.npz").items()}
    W, B = stored["W"], stored["B"]
    certificate = json.loads((folder / "certificate.json").read_text())
    described = json.loads((folder / "run.json").read_text())
    dataset = read(data, **columns)
    assert described["data"]["fingerprint"] == dataset.train.fingerprint()
    assert described["data"]["rows"] == [len(task.y) for task in dataset.train]
    with (folder / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert float(stored["objective"]) == certificate["objective"]
    assert float(history[-1]["objective"]) == pytest.approx(certificate["objective"], rel=1e-12)
    assert described["status"] == ("certified" if certificate["passes"] else described["status"])
    assert B.min() >= 0 and not np.diag(B).any()
    graph = ET.parse(folder / "graph.graphml").getroot()
    drawn = {
        (int(e.get("source", "")), int(e.get("target", ""))) for e in graph.iter() if e.tag.endswith("}edge")
    }
    assert drawn == set(zip(*(index.tolist() for index in np.nonzero(B)), strict=True))
    assert certificate["edges"] == len(drawn)
    assert not pictures or (folder / "graph.png").read_bytes().startswith(b"\x89PNG")
    model, preparation = model_from_dict(described["model"]), described["preparation"]
    losses = []
    for task, w in zip(dataset.train, W.T, strict=True):
        X = task.X if preparation is None else (task.X - preparation["center"]) / preparation["scale"]
        X = np.column_stack([X, np.ones(len(X))]) if preparation and preparation["intercept"] else X
        losses.append(np.mean((X @ w - task.y) ** 2))
    np.testing.assert_allclose(stored["losses"], losses, rtol=1e-9)
    J = np.sum((1 + model.transfer.mu * B.sum(axis=1)) * losses)
    J += model.coupling * np.sum((W - W @ B) ** 2)
    assert float(stored["objective"]) == pytest.approx(J, rel=1e-9)


def interrupted(folder: Path, argv: Sequence[str], ready: Callable[[str], bool]) -> Answer:
    """Start a process, send it SIGINT once its progress says `ready`, and wait for it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "amtl_cvx", *argv],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said = ""
    while not ready(said):
        line = process.stderr.readline()
        assert line, f"ended early: {said} {process.communicate()}"
        said += line
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return Answer(process.returncode, out, said + err)


def large(path: Path, T: int = 20, d: int = 10) -> None:
    """Something slow: many related tasks."""
    tasks = cases.random_tasks(np.random.default_rng(1), d=d, counts=[30] * T)
    np.savez(
        path,
        X=np.concatenate([task.X for task in tasks]),
        y=np.concatenate([task.y for task in tasks]),
        task=np.repeat(np.arange(T), 30),
    )


def assert_interrupted(answer: Answer, folder: Path, words: str) -> None:
    assert answer.code == 130, answer
    assert "Traceback" not in answer.err and "error" not in answer.err
    assert answer.err.splitlines()[-1] == f"interrupted: {words} is in deep/run"
    state = {"state.npz"} if "so far" in words else set()
    assert listing(folder) == {"a.npz", "deep", "deep/run", *(f"deep/run/{name}" for name in SEVEN | state)}
    assert json.loads((folder / "deep" / "run" / "run.json").read_text())["status"] == "interrupted"


def assert_single_task(folder: Path) -> None:
    described = json.loads((folder / "deep" / "run" / "run.json").read_text())
    found, tasks = point(folder / "deep" / "run"), read(folder / "a.npz").train
    np.testing.assert_allclose(
        found["W"], cases.ridge(tasks, model_from_dict(described["model"])), rtol=1e-6, atol=1e-8
    )
    assert not found["B"].any()
