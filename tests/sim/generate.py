"""Plans from seeds: random task graphs, actors, streams, and what goes wrong while they run."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec.structs import replace

from tests.sim import workload as w

FUNCTIONS_MAX = 9
TASKS_OF_ONE_MAX = 10
TASKS_OF_A_DRIVER_MAX = 60
SIZES = (8, 8, 8, 40, 90, 200, 700, 1500, 3000)
NAMES = ("ada", "bob")
MESSAGES = (
    "PushTasks", "TasksDone", "AddBorrowers", "BorrowersAdded", "RemoveBorrowers", "RefsTaken", "SealObjects",
    "LeaseGranted", "TasksReturned", "ObjectValues", "StartActor", "ActorStarted", "ActorState", "CreateActor",
    "StreamItems", "PullObjects", "WorkerBlocked", "ExtentGranted", "FreeObjects", "ProcessDied", "KillActor",
)  # fmt: skip
NODE_MESSAGES = (
    "LeaseSpill", "LeaseGranted", "PushTasks", "TasksDone", "FetchObjects", "PullChunk", "ObjectChunk", "CopyAdded",
    "ObjectsFetched", "PullEnded", "KeepCopies", "CopiesKept", "EvictCopies", "ValuesLost", "TryAnother", "NotThere",
    "StartActor", "ClusterView", "RegisterNode", "TasksReturned",
)  # fmt: skip
GROUP_MESSAGES = (
    "CreateGroup", "ReserveBundles", "BundlesReserved", "CommitBundles", "BundlesCommitted", "RemoveGroup",
    "ReturnBundles", "LeaseGranted",
)  # fmt: skip


class Maker:
    """Makes one plan."""

    def __init__(self, seed: int, faults: bool) -> None:
        self.rng = Random(seed * 2 + faults)
        self.seed = seed
        self.with_faults = faults
        self.rough = faults or self.rng.random() < 0.3
        """Cancels and kills are part of what users do."""
        self.functions: list[w.RemoteFunction] = []
        self.costs: list[int] = []
        self.classes: list[w.ActorClass] = []
        self.small_store = self.rng.random() < 0.1

    def plan(self) -> w.Plan:
        rng = self.rng
        leaves = rng.randint(1, 3)
        for number in range(rng.randint(leaves + 1, FUNCTIONS_MAX - 4)):
            self._function(number, leaf=number < leaves)
        for number in range(rng.choice((0, 1, 1, 2))):
            self._class(number)
        drivers = tuple(
            tuple(self._driver_body() for _ in range(1 if rng.random() < 0.8 else 2))
            for _ in range(1 if rng.random() < 0.6 else 2)
        )
        plan = w.Plan(
            self.seed,
            tuple(self.functions),
            tuple(self.classes),
            drivers,
            (self._faults() if self.with_faults else ()) + self._resizes(),
            self._limits(),
            self._deeds(),
        )
        return self._with_extras(plan)

    # -- choices

    def few(self, most: int, weight: float = 0.5) -> tuple[int, ...]:
        """Some numbers to pick by."""
        count = 0
        while count < most and self.rng.random() < weight:
            count += 1
        return tuple(self.rng.randrange(64) for _ in range(count))

    def _function(self, number: int, *, leaf: bool, method: bool = False) -> None:
        rng = self.rng
        body, cost = self._body(leaf=leaf, method=method)
        streaming = rng.random() < 0.12
        count = rng.randint(0, 6) if streaming else rng.choice((1, 1, 1, 1, 1, 2, 3, 0))
        returned = tuple(w.Returned(rng.choice(SIZES), self.few(2, 0.4)) for _ in range(max(count, 1)))
        resources = rng.choice(({"CPU": 1.0}, {"CPU": 1.0}, {"CPU": 1.0}, {"CPU": 0.5}, {}))
        if leaf and rng.random() < 0.15:
            resources = {"CPU": 1.0, "special": 1.0}
        raises = rng.choice(("",) * 14 + ("always", "first"))
        # What fails for other reasons, too, is not to be tried for ever.
        retries = rng.choice((3, 3, 3, 1, 0, -1)) if raises != "first" else rng.choice((1, 3))
        self.functions.append(
            w.RemoteFunction(
                number=number,
                body=body,
                returned=returned if not streaming or count else (),
                num_returns=-1 if streaming else count,
                resources=resources,
                retries=retries,
                raises=raises,
                gap_s=rng.choice((0.0, 0.0, 0.0, 0.002, 0.03)),
            )
        )
        self.costs.append(cost)

    def _body(self, *, leaf: bool, method: bool) -> tuple[tuple[w.Operation, ...], int]:
        """Operations, and how many tasks one call comes to."""
        rng = self.rng
        operations: list[w.Operation] = []
        cost = 1
        for _ in range(rng.choice((0, 1, 1, 2, 3, 4))):
            if not leaf and rng.random() < 0.5:
                callee = rng.randrange(len(self.functions))
                if cost + self.costs[callee] <= TASKS_OF_ONE_MAX:
                    cost += self.costs[callee]
                    operations.append(w.Call(callee, self.few(2), self.few(2, 0.4)))
                    continue
            operations.append(self._plain(method=method))
        return tuple(operations), cost

    def _plain(self, *, method: bool) -> w.Operation:
        """Something that tasks and methods do."""
        rng = self.rng
        makers: list[tuple[int, Callable[[], w.Operation]]] = [
            (5, lambda: w.Sleep(rng.choice((0.0002, 0.001, 0.003, 0.01, 0.02, 0.05)))),
            (4, lambda: w.Put(rng.choice(SIZES), self.few(2, 0.4))),
            (4, lambda: w.Get(self.few(3, 0.7) or (0,), keep=rng.random() < 0.6)),
            (1, lambda: w.Wait(self.few(3, 0.8) or (0,), rng.randint(1, 2), rng.choice((0.0, 0.01, 0.3)))),
            (2, lambda: w.Drop(rng.randrange(64))),
            (1, lambda: w.DropView(rng.randrange(64))),
            (1, lambda: w.Take(rng.randrange(64), rng.randint(1, 3))),
            (1, lambda: w.Method(rng.randrange(64), rng.randrange(64), self.few(1), self.few(2, 0.4))),
        ]
        if method:
            makers += [
                (3, lambda: w.Remember(rng.randrange(64))),
                (2, lambda: w.Recall(rng.randrange(64))),
                (1, lambda: w.Forget(rng.randrange(64))),
            ]
            if self.rough:
                makers.append((1, lambda: w.ExitActor()))
        if self.rough:
            makers.append((1, lambda: w.Cancel(rng.randrange(64), rng.random() < 0.2, rng.random() < 0.8)))
        return self._draw(makers)

    def _draw(self, makers: list[tuple[int, Callable[[], w.Operation]]]) -> w.Operation:
        dice = self.rng.randrange(sum(weight for weight, _ in makers))
        for weight, make in makers:
            dice -= weight
            if dice < 0:
                return make()
        raise AssertionError

    def _class(self, number: int) -> None:
        rng = self.rng
        first = len(self.functions)
        for offset in range(rng.randint(2, 3)):
            self._function(first + offset, leaf=rng.random() < 0.7, method=True)
        init = self.functions[first]
        raises = "" if rng.random() < 0.9 else init.raises
        body = tuple(op for op in init.body if not isinstance(op, w.ExitActor))
        self.functions[first] = w.RemoteFunction(first, body, raises=raises)
        detached = rng.random() < 0.2
        self.classes.append(
            w.ActorClass(
                number=number,
                init=first,
                methods=tuple(range(first + 1, len(self.functions))),
                restarts=rng.choice((0, 0, 1, 2, -1)),
                task_retries=rng.choice((0, 0, 1, -1)),
                concurrency=rng.choice((0, 0, 0, 1, 2)),
                detached=detached,
                name=rng.choice(NAMES) if detached or rng.random() < 0.25 else "",
                get_if_exists=rng.random() < 0.5,
                resources=rng.choice(({}, {}, {"special": 0.1})),
            )
        )

    def _driver_body(self) -> tuple[w.Operation, ...]:
        rng = self.rng
        operations: list[w.Operation] = []
        left = TASKS_OF_A_DRIVER_MAX
        tasks = [i for i in range(len(self.costs)) if not any(i in (c.init, *c.methods) for c in self.classes)]
        for _ in range(rng.randint(6, 34)):
            dice = rng.random()
            if dice < 0.5:
                callee = rng.choice(tasks)
                if self.costs[callee] <= left:
                    left -= self.costs[callee]
                    operations.append(w.Call(callee, self.few(3), self.few(2, 0.4)))
            elif self.classes and dice < 0.58:
                operations.append(w.Create(rng.randrange(len(self.classes)), self.few(1, 0.3), self.few(2, 0.4)))
            elif self.classes and dice < 0.75:
                operations.append(w.Method(rng.randrange(64), rng.randrange(64), self.few(2, 0.4), self.few(2)))
            elif self.classes and dice < 0.79:
                operations.append(self._about_actors())
            else:
                operations.append(self._of_a_driver())
        return tuple(operations)

    def _about_actors(self) -> w.Operation:
        rng = self.rng
        makers: list[tuple[int, Callable[[], w.Operation]]] = [
            (2, lambda: w.DropHandle(rng.randrange(64))),
            (2, lambda: w.Find(rng.choice(NAMES))),
        ]
        if self.rough:
            makers.append((2, lambda: w.Kill(rng.randrange(64), rng.random() < 0.6)))
        return self._draw(makers)

    def _of_a_driver(self) -> w.Operation:
        rng = self.rng
        makers: list[tuple[int, Callable[[], w.Operation]]] = [
            (3, lambda: w.Put(rng.choice(SIZES), self.few(3, 0.5))),
            (4, lambda: w.Get(self.few(4, 0.7) or (0,), None, rng.random() < 0.6)),
            (1, lambda: w.Get(self.few(4, 0.7) or (0,), rng.choice((0.0, 0.005, 0.1)), rng.random() < 0.5)),
            (2, lambda: w.Wait(self.few(5, 0.8) or (0,), rng.randint(1, 4), rng.choice((None, 0.0, 0.01, 0.2)))),
            (4, lambda: w.Drop(rng.randrange(64))),
            (2, lambda: w.DropView(rng.randrange(64))),
            (2, lambda: w.Sleep(rng.choice((0.0005, 0.01, 0.06, 0.4)))),
            (2, lambda: w.Take(rng.randrange(64), rng.randint(1, 4))),
            (1, lambda: w.Close(rng.randrange(64))),
        ]
        if self.rough:
            makers.append((2, lambda: w.Cancel(rng.randrange(64), rng.random() < 0.25, rng.random() < 0.8)))
        return self._draw(makers)

    # -- the cluster and its faults

    def _limits(self) -> w.Limits:
        rng = self.rng
        return w.Limits(
            cpus=rng.choice((1.0, 2.0, 2.0, 3.0)),
            store_bytes=16384 if self.small_store else 1 << 20,
            batch_tasks_max=rng.choice((2000, 2000, 3)),
            result_cache_bytes=rng.choice((1 << 22, 1 << 22, 30)),
            lease_idle_s=rng.choice((0.2, 0.2, 0.02)),
            worker_idle_s=rng.choice((60.0, 60.0, 0.3)),
            wild=rng.choice((0.0, 0.3, 1.0)),
        )

    def _faults(self) -> tuple[w.Fault, ...]:
        rng = self.rng
        faults: list[w.Fault] = []
        for _ in range(rng.randint(1, 6)):
            kind = rng.choice(
                ("worker", "worker", "worker", "worker", "worker", "worker", "driver", "gcs", "gcs", "store-away",
                 "stall", "stall", "no-segment", "no-fork")
            )  # fmt: skip
            if rng.random() < 0.02:
                kind = "node"
            lasting = rng.choice((0.001, 0.05, 0.3, 1.2))
            if rng.random() < 0.6:
                nth = rng.randint(1, rng.choice((3, 30)))
                faults.append(w.Fault(kind, 0.0, rng.choice(MESSAGES), nth, rng.randrange(64), lasting))
            else:
                faults.append(w.Fault(kind, 0.01 + rng.random() ** 2 * 0.4, "", 1, rng.randrange(64), lasting))
        return tuple(faults)

    def _with_extras(self, plan: w.Plan) -> w.Plan:
        """What came later: each part has dice of its own, so that all else stays as it was."""
        for extra in EXTRAS:
            name = extra.__name__.strip("_")
            plan = extra(plan, Random(f"{name} of {self.seed} {self.with_faults}"))
        return plan

    def _resizes(self) -> tuple[w.Fault, ...]:
        """The node gets more or fewer CPUs, which is no fault: nothing may fail for it."""
        rng = Random(f"resizes of {self.seed} {self.with_faults}")  # of its own, so that all else stays as it was
        if rng.random() > 0.3:
            return ()
        times = sorted(0.005 + rng.random() ** 2 * 0.4 for _ in range(rng.randint(1, 4)))
        return tuple(w.Fault("resize", at_s, which=rng.randint(0, 4)) for at_s in times)

    def _deeds(self) -> tuple[w.Deed, ...]:
        """Somebody else cancels, kills and frees."""
        rng = Random(f"deeds of {self.seed} {self.with_faults}")  # of its own, so that all else stays as it was
        if not self.rough or rng.random() > 0.4:
            return ()
        actions = ("cancel", "cancel", "cancel", "kill_actor", "free", "free")
        times = sorted(0.01 + rng.random() ** 2 * 0.3 for _ in range(rng.choice((1, 2, 3, 5, 25))))
        return tuple(w.Deed(rng.choice(actions), at_s, rng.randrange(1 << 16)) for at_s in times)


# -- what came later


def _paced(plan: w.Plan, rng: Random) -> w.Plan:
    """Generators with back-pressure. They take no CPU: who waits for it may be who is to take the items."""
    methods = {number for cls in plan.classes for number in (cls.init, *cls.methods)}
    functions = tuple(
        replace(function, backpressure=rng.randint(1, 3), resources={})
        if function.num_returns < 0 and function.number not in methods and rng.random() < 0.5
        else function
        for function in plan.functions
    )
    return replace(plan, functions=functions)


def _with_limits_of_calls(plan: w.Plan, rng: Random) -> w.Plan:
    """Actors with ``max_pending_calls``."""
    classes = tuple(
        replace(cls, pending_max=rng.choice((0, 1, 2, 4))) if rng.random() < 0.2 else cls for cls in plan.classes
    )
    return replace(plan, classes=classes)


def _with_concurrency_groups(plan: w.Plan, rng: Random) -> w.Plan:
    """Actors with concurrency groups."""
    classes, functions = list(plan.classes), list(plan.functions)
    for at, cls in enumerate(classes):
        if rng.random() < 0.25:
            groups = {name: rng.choice((1, 1, 2)) for name in ("io", "compute")[: rng.randint(1, 2)]}
            classes[at] = replace(cls, groups=groups)
            for number in cls.methods:
                functions[number] = replace(functions[number], group=rng.choice(("", *groups)))
    return replace(plan, classes=tuple(classes), functions=tuple(functions))


def _with_placement_groups(plan: w.Plan, rng: Random) -> w.Plan:
    """Drivers make placement groups and use them. The node has CPUs for all of them beside those that it had."""
    if rng.random() > 0.25:
        return plan
    cpus = 0.0
    drivers = [list(threads) for threads in plan.drivers]
    for _ in range(rng.randint(1, 3)):
        threads = rng.choice(drivers)
        position = rng.randrange(len(threads))
        bundles = tuple(rng.choice((0.5, 1.0, 1.0, 2.0)) for _ in range(rng.randint(1, 3)))
        cpus += sum(bundles)
        threads[position] = _uses_group(threads[position], bundles, rng)
    faults = list(plan.faults)
    if any(fault.kind != "resize" for fault in faults):
        for _ in range(rng.choice((0, 1, 2))):
            kind = rng.choice(("gcs", "gcs", "worker", "driver", "store-away"))
            lasting = rng.choice((0.001, 0.05, 0.3, 1.2))
            after = rng.choice(GROUP_MESSAGES)
            faults.append(w.Fault(kind, after=after, nth=rng.randint(1, 3), which=rng.randrange(64), lasting_s=lasting))
    limits = replace(plan.limits, cpus=plan.limits.cpus + cpus)
    faults = [replace(one, which=one.which + int(cpus)) if one.kind == "resize" else one for one in faults]
    return replace(plan, drivers=tuple(map(tuple, drivers)), limits=limits, faults=tuple(faults))


def _uses_group(body: tuple[w.Operation, ...], bundles: tuple[float, ...], rng: Random) -> tuple[w.Operation, ...]:
    """A driver's course that makes a group, runs some of what follows in it, and perhaps removes it."""
    begin = rng.randrange(len(body) + 1)
    end = rng.randrange(begin, len(body) + 1) if rng.random() < 0.5 else len(body)
    strategy = rng.choice(("PACK", "PACK", "SPREAD", "STRICT_PACK"))
    changed: list[w.Operation] = [*body[:begin], w.CreateGroup(bundles, strategy)]
    for operation in body[begin:end]:
        inside = isinstance(operation, w.Call | w.Create) and rng.random() < 0.6
        place = w.Place(rng.randrange(64), rng.choice((-1, rng.randrange(64))))
        changed.append(replace(operation, place=place) if inside else operation)
    if end < len(body):
        changed.append(w.RemoveGroup(rng.randrange(64)))
    return (*changed, *body[end:])


def _with_nodes(plan: w.Plan, rng: Random) -> w.Plan:
    """More nodes join, some of which die or leave."""
    if rng.random() > 0.3:
        return plan
    small = plan.limits.store_bytes
    nodes = tuple(
        w.Joining(
            at_s=rng.choice((0.0, 0.0, 0.05, 0.2)) * rng.random(),
            cpus=rng.choice((1.0, 2.0, 3.0)),
            special=rng.choice((0.0, 2.0)),
            store_bytes=rng.choice((small, small, 16384)),
            spills=rng.random() < 0.5,
        )
        for _ in range(rng.choice((1, 1, 2, 3)))
    )
    faults = list(plan.faults)
    if any(fault.kind != "resize" for fault in faults):
        for _ in range(rng.choice((0, 1, 1, 2))):
            kind = rng.choice(("far-node", "far-node", "far-node", "leave"))
            if rng.random() < 0.6:
                faults.append(
                    w.Fault(kind, after=rng.choice(NODE_MESSAGES), nth=rng.randint(1, 12), which=rng.randrange(64))
                )
            else:
                faults.append(w.Fault(kind, at_s=0.02 + rng.random() ** 2 * 0.5, which=rng.randrange(64)))
    return replace(plan, nodes=nodes, faults=tuple(faults))


def _spilling(plan: w.Plan, rng: Random) -> w.Plan:
    """A disk for what the store has no room for."""
    return replace(plan, limits=replace(plan.limits, spills=rng.random() < 0.5))


def _with_bad_disks(plan: w.Plan, rng: Random) -> w.Plan:
    """What has gone to disk does not come back as it was."""
    spills = plan.limits.spills or any(node.spills for node in plan.nodes)
    if not spills or all(fault.kind == "resize" for fault in plan.faults) or rng.random() < 0.4:
        return plan
    rot = [
        w.Fault("rot", after=rng.choice(("SealObjects", "TasksDone", "PushTasks")), nth=rng.randint(2, 20), which=which)
        if rng.random() < 0.5
        else w.Fault("rot", at_s=0.01 + rng.random() ** 2 * 0.4, which=which)
        for which in (rng.randrange(256) for _ in range(rng.randint(2, 6)))
    ]
    return replace(plan, faults=(*plan.faults, *rot))


def _with_groups_that_lose_a_node(plan: w.Plan, rng: Random) -> w.Plan:
    """Actors that may be started again, in the bundles of a group that is spread over nodes, one of which is lost."""
    if not (plan.nodes and plan.classes) or not any(f.kind in ("far-node", "leave") for f in plan.faults):
        return plan
    if rng.random() > 0.5:
        return plan
    number = rng.randrange(len(plan.classes))
    classes = list(plan.classes)
    lives = replace(classes[number], restarts=rng.choice((1, 3, -1)), task_retries=rng.choice((0, 2, -1)), resources={})
    classes[number] = lives
    size = rng.randint(2, len(plan.nodes) + 2)
    drivers = [list(threads) for threads in plan.drivers]
    threads = drivers[rng.randrange(len(drivers))]
    bundles = (0.5,) * size
    group, method = rng.randrange(64), rng.randrange(64)
    # It is the first of its driver, so any number means it.
    begin: list[w.Operation] = [w.CreateGroup(bundles, rng.choice(("SPREAD", "SPREAD", "PACK")))]
    begin += [w.Create(number, (), (), place=w.Place(group, rng.choice((-1, index)))) for index in range(size)]
    for _ in range(rng.randint(2, 5)):
        begin += [w.Method(rng.randrange(64), method, (), ()) for _ in range(size)]
        begin.append(rng.choice((w.Sleep(rng.choice((0.01, 0.1, 0.4))), w.Get((rng.randrange(64),)))))
    threads[0] = (*begin, *threads[0])
    limits = replace(plan.limits, cpus=plan.limits.cpus + sum(bundles))
    return replace(plan, classes=tuple(classes), drivers=tuple(map(tuple, drivers)), limits=limits)


EXTRAS = (
    _paced,
    _with_limits_of_calls,
    _with_concurrency_groups,
    _with_placement_groups,
    _spilling,
    _with_nodes,
    _with_bad_disks,
    _with_groups_that_lose_a_node,
)


def make_plan(seed: int, *, faults: bool) -> w.Plan:
    """The plan of a seed."""
    return Maker(seed, faults).plan()
