"""`LoggingConfig`: how records of Python's logging are written, in the driver and in what works for it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from typing import Any

import pytest

from raynb._common.filters import CoreContextFilter
from raynb._common.formatters import JSONFormatter, TextFormatter
from tests.support.cluster import cluster_of
from tests.support.module import Ray
from tests.support.waiting import wait_until


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


def test_a_way_to_write_records_goes_into_a_dict_and_comes_back(bare_ray: Ray) -> None:
    config = bare_ray.LoggingConfig(encoding="JSON", log_level="ERROR", additional_log_standard_attrs=["name"])
    given = {"encoding": "JSON", "log_level": "ERROR", "additional_log_standard_attrs": ["name"]}
    assert config.to_dict() == given
    assert bare_ray.LoggingConfig.from_dict(given) == config


def test_what_is_no_way_to_write_records_is_refused(bare_ray: Ray) -> None:
    for wrong in ({"encoding": "XML"}, {"log_level": "LOUD"}, {"additional_log_standard_attrs": ["colour"]}):
        with pytest.raises(ValueError, match=str(next(iter(wrong.values()))[0])):
            bare_ray.LoggingConfig(**wrong)
    with pytest.raises(TypeError, match="LoggingConfig"):
        bare_ray.init(logging_config={"encoding": "JSON"})


def test_a_variable_says_how_records_are_written_if_init_does_not(
    bare_ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_LOGGING_CONFIG_ENCODING", "JSON")
    with cluster_of(bare_ray, num_cpus=1):
        assert all("job_id" in json.loads(line) for line in written().splitlines())
    monkeypatch.setenv("RAY_LOGGING_CONFIG_ENCODING", "XML")
    with pytest.raises(ValueError, match="XML"):
        bare_ray.init(num_cpus=1)


def test_records_get_their_ids_without_being_written(bare_ray: Ray) -> None:
    def noted() -> tuple[dict[str, Any], dict[str, str]]:
        record, here = logging.makeLogRecord({}), bare_ray.get_runtime_context()
        assert CoreContextFilter().filter(record)
        assert json.loads(JSONFormatter().format(record))["timestamp_ns"] == vars(record).pop("_ray_timestamp_ns")
        return vars(record), {"job_id": here.get_job_id(), "node_id": here.get_node_id()}

    assert "job_id" not in vars(logging.makeLogRecord({}))
    with cluster_of(bare_ray, num_cpus=1):
        for record, ids in (noted(), bare_ray.get(bare_ray.remote(noted).remote(), timeout=30)):
            assert ids.items() <= record.items()
        assert "task_id" in record, "the second was a task's"


def test_a_formatter_can_be_used_by_itself(bare_ray: Ray) -> None:
    record = logging.makeLogRecord({"msg": "hello", "name": "mine", "given": 3})
    in_json, in_text = JSONFormatter(), TextFormatter()
    assert "name" not in json.loads(in_json.format(record))
    for formatter in (in_json, in_text):
        formatter.set_additional_log_standard_attrs(["name", "message"])
    told = json.loads(in_json.format(record))
    assert (told["message"], told["name"], told["given"]) == ("hello", "mine", 3)
    assert "hello name=mine given=3" in in_text.format(record)


def test_lines_that_say_themselves_whose_they_are_have_nothing_in_front(
    bare_ray: Ray, capsys: pytest.CaptureFixture[str]
) -> None:
    def say() -> None:
        logging.getLogger("mine").info("what a task says")

    for config, prefix in ((bare_ray.LoggingConfig(), False), (None, True)):
        with cluster_of(bare_ray, num_cpus=1, logging_config=config):
            task = bare_ray.remote(say if config else lambda: print("what a task says"))
            bare_ray.get(task.remote(), timeout=30)
            text = ""

            def told() -> bool:
                nonlocal text
                text += "".join(capsys.readouterr())
                return "what a task says" in text

            wait_until(told)
        (line,) = [line for line in text.splitlines() if "what a task says" in line]
        assert line.startswith("(") == prefix


def test_the_librarys_own_records_are_written_as_init_says(bare_ray: Ray, capsys: pytest.CaptureFixture[str]) -> None:
    own = [logging.getLogger(name) for name in ("raynb", "ray")]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in own]

    def said() -> list[str]:
        logging.getLogger("ray.tune").info("the library's")
        logging.getLogger("mine").info("somebody else's")
        return [line for line in capsys.readouterr().err.splitlines() if "Started" in line or "'s" in line]

    with cluster_of(bare_ray, logging_level="INFO") as _:
        started, library = said()
        assert " INFO session.py:" in started.replace("\t", " ") and " -- Started a local raynb instance" in started
        assert library.endswith(" -- the library's")
    with cluster_of(bare_ray, logging_format="%(name)s|%(message)s") as _:
        assert said()[1] == "ray.tune|the library's"
    with cluster_of(bare_ray, logging_level=logging.WARNING, logging_format="%(message)s") as _:
        assert said() == []
        own[0].warning("heed the library's word")
        assert said() == ["heed the library's word"]
    for silent in ({}, {"logging_level": "debug", "configure_logging": False}):
        with cluster_of(bare_ray, num_cpus=1, **silent) as _:
            assert said() == []
            assert [(logger.level, logger.propagate, logger.handlers) for logger in own] == before


def test_a_logging_config_is_for_the_librarys_own_records_too(
    bare_ray: Ray, capsys: pytest.CaptureFixture[str]
) -> None:
    with cluster_of(bare_ray, logging_level="error", logging_config=bare_ray.LoggingConfig(encoding="JSON")) as _:
        (started,) = [line for line in capsys.readouterr().err.splitlines() if "Started" in line]
        assert json.loads(started)["levelname"] == "INFO"


@pytest.mark.parametrize(
    ("wrong", "error", "names"),
    [
        ({"logging_level": "LOUD"}, ValueError, "logging_level must be a number or one of .*DEBUG.*'LOUD'"),
        ({"logging_level": 2.5}, TypeError, "logging_level"),
        ({"logging_format": "%(message"}, ValueError, "logging_format"),
        ({"logging_format": 3}, TypeError, "logging_format"),
        ({"configure_logging": "no"}, TypeError, "configure_logging"),
    ],
)
def test_what_says_nothing_of_the_own_records_is_refused(
    bare_ray: Ray, wrong: dict[str, Any], error: type[Exception], names: str
) -> None:
    with pytest.raises(error, match=names):
        bare_ray.init(**wrong)
    assert not bare_ray.is_initialized()
