"""The command line fits a model of any family: a toy of the tests goes through every command by its table."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import toy_family
from command_line import GIVEN, Run, assert_error, listing
from toy_family import ToyModel

from amtl_cvx import families
from amtl_cvx.data import read
from amtl_cvx.data.blocks import read_blocks
from amtl_cvx.errors import DataError
from amtl_cvx.families import all_settings, family_named, settings_of, settings_with
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.runfolder import read_run, read_state

AMTFL = ["--method", "amtfl-linear", "--features", "2", "--mu", "1", "--gamma", "1", "--decay", "1"]
TOY = ("--method", "toy", "--k", "3", "--decay", "0.5")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two lines that make a family one of the command line."""
    monkeypatch.setitem(families.FAMILIES, "toy", "toy_family:TOY")
    monkeypatch.setitem(families.SETTINGS, "toy", "toy_family:SETTINGS")


@pytest.fixture
def here(run: Run, fitted: Path) -> Run:
    """Commands beside data `a.npz` and a run `run` of AMTL."""
    return run


@pytest.fixture
def toy(here: Run) -> Run:
    """And beside a run `toy` of the toy."""
    assert here("fit", "a.npz", *TOY, "--out", "toy", "--quiet") == (0, "", "")
    return here


def test_a_fit_is_that_of_its_family_and_is_recorded_by_its_options(here: Run) -> None:
    answer = here("fit", "a.npz", *TOY, "--out", "toy", "--test", "0.25")
    assert answer.code == 0 and "squared loss (mean), k 3, decay 0.5" in answer.out
    described = json.loads(Path("toy/run.json").read_text())
    said = described["arguments"]
    assert (described["family"], described["method"], said["k"], said["decay"]) == ("toy", "toy", 3, 0.5)
    assert said["init"] == "eye" and said["loss"] == "auto" and said["standardize"] is False
    others = {"coupling", "mu", "transfer_parameters", "omega", "refine", "ridge", "features"}
    assert not others & set(said)
    again = fit(read("a.npz", keep_rows=True).train, ToyModel(k=3, decay=0.5))
    assert again.method == "alternating" and described["chosen"] is None
    assert set(described["scores"]) == {"toy", "stl at ridge decay"}
    assert "test, stl at ridge decay: rmse" in answer.out
    assert here("certify", "a.npz", "toy").code == 0  # without the rows of --test


def test_amtl_records_no_option_of_another_family(here: Run) -> None:
    said = json.loads(Path("run/run.json").read_text())["arguments"]
    assert {"coupling", "mu", "refine", "sweep", "ridge", "omega_parameters"} <= set(said)
    assert not {"k", "decay", "features", "alpha", "gamma", "init", "activation"} & set(said)


def test_a_random_start_is_by_the_seed(here: Run) -> None:
    answer = here(
        "fit", "a.npz", *TOY, "--init", "random", "--seed", "4", "--max-rounds", "1", "--out", "toy"
    )
    assert "start: --init random, seed 4" in answer.out
    tasks = read("a.npz", keep_rows=True).train
    rng = np.random.default_rng(4)
    start = {"L": rng.normal(size=(4, 3)), "S": rng.normal(size=(3, 3)), "b": rng.normal(size=(1, 3))}
    options = Options(max_rounds=1, start=start)
    expected = fit(tasks, ToyModel(k=3, decay=0.5), options=options).objective
    assert json.loads(Path("toy/certificate.json").read_text())["objective"] == pytest.approx(expected)


@pytest.mark.parametrize(
    "options, words",
    [
        (("--method", "toy"), ("--method toy needs --k",)),
        ((*TOY, "--coupling", "1"), ("--coupling is of AMTL", "not of --method toy", "--k, --decay")),
        ((*TOY, "--transfer", "l1"), ("--transfer is of AMTL",)),
        ((*TOY, "--omega", "none"), ("--omega is of AMTL",)),
        ((*TOY, "--mu", "auto"), ("--mu is of AMTL",)),
        ((*TOY, "--no-refine"), ("--refine is of AMTL",)),
        ((*TOY, "--engine", "fast"), ("--engine is of AMTL",)),
        ((*TOY, "--features", "2"), ("--features is of AMTFL (--method amtfl-linear)",)),
        ((*GIVEN, "--k", "2"), ("--k is of the toy (--method toy)", "not of --method alternating", "--mu")),
        ((*GIVEN, "--init", "random"), ("--init is of",)),
        ((*TOY, "--init", "svd"), ("--init of --method toy must be one of eye, random, got 'svd'",)),
        ((*AMTFL, "--init", "eye"), ("--init of --method amtfl-linear must be one of svd, random",)),
        (
            (*GIVEN, "--method", "magic"),
            ("'magic'", "stl, amtfl-linear, go-mtl, sc-mtl, amtfl, deep-amtfl, toy"),
        ),
        (("--method", "toy", "--k", "3", "--decay", "auto"), ("invalid float value: 'auto'",)),
        (("--method", "toy", "--k", "2.5"), ("invalid int value",)),
    ],
)
def test_options_of_another_family_are_refused(
    here: Run, tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    before = listing(tmp_path)
    assert_error(here("fit", "a.npz", "--out", "new/run", *options), *words)
    assert listing(tmp_path) == before


def test_explore_takes_what_has_starts(here: Run) -> None:
    assert_error(here("explore", "a.npz", "--out", "new", *TOY), "the toy has no starts", "fit --method toy")
    assert_error(here("explore", "a.npz", "--out", "new", *GIVEN, "--method", "stl"), "convex", "STL")
    assert not Path("new").exists()


def test_every_command_takes_its_run(toy: Run) -> None:
    assert json.loads(toy("certify", "a.npz", "toy", "--json").out)["level"] == "C2"
    other = toy("certify", "a.npz", "toy", "--decay", "0.06", "--json")
    assert other.code == 1 and json.loads(other.out)["objective"] > 0  # judged by what is said now
    assert_error(toy("certify", "a.npz", "toy", "--mu", "1"), "--mu is of AMTL", "not of --method toy")
    assert_error(toy("certify", "a.npz", "toy", "--method", "stl"), "'stl'", "toy")
    assert_error(toy("certify", "a.npz", "toy", "--proof", "p.json", "--level", "C5"), "--proof is of AMTL")
    assert len(toy("predict", "toy", "a.npz").out.splitlines()) == 1 + 36
    assert toy("export", "a.npz", "toy", "--out", "copy").code == 0
    assert toy("export", "a.npz", *TOY, "--out", "second").code == 0
    first, second = (json.loads(Path(f"{name}/problem.json").read_text()) for name in ("copy", "second"))
    assert first["sha256"] == second["sha256"] and first["family"] == "toy" and first["k"] == 3
    assert toy("fit", "copy", "--method", "toy", "--out", "again", "--quiet").code == 0  # by its settings
    assert read_run("again").model == ToyModel(k=3, decay=0.5)
    assert toy("fit", "copy", *GIVEN, "--out", "amtl", "--quiet").code == 0
    about = {key: value for key, value in first.items() if key != "sha256"}
    Path("copy/problem.json").write_text(json.dumps({**about, "family": "nobody"}))
    assert "k" not in read("copy").settings  # data to anyone


def test_a_fit_begins_at_a_run_of_its_family_and_at_no_other(
    toy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = toy("fit", "a.npz", "--start", "toy", "--out", "second", "--json")
    assert answer.code == 0
    described = json.loads(Path("second/run.json").read_text())
    assert described["method"] == "toy" and described["model"]["decay"] == 0.5
    with Path("second/history.csv").open() as file:
        assert len(list(csv.DictReader(file))) <= 3  # it began where the other ended
    words = ("toy is a run of the toy", "--method stl", "--method toy")
    assert_error(toy("fit", "a.npz", "--start", "toy", "--method", "stl", "--out", "new"), *words)
    assert_error(toy("fit", "a.npz", "--start", "toy", "--mu", "1", "--out", "new"), "--mu is of AMTL")
    both = ("fit", "a.npz", *TOY, "--start", "toy", "--init", "random", "--out", "new")
    assert_error(toy(*both), "--init and --start")
    assert_error(toy("fit", "a.npz", *TOY, "--start", "run", "--out", "new"), "run is a run of AMTL")
    assert not Path("new").exists()


def test_an_interrupted_fit_goes_on(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert here("fit", "a.npz", *TOY, "--max-rounds", "4", "--out", "whole", "--quiet").code == 1
    solve, calls = toy_family.LeastSquares.solve, [0]

    def interrupted(self: Any, point: Any) -> Any:
        calls[0] += 1
        if calls[0] == 6:
            raise KeyboardInterrupt
        return solve(self, point)

    with monkeypatch.context() as patch:
        patch.setattr(toy_family.LeastSquares, "solve", interrupted)
        assert here("fit", "a.npz", *TOY, "--max-rounds", "4", "--out", "toy", "--quiet").code == 130
    state = read_state(Path("toy"))
    assert state is not None and len(state.history) == 5
    answer = here("fit", "a.npz", "--start", "toy", "--out", "toy")
    assert answer.code == 1 and "goes on from toy, after 5 steps" in answer.out  # at --max-rounds of the run
    for name, block in read_run("whole").blocks.items():
        np.testing.assert_array_equal(read_run("toy").blocks[name], block)


def sources(blocks: dict[str, np.ndarray], names: tuple[str, ...]) -> dict[str, str]:
    """The same blocks in every layout."""
    np.savez("point.npz", **blocks, task_names=list(names))
    scipy.io.savemat("point.mat", blocks)
    Path("point.json").write_text(
        json.dumps({**{name: block.tolist() for name, block in blocks.items()}, "task_names": list(names)})
    )
    Path("point").mkdir()
    for name, block in blocks.items():
        np.save(f"point/{name}.npy", block)
    Path("point/names.json").write_text(json.dumps({"task_names": list(names)}))
    return {"npz": "point.npz", "mat": "point.mat", "json": "point.json", "folder": "point"}


def test_blocks_from_elsewhere_are_judged_in_every_layout(toy: Run) -> None:
    blocks = dict(read_run("toy").blocks)
    for kind, place in sources(blocks, ("task 0", "task 1", "task 2")).items():
        found = read_blocks(place, required=("L", "S", "b"), optional=("losses", "task_names"))
        assert found.get("task_names", ("task 0", "task 1", "task 2")) == ("task 0", "task 1", "task 2"), kind
        for name, block in blocks.items():
            np.testing.assert_array_equal(found[name], block)
        judged = toy(
            "certify", "a.npz", place, "--method", "toy", "--decay", "0.5"
        )  # k is that of the blocks
        assert judged.code == 0, (kind, judged)
        assert ("by the names of the solution" in judged.out) == (kind != "mat")
    begun = toy("fit", "a.npz", "--start", "point.mat", *TOY, "--out", "second")
    assert begun.code == 0 and "begins at L and S and b of point.mat" in begun.out
    refused = toy("certify", "a.npz", "point.npz", "--method", "toy", "--k", "2", "--decay", "0.5")
    assert refused.code in (0, 1)  # the toy's own arithmetic goes by its blocks


@pytest.mark.parametrize(
    "write, words",
    [
        (lambda: Path("x.json").write_text("[1]"), "expected an object"),
        (lambda: Path("x.json").write_text('{"L": [[1]]}'), "the file has L: add S, b"),
        (lambda: Path("x.json").write_text('{"L": 1, "S": 2, "b": 3, "task_names": [1]}'), "list of texts"),
        (lambda: Path("x.json").write_text("{"), "x.json"),
        (lambda: Path("x.json").write_text('{"L": [[1], [1, 2]], "S": 2, "b": 3}'), "x.json"),
        (lambda: scipy.io.savemat("x.mat", {"L": [[1.0]]}), "the file has L"),
        (lambda: np.savez("x.npz", L=1.0), "add S, b"),
        (lambda: None, "there is no file"),
    ],
)
def test_blocks_that_are_not_there_are_told_in_a_line(run: Run, write: Any, words: str) -> None:
    write()
    place = next(Path().glob("x.*"), Path("x.npz"))
    with pytest.raises(DataError, match=words) as told:
        read_blocks(place, required=("L", "S", "b"), optional=("task_names",))
    assert "\n" not in str(told.value)


def test_the_tables_are_those_of_the_families_and_a_help_imports_none() -> None:
    for table in all_settings()[:-1]:
        assert table is settings_of(table.family)
        for method in table.methods:
            assert settings_with(method) is table
        names = [setting.name for setting in table]
        assert len(names) == len(set(names)) and not set(names) & set(table.kept)
        assert tuple(family_named(table.family).methods) == table.methods
    code = "import sys; from amtl_cvx.cli import build_parser; build_parser(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
