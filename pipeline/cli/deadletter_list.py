"""`stillwatch deadletter list`: what was rejected, why, and where the original is."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.base.catalogue import RejectReason
from pipeline.cli.reading import complain, reading, write_json, write_table
from pipeline.cli.since import since_ms
from pipeline.ports.clickhouse import Limits

COLUMNS = ("rejected_at", "reason", "json_path", "position", "size", "account_id", "message")
SQL = """
SELECT rejected_at, reason, json_path, source_topic AS topic, source_partition AS partition, source_offset AS offset,
    record_time, size, sha256, message, fields
FROM dead_letters FINAL
WHERE ({reason:String} = '' OR reason = {reason:String}) AND rejected_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY rejected_at DESC, topic, partition, offset DESC
"""


def register(app: typer.Typer) -> None:
    """Add the verb to the `deadletter` group."""
    app.command("list")(list_dead_letters)


def list_dead_letters(
    reason: Annotated[RejectReason | None, typer.Option("--reason", help="Only this reason.")] = None,
    since: Annotated[str, typer.Option("--since", help="Rejected since: 30m, 24h, 7d, or a UTC time such as 2026-11-23T10:00.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=Limits().rows, help="Rows at most, newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List rejected records, newest first. The bytes are not kept: `position` says where Kafka has them, as topic:partition:offset."""
    with reading() as reader:
        found = reader.query(SQL, {"reason": reason.value if reason else "", "since": since_ms(since)}, rows=limit)
    records = found.records()
    if as_json:
        write_json(records)
    elif records:
        for record in records:
            record["position"] = f"{record['topic']}:{record['partition']}:{record['offset']}"
            record["account_id"] = record["fields"].get("account_id", "")
        write_table(COLUMNS, [[record[column] for column in COLUMNS] for record in records])
    else:
        complain("no dead letters")
    if found.truncated:
        complain(f"these are the newest {limit}; --limit shows more")
