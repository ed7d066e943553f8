"""The contract with plain HTTP clients, and the life of the process behind it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from pipeline.base.errors import DependencyError
from pipeline.devstack.clickhouse import EmbeddedClickHouse, embedded_clickhouse
from pipeline.devstack.processes import ProcessGroup, module_argv

if TYPE_CHECKING:
    from pathlib import Path


TOKEN_X = {"insert_deduplication_token": "x"}
TOKEN_Y = {"insert_deduplication_token": "y"}


def _sql(server: EmbeddedClickHouse, query: str, **params: str) -> httpx.Response:
    return httpx.post(server.url, content=query.encode(), params=params, timeout=30)


def _ok(server: EmbeddedClickHouse, query: str, **params: str) -> str:
    answer = _sql(server, query, **params)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_curl_talks_to_it(clickhouse: EmbeddedClickHouse, unique: str) -> None:
    """The lines of ClickHouse's own manual work with curl: ping, GET, POST, data behind the query, a form."""

    def curl(*arguments: str, data: bytes = b"") -> str:
        command = ["curl", "-sS", "--compressed", "--max-time", "20", *arguments]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode()

    assert curl(f"{clickhouse.url}/ping") == "Ok.\n"
    assert curl(clickhouse.url) == "Ok.\n"
    assert curl(f"{clickhouse.url}/?query=SELECT%201") == "1\n"
    assert curl(clickhouse.url, "-d", "SELECT 1 FORMAT CSVWithNames") == '"1"\n1\n'
    assert curl(clickhouse.url, "-d", f"CREATE DATABASE {unique}") == ""
    mine = f"{clickhouse.url}/?database={unique}"
    assert curl(mine, "-d", "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a") == ""
    url = f"{mine}&query=INSERT%20INTO%20t%20FORMAT%20CSV"
    rows = "".join(f"{i}\n" for i in range(300_000)).encode()  # 2 MB: curl asks before it sends
    assert curl(url, "--data-binary", "@-", data=rows) == ""
    assert curl(url, "--data-binary", "@-", "-H", "Transfer-Encoding: chunked", data=b"7\n") == ""
    assert curl(mine, "-d", "SELECT count(), sum(a) FROM t") == "300001\t44999850007\n"
    assert curl(f"{clickhouse.url}/?param_x=2", "-d", "SELECT {x:UInt8} + 1") == "3\n"
    assert curl(clickhouse.url, "-F", "query=SELECT {y:String}", "-F", "param_y=a b") == "a b\n"
    _ok(clickhouse, f"DROP DATABASE {unique}")


def test_a_get_does_not_write(clickhouse: EmbeddedClickHouse, unique: str) -> None:
    """ClickHouse's rule: GET is for reading, though it may set settings."""
    query = {"query": f"CREATE TABLE {unique} (a UInt8) ENGINE = Memory"}
    assert httpx.get(clickhouse.url, params=query).headers["X-ClickHouse-Exception-Code"] == "164"
    assert httpx.get(clickhouse.url, params={**query, "readonly": "0"}).status_code == 500
    threads = {"query": "SELECT getSetting('max_threads') SETTINGS max_threads = 2", "max_threads": "3"}
    assert httpx.get(clickhouse.url, params=threads).text == "2\n"


def test_formats_databases_and_headers(clickhouse: EmbeddedClickHouse) -> None:
    """Format and database come from the URL or from headers; the answer's headers name format, query and counts."""
    answer = _sql(clickhouse, "SELECT 1 AS a", default_format="JSONEachRow", query_id="q-1")
    assert answer.text == '{"a":1}\n'
    assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert answer.headers["X-ClickHouse-Query-Id"] == "q-1"
    assert answer.headers["X-ClickHouse-Timezone"]
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["result_rows"] == "1"
    assert _ok(clickhouse, "SELECT currentDatabase()", database="system") == "system\n"
    headers = {"X-ClickHouse-Database": "system", "X-ClickHouse-Format": "CSV", "X-ClickHouse-User": "default"}
    assert httpx.post(clickhouse.url, content=b"SELECT currentDatabase()", headers=headers).text == '"system"\n'
    assert _sql(clickhouse, "SELECT 1", database="no`such\\db").headers["X-ClickHouse-Exception-Code"] == "81"


@pytest.mark.parametrize(
    ("params", "query", "status", "code"),
    [
        ({}, "", 400, 62),
        ({}, "SELECT 1; SELECT 2", 400, 62),
        ({}, "SELECT * FROM nowhere", 404, 60),
        ({"no_such_setting": "1"}, "SELECT 1", 404, 115),
        ({"max_threads = 1, readonly": "1"}, "SELECT 1", 404, 115),
        ({"max_execution_time": "x"}, "SELECT 1", 400, 72),
        ({"database": "nowhere"}, "SELECT 1", 404, 81),
        ({"default_format": "Nope"}, "SELECT 1", 404, 73),
        ({"session_id": "s"}, "SELECT 1", 501, 48),
        ({"role": "r"}, "SELECT 1", 501, 48),
        ({"compress": "1"}, "SELECT 1", 501, 48),
        ({"user": "admin"}, "SELECT 1", 403, 516),
        ({"user": "default", "password": "x"}, "SELECT 1", 403, 516),
        ({"max_execution_time": "1"}, "SELECT sleep(3)", 408, 159),
        ({}, "SELECT {x:UInt8}", 500, 456),
        ({"param_x": "z"}, "SELECT {x:UInt8}", 500, 457),
        ({}, "SELECT file('/etc/hostname')", 501, 48),
    ],
)
def test_errors_have_status_number_and_text(
    clickhouse: EmbeddedClickHouse, params: dict[str, str], query: str, status: int, code: int
) -> None:
    """An error answers with ClickHouse's HTTP status, its number in the header, and its text in the body."""
    answer = _sql(clickhouse, query, **params)
    assert (answer.status_code, answer.headers.get("X-ClickHouse-Exception-Code")) == (status, str(code)), answer.text
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert answer.text.rstrip().endswith(")")


def test_a_connection_survives_errors(clickhouse: EmbeddedClickHouse) -> None:
    """A refused query leaves the kept-alive connection usable, with nothing of it in the next answer."""
    with httpx.Client(base_url=clickhouse.url) as client:
        for _ in range(3):
            assert client.post("/", content=b"SELECT nothing" + b" " * 10_000).status_code == 404
            assert client.post("/", content=b"SELECT 1").text == "1\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Host": "example.com"},
        {"Host": "rebound.example.com:8123"},
        {"Host": "[::1"},
    ],
)
def test_web_pages_are_kept_out(clickhouse: EmbeddedClickHouse, headers: dict[str, str]) -> None:
    """A page in the user's browser cannot use the passwordless loopback server, by its own name or by another."""
    answer = httpx.post(clickhouse.url, content=b"SELECT 1", headers=headers)
    assert answer.status_code == 403
    assert "local programs only" in answer.text


def test_other_authentication_is_refused(clickhouse: EmbeddedClickHouse) -> None:
    """Tokens and other users' credentials are not ignored; the default user without a password is welcome."""
    for value in ("Bearer abc", "Basic !!!", "Negotiate x"):
        assert httpx.post(clickhouse.url, content=b"SELECT 1", headers={"Authorization": value}).status_code == 403
    assert httpx.post(clickhouse.url, content=b"SELECT 1", auth=("admin", "")).status_code == 403
    assert httpx.post(clickhouse.url, content=b"SELECT 1", auth=("default", "")).text == "1\n"


def test_external_data_is_refused(clickhouse: EmbeddedClickHouse) -> None:
    """Files of a multipart request (external tables) are refused, not dropped."""
    answer = httpx.post(clickhouse.url, params={"query": "SELECT 1"}, files={"t": ("t.tsv", b"1\n")})
    assert (answer.status_code, "external data" in answer.text) == (501, True)


def test_an_unknown_path_is_said_to_be(clickhouse: EmbeddedClickHouse) -> None:
    """Other paths of a server (play, dashboard) are not here."""
    assert httpx.get(f"{clickhouse.url}/play").status_code == 404


def test_comments_do_not_swallow_the_data(clickhouse: EmbeddedClickHouse, unique: str) -> None:
    """An INSERT with comments around its clauses, and empty lines in its values, lands whole."""
    _ok(clickhouse, f"CREATE DATABASE {unique}")
    mine = {"database": unique}
    _ok(clickhouse, "CREATE TABLE t (a UInt8, s String) ENGINE = MergeTree ORDER BY a", **mine)
    _ok(clickhouse, "INSERT INTO t -- all of them\nFORMAT CSV\n1,x\n2,y\n", **mine)
    _ok(clickhouse, "INSERT INTO t VALUES (3, 'a\n\nb;c'), (4, concat('p', 'q'));", **mine)
    assert _ok(clickhouse, "SELECT * FROM t ORDER BY a FORMAT TSV", **mine) == "1\tx\n2\ty\n3\ta\\n\\nb;c\n4\tpq\n"
    _ok(clickhouse, f"DROP DATABASE {unique}")


def test_data_survives_a_restart_and_a_kill(own_clickhouse: EmbeddedClickHouse) -> None:
    """With a folder, what was acknowledged is there after SIGTERM and after `kill -9`, tokens included."""
    server = own_clickhouse
    _ok(
        server,
        "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100",
    )
    _ok(server, "INSERT INTO t SELECT number FROM numbers(1000)")
    _ok(server, "INSERT INTO t FORMAT CSV 5000", **TOKEN_X)
    assert server.child.stop() == 0
    server.child.start()
    assert _ok(server, "SELECT count(), max(a) FROM t") == "1001\t5000\n"
    _ok(server, "INSERT INTO t FORMAT CSV 5001", **TOKEN_Y)
    server.child.kill()
    server.child.start()
    _ok(server, "INSERT INTO t FORMAT CSV 5001", **TOKEN_Y)
    assert _ok(server, "SELECT count(), max(a) FROM t") == "1002\t5001\n"


def test_sigterm_lets_a_running_query_end(own_clickhouse: EmbeddedClickHouse) -> None:
    """A query that runs when SIGTERM comes is answered before the process ends with status 0."""
    server = own_clickhouse
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(_ok(server, "SELECT sleep(2), 'done'")))
    thread.start()
    deadline = time.monotonic() + 10
    while _ok(server, "SELECT count() FROM system.processes WHERE startsWith(query, 'SELECT sleep')") != "1\n":
        assert time.monotonic() < deadline
    assert server.child.stop() == 0
    thread.join()
    assert answers == ["0\tdone\n"]


def test_one_folder_has_one_owner(processes: ProcessGroup, own_clickhouse: EmbeddedClickHouse) -> None:
    """A second process on the same folder, and one on a taken port, end at once and say why."""
    with pytest.raises(DependencyError, match=r"does not start.*(.|\n)*no other process uses this folder"):
        embedded_clickhouse(processes, path=own_clickhouse.path)
    taken = module_argv("pipeline.devstack.clickhouse", "--port", str(own_clickhouse.port))
    child = processes.start("second", taken)
    assert child.wait(20) == 1
    assert "Address already in use" in child.log_tail()


def test_in_memory_leaves_nothing_behind(processes: ProcessGroup, tmp_path: Path) -> None:
    """`:memory:` works with tables on parts, and its temporary files end with the process."""
    log = processes.folder / "memory.log"
    child = processes.start(
        "memory",
        module_argv("pipeline.devstack.clickhouse", "--port", "0"),
        env={"TMPDIR": str(tmp_path)},
        ready=lambda: "listens on" in log.read_text(),
    )
    url = log.read_text().split()[-1]
    for query in ("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a", "INSERT INTO t VALUES (1)"):
        assert httpx.post(url, content=query.encode()).status_code == 200
    assert httpx.post(url, content=b"SELECT sum(a) FROM t").text == "1\n"
    assert child.stop() == 0
    assert list(tmp_path.iterdir()) == []
