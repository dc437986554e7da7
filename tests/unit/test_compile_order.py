"""In which order resources run, and what is said when there is none."""

import pytest

from tests.unit.compiling import Compiled, association, one_host, resources, shown


def order(found):
    return list(resources(found))


def test_phases_decide_where_nothing_else_does(tmp_path):
    """Written upside down, the phases put it right; inside a phase written order holds."""
    body = """commands: {c: {run: [a], creates: /x}}
services: {s: running}
sysctls: {a.b: 1}
links: {/l: /a}
files: {/b: {content: a}, /a: {content: a}}
directories: {/d: {}}
users: {u: present}
unix_groups: {g: present}
packages: [p]
package_repositories: {r: absent}
"""
    assert order(one_host(tmp_path, body)) == [
        "package_repository:r", "package:p", "unix_group:g", "user:u", "directory:/d", "file:/b", "file:/a", "link:/l",
        "sysctl:a.b", "service:s", "command:c",
    ]  # fmt: skip


def test_edges_follow_from_the_types(tmp_path):
    """A path comes after its directory, owner and group, a service after its packages and what notifies it."""
    body = """files: {/srv/app/x: {content: a, owner: app, group: www, notify: service:app}}
directories: {/srv/app: {}, /srv: {}}
users: {app: {group: www}}
unix_groups: {www: present}
packages: [app]
services: {app: running}
"""
    entries = resources(one_host(tmp_path, body))
    assert entries["file:/srv/app/x"]["after"] == ["directory:/srv", "directory:/srv/app", "unix_group:www", "user:app"]
    assert entries["service:app"]["after"] == ["file:/srv/app/x", "package:app"]
    assert entries["user:app"]["after"] == ["unix_group:www"]
    assert entries["file:/srv/app/x"]["notify"] == ["service:app"]


def test_what_is_written_wins_over_phases_and_types(tmp_path):
    """after and before turn the order of phases round, and an edge that would contradict them gives way."""
    body = """packages: {late: {after: file:/early}}
files:
  /early: {content: a, before: package:late}
  /api: {content: a, notify: service:s, after: service:s}
services: {s: running}
"""
    found = one_host(tmp_path, body)
    names = order(found)
    assert names.index("file:/early") < names.index("package:late")
    assert names.index("service:s") < names.index("file:/api")
    assert resources(found)["file:/api"]["notify"] == ["service:s"]


def test_associations_run_one_after_the_other(tmp_path):
    """All of the first association, then the second, whatever the phases; an explicit edge may reach across."""
    files = {
        "states/a.yml": association("requires: [base]\npackages: [b]\nfiles: {/b: {content: b}}", "web")
        + association("services: {a: running}\nfiles: {/a: {content: a}}", "base", head="")
    }
    with Compiled(tmp_path, files) as compiled:
        assert order(compiled.host()) == ["file:/a", "service:a", "package:b", "file:/b"]
    across = {"states/a.yml": files["states/a.yml"].replace("/a: {content: a}", "/a: {content: a, after: package:b}")}
    with Compiled(tmp_path, across) as compiled:
        assert order(compiled.host()) == ["package:b", "file:/a", "service:a", "file:/b"]


@pytest.mark.parametrize(
    ("body", "ring", "lines"),
    [
        (
            "files:\n  /a: {content: a, after: file:/b}\n  /b: {content: a, after: file:/a}",
            "file:/a -> file:/b -> file:/a",
            (5, 6),
        ),
        (
            "files:\n  /a: {content: a, after: package:p}\n  /b: {content: a, before: package:p, after: service:s}\nservices:\n  s: {state: running, after: file:/a}\npackages: [p]",
            "file:/a -> service:s -> file:/b -> package:p -> file:/a",
            (5, 6, 8),
        ),
    ],
)
def test_a_ring_is_drawn_with_all_its_lines(tmp_path, body, ring, lines):
    """E130 shows the whole ring in running order and every line that makes it."""
    found = one_host(tmp_path, body)
    assert [one.code for one in found.problems] == ["E130"]
    problem = found.problems[0]
    assert ring in problem.summary
    assert {note.span.line for note in problem.notes} == set(lines)
    assert len(problem.notes) == len(ring.split(" -> ")) - 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("files: {/a: {content: a, after: file:/nope}}", "no resource file:/nope on host web1"),
        (
            "files: {/etc/nginx.conf: {content: a}, /a: {content: a, after: file:/etc/ngin.conf}}",
            "did you mean `file:/etc/nginx.conf`?",
        ),
        (
            "files: {/a: {content: a, notify: service:ngnix}}\nservices: {nginx: running}",
            "did you mean `service:nginx`?",
        ),
        ("commands: {c: {run: [a], when_changed: file:/nope}}", "no resource file:/nope"),
        ("vars: {a: 'file:/nope'}\nfiles: {/a: {content: a, before: '{{ a }}'}}", "no resource file:/nope"),
        ("vars: {a: 'nginx'}\nfiles: {/a: {content: a, notify: '{{ a }}'}}", "`notify` is not an address"),
        ("vars: {a: 'file:/b'}\nfiles: {/b: {content: b}, /a: {content: a, notify: '{{ a }}'}}", "cannot be notified"),
    ],
)
def test_an_edge_to_nothing_is_a_mistake(tmp_path, body, words):
    """Names that no association declares for this host are errors with the nearest name, also when they were rendered."""
    found = one_host(tmp_path, body)
    assert len(found.problems) == 1
    assert words in shown(found.problems[0])
    assert found.problems[0].span.file == "states/a.yml"


def test_what_a_condition_left_out_is_no_mistake(tmp_path):
    """An edge to a resource that exists under another condition, loop or profile means nothing here."""
    body = """vars: {empty: []}
files:
  /a: {content: a, after: [file:/off, "file:/etc/x1.conf", user:gone], notify: service:off}
  /off: {content: a, when: false}
  "/etc/{{ item }}.conf": {content: a, for_each: "{{ empty }}"}
given: [{when: false, services: {off: running}}]
use: {p: {when: false}}
"""
    found = one_host(tmp_path, body, files={"states/p.yml": "profiles: {p: {users: {gone: present}}}\n"})
    entry = resources(found)["file:/a"]
    assert (entry["after"], entry["notify"]) == ([], [])


def test_one_unit_has_one_address(tmp_path):
    """`nginx` and `nginx.service` are the same service in edges."""
    entries = resources(
        one_host(tmp_path, "files: {/a: {content: a, notify: service:nginx.service}}\nservices: {nginx: running}")
    )
    assert entries["file:/a"]["notify"] == ["service:nginx"]


def test_addresses_of_paths_may_be_written_with_more_slashes(tmp_path):
    """An edge names the file that is meant, as the key does."""
    entries = resources(one_host(tmp_path, "files: {/etc/a: {content: a}, /b: {content: b, after: 'file:/etc//a'}}"))
    assert entries["file:/b"]["after"] == ["file:/etc/a"]


def test_a_mistake_is_not_reported_again_by_what_comes_after_it(tmp_path):
    """A resource that is wrong itself is not missing for others."""
    found = one_host(tmp_path, "files: {/a: {content: '{{ nope }}'}, /b: {content: b, after: file:/a}}")
    assert [one.code for one in found.problems] == ["E201"]


def test_a_command_runs_after_what_it_watches(tmp_path):
    """when_changed is an edge."""
    body = "commands: {c: {run: [a], when_changed: [file:/a, service:s]}, b: {run: [a], when_changed: command:c}}\nfiles: {/a: {content: a}}\nservices: {s: running}"
    entries = resources(one_host(tmp_path, body))
    assert entries["command:c"]["after"] == ["file:/a", "service:s"]
    assert list(entries)[-1] == "command:b"
