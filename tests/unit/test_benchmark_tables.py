"""The tables of the benchmark say what was measured: medians, ratios beside their goals, nothing lost by measuring a part again."""

import pytest

from tests.benchmarks import cost, offline
from tests.benchmarks.measured import Measured, load, save
from tests.benchmarks.spent import Spent
from tests.benchmarks.tables import merged, notes, put_on_page, ratio_table, ratios, times_table


def row(hosts, scenario, tool, *seconds, **more):
    return Measured(hosts, scenario, tool, "1.0", more.pop("load", 0.0), more.pop("date", "2026-01-01"), list(seconds))


def rows(*measured):
    return merged({}, measured)


def found(*measured):
    return {(one.hosts, one.scenario, one.other): (round(one.value, 3), one.met) for one in ratios(rows(*measured))}


def test_the_fastest_peer_of_each_row_counts():
    """Which peer is the fastest is asked for every row; its median decides, not its best round."""
    said = found(
        row(1, "cold", "statectl", 3.0),
        row(1, "cold", "mitogen", 10.0, 20.0, 1.0),
        row(1, "cold", "pyinfra", 12.0),
        row(1, "cold", "salt-ssh", 11.0),
        row(1, "unchanged", "statectl", 1.0),
        row(1, "unchanged", "mitogen", 8.0),
        row(1, "unchanged", "salt-ssh", 4.0),
    )
    assert said == {(1, "cold", "mitogen"): (0.3, True), (1, "unchanged", "salt-ssh"): (0.25, False)}


def test_a_goal_is_not_judged_before_the_fast_peers_are_measured():
    """A slow peer alone proves nothing: its ratio is shown, and nothing is said to be met."""
    slow = [row(1, "cold", "statectl", 1.0), row(1, "cold", "pyinfra", 90.0), row(1, "cold", "mitogen", 9.0)]
    assert found(*slow) == {(1, "cold", "mitogen"): (0.111, None)}
    assert found(*slow, row(1, "cold", "salt-ssh", 9.5)) == {(1, "cold", "mitogen"): (0.111, True)}


def test_floors_are_no_peers_and_have_goals_at_forty_hosts_only():
    """A floor is never the fastest peer; it is compared with for itself."""
    said = found(
        *(row(count, "unchanged", "statectl", 2.0) for count in (10, 40)),
        *(row(count, "unchanged", "floor", 1.0) for count in (10, 40)),
        *(row(count, "unchanged", "pyinfra", 50.0) for count in (10, 40)),
        row(40, "cold", "statectl", 16.2),
        row(40, "cold", "script", 10.0),
    )
    assert said == {
        (10, "unchanged", "pyinfra"): (0.04, None),
        (10, "unchanged", "floor"): (2.0, None),
        (40, "unchanged", "pyinfra"): (0.04, None),
        (40, "unchanged", "floor"): (2.0, True),
        (40, "cold", "script"): (1.62, False),
    }


def test_a_drifted_run_is_held_to_our_own_unchanged_one():
    """At any number of hosts, and to no peer's time."""
    said = found(
        row(3, "unchanged", "statectl", 1.0),
        row(3, "drifted", "statectl", 1.25),
        row(3, "drifted", "mitogen", 5.0),
        row(4, "unchanged", "statectl", 1.0),
        row(4, "drifted", "statectl", 1.26),
    )
    assert said == {
        (3, "drifted", "mitogen"): (0.25, None),
        (3, "drifted", "statectl, unchanged"): (1.25, True),
        (4, "drifted", "statectl, unchanged"): (1.26, False),
    }


def test_the_tables_show_every_row_once():
    """Rows by hosts and scenario, a tool's column is empty where it was not measured, and goals stand beside their ratios."""
    measured = rows(
        row(10, "cold", "pyinfra", 30.0),
        row(10, "cold", "statectl", 10.0),
        row(10, "drifted", "statectl", 4.0),
        row(10, "unchanged", "statectl", 2.0),
        row(2, "drifted", "statectl", 2.0),
        row(2, "cold", "statectl", 5.0),
        row(2, "cold", "script", 4.0),
    )
    assert times_table(measured).splitlines()[2:] == [
        "| 2 | cold | 5.00 s |  | 4.00 s |",
        "| 2 | drifted | 2.00 s |  |  |",
        "| 10 | cold | 10.00 s | 30.00 s (3.0 x) |  |",
        "| 10 | unchanged | 2.00 s |  |  |",
        "| 10 | drifted | 4.00 s |  |  |",
    ]
    assert ratio_table(measured).splitlines()[2:] == [
        "| 2 | cold | script, 4.00 s | 1.25 x |  |  |",
        "| 10 | cold | pyinfra, 30.00 s | 0.33 x |  |  |",
        "| 10 | drifted | statectl, unchanged, 2.00 s | 2.00 x | 1.25 x | missed |",
    ]


def test_a_part_measured_again_replaces_itself_alone(tmp_path):
    """Rows of other tools, scenarios and numbers of hosts outlive a new measurement, also through the file."""
    file = tmp_path / "kept" / "apply.json"
    old = [row(1, "cold", "pyinfra", 20.0), row(1, "cold", "statectl", 6.0), row(10, "cold", "statectl", 18.0)]
    save(old, file)
    save(merged(load(file), [row(1, "cold", "statectl", 5.0, 5.5)]).values(), file)
    assert load(file) == rows(
        row(1, "cold", "pyinfra", 20.0), row(1, "cold", "statectl", 5.0, 5.5), row(10, "cold", "statectl", 18.0)
    )


def test_notes_say_when_and_how_often():
    """The fewest rounds, the widest spread, the greatest load, and both ends of the dates."""
    said = notes(
        rows(
            row(1, "cold", "statectl", 1.0, 2.0, 3.0, load=0.5, date="2026-01-03"),
            row(1, "unchanged", "statectl", 1.0, 1.0, 1.0, 1.0, load=0.1, date="2026-01-01"),
            row(1, "cold", "pyinfra", 9.0),
        ),
        "2 cores.",
    )
    assert (
        "statectl: median of 3, widest spread 100%, 2026-01-01 to 2026-01-03, load of other work before it 0.5" in said
    )
    assert "pyinfra: one round, 2026-01-01, load" in said
    assert said.endswith("2 cores.\n")


def test_only_what_stands_between_the_markers_changes():
    """A page without its markers is refused: text would be lost, or written twice."""
    page = "head\n<!-- a: begin -->\nold\n<!-- a: end -->\ntail\n<!-- b: begin -->\nkept\n<!-- b: end -->\n"
    put = put_on_page("a", "new\n", page)
    assert put == page.replace("old", "new")
    for broken in (
        "no marker",
        page + page,
        "<!-- a: begin -->\n" + page,
        page + "<!-- a: end -->\n",
        "<!-- a: end -->\n<!-- a: begin -->",
    ):
        with pytest.raises(ValueError, match="must stand there once each"):
            put_on_page("a", "new\n", broken)


def spent(cpu_s, host_cpu_s, peak_mib):
    return Spent("", cpu_s, peak_mib << 20, host_cpu_s, 4096.0)


def test_one_more_host_costs_the_slope_not_the_start():
    """Start-up is in no host's share of the controller's time; the goals judge the largest fleet."""
    assert cost.marginal((1, 1.0), (41, 1.4)) == pytest.approx(0.01)
    costs = cost.Costs(
        [
            cost.Fleet(1, [spent(1.0, 0.05, 90)], [spent(0.3, 0.02, 40)]),
            cost.Fleet(41, [spent(1.4, 0.08, 130), spent(1.4, 0.08, 130)], [spent(0.5, 0.03, 45)]),
        ],
        start_up_bytes=80 << 20,
        trips=5.5,
        login_trips=7.0,
    )
    lines = {line.split(" | ")[0]: line for line in cost.report(costs, "").splitlines()}
    assert lines["| controller CPU of one more host, 1 to 41"].endswith("| 10.0 ms | 15 ms (aim 8) | met |")
    assert lines["| CPU of a host, 41 hosts"].endswith("| 80 ms | 75 ms (aim 55) | missed |")
    assert lines["| controller memory over start-up (80 MiB), 41 hosts"].endswith("| 50 MiB | 60 MiB | met |")
    assert lines["| round trips after login"].endswith("| 5.5 | 6 | met |")
    assert lines["| 41"] == "| 41 | 1.40 s (0.50) | 80 ms (30) | 130 MiB (45) | 4 KiB (4) |"


def test_a_goal_under_a_bound_is_missed_at_the_bound():
    """`under 100 ms` is not met by 100 ms, and a line without a goal is judged by nobody."""
    lines = [
        offline.Line("a", 100, "ms", 100),
        offline.Line("b", 0.99, "s", 1, 1.5),
        offline.Line("c", 3, "s", None),
        offline.Line("d", 0, "", 1),
    ]
    assert offline.table(lines).splitlines()[2:] == [
        "| a | 100 ms |  | 100 ms | missed |",
        "| b | 0.99 s | 1.50 s | 1.00 s | met |",
        "| c | 3.00 s |  |  |  |",
        "| d | 0 |  | 1 | met |",
    ]
