"""Reference packs: written whole, read bit for bit, and refused with one line where a byte was changed."""

import json

import numpy as np
import pytest

from amtl_cvx import LossWeightedL1, Model, Problem, Squared, TaskSet
from amtl_cvx.errors import DataError
from amtl_cvx.reference import read_pack, write_pack
from amtl_cvx.reference.canonical import text_of

ABOUT = {
    "name": "two-units",
    "title": "Two tasks on the unit vectors: at B = 0 every w is half its target.",
    "grade": "easy",
    "traits": ["closed form"],
    "origin": {"generator": "by hand", "seed": 0, "source": "closed form"},
    "made": {"versions": {}},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [0.0, 1.0]], names=["a", "b"])
    problem = Problem(tasks, Model(loss=Squared(), transfer=LossWeightedL1(mu=1.0), coupling=0.5))
    return write_pack(
        tmp_path_factory.mktemp("packs") / "two-units",
        problem=problem,
        ask="joint",
        solution={"W": np.eye(2) / 2, "B": np.zeros((2, 2))},
        claims={"objective": {"hex": (0.5).hex()}},
        about=ABOUT,
        minima=({"W": np.eye(2) / 2, "B": np.zeros((2, 2))},),
        digits={"W": [["0.5", "0"], ["0", "0.5"]]},
    )


def test_a_pack_is_read_as_it_was_written(written):
    pack = read_pack(written.folder)
    assert pack.problem.at(**pack.solution).objective == 0.5  # 2 (1/2)(1/4) + (1/2)(1/2)
    assert pack.problem.tasks.names == ("a", "b")
    assert (pack.ask, pack.about["T"], pack.about["d"], pack.about["rows"]) == ("joint", 2, 2, [2, 2])
    assert np.array_equal(pack.solution["W"], np.eye(2) / 2)
    assert len(pack.minima) == 1 and pack.given == {} and pack.proof is None
    assert pack.digits == {"W": [["0.5", "0"], ["0", "0.5"]]}


def test_a_flipped_byte_of_any_file_is_refused(written):
    for name in ("pack.json", *written.about["files"]):
        path = written.folder / name
        content = path.read_bytes()
        step = max(1, len(content) // 20)
        for place in range(0, len(content), step):
            changed = bytearray(content)
            changed[place] ^= 1 << place % 8
            path.write_bytes(bytes(changed))
            with pytest.raises(DataError) as caught:
                read_pack(written.folder)
            assert "\n" not in str(caught.value)
        path.write_bytes(content)
    read_pack(written.folder)


def test_a_file_that_is_missing_or_read_later_is_held_against_its_digest(written):
    later = read_pack(written.folder, files=False)
    path = written.folder / "solution" / "W.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(DataError, match="changed or cut off"):
        _ = later.solution
    path.unlink()
    with pytest.raises(DataError, match=r"solution/W\.npy"):
        read_pack(written.folder)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("ask", "best", "ask must be one of"),
        ("grade", "trivial", "grade must be"),
        ("files", {"../../etc/passwd": "0" * 64}, "files must be"),
        ("files", {"make.py": "0" * 64}, "files must be"),
        ("rows", [], "rows must be"),
        ("schema", 2, "schema 2, expected 1"),
        ("format", "else", "another program"),
    ],
)
def test_a_pack_that_says_what_none_says_is_refused(written, key, value, words):
    path = written.folder / "pack.json"
    content = path.read_text()
    path.write_text(text_of({**json.loads(content), key: value}))
    try:
        with pytest.raises(DataError, match=words):
            read_pack(written.folder)
    finally:
        path.write_text(content)


def test_a_folder_of_something_else_is_left_alone(written, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    arguments = {
        "problem": written.problem,
        "ask": "joint",
        "solution": written.solution,
        "claims": {},
        "about": ABOUT,
    }
    for replace in (False, True):
        with pytest.raises(DataError, match="not empty"):
            write_pack(tmp_path, replace=replace, **arguments)
    assert (tmp_path / "mine.txt").read_text() == "precious"
    with pytest.raises(DataError, match="not empty"):
        write_pack(written.folder, **arguments)
    with pytest.raises(DataError, match="name must be"):
        write_pack(tmp_path / "new", **{**arguments, "about": {**ABOUT, "name": "Not so"}})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]


def test_an_unknown_name_is_one_line():
    with pytest.raises(DataError, match="there is none called"):
        read_pack("no-such-pack-at-all")
