"""The folder of a run: what `amtl-cvx fit --out DIR` leaves behind, and how it is read again.

    solution.npz       W (d, T), B (T, T), losses (T,), objective (); `order` (T,) for a curriculum
    certificate.json   the certificate
    history.csv        one line a step
    digits.json        where C4 proved them: blocks and J as decimals, names of tasks and features, radius
    proof.json         where C5 proved it: the lower bound, for `python -m amtl_cvx.enclosure.checker`
    state.npz          in a run that was interrupted: what going on from it needs
    graph.png, graph.graphml, report.html (a family with learned features: features.png, features.graphml, and
    images.png where the inputs are pixels)
    run.json           arguments, model, preparation, versions, seed, timings, hash of the data, hashes of the
                       other files

A run is made in a work folder (`work`), the numbers before the pictures, and takes its place by one rename
(`commit`): whenever a process is killed, DIR holds the old run or the new one. An existing folder is written
to only if it is empty or holds a run.json of ours, and only our own files in it are replaced. A run that is
interrupted, does not certify or misses the level asked for does not replace a certified one, it goes to
DIR.interrupted or DIR.uncertified; DIR.interrupted is also where the checkpoint of a running fit is until it
ends (`folder`).

    >>> save(solution, "out", tasks=tasks)      # from Python: without arguments, seed and scores
    >>> read_run("out").W
"""

from amtl_cvx.runfolder.content import describe, model_from_dict, model_to_dict, to_json, versions
from amtl_cvx.runfolder.folder import RunFolder
from amtl_cvx.runfolder.places import Missed, check_replaceable
from amtl_cvx.runfolder.proofs import proof_text, write_proofs
from amtl_cvx.runfolder.saving import save
from amtl_cvx.runfolder.state import read_state, state_arrays
from amtl_cvx.runfolder.stored import StoredRun, read_certificate, read_history, read_run

__all__ = [
    "Missed",
    "RunFolder",
    "StoredRun",
    "check_replaceable",
    "describe",
    "model_from_dict",
    "model_to_dict",
    "proof_text",
    "read_certificate",
    "read_history",
    "read_run",
    "read_state",
    "save",
    "to_json",
    "state_arrays",
    "versions",
    "write_proofs",
]
