"""Packs in the formats of others: every array, number and name comes back, read by other packages."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from reference_samples import KINDS, NAMES, arrays, sample

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.reference import Pack, read_pack
from amtl_cvx.reference.formats import FOLDERS, FORMATS, export_pack, format_of
from amtl_cvx.runfolder import read_run

h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pack]:
    """A pack of every kind."""
    folder = tmp_path_factory.mktemp("packs")
    return {kind: sample(folder, kind) for kind in KINDS}


def flat(pack: Pack) -> dict[str, np.ndarray]:
    """The arrays of a pack by the names that exports give them, said apart from the exporting code."""
    found = {}
    for place, array in arrays(pack).items():
        words = place.split("/")
        prefix = {"given": "given_", "minima": f"minimum_{words[1]}_"}.get(words[0], "")
        found[prefix + words[-1]] = array
    return found


def from_npy(place: Path) -> dict[str, Any]:
    names = json.loads((place / "names.json").read_text())
    about = json.loads((place / "about.json").read_text())
    values = {key: about[key] for key in ("mu", "objective", "loss")}
    return {**{path.stem: np.load(path) for path in place.glob("*.npy")}, **names, **values}


def from_npz(place: Path) -> dict[str, Any]:
    with np.load(place, allow_pickle=False) as file:
        found = dict(file)
    return {key: value.tolist() if value.dtype.kind == "U" or not value.shape else value
            for key, value in found.items()}  # fmt: skip


def from_mat(place: Path) -> dict[str, Any]:
    found = {key: value for key, value in scipy.io.loadmat(place).items() if key[0] != "_"}
    return {key: list(_texts(value)) if value.dtype == object else value for key, value in found.items()}


def _texts(cells: np.ndarray) -> Iterator[str]:
    for cell in cells.ravel():
        yield str(cell.item())


def from_json(place: Path) -> dict[str, Any]:
    return dict(json.loads(place.read_text()))


def from_hdf5(place: Path) -> dict[str, Any]:
    with h5py.File(place) as file:
        return {key: _plain(value[()]) for key, value in file.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    listed = isinstance(value, np.ndarray) and value.dtype == object
    return [text.decode() for text in value] if listed else value


READ: dict[str, Callable[[Path], dict[str, Any]]] = {
    "npy": from_npy,
    "npz": from_npz,
    "mat": from_mat,
    "json": from_json,
    "hdf5": from_hdf5,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", READ)
def test_every_number_comes_back_bit_for_bit(
    packs: dict[str, Pack], form: str, kind: str, tmp_path: Path
) -> None:
    pack = packs[kind]
    found = READ[form](export_pack(pack, tmp_path / "out", kind=form))
    for name, array in flat(pack).items():
        back = np.asarray(found[name])
        assert back.dtype.kind == array.dtype.kind
        expected = array.reshape(-1, 1) if form == "mat" and array.ndim == 1 else array
        assert back.shape == expected.shape and np.array_equal(back, expected), name
    mu = np.asarray(found["mu"]).item()
    assert mu == pack.problem.model.to_dict()["mu"]
    assert np.asarray(found["objective"]).item() == 0.1
    assert list(found["task_names"]) == list(NAMES)
    assert ("feature_names" in found) == (kind != "b-step")
    assert np.asarray(found["loss"]).item() == pack.about["loss"]
    if form not in ("npy", "json"):
        assert json.loads(np.asarray(found["about"]).item())["sha256"] == pack.about["sha256"]


@pytest.mark.parametrize("kind", KINDS)
def test_tables_hold_every_number_under_its_names(packs: dict[str, Pack], kind: str, tmp_path: Path) -> None:
    pack, out = packs[kind], export_pack(packs[kind], tmp_path / "out", kind="csv")
    expected, tables = flat(pack), {}
    for path in out.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            tables[path.stem] = list(csv.reader(file))
    rows = tables.pop("rows")
    X, y, task = (expected.pop(name) for name in ("X", "y", "task"))
    features = ["x0", "x1"] if kind == "b-step" else ["x 1", "task"]
    first = "task_" if "task" in features else "task"
    weights = expected.pop("sample_weight", None)
    assert rows[0] == [first, "y", *features, *(["sample_weight"] if weights is not None else [])]
    assert [row[0] for row in rows[1:]] == [NAMES[t] for t in task]
    numbers = np.array([list(map(float, row[1:])) for row in rows[1:]])
    assert np.array_equal(numbers[:, 0], y) and np.array_equal(numbers[:, 1:3], X)
    assert weights is None or np.array_equal(numbers[:, 3], weights)
    assert tables.keys() == expected.keys()
    for name, array in expected.items():
        table, block = tables[name], name.rpartition("_")[2]
        named = block in ("W", "B", "L", "S", "A", "W1", "w")
        cells = [row[1:] for row in table[1:]] if named else table
        found = np.array([list(map(float, row)) for row in cells]).reshape(array.shape)
        assert np.array_equal(found, array), name
        if block in ("W", "B", "S"):
            assert table[0][1:] == list(NAMES)
        if block in ("B", "A"):
            assert [row[0] for row in table[1:]] == list(NAMES)


@pytest.mark.parametrize("form", ["npy", "npz", "mat", "json", "csv"])
@pytest.mark.parametrize("kind", ["joint", "curriculum", "learned", "network"])
def test_what_is_exported_is_a_solution_with_names(
    packs: dict[str, Pack], kind: str, form: str, tmp_path: Path
) -> None:
    """As `certify` reads it, with the family of the pack."""
    pack = packs[kind]
    suffix = "" if form in FOLDERS else f".{form}"
    stored = read_run(export_pack(pack, tmp_path / f"out{suffix}", kind=form), family=pack.about["family"])
    blocks = {name: block for name, block in pack.solution.items() if name != "order"}
    assert stored.blocks.keys() == blocks.keys()
    for name, block in blocks.items():
        assert np.array_equal(stored.blocks[name], block), name
    assert (stored.own_tasks, stored.own_features) == (NAMES, ("x 1", "task"))
    assert stored.order == (tuple(pack.solution["order"].tolist()) if kind == "curriculum" else None)


def test_tables_of_learned_features_say_whose_rows_they_are(packs: dict[str, Pack], tmp_path: Path) -> None:
    """Names in another order than the data, and names that are numbers or do not fit each other."""
    pack, out = packs["learned"], export_pack(packs["learned"], tmp_path / "out", kind="csv")
    assert (out / "S.csv").read_text().splitlines()[0] == ',"a, or b",Bär,10'
    for name in ("S", "A"):
        path = out / f"{name}.csv"
        path.write_text(path.read_text().replace("Bär", "3"))
    stored = read_run(out, family="features")
    assert stored.own_tasks == ("a, or b", "3", "10")
    assert np.array_equal(stored.blocks["A"], pack.solution["A"])
    (out / "A.csv").write_text((out / "A.csv").read_text().replace("\n3,", "\n4,"))
    with pytest.raises(DataError, match=r"S\.csv and A\.csv name the tasks differently"):
        read_run(out, family="features")
    (out / "A.csv").write_text("1,2\n3\n")
    with pytest.raises(DataError, match="rows of one length"):
        read_run(out, family="features")


def test_a_pack_is_exported_as_it_is(packs: dict[str, Pack], tmp_path: Path) -> None:
    pack = packs["joint"]
    copied = read_pack(export_pack(pack, tmp_path / "deep" / "copy"))
    assert copied.about == pack.about and arrays(copied).keys() == arrays(pack).keys()


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_there_is_left_alone(packs: dict[str, Pack], form: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    for place in ("file", "folder"):
        with pytest.raises(DataError, match="left alone"):
            export_pack(packs["joint"], tmp_path / place, kind=form)
    with pytest.raises(DataError, match="cannot write to"):
        export_pack(packs["joint"], tmp_path / "file" / "inside", kind=form)
    (tmp_path / "empty").mkdir()
    if form in FOLDERS:
        export_pack(packs["joint"], tmp_path / "empty", kind=form)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "folder"]
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "file").read_text() == "mine"


def test_the_name_of_a_file_says_its_format() -> None:
    assert [format_of(name) for name in ("a.npz", "a.MAT", "b.json", "c.h5", "c.hdf5", "folder", "p.d")] == [
        "npz", "mat", "json", "hdf5", "hdf5", "pack", "pack"
    ]  # fmt: skip


def test_without_h5py_it_is_said_how_to_get_it(
    packs: dict[str, Pack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModelError, match=r"amtl-cvx\[hdf5\]"):
        export_pack(packs["joint"], tmp_path / "a.h5", kind="hdf5")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ModelError, match="--format must be one of pack, npy"):
        export_pack(packs["joint"], tmp_path / "a", kind="xml")


def test_octave_reads_the_mat_file(packs: dict[str, Pack], tmp_path: Path) -> None:
    program = shutil.which("octave-cli")
    if program is None:
        pytest.skip("there is no Octave here: octave-cli was looked for (apt-get install octave)")
    pack = packs["joint"]
    export_pack(pack, tmp_path / "p.mat", kind="mat")
    code = "load p.mat; printf('%s|%s|%d|', class(task_names), task_names{1}, size(X, 1));"
    code += " for v = W'(:)', printf('%s ', num2hex(v)); end"
    done = subprocess.run(
        [program, "--norc", "--quiet", "--eval", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    kind, name, rows, numbers = done.stdout.split("|")
    assert (kind, name, rows) == ("cell", "a, or b", "9")
    assert bytes.fromhex(numbers) == pack.solution["W"].astype(">f8").tobytes()
