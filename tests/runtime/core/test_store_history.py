"""What the event hub remembers of the nodes' stores: lanes of the timeline, and objects of the past."""

from __future__ import annotations

import pytest

from raynb.runtime.core import store_history
from raynb.runtime.core.effects import Received, Tick
from raynb.runtime.core.membership import Membership
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.core.store_effects import ClientJoined, GrowStore, SegmentReady
from raynb.runtime.core.store_history import StoreHistory
from raynb.runtime.core.store_log import StoreLog
from raynb.runtime.messages import Config, screen
from raynb.runtime.messages.events import FAILED, FINISHED, RUNNING, ObjectNames
from raynb.runtime.messages.gcs import RegisterNode
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.objects import AllocateExtent, FreeObjects, SealedObject, SealObjects
from raynb.runtime.messages.store_events import EVICT, SPILL, TRANSFER, WAIT, StoredObjects, StoreEvents
from raynb.runtime.messages.values import ValueKind
from tests.runtime.core.screen_client import DRIVER, Hub, Window
from tests.runtime.core.store_news import store_events, stored
from tests.runtime.core.task_rows import Row, name_def, rows, task_id, wall, worker_def
from tests.runtime.core.transfer_world import CAPACITY, Owned, Reader, TransferWorld

N1, N2 = b"1" * 28, b"2" * 28
M1, M2 = "ipc:///s/p/m1", "ipc:///s/p/m2"
PUT = b"t" * 24 + b"\x01\x00\x00\x80"
OTHER = b"t" * 24 + b"\x02\x00\x00\x80"
MB = 1 << 20


def register(hub: Hub, node_id: bytes = N1, manager: str = M1) -> None:
    hub.receive(manager, RegisterNode(node_id, manager, 1, "here", "127.0.0.1", True, {"CPU": 2.0}, {}, 1000.0, [], []))


def lanes_of(state: screen.TimelineState) -> list[tuple[str, float, float, int, int, int]]:
    """(lane, seconds after 1,000, milliseconds, state, events, bytes)."""
    s = state.store
    columns = zip(s.lane, s.start, s.duration_ms, s.state, s.count, s.size, strict=True)
    return [(state.lanes[lane].label, start / 1000 - 1000, *rest) for lane, start, *rest in columns]


# -- lanes


def test_what_happened_in_a_store_stands_in_lanes_below_the_workers(hub: Hub, window: Window) -> None:
    register(hub)
    hub.receive(M1, store_events((1, WAIT, FINISHED, 1002.0, 1004.0), (2, SPILL, FAILED, 1003.0, 1003.5)))
    hub.receive(DRIVER, rows(Row(1, started=2, ended=3), new_names=[name_def(0)], new_workers=[worker_def(0)]))
    state = window.subscribe(screen.TimelineView())
    assert [lane.kind for lane in state.lanes] == ["worker", "store", "store"]
    assert lanes_of(state) == [
        ("waits for room", 2, 2000, FINISHED, 1, 64),
        ("writes to disk", 3, 500, FAILED, 1, 64),
    ]
    assert state.store.who == ["worker 1", "worker 1"]
    assert [lane.node for lane in state.lanes[1:]] == [N1.hex(), N1.hex()]


def test_a_wait_is_seen_while_it_lasts_and_once_when_it_is_over(hub: Hub, window: Window) -> None:
    register(hub)
    hub.receive(M1, store_events((7, WAIT, RUNNING, 1099.0, 0.0)))
    assert lanes_of(window.subscribe(screen.TimelineView())) == [("waits for room", 99, 1000, RUNNING, 1, 64)]
    hub.receive(M1, store_events((7, WAIT, FINISHED, 1099.0, 1100.1)))
    window.tick()
    assert lanes_of(window.states[1]) == [("waits for room", 99, 1100, FINISHED, 1, 64)]


def test_a_transfer_leaves_one_node_and_comes_into_another(hub: Hub, window: Window) -> None:
    register(hub)
    register(hub, N2, M2)
    hub.receive(M2, store_events((1, TRANSFER, FINISHED, 1002.0, 1004.0), other=M1))
    state = window.subscribe(screen.TimelineView())
    assert [span[0] for span in lanes_of(state)] == ["transfers out · 313131", "transfers in · 323232"]
    assert state.store.other == [N2.hex(), N1.hex()]


def test_a_window_has_the_events_that_overlap_it(hub: Hub, window: Window) -> None:
    register(hub)
    hub.receive(M1, store_events(*((n, WAIT, FINISHED, 1000.0 + n, 1001.5 + n) for n in range(2, 20))))
    state = window.subscribe(screen.TimelineView(start=1005_000, end=1007_000))
    assert [span[1] for span in lanes_of(state)] == [4, 5, 6]


def test_many_short_events_are_joined_and_their_bytes_added(hub: Hub, window: Window) -> None:
    register(hub)
    hub.receive(M1, store_events(*((n, SPILL, FINISHED, 1000 + n / 1000, 1000 + n / 1000) for n in range(5000))))
    state = window.subscribe(screen.TimelineView(buckets=100))
    assert sum(state.store.count) == 5000 and sum(state.store.size) == 5000 * 64
    assert len(state.store.lane) <= 101 and set(state.store.who) <= {"", "worker 1"}


def test_what_a_dead_node_had_not_ended_has_failed(hub: Hub, window: Window) -> None:
    register(hub)
    history = hub.machine.stores
    hub.receive(M1, store_events((1, WAIT, RUNNING, 1002.0, 0.0)))
    hub.receive(M1, stored((PUT, 1001.0)))
    history.node_died(N1, 1005.0)
    assert [(event.state, event.ended) for event in history.over] == [(FAILED, 1005.0)]
    assert not list(history.objects_at(1006.0)) and list(history.objects_at(1004.0))


def test_nobody_but_a_node_manager_is_believed_and_no_columns_that_do_not_fit(hub: Hub) -> None:
    hub.receive(DRIVER, store_events((1, WAIT, FINISHED, 1002.0, 1004.0)))
    register(hub)
    (said,) = hub.receive(M1, StoreEvents([1], b"", b"", [], [], [], [], [], []))
    assert "columns of different lengths" in said.text
    (said,) = hub.receive(M1, StoredObjects([PUT], [1.0], [1], [0], [5], [None], b"\0", ["x"], [], []))
    assert "a text that is not there" in said.text
    assert hub.machine.stores.statistics()["over"] == 0


# -- objects of the past


def test_objects_are_shown_as_they_lay_in_the_stores_and_were_named(hub: Hub, window: Window) -> None:
    register(hub)
    hub.receive(M1, stored((PUT, 1010.0), (OTHER, 1020.0)))
    hub.now = 115.0
    hub.receive(DRIVER, ObjectNames([(PUT, ["df"])]))
    hub.receive(M1, stored(freed=((PUT, 1030.0),)))

    def at(seconds: float) -> dict[str, list[str]]:
        page = window.subscribe(screen.TableView("objects", at=wall(seconds) * 1000))
        assert page.dropped == 0
        return {row["object_id"]: row["held_by"] for row in page.rows}

    assert at(5) == {}
    assert at(12) == {PUT.hex(): []}
    assert at(120) == {OTHER.hex(): [], PUT.hex(): ["df"]}, "a name holds it still, as far as the notebook has said"
    (row,) = window.subscribe(screen.TableView("objects", at=wall(12) * 1000)).rows
    assert (row["object_size"], row["value_type"], row["state"], row["node_id"]) == (
        1000,
        "ndarray",
        "STORED",
        N1.hex(),
    )
    assert row["created_ms"] == 1010_000


def test_a_small_result_that_a_name_held_is_known_from_its_task(hub: Hub, window: Window) -> None:
    result = task_id(1) + FIRST_RETURN
    hub.receive(DRIVER, rows(Row(1, submitted=1, started=110, ended=120), new_names=[name_def(0)]))
    hub.now = 105.0
    hub.receive(DRIVER, ObjectNames([(result, ["x"])]))

    def state(seconds: float) -> list[str]:
        return [row["state"] for row in window.subscribe(screen.TableView("objects", at=wall(seconds) * 1000)).rows]

    assert (state(104), state(106), state(125)) == ([], ["PENDING"], ["READY"])


def test_a_window_has_the_objects_that_were_made_in_it_also_those_that_are_gone(hub: Hub, window: Window) -> None:
    register(hub)
    hub.receive(M1, stored((PUT, 1010.0), (OTHER, 1020.0)))
    hub.receive(M1, stored(freed=((PUT, 1012.0),)))
    window.subscribe(screen.TableView("objects", between=(1009_000, 1015_000)))
    window.tick(2.5)
    (row,) = window.states[1].rows
    assert (row["object_id"], row["state"]) == (PUT.hex(), "FREED")


def test_actors_are_shown_that_had_calls_in_a_window(hub: Hub) -> None:
    from raynb.runtime.core.past_rows import busy_actors

    one, two = b"a" * 16, b"b" * 16
    names = [name_def(0, "A.f", 2, one), name_def(1, "B.f", 2, two)]
    hub.receive(DRIVER, rows(Row(1, started=5, ended=6), Row(2, name=1, started=8, ended=9), new_names=names))
    events = hub.machine.events
    assert busy_actors(events, wall(4), wall(7)) == {one}
    assert busy_actors(events, wall(5.5), wall(8.5)) == {one, two}
    assert busy_actors(events, wall(10), wall(11)) == set()


def test_what_is_not_kept_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_history, "OBJECTS_MAX", 10)
    monkeypatch.setattr(store_history, "EVENTS_MAX", 10)
    history = StoreHistory(Membership())
    history.take_events(N1, store_events(*((n, WAIT, FINISHED, n, n + 1) for n in range(1, 31)), dropped=3))
    assert history.dropped == 23 and history.ended_ever == 30
    for n in range(20):
        oid = b"t" * 24 + n.to_bytes(4, "little")
        history.take_objects(N1, stored((oid, float(n))), 0.0)
        history.take_objects(N1, stored(freed=((oid, n + 0.5),)), 0.0)
    assert history.not_kept(5.0) == 10 and history.not_kept(15.0) == 0
    assert [stay.made for stay in history.objects_at(15.2)] == [15.0]
    history.check()


def test_a_node_that_tells_all_anew_has_nothing_else() -> None:
    history = StoreHistory(Membership())
    history.take_objects(N1, stored((PUT, 1.0), (OTHER, 2.0)), 0.0)
    history.take_objects(N1, stored((OTHER, 2.0), reset=True), 10.0)
    assert [stay.oid for stay in history.objects_at(11.0)] == [OTHER]
    assert len(list(history.objects_at(9.0))) == 2


# -- what a store notes


def test_a_store_notes_who_waits_what_is_spilled_and_what_comes_and_goes() -> None:
    store = StoreMachine(4 * MB, Config(segment_bytes=4 * MB), spills=True)
    store.handle(ClientJoined("a", 11, "worker w1"), 10.0)
    store.handle(Received("a", AllocateExtent(1, 3 * MB, PUT)), 10.0)
    store.handle(SegmentReady("1", 4 * MB), 10.5)
    first = store.index.grants[1]
    store.handle(
        Received("a", SealObjects([SealedObject(PUT, "o", 1, first.offset, 3 * MB, "ndarray", ValueKind("x"))], [1])),
        11.0,
    )
    events, objects = store.log.take(1000.0, store.index.objects.values())
    assert isinstance(events, StoreEvents) and isinstance(objects, StoredObjects)
    assert (events.kinds, events.states, events.objects) == (bytes([WAIT]), bytes([FINISHED]), [PUT])
    assert (events.started, events.ended, events.who) == ([1010.0], [1010.5], ["worker w1 (pid 11)"])
    assert (objects.made, objects.at, objects.texts) == ([PUT], [1011.0], ["o", "ndarray"])
    assert objects.kinds == [ValueKind("x")]

    store.handle(Received("a", AllocateExtent(2, 3 * MB, OTHER)), 12.0)
    store.handle(Tick(), 12.02)
    (lasts,) = store.log.take(1000.0, [])
    assert isinstance(lasts, StoreEvents) and lasts.states == bytes([RUNNING]) and lasts.ended == [0.0]
    (grow,) = store.handle(Tick(), 12.1)
    assert isinstance(grow, GrowStore)
    store.handle(SegmentReady(grow.name, grow.size), 12.2)
    (grant,) = store.index.grants.values()
    store.handle(
        Received("a", SealObjects([SealedObject(OTHER, "o", grant.number, grant.offset, 3 * MB)], [grant.number])), 13.0
    )
    store.handle(Received("o", FreeObjects([PUT])), 14.0)
    events, objects = store.log.take(1000.0, store.index.objects.values())
    assert isinstance(events, StoreEvents) and isinstance(objects, StoredObjects)
    assert [*zip(events.kinds, events.started, events.ended, strict=True)] == [
        (WAIT, 1012.0, 1012.2),
        (SPILL, 1012.2, 1013.0),
    ]
    assert objects.on_disk == b"\x01" and objects.freed == [PUT] and objects.freed_at == [1014.0]
    assert not store.log.pending


def test_a_grant_that_is_met_at_once_is_not_worth_telling() -> None:
    log = StoreLog()
    for _ in range(1000):
        log.ended(log.began(WAIT, 1))
    assert not log.pending and log.take(0.0, []) == []
    log.ended(log.began(WAIT, 1), "the store stayed full")
    (told,) = log.take(0.0, [])
    assert isinstance(told, StoreEvents) and told.who == ["the store stayed full"]


def test_while_nobody_takes_the_news_they_do_not_pile_up() -> None:
    store = StoreMachine(400 * MB, Config(segment_bytes=400 * MB))
    store.handle(ClientJoined("a", 11, "worker w1"), 1.0)
    store.handle(Received("a", AllocateExtent(1, 390 * MB, PUT)), 1.0)
    store.handle(SegmentReady("1", 400 * MB), 1.0)
    for n in range(45_000):
        oid = n.to_bytes(28, "little")
        store.handle(Received("a", SealObjects([SealedObject(oid, "o", 1, 64 * n, 64)])), 1.0)
    store.handle(Received("o", FreeObjects([(7).to_bytes(28, "little")])), 2.0)
    (told,) = [m for m in store.log.take(0.0, store.index.objects.values()) if isinstance(m, StoredObjects)]
    assert told.reset and len(told.made) == 20_000


# -- what goes from node to node

T1, T2 = "ipc://m1", "ipc://m2"


def begun_transfer(world: TransferWorld, reader: Reader, owned: Owned) -> int:
    request = world.fetch(reader, [owned])
    fetch = world.nodes[reader.node.address].machine.fetch
    while not any(transfer.noted for transfer in fetch.transfers.values()):
        world.deliver(next(iter(world.wires))) if world.wires else world.nodes[reader.node.address].grow()
    return request


def told_by(world: TransferWorld, node: str, kind: int) -> list[StoreEvents]:
    machine = world.nodes[node].machine
    news = machine.log.take(0.0, machine.index.objects.values())
    return [message for message in news if isinstance(message, StoreEvents) and kind in message.kinds]


def test_a_transfer_is_noted_with_where_it_comes_from_and_what_is_dropped_for_room() -> None:
    world = TransferWorld()
    owner, reader = world.reader(T1), world.reader(T2)
    owned = world.put(owner, CAPACITY // 2)
    world.run()
    request = begun_transfer(world, reader, owned)
    world.now += 2.0
    world.run()
    (events,) = told_by(world, T2, TRANSFER)
    at = events.kinds.index(TRANSFER)
    assert (events.others[at], events.objects[at], events.sizes[at]) == (T1, owned.oid, owned.size)
    assert events.states[at] == FINISHED and events.ended[at] - events.started[at] == 2.0
    world.view(reader, request)
    world.unview(reader, 0)
    world.put(reader, CAPACITY - 1024)
    world.run()
    (events,) = told_by(world, T2, EVICT)
    assert owned.oid in events.objects


def test_a_transfer_that_the_death_of_its_holder_ends_has_failed() -> None:
    world = TransferWorld()
    owner, reader = world.reader(T1), world.reader(T2)
    owned = world.put(owner, 5000)
    world.run()
    begun_transfer(world, reader, owned)
    world.kill_node(T1)
    world.run()
    (events,) = told_by(world, T2, TRANSFER)
    assert events.states == bytes([FAILED]) and events.who[0]
