"""The GCS's machine with a store in memory, driven by lines of text; its effects as lines of text.

The language of ``scenarios/gcs/*.txt``: a line at the left margin is an event, indented lines are what came of it.
Names stand for addresses and ids (``d`` a driver, ``w1`` a worker, ``a1`` an actor, ``n1`` a node and its manager).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import msgspec

from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.gcs import GcsMachine
from raynb.runtime.core.gcs_effects import (
    ForgetPeer,
    Loaded,
    Persist,
    Persisted,
    PersistFailed,
    ProcessEnded,
    Say,
    StoreLost,
    WatchProcess,
    Write,
)
from raynb.runtime.messages import Config, Message, decode, encode
from raynb.runtime.messages import gcs as g
from raynb.runtime.messages import node as n
from raynb.runtime.messages.acts import ActRequest
from raynb.runtime.messages.tasks import ContextDef, FunctionDef
from raynb.runtime.messages.values import Failed

IGNORED_FIELDS = {"request", "cls", "args", "buffers", "deps", "context", "resources", "in_order", "max_concurrency"}


class Harness:
    """A machine and its store.

    Attributes
    ----------
    held
        Writes that the store has not confirmed; None while it confirms each at once.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.now = 100.0
        self.epoch = 0
        self.rows: dict[tuple[str, bytes], bytes] = {}
        self.held: list[Persist] | None = None
        self.damaged: list[str] = []
        self.sent: list[Send] = []
        self.start()

    def start(self) -> list[Any]:
        """A GCS begins with what the store holds."""
        self.epoch += 1
        if self.held:
            self.held.clear()  # what was not confirmed may be lost
        self.machine = GcsMachine(self.epoch, self.config, 0.0, "here")
        rows = [(table, key, value) for (table, key), value in self.rows.items()]
        return self.handle(Loaded(rows, self.damaged))

    def handle(self, event: object) -> list[Any]:
        """One event, and what the store answers to it; all effects."""
        done: list[Any] = []
        effects = self.machine.handle(event, self.now)
        while effects:
            effect = effects.pop(0)
            done.append(effect)
            if isinstance(effect, Send):
                self.sent.append(effect)
            if isinstance(effect, Persist):
                if self.held is None:
                    effects = [*self.machine.handle(self.write(effect), self.now), *effects]
                else:
                    self.held.append(effect)
        self.machine.check()
        return done

    def write(self, persist: Persist) -> Persisted:
        for write in persist.writes:
            if write.value is None:
                self.rows.pop((write.table, write.key), None)
            else:
                self.rows[write.table, write.key] = write.value
        return Persisted(persist.token)

    def release(self) -> list[Any]:
        """The store confirms all that it was given."""
        held, self.held = self.held or [], None
        done: list[Any] = []
        for persist in held:
            done += self.handle(self.write(persist))
        return done

    def receive(self, sender: str, message: Message) -> list[Any]:
        """A message, as it comes over the wire."""
        return self.handle(Received(sender, decode(encode(message))))

    def tick(self, seconds: float) -> list[Any]:
        """Time passes, in steps as a host makes them."""
        done: list[Any] = []
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            done += self.handle(Tick())
        return done


def job_id(name: str) -> bytes:
    return name.encode().ljust(4, b".")


def actor_id(name: str, job: str = "j1") -> bytes:
    return name.encode().ljust(12, b".") + job_id(job)


def node_id(name: str) -> bytes:
    return name.encode().ljust(28, b".")


def name_of(identifier: bytes) -> str:
    """The name that an id was made of."""
    return identifier[:12].split(b".")[0].decode(errors="replace")


def creation(owner: str, name: str, job: str = "j1", cpus: float = 1.0) -> n.StartActor:
    return n.StartActor(
        actor_id(name, job), 0, FunctionDef(0, b"f" * 16, "Counter", b""), b"", None, None,
        ContextDef(0, job_id(job), "space", owner), {"CPU": cpus}, owner,
    )  # fmt: skip


class Scenario:
    """Reads events as text, and tells effects as text."""

    def __init__(self) -> None:
        self.harness = Harness()
        self.request = 0
        self.commands: dict[str, Callable[[list[str], dict[str, str]], list[Any]]] = {
            name.removeprefix("do_"): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    def run(self, text: str) -> str:
        """The whole text with its effects as they are."""
        lines: list[str] = []
        for line in text.splitlines():
            if line.startswith("  "):
                continue
            lines.append(line)
            if line and not line.startswith("#"):
                lines += [f"  {told}" for told in map(tell, self.do(line)) if told]
        return "\n".join(lines) + "\n"

    def do(self, line: str) -> list[Any]:
        words = shlex.split(line)
        plain = [word for word in words[1:] if "=" not in word]
        named = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        return self.commands[words[0]](plain, named)

    def number(self, named: dict[str, str]) -> int:
        self.request += 1
        return int(named.get("request", self.request))

    # -- events

    def do_node(self, words: list[str], named: dict[str, str]) -> list[Any]:
        (name,) = words
        living = []
        for entry in filter(None, named.get("actors", "").split(",")):
            actor, incarnation, worker = entry.split(":")
            living.append((actor_id(actor), int(incarnation), worker))
        processes = named["processes"].split(",") if "processes" in named else []
        message = g.RegisterNode(
            node_id(name), name, 1, named.get("host", "here"), "127.0.0.1", name == "n1",
            {"CPU": float(named.get("cpus", 2))}, {}, 1.0, living, [p for p in processes if p],
        )  # fmt: skip
        return self.harness.receive(name, message)

    def do_status(self, words: list[str], named: dict[str, str]) -> list[Any]:
        free = {"CPU": float(named.get("free", 2))}
        return self.harness.receive(words[0], n.NodeStatus(node_id(words[0]), free, 0, 0, 0, 0, {}))

    def do_worker(self, words: list[str], named: dict[str, str]) -> list[Any]:
        manager, worker = words
        actor = actor_id(named["actor"]) if "actor" in named else b""
        listing = n.WorkerListing(worker.encode(), worker, 7, "worker", named.get("state", "idle"), actor)
        return self.harness.receive(manager, n.WorkerTable(node_id(manager), [listing]))

    def do_died(self, words: list[str], named: dict[str, str]) -> list[Any]:
        manager, process, *flags = words
        message = n.ProcessDied(
            process, named.get("kind", "worker"), 7, named.get("reason", "killed by SIGKILL"),
            intended="intended" in flags, actor_id=actor_id(named["actor"]) if "actor" in named else b"",
            incarnation=int(named.get("incarnation", 0)),
        )  # fmt: skip
        return self.harness.receive(manager, message)

    def do_ended(self, words: list[str], named: dict[str, str]) -> list[Any]:
        return self.harness.handle(ProcessEnded(words[0], 1, "its process has ended"))

    def do_job(self, words: list[str], named: dict[str, str]) -> list[Any]:
        driver, job = words
        message = g.RegisterJob(self.number(named), job_id(job), driver, 5, "space", "script.py", 1.0)
        return self.harness.receive(driver, message)

    def do_finish(self, words: list[str], named: dict[str, str]) -> list[Any]:
        sender, job = words
        return self.harness.receive(sender, g.FinishJob(job_id(job), int(named.get("request", 0))))

    def do_create(self, words: list[str], named: dict[str, str]) -> list[Any]:
        sender, name, *flags = words
        start = creation(named.get("owner", sender), name, named.get("job", "j1"), float(named.get("cpus", 1)))
        message = g.CreateActor(
            self.number(named), start, named.get("name", ""), named.get("namespace", "space"), "detached" in flags,
            int(named.get("max_restarts", 0)), 0, "Counter", b"", get_if_exists="get_if_exists" in flags,
            failure=Failed("ActorDiedError", named["failed"]) if "failed" in named else None, awaits="awaits" in flags,
            revival=int(named.get("revival", 0)), follows=[n for n in named.get("follows", "").split(",") if n],
        )  # fmt: skip
        return self.harness.receive(sender, message)

    def do_started(self, words: list[str], named: dict[str, str]) -> list[Any]:
        worker, actor = words
        failure = Failed("ActorDiedError", named["failed"]) if "failed" in named else None
        message = g.ActorStarted(
            actor_id(actor), int(named.get("incarnation", 0)), worker, 7, node_id(named.get("node", "n1")), failure
        )
        return self.harness.receive(worker, message)

    def do_cannot_start(self, words: list[str], named: dict[str, str]) -> list[Any]:
        manager, actor = words
        failure = Failed(named["kind"], named["message"])
        message = n.ActorStartFailed(actor_id(actor), int(named.get("incarnation", 0)), failure)
        return self.harness.receive(manager, message)

    def do_watch(self, words: list[str], named: dict[str, str]) -> list[Any]:
        watcher, actor = words
        return self.harness.receive(watcher, g.WatchActor(actor_id(actor), named.get("owner", "")))

    def do_kill(self, words: list[str], named: dict[str, str]) -> list[Any]:
        sender, actor, *flags = words
        reason = named.get("reason", "killed")
        number, revival = self.number(named), int(named.get("revival", 0))
        message = g.KillActor(actor_id(actor), "restart" not in flags, reason, number, revival=revival)
        return self.harness.receive(sender, message)

    def do_named(self, words: list[str], named: dict[str, str]) -> list[Any]:
        sender, name = words
        return self.harness.receive(sender, g.NamedActor(self.number(named), name, named.get("namespace", "space")))

    def do_put(self, words: list[str], named: dict[str, str]) -> list[Any]:
        sender, key, value, *flags = words
        message = g.KvPut(self.number(named), key.encode(), value.encode(), "keep" not in flags)
        return self.harness.receive(sender, message)

    def do_get(self, words: list[str], named: dict[str, str]) -> list[Any]:
        return self.harness.receive(words[0], g.KvGet(self.number(named), words[1].encode()))

    def do_delete(self, words: list[str], named: dict[str, str]) -> list[Any]:
        return self.harness.receive(words[0], g.KvDelete(self.number(named), words[1].encode()))

    def do_list(self, words: list[str], named: dict[str, str]) -> list[Any]:
        return self.harness.receive(words[0], g.KvKeys(self.number(named), words[1].encode()))

    def do_act(self, words: list[str], named: dict[str, str]) -> list[Any]:
        sender, action, target = words
        return self.harness.receive(sender, ActRequest(self.number(named), action, target))

    def do_reply(self, words: list[str], named: dict[str, str]) -> list[Any]:
        sender, number, *data = words
        error = Failed("ValueError", named["error"]) if "error" in named else None
        return self.harness.receive(sender, g.Reply(int(number), "".join(data).encode(), error))

    def do_tick(self, words: list[str], named: dict[str, str]) -> list[Any]:
        return self.harness.tick(float(words[0]))

    def do_sleep(self, words: list[str], named: dict[str, str]) -> list[Any]:
        """The GCS itself does not run for so long."""
        self.harness.now += float(words[0])
        return self.harness.handle(Tick())

    def do_hold(self, words: list[str], named: dict[str, str]) -> list[Any]:
        self.harness.held = []
        return []

    def do_release(self, words: list[str], named: dict[str, str]) -> list[Any]:
        return self.harness.release()

    def do_confirm(self, words: list[str], named: dict[str, str]) -> list[Any]:
        """The store has written the first of what it was given."""
        assert self.harness.held
        return self.harness.handle(self.harness.write(self.harness.held.pop(0)))

    def do_refuse(self, words: list[str], named: dict[str, str]) -> list[Any]:
        assert self.harness.held
        token = self.harness.held.pop(0).token
        return self.harness.handle(PersistFailed(token, "no space left on device"))

    def do_lost(self, words: list[str], named: dict[str, str]) -> list[Any]:
        self.harness.rows.clear()
        return self.harness.handle(StoreLost("its file was cut off"))

    def do_damage(self, words: list[str], named: dict[str, str]) -> list[Any]:
        """A row is cut in two."""
        table, name = words
        for key in [k for k in self.harness.rows if k[0] == table and name_of(k[1]) == name]:
            self.harness.rows[key] = self.harness.rows[key][:3]
        return []

    def do_restart(self, words: list[str], named: dict[str, str]) -> list[Any]:
        return self.harness.start()


def tell(effect: Any) -> str:
    """An effect in a line."""
    match effect:
        case Send(to, message):
            return f"to {to}: {tell_message(message)}"
        case Persist(_, writes):
            return f"store: {', '.join(map(tell_write, writes))}"
        case ForgetPeer(address):
            return f"forget {address}"
        case WatchProcess(address):
            return f"watch the process of {address}"
        case Say(level, text):
            return f"{level}: {text}"
    raise TypeError(effect)


def tell_write(write: Write) -> str:
    key = name_of(write.key)
    if write.value is None:
        return f"no {write.table} {key}"
    if write.table == "actor_lives":
        state, incarnation, node = msgspec.msgpack.decode(write.value)[:3]
        place = f" on {name_of(node)}" if node else ""
        return f"{write.table} {key} {state} #{incarnation}{place}"
    if write.table == "jobs":
        return f"{write.table} {key} {msgspec.msgpack.decode(write.value)[6]}"
    if write.table == "nodes":
        return f"{write.table} {key} {msgspec.msgpack.decode(write.value)[1]}"
    return f"{write.table} {key}"


def tell_message(message: Any) -> str:
    kind = type(message).__name__
    match message:
        case g.Reply(request, data, error):
            if error is not None:
                return f"Reply {request}: {error.kind}: {error.message}"
            return f"Reply {request}{tell_data(data)}"
        case g.ActorState(actor, state, incarnation, worker, failure):
            where = f" in {worker}" if worker else ""
            how = " revivable" if message.revivable else ""
            return f"ActorState {name_of(actor)} {state}{how} #{incarnation}{where}{tell_failure(failure)}"
        case n.StartActor(actor, incarnation):
            return f"StartActor {name_of(actor)} #{incarnation}"
        case n.KillWorker(worker, reason, actor, incarnation):
            what = f" {name_of(actor)} #{incarnation}" if actor else ""
            return f"KillWorker {worker or '?'}{what} ({reason})"
        case n.ProcessDied(address, process, _, reason):
            return f"ProcessDied {process} {address} ({reason})"
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    return " ".join([kind, *(f"{name}={value}" for name, value in fields.items())])


def tell_data(data: bytes) -> str:
    if b"\x90" <= data[:1] < b"\xa0":  # a list of keys
        return f": [{', '.join(key.decode() for key in msgspec.msgpack.decode(data))}]"
    if len(data) < 20:
        return f" {data.decode()}" if data else ""
    found = msgspec.msgpack.decode(data)
    return f": {name_of(found['actor_id'])} {found['state']}"


def tell_failure(failure: Failed | None) -> str:
    return f"; {failure.kind}: {failure.message}" if failure is not None else ""
