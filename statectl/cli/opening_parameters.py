"""The parameter store of a project, as its settings say: key, policy, bounds. Problems of the policy file become one ConfigError."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from statectl.errors import ConfigError
from statectl.parameters.access import Access, this_user
from statectl.parameters.keys import Keys
from statectl.parameters.model import Bounds
from statectl.parameters.store import ParameterStore
from statectl.project.model import Settings
from statectl.store.database import Database


def parameters_in(
    database: Database, root: Path, settings: Settings, *, old_keys: tuple[str, ...] = ()
) -> ParameterStore:
    """For the user whom the system says we are. old_keys: others that may unwrap, while moving from one key to another."""
    given = settings.parameters
    return ParameterStore(
        database,
        keys=keys_in(root, settings, old_keys),
        access=_access(root, given.get("access", "")),
        principal=this_user(),
        bounds=bounds_of(settings),
    )


def keys_in(root: Path, settings: Settings, old_keys: tuple[str, ...] = ()) -> Keys:
    """The outer key that the settings name; old_keys: others that may unwrap."""
    return Keys.open(settings.parameters.get("key", ""), root, old_keys)


def bounds_of(settings: Settings) -> Bounds:
    standard, given = Bounds(), settings.parameters
    return Bounds(
        value_bytes=given.get("max_value_bytes", standard.value_bytes),
        versions=given.get("max_versions", standard.versions),
        labels=given.get("max_labels", standard.labels),
        levels=given.get("max_levels", standard.levels),
        keep_deleted_days=given.get("keep_deleted_days", standard.keep_deleted_days),
    )


def sweep_parameters(database: Database, root: Path, settings: Settings) -> None:
    """Delete what has expired, forget what was deleted long ago: for the system itself, whatever the policy file says."""
    ParameterStore(
        database,
        keys=Keys.open(settings.parameters.get("key", ""), root),
        access=Access(),
        principal=this_user(),
        bounds=bounds_of(settings),
    ).sweep()


def _access(root: Path, name: str) -> Access:
    if not name:
        return Access()
    from statectl.project.parameter_access import read_access

    rules, problems = read_access(root, name)
    if any(not problem.is_warning for problem in problems):
        raise ConfigError(problems, root=root)
    return Access(rules)


def open_parameter_store(obj: Mapping[str, Any], *, old_keys: tuple[str, ...] = ()) -> ParameterStore:
    """Of the project one stands in, without reading its states."""
    from statectl.cli.opening import open_settings
    from statectl.store.database import open_database

    root, settings = open_settings(obj)
    return parameters_in(open_database(settings.store, root), root, settings, old_keys=old_keys)
