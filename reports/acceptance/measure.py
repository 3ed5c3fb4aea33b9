# More than 300 lines: a report is one script.
"""Measure what this release promises, in one run on one machine, and write it as a table.

    python reports/acceptance/measure.py [CHECK ...]

writes figures.json and README.md beside itself. Each check returns rows (what, limit, figure, holds); a check
that needs the real data (`AMTL_CVX_DATA`, else ../shared/data beside the repository) is listed as not
measured where they are absent. Named checks are measured again and replace their rows; without names all are.
"""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "reports")]

from amtl_cvx import LossWeightedL1, Model, Options, Squared, Status, TaskSet, certify, fit, read  # noqa: E402
from amtl_cvx.losses import LOSSES  # noqa: E402
from amtl_cvx.problem import Problem  # noqa: E402
from amtl_cvx.runfolder import versions  # noqa: E402
from amtl_cvx.subproblems import TaskWeightStep, WeightStep, compile_transfer_step  # noqa: E402

SEED = 0
SINGLE = "stl at the same coupling"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One promise: what, the limit, the figure, whether it holds (None: not measured)."""

    what: str
    limit: str
    figure: str
    holds: bool | None


def data_folder() -> Path | None:
    """The real data, or None."""
    named = os.environ.get("AMTL_CVX_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def command(*words: str) -> tuple[int, float, float]:
    """Run `amtl-cvx`: exit code, seconds, peak memory of the process in GiB."""
    code = (
        "import resource, sys; from amtl_cvx.cli import main; code = main(sys.argv[1:]);"
        "print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    return done.returncode, seconds, int(re.findall(r"PEAK (\d+)", done.stderr)[-1]) / 2**20


def digits() -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for solver in ("auto", "SCS", "OSQP", "CLARABEL"):
            out = Path(folder) / solver
            code, seconds, memory = command("fit", "digits", "--out", str(out), "--solver", solver, "--quiet")
            certificate = json.loads((out / "certificate.json").read_text())
            scores = json.loads((out / "run.json").read_text())["scores"]
            ours, single = (scores[name]["class accuracy"] for name in ("alternating", SINGLE))
            mean, mean_single = (scores[name]["accuracy"] for name in ("alternating", SINGLE))
            files = sorted(path.name for path in out.iterdir())
            name = f"fit digits, solver {solver}"
            rows += [
                Row(
                    what=f"{name}: certified at 1e-8, exit 0",
                    limit="C2, relative <= 1e-8",
                    figure=f"{certificate['level']}, relative {certificate['relative']:.1e}, exit {code}",
                    holds=code == 0 and certificate["passes"],
                ),
                Row(
                    what=f"{name}: edges",
                    limit="10 to 40",
                    figure=str(certificate["edges"]),
                    holds=10 <= certificate["edges"] <= 40,
                ),
                Row(
                    what=f"{name}: class accuracy on the test rows, against single-task",
                    limit=f">= {single:.4f}",
                    figure=f"{ours:.4f}",
                    holds=ours >= single,
                ),
                Row(
                    what=f"{name}: mean accuracy of the ten binary tasks, against single-task",
                    limit=f"not promised; single-task {mean_single:.4f}",
                    figure=f"{mean:.4f}, {'lower' if mean < mean_single else 'not lower'}",
                    holds=True,
                ),
                Row(what=f"{name}: seconds", limit="<= 60", figure=f"{seconds:.1f}", holds=seconds <= 60),
                Row(
                    what=f"{name}: memory",
                    limit="<= 1.5 GiB",
                    figure=f"{memory:.2f} GiB",
                    holds=memory <= 1.5,
                ),
                Row(what=f"{name}: files", limit="7", figure=", ".join(files), holds=len(files) == 7),
            ]
    return rows


def school() -> list[Row]:
    source = data_folder()
    if source is None:
        return [Row(what="School", limit="", figure="not measured: no real data", holds=None)]
    from school_split import write_split

    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "school.npz", Path(folder) / "out"
        write_split(source / "school", 1, data)
        options = ("--coupling", "10", "--mu", "0.01", "--max-rounds", "5", "--no-refine", "--quiet")
        code, seconds, memory = command("fit", str(data), "--out", str(out), *options)
        run = json.loads((out / "run.json").read_text())
        history = (out / "history.csv").read_text().splitlines()[1:]
        files = len(list(out.iterdir()))
    J = np.array([float(line.split(",")[2]) for line in history])
    parts = run["seconds"]
    rest = parts["total"] - parts["compile"] - parts["solvers"] - parts["certificate"]
    split = ", ".join(f"{name} {parts[name]:.1f}" for name in ("compile", "solvers", "certificate"))
    name = "School, split 1 (T=139, d=28), coupling 10, mu 0.01, 5 rounds"
    return [
        Row(what=f"{name}: status", limit="honest", figure=f"{run['status']}, exit {code}", holds=code == 1),
        Row(what=f"{name}: seconds", limit="<= 120", figure=f"{seconds:.1f}", holds=seconds <= 120),
        Row(what=f"{name}: memory", limit="<= 2 GiB", figure=f"{memory:.2f} GiB", holds=memory <= 2),
        Row(
            what=f"{name}: J is monotone",
            limit="no rise",
            figure=f"{J[0]:.2f} to {J[-1]:.2f}, largest rise {max(np.diff(J).max(), 0.0):.1e}",
            holds=bool((np.diff(J) <= 1e-12 * J[0]).all()),
        ),
        Row(what=f"{name}: files", limit="7", figure=str(files), holds=files == 7),
        Row(what=f"{name}: where the seconds go", limit="", figure=f"{split}, rest {rest:.1f}", holds=True),
    ]


def authors() -> list[Row]:
    source = data_folder()
    if source is None:
        return [Row(what="authors' saved run", limit="", figure="not measured: no real data", holds=None)]
    import scipy.io as sio

    path = source / "amtl_reference" / "result_synthetic_dataset.mat"
    saved = sio.loadmat(path)
    dataset = read(path)  # the saved workspace: train_x and test_x carry the column of ones
    W, B = saved["W_cell"][-1, 0], saved["B_cell"][-1, 0]
    ridge = Model(loss=Squared(reduction="sum"), transfer=LossWeightedL1(mu=1.0), coupling=10.0)
    single = fit(dataset.train, ridge, method="stl").W
    model = Model(transfer=LossWeightedL1(mu=1.0), coupling=10.0)
    judged = certify(dataset.train, model, W, B)
    exact, _ = WeightStep.compile(dataset.train, model).solve(dataset.train, model, W, B)
    J = model.objective(dataset.train, exact, B)
    errors = [_rmse(dataset.test, V) for V in (exact, W)]
    difference = float(np.abs(single - saved["W_old"]).max())
    return [
        Row(
            what="single-task W against the saved MATLAB W_old, largest difference",
            limit="<= 1e-10",
            figure=f"{difference:.1e}",
            holds=difference <= 1e-10,
        ),
        Row(
            what="saved AMTL W, B: J",
            limit="6707.0501",
            figure=f"{judged.objective:.4f}",
            holds=round(judged.objective, 4) == 6707.0501,
        ),
        Row(
            what="saved AMTL W, B: rejected",
            limit="relative .83",
            figure=f"passes {judged.passes}, relative {judged.relative:.2f}",
            holds=not judged.passes and round(judged.relative, 2) == 0.83,
        ),
        Row(
            what="exact W-step at the saved B: J",
            limit="4607.8073",
            figure=f"{J:.4f}",
            holds=round(J, 4) == 4607.8073,
        ),
        Row(
            what="exact W-step at the saved B: test RMSE against the saved W",
            limit="16.531 against 18.249",
            figure=f"{errors[0]:.3f} against {errors[1]:.3f}",
            holds=[round(error, 3) for error in errors] == [16.531, 18.249],
        ),
    ]


def _rmse(tasks: TaskSet | None, W: np.ndarray) -> float:
    assert tasks is not None
    return float(np.mean([np.sqrt(np.mean((t.X @ w - t.y) ** 2)) for t, w in zip(tasks, W.T, strict=True)]))


def mathematics() -> list[Row]:
    """The closed forms, measured on seeded random problems (the test suite asserts them one by one)."""
    from cases import LOSS_CASES, random_tasks, random_transfer, ridge
    from sklearn.linear_model import Lasso

    rng = np.random.default_rng(SEED)
    rows = []
    worst = 0.0
    for loss in LOSS_CASES:
        tasks = random_tasks(rng, loss=loss.name)
        model = Model(loss=loss, transfer=LossWeightedL1(mu=0.3), coupling=0.7)
        W, B = rng.normal(size=(tasks.d, tasks.T)), random_transfer(rng, tasks.T)
        worst = max(worst, _difference_error(tasks, model, W, B))
    names = ", ".join(LOSSES)
    rows.append(
        Row(
            what=f"central differences of J against G_W and G_B ({names}; mean and sum), relative",
            limit="<= 1e-7",
            figure=f"{worst:.1e}",
            holds=worst <= 1e-7,
        )
    )
    tasks = random_tasks(rng)
    model = Model(transfer=LossWeightedL1(mu=0.05), coupling=0.7)
    zero_W, zero_B = np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))
    step = WeightStep.compile(tasks, model)
    W, _ = step.solve(Problem(tasks, model).at(zero_W, zero_B))
    error = float(np.abs(W - ridge(tasks, model)).max())
    rows.append(
        Row(
            what="W-step at B = 0 against ridge",
            limit="<= 1e-10",
            figure=f"{error:.1e}",
            holds=error <= 1e-10,
        )
    )
    B, _ = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(W, zero_B))
    prices = model.transfer.prices(model.weighted_losses(tasks, W))
    assert prices is not None
    error = 0.0
    for t in range(tasks.T):
        others = np.arange(tasks.T) != t
        p = prices[others]
        # weights through column scaling; sklearn minimises ||y - X b||^2 / (2 n) + alpha |b|
        lasso = Lasso(
            alpha=1.0 / (2.0 * model.coupling * tasks.d),
            positive=True,
            fit_intercept=False,
            tol=1e-15,
            max_iter=10**6,
        )
        b = lasso.fit(W[:, others] / p, W[:, t]).coef_ / p
        error = max(error, float(np.abs(b - B[others, t]).max()))
    rows.append(
        Row(
            what="B-step columns against scikit-learn Lasso(positive=True)",
            limit="<= 1e-6",
            figure=f"{error:.1e}",
            holds=error <= 1e-6,
        )
    )
    fixed, _ = step.solve(Problem(tasks, model).at(W, B))
    swept, _ = TaskWeightStep.compile(tasks, model).solve(Problem(tasks, model).at(fixed, B))
    error = float(np.abs(swept - fixed).max() / np.abs(fixed).max())
    rows.append(
        Row(
            what="one-task W-steps at the joint step's fixed point, relative",
            limit="same point",
            figure=f"{error:.1e}",
            holds=error <= 1e-10,
        )
    )
    from test_curriculum import literal

    learned = fit(tasks, model, method="curriculum")
    W, B, order = literal(tasks, model)
    error = max(float(np.abs(learned.W - W).max()), float(np.abs(learned.B - B).max()))
    rows.append(
        Row(
            what="curriculum against the closed forms of the guide (theory.md section 9), W and B",
            limit="same order, same point",
            figure=f"{error:.1e}, order {'same' if learned.order == tuple(order) else 'different'}",
            holds=error <= 1e-9 and learned.order == tuple(order),
        )
    )
    return rows


def _difference_error(tasks: TaskSet, model: Model, W: np.ndarray, B: np.ndarray) -> float:
    step = 1e-5
    errors = []
    for point, gradient in ((W, model.gradient_W(tasks, W, B)), (B, model.gradient_B(tasks, W, B))):
        numeric = np.zeros_like(point)
        for place in np.ndindex(*point.shape):
            if point is B and place[0] == place[1]:
                continue
            values = []
            for sign in (1.0, -1.0):
                moved = point.copy()
                moved[place] += sign * step
                values.append(model.objective(tasks, *((moved, B) if point is W else (W, moved))))
            numeric[place] = (values[0] - values[1]) / (2.0 * step)
        errors.append(float(np.abs(numeric - gradient).max() / np.abs(gradient).max()))
    return max(errors)


def bench() -> list[Row]:
    source = data_folder()
    if source is None:
        return [Row(what="bench", limit="", figure="not measured: no real data", holds=None)]
    rows = []
    cases = (("pilot15", "mean", 1.0, 0.1, "14.304960974"), ("easy10", "sum", 1.0, 0.01, "80.14315476669"))
    for name, reduction, coupling, mu, known in cases:
        tasks = read(source / "bench" / f"{name}.npz").train
        model = Model(loss=Squared(reduction=reduction), transfer=LossWeightedL1(mu=mu), coupling=coupling)  # type: ignore[arg-type]
        found = fit(tasks, model)
        digits_known = len(known.split(".")[1])
        shown = f"{found.objective:.{digits_known}f}"
        rows.append(
            Row(
                what=f"{name}: certified at 1e-8 with the known J",
                limit=f"J {known}",
                figure=f"J {shown}, relative {found.certificate.relative:.1e}, {found.seconds['total']:.2f} s",  # noqa: E501
                holds=found.status is Status.CERTIFIED and shown == known,
            )
        )
        for scale in (1e-5, 1e5):
            scaled = fit(TaskSet.from_arrays([t.X for t in tasks], [scale * t.y for t in tasks]), model)
            change = float(np.abs(scaled.B - found.B).max())
            rows.append(
                Row(
                    what=f"{name}: y times {scale:g}, same B and verdict",
                    limit="same",
                    figure=f"largest change of B {change:.1e}, {scaled.status.value}",
                    holds=change <= 1e-7 and scaled.status is Status.CERTIFIED,
                )
            )
    return rows


def random_problems() -> list[Row]:
    from test_random_problems import COUNT, NEEDED, problem, scarce_problem

    rows = []
    for name, draw, count, needed in (
        (f"{COUNT} random problems", problem, COUNT, NEEDED),
        ("200 problems with scarce rows (J need not have a minimum)", scarce_problem, 200, None),
    ):
        failed, rise = _random_failures(draw, count)
        certified = count - len(failed)
        rows += [
            Row(
                what=f"{name}: largest relative rise of J",
                limit="rounding",
                figure=f"{rise:.1e}",
                holds=rise <= 1e-12,
            ),
            Row(
                what=f"{name}: certified at 1e-8",
                limit=f">= {needed}" if needed else "",
                figure="; ".join([str(certified), *failed]),
                holds=None if needed is None else certified >= needed,
            ),
        ]
    return rows


def _random_failures(draw: Callable[[int], Any], count: int) -> tuple[list[str], float]:
    """What was not certified, with its cause, and the largest relative rise of J."""
    from test_random_problems import highest_rise

    failed, rise = [], 0.0
    for seed in range(count):
        case = draw(seed)
        solution = fit(case.tasks, case.model, options=Options(tol=1e-8))
        rise = max(rise, highest_rise(solution))
        if solution.status is not Status.CERTIFIED:
            why = solution.certificate.reasons.get("minimum", "cause not known")
            failed.append(f"{case.label}: relative {solution.certificate.relative:.1e}, {why}")
    return failed, rise


def bad_input() -> list[Row]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(ROOT / "tests" / "test_cli_bad_input.py")],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    passed = re.findall(r"(\d+) passed", done.stdout)
    count = int(passed[-1]) if passed else 0
    return [
        Row(
            what="kinds of bad input: exit 2, one line `error:`, nothing left behind",
            limit=">= 20",
            figure=f"{count} passed, exit {done.returncode}",
            holds=count >= 20 and done.returncode == 0,
        )
    ]


def start_up() -> list[Row]:
    everything = "from amtl_cvx import *"  # the names are lazy: this loads every module behind them
    code = f"import cvxpy, time; t = time.perf_counter(); {everything}; print(time.perf_counter() - t)"
    with tempfile.TemporaryDirectory() as compiled:  # bytecode as an installed package has it
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {**kept, "PYTHONPYCACHEPREFIX": compiled}
        command = [sys.executable, "-c", code]
        seconds = [float(subprocess.check_output(command, env=environment)) for _ in range(8)]
    extra = float(np.median(seconds[1:]))
    code = f"import sys; {everything}; print('matplotlib' in sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    tests = time.perf_counter() - started
    last = done.stdout.strip().splitlines()[-1]
    return [
        Row(
            what="import of every public name after import cvxpy, bytecode compiled before, median of 7",
            limit="<= 0.3 s",
            figure=f"{extra:.2f} s",
            holds=extra <= 0.3,
        ),
        Row(
            what="import of every public name loads matplotlib",
            limit="False",
            figure=loaded,
            holds=loaded == "False",
        ),
        Row(
            what="test command of the README",
            limit="< 120 s",
            figure=f"{tests:.0f} s ({last})",
            holds=tests < 120 and done.returncode == 0,
        ),
    ]


CHECKS: dict[str, Callable[[], list[Row]]] = {
    "digits": digits,
    "school": school,
    "authors": authors,
    "mathematics": mathematics,
    "bench": bench,
    "random-problems": random_problems,
    "bad-input": bad_input,
    "start-up": start_up,
}


def main(names: list[str]) -> None:
    """Measure and write."""
    path = HERE / "figures.json"
    stored: dict[str, Any] = json.loads(path.read_text()) if path.exists() and names else {"checks": {}}
    for name in names or CHECKS:
        print(f"measuring {name}", flush=True)
        stored["checks"][name] = [asdict(row) for row in CHECKS[name]()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    stored["machine"] = (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"
    )
    stored["versions"], stored["seed"] = versions(), SEED
    stored["peak_of_this_script_GiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    path.write_text(json.dumps(stored, indent=1) + "\n")
    (HERE / "README.md").write_text(_table(stored))
    missed = [row["what"] for rows in stored["checks"].values() for row in rows if row["holds"] is False]
    print("missed:", missed or "nothing")
    sys.exit(1 if missed else 0)


def _table(stored: dict[str, Any]) -> str:
    packages = ", ".join(
        f"{name} {version}" for name, version in stored["versions"].items() if name != "platform"
    )
    lines = [
        "# What this release promises, measured",
        "",
        "Written by `python reports/acceptance/measure.py`; do not edit. Times are of one run on a machine"
        " that may be shared: read them as orders of magnitude.",
        "",
        f"Machine: {stored['machine']}. Seed {stored['seed']}. {packages}.",
        "",
        "| what | limit | figure | holds |",
        "|---|---|---|---|",
    ]
    words = {True: "yes", False: "**no**", None: "no limit, or not measured"}
    for rows in stored["checks"].values():
        lines += [
            "| "
            + " | ".join(str(row[key]).replace("|", "\\|") for key in ("what", "limit", "figure"))
            + f" | {words[row['holds']]} |"
            for row in rows
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
