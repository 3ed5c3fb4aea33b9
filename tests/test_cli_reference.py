"""`amtl-cvx reference`: list, show and export, with wrong input as well."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run, assert_error
from reference_samples import KINDS, sample

from amtl_cvx.reference import pack_names, read_pack


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pack of every kind."""
    place = tmp_path_factory.mktemp("packs")
    for kind in KINDS:
        sample(place, kind)
    return place


def names(run: Run, folder: Path, *options: str) -> list[str]:
    answer = run("reference", "list", "--folder", folder, "--names", *options)
    assert answer.code == 0 and answer.err == ""
    return [name.removeprefix("sample-") for name in answer.out.split()]


@pytest.mark.slow
def test_list_names_every_pack_of_the_package(run: Run) -> None:
    answer = run("reference", "list")
    assert answer.code == 0 and answer.err == ""
    assert all(f"\n{name} " in answer.out for name in pack_names())
    assert answer.out.splitlines()[-1].startswith(f"{len(pack_names())} of {len(pack_names())} packs")
    content = json.loads(run("reference", "list", "--json").out)
    assert [each["name"] for each in content] == list(pack_names())
    for each in content[::20]:
        pack = read_pack(each["name"], files=False)
        assert (each["T"], each["rows"]) == (pack.about["T"], sum(pack.about["rows"]))


@pytest.mark.parametrize("width", [50, 80, 100, 200])
def test_a_narrow_terminal_gets_fewer_columns(
    run: Run, folder: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them cut off, and no line longer than the terminal."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    table = re.sub("\x1b\\[[0-9;]*m", "", run("reference", "list", "--folder", folder).out).splitlines()[:-1]
    assert all(len(line) <= width for line in table)
    assert ("unique" in table[0]) == (width >= 100) and "…" not in "".join(table)
    assert sum(line.startswith("sample-") for line in table) == len(KINDS)


def test_list_filters(run: Run, folder: Path) -> None:
    every = sorted(KINDS)
    assert names(run, folder) == every
    assert names(run, folder, "--loss", "logistic") == ["w-step"]
    assert names(run, folder, "--reduction", "sum") == ["weighted"]
    assert names(run, folder, "--family", "features") == ["learned"]
    assert names(run, folder, "--ask", "b-step", "--loss", "squared") == ["b-step"]
    assert names(run, folder, "--transfer", "loss-weighted-l1", "--ask", "joint") == ["joint", "weighted"]
    assert names(run, folder, "--tasks", "3") == names(run, folder, "--tasks", "..3") == every
    assert names(run, folder, "--tasks", "4..") == names(run, folder, "--features", "..1") == []
    assert names(run, folder, "--features", "1..2", "--level", "C2", "--grade", "easy") == every
    assert names(run, folder, "--level", "C3") == names(run, folder, "--bound") == []
    assert names(run, folder, "--digits", "1") == [] and names(run, folder, "--digits", "0") == every
    assert names(run, folder, "--trait", "OF CURRI") == ["curriculum"]
    assert names(run, folder, "sample-?-step", "sample-joint") == ["b-step", "w-step", "joint"]


@pytest.mark.parametrize(
    "options, words",
    [
        (("--loss", "cubic"), "logistic, squared"),
        (("--tasks", "many"), "A..B"),
        (("--tasks", ".."), "A..B"),
        (("--level", "C9"), "C0, C1"),
        (("--omega", "ridge"), "none"),
        (("sample-joimt",), "did you mean sample-joint"),
        (("nothing-*",), "reference list"),
    ],
)
def test_a_wrong_filter_is_one_line(run: Run, folder: Path, options: tuple[str, ...], words: str) -> None:
    assert_error(run("reference", "list", "--folder", folder, *options), words)


def test_a_damaged_pack_is_told_of_and_left_out(run: Run, folder: Path, tmp_path: Path) -> None:
    for name in ("sample-joint", "sample-b-step"):
        shutil.copytree(folder / name, tmp_path / name)
    path = tmp_path / "sample-joint" / "pack.json"
    path.write_bytes(path.read_bytes().replace(b"easy", b"hard"))
    answer = run("reference", "list", "--folder", tmp_path, "--names")
    assert (answer.code, answer.out) == (0, "sample-b-step\n")
    assert answer.err.count("\n") == 1 and "sample-joint/pack.json is not the file" in answer.err
    assert_error(run("reference", "show", "sample-joint"), "pack.json is not the file that was written")


def test_list_needs_no_cvxpy_and_a_second() -> None:
    """As a new process, its imports among the second."""
    code = (
        "import sys, time; start = time.process_time();"
        "from amtl_cvx.cli import main; main(['reference', 'list']);"
        "print(time.process_time() - start, 'cvxpy' in sys.modules, file=sys.stderr)"
    )
    for _ in range(3):  # the machine may be busy
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds, heavy = done.stderr.split()
        assert heavy == "False"
        if float(seconds) < 1.0:
            return
    raise AssertionError(f"{seconds} s three times")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sampled(4)
def test_show_says_what_is_asked(run: Run, folder: Path, kind: str) -> None:
    answer = run("reference", "show", folder / f"sample-{kind}")
    assert answer.code == 0 and answer.err == ""
    assert f"sample-{kind}: A sample of {kind}." in answer.out and "3 tasks, 2 features" in answer.out
    content = json.loads(run("reference", "show", folder / f"sample-{kind}", "--json").out)
    assert content == read_pack(folder / f"sample-{kind}").about
    pack = read_pack(folder / f"sample-{kind}")
    said = run("reference", "show", pack.folder, "--answer").out
    for name, block in pack.solution.items():
        assert f"{name} {block.shape}" in said and repr(block.ravel().tolist()[-1]) in said


@pytest.mark.parametrize(
    "some", [slice(0, None, 20), pytest.param(slice(0, None, 1), marks=pytest.mark.slow)]
)
def test_show_tells_what_every_pack_claims(run: Run, some: slice) -> None:
    for name in pack_names()[some]:
        answer = run("reference", "show", name)
        assert answer.code == 0 and answer.err == ""
        objective = read_pack(name).claims["objective"]
        assert objective["decimal"] in answer.out and objective["hex"] in answer.out


def test_show_refuses_with_one_line(run: Run, folder: Path) -> None:
    Path("empty").mkdir()
    near = pack_names()[0]
    assert_error(run("reference", "show", f"{near}x"), f"did you mean {near}")
    assert_error(run("reference", "show", "empty"), "without a pack.json")
    assert_error(run("reference", "show", f"{near[:4]}*"), "one pack")
    assert_error(run("reference", "show"), "PACK")
    assert_error(run("reference"), "ACTION")
    assert_error(run("reference", "shwo", near), "show")


def test_export_writes_what_it_says(run: Run, folder: Path) -> None:
    pack = folder / "sample-joint"
    for name, check in (("a.npz", Path.is_file), ("a.mat", Path.is_file), ("a", Path.is_dir)):
        answer = run("reference", "export", pack, "--out", name)
        assert answer.code == 0 and f"wrote {name}: sample-joint" in answer.out and check(Path(name))
    answer = run(
        "reference", "export", "sample-*-step", "--folder", folder, "--format", "json", "--out", "all"
    )
    assert answer.code == 0
    assert sorted(path.name for path in Path("all").iterdir()) == ["sample-b-step.json", "sample-w-step.json"]
    answer = run("reference", "export", pack, "--format", "csv", "--reader", "octave", "--out", "deep/tables")
    assert answer.code == 0 and Path("deep/read_pack.m").is_file() and Path("deep/tables/W.csv").is_file()
    assert_error(run("reference", "export", pack, "--out", "a.npz"), "left alone")
    assert_error(run("reference", "export", pack, "--out", "b", "--format", "xml"), "pack, npy")
    assert_error(run("reference", "export", pack), "--out")
    assert_error(run("reference", "export", "--out", "b"), "PACK")
    assert_error(run("reference", "export", "--reader", "rust"), "python, cpp, octave")
    assert_error(
        run("reference", "export", pack, "--reader", "octave", "--out", "deep/more"), "read_pack.m exists"
    )
    assert not Path("b").exists() and not Path("deep/more").exists()


def test_a_reader_is_given_out_alone(run: Run) -> None:
    answer = run("reference", "export", "--reader", "cpp")
    assert answer.code == 0 and "std::memcpy" in answer.out
    assert run("reference", "export", "--reader", "cpp", "--out", "mine.cpp").code == 0
    assert Path("mine.cpp").read_text() == answer.out
    assert_error(run("reference", "export", "--reader", "cpp", "--out", "mine.cpp"), "left alone")


@pytest.mark.parametrize("form", ["npy", "csv"])
def test_an_exported_pack_is_data_and_solution(run: Run, form: str) -> None:
    """`certify` finds the answer of a pack certified, by the names of the tables too."""
    name = pack_names()[0]
    pack = read_pack(name)
    assert run("reference", "export", name, "--format", form, "--out", "out").code == 0
    model = pack.problem.model
    options: tuple[str, ...] = ()
    if form == "csv":
        options = (
            "--task",
            "task",
            "--target",
            "y",
            "--coupling",
            repr(model.coupling),
            "--mu",
            repr(model.mu),
        )
        options += ("--loss", model.loss.name, "--reduction", model.loss.reduction, "--no-standardize")
    answer = run("certify", "out" if form == "npy" else "out/rows.csv", "out", *options, "--tol", "1e-12")
    assert answer.code == 0, answer
    J = json.loads(run("certify", "out" if form == "npy" else "out/rows.csv", "out", *options, "--json").out)
    assert J["objective"] == pytest.approx(float.fromhex(pack.claims["objective"]["hex"]), rel=1e-14)
