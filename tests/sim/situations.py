"""Plans made for one situation each, which random ones seldom meet. The seed decides how it comes."""

from __future__ import annotations

from tests.sim import workload as w


def a_call_runs_when_its_actor_is_killed(seed: int) -> w.Plan:
    """It reads what it was given, of which its caller alone has a reference, while it is ended."""
    constructor = w.RemoteFunction(0)
    method = w.RemoteFunction(1, (w.Sleep(0.05), w.DropView(0)), resources={})
    driver = (
        w.Create(0),
        w.Put(1500),
        w.Method(0, 0, deps=(0,)),
        w.Drop(0),
        w.Sleep(0.03),
        w.Kill(0),
        w.Get((0,)),
        *(w.Put(1500),) * 4,
    )
    return w.Plan(seed, (constructor, method), (w.ActorClass(0, 0, (1,)),), ((driver,),), (), w.Limits(wild=1.0))


def an_owner_dies_while_others_view(seed: int) -> w.Plan:
    """A driver looks at what a worker has put, and that worker is killed."""
    task = w.RemoteFunction(0, (w.Put(1500),), (w.Returned(8, contains=(0,)),))
    driver = (w.Call(0), w.Get((0,), keep=True), w.Get((1,), keep=True), w.Sleep(0.5), w.Put(1500), w.DropView(0))
    death = w.Fault("worker", at_s=0.3)
    return w.Plan(seed, (task,), (), ((driver,),), (death,), w.Limits(wild=0.0))


def a_task_waits_for_a_generator(seed: int) -> w.Plan:
    """There is one CPU, and who has it waits for an item of a task that needs it."""
    generator = w.RemoteFunction(0, num_returns=-1, resources={"CPU": 1.0})
    consumer = w.RemoteFunction(1, (w.Call(0), w.Take(0, 1)), resources={"CPU": 1.0})
    return w.Plan(seed, (generator, consumer), (), (((w.Call(1), w.Get((0,))),),), (), w.Limits(cpus=1.0))


def what_is_viewed_is_freed_by_hand(seed: int) -> w.Plan:
    """Somebody frees an object that a driver looks at."""
    driver = (w.Put(1500), w.Get((0,), keep=True), w.Sleep(0.3), *(w.Put(1500),) * 4, w.DropView(0))
    deeds = tuple(w.Deed("free", 0.1 + 0.02 * number, seed) for number in range(3))
    return w.Plan(seed, (), (), ((driver,),), (), w.Limits(wild=0.0), deeds)


def calls_of_a_concurrency_group_are_sent_again(seed: int) -> w.Plan:
    """Their actor's process is killed, and they may be tried again."""
    constructor = w.RemoteFunction(0)
    method = w.RemoteFunction(1, (w.Sleep(0.05),), resources={}, group="io")
    actor = w.ActorClass(0, 0, (1,), restarts=-1, task_retries=-1, groups={"io": 1})
    driver = (w.Create(0), *(w.Method(0, 0),) * 5, w.Get((0, 1, 2, 3, 4)))
    death = w.Fault("worker", after="TasksDone", nth=2, which=1)
    return w.Plan(seed, (constructor, method), (actor,), ((driver,),), (death,))


def calls_wait_for_an_actor_that_never_comes(seed: int) -> w.Plan:
    """It is killed before it is there; there is a limit of how many calls may be pending."""
    constructor = w.RemoteFunction(0, (w.Sleep(0.05),))
    method = w.RemoteFunction(1, resources={})
    actor = w.ActorClass(0, 0, (1,), pending_max=3)
    driver = (w.Create(0), *(w.Method(0, 0),) * 5, w.Sleep(0.02), w.Kill(0), w.Get((0, 1, 2)), *(w.Method(0, 0),) * 2)
    return w.Plan(seed, (constructor, method), (actor,), ((driver,),))


def more_is_kept_than_memory_holds(seed: int) -> w.Plan:
    """There is a disk for it."""
    driver = (*(w.Put(3000),) * 8, w.Get((0, 1, 2, 3, 4, 5, 6, 7), keep=True), w.Drop(0), *(w.DropView(seed),) * 8)
    return w.Plan(seed, (), (), ((driver,),), (), w.Limits(store_bytes=16384, spills=True))


ALL = (
    a_call_runs_when_its_actor_is_killed,
    an_owner_dies_while_others_view,
    a_task_waits_for_a_generator,
    what_is_viewed_is_freed_by_hand,
    calls_of_a_concurrency_group_are_sent_again,
    calls_wait_for_an_actor_that_never_comes,
    more_is_kept_than_memory_holds,
)
