"""statectl config: the settings in force and where each comes from."""

from typing import Any

import click

from statectl.cli.options import output_options, outputs, to_json

FORMATS = ("text", "json")


@click.group()
def command() -> None:
    """Show the settings and where they come from."""


@command.command()
@output_options(FORMATS)
@click.pass_obj
def show(obj: dict[str, Any], /, out: tuple[str, ...], as_json: bool, quiet: bool, verbose: int, color: str) -> int:
    """Every setting, its value and its source."""
    from statectl.cli.opening import open_settings
    from statectl.store.address import shown as without_password

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    root, settings = open_settings(obj)
    values: dict[str, Any] = {
        "project": settings.project,
        "inventory": settings.inventory,
        "store": without_password(settings.store),
    }
    values |= {f"connection.{name}": value for name, value in sorted(settings.connection.items())}
    limits = settings.limits
    values |= {
        "limits.paths": list(limits.paths),
        "limits.deny": list(limits.deny),
        "limits.max_removals": limits.max_removals,
        "limits.become": limits.become,
        "serve.missed": settings.missed,
        **{f"inventory_sources.{name}": value for name, value in sorted(settings.inventory_sources.items())},
        **{f"parameters.{name}": value for name, value in sorted(settings.parameters.items())},
    }
    rows = {
        name: {
            "value": value,
            "source": settings.sources.get(name) or settings.sources.get(name.partition(".")[0], "default"),
        }
        for name, value in values.items()
    }

    def text() -> str:
        wide = max(map(len, rows))
        lines = [f"{'directory':{wide}}  {root}"]
        lines += [f"{name:{wide}}  {_shown(row['value'])}  ({row['source']})" for name, row in rows.items()]
        return "\n".join(lines) + "\n"

    shown.write(
        {
            "text": text,
            "json": lambda: to_json({"format": "statectl.config/1.0", "directory": str(root), "settings": rows}),
        }
    )
    return 0


@command.command()
@click.pass_obj
def path(obj: dict[str, Any]) -> int:
    """The files that are read, the nearest first."""
    import os

    from statectl.cli.opening import open_settings
    from statectl.project.settings import FILE, config_files

    root, _ = open_settings(obj)
    for file in (root / FILE, *config_files(os.environ)):
        click.echo(f"{file}{'' if file.exists() else '  (not there)'}")
    return 0


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
