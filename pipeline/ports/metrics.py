"""Prometheus metrics of one process: every metric of `base.catalogue.METRICS`, created once, found by name.

The registry is our own, so that a library's default collectors never appear on `/metrics` by accident. Values are
process-wide: two roles in one process share them, told apart by their `role` label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from pipeline.base.catalogue import METRICS, Metric, MetricKind

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_REGISTRY = CollectorRegistry()


def _create(metric: Metric) -> Counter | Gauge | Histogram:
    match metric.kind:
        case MetricKind.COUNTER:
            return Counter(metric.name, metric.help, metric.labels, registry=_REGISTRY)
        case MetricKind.GAUGE:
            return Gauge(metric.name, metric.help, metric.labels, registry=_REGISTRY)
        case MetricKind.HISTOGRAM:
            return Histogram(metric.name, metric.help, metric.labels, registry=_REGISTRY, buckets=_BUCKETS_S)


_CREATED: dict[str, Counter | Gauge | Histogram] = {name: _create(metric) for name, metric in METRICS.items()}


def count(name: str, amount: float = 1, /, **labels: str) -> None:
    """Add to a counter of the catalogue; KeyError or TypeError when it is none."""
    metric = _CREATED[name]
    if not isinstance(metric, Counter):
        raise TypeError(f"{name} is no counter")
    (metric.labels(**labels) if labels else metric).inc(amount)


def gauge(name: str, value: float, /, **labels: str) -> None:
    """Set a gauge of the catalogue; KeyError or TypeError when it is none."""
    metric = _CREATED[name]
    if not isinstance(metric, Gauge):
        raise TypeError(f"{name} is no gauge")
    (metric.labels(**labels) if labels else metric).set(value)


def observe(name: str, value: float, /, **labels: str) -> None:
    """Put one value into a histogram of the catalogue; KeyError or TypeError when it is none."""
    metric = _CREATED[name]
    if not isinstance(metric, Histogram):
        raise TypeError(f"{name} is no histogram")
    (metric.labels(**labels) if labels else metric).observe(value)


def get(name: str) -> Counter | Gauge | Histogram:
    """The vendor's object of a metric, for what the three verbs above do not cover; KeyError when unknown."""
    return _CREATED[name]


def forget(name: str, **labels: str) -> None:
    """Drop the series of these labels, so that a partition that moved away does not keep its last value for ever."""
    metric = _CREATED[name]
    values = [labels[label] for label in METRICS[name].labels]
    try:
        metric.remove(*values)
    except KeyError:
        return


def value(name: str, labels: Mapping[str, str] | None = None) -> float:
    """Current value of a counter or gauge series; 0 when it was never touched."""
    return _REGISTRY.get_sample_value(name, dict(labels or {})) or 0.0


def render() -> bytes:
    """Everything in Prometheus' text format."""
    return generate_latest(_REGISTRY)
