"""Messages between simulated processes: encoded as on the wire, in order from one sender to one receiver, else not.

What the transport promises, and not more. A message takes its time; one to a dead process is lost; what a killed
process had sent last may be lost, too, each receiver getting some beginning of it, possibly long after the news of
the death. What is sent to a process that will be started again at the same address waits for it.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from raynb.runtime.messages import Message, decode, encode
from raynb.runtime.messages.events import TaskRows
from raynb.runtime.messages.node import NodeStatus, WorkerTable
from tests.sim.world import World

UNINTERESTING = NodeStatus | WorkerTable | TaskRows
"""What the log leaves out."""


class Receiver(Protocol):
    """A process as the network sees it."""

    address: str
    alive: bool

    def receive(self, sender: str, message: Message) -> None:
        """A message has arrived."""


class Channel:
    """One connection: what is on its way."""

    __slots__ = ("frames", "free_at", "receiver", "scale_s", "sender")

    def __init__(self, sender: str, receiver: str, scale_s: float) -> None:
        self.sender = sender
        self.receiver = receiver
        self.scale_s = scale_s
        self.frames: deque[bytes] = deque()
        self.free_at = 0.0


class Network:
    """All connections.

    Parameters
    ----------
    wild
        How often connections are slow, 0 to 1.
    """

    def __init__(self, world: World, wild: float) -> None:
        self._world = world
        self._wild = wild
        self.processes: dict[str, Receiver] = {}
        self._channels: dict[tuple[str, str], Channel] = {}
        self._waiting: dict[str, list[tuple[str, bytes]]] = {}
        """By the address of a process that will come back: what waits for it."""
        self.sent = 0
        self.taps: list[Any] = []
        """Called with (sender, receiver, message) before each delivery."""

    def join(self, process: Receiver) -> None:
        """A process can be reached from now on; what has waited for it comes."""
        address = process.address
        self.processes[address] = process
        waiting = self._waiting.pop(address, [])
        # What is on its way already was sent later.
        for key in [key for key in self._channels if key[1] == address]:
            channel = self._channels.pop(key)
            waiting += [(channel.sender, frame) for frame in channel.frames]
            channel.frames.clear()
        for sender, frame in waiting:
            self._put(sender, address, frame)

    def away(self, address: str) -> None:
        """This process is gone and will be back."""
        self._waiting.setdefault(address, [])

    def send(self, sender: str, to: str, message: Message) -> None:
        """Send a message, as it is now."""
        self.sent += 1
        self._put(sender, to, encode(message))

    def _put(self, sender: str, to: str, frame: bytes) -> None:
        channel = self._channels.get((sender, to))
        if channel is None:
            channel = self._channels[sender, to] = Channel(sender, to, self._scale_s())
        world = self._world
        delay_s = channel.scale_s * (0.3 + world.rng.random())
        if world.rng.random() < 0.02 * self._wild:
            delay_s += world.between(0.0, 0.25)
        channel.free_at = max(channel.free_at, world.now + delay_s)
        channel.frames.append(frame)
        world.at(channel.free_at, self._deliver, channel)

    def _scale_s(self) -> float:
        if self._world.rng.random() < 0.35 * self._wild:
            return float(self._world.rng.choice((1e-3, 5e-3, 20e-3)))
        return 80e-6

    def _deliver(self, channel: Channel) -> None:
        if not channel.frames:
            return  # lost with its sender
        frame = channel.frames.popleft()
        to = channel.receiver
        if to in self._waiting:
            self._waiting[to].append((channel.sender, frame))
            return
        process = self.processes.get(to)
        if process is None or not process.alive:
            return
        message = decode(frame)
        if not isinstance(message, UNINTERESTING):
            self._world.note(process.address, f"<- {channel.sender}", message)
        for tap in self.taps:
            tap(channel.sender, to, message)
        if process.alive:
            process.receive(channel.sender, message)

    def died(self, address: str, *, orderly: bool, returns: bool = False) -> None:
        """A process is gone: what it has not sent is lost (but for an orderly end), what was sent to it too.

        To one that ``returns`` only what was under way just then is lost; the rest waits.
        """
        self.processes.pop(address, None)
        if returns:
            self.away(address)
        for key in [key for key in self._channels if address in key]:
            channel = self._channels.pop(key)
            if channel.receiver == address and returns:
                for _ in range(self._world.rng.randrange(len(channel.frames) + 1)):
                    channel.frames.popleft()
                self._waiting[address] += [(channel.sender, frame) for frame in channel.frames]
                channel.frames.clear()
            elif channel.receiver == address:
                channel.frames.clear()
            elif not orderly:
                for _ in range(self._world.rng.randrange(len(channel.frames) + 1)):
                    channel.frames.pop()

    @property
    def quiet(self) -> bool:
        """Whether nothing is on its way."""
        return not any(channel.frames for channel in self._channels.values())
