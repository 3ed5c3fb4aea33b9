"""The GPU from the command line, and the report of where it pays."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import GIVEN, Run, arrays, assert_error
from gpus import FAILURES, MODULES, install, none_present

# the command line


def run_json(folder: str = "run") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(folder) / "run.json").read_text())
    return content


def test_gpu_on_without_one_is_exit_2_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    none_present(monkeypatch)
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--gpu", "on")
    assert_error(answer, "gpu 'on' cannot be had here", "GPU back end", "no CUDA device", "choose 'auto'")
    assert not Path("run").exists()


def test_gpu_auto_without_one_runs_on_the_cpu(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    none_present(monkeypatch)
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--gpu", "auto")
    assert (answer.code, answer.err) == (0, "") and "gpu" not in answer.out
    assert run_json()["gpu"].startswith("not used: ") and run_json()["arguments"]["gpu"] == "auto"


def test_gpu_on_says_what_it_did(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    standin = install(monkeypatch)
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--gpu", "on")
    assert (answer.code, answer.err) == (0, "")
    assert f"gpu: {run_json()['gpu']}\n" in answer.out
    assert run_json()["gpu"] == f"SCS cudss: {len(standin.sizes)} inner solves"
    assert "SCS cudss,optimal" in (Path("run") / "history.csv").read_text()


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_failure_is_one_warning_on_stderr(
    run: Run, monkeypatch: pytest.MonkeyPatch, quiet: tuple[str, ...]
) -> None:
    install(monkeypatch, error=FAILURES[0], fails_at=1)
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--gpu", "on", *quiet)
    said = "SCS cudss failed at a W-step (ValueError: ScsWork allocation error!), the CPU "
    assert answer.code == 0 and run_json()["gpu"] == f"{said}went on"
    expected = f"warning: gpu: {said}goes on and the GPU is not tried again in this fit\n"
    assert answer.err == ("" if quiet else expected)
    assert "GPU failed" in (Path("run") / "history.csv").read_text()
    assert not logging.getLogger("amtl_cvx").handlers


def test_the_list_of_solvers_names_every_route(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    none_present(monkeypatch)
    listed = json.loads(run("solvers", "--json").out)["gpu"]
    assert [route["name"] for route in listed["routes"]] == [f"SCS {name}" for name in MODULES]
    assert [route["linear_solver"] for route in listed["routes"]] == list(MODULES)
    assert listed["devices"] == [] and listed["reason"] == "no NVIDIA driver"
    assert not any(route["usable"] for route in listed["routes"])
    answer = run("solvers")
    flat = " ".join(word for word in answer.out.split() if word not in "│┃")
    assert "CUDA devices: none, no NVIDIA driver" in flat and "…" not in answer.out
    assert all(f"SCS {name}" in flat for name in MODULES) and "-Csetup-args=-Dlink_cudss=true" in flat
    install(monkeypatch)
    assert "CUDA devices: Stand-in 1" in run("solvers").out


# the report


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    """reports/gpu/measure.py, with the modules beside it."""
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "reports" / "gpu")
    for name in ("cell", "page", "measure"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("measure")
    for name in ("cell", "page", "measure"):
        monkeypatch.delitem(sys.modules, name)
    return module


def sizes(*seconds: tuple[float, float | None]) -> list[dict[str, Any]]:
    """Rows of 10, 100, ... unknowns: seconds on the CPU and on the GPU."""
    return [
        {
            "unknowns": 10 ** (i + 1),
            "cells": {
                "Clarabel": {"seconds": on_cpu, "relative": 1e-9},
                "SCS cudss": {"why_not": "over"} if on_gpu is None else {"seconds": on_gpu, "relative": 1e-9},
            },
        }
        for i, (on_cpu, on_gpu) in enumerate(seconds)
    ]


def test_the_crossover_is_where_the_gpu_wins_for_good(report: Any) -> None:
    assert report.crossover(sizes((1, 2), (2, 1), (4, 1))) == 100
    assert report.crossover(sizes((2, 1), (1, 2), (4, 1))) == 1000
    assert report.crossover(sizes((1, 2), (4, 1), (1, 2))) is None
    assert report.crossover(sizes((1, None), (2, None))) is None
    assert report.crossover(sizes((2, 1), (3, None))) is None


@pytest.mark.parametrize("step, unknowns", [("W", 15), ("B", 20)])
def test_a_cell_measures_the_gpu_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch, report: Any, step: str, unknowns: int
) -> None:
    standin = install(monkeypatch)
    cell = importlib.import_module("cell")
    monkeypatch.delitem(sys.modules, "cell")
    found = cell.measure(step, 5, 3, "SCS cudss")
    assert len(standin.sizes) == cell.REPEATS + 1 and min(standin.sizes) >= unknowns
    assert 0.0 < found["solver_seconds"] <= found["seconds"] and found["relative"] <= 1e-6
    install(monkeypatch, error=FAILURES[0], fails_at=1)
    said = cell.measure(step, 5, 3, "SCS cudss")
    assert said["why_not"].startswith(f"no answer: SCS cudss failed at a {step}-step (ValueError")
