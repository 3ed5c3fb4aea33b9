"""Mutations: what chance, a bad disk or a bad writer makes of a sound file.

Every mutator takes the bytes and a generator and returns other bytes. Containers are opened, damaged inside
and closed again with right checksums, so that the damage reaches the reader behind them.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Mutator = Callable[[bytes, np.random.Generator], bytes]

NUMBERS = (
    "1e999",
    "-1e999",
    "nan",
    "NaN",
    "NA",
    "inf",
    "1e154",
    "1e308",
    "5e-324",
    "-0",
    "0x10",
    "1_000",
    "",
    " ",
    "1,5",
    "1.5.2",
    "abc",
    "True",
    "--1",
    "1e",
    "9" * 400,
    "1" + "0" * 30,
    "\u221e",
    "\u0661",
    "-1",
    "0.5",
)
"""What may stand where a number stood."""
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e308,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "abc",
    "1",
    "\x1b[31m",
    "\0",
    [],
    [[]],
    [1],
    ["a"] * 3,
    {},
    {"a": 1},
    [None] * 3,
    2**63,
    "nan",
    -0.0,
    [[1.0, 2.0], [3.0]],
    [1e400],
)
"""What may stand where a JSON value stood."""


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes are others."""
    out = np.frombuffer(data, dtype=np.uint8).copy()
    places = rng.integers(len(out), size=int(rng.choice([1, 2, 8, 32])))
    out[places] = rng.integers(256, size=len(places))
    return out.tobytes()


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing."""
    return data[: int(rng.integers(len(data)))]


def shuffled(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece is missing, doubled, zero, or has changed places."""
    start, stop = sorted(int(i) for i in rng.integers(len(data) + 1, size=2))
    stop = min(stop, start + 400)
    piece = data[start:stop]
    how = int(rng.integers(5))
    middle = (b"", piece + piece, b"\0" * len(piece), b"\xff" * len(piece), piece[::-1])[how]
    return data[:start] + middle + data[stop:]


def reworded(data: bytes, rng: np.random.Generator) -> bytes:
    """A text with another field, line or separator."""
    text = data.decode("latin-1")
    lines = text.split("\n")
    row = int(rng.integers(len(lines)))
    fields = lines[row].split(",")
    how = int(rng.integers(7))
    if how <= 2:
        fields[int(rng.integers(len(fields)))] = str(rng.choice(NUMBERS))
        lines[row] = ",".join(fields)
    elif how == 3:
        lines.insert(row, lines[int(rng.integers(len(lines)))])
    elif how == 4:
        del lines[row]
    elif how == 5:
        lines[row] = ",".join([*fields, str(rng.choice(NUMBERS))])
    else:
        return text.replace(",", str(rng.choice(list(";\t| ")))).encode("latin-1")
    return "\n".join(lines).encode("utf-8")


def retyped(data: bytes, rng: np.random.Generator) -> bytes:
    """A JSON file in which some values are of other types, missing or renamed."""
    tree = json.loads(data)
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        places: list[tuple[Any, Any]] = []
        _places(tree, places)
        if not places:
            break
        holder, key = places[int(rng.integers(len(places)))]
        how = int(rng.integers(6))
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, dict):
            holder[f"{key}_"] = holder.pop(key)
        else:
            holder[key] = VALUES[int(rng.integers(len(VALUES)))]
    return json.dumps(tree).encode()


def _places(tree: Any, places: list[tuple[Any, Any]]) -> None:
    """Every (container, key) of a tree; long lists by their first entries."""
    if isinstance(tree, dict):
        entries = list(tree.items())
    elif isinstance(tree, list):
        entries = list(enumerate(tree[:3]))
    else:
        return
    for key, value in entries:
        places.append((tree, key))
        _places(value, places)


def in_zip(data: bytes, rng: np.random.Generator) -> bytes:
    """A .npz or .xlsx with one damaged member and sound checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    name = str(rng.choice(sorted(members)))
    mutate = (flipped, flipped, cut, shuffled)[int(rng.integers(4))]
    members[name] = mutate(members[name], rng)
    if rng.random() < 0.1:
        members[f"extra/../{name}"] = members[name]
    if rng.random() < 0.1:
        del members[name]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as new:
        for key, value in members.items():
            new.writestr(key, value)
    return stream.getvalue()


def in_npy(data: bytes, rng: np.random.Generator) -> bytes:
    """A .npy with another header: shape, dtype, order."""
    start = data.index(b"{")
    stop = data.index(b"}") + 1
    header = data[start:stop].decode()
    shape = str(
        rng.choice(["(24,)", "(24, 2)", "(-1,)", "(0,)", "(4611686018427387904, 3)", "()", "(2, 24)"])
    )
    kind = str(rng.choice(["<f4", ">f8", "<i8", "|O", "<U90000000", "<c16", "|b1", "|V8", "<M8[s]", "<f2"]))
    if rng.random() < 0.5:
        header = header[: header.index("'shape': ") + 9] + shape + ", }"
    else:
        header = header.replace("<f8", kind).replace("<i8", kind)
    if rng.random() < 0.2:
        header = header.replace("False", "True")
    padded = header.encode().ljust(len(data[10 : data.index(b"\n", start)])) + b"\n"
    return data[:8] + struct.pack("<H", len(padded)) + padded + data[data.index(b"\n", start) + 1 :]


def in_gzip(data: bytes, rng: np.random.Generator) -> bytes:
    """A .gz whose text is damaged."""
    return gzip.compress(reworded(gzip.decompress(data), rng), mtime=0)


def in_mat(data: bytes, rng: np.random.Generator) -> bytes:
    """A .mat with damage inside an element, which is compressed again where it was."""
    head, rest, out = data[:128], data[128:], b""
    while len(rest) >= 8:
        kind, size = struct.unpack("<II", rest[:8])
        step = 8 + size + (0 if kind == 15 else -size % 8)
        body, rest = rest[8 : 8 + size], rest[step:]
        if rng.random() < 0.5:
            body = zlib.compress(_words(zlib.decompress(body), rng)) if kind == 15 else _words(body, rng)
        pad = b"" if kind == 15 else b"\0" * (-len(body) % 8)
        out += struct.pack("<II", kind, len(body)) + body + pad
    return head + out


def _words(data: bytes, rng: np.random.Generator) -> bytes:
    """Some 32-bit words (tags, sizes, indices) are others."""
    out = np.frombuffer(data[: len(data) // 4 * 4], dtype="<i4").copy()
    places = rng.integers(
        min(len(out), 60) if rng.random() < 0.7 else len(out), size=int(rng.choice([1, 2, 4]))
    )
    out[places] = rng.choice(
        [0, 1, -1, 5, 7, 14, 15, 100_000, -2_000_000, 2**31 - 1, 64, 3], size=len(places)
    )
    return out.tobytes() + data[len(out) * 4 :]


def mutators(name: str) -> tuple[Mutator, ...]:
    """What damages a file of that name."""
    raw: tuple[Mutator, ...] = (flipped, cut, shuffled)
    inside: dict[str, tuple[Mutator, ...]] = {
        ".npz": (in_zip, in_zip, in_zip),
        ".xlsx": (in_zip, in_zip),
        ".npy": (in_npy, in_npy),
        ".csv": (reworded, reworded, reworded),
        ".json": (retyped, retyped, retyped, retyped),
        ".gz": (in_gzip, in_gzip),
        ".mat": (in_mat, in_mat, in_mat),
        ".parquet": (),
    }
    return raw + inside[name[name.rindex(".") :]]
