"""Who a node is, who its drivers are, and who may join."""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.config import PROTOCOL_VERSION
from raynb.runtime.messages.node import JoinNode


class NodeIdentity(Struct, frozen=True, kw_only=True):
    """Who this node is.

    Attributes
    ----------
    started
        Wall-clock seconds at which ``now`` was ``started_at``; only for what people see.
    gpu_names
        What its GPUs are called in ``CUDA_VISIBLE_DEVICES``; empty: by their numbers.
    cores
        What the machine has, whatever ``resources`` say: idle workers beyond that are of no use. 0: not known.
    embedded
        It ends with its last driver.
    head, head_pid
        Of a node that has joined: the manager of the head node, with which it ends.
    """

    node_id: bytes
    address: str
    gcs: str
    session: str
    store_prefix: str
    spill_prefix: str = ""
    pid: int
    hostname: str
    ip: str
    name: str = ""
    raynb_version: str
    python_version: str
    resources: dict[str, float]
    gpu_names: list[str] = []
    labels: dict[str, str] = {}
    cores: int = 0
    head: str = ""
    head_pid: int = 0
    embedded: bool = False
    started: float = 0.0
    started_at: float = 0.0

    @property
    def is_head(self) -> bool:
        """Whether the GCS runs here."""
        return not self.head


class Driver:
    """A joined driver, or a guest: one that may do what a driver may, and that nothing lives or ends with."""

    __slots__ = ("address", "grace_s", "guest", "job", "name", "pid")

    def __init__(self, address: str, message: JoinNode) -> None:
        self.address = address
        self.pid = message.pid
        self.job = message.job
        self.name = message.token
        self.grace_s = message.grace_s
        self.guest = message.kind == "guest"

    def __repr__(self) -> str:
        return f"<{'Guest' if self.guest else 'Driver'} {self.name} pid={self.pid}>"


def refusal(message: JoinNode, python_version: str, raynb_version: str, protocol: int = PROTOCOL_VERSION) -> str:
    """Why a client, or another node, may not join; empty if it may."""
    if message.protocol != protocol:
        return (
            f"this cluster runs raynb {raynb_version} (protocol {protocol}), you run raynb "
            f"{message.raynb_version} (protocol {message.protocol}): use the same version on both sides"
        )
    if minor(message.python_version) != minor(python_version):
        return (
            f"this cluster runs Python {python_version}, you run Python {message.python_version}: functions and "
            "values can't travel between them; use the same minor version on both sides"
        )
    return ""


def session_of(address: str) -> str:
    """What the addresses of all processes of a node have in common."""
    return address.rpartition("/p/")[0]


def session_dir_of(address: str) -> str:
    """The folder of a node's session, by the address of any of its processes."""
    return session_of(address).removeprefix("ipc://")


def minor(version: str) -> tuple[str, ...]:
    """``3.11.7`` -> ("3", "11")."""
    return tuple(version.split(".")[:2])
