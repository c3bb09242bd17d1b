"""The command line against a real cluster."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import yaml

from raynb.runtime.adapters.launch import read_cluster_info
from raynb.runtime.adapters.processes import is_alive
from raynb.runtime.adapters.registry import find
from tests.support.leaks import processes_of, shared_memory_of
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until

COMMAND = [sys.executable, "-c", "from raynb.runtime.cli import main; main()"]
PROGRAM = """
import os, sys, time
import raynb
raynb.init(address="demo")

@raynb.remote
def square(x):
    return x * x

@raynb.remote
def fail():
    raise ValueError("\\x1b[31mred\\x1b[0m")

@raynb.remote
class Counter:
    def increment(self):
        return 1

counter = Counter.options(name="counter", runtime_env={"env_vars": {"COUNTS": "yes"}}).remote()
kept = raynb.put(b"x" * 1000)
raynb.get([square.remote(n) for n in range(7)] + [counter.increment.remote()])
try:
    raynb.get(fail.remote())
except ValueError:
    pass
print("ready", flush=True)
sys.stdin.read()
"""


class Terminal:
    """A shell whose clusters nobody else sees."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="raynb-"))
        self.env = {
            **os.environ,
            "TMPDIR": str(self.home),
            "JUPYTER_RUNTIME_DIR": str(self.home / "jupyter"),
        }
        self.env.pop("RAYNB_REDIS_URL", None)

    def run(self, *arguments: str, timeout: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env={**self.env, **env})

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))

    def close(self) -> None:
        self.run("stop", "--all", "--timeout", "5")
        shutil.rmtree(self.home)


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.fixture(scope="module")
def busy(terminal: Terminal) -> Iterator[Terminal]:
    """A terminal on a machine where the cluster `demo` has run a small program, which is there still."""
    out = terminal.ok("start", "--head", "--name", "demo", "--num-cpus", "2", "--resources", '{"gold": 1.5}')
    assert "raynb.init(address='demo')" in out and "1.5 gold" in out
    assert "start --address='demo'" in out, "programs look for the address there, as Ray writes it"
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=terminal.env
    )
    try:
        assert program.stdout is not None and program.stdout.readline() == b"ready\n"
        wait_until(lambda: terminal.json("status")[0]["tasks"]["finished"] >= 8, what="rows of all tasks")
        yield terminal
    finally:
        program.communicate(timeout=20)


def test_help_loads_no_socket_and_no_table() -> None:
    code = (
        "import sys\nsys.argv = ['raynb', '--help']\nfrom raynb.runtime.cli import main\n"
        "try: main()\nexcept SystemExit: pass\nprint(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    named = ("start", "stop", "status", "list", "get", "summary", "memory", "logs", "timeline", "microbenchmark")
    for command in named:
        assert f"\n  {command} " in done.stdout
    loaded = set(json.loads(done.stdout.splitlines()[-1].replace("'", '"')))
    assert "typer" in loaded
    assert not loaded & {"zmq", "rich", "msgspec", "numpy", "redis", "IPython", "raynb.runtime.adapters"}


def test_without_a_cluster_everything_says_so(terminal: Terminal) -> None:
    quiet = Terminal()
    try:
        assert "No cluster is running" in quiet.ok("status")
        assert quiet.json("status") == []
        assert "No cluster is running" in quiet.ok("stop", "--all")
        asking = ["stop", "list tasks", "get tasks 00", "summary tasks", "summary actors", "memory", "logs", "timeline"]
        for command in map(str.split, asking):
            done = quiet.run(*command)
            assert done.returncode == 1
            assert "no raynb cluster is running" in done.stderr and "Traceback" not in done.stderr
    finally:
        quiet.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["start"], "either --head"),
        (["start", "--head", "--address", "demo"], "either --head"),
        (["start", "--address", "nobody"], "nobody"),
        (["start", "--address", "demo", "--name", "mine"], "go with --head"),
        (["start", "--head", "--labels", "zone"], "key=value"),
        (["start", "--head", "--resources", "{gold}"], "not JSON"),
        (["start", "--head", "--resources", '{"gold": true}'], "must be a number"),
        (["start", "--head", "--resources", "[1]"], "must be an object"),
        (["start", "--head", "--resources", '{"CPU": 1}'], "'CPU' cannot be a custom resource: use --num-cpus"),
        (["start", "--head", "--labels", '{"zone": 1}'], 'The value of "zone" is not string type'),
        (["start", "--head", "--labels", '{"ray.io/zone": "a"}'], "cannot start with the prefix `ray.io/`"),
        (["start", "--head", "--labels-file", "/nowhere.yaml"], "/nowhere.yaml"),
        (["start", "--head", "--system-config", "{"], "not JSON"),
        (["start", "--head", "--system-config", '{"no_such_limit": 1}'], "no_such_limit"),
        (["start", "--head", "--redis", "redis://me:secret@host"], "RAYNB_REDIS_URL"),
        (["start", "--head", "--num-cpus", "-1"], "num-cpus"),
        (["list", "secrets"], "secrets"),
        (["list", "tasks", "--filter", "state"], "neither FIELD=VALUE"),
        (["stop", "nobody"], "nobody"),
    ],
)
def test_what_cannot_be_is_told_in_words(terminal: Terminal, arguments: list[str], words: str) -> None:
    done = terminal.run(*arguments)
    assert done.returncode != 0
    assert words in done.stderr and "Traceback" not in done.stderr
    assert "secret@" not in done.stderr


def test_status_shows_what_a_cluster_has_and_does(busy: Terminal) -> None:
    (status,) = busy.json("status", "demo")
    assert status["name"] == "demo" and status["error"] == ""
    assert status["cpus"]["total"] == 2.0 and status["resources"]["total"]["gold"] == 1.5
    assert status["nodes"] == 1 and status["drivers"] == 1 and status["actors"]["alive"] == 1
    assert (status["tasks"]["finished"], status["tasks"]["failed"]) >= (8, 1)
    assert status["store"]["capacity_bytes"] > 0 and status["memory"]["total_bytes"] > 0
    header, line = busy.ok("status").splitlines()
    assert header.split() == ["CLUSTER", "PID", "UP", "NODES", "CPU", "MEMORY", "STORE", "TASKS", "ACTORS", "DRIVERS"]
    assert line.startswith("demo (") and "1 alive" in line


def test_lists_have_rays_fields_filters_and_limits(busy: Terminal) -> None:
    squares = busy.json("list", "tasks", "-f", "func_or_class_name=square", "-f", "state!=FAILED")
    assert len(squares) == 7 and {row["state"] for row in squares} == {"FINISHED"}
    limited = busy.run("list", "tasks", "--limit", "3", "--json")
    assert len(json.loads(limited.stdout)) == 3 and "3 of " in limited.stderr
    (failed,) = busy.json("list", "tasks", "-f", "state=FAILED", "--detail")
    assert failed["error_type"] == "TASK_EXECUTION_EXCEPTION" and "red" in failed["error_message"]
    (actor,) = busy.json("list", "actors")
    assert (actor["class_name"], actor["state"], actor["name"]) == ("Counter", "ALIVE", "counter")
    assert [node["state"] for node in busy.json("list", "nodes")] == ["ALIVE"]
    assert {row["worker_type"] for row in busy.json("list", "workers")} == {"WORKER", "DRIVER"}
    assert [job["status"] for job in busy.json("list", "jobs")] == ["RUNNING"]
    assert any(row["object_size"] >= 1000 for row in busy.json("list", "objects"))


def test_the_summary_counts_by_function(busy: Terminal) -> None:
    rows = {row["func_or_class_name"]: row for row in busy.json("summary", "tasks")["rows"]}
    assert rows["square"]["state_counts"] == {"FINISHED": 7}
    assert rows["fail"]["state_counts"] == {"FAILED": 1}
    table = busy.ok("summary", "tasks").splitlines()
    assert table[0].split() == ["FUNCTION", "TYPE", "FINISHED", "FAILED"]
    assert ["square", "NORMAL_TASK", "7", "0"] in [line.split() for line in table]


def test_actors_and_objects_are_counted_too(busy: Terminal) -> None:
    assert busy.json("summary", "actors") == [{"class_name": "Counter", "state_counts": {"ALIVE": 1}}]
    assert busy.ok("summary", "actors").split() == ["CLASS", "ALIVE", "Counter", "1"]
    counted = busy.json("summary", "objects")
    assert sum(entry["total_objects"] for entry in counted.values()) >= 1
    assert "MADE AT" in busy.ok("summary", "objects")


def test_memory_tells_who_holds_what(busy: Terminal) -> None:
    rows = busy.json("memory")
    assert rows[0]["object_size"] == max(row["object_size"] for row in rows) >= 1000
    *lines, total, _, stores = busy.ok("memory", "--limit", "1").splitlines()
    assert lines[0].split() == ["OBJECT", "BYTES", "REFERENCE", "HELD", "BY", "PID", "MADE", "AT"]
    assert rows[0]["object_id"] in lines[1] and len(lines) == 2
    assert total.endswith("MiB.") and total.startswith(f"{len(rows)} objects")
    assert stores.startswith("Plasma memory usage 0 MiB, ")


def test_memory_is_sorted_and_summed_up_as_asked(busy: Terminal) -> None:
    pids = [row["pid"] for row in busy.json("memory", "--sort-by", "PID")]
    assert pids == sorted(pids)
    assert len(busy.json("memory", "--n", "1")) == 1
    assert busy.ok("memory", "--units", "KB").splitlines()[0].split()[:2] == ["OBJECT", "KB"]
    total, _, stores = busy.ok("memory", "--stats-only").splitlines()
    assert total.endswith("MiB.") and stores.startswith("Plasma memory usage 0 MiB, ")


def test_tables_have_rays_names_and_forms(busy: Terminal) -> None:
    assert "No placement groups." in busy.ok("list", "placement-groups")
    missing = busy.run("get", "placement-groups", "00" * 18)
    assert missing.returncode == 1 and "raynb list placement-groups" in missing.stderr
    assert json.loads(busy.ok("list", "actors", "--format", "json")) == busy.json("list", "actors")
    assert busy.ok("list", "actors", "--detail", "--format", "table", "--timeout", "20").startswith("ACTOR_ID")
    assert "demo" in busy.ok("status", "--address", "demo")


def test_lists_are_written_as_yaml(busy: Terminal) -> None:
    for table in (["actors", "--detail"], ["cluster-events"]):
        rows = yaml.safe_load(busy.ok("list", *table, "--format", "yaml"))
        assert rows and rows == busy.json("list", *table)


def test_what_has_happened_and_what_is_run_in_are_listed(busy: Terminal) -> None:
    (env,) = busy.json("list", "runtime-envs")
    assert (env["runtime_env"], env["ref_cnt"]) == ({"env_vars": {"COUNTS": "yes"}}, 1)
    assert "no ids" in busy.run("get", "runtime-envs", "0").stderr
    events = busy.json("list", "cluster-events", "--filter", "source_type=RAYLET")
    assert [event["severity"] for event in events] == ["INFO"] and "was added" in events[0]["message"]
    assert busy.json("get", "cluster-events", events[0]["event_id"]) == events
    (newest,) = busy.json("list", "cluster-events", "--limit", "1")
    assert newest == busy.json("list", "cluster-events")[-1]
    assert "no field" in busy.run("list", "cluster-events", "--filter", "who=me").stderr


def test_one_thing_is_shown_with_all_that_is_known_of_it(busy: Terminal) -> None:
    (actor,) = busy.json("list", "actors", "--detail")
    (found,) = busy.json("get", "actors", actor["actor_id"])
    assert found == actor
    assert "class_name" in busy.ok("get", "actors", actor["actor_id"])
    missing = busy.run("get", "actors", "00" * 16)
    assert missing.returncode == 1 and "raynb list actors" in missing.stderr and "Traceback" not in missing.stderr


def test_logs_are_listed_and_shown(busy: Terminal) -> None:
    listed = busy.ok("logs")
    assert "worker-w1.out" in listed and "BYTES" in listed.splitlines()[0]
    (actor,) = busy.json("list", "actors", "--detail")
    for whose in (["--actor", actor["actor_id"]], ["--pid", str(actor["pid"])]):
        assert busy.run("logs", *whose, "--err").returncode == 0
    task = busy.json("list", "tasks", "-f", "func_or_class_name=square", "--detail")[0]["task_id"]
    assert busy.run("logs", "--task", task, "--tail", "3").returncode == 0
    for wrong, words in (
        (["no.log"], "no log"),
        (["../cluster.json"], "no log"),
        (["--pid", "99999999"], "no process"),
        (["--task", task, "--pid", "1"], "name one log"),
    ):
        done = busy.run("logs", *wrong)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr


def test_the_timeline_is_a_chrome_trace(busy: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    assert "Wrote " in busy.ok("timeline", "-o", str(file))
    events = json.loads(file.read_text())
    squares = [event for event in events if event["ph"] == "X" and event["name"] == "square"]
    assert len(squares) == 7 and all(event["dur"] >= 0 for event in squares)


def test_text_of_others_cannot_drive_the_terminal(busy: Terminal) -> None:
    main, side = pty.openpty()
    command = [*COMMAND, "list", "tasks", "-f", "state=FAILED", "--detail"]
    process = subprocess.Popen(command, stdout=side, env={**busy.env, "COLUMNS": "200"})
    os.close(side)
    shown = b""
    try:
        while chunk := os.read(main, 65536):
            shown += chunk
    except OSError:  # the other side is closed
        pass
    os.close(main)
    assert process.wait(20) == 0
    assert b"red" in shown and b"\x1b[31mred" not in shown


def test_a_closed_pipe_is_nobodys_error_message(busy: Terminal) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, "list", "tasks"], stdout=write, stderr=subprocess.PIPE, env=busy.env)
    os.close(write)
    assert done.stderr == b""


def test_a_second_cluster_of_the_same_name_is_refused(busy: Terminal) -> None:
    done = busy.run("start", "--head", "--name", "demo")
    assert done.returncode == 1 and "stop it first" in done.stderr


def test_stop_waits_until_all_processes_are_gone() -> None:
    terminal = Terminal()
    try:
        terminal.ok("start", "--head", "--name", "first", "--num-cpus", "1")
        terminal.ok("start", "--head", "--name", "second", "--num-cpus", "1")
        clusters = {status["name"]: status for status in terminal.json("status")}
        assert clusters.keys() == {"first", "second"}
        ambiguous = terminal.run("stop")
        assert ambiguous.returncode == 1 and "first" in ambiguous.stderr and "second" in ambiguous.stderr
        assert "Stopped cluster 'first'" in terminal.ok("stop", "first")
        session = Path(clusters["first"]["session_dir"]).name
        assert not processes_of(session) and not shared_memory_of(session)

        # One whose node manager does not react is killed.
        second = clusters["second"]
        stop_process(second["pid"])
        assert terminal.run("status", "second").returncode == 0
        out = terminal.ok("stop", "second", "--timeout", "1")
        assert "was killed" in out
        session = Path(second["session_dir"]).name
        assert not processes_of(session) and not shared_memory_of(session)
        assert not Path(second["session_dir"]).exists()
        assert "No cluster is running" in terminal.ok("status")
    finally:
        terminal.close()


def test_a_start_that_blocks_ends_with_its_node() -> None:
    terminal = Terminal()
    try:
        refused = terminal.run("start", "--head", "--temp-dir", "relative")
        assert refused.returncode == 1 and "absolute" in refused.stderr
        files = terminal.home / "elsewhere"
        files.mkdir(mode=0o700)
        for name, how in (("asked", "SIGTERM"), ("stopped", "stop"), ("forced", "force")):
            command = [*COMMAND, "start", "--head", "--block", "--name", name, "--num-cpus", "1", "--temp-dir", files]
            blocked = subprocess.Popen(command, env=terminal.env, stdout=subprocess.PIPE, text=True)
            assert blocked.stdout is not None
            assert "Started cluster" in blocked.stdout.readline()
            (status,) = terminal.json("status", name)
            assert Path(status["session_dir"]).is_relative_to(files)
            assert blocked.poll() is None
            if how == "SIGTERM":
                blocked.terminate()
            else:
                out = terminal.ok("stop", name, *(["--force"] if how == "force" else ["--grace-period", "20"]))
                assert ("It was killed." in out) == (how == "force")
            blocked.communicate(timeout=30)
            assert blocked.returncode == 0
            wait_until(lambda pid=status["pid"]: not is_alive(pid), 20)  # type: ignore[misc]
    finally:
        terminal.close()


def test_a_cluster_is_started_that_serves_metrics() -> None:
    terminal = Terminal()
    try:
        started = terminal.ok("start", "--head", "--num-cpus", "1", "--name", "seen", "--metrics-export-port", "0")
        (url,) = re.findall(r"Its metrics:  (http://127.0.0.1:\d+/metrics)\n", started)
        with urlopen(url, timeout=30) as answer:
            assert b"\nray_cluster_active_nodes 1\n" in answer.read()
        port = urlsplit(url).port
        refused = terminal.run("start", "--head", "--name", "late", "--metrics-export-port", str(port))
        assert refused.returncode == 1 and "can't be served" in refused.stderr and "Traceback" not in refused.stderr
        assert [cluster["name"] for cluster in terminal.json("status")] == ["seen"]
    finally:
        terminal.close()


def test_a_node_joins_a_cluster_and_is_stopped_with_it() -> None:
    terminal = Terminal()
    try:
        terminal.ok("start", "--head", "--name", "wide", "--num-cpus", "1")
        out = terminal.ok("start", "--address", "wide", "--num-cpus", "2", "--labels", "zone=far")
        assert "of cluster 'wide'" in out and "2 CPU" in out
        (status,) = terminal.json("status")
        assert status["nodes"] == 2 and status["cpus"]["total"] == 3
        rows = {row["is_head_node"]: row for row in terminal.json("list", "nodes", "--detail")}
        assert rows[False]["labels"] == {"zone": "far"}
        assert "Stopped cluster 'wide'" in terminal.ok("stop", "wide")
        assert not is_alive(rows[False]["pid"])
        assert not processes_of(str(terminal.home))
    finally:
        terminal.close()


def test_what_a_node_offers_is_typed_as_for_ray(tmp_path: Path) -> None:
    terminal = Terminal()
    more = tmp_path / "labels.yaml"
    more.write_text("zone: there\nkind: spot\n")
    labels = ["--labels", '{"zone": "here", "place": ""}', "--labels-file", str(more)]
    cluster = ["--object-spilling-directory", str(tmp_path), "--system-config", '{"max_direct_call_object_size": 10}']
    try:
        terminal.ok("start", "--head", "--name", "n", "--node-name", "first", "--memory", "5000000", *labels, *cluster)
        (node,) = terminal.json("list", "nodes", "--detail")
        assert node["labels"] == {"zone": "here", "place": "", "kind": "spot"}
        assert node["node_name"] == "first" and node["resources_total"]["memory"] == 5_000_000
        config = read_cluster_info(
            Path(find("n", directory=terminal.home / "jupyter" / "raynb" / "clusters").session_dir)
        ).config
        assert config.inline_limit_bytes == 10 and config.spill_directory == str(tmp_path)
    finally:
        terminal.close()


def test_a_program_joins_what_was_started_last_where_nothing_is_said() -> None:
    terminal = Terminal()
    code = "import raynb; raynb.init(); print(raynb.cluster_resources().get('there'))"

    def joined() -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=terminal.env, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    try:
        assert joined() == "None", "one of its own"
        for number in (1, 2):
            name = f"number{number}"
            terminal.ok("start", "--head", "--name", name, "--num-cpus", "1", "--resources", f'{{"there": {number}}}')
            assert joined() == f"{number}.0"
        terminal.ok("stop", "number2")
        assert joined() == "None"
    finally:
        terminal.close()


def test_options_that_say_where_rays_daemons_listen_have_no_effect_which_is_told() -> None:
    terminal = Terminal()
    places = ["--port=6379", "--node-ip-address", "127.0.0.1", "--include-dashboard=false", "--disable-usage-stats"]
    try:
        started = terminal.run("start", "--head", "--name", "elsewhere", *places, "--num-cpus", "1")
        assert started.returncode == 0, started.stderr
        assert started.stderr == (
            "raynb: start --port has no effect: "
            "raynb opens no ports: its processes find each other by sockets of this machine.\n"
        )
        assert [status["name"] for status in terminal.json("status")] == ["elsewhere"]
        for wrong in ("--prt=1", "--port", "--no-monitor=1", "elsewhere"):
            refused = terminal.run("start", "--head", wrong)
            assert refused.returncode == 1 and wrong in refused.stderr
    finally:
        terminal.close()
