"""The health check of the container images: ask this container's own `/healthz`, exit 0 when it says 200.

Standard library only and nothing of ours imported, so that a check every few seconds costs little. It reads the port
that the role reads (`STILLWATCH_HTTP__PORT`), from the environment alone: a port set in `stillwatch.toml` is given as
an argument.
"""

from __future__ import annotations

import http.client
import os
import sys
import urllib.request

TIMEOUT_S = 2.0


def check(url: str) -> int:
    """Exit status for `url`: 0 for a 200 within two seconds, 1 (and one line on standard error) for anything else."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy
    try:
        with direct.open(url, timeout=TIMEOUT_S) as answer:
            status = answer.status
    except (OSError, ValueError, http.client.HTTPException) as err:
        print(f"{url}: {err}", file=sys.stderr)
        return 1
    if status != 200:
        print(f"{url}: HTTP {status}", file=sys.stderr)
        return 1
    return 0


def main(arguments: list[str]) -> int:
    """`[URL]`; without one, `http://127.0.0.1:$STILLWATCH_HTTP__PORT/healthz`."""
    if arguments:
        return check(arguments[0])
    port = os.environ.get("STILLWATCH_HTTP__PORT", "0")
    if port == "0":
        print("STILLWATCH_HTTP__PORT names no fixed port to ask", file=sys.stderr)
        return 1
    return check(f"http://127.0.0.1:{port}/healthz")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
