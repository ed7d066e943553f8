"""One frozen settings tree: `stillwatch.toml`, then environment `STILLWATCH_*`, then flags. Unknown keys are refused.

Every key has one line of meaning (`stillwatch config` prints it). Secrets come from the environment or from files
(`*_file` keys) and never print.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from pipeline.base.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_PREFIX = "STILLWATCH_"
SETTINGS_FILE_ENV = "STILLWATCH_CONFIG"
DEFAULT_FILE = "stillwatch.toml"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _read_secret(value: SecretStr | None, file: Path | None, key: str) -> SecretStr | None:
    if file is None:
        return value
    if value is not None:
        raise ValueError(f"{key} and {key}_file are both set; keep one")
    try:
        return SecretStr(file.read_text().strip())
    except OSError as err:
        raise ValueError(f"{key}_file: cannot read {file}: {err.strerror}") from None


class KafkaSettings(_Section):
    """How both Kafka clients (librdkafka and aiokafka) reach the cluster."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="Comma-separated host:port list of the cluster.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field("PLAINTEXT", description="How to connect.")
    ssl_ca_file: Path | None = Field(None, description="PEM file of the authority that signed the brokers' certificates.")
    ssl_certificate_file: Path | None = Field(None, description="PEM client certificate (mTLS).")
    ssl_key_file: Path | None = Field(None, description="PEM client key (mTLS).")
    ssl_key_password: SecretStr | None = Field(None, description="Password of the client key.")
    ssl_check_hostname: bool = Field(True, description="Verify that the broker's certificate names the broker.")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("SCRAM-SHA-512", description="SASL mechanism.")
    sasl_username: str = Field("", description="SASL user.")
    sasl_password: SecretStr | None = Field(None, description="SASL password.")
    sasl_password_file: Path | None = Field(None, description="File holding the SASL password.")
    session_timeout_ms: int = Field(30_000, ge=1_000, le=600_000, description="Silence after which a group member is given up, ms.")
    replication_factor: int = Field(3, ge=1, description="Replicas of the topics that `init` creates.")
    min_insync_replicas: int = Field(2, ge=1, description="Acknowledging replicas of the topics that `init` creates.")
    frames_partitions: int = Field(12, ge=1, le=1024, description="Partitions of frames, state, alerts, rollups and risk; fixed at `init`.")
    compression: Literal["none", "lz4", "zstd", "snappy"] = Field("lz4", description="Compression of what we produce.")

    @model_validator(mode="after")
    def _secrets_from_files(self) -> KafkaSettings:
        secret = _read_secret(self.sasl_password, self.sasl_password_file, "sasl_password")
        object.__setattr__(self, "sasl_password", secret)
        if self.security_protocol.startswith("SASL") and (not self.sasl_username or secret is None):
            raise ValueError("security_protocol is SASL: sasl_username and sasl_password (or sasl_password_file) are needed")
        return self


class IngestSettings(_Section):
    """The front door: validation, fingerprint, framing."""

    max_record_bytes: int = Field(1_048_576, ge=1_024, description="Larger records are rejected, bytes.")
    max_depth: int = Field(32, ge=2, le=512, description="Deeper nested JSON is rejected.")
    max_ahead_h: float = Field(24.0, gt=0, description="Events further ahead of their record's time are rejected, hours.")
    batch_records: int = Field(2_000, ge=1, description="Records per consume call.")
    frame_events: int = Field(1_000, ge=1, le=4_000, description="Events per frame at most.")
    linger_ms: int = Field(50, ge=0, le=5_000, description="Longest wait for a frame to fill, ms.")
    idle_frame_s: float = Field(5.0, gt=0, description="A frames partition that got nothing for this long gets an empty frame, seconds.")
    bad_share_limit: float = Field(0.5, gt=0, le=1, description="Above this share of rejected records the role reports unready.")
    bad_share_window: int = Field(1_000, ge=10, description="Records over which the rejected share is taken.")


class DetectSettings(_Section):
    """Features, models and decisions. Their digest is in every marker; some change while the detector runs (`stillwatch tune`)."""

    alert_budget: float = Field(1.0, ge=0.001, le=1_000, description="False alerts promised per 1,000 active account-days.")
    block_requests: int = Field(25, ge=5, le=250, description="Requests per block vector.")
    epoch_s: int = Field(21_600, ge=3_600, multiple_of=3_600, description="Event time between two recalibrations, whole hours in seconds.")
    allowed_lateness_s: int = Field(300, ge=0, description="Event time an hour stays open after its end, seconds.")
    false_alerts_per_day: float = Field(20.0, ge=0.001, description="False alerts a day in all that lower the budget of a large fleet.")
    cooldown_h: float = Field(6.0, ge=0, le=8_760, description="Quiet event time after which an episode closes, hours.")
    storm_factor: float = Field(
        5.0, ge=0, description="Alerts alike within an event-hour, as a multiple of the budget, that fold into one incident; 0: never."
    )
    dedupe_ring: int = Field(1_048_576, ge=1_024, description="Events per partition among which a repeat is recognised.")
    max_hot_accounts: int = Field(100_000, ge=16, description="Accounts per partition with live models; colder ones are packed.")
    checkpoint_interval_s: float = Field(2.0, gt=0, description="Wall-clock time between checkpoints, seconds.")
    checkpoint_backlog_s: float = Field(10.0, gt=0, description="The same while frames wait: catching up writes busy accounts less often.")
    checkpoint_frames: int = Field(500, ge=1, description="Frames between checkpoints at most.")
    prior_file: Path | None = Field(None, description="What is usual here, as `calibrate` wrote it; empty: what the package ships.")
    constant_scores: bool = Field(False, description="Replace River's scores by zero (for the test that shows they matter).")

    _prior: bytes | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _read_prior(self) -> DetectSettings:
        if self.prior_file is not None:
            try:
                self._prior = self.prior_file.read_bytes()
            except OSError as err:
                raise ValueError(f"prior_file: cannot read {self.prior_file}: {err.strerror}") from None
        return self

    @property
    def prior(self) -> bytes | None:
        """Bytes of `prior_file` as they were when the settings were read; None: the package's own."""
        return self._prior

    def tuned(self, changes: Mapping[str, str]) -> DetectSettings:
        """These settings with others in the place of some, as text; of `prior_file` the text is the file's content.

        Raises:
            SettingsError: there is no such setting, or not with this value.
        """
        said = dict(changes)
        prior = said.pop("prior_file", None)
        try:
            found = DetectSettings.model_validate({**self.model_dump(exclude={"prior_file"}), **said})
        except ValidationError as err:
            wrong = err.errors()[0]
            raise SettingsError(f"detect.{wrong['loc'][0]}: {wrong['msg']}") from None
        found._prior = self._prior if prior is None else prior.encode()  # noqa: SLF001 - of its own class
        return found

    def promised_a_day(self, active: float) -> float:
        """False alerts a day at most, at so many active accounts a day."""
        return min(self.alert_budget * active / 1_000, self.false_alerts_per_day)


class WebhookEndpoint(_Section):
    """One receiver of alerts."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$", description="Name in metrics, logs and the consumer group.")
    url: str = Field(pattern=r"^https?://", description="Where alerts are posted.")
    secret: SecretStr | None = Field(None, description="Signing secret, `whsec_…`.")
    secret_file: Path | None = Field(None, description="File holding the signing secret.")
    allow_networks: tuple[str, ...] = Field((), description="CIDRs of non-public networks this endpoint may live in.")
    allow_http: bool = Field(False, description="Allow plain http (else https only).")
    timeout_s: float = Field(15.0, gt=0, le=60, description="Time for one attempt, seconds.")
    min_severity: int = Field(1, ge=1, le=5, description="Alerts below this severity are not sent.")

    @model_validator(mode="after")
    def _secret_from_file(self) -> WebhookEndpoint:
        secret = _read_secret(self.secret, self.secret_file, "secret")
        if secret is None:
            raise ValueError("secret or secret_file is needed: unsigned webhooks are not sent")
        object.__setattr__(self, "secret", secret)
        return self


class DeliverSettings(_Section):
    """Alerts and aggregates to ClickHouse and webhooks."""

    batch_rows: int = Field(20_000, ge=1, description="Rows per insert at most.")
    linger_ms: int = Field(100, ge=0, le=10_000, description="Longest wait for a batch to fill, ms.")
    webhooks: tuple[WebhookEndpoint, ...] = Field((), description="Receivers of alerts.")
    canary_alerts: bool = Field(False, description="Send alerts about planted attackers (`stillwatch canary`) to webhooks, too.")
    webhook_schedule_s: tuple[float, ...] = Field(
        (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400),
        description="Waits before each attempt, seconds (Standard Webhooks).",
    )


class ClickHouseSettings(_Section):
    """The analysts' database."""

    host: str = Field("127.0.0.1", description="Server host.")
    port: int = Field(8123, ge=1, le=65_535, description="HTTP port.")
    secure: bool = Field(False, description="Use https.")
    ca_file: Path | None = Field(None, description="PEM file of the authority that signed the server's certificate.")
    username: str = Field("default", description="User that writes.")
    password: SecretStr | None = Field(None, description="Its password.")
    password_file: Path | None = Field(None, description="File holding its password.")
    readonly_username: str = Field("", description="User for `query` and `alerts`; empty: the writing user with readonly=1.")
    readonly_password: SecretStr | None = Field(None, description="Its password.")
    database: str = Field("", description="Database; empty: the prefix.")
    alerts_ttl_days: int = Field(730, ge=1, description="Retention of alerts, days.")
    hourly_ttl_days: int = Field(400, ge=1, description="Retention of account_hourly, days.")
    dead_letters_ttl_days: int = Field(30, ge=1, description="Retention of dead_letters, days.")

    @model_validator(mode="after")
    def _secret_from_file(self) -> ClickHouseSettings:
        object.__setattr__(self, "password", _read_secret(self.password, self.password_file, "password"))
        return self


class HttpSettings(_Section):
    """Health and metrics of one process."""

    host: str = Field("127.0.0.1", description="Address of /healthz, /readyz and /metrics; images set 0.0.0.0.")
    port: int = Field(0, ge=0, le=65_535, description="Port of /healthz, /readyz and /metrics; 0 picks a free one and logs it.")


class LogSettings(_Section):
    """Structured logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is written.")
    format: Literal["json", "console"] = Field("json", description="One JSON object per line, or text for people.")


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    prefix: str = Field(
        "stillwatch",
        pattern=r"^[a-z][a-z0-9_]{0,40}$",
        description="Separates environments: prefix of topics, groups and the database.",
    )
    requests_topic: str = Field("api.requests", pattern=r"^[A-Za-z0-9._-]{1,200}$", description="Where gateways write request events.")
    kafka: KafkaSettings = KafkaSettings()
    ingest: IngestSettings = IngestSettings()
    detect: DetectSettings = DetectSettings()
    deliver: DeliverSettings = DeliverSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature; .env files are not read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature; `*_file` keys instead
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, settings_file())

    # names that several rooms need, derived in one place
    def topic(self, name: Literal["frames", "state", "alerts", "rollups", "evidence", "deadletter", "risk", "outbox", "control"]) -> str:
        """Full name of one of our topics."""
        return f"{self.prefix}.{name}"

    def group(self, role: str) -> str:
        """Consumer group of a role."""
        return f"{self.prefix}.{role}"

    @property
    def database(self) -> str:
        """ClickHouse database in use."""
        return self.clickhouse.database or self.prefix


def settings_file() -> Path:
    """The settings file in use: `$STILLWATCH_CONFIG`, else `stillwatch.toml` here (which may be absent)."""
    named = os.environ.get(SETTINGS_FILE_ENV)
    return Path(named or DEFAULT_FILE)


def load_settings(**flags: Any) -> Settings:  # noqa: ANN401 - flags are checked by pydantic
    """Read the tree.

    Raises:
        SettingsError: one line that names the key, the value (unless secret) and what is allowed.
    """
    named = os.environ.get(SETTINGS_FILE_ENV)
    if named and not Path(named).is_file():
        raise SettingsError(f"{SETTINGS_FILE_ENV}={named}: no such file", next_step="point it at a readable stillwatch.toml or unset it")
    known = {"CONFIG", *(name.upper() for name in Settings.model_fields)}
    for key in os.environ:
        if key.startswith(ENV_PREFIX) and key[len(ENV_PREFIX) :].split("__")[0].upper() not in known:
            raise SettingsError(f"{key}: unknown setting", next_step="`stillwatch config` lists every key")
    try:
        return Settings(**flags)
    except ValidationError as err:
        raise SettingsError(_one_line(err), next_step="`stillwatch config --help` explains; `stillwatch config` lists every key") from None
    except ValueError as err:  # a TOML file that does not parse, an environment value that is not JSON
        raise SettingsError(f"{settings_file()}: {err}") from None


def _one_line(err: ValidationError) -> str:
    parts = []
    for problem in err.errors(include_url=False, include_context=False):
        key = ".".join(str(p) for p in problem["loc"]) or "settings"
        value = problem.get("input")
        secret = any(word in key for word in ("password", "secret")) or isinstance(value, dict)
        shown = "" if secret else f"={value!r}"
        what = "unknown setting" if problem["type"] == "extra_forbidden" else problem["msg"]
        parts.append(f"{key}{shown}: {what}")
    return "; ".join(parts)
