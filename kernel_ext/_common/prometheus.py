"""Reading a cluster's metrics where it serves them, under the names of ``ray._common.test_utils``.

A cluster does where it was asked to (``init(_metrics_export_port=0)``), or when a test asks here for the first time.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.request import urlopen

from raynb.runtime.api.cluster import nodes
from raynb.runtime.api.metrics_export import serve

PATIENCE_S: Final = 30.0


@dataclass
class MetricSamplePattern:
    """What a sample is to be like; None: anything."""

    name: str | None = None
    value: float | None = None
    partial_label_match: dict[str, str] | None = None

    def matches(self, sample: Any) -> bool:
        """Whether it is."""
        labels = self.partial_label_match or {}
        return (
            self.name in (None, sample.name)
            and self.value in (None, sample.value)
            and all(sample.labels.get(label) == value for label, value in labels.items())
        )


@dataclass
class PrometheusTimeseries:
    """The last value of each series that was read, with what its metric says of itself."""

    components_dict: dict[str, set[str]] = field(default_factory=dict)
    metric_descriptors: dict[str, Any] = field(default_factory=dict)
    metric_samples: dict[frozenset[tuple[str, str]], Any] = field(default_factory=dict)

    def flush(self) -> None:
        """Forget all."""
        self.components_dict.clear()
        self.metric_descriptors.clear()
        self.metric_samples.clear()


def fetch_raw_prometheus(prom_addresses: Iterable[str], timeout: float | None = None) -> Iterator[tuple[str, str]]:
    """What each ``host:port`` answers; nothing of those that don't."""
    for address in prom_addresses:
        try:
            with urlopen(f"http://{address}/metrics", timeout=timeout or PATIENCE_S) as answer:
                yield address, str(answer.read(), "utf-8")
        except OSError:
            continue


def fetch_prometheus(
    prom_addresses: Iterable[str], timeout: float | None = None
) -> tuple[dict[str, set[str]], dict[str, Any], list[Any]]:
    """Samples, as ``prometheus_client`` has them: which components each address has, metrics by name, all samples."""
    parse = importlib.import_module("prometheus_client.parser").text_string_to_metric_families
    addresses = list(prom_addresses)
    components: dict[str, set[str]] = {address: set() for address in addresses}
    descriptors: dict[str, Any] = {}
    samples: list[Any] = []
    for address, text in fetch_raw_prometheus(addresses, timeout):
        for metric in parse(text):
            for sample in metric.samples:
                descriptors[sample.name] = metric
                samples.append(sample)
                if "Component" in sample.labels:
                    components[address].add(sample.labels["Component"])
    return components, descriptors, samples


def fetch_prometheus_timeseries(
    prom_addreses: Iterable[str], result: PrometheusTimeseries, timeout: float | None = None
) -> PrometheusTimeseries:
    """Bring ``result`` up to date."""
    components, descriptors, samples = fetch_prometheus(prom_addreses, timeout)
    for address, found in components.items():
        result.components_dict.setdefault(address, set()).update(found)
    result.metric_descriptors.update(descriptors)
    for sample in samples:
        result.metric_samples[frozenset([*sample.labels.items(), ("_metric_name_", sample.name)])] = sample
    return result


def fetch_prometheus_metrics(prom_addresses: Iterable[str]) -> dict[str, list[Any]]:
    """Samples by name."""
    return _by_name(fetch_prometheus(prom_addresses)[2])


def fetch_prometheus_metric_timeseries(
    prom_addresses: Iterable[str], result: PrometheusTimeseries, timeout: float | None = None
) -> dict[str, list[Any]]:
    """The last values by name, after bringing ``result`` up to date."""
    return _by_name(fetch_prometheus_timeseries(prom_addresses, result, timeout).metric_samples.values())


def raw_metric_timeseries(info: Mapping[str, Any], result: PrometheusTimeseries) -> dict[str, list[Any]]:
    """The same of the cluster of which ``init`` gave ``info``."""
    return fetch_prometheus_metric_timeseries([f"127.0.0.1:{info['metrics_export_port'] or serve()}"], result)


def get_metric_check_condition(
    metrics_to_check: Iterable[MetricSamplePattern], timeseries: PrometheusTimeseries, export_addr: str | None = None
) -> Callable[[], bool]:
    """For `wait_for_condition`: whether there is a sample of each kind, at the first node or another address."""
    node, patterns = nodes()[0], list(metrics_to_check)
    address = export_addr or f"{node['NodeManagerAddress']}:{node['MetricsExportPort'] or serve()}"

    def there_are() -> bool:
        samples = fetch_prometheus_timeseries([address], timeseries).metric_samples.values()
        return all(any(map(pattern.matches, samples)) for pattern in patterns)

    return there_are


def _by_name(samples: Iterable[Any]) -> dict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for sample in samples:
        found[sample.name].append(sample)
    return found
