"""Reads a request's SQL just far enough to hand it to the engine the way ClickHouse's server would.

A server takes one statement per request and finds where an INSERT's data begins; the embedded engine would run several
statements and cut data at an empty line. Statements that reach the file system are refused: a server confines them to
its own folders, the embedded engine cannot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

# ClickHouse's lexer, as far as it matters here: what is quoted or commented out, words, and single characters.
_TOKEN = re.compile(
    rb"""
    (?P<blank> \s+ | --[^\n]* | \#(?:!|[ ])[^\n]* | /\*.*?\*/ )
  | (?P<quoted> '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*`
              | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
              | \xe2\x80\x98.*?\xe2\x80\x99 | \xe2\x80\x9c.*?\xe2\x80\x9d )
  | (?P<word> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<mark> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_READS_FILES = frozenset({b"FILE", b"FILECLUSTER", b"PYTHON", b"EXECUTABLE", b"EXECUTABLEPOOL"})
_RESULT_FORMAT = re.compile(rb"\bFORMAT\s+(?P<name>\w+)(?:\s+SETTINGS\b[^;]*)?$", re.IGNORECASE)  # for the headers
_FILE_CLAUSES = frozenset({(b"INTO", b"OUTFILE"), (b"FROM", b"INFILE")})
_NAMES_A_TABLE = frozenset({b"INTO", b"TABLE", b"FUNCTION", b"."})  # what follows is a name, whatever it spells


class QueryError(DependencyError):
    """A statement was refused, by the engine or on the way to it.

    Attributes:
        code: ClickHouse's error number.
        name: its symbolic name, which decides the HTTP status.
    """

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.name = name


def not_implemented(what: str) -> QueryError:
    """The refusal of something that a ClickHouse server can do and the embedded engine cannot."""
    return QueryError(48, "NOT_IMPLEMENTED", f"The embedded ClickHouse has no {what}")


@dataclass(frozen=True)
class Statement:
    """One statement, apart from its data.

    Attributes:
        text: the SQL without a trailing semicolon and, for an INSERT with data, without its FORMAT or VALUES clause.
        data: the inline data of an INSERT; None for every other statement.
        format: the format of that data, else of the result; empty when the statement names none.
    """

    text: bytes
    data: memoryview | None
    format: str


class _Token(NamedTuple):
    word: bytes  # a word or a quoted name in capitals, a mark as it is, empty for a string
    depth: int  # open parentheses around it
    start: int
    end: int


_NOTHING = _Token(b"", 0, 0, 0)


def read(request: bytes) -> Statement:
    """Split one request's SQL into statement and data.

    Raises:
        QueryError: it is empty, holds several statements, or reaches the file system.
    """
    kind = b""
    older = old = _NOTHING
    for token in _tokens(request):
        if token.word == b";":
            _refuse_second_statement(request, token.start)
            break
        _refuse_files(old, token)
        kind = kind or token.word
        if kind == b"INSERT" and token.depth == old.depth == 0:
            if token.word == b"SELECT":
                kind = token.word  # its rows come from the query, not from the request
            elif old.word == b"FORMAT" and older.word not in _NAMES_A_TABLE:
                data = memoryview(request)[_data_start(request, token.end) :]
                return Statement(request[: old.start], data, request[token.start : token.end].decode(errors="replace"))
            elif token.word == b"VALUES" and old.word not in _NAMES_A_TABLE:
                _refuse_second_statement(request, token.end)  # the engine would drop the rows behind it
                return Statement(request[: token.start], memoryview(request)[token.end :], "Values")
        older, old = old, token
    if old is _NOTHING:
        raise QueryError(62, "SYNTAX_ERROR", "Syntax error: Empty query")
    named = _RESULT_FORMAT.search(request, 0, old.end)
    return Statement(request[: old.end], None, named["name"].decode(errors="replace") if named else "")


def _refuse_second_statement(request: bytes, start: int) -> None:
    if request.find(b";", start) < 0:
        return
    tokens = _tokens(request, start)
    if any(token.word == b";" for token in tokens) and next(tokens, None) is not None:
        raise QueryError(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")


def _tokens(request: bytes, start: int = 0) -> Iterator[_Token]:
    depth = 0
    for match in _TOKEN.finditer(request, start):
        text = match[0]
        if match.lastgroup == "blank":
            continue
        if match.lastgroup == "quoted":
            text = text[1:-1] if text[:1] in b'"`' else b""
        depth -= text == b")"
        yield _Token(text.upper(), depth, match.start(), match.end())
        depth += text == b"("


def _refuse_files(old: _Token, token: _Token) -> None:
    if (token.word == b"(" and old.word in _READS_FILES) or (old.word, token.word) in _FILE_CLAUSES:
        what = old.word if token.word == b"(" else token.word
        raise not_implemented(f"access to files of this machine ({what.decode().lower()})")


def _data_start(request: bytes, end: int) -> int:
    """Where data begins after the format's name: behind blanks and one line break, as the server reads it."""
    while request[end : end + 1] in {b" ", b"\t", b"\f"}:
        end += 1
    if request[end : end + 1] == b";":
        end += 1
    if request[end : end + 1] == b"\r":
        end += 1
    return end + (request[end : end + 1] == b"\n")
