"""openapi.yaml and the handlers say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

import raynb.server_extension
from raynb.runtime.messages import screen
from raynb.server_extension import ROUTES, clusters
from tests.server_extension.conftest import Driven
from tests.server_extension.jupyter import Server

FILE = Path(raynb.server_extension.__file__).with_name("openapi.yaml")
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def as_template(route: str) -> str:
    """A route's pattern as OpenAPI writes paths."""
    return "/" + re.sub(r"\(\?P<(\w+)>[^()]*\)", r"{\1}", route)


def test_every_route_and_method_is_described_and_no_other(document: dict[str, Any]) -> None:
    handled = {
        (as_template(route), method) for route, handler in ROUTES for method in METHODS if method in vars(handler)
    }
    described = {
        (path, method) for path, methods in document["paths"].items() for method in methods if method in METHODS
    }
    assert described == handled


def test_what_a_path_may_hold_is_what_its_route_takes(document: dict[str, Any]) -> None:
    for route, _ in ROUTES:
        of_path = document["paths"][as_template(route)].get("parameters", [])
        named = {name: pattern for name, pattern in re.findall(r"\(\?P<(\w+)>([^()]*)\)", route)}
        assert len(of_path) == len(named)
        for parameter in of_path:
            if "$ref" in parameter:
                parameter = document["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]]
            schema = parameter["schema"]
            shown = "|".join(schema["enum"]) if "enum" in schema else schema["pattern"].strip("^$")
            assert shown == named[parameter["name"]]


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "components": document["components"]}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ObjectPreview", screen.ObjectPreview),
        ("Histogram", screen.Histogram),
        ("Column", screen.Column),
        ("LogPage", screen.LogPage),
        ("LogLine", screen.LogLine),
        ("StartRequest", clusters.StartRequest),
        ("ScaleRequest", clusters.ScaleRequest),
    ],
)
def test_the_schemas_have_the_fields_of_the_messages(document: dict[str, Any], name: str, kind: Any) -> None:
    schema = document["components"]["schemas"][name]
    fields = msgspec.structs.fields(kind)
    assert list(schema["properties"]) == [field.name for field in fields]
    assert schema.get("required", []) == [field.name for field in fields if field.required]


def test_what_a_real_server_answers_is_what_is_described(document: dict[str, Any], cluster: Driven) -> None:
    server: Server = cluster.server
    cluster.run("ray.get(square.remote(2)); kept = ray.put('text')")
    oid = cluster.run("answer = kept.hex()")
    asked = {
        "/version": "version",
        "/clusters": "clusters",
        "/clusters/{cluster}": f"clusters/{cluster.id}",
        "/clusters/{cluster}/{table}": f"clusters/{cluster.id}/tasks?detail=1",
        "/clusters/{cluster}/objects/{object_id}/preview": f"clusters/{cluster.id}/objects/{oid}/preview",
        "/clusters/{cluster}/logs": f"clusters/{cluster.id}/logs",
        "/clusters/{cluster}/timeline": f"clusters/{cluster.id}/timeline",
    }
    for path, url in asked.items():
        described = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(server.get(url), resolved(document, described))
    failure = document["components"]["responses"]["Failure"]["content"]["application/json"]["schema"]
    for url in ("clusters/none", f"clusters/{cluster.id}/tasks?filter=x", f"clusters/{cluster.id}/logs?after=x"):
        answer = server.request("GET", url)
        assert answer.status in (400, 404)
        jsonschema.validate(answer.json, resolved(document, failure))
