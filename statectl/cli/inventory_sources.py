"""`statectl inventory sources`: the files, programs and clouds that hosts come from, and how old their answers are."""

import time
from typing import Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import inventory_option, output_options, outputs, to_json

FORMATS = ("text", "json")


@click.command("sources")
@click.option("--ask", is_flag=True, help="Ask programs and clouds anew, whatever is kept of their answers.")
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def sources(
    obj: dict[str, Any],
    /,
    ask: bool,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Where the hosts come from: files, and programs and clouds with the age of their answers. Contacts no host."""
    from statectl.cli.fleet import Opened
    from statectl.cli.formats.problems import as_json as problem_json
    from statectl.targets.sources import ago

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    opened = Opened.of({**obj, "ask_sources": ask}, inventory, states=False)
    answered = {one.file: one for one in opened.inventory.answered}
    now = time.time()
    rows: list[dict[str, Any]] = []
    for file in opened.inventory.sources:
        one = answered.get(file)
        row: dict[str, Any] = {"source": file, "kind": one.kind if one is not None else "file"}
        if one is not None:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.at))
            row |= {"answered": at, "age_s": max(0, int(now - one.at)), "kept": one.kept}
        rows.append(row)

    def text() -> str:
        wide = max((len(row["source"]) for row in rows), default=0)
        lines = []
        for row in rows:
            said = ""
            if "answered" in row:
                said = f"answered {ago(row['age_s'])} ago, not asked now" if row["kept"] else "asked now"
            lines.append(f"{one_line(row['source']):{wide}}  {row['kind']:7}  {said}".rstrip())
        return "\n".join(lines) + "\n"

    shown.write(
        {
            "text": text,
            "json": lambda: to_json(
                {
                    "format": "statectl.sources/1.0",
                    "sources": rows,
                    "problems": [problem_json(problem) for problem in opened.problems],
                }
            ),
        }
    )
    return 0
