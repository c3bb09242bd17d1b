from __future__ import annotations

from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.store import StoreEffect, StoreEvent, StoreMachine
from raynb.runtime.core.store_effects import (
    ClientDied,
    ClientFault,
    ClientJoined,
    DropSegment,
    ExtentWalked,
    GrowStore,
    SegmentFailed,
    SegmentReady,
    WalkExtent,
)
from raynb.runtime.core.store_growth import EMPTY_S
from raynb.runtime.core.store_room import PASSING_S
from raynb.runtime.messages import Config, Message
from raynb.runtime.messages.objects import (
    AllocateExtent,
    ExtentGranted,
    ExtentRefused,
    FreeObjects,
    LeftBehind,
    OrphansReleased,
    OwnerGone,
    SealedObject,
    SealObjects,
    StillHeld,
)

KB = 1024
A, B, C = "ipc://a", "ipc://b", "ipc://c"
X = b"x" * 28
Y = b"y" * 28


class Store:
    """A store whose segments are made at once, unless told otherwise."""

    def __init__(self, capacity: int = 1024 * KB, clients: tuple[str, ...] = (A, B), grows: bool = True) -> None:
        self.machine = StoreMachine(capacity, Config(segment_bytes=256 * KB, store_full_timeout_s=10.0))
        self.now = 0.0
        self.grows = grows
        self.effects: list[StoreEffect] = []
        for number, client in enumerate(clients):
            self.do(ClientJoined(client, 100 + number, f"worker {number}"))

    def do(self, event: StoreEvent) -> list[StoreEffect]:
        effects = self.machine.handle(event, self.now)
        self.machine.check()
        for effect in list(effects):
            if isinstance(effect, GrowStore) and self.grows:
                effects += self.do(SegmentReady(effect.name, effect.size))
        return effects

    def tell(self, sender: str, message: Message) -> list[StoreEffect]:
        return self.do(Received(sender, message))

    def ask(self, client: str, request: int, size: int) -> list[ExtentGranted | ExtentRefused]:
        return answers(self.tell(client, AllocateExtent(request, size)))

    def granted(self, client: str, request: int, size: int) -> ExtentGranted:
        (answer,) = self.ask(client, request, size)
        assert isinstance(answer, ExtentGranted)
        return answer

    def put(self, client: str, request: int, oid: bytes, size: int, owner: str, note: str = "") -> ExtentGranted:
        """A grant of its own with one object, closed."""
        grant = self.granted(client, request, size)
        assert self.tell(client, SealObjects([sealed(oid, owner, grant, size, note)], [grant.grant])) == []
        return grant

    def wait(self, seconds: float) -> list[StoreEffect]:
        self.now += seconds
        return self.do(Tick())

    @property
    def used(self) -> int:
        return self.machine.usage()["used_bytes"]


def answers(effects: list[StoreEffect]) -> list[ExtentGranted | ExtentRefused]:
    messages = [effect.message for effect in effects if isinstance(effect, Send)]
    return [message for message in messages if isinstance(message, ExtentGranted | ExtentRefused)]


def sealed(oid: bytes, owner: str, grant: ExtentGranted, size: int, note: str = "") -> SealedObject:
    return SealedObject(oid, owner, grant.grant, grant.offset, size, note)


# -- grants


def test_a_store_takes_no_memory_before_somebody_asks() -> None:
    store = Store(grows=False)
    assert store.machine.usage()["segment_bytes"] == 0
    effects = store.tell(A, AllocateExtent(1, 8 * KB))
    assert [type(effect) for effect in effects] == [GrowStore]


def test_a_request_is_answered_when_its_segment_is_there() -> None:
    store = Store(grows=False)
    (grow,) = store.tell(A, AllocateExtent(1, 8 * KB))
    assert isinstance(grow, GrowStore) and grow.size >= 8 * KB
    (send,) = store.do(SegmentReady(grow.name, grow.size))
    assert isinstance(send, Send) and send.to == A
    assert isinstance(send.message, ExtentGranted)
    assert (send.message.request, send.message.segment, send.message.size) == (1, grow.name, 8 * KB)


def test_what_is_left_of_a_closed_grant_is_free() -> None:
    store = Store()
    grant = store.granted(A, 1, 8 * KB)
    store.tell(A, SealObjects([sealed(X, A, grant, 1000)]))
    assert store.used == 8 * KB
    store.tell(A, SealObjects([], [grant.grant]))
    assert store.used == 1024
    store.tell(A, FreeObjects([X]))
    assert store.used == 0


def test_a_request_that_is_repeated_gets_the_same_grant() -> None:
    store = Store()
    first = store.granted(A, 7, 8 * KB)
    assert store.ask(A, 7, 8 * KB) == [first]
    assert store.used == 8 * KB


def test_more_than_the_store_can_ever_hold_is_refused_at_once() -> None:
    (answer,) = Store().ask(A, 1, 1025 * KB)
    assert isinstance(answer, ExtentRefused)
    assert "do not fit" in answer.message and "object_store_memory" in answer.message


def test_a_process_that_never_joined_gets_nothing() -> None:
    (answer,) = Store().ask("ipc://stranger", 1, 64)
    assert isinstance(answer, ExtentRefused)


def test_an_owner_of_another_node_is_told_what_a_dead_process_had_written_for_it() -> None:
    store = Store()
    grant = store.granted(A, 1, 4096)
    store.do(ClientDied(A))
    told = store.do(ExtentWalked(grant.grant, [sealed(X, "ipc://elsewhere", grant, 100)]))
    assert Send("ipc://elsewhere", LeftBehind([X])) in told
    store.tell("ipc://elsewhere", FreeObjects([X]))
    assert store.used == 0


def test_a_segment_is_made_ahead_when_little_is_left() -> None:
    store = Store(grows=False, capacity=4096 * KB)
    (grow,) = store.tell(A, AllocateExtent(1, 200 * KB))
    effects = store.do(SegmentReady("1", grow.size))  # type: ignore[union-attr]
    assert [type(effect) for effect in effects] == [Send, GrowStore]


# -- a full store


def test_a_request_waits_until_something_is_freed() -> None:
    store = Store()
    store.put(A, 1, X, 700 * KB, A)
    assert store.ask(B, 1, 600 * KB) == []
    (answer,) = answers(store.tell(A, FreeObjects([X])))
    assert isinstance(answer, ExtentGranted)


def test_a_request_that_waited_in_vain_is_told_who_holds_what() -> None:
    store = Store()
    store.put(A, 1, X, 300 * KB, A, "ndarray at cell 3")
    store.put(B, 1, Y, 500 * KB, B, "DataFrame at cell 5")
    assert store.ask(B, 2, 600 * KB) == []
    assert answers(store.wait(9.9)) == []
    (answer,) = answers(store.wait(0.2))
    assert isinstance(answer, ExtentRefused)
    lines = answer.message.splitlines()
    assert "full" in lines[0] and "614.4 kB were asked for" in lines[0]
    assert "819.2 kB of 1.0 MB are taken" in lines[0]
    holders = [line for line in lines if " of worker " in line]
    assert holders[0].endswith("worker 1 (pid 101): DataFrame at cell 5")
    assert holders[1].endswith("worker 0 (pid 100): ndarray at cell 3")
    assert "Delete references" in lines[-1]


def test_a_request_that_waited_in_vain_waits_no_more() -> None:
    store = Store()
    store.put(A, 1, X, 700 * KB, A)
    store.ask(B, 1, 600 * KB)
    store.wait(10)
    assert answers(store.tell(A, FreeObjects([X]))) == []
    assert store.used == 0


def test_the_reason_why_no_segment_could_be_made_is_told() -> None:
    store = Store(grows=False)
    (grow,) = store.tell(A, AllocateExtent(1, 8 * KB))
    assert isinstance(grow, GrowStore)
    store.do(SegmentFailed(grow.name, "no space left in /dev/shm"))
    (answer,) = answers(store.wait(10))
    assert isinstance(answer, ExtentRefused)
    assert "It could not grow: no space left in /dev/shm." in answer.message


def test_after_a_failure_just_what_is_needed_is_tried() -> None:
    store = Store(grows=False)
    (first,) = store.tell(A, AllocateExtent(1, 8 * KB))
    assert isinstance(first, GrowStore) and first.size == 256 * KB
    store.do(SegmentFailed(first.name, "no space"))
    (second,) = store.wait(1)
    assert isinstance(second, GrowStore) and second.size == 8 * KB


def test_small_requests_pass_a_large_one_but_not_for_long() -> None:
    store = Store()
    store.put(A, 1, X, 700 * KB, A)
    assert store.ask(A, 2, 600 * KB) == []
    store.granted(B, 1, 100 * KB)
    store.wait(PASSING_S)
    assert store.ask(B, 2, 100 * KB) == []
    first, second = answers(store.tell(A, FreeObjects([X])))
    assert (first.request, first.size) == (2, 600 * KB)  # type: ignore[union-attr]
    assert (second.request, second.size) == (2, 100 * KB)  # type: ignore[union-attr]


def test_empty_segments_make_room_for_a_request_that_none_of_them_can_meet() -> None:
    store = Store()
    oids = [bytes([i]) * 28 for i in range(4)]
    for i, oid in enumerate(oids):
        store.put(A, i, oid, 250 * KB, A)
    assert store.machine.usage()["segments"] == 4
    store.tell(A, FreeObjects(oids[:3]))
    drop, *rest = store.tell(A, AllocateExtent(9, 600 * KB))
    assert isinstance(drop, DropSegment)
    (answer,) = answers(rest)
    assert isinstance(answer, ExtentGranted) and answer.size == 600 * KB


def test_empty_segments_go_back_after_a_while_but_for_one() -> None:
    store = Store()
    oids = [bytes([i]) * 28 for i in range(4)]
    for i, oid in enumerate(oids):
        store.put(A, i, oid, 250 * KB, A)
    store.tell(A, FreeObjects(oids))
    assert store.wait(1) == []
    assert store.wait(EMPTY_S - 1) == []
    assert [type(effect) for effect in store.wait(1)] == [DropSegment] * 3
    assert store.machine.usage()["segments"] == 1


def test_a_segment_with_an_object_in_it_never_goes_back() -> None:
    store = Store(capacity=512 * KB)
    store.put(A, 1, X, 250 * KB, A)
    store.put(A, 2, Y, 250 * KB, A)
    store.wait(1)
    store.wait(1000)
    assert store.machine.usage()["segments"] == 2


# -- seals and frees


def test_a_free_that_overtakes_its_seal_frees_at_once() -> None:
    store = Store()
    grant = store.granted(A, 1, 8 * KB)
    store.tell(B, FreeObjects([X], [(grant.segment, grant.offset)]))
    store.tell(A, SealObjects([sealed(X, B, grant, 4 * KB)], [grant.grant]))
    assert store.used == 0
    assert store.machine.statistics()["early_frees"] == 0


def test_a_free_of_what_is_never_sealed_is_forgotten_when_it_can_come_no_more() -> None:
    store = Store()
    early = store.granted(A, 1, 8 * KB)
    store.tell(B, FreeObjects([X]))
    late = store.granted(A, 2, 8 * KB)
    assert store.machine.statistics()["early_frees"] == 1
    store.tell(A, SealObjects([], [early.grant]))
    assert store.machine.statistics()["early_frees"] == 0
    store.tell(A, SealObjects([], [late.grant]))


def test_a_free_is_kept_as_long_as_its_seal_may_come() -> None:
    store = Store()
    early, late = store.granted(A, 1, 8 * KB), store.granted(A, 2, 8 * KB)
    store.tell(B, FreeObjects([X], [(late.segment, late.offset)]))
    store.tell(A, SealObjects([], [early.grant]))
    store.tell(A, SealObjects([sealed(X, B, late, KB)], [late.grant]))
    assert store.used == 0


def test_only_the_owner_frees() -> None:
    store = Store()
    store.put(A, 1, X, 4 * KB, A)
    (fault,) = store.tell(B, FreeObjects([X]))
    assert isinstance(fault, ClientFault) and fault.address == B
    assert store.machine.usage()["objects"] == 1


def test_a_client_seals_only_inside_its_own_grants_and_never_twice() -> None:
    store = Store()
    grant = store.granted(A, 1, 8 * KB)
    wrong = [
        (B, sealed(X, B, grant, 64)),
        (A, SealedObject(X, A, grant.grant, grant.offset + 4 * KB, 5 * KB)),
        (A, SealedObject(X, A, grant.grant, grant.offset + 1, 64)),
        (A, SealedObject(X, A, grant.grant, grant.offset, 0)),
    ]
    for client, what in wrong:
        (fault,) = store.tell(client, SealObjects([what]))
        assert isinstance(fault, ClientFault), what
    store.tell(A, SealObjects([sealed(X, A, grant, 128)]))
    (fault,) = store.tell(A, SealObjects([SealedObject(Y, A, grant.grant, grant.offset + 64, 64)]))
    assert isinstance(fault, ClientFault)
    assert store.machine.usage()["objects"] == 1


# -- deaths


def test_what_a_dead_client_had_finished_is_found_and_the_rest_is_free() -> None:
    store = Store()
    grant = store.granted(A, 1, 8 * KB)
    walk, *_ = store.do(ClientDied(A))
    assert walk == WalkExtent(grant.grant, grant.segment, grant.offset, 8 * KB)
    assert store.used == 8 * KB
    store.do(ExtentWalked(grant.grant, [sealed(X, B, grant, KB)]))
    assert store.used == KB
    store.tell(B, FreeObjects([X]))
    assert store.used == 0


def test_owners_are_told_what_a_dead_client_has_left_for_them_also_on_other_nodes() -> None:
    store = Store()
    store.put(A, 1, X, KB, owner=B)
    store.put(A, 2, Y, KB, owner=C)
    assert store.do(ClientDied(A)) == [Send(B, LeftBehind([X])), Send(C, LeftBehind([Y]))]


def test_the_walk_does_not_bring_back_what_was_freed() -> None:
    store = Store()
    grant = store.granted(A, 1, 8 * KB)
    what = sealed(X, B, grant, KB)
    store.tell(A, SealObjects([what]))
    store.tell(B, FreeObjects([X]))
    store.do(ClientDied(A))
    store.do(ExtentWalked(grant.grant, [what]))
    assert store.used == 0


def test_copies_of_a_freed_object_that_dead_clients_left_are_freed_as_they_are_found() -> None:
    store = Store(clients=(A, B, C))
    first, second, third = (store.granted(client, 1, 8 * KB) for client in (A, B, C))
    store.do(ClientDied(A))
    store.do(ClientDied(B))
    store.tell(C, SealObjects([sealed(X, C, third, KB)], [third.grant]))
    store.tell(C, FreeObjects([X]))
    store.do(ExtentWalked(first.grant, [sealed(X, C, first, KB)]))
    store.do(ExtentWalked(second.grant, [sealed(X, C, second, KB)]))
    assert store.used == 0
    assert store.machine.statistics()["early_frees"] == 0


def test_a_copy_that_a_dead_client_left_is_freed_with_the_object() -> None:
    store = Store(clients=(A, B))
    first, second = store.granted(A, 1, 8 * KB), store.granted(B, 1, 8 * KB)
    store.do(ClientDied(A))
    store.do(ExtentWalked(first.grant, [sealed(X, B, first, KB)]))
    store.tell(B, SealObjects([sealed(X, B, second, 2 * KB)], [second.grant]))
    assert store.used == 3 * KB
    store.tell(B, FreeObjects([X]))
    assert store.used == 0


def test_a_dead_clients_requests_are_forgotten() -> None:
    store = Store()
    store.put(A, 1, X, 700 * KB, A)
    store.ask(B, 1, 600 * KB)
    store.do(ClientDied(B))
    assert store.machine.usage()["waiting"] == 0
    assert answers(store.tell(A, FreeObjects([X]))) == []


def test_nothing_of_a_dead_owner_is_used_again_before_all_clients_have_answered() -> None:
    store = Store(clients=(A, B, C))
    store.put(A, 1, X, KB, A)
    assert store.do(ClientDied(A)) == [Send(B, OwnerGone(A)), Send(C, OwnerGone(A))]
    store.tell(B, StillHeld(A, []))
    assert store.used == KB
    store.tell(C, StillHeld(A, []))
    assert store.used == 0


def test_what_is_still_viewed_of_a_dead_owner_stays_until_the_view_ends() -> None:
    store = Store(clients=(A, B, C))
    store.put(A, 1, X, KB, A)
    store.put(A, 2, Y, KB, A)
    store.do(ClientDied(A))
    store.tell(B, StillHeld(A, [X]))
    store.tell(C, StillHeld(A, [X, Y]))
    assert store.used == 2 * KB
    store.tell(C, OrphansReleased([X, Y]))
    assert store.used == KB
    store.tell(B, OrphansReleased([X]))
    assert store.used == 0


def test_a_view_that_ends_frees_nothing_while_others_may_have_one() -> None:
    store = Store(clients=(A, B, C))
    store.put(A, 1, X, KB, A)
    store.do(ClientDied(A))
    store.tell(B, StillHeld(A, [X]))
    store.tell(B, OrphansReleased([X]))
    assert store.used == KB
    store.tell(C, StillHeld(A, [X]))
    assert store.used == KB
    store.tell(C, OrphansReleased([X]))
    assert store.used == 0


def test_a_holder_that_dies_holds_no_more() -> None:
    store = Store(clients=(A, B))
    store.put(A, 1, X, KB, A)
    store.do(ClientDied(A))
    store.tell(B, StillHeld(A, [X]))
    store.do(ClientDied(B))
    assert store.used == 0


def test_a_client_that_dies_need_not_answer() -> None:
    store = Store(clients=(A, B))
    store.put(A, 1, X, KB, A)
    store.do(ClientDied(A))
    store.do(ClientDied(B))
    assert store.used == 0


def test_a_client_that_joins_meanwhile_is_asked_too() -> None:
    store = Store(clients=(A, B))
    store.put(A, 1, X, KB, A)
    store.do(ClientDied(A))
    assert store.do(ClientJoined(C, 7, "worker")) == [Send(C, OwnerGone(A))]
    store.tell(B, StillHeld(A, []))
    assert store.used == KB
    store.tell(C, StillHeld(A, [X]))
    store.tell(C, OrphansReleased([X]))
    assert store.used == 0


def test_an_object_that_turns_up_for_a_dead_owner_is_asked_about_as_well() -> None:
    store = Store(clients=(A, B, C))
    grant = store.granted(B, 1, 8 * KB)
    store.do(ClientDied(A))
    effects = store.tell(B, SealObjects([sealed(X, A, grant, KB)], [grant.grant]))
    assert effects == [Send(B, OwnerGone(A)), Send(C, OwnerGone(A))]
    store.tell(B, StillHeld(A, []))
    store.tell(C, StillHeld(A, []))
    assert store.used == 0


def test_an_owner_elsewhere_may_die_too() -> None:
    store = Store()
    store.put(A, 1, X, KB, "tcp://elsewhere")
    assert len(store.do(ClientDied("tcp://elsewhere"))) == 2
    store.tell(A, StillHeld("tcp://elsewhere", []))
    store.tell(B, StillHeld("tcp://elsewhere", []))
    assert store.used == 0


def test_the_largest_holders_come_first() -> None:
    store = Store()
    store.put(A, 1, X, KB, A, "small")
    store.put(A, 2, Y, 2 * KB, B, "large")
    assert [(found.note, found.owner, found.size) for found in store.machine.holders(5)] == [
        ("large", "worker 1 (pid 101)", 2 * KB),
        ("small", "worker 0 (pid 100)", KB),
    ]
    assert len(store.machine.holders(1)) == 1
