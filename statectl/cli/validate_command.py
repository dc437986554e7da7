"""statectl validate: every file checked, nothing contacted. Opens no socket."""

from typing import Any

import click

from statectl.cli.options import inventory_option, output_options, outputs, to_json

FORMATS = ("text", "json")
MOST_ROUNDS = 10  # of --fix: how deep misspelt keys may stand below each other


@click.command()
@click.option(
    "--fix",
    "mend",
    is_flag=True,
    help="Write the fixes that need no thought (misspelt keys, expressions without quotes) into the files first.",
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
    from statectl.cli.formats.problems import as_json as problem_json
    from statectl.cli.formats.problems import render
    from statectl.cli.offline import found_in
    from statectl.cli.opening import start_directory
    from statectl.sections import load

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    project = load(start_directory(obj), env=os.environ)
    problems, hosts = found_in(project, inventory, obj["child"])
    if mend:
        from statectl.project.fix import fix

        for _ in range(MOST_ROUNDS):  # what is misspelt below a misspelt key is found once that is right
            fixed = fix(project.root, problems)
            for problem in fixed:
                click.echo(f"fixed {problem.span}: {problem.summary}", err=True)
            if not fixed:
                break
            project = load(start_directory(obj), env=os.environ)
            problems, hosts = found_in(project, inventory, obj["child"])
    counts = {"associations": len(project.associations), "profiles": len(project.profiles), "hosts": hosts}
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
