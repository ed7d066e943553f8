"""The request event, version 1 (topic `api.requests`): what a gateway sends, one JSON object per record.

Names follow OpenTelemetry's GenAI conventions where they have one. The type is the schema: msgspec decodes and checks
it, `schema export` prints it. Unknown fields are ignored.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

REQUEST_VERSION = 1
MAX_ID_BYTES = 256
MAX_TOKENS = 1_000_000_000

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)]
OptionalId = Annotated[str, Meta(max_length=MAX_ID_BYTES)]
Tokens = Annotated[int, Meta(ge=0, le=MAX_TOKENS)]
Millis = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]


class PromptPrint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fingerprint of a prompt, for gateways that make it themselves (see `intake.fingerprint` for each field)."""

    sketch: Annotated[bytes, Meta(min_length=128, max_length=128)]
    template: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    prefix: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    suffix: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    length: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    script: Annotated[int, Meta(ge=0, le=255)] = 0
    markers: Annotated[int, Meta(ge=0, le=65_535)] = 0


class RequestEvent(msgspec.Struct, gc=False):
    """One request to the model API. Required fields first; `None` means absent."""

    event_id: Id
    occurred_at_ms: Millis
    account_id: Id
    operation: Annotated[str, Meta(min_length=1, max_length=64)]
    model: OptionalId
    status: Annotated[int, Meta(ge=100, le=599)]
    schema_version: int = REQUEST_VERSION
    api_key_id: OptionalId | None = None
    organization_id: OptionalId | None = None
    plan: OptionalId | None = None
    payment_fingerprint: OptionalId | None = None
    conversation_id: OptionalId | None = None
    provider: OptionalId | None = None
    account_created_at_ms: Millis | None = None
    error_type: OptionalId | None = None
    finish_reason: OptionalId | None = None
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None
    cached_input_tokens: Tokens | None = None
    max_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=100)] | None = None
    choice_count: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    logprobs: bool | None = None
    stream: bool | None = None
    latency_ms: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    client_address: OptionalId | None = None
    country: OptionalId | None = None
    user_agent: Annotated[str, Meta(max_length=1024)] | None = None
    asn: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None
    prompt: str | None = None
    prompt_print: PromptPrint | None = None
