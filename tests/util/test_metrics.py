"""A program's own metrics: counted in any process, read in one place."""

from __future__ import annotations

import importlib
import math
import pickle
import re
import socket
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

import pytest

from tests.support import module
from tests.support.cluster import cluster_of
from tests.support.gate import Gate
from tests.support.module import Ray
from tests.support.waiting import wait_until


@pytest.fixture
def metrics(ray: Ray) -> Any:
    return importlib.import_module(f"{module.NAME}.util.metrics")


@pytest.fixture
def name() -> str:
    return f"m{uuid4().hex[:12]}"


def lines_of(metrics: Any, name: str) -> list[str]:
    return [line for line in metrics.prometheus_text().splitlines() if name in line]


def test_a_metric_tells_what_it_is(metrics: Any, name: str) -> None:
    counter = metrics.Counter(name, "how many", tag_keys=("a", "b"))
    counter.set_default_tags({"b": "2"})
    assert counter.info == {
        "name": name, "description": "how many", "tag_keys": ("a", "b"), "default_tags": {"b": "2"},
    }  # fmt: skip
    assert metrics.Histogram(f"{name}h", boundaries=[1, 2]).info["boundaries"] == [1, 2]


@pytest.mark.parametrize("name", ["faulty-metric", "0x", "two words"])
def test_a_name_that_prometheus_would_not_take_is_warned_of(metrics: Any, name: str) -> None:
    with pytest.warns(UserWarning, match="Invalid metric name: " + name):
        metrics.Counter(name)


@pytest.mark.parametrize(
    ("make", "kind", "named"),
    [
        (lambda m: m.Counter(""), ValueError, "name"),
        (lambda m: m.Counter("x1", tag_keys="a"), TypeError, "tuple"),
        (lambda m: m.Counter("x2", tag_keys=(1,)), TypeError, "Tag keys"),
        (lambda m: m.Counter("x3", tag_keys=("a",)).inc(), ValueError, "a"),
        (lambda m: m.Counter("x4").inc(0), ValueError, "0"),
        (lambda m: m.Counter("x5").inc(-1), ValueError, "-1"),
        (lambda m: m.Counter("x5").inc(1, tags={1: "a"}), TypeError, "Tag keys"),
        (lambda m: m.Counter("x6", tag_keys=("a",)).inc(1, tags={"a": 1}), TypeError, "Tag values"),
        (lambda m: m.Counter("x7", tag_keys=("a",)).set_default_tags({"c": "1"}), ValueError, "c"),
        (lambda m: m.Gauge("x8").set("high"), TypeError, "int or float"),
        (lambda m: m.Histogram("x9"), ValueError, "boundaries"),
        (lambda m: m.Histogram("x10", boundaries=[1, -1]), ValueError, "index 1"),
        (lambda m: m.Histogram("x11", boundaries=[1]).observe("long"), TypeError, "int or float"),
    ],
)
def test_what_can_not_be_meant_is_refused(metrics: Any, make: Any, kind: Any, named: str) -> None:
    with pytest.raises(kind, match=named):
        make(metrics)


# -- what is read


@pytest.mark.usefixtures("raynb_only")
def test_a_counter_is_added_up_over_all_processes(ray: Ray, metrics: Any, name: str) -> None:
    counter = metrics.Counter(name, "calls", tag_keys=("kind",))

    def count(kind: str) -> None:
        counter.inc(2, tags={"kind": kind})
        metrics.flush()

    task = ray.remote(count)
    ray.get([task.remote("good") for _ in range(4)] + [task.remote("bad")])
    counter.inc(tags={"kind": "good"})
    assert lines_of(metrics, name) == [
        f"# HELP {name} calls",
        f"# TYPE {name} counter",
        f'{name}{{kind="bad"}} 2',
        f'{name}{{kind="good"}} 9',
    ]


@pytest.mark.usefixtures("raynb_only")
def test_what_an_actor_counts_is_told_by_itself_within_seconds(ray: Ray, metrics: Any, name: str) -> None:
    class Worker:
        def __init__(self) -> None:
            self.counter = metrics.Counter(name)

        def work(self) -> None:
            self.counter.inc()

    worker = ray.remote(Worker).remote()
    ray.get([worker.work.remote() for _ in range(3)])
    wait_until(lambda: f"{name} 3" in lines_of(metrics, name), 20)


@pytest.mark.usefixtures("raynb_only")
def test_a_gauge_has_the_value_that_was_set_last(metrics: Any, name: str) -> None:
    gauge = metrics.Gauge(name)
    for value in (3, 1.5, None):
        gauge.set(value)
    assert f"{name} 1.5" in lines_of(metrics, name)
    gauge.set(-2)
    assert f"{name} -2" in lines_of(metrics, name)


@pytest.mark.usefixtures("raynb_only")
def test_a_histogram_counts_what_is_not_above_each_bound(metrics: Any, name: str) -> None:
    histogram = metrics.Histogram(name, boundaries=[1, 2.5], tag_keys=("stage",))
    histogram.set_default_tags({"stage": "load"})
    for value in (0.5, 1, 2, 100):
        histogram.observe(value)
    assert lines_of(metrics, name) == [
        f"# TYPE {name} histogram",
        f'{name}_bucket{{stage="load",le="1"}} 2',
        f'{name}_bucket{{stage="load",le="2.5"}} 3',
        f'{name}_bucket{{stage="load",le="+Inf"}} 4',
        f'{name}_sum{{stage="load"}} 103.5',
        f'{name}_count{{stage="load"}} 4',
    ]


@pytest.mark.usefixtures("raynb_only")
def test_text_can_not_break_the_format(metrics: Any, name: str) -> None:
    with pytest.warns(UserWarning, match=f"it is told as {name}_a_b"):
        gauge = metrics.Gauge(f"{name}-a.b", 'two\nlines "quoted"', tag_keys=("a-b",))
    gauge.set(1, tags={"a-b": 'x"} 7\n# evil'})
    assert lines_of(metrics, name) == [
        f'# HELP {name}_a_b two\\nlines "quoted"',
        f"# TYPE {name}_a_b gauge",
        f'{name}_a_b{{a_b="x\\"}} 7\\n# evil"}} 1',
    ]


def served_at(port: int, path: str = "/metrics") -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return str(answer.read(), "utf-8")


@pytest.mark.usefixtures("raynb_only")
def test_metrics_are_served_to_prometheus_under_ray_s_names(ray: Ray, metrics: Any, name: str) -> None:
    port = metrics.serve()
    assert metrics.serve(0) == port == ray.nodes()[0]["MetricsExportPort"]

    def named() -> None: ...

    class Named: ...

    actor = ray.remote(Named).options(num_cpus=0).remote()
    ray.get(ray.remote(named).remote())
    metrics.Counter(name, "calls").inc(2)
    metrics.Gauge(f"{name}_level", tag_keys=("a",)).set(0.5, tags={"a": "b"})
    metrics.flush()
    lines = served_at(port).splitlines()
    assert {f"# TYPE ray_{name}_total counter", f"ray_{name}_total 2", f'ray_{name}_level{{a="b"}} 0.5'} <= set(lines)
    assert "ray_cluster_active_nodes 1" in lines and "MetricsHub" not in "".join(lines)
    state = importlib.import_module(f"{module.NAME}.util.state")
    listed = [state.list_actors(), state.list_tasks(limit=10_000), state.summarize_actors(), state.summarize_tasks()]
    assert [("MetricsHub" in repr(rows), "Named" in repr(rows)) for rows in listed] == [(False, True)] * 4
    job = ray.get_runtime_context().get_job_id()
    done = f'ray_tasks{{JobId="{job}",Name="[^"]*named",State="FINISHED"}} 1\n'
    wait_until(lambda: re.search(done, served_at(port)))
    del actor
    cpus = next(line for line in lines if line.startswith('ray_resources{Name="CPU"') and "AVAILABLE" in line)
    assert f'NodeId="{ray.get_runtime_context().get_node_id()}"' in cpus
    with pytest.raises(HTTPError, match="404"):
        served_at(port, "/other")


def test_tags_that_were_not_named_before_are_taken(metrics: Any, name: str) -> None:
    metrics.Counter(name, tag_keys=("a",)).inc(2, tags={"a": "1", "b-c": "2"})
    if module.NAME == "raynb":
        assert f'{name}{{a="1",b_c="2"}} 2' in lines_of(metrics, name)


@pytest.mark.usefixtures("raynb_only")
def test_numbers_beyond_all_bounds_can_be_read(metrics: Any, name: str) -> None:
    metrics.Gauge(name).set(math.inf)
    assert f"{name} +Inf" in lines_of(metrics, name)


@pytest.mark.usefixtures("raynb_only")
def test_a_name_is_of_one_kind(metrics: Any, name: str) -> None:
    metrics.Counter(name)
    with pytest.raises(ValueError, match="is a counter already"):
        metrics.Gauge(name)


@pytest.mark.usefixtures("raynb_only")
def test_a_metric_can_be_pickled(metrics: Any, name: str) -> None:
    again = pickle.loads(pickle.dumps(metrics.Counter(name, tag_keys=("a",)).set_default_tags({"a": "1"})))
    again.inc()
    assert f'{name}{{a="1"}} 1' in lines_of(metrics, name)


# At the end: it needs a cluster of its own.
@pytest.mark.usefixtures("raynb_only")
def test_init_has_metrics_served_from_the_beginning(ray: Ray) -> None:
    ray.shutdown()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"can't be served at 127.0.0.1:{port}: .*in use"):
            ray.init(num_cpus=1, _metrics_export_port=port)
        assert not ray.is_initialized()
    with cluster_of(ray, num_cpus=1, _metrics_export_port=port) as context:
        assert context["metrics_export_port"] == port == ray.nodes()[0]["MetricsExportPort"]
        assert "ray_running_jobs 1" in served_at(port)
    with cluster_of(ray, num_cpus=1) as context:
        assert context["metrics_export_port"] == ray.nodes()[0]["MetricsExportPort"] == 0


@pytest.mark.usefixtures("raynb_only")
def test_actors_are_counted_by_state_and_bytes_by_where_they_are(ray: Ray, gate: Gate) -> None:
    ray.shutdown()
    helpers = importlib.import_module("raynb._private.test_utils")
    through = gate.through

    class Waits:
        def once(self) -> None: ...

        def at_the_gate(self) -> None:
            through(1)

    def now(metric: str, *labels: str) -> dict[tuple[str, ...], float]:
        samples = helpers.raw_metric_timeseries(context, series)[metric]
        return {tuple(sample.labels[label] for label in labels): sample.value for sample in samples if sample.value}

    def actors() -> dict[str, float]:
        return {state: count for (state,), count in now("ray_actors", "State").items()}

    with cluster_of(ray, num_cpus=2) as context:
        series = helpers.PrometheusTimeseries()  # it keeps what was read: zeros must be told
        first, second = (ray.remote(Waits).options(num_cpus=1).remote() for _ in range(2))
        third = ray.remote(Waits).options(num_cpus=1).remote()
        ray.get([first.once.remote(), second.once.remote()], timeout=30)
        wait_until(lambda: actors() == {"ALIVE": 2, "ALIVE_IDLE": 2, "PENDING_CREATION": 1}, 20)
        call = first.at_the_gate.remote()
        gate.wait_for(1)
        busy = {"ALIVE": 2, "ALIVE_IDLE": 1, "ALIVE_RUNNING_TASKS": 1, "PENDING_CREATION": 1}
        wait_until(lambda: actors() == busy, 20)
        gate.open()
        ray.get(call, timeout=30)
        del second
        wait_until(lambda: actors() == {"ALIVE": 2, "ALIVE_IDLE": 2, "DEAD": 1}, 20)
        assert third and ("Waits.once", "FINISHED") in now("ray_tasks", "Name", "State")
        ref = ray.put(bytes(2**20))
        memory = ("ray_object_store_memory", "Location", "ObjectState")
        wait_until(lambda: 2**20 <= now(*memory).get(("MMAP_SHM", "SEALED"), 0) < 2**20 + 4096, 20)
        del ref
        wait_until(lambda: ("MMAP_SHM", "SEALED") not in now(*memory), 20)


@pytest.mark.usefixtures("raynb_only")
def test_tests_of_programs_read_what_is_served(ray: Ray) -> None:
    ray.shutdown()
    helpers = importlib.import_module("raynb._private.test_utils")
    part = importlib.import_module("raynb.util.metrics")
    with cluster_of(ray, num_cpus=1, _metrics_export_port=0) as context:
        gauge = part.Gauge("read_by_a_test", tag_keys=("a",))
        gauge.set(2.5, tags={"a": "b"})
        part.flush()
        series = helpers.PrometheusTimeseries()
        pattern = helpers.MetricSamplePattern
        wanted = [
            pattern(name="ray_read_by_a_test", value=2.5, partial_label_match={"a": "b"}),
            pattern("ray_running_jobs"),
        ]
        helpers.wait_for_condition(helpers.get_metric_check_condition(wanted, series))
        other = pattern(name="ray_read_by_a_test", partial_label_match={"a": "c"})
        assert not helpers.get_metric_check_condition([other], series)()
        (sample,) = helpers.raw_metric_timeseries(context, series)["ray_read_by_a_test"]
        assert (sample.value, series.metric_descriptors["ray_read_by_a_test"].type) == (2.5, "gauge")
        address = f"127.0.0.1:{context['metrics_export_port']}"
        assert helpers.fetch_prometheus_metrics([address, "127.0.0.1:1"])["ray_read_by_a_test"] == [sample]
