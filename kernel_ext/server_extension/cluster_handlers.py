"""Clusters: the list, one of them, its start, its end, its size."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from raynb.server_extension import clusters
from raynb.server_extension.handler import RaynbHandler


class ClustersHandler(RaynbHandler):
    """`GET`: ``{"clusters": [...]}``. `POST`: start one; its description, with 201."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.finish({"clusters": await self.elsewhere(clusters.listed)})

    @web.authenticated
    @authorized
    async def post(self) -> None:
        request = self.body(clusters.StartRequest)
        python = await self.elsewhere(self._python, request.kernel) if request.kernel else ""
        started = await self.elsewhere(clusters.start, request, python)
        self.set_status(201)
        self.finish(started)

    def _python(self, kernel: str) -> str:
        spec = self.kernel_spec_manager.get_kernel_spec(kernel)  # NoSuchKernel is a KeyError
        return clusters.interpreter(spec.argv)


class ClusterHandler(RaynbHandler):
    """`GET`: its description. `DELETE`: stop it, and wait until it is gone."""

    @web.authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        self.finish(clusters.described(await self.elsewhere(clusters.entry_of, cluster)))

    @web.authenticated
    @authorized
    async def delete(self, cluster: str) -> None:
        await self.elsewhere(clusters.stop, cluster)
        self.set_status(204)
        self.finish()


class ScaleHandler(RaynbHandler):
    """`POST`: ``{"num_cpus": 4}``."""

    @web.authenticated
    @authorized
    async def post(self, cluster: str) -> None:
        self.finish(await self.elsewhere(clusters.scale, cluster, self.body(clusters.ScaleRequest)))
