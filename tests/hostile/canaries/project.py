"""A project that uses a canary in every place where the language takes a secret, and what its commands do with theirs."""

from collections.abc import Mapping
from pathlib import Path

from tests.hostile.canaries.scanner import Canary

# what a program with bad manners does with its environment: tells it, in an encoding, on both streams, and fails
ECHO = """\
import base64, json, os, sys, urllib.parse
how, secret = sys.argv[1], os.environ["SECRET"]
data = secret.encode()
said = {
    "raw": secret,
    "base64": base64.b64encode(b"user:" + data).decode(),
    "base64-for-urls": base64.urlsafe_b64encode(b"x" + data).decode(),
    "hex": data.hex(),
    "HEX": data.hex().upper(),
    "url": urllib.parse.quote(secret, safe=""),
    "url-with-slashes": urllib.parse.quote(secret),
    "json": json.dumps({"secret": secret}),
    "json-in-json": json.dumps(json.dumps({"secret": secret})),
    "cut": secret + "." * (4096 - len(data) // 2),
    "cut-line": "." * (300 - len(data) // 2) + secret,
}[how]
print(said)
if how != "cut":
    print(said, file=sys.stderr)
sys.exit(1)
"""
ENCODINGS = (
    *("raw", "base64", "base64-for-urls", "hex", "HEX", "url", "url-with-slashes"),
    *("json", "json-in-json", "cut", "cut-line"),
)
# places of canaries that are variables of the inventory
VARIABLES = (
    *("content", "template", "fragment", "tree", "unit", "block", "line", "cron", "adopted", "rotated", "retired"),
    *("hash", "echoed", "refused", "from environment"),
)
PARAMETERS = (
    "stored",
    "declared",
    "in git",
)  # SecureStrings: set by hand, declared with value_from, kept as a ciphertext
SENSITIVE = {  # contents by place: the file of the project
    "sensitive source": "sensitive.txt",
    "sensitive refused": "refused.txt",
    "sensitive template": "sensitive.txt.j2",
    "sensitive literal": "canary.yml",
}

FILES = """\
associations:
  files:
    targets: all
    files:
      /etc/canary/content.conf: {content: "key = {{ v_content }}\\n"}
      /etc/canary/template.conf: {template: template.j2}
      /etc/canary/fragments.conf: {fragments: {one: {content: "open\\n"}, two: {content: "{{ v_fragment }}\\n"}}}
      /etc/canary/adopted.conf: {content: "{{ v_adopted }}\\n"}
      /etc/canary/rotated.conf: {content: "before\\n{{ v_rotated }}\\nafter\\n"}
      /etc/canary/retired.conf: {content: "before\\n{{ v_retired }}\\nafter\\n"}
      /etc/canary/environment.conf: {content: "{{ v_from_environment }}\\n"}
      /etc/canary/sensitive.conf: {source: sensitive.txt, sensitive: true}
      /etc/canary/lines.conf: {content: "first\\n"}
      /etc/canary/stored.conf: {content: "key = {{ secret('/canary/stored') }}\\n", mode: 0600}
      /etc/canary/declared.conf: {content: "key = {{ secret('/canary/declared') }}\\n", mode: 0600}
      /etc/canary/in-git.conf: {content: "key = {{ secret('/canary/in-git') }}\\n", mode: 0600}
    trees: {/etc/canary/tree: {source: tree, templates: ["*.conf"]}}
    units: {canary.service: {content: "[Service]\\nExecStart=/bin/true\\nEnvironment=A={{ v_unit }}\\n"}}
    users: {canary: {password_hash: "{{ v_hash }}"}}
    lines: {canary: {path: /etc/canary/appended.conf, line: "key={{ v_line }}", create: true}}
    text_blocks: {canary: {path: /etc/canary/block.conf, content: "key={{ v_block }}\\n", create: true}}
    cron_jobs: {canary: {user: root, command: "true", special: reboot, env: {KEY: "{{ v_cron }}"}}}
"""
FAILING = """\
  failing:
    targets: all
    files:
      /etc/canary/refused.conf: {content: "{{ v_refused }}\\n", validate: [sh, -c, "cat $1; cat $1 >&2; false", sh, "%s"]}
      /etc/canary/refused-sensitive.conf:
        source: refused.txt
        sensitive: true
        validate: [sh, -c, "cat $1; cat $1 >&2; false", sh, "%s"]
      /etc/canary/refused-literal.conf: {content: 'SENSITIVE LITERAL', sensitive: true, validate: ["false", "%s"]}
  loud:
    targets: all
    commands:
"""
SLOW = """\
      last: {run: [sh, -c, "echo $$ > /root/slow; test ! -e /root/wait || exec sleep 60; false"], creates: /root/never}
"""
MISTAKES = """\
associations:
  argument: {targets: all, commands: {x: {run: [echo, "{{ v_content }}"], creates: /x}}}
  filter: {targets: all, files: {/etc/x1: {content: "{{ v_content | upper }}"}}}
  condition: {targets: all, files: {/etc/x2: {when: v_content == "x", content: x}}}
  template: {targets: all, files: {/etc/x3: {template: broken.j2}}}
  name: {targets: all, files: {"/etc/{{ v_content }}": {content: x}}}
  mode: {targets: all, files: {/etc/x4: {content: x, mode: "{{ v_content }}"}}}
  user: {targets: all, users: {x: {shell: "{{ v_hash }}"}}}
  sensitive: {targets: all, files: {/etc/x5: {template: sensitive.txt.j2, sensitive: true}}}
"""


def canaries() -> dict[str, Canary]:
    """Of the variables and sensitive contents, by place."""
    # systemd tells its journal of an assignment that it cannot read, whole: a quote in it would be the reason
    made = {place: Canary.made(place, plain=place == "unit") for place in (*VARIABLES, *SENSITIVE, *PARAMETERS)}
    plain = Canary.made("hash", plain=True)
    return {**made, "hash": Canary("hash", f"$6$saltsalt${plain.value}" + "." * 40)}


def variable(place: str) -> str:
    return "v_" + place.replace(" ", "_")


def parameters(given: Path, cipher: str) -> str:
    """The section of the file; the value of one stands in `given`, that of another in its ciphertext."""
    return (
        "parameters:\n"
        f'  /canary/declared: {{type: SecureString, value_from: "file:{given / "declared"}"}}\n'
        f'  /canary/in-git: {{type: SecureString, value_from: "{cipher}"}}\n'
    )


def commands() -> str:
    """One that fails for each encoding; each has the secret in its environment."""
    line = '      {0}: {{run: [python3, /root/echo.py, {0}], creates: /root/never, env: {{SECRET: "{{{{ v_echoed }}}}"}}}}\n'
    return "".join(line.format(how) for how in ENCODINGS)


def write(root: Path, given: Path, address: str, made: Mapping[str, Canary]) -> None:
    """The project in `root`; the values of its variables in `given`, one file each, but for that of the environment."""
    given.mkdir(mode=0o700)
    lines = []
    for place in VARIABLES:
        source = f"file:{given / variable(place)}" if place != "from environment" else "env:CANARY"
        lines.append(f'      {variable(place)}: {{value_from: "{source}"}}')
        if place != "from environment":
            (given / variable(place)).write_text(made[place].value + "\n")
    host = [f"    address: {address}", "    user: operator", "    become: true", "    vars:", *lines]
    (root / "inventories/lab/hosts.yml").write_text("hosts:\n  target:\n" + "\n".join(host) + "\n")
    states = root / "states"
    (states / "tree").mkdir()
    (states / "tree" / "leaf.conf").write_text("leaf {{ v_tree }}\n")
    (states / "template.j2").write_text("open\n{% for n in [1, 2] %}{{ n }} {{ v_template }}\n{% endfor %}")
    (states / "sensitive.txt.j2").write_text(
        f"{made['sensitive template'].value} {{{{ there_is_no_such_variable }}}}\n"
    )
    (states / "broken.j2").write_text("{{ v_template }} {{ there_is_no_such_variable }}\n")
    (states / "sensitive.txt").write_text(f"open\n{made['sensitive source'].value}\n")
    (states / "refused.txt").write_text(f"open\n{made['sensitive refused'].value}\n")
    (given / "declared").write_text(made["declared"].value + "\n")
    failing = FAILING.replace("SENSITIVE LITERAL", made["sensitive literal"].value)
    (states / "canary.yml").write_text(FILES + failing + commands() + SLOW)
