"""A Dask cluster: a client of its scheduler, and whom that hears of."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.parallel import silence
from amtl_cvx.parallel.silence import Silence, within
from amtl_cvx.parallel.worker import said_of

PATIENCE = 10.0
"""Seconds in which a scheduler must answer and have a worker."""
_OURS = "amtl_cvx-"

log = logging.getLogger(__name__)


@contextlib.contextmanager
def dask_client(address: str) -> Iterator[Any]:
    """A client of the scheduler there, which has a worker."""
    import asyncio  # takes 20 ms, and only a scheduler needs it

    try:
        from distributed import Client, Security
        from distributed.comm import connect
    except ImportError as error:
        raise ModelError("a scheduler needs dask.distributed: pip install 'amtl-cvx[distributed]'") from error

    async def call() -> None:
        arguments = Security().get_connection_args("client")
        await (await connect(address, timeout=PATIENCE, **arguments)).close()

    try:
        within(PATIENCE + 1.0, lambda: asyncio.run(call()))
        client = within(PATIENCE + 1.0, lambda: Client(address, set_as_default=False, timeout=PATIENCE))
    except Exception as error:  # an address can be wrong in many ways
        raise ModelError(
            f"no Dask scheduler answers at {address!r}: start one with `dask scheduler` and give the address"
            " that it prints"
        ) from error
    try:
        try:
            within(PATIENCE + 1.0, lambda: client.wait_for_workers(1, timeout=PATIENCE))
        except OSError as error:
            raise ModelError(
                f"the Dask scheduler at {address!r} has no workers: start some with `dask worker {address}`"
            ) from error
        yield client
    finally:
        with contextlib.suppress(Exception):  # a scheduler that is gone has nothing to be told
            within(PATIENCE / 2, client.close)


def client_of(executor: Executor) -> Any:
    """The Dask client behind an executor, None for another kind."""
    cfexecutor = sys.modules.get("distributed.cfexecutor")
    is_dask = cfexecutor is not None and isinstance(executor, cfexecutor.ClientExecutor)
    return executor._client if is_dask else None  # type: ignore[attr-defined]


class Pulse(threading.Thread):
    """Asks a Dask scheduler again and again which workers it hears of, and what each of them has to do."""

    def __init__(self, client: Any) -> None:
        super().__init__(name="amtl_cvx pulse", daemon=True)
        self.client, self.left = client, threading.Event()
        self.answered = self.peopled = time.monotonic()
        self.heard: dict[str, tuple[float, float]] = {}  # the scheduler's clock, and ours when it moved
        self.tickets: dict[str, frozenset[int]] = {}
        self.start()

    def run(self) -> None:
        while not self.left.wait(silence.BEAT):
            try:
                workers, keys = self.client.scheduler_info()["workers"], self.client.processing()
            except Exception as error:  # whatever a lost connection raises
                log.debug("no answer of the scheduler (%s)", said_of(error))
                continue
            now, before = time.monotonic(), self.heard
            self.heard = {
                name: before[name] if name in before and before[name][0] == each["last_seen"]
                else (each["last_seen"], now)
                for name, each in workers.items()
            }  # fmt: skip
            self.tickets = {name: _tickets(those) for name, those in keys.items()}
            self.answered = now
            if workers:
                self.peopled = now

    def silences(self) -> list[Silence]:
        """Everyone who has been silent for `NOTICE` or longer."""
        now, heard, tickets = time.monotonic(), self.heard, self.tickets
        if now - self.answered >= silence.NOTICE:
            return [Silence("the Dask scheduler does not answer", now - self.answered, None)]
        if now - self.peopled >= silence.NOTICE:
            return [Silence("the Dask scheduler has no workers", now - self.peopled, None)]
        return [
            Silence(
                f"the Dask worker {name} gives no sign of life", now - ours, tickets.get(name, frozenset())
            )
            for name, (_, ours) in heard.items()
            if now - ours >= silence.NOTICE
        ]


def key_of(ticket: int) -> str:
    """Dask's name of a job; it takes equal names for one job."""
    return f"{_OURS}{ticket}"


def _tickets(keys: Iterable[Any]) -> frozenset[int]:
    """Those of our jobs among Dask's."""
    ours = (str(key).removeprefix(_OURS) for key in keys if str(key).startswith(_OURS))
    return frozenset(int(ticket) for ticket in ours)
