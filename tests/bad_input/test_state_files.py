"""Rows 7.2 and 7.3 as far as files alone decide: keys, fields, names, references and templates."""

import json
import re
import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statectl.cli.formats.problems import line_of
from tests.bad_input.loading import association, baseline, lines, load_files
from tests.unit.test_load_project import EXAMPLE

# row and variant, text of states/a.yml, then line:column, code and words of the one answer
CASES = [
    ("B027 section of resources misspelt", association("packges: [nginx]"), "4:5", "E101", "did you mean `packages`?"),
    ("B027 section of a file misspelt", "asociations: {}\n", "1:1", "E101", "did you mean `associations`?"),
    ("B027 field of an association misspelt", association("severty: high"), "4:5", "E101", "did you mean `severity`?"),
    ("B027 type instead of its section", association("file: {}"), "4:5", "E101", "did you mean `files`?"),
    ("B027 section at the top", "packages: [nginx]\n", "1:1", "E101", "inside an association"),
    ("B027 section of a later feature", "notifications: {}\n", "1:1", "E106", "not part of this version"),
    ("B027 key of `given`", association("given:\n  - whem: a\n    packages: [x]"), "5:9", "E101", "did you mean `when`?"),
    ("B027 key of `use`", association("use: {p: {wiht: {}}}") + "profiles: {p: {}}\n", "4:15", "E101", "did you mean `with`?"),
    ("B027 key of `where`", association("where: [{targets: all, files: {}}]"), "4:28", "E101", "stand in `given`"),
    ("B027 key of a probe", association("probes: {p: {run: [x], tiemout: 1s}}"), "4:28", "E101", "did you mean `timeout`?"),
    ("B027 key of an input", "profiles:\n  p:\n    inputs: {a: {typ: string}}\n", "3:18", "E101", "did you mean `type`?"),
    ("B029 field misspelt", association("files:\n  /x:\n    templete: y"), "6:9", "E101", "did you mean `template`?"),
    ("B029 field of another type", association("files: {/x: {enabled: true}}"), "4:18", "E101", "unknown key `enabled` in a file"),
    ("B029 the key written again as `name`", association("files: {/x: {name: /x}}"), "4:18", "E101", "the key above is the name"),
    ("B029 required field missing", association("lines: {x: {line: a}}"), "4:13", "E109", "a line needs `path`"),
    ("B029 `targets` missing", "associations: {web: {}}\n", "1:16", "E109", "needs `targets`"),
    ("B029 guard of a command missing", association("commands: {x: {run: [a]}}"), "4:16", "E140", "`unless`"),
    ("B029 input missing", association("use: {p: {}}") + "profiles: {p: {inputs: {a: {}}}}\n", "4:11", "E109", "needs the input `a`"),
    ("B029 input unknown", association("use: {p: {with: {prot: 1}}}") + "profiles: {p: {inputs: {port: {default: 1}}}}\n", "4:22", "E101", "did you mean `port`?"),
    ("B029 reason of an override missing", association("override: {'file:/x': {of: web2}}") + "  web2: {targets: all}\n", "4:16", "E109", "needs `reason`"),
    ("B029 `run` of a probe missing", association("probes: {p: {}}"), "4:14", "E109", "a probe needs `run`"),
    ("B031 content and source", association("files: {/x: {content: a, template: b.j2}}") , "4:13", "E110", "exclude each other"),
    ("B031 two guards of a command", association("commands: {x: {run: [a], creates: /a, unless: [b]}}"), "4:16", "E110", "exclude each other"),
    ("B031 required input with a default", "profiles: {p: {inputs: {a: {required: true, default: 1}}}}\n", "1:45", "E110", "`required: true` and `default`"),
    ("B033 two slashes", association("files: {/etc/x: absent, /etc//x: absent}"), "4:29", "E102", "first at 4:13"),
    ("B033 dot dot", association("files: {/etc/x: absent, /etc/../etc/x: absent}"), "4:29", "E102", "file:/etc/x"),
    ("B033 slash at the end", association("directories: {/etc/x: {}, /etc/x/: {}}"), "4:31", "E102", "directory:/etc/x"),
    ("B033 slash at the start", association("files: {/etc/x: absent, //etc/x: absent}"), "4:29", "E102", "first at 4:13"),
    ("B033 two types", association("files: {/etc/x: absent}\nlinks: {/etc/x: /etc/y}"), "5:13", "E102", "file and link of `web` both manage /etc/x"),
    ("B033 in an unconditional group", association("files: {/etc/x: absent}\ngiven: [{files: {/etc/x: absent}}]"), "5:22", "E102", "first at 4:13"),
    ("B035 association that is not there", association("requires: [bsae]") + "  base: {targets: all}\n", "4:16", "E119", "did you mean `base`?"),
    ("B035 profile that is not there", association("use: {ngnix: {}}") + "profiles: {nginx: {}}\n", "4:11", "E119", "did you mean `nginx`?"),
    ("B035 association of an override", association("override: {'file:/x': {of: bsae, reason: x}}") + "  base: {targets: all}\n", "4:32", "E119", "did you mean `base`?"),
    ("B035 type that is not there", association("files: {/x: {content: a, notify: services:nginx}}"), "4:38", "E118", "did you mean `service`?"),
    ("B035 no address at all", association("files: {/x: {content: a, after: nginx}}"), "4:37", "E118", "not an address"),
    ("B035 type that cannot be notified", association("files: {/x: {content: a, notify: file:/y}}"), "4:38", "E118", "only a service"),
    ("B035 template that is not there", association("files: {/x: {template: a.j2}}"), "4:28", "E122", "file not found"),
    ("B035 source outside the project", association("files: {/x: {source: ../../../../etc/passwd}}"), "4:26", "E122", "leaves the project"),
    ("B035 source by absolute path", association("files: {/x: {source: /etc/passwd}}"), "4:26", "E122", "leaves the project"),
    ("B083 empty segment in a file", "parameters: {/a//b: x}\n", "1:14", "E170", "segment 2 is empty"),
    ("B083 two dots in a file", "parameters: {/a/../b: x}\n", "1:14", "E170", "segment 2 is .."),
    ("B083 16 levels in a file", f"parameters: {{{'/a' * 16}: x}}\n", "1:14", "E170", "16 levels; at most 15"),
    ("B083 a space in a file", "parameters: {'/a b': x}\n", "1:14", "E170", "a character that is not allowed"),
    ("B083 reserved prefix in a file", "parameters: {/aws/x: x}\n", "1:14", "E170", "reserved prefix"),
    ("B083 below our own in a file", "parameters: {/statectl/x: x}\n", "1:14", "E170", "comes with statectl"),
    ("B085 secret with its value in a file", "parameters: {/x: {type: SecureString, value: hunter2}}\n", "1:46", "E150", "does not stand in a file"),
    ("B085 type misspelt in a file", "parameters: {/x: {type: Secret, value: a}}\n", "1:25", "E108", "String, StringList or SecureString"),
    ("B085 list as text", "parameters: {/x: {type: String, value: [a]}}\n", "1:40", "E108", "the value of a StringList"),
    ("B085 comma inside a list", "parameters: {/x: ['a,b']}\n", "1:19", "E170", "holds no comma"),
    ("B085 value of another data type", "parameters: {/x: {value: a, data_type: integer}}\n", "1:26", "E170", "not of data type integer"),
    ("B085 value that its pattern refuses", "parameters: {/x: {value: a, allowed_pattern: '^[0-9]+$'}}\n", "1:26", "E170", "does not fit the allowed pattern"),
    ("B085 nothing behind the name", "parameters:\n  /x:\n", "2:6", "E108", "expected a value"),
    ("B085 a template as value", "parameters: {/x: '{{ y }}'}\n", "1:18", "E108", "a template is not possible here"),
    ("B085 two values", "parameters: {/x: {value: a, value_from: 'env:X'}}\n", "1:29", "E110", "exclude each other"),
    ("B085 value from nowhere", "parameters: {/x: {value_from: vault/x}}\n", "1:31", "E108", "expected env:NAME"),
    ("B085 absent with a value", "parameters: {/x: {state: absent, value: a}}\n", "1:34", "E110", "what is absent has no value"),
    ("B085 one parameter twice", "parameters: {/x: a, x: b}\n", "1:21", "E102", "first at"),
    ("B085 one parameter of two owners", "parameters: {/x: a}\n" + association("parameters: {/x: b}"), "5:18", "E102", "first at"),
    ("B085 in a profile", "profiles: {p: {parameters: {/x: a}}}\n", "1:16", "E101", "unknown key `parameters`"),
    ("B091 policy that is none", "parameters: {/x: {value: a, policies: [{Type: Expire}]}}\n", "1:39", "E170", "Expire"),
    ("B037 association requires itself", association("requires: [web]"), "4:16", "E131", "web -> web"),
    ("B037 resource after itself", association("files: {/x: {content: a, after: file:/x}}"), "4:37", "E130", "comes after itself"),
    ("B037 profile uses itself", "profiles: {p: {use: {p: {}}}}\n", "1:22", "E131", "p -> p"),
    ("B037 name twice in one file", association("mode: audit") + "  web: {targets: all}\n", "5:3", "E102", "first at 2:3"),
    ("B047 expression not finished", association("files: {/x: {content: '{{ a b }}'}}"), "4:28", "E202", "got 'b'"),
    ("B047 in a text block", association("files:\n  /x:\n    content: |\n      one\n      {{ a.b }} {{ c d }}"), "8:21", "E202", "got 'd'"),
    ("B047 in a key", association("files: {'/x{{ a b }}': absent}"), "4:16", "E202", "got 'b'"),
    ("B047 statement not closed", association("files: {/x: {content: '{% if a %}b'}}"), "4:28", "E202", "endif"),
    ("B047 in a variable", association("vars: {x: '{{ }}'}"), "4:16", "E202", "expected an expression"),
    ("B047 condition", association("packages: {x: {when: a ==}}"), "4:26", "E202", "condition not valid"),
    ("B047 condition in braces", association("packages: {x: {when: '{{ a }}'}}"), "4:26", "E108", "write it as: a"),
    ("B047 shell that looks like a comment", association("commands: {x: {run: 'echo ${#x}', creates: /a}}"), "4:25", "E202", "{% raw %}"),
    ("B103 zero", association("schedule: rate(0 minutes)"), "4:20", "E117", "did you mean `rate(1 minute)`?"),
    ("B103 plural of one", association("schedule: rate(1 hours)"), "4:20", "E117", "did you mean `rate(1 hour)`?"),
    ("B103 no unit", association("schedule: rate(5)"), "4:20", "E117", "minutes, hours or days"),
    ("B103 weeks", association("schedule: rate(1 week)"), "4:20", "E117", "did you mean `rate(7 days)`?"),
    ("B105 misspelt", "maintenance_windows: {w: {schedule: cron(0 2 * * ? *), duration: 2h, timezone: Europe/Berln}}\n", "1:80", "E108", "did you mean `Europe/Berlin`?"),
    ("B105 rule of a zone", "maintenance_windows: {w: {schedule: cron(0 2 * * ? *), duration: 2h, timezone: EST5EDT4}}\n", "1:80", "E108", "did you mean `EST5EDT`?"),
    ("B105 offset", "maintenance_windows: {w: {schedule: cron(0 2 * * ? *), duration: 2h, timezone: '+25:00'}}\n", "1:80", "E108", "such as Europe/Oslo"),
    ("B107 negative delay", baseline("approve: [{after: -1 days}]"), "4:23", "E108", "0 days to 360 days"),
    ("B107 a million days", baseline("approve: [{after: 1000000 days}]"), "4:23", "E108", "0 days to 360 days"),
    ("B107 a number alone", baseline("approve: [{after: 3}]"), "4:23", "E108", "did you mean `3 days`?"),
    ("B107 weeks", baseline("approve: [{after: 2 weeks}]"), "4:23", "E108", "did you mean `14 days`?"),
    ("B107 days and date", baseline("approve: [{after: 3 days, until: 2027-01-31}]"), "4:31", "E110", "`after` or `until`, not both"),
    ("B107 neither days nor date", baseline("approve: [{section: [security]}]"), "4:15", "E109", "needs `after` or `until`"),
    ("B107 no date", baseline("approve: [{until: soon}]"), "4:23", "E108", "such as 2027-01-31"),
    ("B107 day that is none", baseline("approve: [{until: 2027-02-30}]"), "4:23", "E108", "such as 2027-01-31"),
    ("B107 a moment as date", baseline("approve: [{until: 2027-01-31T12:00Z}]"), "4:23", "E108", "the whole day counts"),
    ("B107 severity", baseline("approve: [{severity: [Crtical], after: 0 days}]", os="rhel"), "4:27", "W171", "did you mean `Critical`?"),
    ("B107 classification", baseline("approve: [{classification: [Securty], after: 0 days}]", os="sles"), "4:33", "W171", "did you mean `Security`?"),
    ("B107 priority", baseline("approve: [{priority: [high], after: 0 days}]"), "4:27", "W171", "known: required, important"),
    ("B107 product of another system", baseline("approve: [{product: [Ubuntu22.04], after: 0 days}]"), "4:26", "W171", "called DebianVERSION"),
    ("B107 level", baseline("approve: [{after: 0 days, compliance: severe}]"), "4:43", "E108", "critical, high, medium"),
    ("B107 KB", baseline("approved: [KB5034441]"), "4:16", "E172", "an update of Windows"),
    ("B107 bulletin", baseline("rejected: [MS10-048]\napproved: [x]"), "4:16", "E172", "an update of Windows"),
    ("B107 CVE cut short", baseline("approved: [CVE-2026]"), "4:16", "E172", "look like CVE-2024-3094"),
    ("B107 CVE without a dash", baseline("rejected: [CVE2024-3094]\napproved: [x]"), "4:16", "E172", "did you mean `CVE-2024-3094`?"),
    ("B107 advisory", baseline("approved: [RHSA2024:1]", os="rhel"), "4:16", "E172", "look like RHSA-2024:1234"),
    ("B107 name in capitals", baseline("approved: [Curl]"), "4:16", "E172", "did you mean `curl`?"),
    ("B107 name of a file", baseline("approved: [curl_8.1-1_amd64.deb]"), "4:16", "E172", "did you mean `curl=8.1-1`?"),
    ("B107 rpm on debian", baseline("approved: [kernel-5.14.0-1.x86_64]"), "4:16", "E172", "architecture of packages of rpm"),
    ("B109 source without a key", baseline("approve: [{after: 0 days}]\nsources: {s: {uris: ['https://x/y'], suites: [a], components: [main]}}"), "5:15", "E174", "needs `signed_by`"),
    ("B109 rpm source without a key", baseline("approve: [{after: 0 days}]\nsources: {s: {baseurl: 'https://x/y'}}", os="rocky"), "5:15", "E174", "needs `gpgkey`"),
    ("B109 trusted without a reason", baseline("approve: [{after: 0 days}]\nsources: {s: {baseurl: 'https://x/y', trusted: true}}", os="rocky"), "5:52", "E174", "takes the reason"),
    ("B109 trusted by http", baseline("approve: [{after: 0 days}]\nsources: {s: {baseurl: 'http://x/y', trusted: ours}}", os="rocky"), "5:28", "E174", "can be anybody's"),
    ("B109 key by http", baseline("approve: [{after: 0 days}]\nsources: {s: {baseurl: 'https://x/y', gpgkey: 'http://x/k'}}", os="rocky"), "5:51", "E174", "over http:"),
    ("B109 source without a suite", baseline("approve: [{after: 0 days}]\nsources: {s: {uris: ['https://x/y'], signed_by: /k}}"), "5:15", "E109", "needs `suites`"),
    ("B109 source without components", baseline("approve: [{after: 0 days}]\nsources: {s: {uris: ['https://x/y'], suites: [a], signed_by: /k}}"), "5:15", "E109", "needs `components`"),
    ("B109 source of the other kind", baseline("approve: [{after: 0 days}]\nsources: {s: {baseurl: 'https://x/y', uris: ['https://x/y'], suites: [a/], signed_by: /k}}"), "5:19", "E171", "means nothing on debian"),
    ("B109 key and trusted", baseline("approve: [{after: 0 days}]\nsources: {s: {baseurl: 'https://x/y', gpgkey: 'https://x/k', trusted: why}}", os="sles"), "5:66", "E110", "exclude each other"),
    ("B109 key that is no file", baseline("approve: [{after: 0 days}]\nsources: {s: {uris: ['https://x/y'], suites: [a/], signed_by: k.asc}}"), "5:67", "E122", "file not found"),
    ("B109 private key", baseline("approve: [{after: 0 days}]\nsources: {s: {uris: ['https://x/y'], suites: [a/], signed_by: '-----BEGIN PGP PRIVATE KEY BLOCK-----'}}"), "5:67", "E174", "private key"),
    ("B109 password in an address", baseline("approve: [{after: 0 days}]\nsources: {s: {uris: ['https://u:p@x/y'], suites: [a/], signed_by: /k}}"), "5:26", "E174", "does not stand in an address"),
    ("B109 address that is none", baseline("approve: [{after: 0 days}]\nsources: {s: {uris: [x], suites: [a/], signed_by: /k}}"), "5:26", "E108", "such as https://"),
    ("B105 unknown", "maintenance_windows: {w: {schedule: cron(0 2 * * ? *), duration: 2h, timezone: Middle/Earth}}\n", "1:80", "E108", "IANA name"),
]  # fmt: skip
MORE = [
    ("rollout and a key misspelt", association("rollout: {bacth: [1]}"), "4:15", "E101", "did you mean `batch`?"),
    ("rollout without a map", association("rollout: 10%"), "4:14", "E108", "{batch: [1, 100%]}"),
    ("batch that is no list", association("rollout: {batch: 10%}"), "4:22", "E108", "such as [1, 10%, 100%]"),
    ("batch of nobody", association("rollout: {batch: [1, 0%]}"), "4:26", "E108", "at least 1"),
    ("batch of nothing", association("rollout: {batch: []}"), "4:22", "E108", "got an empty one"),
    ("bake without a unit", association("rollout: {bake: long}"), "4:21", "E108", "such as 30s or 2m"),
    ("bake of days", association("rollout: {bake: 48h}"), "4:21", "E108", "at most 24h"),
    ("word of on_failure", association("rollout: {on_failure: stpo}"), "4:27", "E108", "did you mean `stop`?"),
    ("health of nothing", association("rollout: {health: {within: 3s}}"), "4:15", "E109", "one of tcp, http or command"),
    ("health of two things", association("rollout: {health: {tcp: 80, http: 'http://x/'}}"), "4:15", "E110", "got tcp and http"),
    ("health and a key misspelt", association("rollout: {health: {tpc: 80}}"), "4:24", "E101", "did you mean `tcp`?"),
    ("health and another's field", association("rollout: {health: {tcp: 80, expect: 200}}"), "4:33", "E110", "belongs to http"),
    ("health of a port that is none", association("rollout: {health: {tcp: 99999}}"), "4:29", "E108", "1 to 65535"),
    ("health of a path", association("rollout: {health: {http: /healthz}}"), "4:30", "E108", "http://127.0.0.1/healthz"),
    ("health of a line of shell", association("rollout: {health: {command: systemctl is-active web}}"), "4:33", "E108", "a list of arguments"),
    ("status of health", association("rollout: {health: {http: 'http://x/', expect: ok}}"), "4:51", "E108", "100 to 599"),
    ("step without `on`", association("rollout: {before: [{run: [x]}]}"), "4:24", "E109", "needs `on`"),
    ("step and a key misspelt", association("rollout: {after: [{run: [x], tiemout: 1s, on: all}]}"), "4:34", "E101", "did you mean `timeout`?"),
    ("step with a target that is none", association("rollout: {after: [{run: [x], on: 'group:'}]}"), "4:39", "E151", "name of a group"),
    ("steps that are no list", association("rollout: {before: {run: [x], on: all}}"), "4:23", "E108", "a list of steps"),
    ("disrupt", association("disrupt: window"), "4:14", "E108", "always, never or window:NAME"),
    ("disrupt misspelt", association("disrupt: nevr"), "4:14", "E108", "did you mean `never`?"),
    ("disrupt and no window", association("disrupt: window:sunday"), "4:14", "E119", "no maintenance window `sunday`"),
    ("disrupt and another window", association("where: [{targets: db, disrupt: window:sunday}]") + "maintenance_windows: {sundays: {schedule: cron(0 2 * * ? *), duration: 2h}}\n", "4:36", "E119", "did you mean `sundays`?"),
    ("disrupt and a broken window", association("disrupt: window:w") + "maintenance_windows: {w: {schedule: cron(0 2 * * ? *), duration: 2d}}\n", "5:66", "E108", "1h to 24h"),
    ("requires of other hosts and no association", association('requires: [base, {association: bd, on: "group:db"}]') + "  db: {targets: all}\n  base: {targets: all}\n", "4:36", "E119", "no association `bd`"),
    ("requires beside a map and no association", association('requires: [{association: db, on: "group:db"}, bsae]') + "  db: {targets: all}\n  base: {targets: all}\n", "4:51", "E119", "did you mean `base`?"),
    ("requires of other hosts without `on`", association("requires: [{association: db}]"), "4:16", "E109", "needs `on`"),
    ("requires of other hosts without a name", association("requires: [{on: all}]"), "4:16", "E109", "needs `association`"),
    ("requires and a key misspelt", association("requires: [{assocation: db, on: all}]"), "4:17", "E101", "did you mean `association`?"),
    ("requires on a target that is none", association("requires: [{association: db, on: 'group:'}]") + "  db: {targets: all}\n", "4:39", "E151", "name of a group"),
    ("requires of a list", association("requires: [[db], {association: db, on: all}]") + "  db: {targets: all}\n", "4:16", "E108", "{association: db, on: group:db}"),
    ("patch baseline that is not there", association("patch_baseline: debian-prd") + "patch_baselines: {debian-prod: {os: debian, approve: [{after: 0 days}]}}\n", "4:21", "E119", "did you mean `debian-prod`?"),
    ("patch baseline that comes with statectl, misspelt", association("patch_baseline: [statectl-debain]"), "4:22", "E119", "did you mean `statectl-debian`?"),
    ("patch baseline of a variant", association("where: [{targets: db, patch_baseline: x}]"), "4:43", "E119", "no patch baseline `x`"),
    ("patch baselines of one system", association("patch_baseline: [statectl-debian, d]") + "patch_baselines: {d: {os: debian, approve: [{after: 0 days}]}}\n", "4:39", "E173", "are both for debian"),
    ("patch baseline of a profile", "profiles: {p: {patch_baseline: x}}\n", "1:16", "E101", "unknown key `patch_baseline`"),
    ("baseline and a key misspelt", baseline("aprove: []\napproved: [x]"), "4:5", "E101", "did you mean `approve`?"),
    ("baseline without a system", "patch_baselines: {b: {approve: []}}\n", "1:19", "E109", "needs `os`"),
    ("baseline of a system with its version", "patch_baselines: {b: {os: debian12}}\n", "1:27", "E108", "did you mean `debian`?"),
    ("baseline of a system by another name", "patch_baselines: {b: {os: redhat}}\n", "1:27", "E108", "did you mean `rhel`?"),
    ("baseline that approves nothing", "patch_baselines: {b: {os: debian}}\n", "1:19", "W174", "approves nothing"),
    ("baseline with a name of ours", "patch_baselines: {statectl-x: {os: debian, approved: [x]}}\n", "1:19", "E116", "come with statectl"),
    ("baseline with a bad name", "patch_baselines: {Prod: {os: debian, approved: [x]}}\n", "1:19", "E116", "did you mean `prod`?"),
    ("two defaults of one system", baseline("approved: [x]\ndefault: true") + "  c: {os: debian, approved: [x], default: true}\n", "6:3", "E173", "both the default of debian"),
    ("patch group with two baselines", baseline("approved: [x]\npatch_groups: [web]") + "  c: {os: debian, approved: [x], patch_groups: [db, web]}\n", "6:3", "E173", "patch group `web` has two"),
    ("baseline twice in two sections", baseline("approved: [x]") + "  b: {os: debian, approved: [x]}\n", "5:3", "E102", "first at 2:3"),
    ("baseline and no window", baseline("approved: [x]\nwindow: sunday"), "2:3", "E119", "no maintenance window `sunday`"),
    ("baseline and a target that is none", baseline("approved: [x]\ntargets: web and"), "5:18", "E151", "expected a target"),
    ("rules that are no list", baseline("approve: {after: 3 days}"), "4:14", "E108", "a list of rules"),
    ("rule and a key misspelt", baseline("approve: [{sectoin: [security], after: 0 days}]"), "4:16", "E101", "did you mean `section`?"),
    ("rule with one value", baseline("approve: [{section: security, after: 0 days}]"), "4:25", "E108", "did you mean `[security]`?"),
    ("rule of no values", baseline("approve: [{section: [], after: 0 days}]"), "4:25", "E108", "got an empty one"),
    ("classification on debian", baseline("approve: [{classification: [Security], after: 0 days}]"), "4:16", "E171", "`section: [security]`"),
    ("priority on rhel", baseline("approve: [{priority: [important], after: 0 days}]", os="rhel"), "4:16", "E171", "`priority` means nothing on rhel"),
    ("when in filters", baseline("approved: [x]\nfilters: {after: 3 days}"), "5:15", "E101", "only what is looked at"),
    ("approved and rejected", baseline("approved: [x1]\nrejected: [x1]"), "5:16", "W173", "it is rejected"),
    ("advisory of another kind", baseline("approved: [RHSA-2024:1234]"), "4:16", "W171", "systems with rpm packages"),
    ("name with a space", baseline("approved: ['a b']"), "4:16", "E172", "no spaces"),
    ("action without a list", baseline("approved: [x]\nrejected_action: block"), "5:5", "E110", "goes with `rejected`"),
    ("action misspelt", baseline("approved: [x]\nrejected: [y]\nrejected_action: blok"), "6:22", "E108", "did you mean `block`?"),
    ("pin without a day", baseline("approved: [x]\npins: {x: {reason: why}}"), "5:12", "E109", "needs `until`"),
    ("pin without a reason", baseline("approved: [x]\npins: {x: {until: 2099-01-31}}"), "5:12", "E109", "needs `reason`"),
    ("pin that is a version", baseline("approved: [x]\npins: {x: 1.2.*}"), "5:15", "E108", "{version: 1.2.*, until:"),
    ("pin that is over", baseline("approved: [x]\npins: {x: {until: 2025-01-31, reason: why}}"), "5:23", "W172", "is over"),
    ("pin of a CVE", baseline("approved: [x]\npins: {CVE-2024-3094: {until: 2099-01-31, reason: why}}"), "5:12", "E172", "the name of a package"),
    ("hook that is a map", baseline("approved: [x]\nhooks: {on_exit: {run: x}}"), "5:22", "E108", "a list of arguments"),
    ("hook misspelt", baseline("approved: [x]\nhooks: {befor_install: [x]}"), "5:13", "E101", "did you mean `before_install`?"),
    ("hook with an open quote", baseline("approved: [x]\nhooks: {on_exit: \"a 'b\"}"), "5:22", "E108", "cannot be split"),
    ("no reboot and its time", baseline("approved: [x]\nreboot: never\nreboot_timeout: 15m"), "6:5", "E110", "means nothing beside"),
    ("reboot as a flag", baseline("approved: [x]\nreboot: true"), "5:13", "E108", "never, if_needed or always"),
    ("age without a unit", baseline("approved: [x]\nmax_index_age: 7"), "5:20", "E108", "such as 7 days"),
    ("eleven reboots", baseline("approved: [x]\nmax_reboots: 11"), "5:18", "E108", "from 1 to 10"),
    ("name of an association", association("mode: audit", name="Web_Tier"), "2:3", "E116", "did you mean `web_tier`?"),
    ("reserved variable", association("vars: {host: 1}"), "4:12", "E116", "reserved"),
    ("variable with a dash", association("vars: {a-b: 1}"), "4:12", "E116", "did you mean `a_b`?"),
    ("word of a mode", association("mode: enforced"), "4:11", "E108", "did you mean `enforce`?"),
    ("schedule", association("schedule: rate(1 hours)"), "4:20", "E117", "did you mean `rate(1 hour)`?"),
    ("share of hosts", association("max_concurrency: 0"), "4:22", "E108", "at least 1"),
    ("targets", "associations: {web: {targets: web and}}\n", "1:35", "E151", "expected a target"),
    ("targets of a variant", association("where: [{targets: 'web and', mode: audit}]"), "4:28", "E151", "expected a target"),
    ("yes as a boolean", association("services: {nginx: {enabled: yes}}"), "4:33", "E108", "did you mean `true`?"),
    ("state misspelt", association("packages: {nginx: presnt}"), "4:23", "E108", "did you mean `present`?"),
    ("target that is no state", association("links: {/x: absnt}"), "4:17", "E108", "did you mean `absent`?"),
    ("template whose name is too long", association(f"files: {{/x: {{template: {'a' * 300}}}}}"), "4:28", "E122", "file name too long"),
    ("nothing behind a resource", association("packages:\n  nginx:"), "5:7", "E108", "nothing stands behind"),
    ("nothing behind a field", association("files:\n  /x:\n    content:"), "6:17", "E108", "nothing stands behind"),
    ("requires as text", association("requires: base"), "4:15", "E108", "did you mean `[base]`?"),
    ("for_each without item", association("files: {/x: {for_each: [1], content: a}}"), "4:13", "E110", "must use `item`"),
    ("template in an association field", association('mode: "{{ m }}"'), "4:11", "E108", "template is not possible here"),
    ("until that is no date", association("override: {'file:/x': {of: web2, reason: x, until: soon}}") + "  web2: {targets: all}\n", "4:56", "E108", "2027-06-30"),
    ("probe and variable of one name", association("vars: {x: 1}\nprobes: {x: {run: [a]}}"), "5:14", "E102", "probe and a variable"),
]  # fmt: skip


def answered(project, place, code, words):
    """The answer is one line that says place, code and words."""
    found = lines(project)
    assert len(found) == 1, found
    kind = "warning" if code.startswith("W") else "error"
    assert found[0].startswith(f"states/a.yml:{place}: {kind}[{code}]"), found
    assert words in found[0], found
    for leak in ("Traceback", "pydantic", "<class", "NoneType", "dict", "Error(", "input_value"):
        assert leak not in found[0]


@pytest.mark.parametrize(("text", "place", "code", "words"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_answered(tmp_path, text, place, code, words):
    """A row of bad input gets one line with its place, its cause and its fix."""
    files = {"states/a.yml": text, "states/b.j2": "x"}
    answered(load_files(tmp_path, files), place, code, words)


@pytest.mark.parametrize(("text", "place", "code", "words"), [pytest.param(*case[1:], id=case[0]) for case in MORE])
def test_answered_beyond_the_rows(tmp_path, text, place, code, words):
    """What the language refuses is refused with the reason, never ignored."""
    answered(load_files(tmp_path, {"states/a.yml": text}), place, code, words)


@pytest.mark.parametrize("_row", [pytest.param(0, id="B037 name twice in two files")])
def test_name_in_two_files(tmp_path, _row):
    """A name used in two files names both places."""
    files = {"states/a.yml": association("mode: audit"), "states/b.yml": association("mode: audit")}
    (line,) = lines(load_files(tmp_path, files))
    assert line.startswith(
        "states/b.yml:2:3: error[E102]: association `web` is defined twice; first at states/a.yml:2:3"
    )


@pytest.mark.parametrize("_row", [pytest.param(0, id="B037 ring of associations")])
def test_ring(tmp_path, _row):
    """A ring is drawn once, with the line of every step."""
    text = "associations:\n  a: {targets: all, requires: [b]}\n  b: {targets: all, requires: [c]}\n  c: {targets: all, requires: [a]}\n"
    project = load_files(tmp_path, {"states/a.yml": text})
    (line,) = lines(project)
    assert line.startswith("states/a.yml:4:32: error[E131]: associations require each other: a -> b -> c -> a")
    assert [note.span.line for note in project.problems[0].notes] == [2, 3, 4]


@pytest.mark.parametrize("_row", [pytest.param(0, id="B047 in a template file")])
def test_template_file(tmp_path, _row):
    """A template's mistake stands in the template, named once however many resources use it."""
    files = {
        "states/a.yml": association("files:\n  /x: {template: t.j2}\n  /y: {template: t.j2}"),
        "states/t.j2": "one\n  {{ a }} {{ b c }}\n{% for x in y %}\n",
    }
    (line,) = lines(load_files(tmp_path, files))
    assert line.startswith(
        "states/t.j2:2:11: error[E202]: template not valid: expected the end of the expression `}}`, got 'c'"
    )


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("file", id="B035 link that leaves the project"),
        pytest.param("directory", id="B035 directory that leaves it"),
    ],
)
def test_links_out_of_the_project(tmp_path, link):
    """A symbolic link cannot bring another file of the machine into the project."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "s").write_text("x")
    root = tmp_path / "project"
    (root / "states").mkdir(parents=True)
    if link == "file":
        (root / "states" / "s").symlink_to(outside / "s")
        name = "s"
    else:
        (root / "states" / "d").symlink_to(outside)
        name = "d/s"
    (line,) = lines(load_files(root, {"states/a.yml": association(f"files: {{/x: {{source: {name}}}}}")}))
    assert "E122" in line
    assert "leaves the project" in line


@pytest.mark.parametrize("_row", [pytest.param(0, id="B045 50,000 resources for one host")])
def test_50_000_resources(tmp_path, _row):
    """Many resources are slow, not impossible: 50,000 load within a minute."""
    text = "associations:\n  big:\n    targets: all\n    files:\n"
    text += "".join(f"      /srv/{number}: {{content: x, mode: 0644}}\n" for number in range(50_000))
    begin = time.monotonic()
    project = load_files(tmp_path, {"states/a.yml": text})
    assert lines(project) == []
    assert len(project.associations["big"].body.declarations) == 50_000
    assert time.monotonic() - begin < 60


LEAVES = st.sampled_from(
    [None, "", "x", "0644", "{{ x }}", "{{ a b }}", "web and", "absent", 5, True, "rate(1 hours)", "/x", "service:x"]
)
JUNK = st.recursive(
    LEAVES,
    lambda below: (
        st.lists(below, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "when", "state", "name"]), below, max_size=2)
    ),
    max_leaves=4,
)


def paths_of(tree, path=()):
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, below in items:
        yield from paths_of(below, (*path, key))


def planted(tree, path, junk, *, rename):
    """A copy of the tree with junk at the path, or with the last key of the path renamed."""
    if not path:
        return junk
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    if len(path) == 1 and rename and isinstance(copy, dict):
        copy[str(junk)] = copy.pop(path[0])
    else:
        copy[path[0]] = planted(copy[path[0]], path[1:], junk, rename=rename)
    return copy


def written(tree):
    """Flow YAML; text that looks plain is left plain."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{written(key)}: {written(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(written, tree)) + "]"
    if tree is None:
        return "~"
    return str(tree) if re.fullmatch(r"[A-Za-z0-9/_.-]+", str(tree)) else json.dumps(tree)


TREE = yaml.safe_load(EXAMPLE)
PATHS = list(paths_of(TREE))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), junk=JUNK, rename=st.booleans())
def test_anything_anywhere(tmp_path, path, junk, rename):
    """Whatever stands wherever in a project, the answer is problems with places, never an exception."""
    project = load_files(tmp_path, {"states/a.yml": written(planted(TREE, path, junk, rename=rename)) + "\n"})
    for problem in project.problems:
        assert problem.span is not None
        assert problem.summary == problem.summary.strip()
        assert "Expression" not in line_of(problem)


def test_values_are_never_repeated(tmp_path):
    """A value of the wrong form is not in any message, whatever its field: it may be a secret."""
    body = """\
users:
  bob: {password_hash: hunter2, uid: hunter2, home: hunter2, groups: hunter2, system: hunter2, expires: hunter2, shell: hunter2}
files:
  /x: {mode: hunter2, owner: "hunter 2", validate: hunter2, content: [hunter2]}
services:
  x: {state: hunter2}
  y: hunter2
packages:
  z: {version: "hunter 2", state: hunter2}
vars: {x: 0123456789012345678901}
mode: hunter2
max_errors: hunter2
"""
    found = lines(load_files(tmp_path, {"states/a.yml": association(body)}))
    assert len(found) >= 17
    assert not [line for line in found if "hunter" in line or "0123456789" in line]
