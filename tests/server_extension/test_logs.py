"""What processes have written, page by page, from a browser."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from raynb.runtime.adapters import log_times
from raynb.runtime.adapters.log_times import LogTimes, WrittenWhen, stamped_at
from tests.server_extension.conftest import Driven
from tests.support.waiting import wait_until

SAY = """
say = ray.remote(lambda *lines: [print(line, flush=True) for line in lines] and os.getpid())
"""


def logs(cluster: Driven, **query: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get(f"logs?{urlencode(query)}")
    return found


def texts(page: dict[str, Any]) -> list[str]:
    return [line["text"] for line in page["lines"]]


def say(cluster: Driven, *lines: str) -> int:
    """Have a worker write lines; its pid."""
    quoted = ", ".join(map(ascii, lines))
    pid = int(cluster.run(f"{SAY}\nref = say.remote({quoted}); answer = ray.get(ref)"))
    wait_until(lambda: lines[-1][:5] in " ".join(texts(logs(cluster, search=lines[-1][:5]))), what="it is written")
    wait_until(lambda: f"worker {pid}" in logs(cluster)["sources"], what="the cluster knows the worker's pid")
    return pid


def test_a_worker_writes_under_its_name_and_daemons_do(cluster: Driven) -> None:
    pid = say(cluster, "hello there")
    page = logs(cluster)
    (line,) = [line for line in page["lines"] if line["text"] == "hello there"]
    assert line["source"] == f"worker {pid}" and not line["error"] and len(line["node"]) == 56
    assert {"gcs", "node manager", f"worker {pid}"} <= set(page["sources"])
    assert {line["source"] for line in logs(cluster, source="gcs")["lines"]} == {"gcs"}


def test_a_cursor_gives_what_was_written_since(cluster: Driven) -> None:
    say(cluster, "first words")
    page = logs(cluster)
    assert "first words" in texts(page)
    assert "second words" not in texts(page)
    say(cluster, "second words")
    page = logs(cluster, after=page["next"])
    assert "second words" in texts(page) and "first words" not in texts(page)
    assert "second words" not in texts(logs(cluster, after=page["next"]))


def test_lines_are_found_whatever_their_case(cluster: Driven) -> None:
    say(cluster, "a Needle here", "hay")
    assert texts(logs(cluster, search="NEEDLE")) == ["a Needle here"]
    assert texts(logs(cluster, search="nothing like it")) == []


def test_the_log_of_a_task_and_of_an_actor_is_that_of_its_process(cluster: Driven) -> None:
    pid = say(cluster, "by a task")
    task = cluster.run("answer = ref.task_id().hex()")
    wait_until(lambda: cluster.get(f"tasks?id={task}&detail=1")["rows"], what="the task is known")
    page = logs(cluster, task=task)
    assert "by a task" in texts(page) and {line["source"] for line in page["lines"]} == {f"worker {pid}"}
    code = "Loud = ray.remote(type('Loud', (), {'say': lambda self: print('by an actor', flush=True)}))"
    actor = cluster.run(f"{code}\nloud = Loud.remote(); ray.get(loud.say.remote()); answer = loud._actor_id.hex()")
    known = f"workers?filter=actor_id={actor}&detail=1"
    wait_until(lambda: cluster.get(known)["rows"], what="it is told which process the actor has")
    wait_until(lambda: "by an actor" in texts(logs(cluster, actor=actor)))


def test_what_is_written_stays_text(cluster: Driven) -> None:
    say(cluster, "<img src=x onerror=alert(1)>\x1b[31mred\u202e\x07 \r end", "last")
    (text,) = texts(logs(cluster, search="onerror"))
    assert text.startswith("<img src=x onerror=alert(1)>red") and text.isprintable()


def test_a_flood_is_bounded_and_says_what_it_left_out(cluster: Driven) -> None:
    flood = (
        "ray.get(ray.remote(lambda: print('\\n'.join(f'line {n:06d} ' + 'x' * 5000 for n in range(3000)))).remote())"
    )
    cluster.run(flood)
    wait_until(lambda: any("line 002999" in text for text in texts(logs(cluster, search="line 002999"))))
    page = logs(cluster, search="line ")
    assert len(page["lines"]) <= 1000 and page["left_out"] >= 2000
    assert max(map(len, texts(page))) <= 2000
    assert len(logs(cluster)["lines"]) <= 1000


def test_logs_are_read_while_the_driver_stands_still_and_when_it_is_dead(cluster: Driven) -> None:
    pid = say(cluster, "before it stopped")
    cluster.program.stop()
    assert texts(logs(cluster, search="before it", source=f"worker {pid}")) == ["before it stopped"]
    cluster.program.kill()
    assert texts(logs(cluster, search="before it")) == ["before it stopped"]


def test_what_is_no_cursor_and_no_id_is_a_400_and_no_file_outside_is_read(cluster: Driven, tmp_path: Path) -> None:
    secret = tmp_path / "secret.log"
    secret.write_text("a secret\n")
    (cluster.folder / "logs" / "linked.log").symlink_to(secret)
    assert texts(logs(cluster, search="a secret")) == []
    wrong = ["after=../../etc/passwd:0", "after=x", f"after={'a' * 9000}", "task=../x", "task=zz", "actor=" + "a" * 99]
    for query in wrong:
        answer = cluster.server.request("GET", f"clusters/{cluster.id}/logs?{query}")
        assert answer.status == 400 and answer.words, (query, answer)
    assert cluster.server.request("GET", f"clusters/{cluster.id}/logs?task={'ab' * 24}").status == 404


def test_lines_are_known_by_when_they_were_written(cluster: Driven) -> None:
    say(cluster, "early words")
    (early,) = [line for line in logs(cluster, search="early words")["lines"]]
    assert abs(early["at"] - time.time() * 1000) < 5000
    middle = early["at"] + 1  # what comes without a mark of its own is known by the file's time, which lags a little
    say(cluster, "later words")
    later = time.time() * 1000
    before = logs(cluster, until=str(middle))
    assert "early words" in texts(before) and "later words" not in texts(before)
    between = logs(cluster, since=str(middle), until=str(later + 1000))
    assert "later words" in texts(between) and "early words" not in texts(between)
    assert all(middle - 1000 <= line["at"] <= later + 1000 for line in between["lines"])
    assert texts(logs(cluster, since="0", until="1000")) == []
    (daemon,) = [line for line in logs(cluster, source="node manager", search="joined")["lines"]][:1]
    assert abs(daemon["at"] - middle) < 600_000
    assert cluster.server.request("GET", f"clusters/{cluster.id}/logs?since=noon").status == 400


def test_a_log_that_was_cut_is_known_from_there_on(tmp_path: Path) -> None:
    log = tmp_path / "worker-w1.out"
    with pytest.MonkeyPatch.context() as patch:
        clock = iter((1000.0, 1000.05, 1000.2, 1000.3, 1010.0, 1020.0))
        patch.setattr(log_times.time, "time", lambda: next(clock))
        times = LogTimes(str(log))
        for end in (10, 20, 20):
            times.grew(end)
        when = WrittenWhen(log)
        assert (when.of(10), when.of(20)) == (1000.0, 1000.05), "its own time, though its mark is made later"
        for end in (30, 5, 15):
            times.grew(end)
        times.close()
    when = WrittenWhen(log)
    assert (when.of(5), when.of(6), when.of(15), when.of(16)) == (1010.0, 1020.0, 1020.0, 0.0)
    assert (when.size_at(1000.0), when.size_at(1015.0), when.size_by(1015.0), when.size_by(2000.0)) == (0, 5, 15, 15)
    assert (log.parent / "times" / log.name).stat().st_mode & 0o777 == 0o600


def test_lines_of_daemons_begin_with_their_times() -> None:
    noon = time.mktime((2026, 11, 29, 12, 0, 5, 0, 0, -1))
    assert stamped_at(b"2026-11-29 12:00:05 info    it is there") == noon
    assert stamped_at(b"21259:M 29 Nov 2026 12:00:05.274 * Ready to accept connections") == noon
    assert stamped_at(b"whatever 2026-11-29 12:00:05") == 0.0
