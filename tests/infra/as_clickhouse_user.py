"""Run statements as one of the users of `infra/clickhouse/users.xml`, in the real engine: `… USERS_XML USER DATA_DIR`.

chDB has one session, that of `default`; so the user under test takes that name here, with its own grants, profile and
quota. Statements come as a JSON list on standard input; a JSON list of `[error code or 0, text]` goes to standard output.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import chdb


def _configuration(users_file: Path, user: str, folder: Path) -> Path:
    tree = ET.parse(users_file)  # noqa: S314 - our own file
    users = tree.find("users")
    assert users is not None
    original, chosen = users.find("default"), users.find(user)
    assert original is not None
    assert chosen is not None
    password = chosen.find("password")
    assert password is not None
    assert "from_env" in password.attrib, "a password in a file that is committed"
    password.attrib.clear()  # the embedded session logs in without one
    users.remove(original)
    chosen.tag = "default"
    for section in ("profiles", "quotas"):  # the server's own users.xml has these
        parent = tree.find(section)
        assert parent is not None
        ET.SubElement(parent, "default")
    tree.write(folder / "users.xml")
    config = folder / "config.xml"
    config.write_text(f"<clickhouse><users_config>{folder}/users.xml</users_config></clickhouse>")
    return config


def main(users_file: str, user: str, data: str) -> None:
    """Answer each statement."""
    answers: list[tuple[int, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        config = _configuration(Path(users_file), user, Path(folder))
        connection = chdb.connect(f"{data}?config-file={config}")
        for statement in json.load(sys.stdin):
            try:
                answers.append((0, connection.query(statement, "TSV").bytes().decode()))
            except RuntimeError as err:
                code = re.search(r"Code: (\d+)\.", str(err))
                answers.append((int(code[1]) if code else -1, str(err)))
        connection.close()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
