"""Sound files of every kind that the toolkit reads, and a command for each: what the campaign damages.

Three tasks, two features, eight rows a task, all drawn from a seed; the run is a real one, fitted here.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp
from cases import CHECKER, MODEL, TABLE

from amtl_cvx import LossWeightedL1, Model, Squared, TaskSet, fit
from amtl_cvx.runfolder import save

T, D, N = 3, 2, 8
ROOT = Path(__file__).resolve().parents[2]
PROOF = ROOT / "reports" / "enclosure" / "proofs" / "T2-d1-n10-seed1.json"


@dataclass(frozen=True, kw_only=True)
class Sound:
    """Files that a command accepts; `damaged` names the one that is mutated."""

    kind: str
    files: Mapping[str, bytes]
    damaged: str
    words: tuple[str, ...]


def rows(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (N, d), y (N,), task (N,)."""
    rng = np.random.default_rng(seed)
    X, task = rng.normal(size=(T * N, D)).round(4), np.repeat(np.arange(T), N)
    return X, (X @ [1.0, -0.5] + 0.1 * rng.normal(size=T * N)).round(4), task


def frame(seed: int) -> pd.DataFrame:
    """The same rows as a table."""
    X, y, task = rows(seed)
    return pd.DataFrame({"site": [f"s{t}" for t in task], "x1": X[:, 0], "x2": X[:, 1], "y": y})


def sounds(seed: int, work: Path) -> list[Sound]:
    """One entry for each kind of file and each command that reads it."""
    data, table = _data_files(seed), frame(seed)
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)
    tasks = TaskSet.from_frame(table, task="site", target="y")
    solution = fit(tasks, model)
    save(solution, work / "run", tasks=tasks)
    run = {f"run/{path.name}": path.read_bytes() for path in (work / "run").iterdir() if path.is_file()}
    run = {name: content for name, content in run.items() if not name.endswith((".png", ".html"))}
    old = {**run, "run/run.json": _without_hashes(run["run/run.json"])}
    npz, good = {"data.npz": data["data.npz"]}, {"good.npz": run["run/solution.npz"]}
    found = []
    for name, content in data.items():
        flags = TABLE if name.endswith((".csv", ".gz", ".xlsx", ".parquet")) else ()
        folder = {key: value for key, value in data.items() if key.startswith("folder/")}
        files = {**(folder if name.startswith("folder/") else {name: content}), **good}
        target = "folder" if name.startswith("folder/") else name
        words = ("certify", target, "good.npz", *MODEL, *flags)
        found.append(Sound(kind=f"data {name}", files=files, damaged=name, words=words))
    for name in ("data.csv", "data.parquet"):
        words = ("predict", "run", name, *TABLE)
        found.append(
            Sound(kind=f"predict {name}", files={**run, name: data[name]}, damaged=name, words=words)
        )
    words = ("fit", "data.csv", "--out", "out", "--max-rounds", "2", "--no-refine", "--quiet", *MODEL, *TABLE)
    found.append(
        Sound(kind="fit data.csv", files={"data.csv": data["data.csv"]}, damaged="data.csv", words=words)
    )
    for name, content in _solution_files(solution.W, solution.B, tasks.names).items():
        target = name.split("/")[0]
        group = {k: v for k, v in _solution_files(solution.W, solution.B, tasks.names).items() if "/" in k}
        files = {**npz, **(group if "/" in name else {name: content})}
        found.append(
            Sound(
                kind=f"solution {name}",
                files=files,
                damaged=name,
                words=("certify", "data.npz", target, *MODEL),
            )
        )
    plots = [("plot", "run", "--out", "p.svg", "--kind", kind) for kind in ("convergence", "heatmap")]
    commands = [("certify", "data.csv", "run", *TABLE), ("predict", "run", "data.csv", *TABLE), *plots]
    for name in ("run.json", "history.csv", "solution.npz", "certificate.json"):
        for number, words in enumerate(commands):
            files = {**(run if number % 2 else old), "data.csv": data["data.csv"]}
            kind = f"run {name}, {words[0]} {words[-1] if words[0] == 'plot' else ''}".strip()
            found.append(Sound(kind=kind, files=files, damaged=f"run/{name}", words=words))
    found.append(
        Sound(
            kind="proof",
            files={"proof.json": PROOF.read_bytes()},
            damaged="proof.json",
            words=(CHECKER, "proof.json"),
        )
    )
    return found


def _without_hashes(text: bytes) -> bytes:
    """run.json as an earlier version wrote it: damage of the files is not seen by their hashes."""
    return json.dumps({key: value for key, value in json.loads(text).items() if key != "files"}).encode()


def _data_files(seed: int) -> dict[str, bytes]:
    X, y, task = rows(seed)
    table = frame(seed)
    text = table.to_csv(index=False)
    cells = {key: np.empty(T, dtype=object) for key in "XY"}
    for t in range(T):
        cells["X"][t], cells["Y"][t] = X[task == t], y[task == t]
    sparse = {key: np.empty(T, dtype=object) for key in "XY"}
    for t in range(T):
        sparse["X"][t], sparse["Y"][t] = sp.csc_matrix(X[task == t]), y[task == t]
    authors = {"train_x": X, "train_y": y[:, None], "trindex": (N * np.arange(T) + 1)[:, None]}
    files = {
        "data.npz": npz(X=X, y=y, task=task),
        "packed.npz": npz(compressed=True, X=X, y=y, task=task, task_names=np.array(["a", "b", "c"])),
        "data.csv": text.encode(),
        "semicolon.csv": text.replace(",", ";").replace(".", ",").encode("latin-1"),
        "utf16.csv": text.encode("utf-16"),
        "data.csv.gz": gzip.compress(text.encode(), mtime=0),
        "cells.mat": mat(cells),
        "packed.mat": mat(cells, compressed=True),
        "sparse.mat": mat(sparse),
        "authors.mat": mat(authors),
        "folder/X.npy": npy(X),
        "folder/y.npy": npy(y),
        "folder/task.npy": npy(task),
        "folder/names.json": json.dumps(
            {"task_names": ["a", "b", "c"], "feature_names": ["u", "v"]}
        ).encode(),
    }
    for name, write in (("data.parquet", "to_parquet"), ("data.xlsx", "to_excel")):
        stream = io.BytesIO()
        getattr(table, write)(stream, index=False)
        files[name] = stream.getvalue()
    return files


def _solution_files(W: np.ndarray, B: np.ndarray, names: tuple[str, ...]) -> dict[str, bytes]:
    """The same W and B in every layout that certify reads."""
    return {
        "solution.npz": npz(W=W, B=B, task_names=np.array(names)),
        "solution.json": json.dumps({"W": W.tolist(), "B": B.tolist()}).encode(),
        "solution.mat": mat({"W": W, "B": B}),
        "arrays/W.npy": npy(W),
        "arrays/B.npy": npy(B),
    }


def npz(*, compressed: bool = False, **arrays: np.ndarray) -> bytes:
    """The bytes of a .npz."""
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    """The bytes of a .npy."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def mat(variables: Mapping[str, object], *, compressed: bool = False) -> bytes:
    """The bytes of a .mat of version 5."""
    stream = io.BytesIO()
    scipy.io.savemat(stream, dict(variables), do_compression=compressed)
    return stream.getvalue()


def element(kind: int, content: bytes) -> bytes:
    """An element of a .mat: tag, content, padding."""
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def matrix(
    flags: int,
    shape: tuple[int, ...],
    name: bytes,
    parts: list[tuple[int, bytes]],
    *,
    nzmax: int = 0,
) -> bytes:
    """A matrix element (miMATRIX) of the given class and parts, consistent or not."""
    body = element(6, struct.pack("<II", flags, nzmax))
    body += element(5, struct.pack(f"<{len(shape)}i", *shape)) + element(1, name)
    return element(14, body + b"".join(element(kind, content) for kind, content in parts))


def mat_file(*elements: bytes, compressed: bool = False) -> bytes:
    """A .mat of version 5 from raw elements."""
    head = b"MATLAB 5.0 MAT-file".ljust(116) + b"\0" * 8 + struct.pack("<H", 0x0100) + b"IM"
    if compressed:
        packed = [zlib.compress(each) for each in elements]
        return head + b"".join(struct.pack("<II", 15, len(each)) + each for each in packed)
    return head + b"".join(elements)


def csv_text(table: list[list[str]]) -> bytes:
    """Rows of fields as a .csv."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(table)
    return stream.getvalue().encode("utf-8", "surrogateescape")
