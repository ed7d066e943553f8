"""What the control topic says about the detector's settings: its last word on each, and what is in force because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.base.errors import SettingsError
from pipeline.cli.reading import complain
from pipeline.cli.stored import own_topic, stored
from pipeline.events.control import Tuning
from pipeline.ports.broker import TopicPartition
from pipeline.scoring.prior import prior_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.base.settings import DetectSettings, Settings
    from pipeline.ports.broker import Broker


def tunings(settings: Settings, broker: Broker) -> list[Tuning]:
    """Every change of a setting, in the order in which they take effect.

    Raises:
        DependencyError: there is no control topic, or the cluster refuses.
        UnavailableError: it does not answer.
    """
    from pipeline.intake import read_control  # noqa: PLC0415 - the kernels: a second that `doctor --help` should not pay

    topic = own_topic(settings, broker, "control")
    found = (
        read_control(message.value())
        for partition in range(topic.partitions)
        for message, _ in stored(broker, settings.group("tune"), TopicPartition(topic.name, partition))
    )
    return [record for record in found if isinstance(record, Tuning)]


def usable(detect: DetectSettings, changes: Mapping[str, str]) -> DetectSettings:
    """These settings with those changes (setting → value as text).

    Raises:
        SettingsError: workers could not use one.
    """
    found = detect.tuned(changes)
    prior_of(found)
    return found


def in_force(detect: DetectSettings, changes: Iterable[Tuning]) -> DetectSettings:
    """What workers with these settings go by after those changes. One that this program cannot use is left out, as they do."""
    said: dict[str, str] = {}
    found = detect
    for change in changes:
        candidate = change.onto(said)
        try:
            found = usable(detect, candidate)
        except SettingsError as err:
            complain(f"the {change.setting} of {change.issued_by} is not in force: {err.message}")
        else:
            said = candidate
    return found
