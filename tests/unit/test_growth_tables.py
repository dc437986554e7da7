"""The tables and plots of growth say what was measured: no row lost, no curve that is not there."""

import xml.etree.ElementTree as ET

import pytest

from tests.benchmarks.growing_fleets import dead_ones
from tests.benchmarks.grown import MIB, Grown, load, merged, save
from tests.benchmarks.growth_tables import dead_table, fleet_table, host_table, marginal_ms, plots, report
from tests.benchmarks.plot import Panel, chart
from tests.benchmarks.simulated import states

SVG = "{http://www.w3.org/2000/svg}"


def row(part, run, count, cpu_s=1.0, peak=100, **more):
    given = {"seconds": 2.0, "host_cpu_s": 0.5, "to_hosts": 1024, "from_hosts": 2048, "date": "2026-01-01", **more}
    return Grown(run=run, count=count, cpu_s=cpu_s, peak_bytes=peak * MIB, part=part, **given)


def test_a_part_that_is_measured_again_takes_the_place_of_the_same_rows_only(tmp_path):
    """Ten thousand hosts take an hour: measuring ten again must not lose them."""
    kept = merged({}, [row("hosts", "drift", 10), row("hosts", "drift", 10_000, 90.0), row("dead", "drift", 10)])
    save(kept.values(), tmp_path / "growth.json")
    found = merged(load(tmp_path / "growth.json"), [row("hosts", "drift", 10, 7.0)])
    assert {(one.part, one.count): one.cpu_s for one in found.values()} == {
        ("hosts", 10): 7.0,
        ("hosts", 10_000): 90.0,
        ("dead", 10): 1.0,
    }


def test_one_more_host_is_counted_between_two_rows_of_the_same_run():
    """Start-up is no cost of a host: 1.0 s for ten and 1.9 s for a hundred is 10 ms each."""
    assert marginal_ms(row("hosts", "drift", 10, 1.0), row("hosts", "drift", 100, 1.9)) == pytest.approx(10.0)
    text = fleet_table(
        [
            row("hosts", "apply", 0, 0.7),
            row("hosts", "drift", 0, 0.5),
            row("hosts", "apply", 10, 1.0),
            row("hosts", "drift", 10, 0.6),
        ],
        "hosts",
    )
    assert "| 10 | apply | 2.0 s | 1.00 s | 30.0 ms |" in text
    assert "| 10 | drift | 2.0 s | 0.60 s | 10.0 ms |" in text


def test_goals_are_judged_by_the_worst_run_of_a_thousand_and_by_the_slot_of_ten_thousand():
    """The larger of the two memories decides; a drift check of ten thousand that takes half an hour has missed its slot."""
    text = fleet_table(
        [
            row("hosts", "apply", 1000, peak=401),
            row("hosts", "drift", 1000, peak=150),
            row("hosts", "drift", 10_000, seconds=1800.0),
        ],
        "hosts",
    )
    assert "| memory here, 1,000 hosts | 401 MiB | 400 MiB | missed |" in text
    assert "| drift check of 10,000 hosts | 30.0 min | 30 min | missed |" in text


def test_live_hosts_are_compared_with_the_clean_run_of_the_same_number():
    """1.3 times is the limit, and the clean run itself has none."""
    text = dead_table(
        [
            row("dead", "all alive", 100, live_s=10.0),
            row("dead", "dead ones first", 100, live_s=13.1),
            row("dead", "dead ones spread", 100, live_s=13.0),
        ],
        "hosts",
    )
    assert "| 100 | all alive | 2.0 s | 10.0 s | 1.00 x |  |  |" in text
    assert "| 100 | dead ones first | 2.0 s | 13.1 s | 1.31 x | 1.30 x | missed |" in text
    assert "| 100 | dead ones spread | 2.0 s | 13.0 s | 1.30 x | 1.30 x | met |" in text


def test_memory_of_one_host_is_that_over_start_up_on_both_sides():
    """Row 0 is taken off, here from the controller and there from the executor; 64 MiB are allowed for the largest size."""
    text = host_table(
        [
            row("file", "apply", 0, peak=85, executor_bytes=20 * MIB),
            row("file", "cold apply", 1024, peak=150, executor_bytes=84 * MIB),
        ],
        "MiB",
    )
    assert "| 65 MiB | 64 MiB |" in text
    assert "| cold apply of 1,024 MiB, memory here over start-up | 65 MiB | 64 MiB | missed |" in text
    assert "| cold apply of 1,024 MiB, memory there over start-up | 64 MiB | 64 MiB | met |" in text


def test_three_of_ten_are_dead_wherever_they_stand():
    """Both series have the same number of dead hosts, none of them twice, and none outside of the fleet."""
    for count in (10, 100, 1000):
        series = dead_ones(count)
        assert series["all alive"] == []
        for name in ("dead ones spread", "dead ones first"):
            assert len(set(series[name])) == len(series[name]) == count * 3 // 10
            assert set(series[name]) <= set(range(1, count + 1))
        assert max(series["dead ones spread"]) > count * 9 // 10


def test_what_grows_in_proportion_is_a_straight_line():
    """Ten times as many at ten times the value are equally far apart on both scales."""
    picture = ET.fromstring(chart([Panel("time", "s", {"drift": [(100, 20), (1, 0.2), (10, 2)]})], "hosts"))
    points = [tuple(map(float, pair.split(","))) for pair in picture.find(f".//{SVG}polyline").get("points").split()]
    (x1, y1), (x2, y2), (x3, y3) = points
    assert x1 < x2 < x3
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2) != 0


def test_every_run_has_its_curve_and_a_part_without_rows_none():
    """A value of 0 has no place on a logarithmic scale and is left out, not drawn at 1."""
    rows = [row("hosts", run, count, from_hosts=0) for run in ("drift", "apply") for count in (0, 1, 10)]
    picture = ET.fromstring(plots("hosts", rows)["growth-hosts"])
    assert len(picture.findall(f".//{SVG}polyline")) == 2 * 4
    assert plots("file", rows) == {}
    assert "growth-hosts.svg" in report("hosts", rows, "machine")
    assert "svg" not in report("hosts", rows[:1], "machine")  # of start-up alone there is no curve
    assert report("file", rows, "machine") == ""


def test_simulated_states_have_as_many_resources_as_asked_for():
    """The declared fleet is what the tables say: a hundred resources are a hundred."""
    for count in (1, 25, 100):
        named = [line for line in states(count).splitlines() if line.startswith("      ")]
        assert len(named) == count
