"""statectl validate: every file checked, nothing contacted. Opens no socket."""

from typing import Any

import click

from statectl.cli.options import inventory_option, output_options, outputs, to_json

FORMATS = ("text", "json")


@click.command()
@click.option(
    "--fix", "mend", is_flag=True, help="Write the fixes that need no thought (misspelt keys) into the files first."
)
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def command(
    obj: dict[str, Any],
    /,
    mend: bool,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Check all files of the project: syntax, fields, references, templates, and every host's values as far as they are known.

    Contacts nothing. All mistakes are shown at once.
    """
    import os

    from statectl.cli.ahead import start_rendering

    start_rendering(obj)
    from statectl.cli.fleet import offline_problems
    from statectl.cli.formats.problems import as_json as problem_json
    from statectl.cli.formats.problems import render
    from statectl.cli.opening import start_directory
    from statectl.sections import load

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    project = load(start_directory(obj), env=os.environ)
    if mend and project.problems:
        from statectl.project.fix import fix

        for fixed in fix(project.root, project.problems):
            click.echo(f"fixed {fixed.span}: {fixed.summary}", err=True)
        project = load(start_directory(obj), env=os.environ)
    problems = list(project.problems)
    counts = {"associations": len(project.associations), "profiles": len(project.profiles), "hosts": 0}
    if not any(not problem.is_warning for problem in problems):
        further, counts["hosts"] = offline_problems(project, inventory, obj["child"])
        problems += further
    errors = sum(not problem.is_warning for problem in problems)
    warnings = len(problems) - errors

    def text() -> str:
        said = render(problems, root=project.root, on=shown.screen) if problems else ""
        if errors:
            more = f" and {warnings} warning{'s' * (warnings != 1)}" if warnings else ""
            return said + f"{errors} error{'s' * (errors != 1)}{more}.\n"
        what = ", ".join(f"{count} {word if count != 1 else word[:-1]}" for word, count in counts.items() if count)
        more = f"; {warnings} warning{'s' * (warnings != 1)}" if warnings else ""
        return said + f"Valid: {what or 'an empty project'}{more}. Nothing was contacted.\n"

    shown.write(
        {
            "text": text,
            "json": lambda: to_json(
                {
                    "format": "statectl.problems/1.0",
                    "valid": errors == 0,
                    **counts,
                    "problems": [problem_json(problem) for problem in problems],
                }
            ),
        }
    )
    return 4 if errors else 0
