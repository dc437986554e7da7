"""statectl schema: JSON Schemas, for editors and for programs that read our output."""

from typing import Any

import click

from statectl.cli.options import to_json

NAMES = ("states", "settings", "inventory", "plan", "compliance", "patch-report")


@click.command()
@click.argument("name", type=click.Choice(NAMES), default="states")
def command(name: str) -> int:
    """Print the schema of NAME: states (files below states/), settings (statectl.yml), inventory (own format), or a document of -o json.

    For editors: statectl schema > .statectl/schema.json
    """
    click.echo(to_json(_schema(name)), nl=False)
    return 0


def _schema(name: str) -> dict[str, Any]:
    if name == "plan":
        from statectl.plans.plan import Plan

        return Plan.model_json_schema()
    if name == "compliance":
        from statectl.compliance.judge import Compliance

        return Compliance.model_json_schema()
    if name == "patch-report":
        from statectl.patches.report import PatchReport

        return PatchReport.model_json_schema()
    from statectl.project.schema import inventory_schema, settings_schema, states_schema
    from statectl.sections import table

    if name == "settings":
        return settings_schema()
    if name == "inventory":
        return inventory_schema()
    schema: dict[str, Any] = states_schema(table())
    return schema
