"""The backend that joblib calls: each of its batches is a task."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

from joblib._parallel_backends import AutoBatchingMixin, ParallelBackendBase

from raynb.runtime.api.cluster import cluster_resources
from raynb.runtime.api.session import connect
from raynb.util.executor import RayExecutor

Future = concurrent.futures.Future[Any]


class RayBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]  # joblib says nothing about its types
    """``joblib.parallel_config(backend="ray")``.

    Parameters
    ----------
    ray_remote_args
        Options of the tasks: ``{"num_cpus": 2}``.
    """

    supports_retrieve_callback = True
    uses_threads = False
    supports_sharedmem = False
    default_n_jobs = -1

    def __init__(self, *args: Any, ray_remote_args: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._options = dict(ray_remote_args or {})
        self._executor: RayExecutor | None = None

    def effective_n_jobs(self, n_jobs: int | None) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """How many batches run at once: ``n_jobs``, or with -1 as many as the cluster has CPUs, with -2 one less."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            n_jobs = self.default_n_jobs
        if n_jobs > 0:
            return n_jobs
        connect()
        return max(1, int(cluster_resources().get("CPU", 1)) + 1 + n_jobs)

    def configure(  # pyright: ignore[reportIncompatibleMethodOverride]  # joblib's has no types
        self, n_jobs: int = 1, parallel: Any = None, **kwargs: Any
    ) -> int:
        """Get ready for one `joblib.Parallel`."""
        self.parallel = parallel
        self._executor = RayExecutor(**self._options)
        return self.effective_n_jobs(n_jobs)

    def submit(self, func: Callable[[], Any], callback: Callable[[Future], object] | None = None) -> Future:
        """Run a batch; the callback learns when it has ended."""
        assert self._executor is not None
        future = self._executor.submit(func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future) -> Any:
        """The batch's results, or what it raised."""
        return out.result()

    def terminate(self) -> None:
        """Let what was submitted end."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """An error or an interrupt: cancel what was submitted."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = RayExecutor(**self._options) if ensure_ready else None
