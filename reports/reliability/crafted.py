# More than 300 lines: one crafted file after another.
"""Crafted files: what somebody writes on purpose, or a program that means something else by the format."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from cases import CHECKER, MODEL, TABLE, Case
from mutations import NUMBERS, VALUES
from sound import PROOF, Sound, csv_text, element, frame, mat_file, matrix, npy, npz, rows

SHAPES = ("()", "(0,)", "(0, 2)", "(4611686018427387904, 2)", "(1000000000, 1000000000)", "(-1, 2)", "(24,)",
          "(24, 2, 1)", "(2, 24)", "(1, 24, 2)", "(24, 0)", "(24.0, 2)", "('a', 2)", "24")  # fmt: skip
DTYPES = ("'|O'", "'<U100000000'", "'|S100000000'", "'<c16'", "'<M8[s]'", "'|V8'", "[('a', '<f8')]", "'nonsense'",
          "'|b1'", "'>f4'", "[('a', '|O')]", "None")  # fmt: skip
NAMES = ("01", "1", "1E0", "NA", "None", "null", "nan", "-inf", "TRUE", "0x1F", "1_0", "a,b", 'say "hi"', "\t", "\u00e9",
         "\u2126", "\U0001f600", "a\nb", "\x1b[31mred\x1b[0m", "a\x07b", "x" * 5000, "<script>", "=1+1", "../up", "\u202eabc",
         "name\u200b", "1.0", "+1", "1e400", "0" * 50)  # fmt: skip
NEST = 20_000
"""Depth of what is nested on purpose."""
GOOD = "good.npz"


def crafted(seed: int, sounds: list[Sound]) -> Iterator[Case]:
    """All of them, in a fixed order."""
    base = next(sound for sound in sounds if sound.kind == "data data.npz")
    good = {GOOD: base.files[GOOD]}
    run = next(sound for sound in sounds if sound.kind.startswith("run run.json"))
    yield from _headers(seed, good)
    yield from _archives(seed, good)
    yield from _fields(seed, good)
    yield from _tables(seed, good)
    yield from _names(seed, good)
    yield from _mats(good)
    yield from _run_values(run)
    yield from _histories(run)
    yield from _solutions(seed)
    yield from _texts(seed, run)
    yield from _proofs()
    yield from _paths(seed, good)


def _judged(name: str, target: str, files: Mapping[str, bytes], *flags: str, expected: str = "any") -> Case:
    return Case(name=name, words=("certify", target, GOOD, *MODEL, *flags), files=files, expected=expected)


def _raw_npy(shape: str, dtype: str, body: bytes) -> bytes:
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header = header.ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def _zipped(members: Mapping[str, bytes], *, packed: bool = False) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _headers(seed: int, good: Mapping[str, bytes]) -> Iterator[Case]:
    """.npy headers that claim something else than what follows, in folders and in .npz."""
    X, y, task = rows(seed)
    arrays = {"X": X, "y": y, "task": task}
    lies = [(shape, "'<f8'") for shape in SHAPES] + [("(24, 2)", dtype) for dtype in DTYPES]
    for key in arrays:
        for shape, dtype in lies:
            lie = _raw_npy(shape, dtype, arrays[key].tobytes())
            members = {f"{name}.npy": lie if name == key else npy(value) for name, value in arrays.items()}
            what = f"{key} {shape} {dtype}"
            yield _judged(f"npz header {what}", "d.npz", {**good, "d.npz": _zipped(members)})
            folder = {f"d/{name}": content for name, content in members.items()}
            yield _judged(f"folder header {what}", "d", {**good, **folder})


def _archives(seed: int, good: Mapping[str, bytes]) -> Iterator[Case]:
    """Archives that unpack to far more than they weigh, or hold what nobody asked for."""
    X, y, task = rows(seed)
    members = {"X.npy": npy(X), "y.npy": npy(y), "task.npy": npy(task)}
    bomb = _raw_npy("(300000000, 2)", "'<f8'", b"\0" * (1 << 27))
    yield _judged("npz bomb, short", "d.npz", {**good, "d.npz": _zipped({**members, "X.npy": bomb}, packed=True)},
                  expected="refused")  # fmt: skip
    names = _raw_npy("(3,)", "'<U30000000'", b"\0" * (1 << 26))
    yield _judged(
        "npz names bomb",
        "d.npz",
        {**good, "d.npz": _zipped({**members, "task_names.npy": names}, packed=True)},
    )
    yield _judged("npz member twice", "d.npz", {**good, "d.npz": _zipped(members) + _zipped(members)})
    up = {**members, "../evil.npy": npy(X)}
    yield _judged("npz member outside", "d.npz", {**good, "d.npz": _zipped(up)}, expected="read")
    yield _judged("npz empty", "d.npz", {**good, "d.npz": _zipped({})}, expected="refused")
    yield _judged("npz of text", "d.npz", {**good, "d.npz": _zipped({"X.npy": b"hello"})}, expected="refused")
    text = frame(seed).to_csv(index=False).encode()
    yield _judged("csv called npz", "d.npz", {**good, "d.npz": text}, expected="refused")
    yield _judged("npz called csv", "d.csv", {**good, "d.csv": _zipped(members)}, *TABLE, expected="refused")
    zeros = gzip.compress(text + b"s0,0,0,0\n" * (1 << 26), compresslevel=1, mtime=0)
    yield _judged("gz bomb", "d.csv.gz", {**good, "d.csv.gz": zeros}, *TABLE)
    yield _judged(
        "gz twice", "d.csv.gz", {**good, "d.csv.gz": gzip.compress(text) + gzip.compress(text)}, *TABLE
    )
    yield _judged(
        "gz cut", "d.csv.gz", {**good, "d.csv.gz": gzip.compress(text)[:-9]}, *TABLE, expected="refused"
    )
    sheet = {"[Content_Types].xml": b"<a/>", "xl/workbook.xml": b"\0" * (1 << 27)}
    yield _judged(
        "xlsx bomb", "d.xlsx", {**good, "d.xlsx": _zipped(sheet, packed=True)}, *TABLE, expected="refused"
    )
    lol = (
        b'<!DOCTYPE a [<!ENTITY a "ha">'
        + b"".join(
            b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 9 if i else b"&a;" * 9) for i in range(12)
        )
        + b"]><a>&a11;</a>"
    )
    yield _judged("xlsx entities", "d.xlsx", {**good, "d.xlsx": _zipped({"xl/workbook.xml": lol, "[Content_Types].xml": lol})},
                  *TABLE, expected="refused")  # fmt: skip


def _fields(seed: int, good: Mapping[str, bytes]) -> Iterator[Case]:
    """One odd field in the task, a feature or the target of a table; rows for prediction too."""
    for place, column in enumerate(("site", "x1", "y")):
        for number in NUMBERS:
            table = [list(frame(seed).columns), *frame(seed).astype(str).values.tolist()]
            table[5][{"site": 0, "x1": 1, "y": 3}[column]] = number
            legal = number.strip() in ("1e154", "1e308", "5e-324", "-0", "-1", "0.5", "1" + "0" * 30)
            expected = "any" if place == 0 or legal else "refused"
            yield _judged(f"csv {column} {number[:9]!r}", "d.csv", {**good, "d.csv": csv_text(table)}, *TABLE,
                          expected=expected)  # fmt: skip


def _tables(seed: int, good: Mapping[str, bytes]) -> Iterator[Case]:
    """Tables of other shapes and dialects."""
    table = [list(frame(seed).columns), *frame(seed).astype(str).values.tolist()]
    text = csv_text(table)

    def case(name: str, content: bytes, expected: str = "any") -> Case:
        return _judged(f"csv {name}", "d.csv", {**good, "d.csv": content}, *TABLE, expected=expected)

    refused: Mapping[str, bytes] = {
        "header only": text.split(b"\n")[0] + b"\n",
        "blank": b"\n\n\n",
        "one row longer": text.replace(b"\ns1,", b"\ns1,7,", 1),
        "every row longer": csv_text([table[0]] + [[*row, "1"] for row in table[1:]]),
        "every row shorter": csv_text([table[0]] + [row[:-1] for row in table[1:]]),
        "trailing comma": csv_text([table[0]] + [[*row, ""] for row in table[1:]]),
        "a column twice": csv_text([["site", "x1", "x1", "y"], *table[1:]]),
        "the target twice": csv_text([["site", "y", "x2", "y"], *table[1:]]),
        "quote left open": text.replace(b"s1,", b'"s1,', 1),
        "27 kB of commas": b"," * 27_000,
        "commas in all rows": b"site,y" + b"," * 27_000 + b"\n" + (b"a,1" + b"," * 27_000 + b"\n") * 20,
        "zeros": b"\0" * 10_000,
        "noise": np.random.default_rng(seed).bytes(20_000),
        "html": b"<html><body>404</body></html>\n",
        "json": b'{"site": 1}\n',
        "a header of numbers": text.split(b"\n", 1)[1],
    }
    yield from (case(name, content, "refused") for name, content in refused.items())
    read: Mapping[str, bytes] = {
        "byte order mark": b"\xef\xbb\xbf" + text,
        "crlf": text.replace(b"\n", b"\r\n"),
        "spaces in the header": text.replace(b"site,x1", b" site , x1 ", 1),
        "all quoted": b"\n".join(
            b'"' + line.replace(b",", b'","') + b'"' for line in text.strip().split(b"\n")
        ),
        "tabs": text.replace(b",", b"\t"),
        "semicolons": text.replace(b",", b";"),
        "semicolons, decimal commas": text.replace(b",", b";").replace(b".", b","),
        "utf-16": text.decode().encode("utf-16"),
        "latin-1": text.replace(b"s1", b"Z\xfcrich"),
        "no newline at the end": text.rstrip(b"\n"),
    }
    yield from (case(name, content, "read") for name, content in read.items())
    other: Mapping[str, bytes] = {
        "cr only": text.replace(b"\n", b"\r"),
        "a blank line inside": text.replace(b"\ns1", b"\n\ns1", 1),
        "decimal commas, unquoted": text.replace(b".", b","),
        "a zero byte": text.replace(b"s1", b"s\x001", 1),
        "a comment": b"# made by hand\n" + text,
        "utf-16 without a mark": text.decode().encode("utf-16-le"),
        "a field of 10 MB": text.replace(b"s1", b"s" * 10_000_000, 1),
        "20,000 tasks": csv_text([table[0]] + [[f"t{i}", "1", str(i % 7), "2"] for i in range(20_000)]),
        "2,000 features": csv_text(
            [["site", "y", *(f"x{j}" for j in range(2000))]] + [["a", "1", *("2",) * 2000]] * 30
        ),
        "row names": csv_text(
            [["", *table[0]]] + [[str(i), *row] for i, row in enumerate(table[1:], start=1)]
        ),
    }
    yield from (case(name, content) for name, content in other.items())


def _names(seed: int, good: Mapping[str, bytes]) -> Iterator[Case]:
    """Task and column names as people write them; a table keeps them."""
    whole = frame(seed)
    for name in NAMES:
        table = whole.assign(site=whole["site"].replace("s1", name))
        text = csv_text([list(table.columns), *table.astype(str).values.tolist()])
        expected = "any" if name.strip() != name or len(name) > 1000 else "read"
        yield _judged(f"task {name[:9]!r}", "d.csv", {**good, "d.csv": text}, *TABLE, expected=expected)
        renamed = whole.rename(columns={"x1": name})
        text = csv_text([list(renamed.columns), *renamed.astype(str).values.tolist()])
        yield _judged(f"column {name[:9]!r}", "d.csv", {**good, "d.csv": text}, *TABLE)
        names = {"task_names": np.array(["a", "b", name])}
        X, y, task = rows(seed)
        yield _judged(f"npz name {name[:9]!r}", "d.npz", {**good, "d.npz": npz(X=X, y=y, task=task, **names)})


def _mats(good: Mapping[str, bytes]) -> Iterator[Case]:
    """.mat files by hand: sparse indices, nested cells, sizes, other versions."""
    y = (9, np.arange(3.0).tobytes())

    def cells(name: bytes, *contents: bytes) -> bytes:
        body = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<2i", len(contents), 1))
        return element(14, body + element(1, name) + b"".join(contents))

    targets = cells(b"Y", *[matrix(6, (3, 1), b"", [y])] * 2)

    def sparse(ir: list[int], jc: list[int], shape: tuple[int, int] = (3, 2)) -> bytes:
        parts = [(5, np.array(ir, "<i4").tobytes()), (5, np.array(jc, "<i4").tobytes())]
        values = np.arange(1.0, 1.0 + len(ir)).tobytes()
        return matrix(5, shape, b"", [*parts, (9, values)], nzmax=len(ir))

    bad = {
        "far row": ([0, 100_000], [0, 1, 2]), "negative row": ([0, -2_000_000], [0, 1, 2]),
        "row = rows": ([0, 3], [0, 1, 2]), "falling pointer": ([0, 1], [0, 2, 1]),
        "pointer past the end": ([0, 1], [0, 1, 200_000]), "negative pointer": ([0, 1], [-5, 1, 2]),
        "short pointer": ([0, 1], [0, 2]), "long pointer": ([0, 1], [0, 1, 2, 2, 2]),
        "all rows far": ([2**31 - 1] * 6, [0, 3, 6]), "rows unsorted": ([2, 0], [0, 2, 2]),
        "a row twice": ([1, 1], [0, 2, 2]),
    }  # fmt: skip
    for packed in (False, True):
        for name, (ir, jc) in bad.items():
            X = cells(b"X", *[sparse(ir, jc)] * 2)
            content = mat_file(X, targets, compressed=packed)
            expected = "any" if name in ("rows unsorted", "a row twice", "long pointer") else "refused"
            yield _judged(
                f"mat sparse, {name}{', packed' * packed}",
                "d.mat",
                {**good, "d.mat": content},
                expected=expected,
            )
        for depth in (10, 100, 1000, NEST):
            inner = matrix(6, (3, 2), b"", [(9, np.zeros(6).tobytes())])
            content = mat_file(_nested(inner, depth), targets, compressed=packed)
            yield _judged(
                f"mat {depth} cells deep{', packed' * packed}",
                "d.mat",
                {**good, "d.mat": content},
                expected="refused",
            )
        huge = {
            "2^31 rows": (2**31 - 1, 2),
            "2^62 numbers": (2**31 - 1, 2**31 - 1),
            "negative": (-3, 2),
            "50 dimensions": (1,) * 50,
        }
        for name, shape in huge.items():
            X = cells(b"X", *[matrix(6, shape, b"", [(9, np.zeros(6).tobytes())])] * 2)
            yield _judged(f"mat {name}{', packed' * packed}", "d.mat", {**good, "d.mat": mat_file(X, targets, compressed=packed)},
                          expected="refused")  # fmt: skip
    claimed = element(
        14,
        element(6, struct.pack("<II", 1, 0))
        + element(5, struct.pack("<2i", 100_000_000, 1))
        + element(1, b"X"),
    )
    yield _judged(
        "mat many cells claimed", "d.mat", {**good, "d.mat": mat_file(claimed, targets)}, expected="refused"
    )
    yield _judged("mat bomb", "d.mat", {**good, "d.mat": mat_file(matrix(6, (40_000_000, 5), b"X", [(9, b"\0" * (1 << 27))]), compressed=True)},
                  expected="refused")  # fmt: skip
    for kind in (0, 8, 10, 11, 16, 19, 255):
        odd = matrix(kind, (3, 2), b"", [(9, np.zeros(6).tobytes())])
        yield _judged(
            f"mat class {kind}", "d.mat", {**good, "d.mat": mat_file(cells(b"X", odd, odd), targets)}
        )
    v4 = struct.pack("<5i", 0, 3, 2, 0, 2) + b"X\0" + np.zeros(6).tobytes()
    yield _judged("mat version 4", "d.mat", {**good, "d.mat": v4}, expected="refused")
    yield _judged("mat version 7.3", "d.mat", {**good, "d.mat": b"MATLAB 7.3".ljust(512) + b"\x89HDF\r\n\x1a\n" + b"\0" * 600},
                  expected="refused")  # fmt: skip
    yield _judged("mat header only", "d.mat", {**good, "d.mat": mat_file()}, expected="refused")


def _nested(inner: bytes, depth: int) -> bytes:
    """A cell in a cell in a cell ..., built from the inside without copying it at each step."""
    head = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<2i", 1, 1))
    size, heads = len(inner), []
    for level in range(depth):
        name = element(1, b"X") if level == depth - 1 else element(1, b"")
        size += len(head) + len(name)
        heads.append(struct.pack("<II", 14, size) + head + name)
        size += 8
    return b"".join(reversed(heads)) + inner


def _run_values(run: Sound) -> Iterator[Case]:
    """run.json with one value of another kind, and the commands that read it."""
    content = json.loads(run.files["run/run.json"])
    keys: list[tuple[str, ...]] = [(key,) for key in content]
    keys += [("model", key) for key in content["model"]] + [("data", key) for key in content["data"]]
    commands = (("certify", "data.csv", "run", *TABLE), ("predict", "run", "data.csv", *TABLE),
                ("plot", "run", "--out", "p.svg"))  # fmt: skip
    for number, key in enumerate(keys):
        for step, value in enumerate(VALUES[number % 3 :: 3]):
            tree = json.loads(run.files["run/run.json"])
            holder = tree if len(key) == 1 else tree[key[0]]
            holder[key[-1]] = value
            words = commands[(number + step) % 2 if step % 4 else 2]
            files = {**run.files, "run/run.json": json.dumps(tree).encode()}
            yield Case(name=f"run.json {'.'.join(key)} = {str(value)[:12]!r}", words=words, files=files)


def _histories(run: Sound) -> Iterator[Case]:
    """history.csv with one odd field."""
    lines = [line.split(",") for line in run.files["run/history.csv"].decode().splitlines()]
    for column in range(len(lines[0])):
        for number in NUMBERS[column % 4 :: 4]:
            table = [list(line) for line in lines]
            table[-1][column] = number
            files = {**run.files, "run/history.csv": csv_text(table)}
            words = ("plot", "run", "--out", "p.svg", "--kind", "convergence")
            yield Case(name=f"history {lines[0][column]} = {number[:9]!r}", words=words, files=files)


def _solutions(seed: int) -> Iterator[Case]:
    """Solutions of wrong shapes, types and numbers, in every layout."""
    X, y, task = rows(seed)
    data = {"data.npz": npz(X=X, y=y, task=task)}
    W, B = np.ones((2, 3)), np.zeros((3, 3))
    wrong: Mapping[str, Any] = {
        "nan": np.where(np.eye(2, 3) > 0, np.nan, W), "inf": np.inf * W, "complex": W + 1j, "text": np.full((2, 3), "a"),
        "flat": W.ravel(), "transposed": W.T, "empty": np.empty((0, 3)), "3d": W[None], "bool": W > 0, "huge": 1e154 * W,
        "tiny": 5e-324 * W, "integers": W.astype(int), "dates": W.astype("M8[s]"), "wide": np.ones((2, 4)),
    }  # fmt: skip
    for name, value in wrong.items():
        legal = name in ("bool", "huge", "tiny", "integers")
        expected = "any" if legal else "refused"
        yield Case(name=f"W {name}, npz", words=("certify", "data.npz", "s.npz", *MODEL),
                   files={**data, "s.npz": npz(W=value, B=B)}, expected=expected)  # fmt: skip
        yield Case(name=f"W {name}, npy", words=("certify", "data.npz", "s", *MODEL),
                   files={**data, "s/W.npy": npy(value), "s/B.npy": npy(B)}, expected=expected)  # fmt: skip
        text = json.dumps(
            {
                "W": value.astype(str).tolist() if value.dtype.kind in "cUM" else value.tolist(),
                "B": B.tolist(),
            }
        )
        yield Case(name=f"W {name}, json", words=("certify", "data.npz", "s.json", *MODEL),
                   files={**data, "s.json": text.encode()}, expected=expected)  # fmt: skip
    for value in (-1.0, np.nan, 1e308, 5e-324):
        for place in ((0, 1), (1, 1)):
            wrong_B = B.copy()
            wrong_B[place] = value
            yield Case(name=f"B{place} = {value}", words=("certify", "data.npz", "s.npz", *MODEL),
                       files={**data, "s.npz": npz(W=W, B=wrong_B)})  # fmt: skip
    pickled = io.BytesIO()
    np.save(pickled, np.array([print, {}], dtype=object), allow_pickle=True)
    yield Case(name="W pickled", words=("certify", "data.npz", "s.npz", *MODEL), expected="refused",
               files={**data, "s.npz": _zipped({"W.npy": pickled.getvalue(), "B.npy": npy(B)})})  # fmt: skip


def _texts(seed: int, run: Sound) -> Iterator[Case]:
    """JSON that is no JSON, or too much of it, wherever JSON is read."""
    X, y, task = rows(seed)
    folder = {"d/X.npy": npy(X), "d/y.npy": npy(y), "d/task.npy": npy(task)}
    texts = {
        "deep lists": b"[" * 100_000, "closed deep lists": b"[" * NEST + b"]" * NEST,
        "deep objects": b'{"a":' * NEST + b"1" + b"}" * NEST, "nothing": b"", "a number": b"1", "a list": b"[]",
        "an object": b"{}", "null": b"null", "cut": b'{"program": "amtl_cvx", "sch', "latin-1": b'{"a": "\xfc"}',
        "utf-16": '{"a": 1}'.encode("utf-16"), "many digits": b'{"a": ' + b"9" * 100_000 + b"}", "noise": b"\x80\x81\xff" * 99,
        "infinity": b'{"program": "amtl_cvx", "seed": Infinity}', "a lone surrogate": b'{"program": "\\ud800"}',
        "a key twice": b'{"program": "amtl_cvx", "program": "amtl_cvx", "task_names": 1}',
        "10 MB": b'{"program": "amtl_cvx", "x": "' + b"a" * 10_000_000 + b'"}',
    }  # fmt: skip
    for name, text in texts.items():
        for words in (("certify", "data.csv", "run", *TABLE), ("predict", "run", "data.csv", *TABLE)):
            yield Case(
                name=f"run.json {name}, {words[0]}", words=words, files={**run.files, "run/run.json": text}
            )
        yield Case(name=f"names.json {name}", words=("certify", "d", "run/solution.npz", *MODEL),
                   files={**folder, **run.files, "d/names.json": text})  # fmt: skip
        yield Case(name=f"solution.json {name}", words=("certify", "data.csv", "s.json", *MODEL, *TABLE),
                   files={**run.files, "s.json": text}, expected="refused")  # fmt: skip
        yield Case(
            name=f"proof {name}",
            words=(CHECKER, "proof.json"),
            files={"proof.json": text},
            expected="refused",
        )


def _proofs() -> Iterator[Case]:
    """Proofs with numbers that never end and values of other kinds."""
    content = json.loads(PROOF.read_bytes())
    odd: tuple[Any, ...] = (
        "1e99999999",
        "1/3",
        "-1",
        "1/0",
        "9" * 5000,
        10**4000,
        "nan",
        None,
        [],
        {},
        True,
        "1e-99999999",
    )
    for key in content:
        for value in odd[:: 1 if key in ("upper", "level", "mu", "coupling", "unit", "bits", "cells") else 3]:
            tree = {**content, key: value}
            try:
                text = json.dumps(tree).encode()
            except ValueError:
                continue
            yield Case(
                name=f"proof {key} = {str(value)[:9]!r}",
                words=(CHECKER, "proof.json"),
                files={"proof.json": text},
            )
    for key in ("W", "B", "radius"):
        tree = json.loads(PROOF.read_bytes())
        holder = tree[key] if key == "radius" else tree[key][0]
        holder[0] = "1e99999999"
        yield Case(name=f"proof {key}[0] = 1e99999999", words=(CHECKER, "proof.json"),
                   files={"proof.json": json.dumps(tree).encode()}, expected="refused")  # fmt: skip


def _paths(seed: int, good: Mapping[str, bytes]) -> Iterator[Case]:
    """What is no ordinary file."""
    X, y, task = rows(seed)
    data = {**good, "d.npz": npz(X=X, y=y, task=task)}
    names = ("a\0b.npz", "loop.npz", "fifo.npz", "fifo.csv", "/dev/zero", "/dev/null", "folder.npz", "x" * 300 + ".npz", "",
             ".", "..", "/", "~nobody/x.npz", "d.npz/", "d.npz/x.npz", "\udcff.npz", "-", "http://x/y.csv")  # fmt: skip
    links, fifos = {"loop.npz": "loop.npz"}, ("fifo.npz", "fifo.csv")
    files = {**data, "folder.npz/x": b""}
    makers: Mapping[str, Callable[[str], tuple[str, ...]]] = {
        "data": lambda name: ("certify", name, GOOD, *MODEL),
        "solution": lambda name: ("certify", "d.npz", name, *MODEL),
        "rows": lambda name: ("predict", name, name),
        "plot": lambda name: ("plot", name, "--out", "p.png"),
        "out": lambda name: (
            "fit",
            "d.npz",
            "--out",
            name,
            "--max-rounds",
            "1",
            "--no-refine",
            "--quiet",
            *MODEL,
        ),
    }
    for what, words in makers.items():
        for name in names:
            if what == "out" and (
                name.startswith(("x" * 9, "~")) or name in ("-", "http://x/y.csv", "\udcff.npz")
            ):
                continue  # a folder may be called so
            yield Case(name=f"path as {what}: {name[:12]!r}", words=words(name), files=files, links=links, fifos=fifos,
                       expected="any" if name == "d.npz/" and what != "out" else "refused")  # fmt: skip
