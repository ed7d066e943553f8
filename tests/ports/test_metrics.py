import pytest

from pipeline.base.catalogue import METRICS, MetricKind
from pipeline.ports import metrics


def test_every_metric_of_the_catalogue_exists_with_its_labels() -> None:
    """Each name is created once, of its kind, renders with its help, and takes exactly its labels."""
    for name, metric in METRICS.items():
        labels = dict.fromkeys(metric.labels, "x")
        {MetricKind.COUNTER: metrics.count, MetricKind.GAUGE: metrics.gauge, MetricKind.HISTOGRAM: metrics.observe}[metric.kind](
            name, 1.0, **labels
        )
        assert f"# HELP {name} {metric.help}" in metrics.render().decode()
        if metric.labels:
            with pytest.raises(ValueError, match="label"):
                metrics.get(name).labels(wrong="x")


def test_values_add_up_and_can_be_forgotten() -> None:
    """A counter adds, a gauge keeps the last, a forgotten series disappears, forgetting an unknown one is no error."""
    labels = {"role": "test", "topic": "t", "partition": "0"}
    before = metrics.value("stillwatch_rejects_total", {"reason": "test"})
    metrics.count("stillwatch_rejects_total", 2, reason="test")
    metrics.count("stillwatch_rejects_total", reason="test")
    assert metrics.value("stillwatch_rejects_total", {"reason": "test"}) == before + 3
    metrics.gauge("stillwatch_consumer_lag", 7, **labels)
    metrics.gauge("stillwatch_consumer_lag", 5, **labels)
    assert metrics.value("stillwatch_consumer_lag", labels) == 5
    metrics.forget("stillwatch_consumer_lag", **labels)
    metrics.forget("stillwatch_consumer_lag", **labels)
    lags = [line for line in metrics.render().decode().splitlines() if line.startswith("stillwatch_consumer_lag{")]
    assert not [line for line in lags if 'role="test"' in line]


def test_a_metric_is_used_as_what_it_is() -> None:
    """A wrong verb or an unknown name is an error at the call, not a silent new metric."""
    with pytest.raises(TypeError):
        metrics.gauge("stillwatch_rejects_total", 1, reason="x")
    with pytest.raises(TypeError):
        metrics.count("stillwatch_ready", 1, role="x")
    with pytest.raises(TypeError):
        metrics.observe("stillwatch_ready", 1, role="x")
    with pytest.raises(KeyError):
        metrics.count("stillwatch_nothing_total")
