"""`LoggingConfig`: how records of Python's logging are written, in the driver and in what works for it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from typing import Any

import pytest

from tests.support.cluster import cluster_of
from tests.support.module import Ray


def written(text: str = "hello") -> str:
    """What goes to standard error when something is logged."""
    out = io.StringIO()
    with contextlib.redirect_stderr(out):
        logging.getLogger("mine").info(text, extra={"given": 3})
        logging.getLogger("mine").debug("nothing of that")
        try:
            raise ValueError("a reason")
        except ValueError:
            logging.getLogger("mine").exception("it failed")
    return out.getvalue()


@pytest.fixture(autouse=True)
def unconnected(bare_ray: Ray) -> None:
    if bare_ray.is_initialized():
        bare_ray.shutdown()


def test_records_are_json_with_the_ids_of_what_runs(bare_ray: Ray) -> None:
    class Logs:
        def written(self) -> str:
            return written()

    config = bare_ray.LoggingConfig(encoding="JSON", additional_log_standard_attrs=["name"])
    with cluster_of(bare_ray, logging_config=config) as _:
        context = bare_ray.get_runtime_context()
        mine = [json.loads(line) for line in written().splitlines()]
        task: list[dict[str, Any]] = [
            json.loads(line)
            for line in bare_ray.get(bare_ray.remote(written).options(name="named").remote(), timeout=30).splitlines()
        ]
        actor = bare_ray.remote(Logs).options(name="logs").remote()
        call = json.loads(bare_ray.get(actor.written.remote(), timeout=30).splitlines()[0])
        actor_id = actor._actor_id.hex()
    for first, failed in (mine, task):
        assert (first["levelname"], first["message"], first["name"], first["given"]) == ("INFO", "hello", "mine", 3)
        assert first["job_id"] == context.get_job_id()
        assert first.keys() >= {"asctime", "filename", "lineno", "process", "worker_id", "node_id", "timestamp_ns"}
        assert failed["exc_text"].endswith("ValueError: a reason")
    assert "task_id" not in mine[0]
    assert task[0]["task_name"] == "named" and task[0]["task_func_name"].endswith(".written")
    assert (call["actor_id"], call["actor_name"]) == (actor_id, "logs")


def test_records_are_lines_that_end_with_their_ids(bare_ray: Ray) -> None:
    with cluster_of(bare_ray, logging_config=bare_ray.LoggingConfig(log_level="ERROR")) as _:
        (line, *below) = bare_ray.get(bare_ray.remote(written).remote(), timeout=30).splitlines()
    assert "ERROR test_logging_config.py:" in line and " -- it failed job_id=" in line and " task_name=written" in line
    assert below[-1] == "ValueError: a reason"


def test_after_a_cluster_records_are_written_as_before(bare_ray: Ray) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    with cluster_of(bare_ray, logging_config=bare_ray.LoggingConfig(log_level="DEBUG")) as _:
        assert root.level == logging.DEBUG
    assert (root.handlers, root.level) == before
    with cluster_of(bare_ray) as _:
        assert bare_ray.get(bare_ray.remote(lambda: logging.getLogger().level).remote(), timeout=30) == logging.WARNING


def test_what_is_no_way_to_write_records_is_refused(bare_ray: Ray) -> None:
    for wrong in ({"encoding": "XML"}, {"log_level": "LOUD"}, {"additional_log_standard_attrs": ["colour"]}):
        with pytest.raises(ValueError, match=str(next(iter(wrong.values()))[0])):
            bare_ray.LoggingConfig(**wrong)
    with pytest.raises(TypeError, match="LoggingConfig"):
        bare_ray.init(logging_config={"encoding": "JSON"})
