"""The command tree, loaded lazily: `--help` imports click and nothing of the rest.

The only place that turns exceptions into exit codes.
"""

import importlib
import io
import os
import resource
import sys
from collections.abc import Sequence
from typing import Any

import click

from statectl import __version__
from statectl.errors import ConfigError, Interrupted, StatectlError, UsageError

# name -> (module, one line for --help), by section of the help text
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "everyday": {
        "init": ("init", "Start a project in a directory"),
        "validate": ("validate", "Check all files; contacts nothing"),
        "plan": ("plan", "Show what apply would change on the hosts; changes nothing"),
        "apply": ("apply", "Make the hosts as the files say"),
        "drift": ("drift", "Compare the hosts with what was last applied; changes nothing"),
        "compliance": ("compliance", "How the fleet stands, from stored results"),
        "run": ("run", "Run one command on many hosts"),
        "rollback": ("rollback", "Put the packages that a run installed back to what they were"),
    },
    "fleet": {
        "inventory": ("inventory", "List and show hosts; trust their keys"),
        "group": ("group", "List and show groups, and who is in them"),
    },
    "operate": {
        "serve": ("serve", "Run associations on their schedules"),
        "patch": ("patch", "Patches: what hosts lack by their baselines, what became of it"),
        "window": ("window", "List and show maintenance windows, and when they are open"),
        "runs": ("runs", "List and show runs; follow and cancel those that go on"),
    },
    "store": {
        "parameter": ("parameter", "Named values in versions; secrets are encrypted"),
    },
    "project": {
        "explain": ("explain", "Explain an error code, a field or a variable"),
        "schema": ("schema", "Print a JSON Schema"),
        "config": ("config", "Show the settings and where they come from"),
        "doctor": ("doctor", "Find out why a host does not answer"),
        "unlock": ("unlock", "Show who holds a host, and end that run properly"),
        "completion": ("completion", "Print shell completion"),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
ALIASES = {"inv": "inventory", "param": "parameter"}


class LazyGroup(click.Group):
    """Imports a command's module only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"statectl.cli.{COMMANDS[name][0]}_command")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and name not in COMMANDS and name not in ALIASES:
            from statectl.problems import nearest

            near = nearest(name[:80], COMMANDS)
            hint = f"; did you mean {near!r}?" if near else "; statectl --help lists them"
            raise click.UsageError(f"no command {printable(name)!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for title, commands in SECTIONS.items():
            with formatter.section(title.capitalize()):
                formatter.write_dl([(name, help_line) for name, (_, help_line) in commands.items()])


def printable(text: str, limit: int = 80) -> str:
    """Words of the command line with control characters and broken bytes escaped, and not longer than `limit`."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    shown = shown.encode("utf-8", "backslashreplace").decode()
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: statectl init ~/demo --example local",
)
@click.version_option(__version__, message="statectl %(version)s")
@click.option("-C", "directory", metavar="DIR", default=None, help="Work in DIR as if started there.")
@click.pass_context
def root(ctx: click.Context, directory: str | None) -> None:
    """Declarative state for any machine that answers SSH."""
    ctx.obj = {"directory": None}
    if directory is not None:
        from statectl.cli.opening import enter_directory

        enter_directory(directory)


def run(arguments: Sequence[str]) -> int:
    """The whole program. Returns the exit code of `experience`: 0, 1, 2, 3, 4, 5, 64 or 130."""
    os.umask(os.umask(0o077) | 0o022)  # nothing that we make is writable for others, whatever we were started with
    # passwords and secrets will be in our memory: a crash must not leave them in a file
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the locale cannot write is escaped, never a traceback
            stream.reconfigure(errors="backslashreplace")
    if "_STATECTL_COMPLETE" in os.environ:
        root.main(args=list(arguments), prog_name="statectl", complete_var="_STATECTL_COMPLETE")
    try:
        result: Any = root.main(args=list(arguments), prog_name="statectl", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.exceptions.Abort:
        return _report(Interrupted("interrupted"))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 0
    except click.ClickException as error:
        return _report(_usage(error))
    except StatectlError as error:
        return _report(error)
    except KeyboardInterrupt:
        return _report(Interrupted("interrupted"))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing more to say
        return 0
    return int(result) if isinstance(result, int) else 0


def _usage(error: click.ClickException) -> UsageError:
    message = printable(error.format_message().rstrip("."), 400)
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"{error.ctx.command_path} --help shows the usage"
    return UsageError(message[:1].lower() + message[1:], hint=hint)


def _report(error: StatectlError) -> int:
    """One error for people, on stderr."""
    if isinstance(error, ConfigError):
        from statectl.cli.formats.problems import print_problems

        print_problems(error.problems, root=error.root)
        return error.exit_code
    from statectl.cli.formats.terminal import one_line

    code = f"[{error.code}]" if error.code else ""
    click.echo(f"error{code}: {one_line(error.message)}", err=True)
    if error.hint:
        click.echo(f"  hint: {one_line(error.hint)}", err=True)
    return error.exit_code
