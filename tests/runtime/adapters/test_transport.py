"""Messages, and what travels beside them, between two processes' endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from raynb.runtime.adapters.transport import Transport
from raynb.runtime.messages import Message, encode
from raynb.runtime.messages.node import ProcessDied
from raynb.runtime.messages.objects import FreeObjects
from raynb.runtime.messages.transfers import ObjectChunk
from tests.support.waiting import wait_until


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[Transport, Transport]]:
    sender, receiver = Transport(f"ipc://{tmp_path}/a"), Transport(f"ipc://{tmp_path}/b")
    yield sender, receiver
    sender.close()
    receiver.close()


def received(receiver: Transport, count: int) -> list[Message]:
    found: list[Message] = []

    def all_there() -> bool:
        found.extend(message for _, message in receiver.receive(0.1))
        return len(found) >= count

    wait_until(all_there)
    return found


def test_bytes_beside_a_message_arrive_with_it_and_in_order(ends: tuple[Transport, Transport]) -> None:
    sender, receiver = ends
    payloads = [bytes([i]) * (1000 * i + 1) for i in range(100)]
    for i, payload in enumerate(payloads):
        sender.send(receiver.address, ObjectChunk(b"o", 1, i), memoryview(payload))
        sender.send(receiver.address, FreeObjects([b"%d" % i]))
    found = received(receiver, 200)
    chunks = [message for message in found[::2] if isinstance(message, ObjectChunk)]
    assert [bytes(chunk.data) for chunk in chunks] == payloads
    assert found[1::2] == [FreeObjects([b"%d" % i]) for i in range(100)]


def test_what_is_sent_without_a_copy_is_let_go_when_it_is_sent(ends: tuple[Transport, Transport]) -> None:
    sender, receiver = ends
    payload = bytearray(5_000_000)
    sender.send(receiver.address, ObjectChunk(b"o", 1, 0), memoryview(payload))
    (chunk,) = received(receiver, 1)
    assert isinstance(chunk, ObjectChunk) and len(chunk.data) == 5_000_000

    def is_let_go() -> bool:
        try:
            payload.append(1)
        except BufferError:
            return False
        return True

    wait_until(is_let_go)


def test_frames_that_nobody_knows_do_no_harm(ends: tuple[Transport, Transport]) -> None:
    sender, receiver = ends
    context = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.connect(receiver.address)
    stranger.send_multipart([encode(FreeObjects([b"x"])), b"more", b"and more"])
    stranger.send_multipart([b"", b"", b""])
    sender.send(receiver.address, FreeObjects([b"y"]))
    assert FreeObjects([b"y"]) in received(receiver, 2)
    context.destroy(linger=0)


def test_what_the_dead_have_sent_arrives_before_the_news_of_their_death(
    ends: tuple[Transport, Transport], tmp_path: Path
) -> None:
    sender, receiver = ends
    teller = Transport(f"ipc://{tmp_path}/c")
    calls: list[int] = []
    found: list[Message] = []
    try:
        last = [FreeObjects([b"%d" % i, b"." * 5000]) for i in range(2000)]
        for message in last:
            sender.send(receiver.address, message)
        sender.close(linger_s=10)
        death, after = ProcessDied(sender.address, "worker", 7, "it ended"), FreeObjects([b"after"])
        teller.send(receiver.address, death)
        teller.send(receiver.address, after)
        receiver.after_all_of(sender.address, lambda: calls.append(len(found)))

        def all_there() -> bool:
            found.extend(message for _, message in receiver.receive(0.1))
            return len(found) >= 2002

        wait_until(all_there)
    finally:
        teller.close()
    assert found == [*last, death, after] and calls and calls[0] + 256 >= 2000
