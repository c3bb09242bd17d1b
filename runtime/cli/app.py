"""What can be typed: commands, their options and their help. What they do stands in the modules beside this one.

Those are imported inside each command, so that ``raynb --help`` loads no socket and no table.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

# Help without colours: it would take longer to load what paints them than all the rest.
app = typer.Typer(
    name="raynb",
    help="Ray's programming model, native in the notebook: clusters from a terminal.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
summary_app = typer.Typer(help="Counts instead of lists.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(summary_app, name="summary")

Name = Annotated[str, typer.Argument(metavar="[CLUSTER]", help="Its name or id; the only one there is, if left out.")]
Address = Annotated[
    str, typer.Option("--address", "-a", metavar="CLUSTER", help="Its name or id; the only one there is, if left out.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="So long is waited for an answer.")
]

NumCpus = Annotated[float | None, typer.Option(min=0, help="CPUs to use; those that this machine grants, if left out.")]
NumGpus = Annotated[float | None, typer.Option(min=0, help="GPUs; those that are there, if left out.")]
Memory = Annotated[
    int | None,
    typer.Option(min=0, metavar="BYTES", help="Memory that tasks may ask for; what the machine grants, if left out."),
]
ObjectStoreMemory = Annotated[
    int | None, typer.Option(min=1, metavar="BYTES", help="Shared memory for objects; 30 % of all, if left out.")
]
Resources = Annotated[str, typer.Option(metavar="JSON", help='Other resources, {"name": amount}.')]
Labels = Annotated[str, typer.Option(metavar="KEY=VALUE,...", help="Labels of the node, by which tasks may choose it.")]
LabelsFile = Annotated[
    str, typer.Option(metavar="FILE", help="More of them, in YAML; what is in --labels goes before.")
]
Redis = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar="RAYNB_REDIS_URL",
        help="Keep the cluster's state in your own Redis. A URL with a password goes into the variable: "
        "everybody can read arguments.",
    ),
]


class Table(StrEnum):
    """What can be listed."""

    tasks = "tasks"
    actors = "actors"
    objects = "objects"
    nodes = "nodes"
    workers = "workers"
    jobs = "jobs"
    placement_groups = "placement-groups"
    runtime_envs = "runtime-envs"
    cluster_events = "cluster-events"

    @property
    def asked(self) -> str:
        """What the GCS calls it."""
        return self.value.replace("-", "_")


class Format(StrEnum):
    """How rows are written."""

    default = "default"
    table = "table"
    json = "json"
    yaml = "yaml"


class Sort(StrEnum):
    """By what the rows of `memory` are sorted."""

    size = "OBJECT_SIZE"
    pid = "PID"
    reference = "REFERENCE_TYPE"


class Unit(StrEnum):
    """Of sizes."""

    byte = "B"
    kilo = "KB"
    mega = "MB"
    giga = "GB"


def fail(words: object) -> NoReturn:
    """Say why it did not work, and end with 1."""
    typer.echo(f"raynb: {words}", err=True)
    raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def raynb(version: Annotated[bool, typer.Option("--version", help="Print it.")] = False) -> None:
    """Options of all commands."""
    if version:
        from raynb._version import __version__

        typer.echo(f"raynb {__version__}")
        raise typer.Exit


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def start(
    context: typer.Context,
    head: Annotated[bool, typer.Option("--head", help="Start the first node of a new cluster.")] = False,
    address: Annotated[
        str, typer.Option(metavar="CLUSTER", help="Start one more node of this cluster: its name or address, or auto.")
    ] = "",
    num_cpus: NumCpus = None,
    num_gpus: NumGpus = None,
    memory: Memory = None,
    object_store_memory: ObjectStoreMemory = None,
    resources: Resources = "{}",
    labels: Labels = "",
    labels_file: LabelsFile = "",
    node_name: Annotated[str, typer.Option(help="What the node is called; as its machine, if left out.")] = "",
    name: Annotated[str, typer.Option(help="What the cluster is called.")] = "",
    redis: Redis = "",
    temp_dir: Annotated[
        str, typer.Option(metavar="FOLDER", help="Where the cluster has its files; an absolute path.")
    ] = "",
    object_spilling_directory: Annotated[
        str, typer.Option(metavar="FOLDER", help="Where it keeps what its memory has no room for.")
    ] = "",
    system_config: Annotated[
        str, typer.Option(metavar="JSON", help="Limits of the cluster, as _system_config of init() has them.")
    ] = "",
    metrics_export_port: Annotated[
        int | None, typer.Option(min=0, metavar="PORT", help="Serve metrics for Prometheus there; 0: at any port.")
    ] = None,
    block: Annotated[
        bool, typer.Option("--block", help="Return when the node has ended; Ctrl-C or SIGTERM ends it.")
    ] = False,
) -> None:
    """Start a cluster that lives until `raynb stop`, or one more node of it.

    Options of `ray start` that say where Ray's daemons listen have no effect, and it says so: raynb opens no ports.
    """
    from raynb.runtime.api import without_effect
    from raynb.runtime.cli import lifecycle, offers, places

    without_effect.tell("start {name}", places.given(context.args), without_effect.OF_START)
    if head == bool(address):
        fail("either --head for a new cluster, or --address CLUSTER for one more node of a running one")
    typed = context.get_parameter_source("redis")
    redis_was_typed = typed is not None and typed.name == "COMMANDLINE"
    whole = (name, redis_was_typed, temp_dir, object_spilling_directory, system_config)
    if address and (any(whole) or metrics_export_port is not None):
        fail(
            "--name, --redis, --temp-dir, --object-spilling-directory, --system-config and --metrics-export-port are "
            "the whole cluster's: they go with --head"
        )
    options = offers.options_of(
        num_cpus=num_cpus, num_gpus=num_gpus, memory=memory, object_store_memory=object_store_memory,
        resources=resources, labels=labels, labels_file=labels_file, node_name=node_name,
    )  # fmt: skip
    if address:
        info = lifecycle.start_node(address, options)
    else:
        options.name, options.redis, options.temp_dir = name, redis, temp_dir
        options.config = offers.config_of(system_config, object_spilling_directory)
        info = lifecycle.start(options, redis_was_typed=redis_was_typed)
    if metrics_export_port is not None:
        lifecycle.serve_metrics(info, metrics_export_port)
    if block:
        lifecycle.await_end(info)


@app.command()
def stop(
    cluster: Name = "",
    everything: Annotated[bool, typer.Option("--all", help="Stop every cluster of yours.")] = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", "--grace-period", "-g", min=0.1, metavar="SECONDS", help="After this its processes are killed."
        ),
    ] = 10.0,
    force: Annotated[bool, typer.Option("--force", "-f", help="Kill them at once.")] = False,
) -> None:
    """Stop a cluster, and wait until its processes are gone."""
    from raynb.runtime.cli import lifecycle

    stopped = lifecycle.stop(cluster, everything=everything, timeout_s=timeout, force=force)
    if not stopped:
        raise typer.Exit(1)


@app.command()
def status(cluster: Name = "", as_json: AsJson = False, address: Address = "") -> None:
    """Show the clusters that run: nodes, CPUs, memory, object store, tasks, actors."""
    from raynb.runtime.cli import status

    status.show(cluster or address, as_json)


@app.command("list")
def list_(
    table: Table,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", metavar="FIELD=VALUE", help="Or FIELD!=VALUE; several must all hold."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many rows.")] = 100,
    detail: Annotated[bool, typer.Option("--detail", help="All fields.")] = False,
    form: Annotated[
        Format, typer.Option("--format", help="How rows are written; with --detail one field a line, if left out.")
    ] = Format.default,
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
    address: Address = "",
) -> None:
    """List tasks, actors, objects, nodes, workers, jobs, placement groups, runtime envs or cluster events."""
    from raynb.runtime.cli import tables

    how = Format.json if as_json else form
    tables.show(address, table.asked, filters or [], limit, detail, how.value, timeout)


@summary_app.command("tasks")
def summary_tasks(as_json: AsJson = False, timeout: Timeout = 30.0, address: Address = "") -> None:
    """Count tasks by function and state; the counts are exact."""
    from raynb.runtime.cli import tables

    tables.show_summary(address, as_json, timeout)


@summary_app.command("actors")
def summary_actors(as_json: AsJson = False, timeout: Timeout = 30.0, address: Address = "") -> None:
    """Count actors by class and state."""
    from raynb.runtime.cli import tables

    tables.show_actor_summary(address, as_json, timeout)


@summary_app.command("objects")
def summary_objects(as_json: AsJson = False, timeout: Timeout = 30.0, address: Address = "") -> None:
    """Count objects, and add up their sizes, by where they were made."""
    from raynb.runtime.cli import tables

    tables.show_object_summary(address, as_json, timeout)


@app.command()
def get(
    table: Table,
    id: Annotated[str, typer.Argument(metavar="ID", help="In hex, as `raynb list` has it.")],
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
    address: Address = "",
) -> None:
    """Show all that is known of one task, actor, object, node, worker, job or placement group."""
    from raynb.runtime.cli import tables

    tables.show_one(address, table.asked, id, as_json, timeout)


@app.command()
def memory(
    limit: Annotated[
        int, typer.Option("--limit", "--num-entries", "--n", min=0, help="At most so many rows, the first ones.")
    ] = 100,
    sort_by: Annotated[Sort, typer.Option(help="What comes first: the largest, or the lowest.")] = Sort.size,
    units: Annotated[Unit, typer.Option(help="Of sizes.")] = Unit.byte,
    stats_only: Annotated[bool, typer.Option("--stats-only", help="Only what there is in all.")] = False,
    as_json: AsJson = False,
    address: Address = "",
) -> None:
    """Show who holds what in the object store."""
    from raynb.runtime.cli import tables

    tables.show_memory(address, 0 if stats_only else limit, as_json, sort_by.value, units.value)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(metavar="[LOG]", help="Its file; without any, those that there are.")] = "",
    actor: Annotated[str, typer.Option(help="The log of this actor's process.")] = "",
    task: Annotated[str, typer.Option(help="What this task has written into its process's log.")] = "",
    pid: Annotated[str, typer.Option(help="The log of this process.")] = "",
    node: Annotated[str, typer.Option(help="Only of the node whose id begins so.")] = "",
    err: Annotated[bool, typer.Option("--err", help="Standard error instead of standard output.")] = False,
    tail: Annotated[int, typer.Option(min=0, help="Only so many last lines; 0: all.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    address: Address = "",
) -> None:
    """Show what processes of a cluster have written."""
    from raynb.runtime.cli import logs

    whose = {"actor": actor, "task": task, "pid": pid}
    logs.show(address, name, whose, node, "err" if err else "out", tail, follow)


@app.command()
def timeline(
    file: Annotated[Path, typer.Option("--output", "-o", help="Where to write it.")] = Path("timeline.json"),
    address: Address = "",
) -> None:
    """Write what has run as a Chrome trace, for ui.perfetto.dev."""
    from raynb.runtime.cli import tables

    tables.write_timeline(address, file)


@app.command()
def microbenchmark(
    vs_ray: Annotated[
        str | None, typer.Option(metavar="PYTHON", help="Also measure Ray, with this interpreter that has it.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Each row so often; the median counts.")] = 5,
    only: Annotated[str | None, typer.Option(help="Rows with this in their name.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures for programs.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One short round.")] = False,
    growth: Annotated[bool, typer.Option("--growth", help="How rates change with tasks and CPUs.")] = False,
    long: Annotated[bool, typer.Option("--long", help="Also rows that take minutes.")] = False,
) -> None:
    """Measure this machine, beside Ray if you like."""
    from raynb.runtime.benchmark import command

    options: dict[str, Any] = {"only": only, "json_file": json_file, "markdown_file": markdown_file}
    command.run(vs_ray=vs_ray, rounds=rounds, quick=quick, growth=growth, long=long, **options)


def run() -> None:
    """Run the command line: a failure is told in words."""
    try:
        app(prog_name="raynb")
    except Exception as error:
        from raynb.runtime.cli.lifecycle import FAILURES

        if not isinstance(error, FAILURES):
            raise
        typer.echo(f"raynb: {error}", err=True)
        sys.exit(1)
