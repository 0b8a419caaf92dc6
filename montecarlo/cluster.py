"""The workers of a dask cluster, as an executor whose futures all come to an end."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, TypeVar

Result = TypeVar("Result")

_CLOSED = "the connection to the scheduler is closed"


class Cluster(Executor):
    """Does what ``Client.get_executor()`` does, and does not forget futures.

    Where a worker dies after it has finished and before its result was fetched, the executor of dask leaves the future
    pending for ever, or gives it an error of its own (as late as distributed 2026.8). Here the member runs again.
    Other losses end in ``BrokenExecutor``, so that nobody else has to know the errors of dask.
    """

    def __init__(self, client: Any, options: dict[str, Any]) -> None:
        self._client = client
        self._options = {**options, "pure": False}  # it takes pure calls with equal arguments for one

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Run a function that pickles on one of the workers."""
        from distributed.client import ClosedClientError

        try:
            theirs = self._client.submit(fn, *args, **self._options, **kwargs)
        except ClosedClientError as error:
            raise RuntimeError(_CLOSED) from error
        ours = Future[Result]()
        ours.add_done_callback(lambda _: theirs.release())  # the scheduler drops what nobody waits for
        self._client.loop.add_callback(self._settle, ours, theirs)
        return ours

    async def _settle(self, ours: Future[Any], theirs: Any) -> None:
        """Wait for a result, however often it is lost on its way, or for an error."""
        from distributed import KilledWorker

        result, error = None, None
        try:
            result = await self._client.gather(theirs, asynchronous=True)
        except BaseException as reason:
            own = theirs.status == "error" and not isinstance(reason, KilledWorker)
            error = reason if own else BrokenExecutor(f"{type(reason).__name__}: {reason}")
        if ours.set_running_or_notify_cancel():
            if error is None:
                ours.set_result(result)
            else:
                ours.set_exception(error)

    def check(self) -> None:
        """Fail if the client is closed, which does not end what was submitted at the same moment; ask for workers."""
        if self._client.status not in ("running", "connecting"):
            raise RuntimeError(_CLOSED)
        if not self._client.scheduler_info().get("workers", True):
            warnings.warn("the cluster has no workers: waiting for new ones", RuntimeWarning, stacklevel=2)


def reliable(executor: Executor) -> Executor:
    """Return what is safe to use instead of ``Client.get_executor()``, and any other executor as it is."""
    dask = sys.modules.get("distributed.cfexecutor")  # whoever has such an executor has imported it
    if dask is not None and isinstance(executor, dask.ClientExecutor):
        return Cluster(executor._client, executor._kwargs)
    return executor
