"""Parameters for programs: JSON, YAML, CSV. What is secret is there only when it was decrypted on request."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from statectl.parameters.model import STANDARD_BYTES, Parameter
from statectl.secrets import Secret

FORMATS = ("text", "json", "yaml", "csv")
COLUMNS = ("name", "type", "version", "value", "data_type", "description", "modified", "who", "why", "labels", "tags")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(value: str | Secret | None) -> str | None:
    """The one way of a decrypted secret to the terminal of whoever asked for it."""
    return value.reveal() if isinstance(value, Secret) else value


def parameter_document(one: Parameter) -> dict[str, Any]:
    value = plain(one.value)
    size = len(value.encode()) if value is not None else 0
    return {
        "name": one.name,
        "type": one.type,
        "version": one.version,
        "selector": one.selector,
        "value": value,
        "data_type": one.data_type,
        "description": one.description,
        "allowed_pattern": one.allowed_pattern,
        "policies": one.policies,
        "expires": one.expires,
        "tier": "Advanced" if size > STANDARD_BYTES or one.policies else "Standard",
        "key_id": one.key_id,
        "modified": one.modified,
        "who": one.who,
        "why": one.why,
        "labels": list(one.labels),
        "tags": dict(one.tags),
    }


def to_yaml(document: Any) -> str:
    import yaml

    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))


def to_csv(found: Sequence[Parameter]) -> str:
    rows = []
    for one in found:
        document = parameter_document(one)
        document["labels"] = " ".join(one.labels)
        document["tags"] = " ".join(f"{key}={value}" for key, value in one.tags.items())
        document["value"] = one.placeholder if one.is_secure and one.value is None else document["value"]
        rows.append([document[column] for column in COLUMNS])
    return table_csv(COLUMNS, rows)


def table_csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A cell that a spreadsheet would take for a formula is made text."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        texts = ["" if cell is None else str(cell) for cell in row]
        writer.writerow([f"'{text}" if text.startswith(_FORMULA) else text for text in texts])
    return file.getvalue()
