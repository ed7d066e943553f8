from __future__ import annotations

import pytest

from pipeline.devstack.statement import QueryError, read


@pytest.mark.parametrize(
    ("request_text", "text"),
    [
        (b"SELECT 1;", b"SELECT 1"),
        (b"SELECT 1 -- ; x\n ; # ; y\n/* ; */", b"SELECT 1"),
        (b"/* ; */ SELECT ';', \"a;b\", `c``;`, $t$ ; ' $t$", b"/* ; */ SELECT ';', \"a;b\", `c``;`, $t$ ; ' $t$"),
        (b"SELECT 'it''s \\' ; x'", b"SELECT 'it''s \\' ; x'"),
        (b"INSERT INTO t SELECT format FROM x", b"INSERT INTO t SELECT format FROM x"),
        (b"INSERT INTO t SELECT * FROM values('a Int8', (1))", b"INSERT INTO t SELECT * FROM values('a Int8', (1))"),
    ],
)
def test_a_statement_without_data_is_left_as_it_is(request_text: bytes, text: bytes) -> None:
    """Semicolons inside strings, names, heredocs and comments end nothing; the one at the end is dropped."""
    statement = read(request_text)
    assert statement.text == text
    assert statement.data is None


@pytest.mark.parametrize(
    ("request_text", "text", "form", "data"),
    [
        (b"INSERT INTO t FORMAT Native\n\n;'\x00", b"INSERT INTO t ", "Native", b"\n;'\x00"),
        (b"insert into t (a, format) format CSV\r\n1,2", b"insert into t (a, format) ", "CSV", b"1,2"),
        (b"INSERT INTO t FORMAT JSONEachRow {}", b"INSERT INTO t ", "JSONEachRow", b"{}"),
        (b"INSERT INTO t FORMAT TSV", b"INSERT INTO t ", "TSV", b""),
        (b"INSERT INTO t VALUES (1, ';'), (2, '\n\n');", b"INSERT INTO t ", "Values", b" (1, ';'), (2, '\n\n');"),
        (b"INSERT INTO values VALUES (1)", b"INSERT INTO values ", "Values", b" (1)"),
        (b"INSERT INTO db.format FORMAT CSV 1", b"INSERT INTO db.format ", "CSV", b"1"),
        (b"INSERT INTO t SETTINGS a = 'FORMAT x' FORMAT CSV 1", b"INSERT INTO t SETTINGS a = 'FORMAT x' ", "CSV", b"1"),
        (b"INSERT INTO FUNCTION null('a Int8') VALUES (1)", b"INSERT INTO FUNCTION null('a Int8') ", "Values", b" (1)"),
    ],
)
def test_the_data_of_an_insert_begins_where_the_server_says(request_text: bytes, text: bytes, form: str, data: bytes) -> None:
    """Behind VALUES or the format's name, blanks and one line break; not a byte of it is read as SQL."""
    statement = read(request_text)
    assert statement.data is not None
    assert (statement.text, statement.format, bytes(statement.data)) == (text, form, data)


@pytest.mark.parametrize(
    ("request_text", "form"),
    [
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 1 format CSV SETTINGS max_threads = 1;", "CSV"),
        (b"SELECT format FROM x", ""),
        (b"SELECT 1", ""),
    ],
)
def test_the_format_of_a_result_is_the_one_named(request_text: bytes, form: str) -> None:
    """A FORMAT clause names the result's format; a column of that name does not."""
    assert read(request_text).format == form


@pytest.mark.parametrize("request_text", [b"", b"  \n", b"-- SELECT 1", b"/* SELECT 1 */", b";"])
def test_an_empty_request_is_refused(request_text: bytes) -> None:
    """A request without a statement is a syntax error."""
    with pytest.raises(QueryError, match="Empty query") as caught:
        read(request_text)
    assert caught.value.code == 62


@pytest.mark.parametrize(
    "request_text",
    [b"SELECT 1; SELECT 2", b"SELECT 1;\n-- x\nDROP TABLE t;", b"INSERT INTO t VALUES (1); (2)"],
)
def test_a_second_statement_is_refused(request_text: bytes) -> None:
    """One request, one statement, as on a server: what follows a semicolon is never dropped in silence."""
    with pytest.raises(QueryError, match="Multi-statements are not allowed"):
        read(request_text)


@pytest.mark.parametrize(
    "request_text",
    [
        b"SELECT file('/etc/passwd')",
        b"SELECT * FROM \"File\" /* x */ ('/etc/passwd')",
        b"CREATE TABLE x (a String) ENGINE = File(CSV, '/etc/passwd')",
        b"SELECT * FROM Python(secrets)",
        b"SELECT * FROM executable('id', TSV, 'a String')",
        b"SELECT 1 INTO /* x */ OUTFILE '/tmp/x'",
        b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
    ],
)
def test_the_file_system_is_out_of_reach(request_text: bytes) -> None:
    """What a server confines to its own folders, or leaves to its client, is refused by name."""
    with pytest.raises(QueryError, match="no access to files of this machine") as caught:
        read(request_text)
    assert caught.value.name == "NOT_IMPLEMENTED"


def test_words_about_files_are_not_files() -> None:
    """A column called `file` and a string that says OUTFILE are no access to files."""
    assert read(b"SELECT file, 'INTO OUTFILE' FROM t").data is None
