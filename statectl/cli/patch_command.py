"""statectl patch: the table of its commands; each is imported when it is used."""

import importlib

import click

# name -> (module of statectl.cli, one line for --help). The module's `command` is the command.
COMMANDS: dict[str, tuple[str, str]] = {
    "scan": ("patch_scan_command", "Look which patches the hosts lack; changes nothing"),
    "install": ("patch_install_command", "Install what the baselines approve, now"),
    "baseline": ("patch_baseline_commands", "Patch baselines: list, show, explain HOST PACKAGE"),
    "report": ("patch_report_command", "Which patches are missing where, from stored results"),
    "history": ("patch_history_command", "What became of packages: what, when, by which run"),
    "cve": ("patch_cve_command", "Which hosts are exposed to which vulnerabilities, from stored scans"),
    "poll": ("patch_poll_command", "Read indexes of packages here, so that versions are known when they appear"),
    "feed": ("patch_feed_command", "Feeds of vulnerabilities: list, update"),
    "cache": ("patch_cache_command", "Package files that are kept here: list, prune"),
}


class PatchGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"statectl.cli.{COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(cls=PatchGroup)
def command() -> None:
    """Patches: what baselines approve, what hosts lack, and installing it."""
