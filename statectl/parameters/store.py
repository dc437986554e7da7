"""The parameter store as others call it: one object for one principal. Every right is checked here, and every write and decryption leaves
an audit row in its own transaction.

Raises UsageError for what can never be, Refused for what is not there, may not be done, or was changed by somebody else.
"""

import datetime as dt
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from statectl.parameters import (
    deleting,
    keeping_keys,
    labelling,
    noticing,
    reading,
    restoring,
    trees,
    watching,
    writing,
)
from statectl.parameters.access import Access
from statectl.parameters.context import Context
from statectl.parameters.keys import Keys
from statectl.parameters.model import (
    Bounds,
    Changes,
    Difference,
    Event,
    Filter,
    Labelled,
    NewVersion,
    Page,
    Parameter,
    Put,
    Restored,
)
from statectl.secrets import Secret
from statectl.store.database import Database, repeatable


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class ParameterStore:
    """principal: the name that the policy knows. A selector is `name`, `name:3` or `name:label`."""

    def __init__(
        self,
        database: Database,
        *,
        keys: Keys,
        access: Access,
        principal: str,
        clock: Callable[[], dt.datetime] = _utc_now,
        bounds: Bounds | None = None,
    ) -> None:
        self._database = database
        who = f"{principal}@{socket.gethostname()}"
        self._context = Context(database, keys, access.of(principal), who, clock, bounds or Bounds())

    # --- writing

    def put(
        self,
        name: str,
        value: str | Secret,
        *,
        type: str | None = None,  # noqa: A002  the word of Systems Manager
        data_type: str | None = None,
        description: str | None = None,
        allowed_pattern: str | None = None,
        tags: Mapping[str, str] | None = None,
        policies: Sequence[Mapping[str, Any]] | None = None,
        overwrite: bool = False,
        expected_version: int | None = None,
        why: str = "",
    ) -> Put:
        """A new version; see NewVersion for what each means."""
        new = NewVersion(
            name,
            value,
            type=type,
            data_type=data_type,
            description=description,
            allowed_pattern=allowed_pattern,
            tags=tags,
            policies=policies,
            overwrite=overwrite,
            expected_version=expected_version,
            why=why,
        )
        return self.put_many([new])[0]

    @repeatable
    def put_many(self, puts: Sequence[NewVersion]) -> list[Put]:
        """All or none, in one transaction."""
        return writing.put_many(self._context, puts)

    @repeatable
    def label(self, name: str, version: int | None, labels: Sequence[str]) -> Labelled:
        """Move labels to a version, None for the latest. What cannot be a label comes back as invalid."""
        return labelling.label(self._context, name, version, labels)

    @repeatable
    def unlabel(self, name: str, version: int, labels: Sequence[str]) -> Labelled:
        return labelling.unlabel(self._context, name, version, labels)

    @repeatable
    def tag(
        self, name: str, tags: Mapping[str, str], remove: Sequence[str] = (), *, replace: bool = False
    ) -> dict[str, str]:
        """Set and remove tags; all that it has then. Tags make no version. replace: those that are not named go."""
        return labelling.tag(self._context, name, tags, remove, replace=replace)

    @repeatable
    def delete(self, name: str) -> None:
        deleting.delete(self._context, name)

    @repeatable
    def delete_many(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """(deleted, not there or not allowed)."""
        return deleting.delete_many(self._context, names)

    @repeatable
    def delete_tree(self, path: str) -> list[str]:
        """The names of all that was below the path."""
        return deleting.delete_tree(self._context, path)

    @repeatable
    def copy(
        self, source: str, target: str, *, recursive: bool = False, overwrite: bool = False, why: str = ""
    ) -> list[Put]:
        """The latest versions, or the selected one; secrets are encrypted anew."""
        return trees.copy(self._context, source, target, recursive=recursive, overwrite=overwrite, why=why)

    @repeatable
    def move(self, source: str, target: str, *, recursive: bool = False, why: str = "") -> list[tuple[str, str]]:
        """[(from, to)], with history, labels and tags."""
        return trees.move(self._context, source, target, recursive=recursive, why=why)

    @repeatable
    def restore(self, what: str, *, recursive: bool = False, at: dt.datetime | None = None) -> list[Restored]:
        """What was deleted, or the values of a moment. Secrets that were deleted are gone."""
        return restoring.restore(self._context, what, recursive=recursive, at=at)

    @repeatable
    def put_back(self, name: str, version: int, *, expected_version: int | None = None, why: str = "") -> Put:
        """An earlier version once more, as the newest; that of a secret without showing it."""
        return restoring.put_back(self._context, name, version, expected_version=expected_version, why=why)

    # --- reading

    @repeatable
    def get(self, selector: str, *, decrypt: bool = False) -> Parameter:
        return reading.get(self._context, selector, decrypt=decrypt)

    @property
    def bounds(self) -> Bounds:
        return self._context.bounds

    @repeatable
    def type_of(self, name: str) -> str:
        """Of what is there, for whoever may list, read or write it; '' when nothing is."""
        return reading.type_of(self._context, name)

    @repeatable
    def get_many(self, selectors: Sequence[str], *, decrypt: bool = False) -> tuple[list[Parameter], list[str]]:
        """(found, not there or not allowed); no error for those."""
        return reading.get_many(self._context, selectors, decrypt=decrypt)

    @repeatable
    def by_path(
        self,
        path: str,
        *,
        recursive: bool = False,
        filters: Sequence[Filter] = (),
        limit: int | None = None,
        after: str = "",
        decrypt: bool = False,
    ) -> Page:
        """Those below a path in the order of their names; without `recursive` only its direct children."""
        return reading.by_path(
            self._context, path, recursive=recursive, filters=filters, limit=limit, after=after, decrypt=decrypt
        )

    @repeatable
    def describe(
        self,
        path: str = "/",
        *,
        recursive: bool = True,
        filters: Sequence[Filter] = (),
        limit: int | None = None,
        after: str = "",
    ) -> Page:
        """Everything but values, with tags; the right to list is enough."""
        return reading.describe(self._context, path, recursive=recursive, filters=filters, limit=limit, after=after)

    @repeatable
    def history(self, name: str, *, decrypt: bool = False) -> list[Parameter]:
        """Oldest first, with labels."""
        return reading.history(self._context, name, decrypt=decrypt)

    def decrypt_version(self, name: str, version: int) -> Secret:
        """The value of one version of a SecureString, behind its audit row."""
        value = self.get(f"{name}:{version}", decrypt=True).value
        if not isinstance(value, Secret):
            raise TypeError(f"{name} v{version} is no SecureString")
        return value

    @repeatable
    def diff(self, left: str, right: str, *, recursive: bool = False, decrypt: bool = False) -> list[Difference]:
        return trees.diff(self._context, left, right, recursive=recursive, decrypt=decrypt)

    @repeatable
    def watch(self, path: str, since: int | None = None) -> Changes:
        """What happened after a cursor; without one only the cursor of now."""
        return watching.watch(self._context, path, since)

    # --- policies

    @repeatable
    def due(self, now: dt.datetime | None = None) -> list[Event]:
        """What policies ask for and nobody sent yet."""
        return noticing.due(self._context, now)

    @repeatable
    def sent(self, events: Sequence[Event]) -> None:
        noticing.sent(self._context, events)

    @repeatable
    def policy_status(self, name: str) -> list[dict[str, Any]]:
        return noticing.status(self._context, name)

    @repeatable
    def sweep(self) -> tuple[list[str], int]:
        """Delete what expired, forget what was deleted long ago: (names, number of those)."""
        return deleting.sweep(self._context)

    # --- the outer key

    def rotate(
        self, *, renew: bool = True, drop_old: bool = False, tell: Callable[[int], None] = lambda _: None
    ) -> keeping_keys.Rotated:
        """Wrap all data keys with a new outer key, or with that of the setting."""
        return keeping_keys.rotate(self._context, renew=renew, drop_old=drop_old, tell=tell)
