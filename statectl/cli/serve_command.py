"""statectl serve: associations run on their schedules, until it is told to stop."""

import asyncio
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.options import inventory_option, login_options

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from statectl.cli.scheduled_runs import ScheduledRuns
    from statectl.server.scheduler import Scheduler

DEFAULT_LISTEN = "127.0.0.1:9797"
STOPPING = "stopping: nothing new is started, hosts in hand finish; again to let go now"


@click.command()
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default=DEFAULT_LISTEN,
    show_default=True,
    help="Address of this machine's loopback for /health and /metrics.",
)
@click.option("--once", is_flag=True, help="Run what is due now and end, as apply would. Nothing listens.")
@inventory_option
@login_options
@click.option("-q", "--quiet", is_flag=True, help="Only what went wrong on stderr.")
@click.option("-v", "--verbose", count=True, help="More on stderr: -v what changes, -vv what executors say.")
@click.pass_obj
def command(obj: dict[str, Any], /, listen: str, once: bool, quiet: bool, verbose: int, **options: Any) -> int:
    """Run associations on their schedules, and those that were edited, until told to stop.

    SIGTERM or Ctrl-C: nothing new begins and hosts in hand finish; a second one lets go of them.
    """
    from statectl.cli.formats.lasting import Lasting
    from statectl.cli.formats.terminal import one_line
    from statectl.cli.interrupted import tell_interrupted
    from statectl.cli.opening import open_settings, open_store
    from statectl.cli.opening_parameters import sweep_parameters
    from statectl.cli.patch_polling import keep_polling
    from statectl.cli.scheduled_runs import ScheduledRuns
    from statectl.server.clock import SystemClock
    from statectl.server.http import Listener, address_of
    from statectl.server.report import health_answer, metrics_answer
    from statectl.server.scheduler import Scheduler
    from statectl.store.ids import this_process

    host, port = address_of(listen)
    stderr = Lasting(sys.stderr)

    def warn(text: str) -> None:
        stderr.write("\n".join(map(one_line, text.splitlines())) + "\n")
        stderr.flush()

    def say(text: str) -> None:
        if not quiet:
            warn(text)

    root, settings = open_settings(obj)
    store = open_store(root, settings)
    tell_interrupted(store)
    clock = SystemClock()
    runs = ScheduledRuns(obj, options, store, clock.now, verbose=verbose, quiet=quiet)
    tidy = partial(sweep_parameters, store.database, root, settings)
    scheduler = Scheduler(runs, store.slots, clock, this_process(), say, warn, tidy)
    scheduler.health.looked = clock.monotonic()
    listener: Listener | None = None
    ready = ""
    try:
        if not once:
            listener = Listener(
                host,
                port,
                {
                    "/health": lambda: health_answer(scheduler.health, clock.monotonic()),
                    "/metrics": lambda: metrics_answer(scheduler.health, store.slots.totals),
                },
            )
            shown = f"[{host}]" if ":" in host else host
            ready = f"serving {one_line(str(root))}; http://{shown}:{listener.port}/health and /metrics"
        polling = keep_polling(store, root, settings.patching, clock.now, say, warn) if not once else None
        asyncio.run(_serve(scheduler, runs, warn, lambda: say(ready) if ready else None, polling, once=once))
    finally:
        if listener is not None:
            listener.close()
        store.close()
    return _code(scheduler) if once else 0


async def _serve(
    scheduler: "Scheduler",
    runs: "ScheduledRuns",
    warn: Any,
    ready: Any,
    polling: "Coroutine[Any, Any, None] | None",
    *,
    once: bool,
) -> None:
    """`ready` is called once signals are heard: whoever waits for its line may stop us from then on. `polling` goes on beside the runs."""
    loop = asyncio.get_running_loop()
    told = 0

    def stop() -> None:
        nonlocal told
        told += 1
        if told == 1:
            warn(STOPPING)
        scheduler.stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    ready()
    beside = asyncio.create_task(polling) if polling is not None else None
    try:
        await scheduler.serve(once=once)
    finally:
        if beside is not None:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
        await runs.close()


def _code(scheduler: "Scheduler") -> int:
    """What apply would exit with; files that cannot be read are 4, a store that cannot be used is 5."""
    from statectl.cli.deciding import worst

    codes = list(scheduler.codes)
    codes += [4] if "project" in scheduler.health.problems else []
    codes += [5] if "store" in scheduler.health.problems else []
    return worst(codes)
