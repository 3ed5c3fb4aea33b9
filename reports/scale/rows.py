"""Measure how a fit grows with the number of rows: seconds and peak memory, for .npy files and Parquet.

    python reports/scale/rows.py [N ...]            default: 10000 100000 1000000

writes rows.json and rows.md beside itself. T = 20 tasks, d = 50 features, rows in random order, generated
from a seed, a chunk at a time, into a temporary folder. Each size is fitted by `amtl-cvx fit` in a process of
its own (wall time, peak resident memory), and once more from Python for the seconds of its parts. Parquet is
left out, with a word, where pyarrow is not installed.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.runfolder import versions

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import hardware  # noqa: E402

SEED, T, D, CHUNK = 0, 20, 50, 20_000
SIZES = (10_000, 100_000, 1_000_000)
SETTINGS = ("--coupling", "1", "--mu", "0.01")
LIMIT = 60.0
PEAK = "import resource; peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10"

COMMAND = f"""
import sys
from amtl_cvx.cli import main
code = main(sys.argv[1:])
{PEAK}
print("PEAK", peak, file=sys.stderr)
sys.exit(code)
"""
PARTS = """
import json, sys, time
clock = [time.perf_counter()]
from amtl_cvx import LossWeightedL1, Model, Squared, fit, read
from amtl_cvx.data import evaluate
clock.append(time.perf_counter())
columns = dict(zip(("task", "target"), sys.argv[2:]))
dataset = read(sys.argv[1], **columns)
clock.append(time.perf_counter())
model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.01), coupling=1.0)
solution = fit(dataset.train, model)
clock.append(time.perf_counter())
evaluate(dataset.rows, solution.W, model.loss)
clock.append(time.perf_counter())
print(json.dumps([end - start for start, end in zip(clock, clock[1:])]))
"""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One fit: the command as a whole, then the seconds of its parts from Python."""

    layout: str
    n: int
    exit_code: int
    seconds: float
    peak_MiB: float
    relative: float
    loading: float
    reading: float
    fitting: float
    judging: float


def chunks(n: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """n rows of T related tasks whose noise grows with their number."""
    rng = np.random.default_rng(SEED)
    W = rng.normal(size=(D, 1)) + 0.3 * rng.normal(size=(D, T))
    noise = np.linspace(0.5, 10.0, T)
    for start in range(0, n, CHUNK):
        rows = min(CHUNK, n - start)
        X, task = rng.normal(size=(rows, D)), rng.permutation(np.arange(rows) % T)
        y = np.einsum("ij,ji->i", X, W[:, task]) + noise[task] * rng.normal(size=rows)
        yield X, y, task


def write_arrays(folder: Path, n: int) -> list[str]:
    """X.npy, y.npy, task.npy; the words that name them on the command line."""
    folder.mkdir()
    shapes = {"X": (n, D), "y": (n,), "task": (n,)}
    files = {key: (folder / f"{key}.npy").open("wb") for key in shapes}
    for key, file in files.items():
        header = {"descr": "<i8" if key == "task" else "<f8", "fortran_order": False, "shape": shapes[key]}
        np.lib.format.write_array_header_1_0(file, header)
    for part in chunks(n):
        for array, file in zip(part, files.values(), strict=True):
            file.write(array.tobytes())
    for file in files.values():
        file.close()
    return [str(folder)]


def write_parquet(path: Path, n: int) -> list[str]:
    """The same rows as a table; the words that name it on the command line."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    features = [f"x{j}" for j in range(D)]
    schema = pa.schema([("task", pa.string()), *((name, pa.float64()) for name in (*features, "y"))])
    with ParquetWriter(path, schema) as writer:
        for X, y, task in chunks(n):
            columns = [pa.array([f"task {t:02d}" for t in task]), *(pa.array(x) for x in X.T), pa.array(y)]
            writer.write_table(pa.table(columns, schema=schema))
    return [str(path), "--task", "task", "--target", "y"]


def measure(layout: str, n: int, work: Path) -> Figures:
    """Generate, fit twice, clean up."""
    place = work / f"{layout.strip('.')}{n}"
    data = write_arrays(place, n) if layout == ".npy" else write_parquet(place.with_suffix(".parquet"), n)
    out = work / "out"
    started = time.perf_counter()
    words = [sys.executable, "-c", COMMAND, "fit", *data, "--out", str(out), "--quiet", *SETTINGS]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    certificate = json.loads((out / "certificate.json").read_text())
    columns = [word for word in data[1:] if not word.startswith("--")]
    parts = subprocess.run(
        [sys.executable, "-c", PARTS, data[0], *columns], capture_output=True, text=True, check=True
    )
    for file in [*place.glob("*.npy"), place.with_suffix(".parquet")]:
        file.unlink(missing_ok=True)
    loading, reading, fitting, judging = json.loads(parts.stdout)
    return Figures(
        layout=layout,
        n=n,
        exit_code=done.returncode,
        seconds=seconds,
        peak_MiB=float(re.findall(r"PEAK ([\d.]+)", done.stderr)[-1]),
        relative=certificate["relative"],
        loading=loading,
        reading=reading,
        fitting=fitting,
        judging=judging,
    )


def growth(rows: list[dict[str, Any]], key: str) -> str:
    """The exponents of n between neighbouring sizes."""
    slopes = [
        np.log(after[key] / before[key]) / np.log(after["n"] / before["n"])
        for before, after in zip(rows, rows[1:], strict=False)
    ]
    return ", ".join(f"{slope:.2f}" for slope in slopes)


def page(stored: dict[str, Any]) -> str:
    """The figures as a table."""
    packages = ", ".join(f"{key} {value}" for key, value in stored["versions"].items() if key != "platform")
    lines = [
        "# Growth in the number of rows",
        "",
        "Written by `python reports/scale/rows.py`; do not edit. Times are of one run on a machine that may"
        " be shared: read them as orders of magnitude.",
        "",
        f"T = {T} tasks, d = {D} features, rows in random order, `amtl-cvx fit` with {' '.join(SETTINGS)},"
        " from a cold start to the report. Its parts are those of the same fit from Python: loading"
        " (imports), reading (the pass that builds the factors), fitting, judging (the pass that holds the"
        " certificate against the rows); the rest of a command is drawing and the report.",
        "",
        f"Machine: {stored['machine']}. Seed {SEED}. {packages}.",
        "",
        "| layout | n | command s | peak MiB | loading s | reading s | fitting s | judging s"
        " | relative | exit |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    seconds = ("loading", "reading", "fitting", "judging")
    for row in stored["figures"]:
        cells = [row["layout"], f"{row['n']:,}", f"{row['seconds']:.1f}", f"{row['peak_MiB']:.0f}"]
        cells += [f"{row[key]:.2f}" for key in seconds]
        cells += [f"{row['relative']:.1e}", str(row["exit_code"])]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Exponents of n between neighbouring sizes:", ""]
    for layout in dict.fromkeys(row["layout"] for row in stored["figures"]):
        rows = [row for row in stored["figures"] if row["layout"] == layout]
        keys = {"command": "seconds", "reading": "reading", "judging": "judging", "peak memory": "peak_MiB"}
        lines.append(f"- {layout}: " + "; ".join(f"{name} {growth(rows, key)}" for name, key in keys.items()))
    lines += [
        "",
        "Only reading and judging see n. The memory is that of the imports, a chunk, the factors and the"
        " pictures; pyarrow adds the decoded pages of a row group, about 2 MiB a column, which a small file"
        " does not fill.",
    ]
    if stored["left_out"]:
        lines += ["", stored["left_out"]]
    return "\n".join(lines) + "\n"


def main(sizes: tuple[int, ...]) -> None:
    """Measure and write."""
    pyarrow = importlib.util.find_spec("pyarrow") is not None
    figures = []
    with tempfile.TemporaryDirectory() as work:
        for layout in (".npy", ".parquet") if pyarrow else (".npy",):
            for n in sizes:
                print(f"measuring {layout}, {n:,} rows", flush=True)
                figures.append(asdict(measure(layout, n, Path(work))))
    stored = {
        "figures": figures,
        "machine": hardware(),
        "versions": versions(),
        "left_out": "" if pyarrow else "Parquet: not measured, pyarrow is not installed.",
    }
    (HERE / "rows.json").write_text(json.dumps(stored, indent=1) + "\n")
    (HERE / "rows.md").write_text(page(stored))
    missed = [row for row in figures if row["exit_code"] or row["seconds"] > LIMIT]
    print("missed:", missed or "nothing")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main(tuple(int(float(word)) for word in sys.argv[1:]) or SIZES)
