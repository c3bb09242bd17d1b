"""What an owner does when the values of its objects are lost with a node: copies, lineage, errors."""

from __future__ import annotations

from raynb.runtime.core.inbox import CancelObject, LostValue, WaitFor
from raynb.runtime.core.lineage import Kept
from raynb.runtime.core.object_failures import unmakeable
from raynb.runtime.core.ownership import Entry
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.copies import ValuesLost
from raynb.runtime.messages.ids import object_id
from raynb.runtime.messages.tasks import Result, TasksDone, TasksReturned
from raynb.runtime.messages.values import Failed, Inline, RefInfo, Stored
from tests.runtime.core.owner_world import HOME, ME, A, B, C, OwnerWorld

# -- made again


def test_a_lost_result_is_made_again_elsewhere() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.kill(A)
    assert world.value(oid) is None and world.runs(oid)
    world.end(oid)
    assert world.node_of(oid) == C and world.ran(oid) == 2


def test_a_result_on_the_owners_own_node_keeps_nothing() -> None:
    world = OwnerWorld()
    world.made(HOME)
    assert not world.objects.lineage.kept and not world.objects.directory.used


def test_a_lost_chain_is_made_again_from_its_beginning() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    chain = [oid]
    for _ in range(9):
        chain.append(world.made(A, chain[-1]))
    world.let_go(*chain[:-1])
    assert world.node_of(chain[-1]) == A and not any(oid in world.objects.entries for oid in chain[:-1])
    world.kill(A)
    for oid in chain:
        assert world.ran(oid) == 2 and world.runs(oid), "each when its input is there"
        world.end(oid)
    assert world.node_of(chain[-1]) == C
    assert [oid in world.objects.entries for oid in chain] == [False] * 9 + [True], "what nobody needs is let go again"


def test_what_a_chain_needs_is_taken_where_it_still_is() -> None:
    world = OwnerWorld()
    first = world.made(B)
    second = world.made(A, first)
    world.kill(A)
    assert world.runs(second) and world.ran(first) == 1
    _, spec = world.running[second[:24]]
    assert spec.deps == [world.value(first)]


def test_a_put_that_a_result_was_made_of_is_kept_with_it() -> None:
    world = OwnerWorld()
    world.made(A)  # from now on there are other nodes
    value = world.put()
    result = world.made(A, value)
    world.let_go(value)
    assert value in world.objects.entries
    world.kill(A)
    world.end(result)
    assert world.node_of(result) == C
    world.let_go(result)
    assert value not in world.objects.entries


def test_what_was_referred_to_from_inside_the_arguments_is_there_again() -> None:
    world = OwnerWorld()
    inside = world.made(A)
    result = world.made(A, refs=(inside,))
    world.let_go(inside)
    world.kill(A)
    assert world.runs(inside) and world.runs(result), "it may be read or not"
    world.end(result)
    world.end(inside)
    assert world.node_of(result) == C and inside not in world.objects.entries


def test_other_results_of_the_same_task_are_left_as_they_are() -> None:
    world = OwnerWorld()
    first = world.call(A, returns=3)
    second, third = object_id(first[:24], 2), object_id(first[:24], 3)
    world.end(first, world.stored(first, A), Inline(b"small"), world.stored(third, A))
    world.let_go(third)
    world.kill(A)
    assert world.value(second) == Inline(b"small")
    world.end(first, world.stored(first, C), Inline(b"other"), world.stored(third, C))
    assert world.node_of(first) == C and world.value(second) == Inline(b"small")
    assert world.freed()[C] == [third], "nobody refers to it any more"


def test_a_second_value_is_freed_with_the_object_not_before() -> None:
    world = OwnerWorld()
    first = world.call(A, returns=2)
    second = object_id(first[:24], 2)
    world.end(first, world.stored(first, A), world.stored(second, A))
    world.say(LostValue(world.stored(first, A)))  # somewhere else: not this one
    assert world.node_of(first) == A
    lost = world.value(first)
    assert isinstance(lost, Stored)
    world.standby = A
    world.say(LostValue(lost))
    worker, spec = world.running.pop(first[:24])
    world.tell(worker, TasksDone([Result(spec.seq, 0.0, 0.1, [world.stored(first, B), world.stored(second, B)])]))
    assert (world.node_of(first), world.node_of(second)) == (B, A) and world.freed() == {}
    world.let_go(first, second)
    assert world.freed() == {B: [first, second], A: [first, second]}


def test_each_time_spends_a_retry() -> None:
    world = OwnerWorld()
    oid = world.made(A, retries=1)
    world.kill(A)
    world.end(oid)
    world.standby = B
    world.kill(C)
    failure = world.failure(oid)
    assert failure.kind == "ObjectReconstructionFailedError"
    for part in (oid.hex(), "MAX_ATTEMPTS_EXCEEDED", "cell 1, line 2", "killed by signal 9", "max_retries=N"):
        assert part in failure.message


def test_endless_retries_are_endless() -> None:
    world = OwnerWorld()
    oid = world.made(A, retries=-1)
    for node, standby in ((A, B), (B, C), (C, "ipc://d")):
        world.standby = standby
        world.kill(node)
        world.end(oid)
    assert world.node_of(oid) == "ipc://d"


def test_a_task_without_retries_makes_nothing_again() -> None:
    world = OwnerWorld()
    oid = world.made(A, retries=0)
    world.kill(A)
    assert "RETRIES_DISABLED" in world.failure(oid).message and world.ran(oid) == 1


def test_its_result_is_kept_for_what_was_made_of_it() -> None:
    world = OwnerWorld()
    first = world.made(B, retries=0)
    second = world.made(A, first)
    world.let_go(first)
    world.kill(A)
    world.end(second)
    assert world.node_of(second) == C


def test_what_can_not_be_made_again_fails_what_needs_it() -> None:
    world = OwnerWorld()
    first = world.made(A, retries=0)
    second = world.made(A, first)
    third = world.call(B, second)
    running = world.running.pop(third[:24])
    world.kill(A)
    worker, spec = running
    world.tell(worker, TasksReturned([spec.seq], "dependency"))
    for oid in (first, second, third):
        assert "RETRIES_DISABLED" in world.failure(oid).message


def test_the_oldest_calls_are_forgotten_when_there_are_too_many_and_the_error_says_so() -> None:
    world = OwnerWorld(lineage_bytes_max=2_000)
    results = [world.made(A) for _ in range(5)]
    assert world.objects.lineage.nbytes <= 2_000
    world.kill(A)
    kinds = [
        "LINEAGE_EVICTED" in value.message if isinstance(value := world.value(oid), Failed) else "" for oid in results
    ]
    assert kinds == [True, True, "", "", ""]
    assert "lineage_bytes_max" in world.failure(results[0]).message


def test_an_input_whose_call_was_forgotten_is_not_taken_for_a_put() -> None:
    failure = unmakeable(object_id(bytes(20), 1), Entry(), Kept(None, evicted=True), "")
    assert "LINEAGE_EVICTED" in failure.message


def test_what_is_lost_says_where_it_was_called_if_that_was_noted() -> None:
    world = OwnerWorld()
    world.machine.rows.site_of = str
    oid = world.made(A, retries=0)
    world.objects.entries[oid].site = "(task call) cell.py:main:3"
    world.kill(A)
    assert "(task call) cell.py:main:3) can't be read" in world.failure(oid).message


def test_a_long_chain_is_let_go_without_recursion_and_keeps_nothing() -> None:
    world = OwnerWorld()
    length = 10_000
    oid = world.made(A)
    world.machine.check = lambda: None  # type: ignore[method-assign]  # of ten thousand entries, each time
    for _ in range(length):
        before, oid = oid, world.made(A, oid)
        world.let_go(before)
    assert len(world.objects.lineage.kept) == length + 1 and len(world.objects.entries) == 1
    world.let_go(oid)
    assert not world.objects.lineage.kept and world.objects.lineage.nbytes == 0 and not world.objects.entries


def test_a_long_lost_chain_is_made_again_without_recursion() -> None:
    world = OwnerWorld()
    chain = [world.made(A)]
    world.machine.check = lambda: None  # type: ignore[method-assign]
    for _ in range(3_000):
        chain.append(world.made(A, chain[-1]))
        world.let_go(chain[-2])
    world.kill(A)
    for oid in chain:
        world.end(oid)
    assert world.node_of(chain[-1]) == C and len(world.objects.entries) == 1


# -- races


def test_a_result_that_arrives_from_a_dead_node_counts_as_lost() -> None:
    world = OwnerWorld()
    oid = world.call(A)
    late = world.stored(oid, B)
    world.kill(B)
    world.end(oid, late)
    assert world.value(oid) is None and world.runs(oid)
    world.end(oid)
    assert world.node_of(oid) == A


def test_a_result_that_arrives_from_a_dead_worker_is_refused() -> None:
    world = OwnerWorld()
    oid = world.call(A)
    worker, spec = world.running[oid[:24]]
    world.kill(A)
    world.tell(worker, TasksDone([Result(spec.seq, 0.0, 0.1, [world.stored(oid, A)])]))
    assert world.value(oid) is None and world.runs(oid)


def test_a_task_that_was_queued_with_a_lost_input_waits_for_it_again() -> None:
    world = OwnerWorld()
    value = world.made(A)
    blocker = world.call(B)
    users = [world.call(B, value) for _ in range(6)]
    queued = [oid for oid in users if not world.runs(oid)]
    assert queued
    world.kill(A)
    for oid in (blocker, *[oid for oid in users if oid not in queued]):
        world.end(oid)
    assert not any(world.runs(oid) for oid in queued)
    world.end(value)
    assert any(world.runs(oid) for oid in queued)
    for oid in queued:
        world.end(oid)
        assert world.node_of(oid) == B


def test_a_task_that_comes_back_since_its_input_is_lost_waits_for_the_next_value() -> None:
    world = OwnerWorld()
    value = world.made(A)
    user = world.call(B, value)
    worker, spec = world.running.pop(user[:24])
    given = world.value(value)
    assert isinstance(given, Stored)
    world.tell(worker, ValuesLost([given]), TasksReturned([spec.seq], "dependency"))
    assert world.runs(value) and not world.runs(user)
    world.end(value)
    assert world.runs(user) and world.running[user[:24]][1].deps == [world.value(value)]
    assert world.ran(user) == 2 and world.machine.unfinished[user[:24]].retries_left == 3, "it spends none"


def test_the_next_value_may_be_there_before_the_task_comes_back() -> None:
    world = OwnerWorld()
    value = world.made(A)
    user = world.call(B, value)
    worker, spec = world.running.pop(user[:24])
    world.kill(A)
    world.end(value)
    world.tell(worker, TasksReturned([spec.seq], "dependency"))
    assert world.runs(user)


def test_an_input_can_be_lost_twice() -> None:
    world = OwnerWorld()
    value = world.made(A)
    user = world.call(HOME, value)
    worker, spec = world.running.pop(user[:24])
    world.kill(A)
    world.end(value)
    world.standby = B
    world.kill(C)
    world.tell(worker, TasksReturned([spec.seq], "dependency"))
    assert not world.runs(user)
    world.end(value)
    assert world.runs(user) and world.node_of(value) == B


def test_a_retry_and_a_loss_at_once_run_the_task_once() -> None:
    world = OwnerWorld()
    value = world.made(A)
    user = world.call(A, value)
    world.kill(A)
    world.end(value)
    world.end(user)
    assert (world.ran(value), world.ran(user)) == (2, 2) and world.node_of(user) == C


def test_a_node_that_dies_while_it_makes_a_value_again() -> None:
    world = OwnerWorld()
    first = world.made(A)
    second = world.made(A, first)
    world.let_go(first)
    world.kill(A)
    world.end(first)
    world.standby = B
    world.kill(C)
    world.end(first)
    world.end(second)
    assert world.node_of(second) == B


def test_what_is_made_again_can_be_let_go_meanwhile() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.kill(A)
    world.let_go(oid)
    world.end(oid)
    assert not world.objects.entries and not world.objects.lineage.kept
    assert world.freed() == {C: [oid]}


def test_what_was_drawn_to_a_lost_input_is_queued_at_home_when_that_is_small_now() -> None:
    world = OwnerWorld()
    first = world.made(A)
    busy = [world.call(B), world.call(B, first)]
    drawn = world.call(B, first)
    assert world.runs(busy[0]) and world.runs(busy[1]) and not world.runs(drawn)
    world.kill(A)
    world.end(first, Inline(b"small"))
    assert not world.runs(drawn), "the worker of its own node is busy"
    world.say(CancelObject(drawn, ME, force=False, recursive=False))
    assert world.failure(drawn).kind == "TaskCancelledError"


def test_what_is_made_again_can_be_cancelled() -> None:
    world = OwnerWorld()
    first = world.made(A)
    second = world.made(B, first)
    world.kill(A)
    world.kill(B)
    world.say(CancelObject(second, ME, False, True))
    assert world.failure(second).kind == "TaskCancelledError"
    world.end(first)
    assert world.node_of(first) == C and world.ran(second) == 1


def test_what_is_made_again_can_not_be_freed_by_hand() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.kill(A)
    assert world.objects.freed.refusal(oid)


def test_what_was_freed_by_hand_is_not_made_again() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.objects.freed.free(oid, world.now)
    world.kill(A)
    assert world.failure(oid).kind == "ObjectFreedError" and not world.runs(oid)
    world.tick()
    world.let_go(oid)
    assert A not in world.freed(), "nobody is there to hear it"


def test_a_thread_waits_until_the_value_is_there_again() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.kill(A)
    waiter = Waiter(1, None)
    world.say(WaitFor(waiter, [oid]))
    assert waiter.needed == 1
    world.end(oid)
    assert waiter.needed == 0


# -- what values contain


def test_what_a_lost_value_contained_stays_until_there_is_another() -> None:
    world = OwnerWorld()
    inside = world.put(10)
    oid = world.call(A, refs=(inside,))
    world.end(oid, world.stored(oid, A, refs=[RefInfo(inside, ME)]))
    world.let_go(inside)
    world.kill(A)
    assert inside in world.objects.entries
    world.end(oid, Inline(b"nothing inside"))
    world.let_go(oid)
    assert not world.objects.entries
