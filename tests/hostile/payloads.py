"""Text that steers: terminals, logs, CI runners, templates. The payloads of `tests/cli/test_hostile_text.py` and a few of their own."""

import json

from tests.cli.test_hostile_text import HARMFUL, PAYLOADS

__all__ = ["EVERYTHING", "HARMFUL", "PAYLOADS", "TEMPLATES"]

EVERYTHING = json.loads(json.dumps("|".join(PAYLOADS.values()))).encode("utf-8", "backslashreplace").decode()

TEMPLATES = {
    "arithmetic": "{{ 7*7 }}",
    "cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "statement": "{% for x in range(9) %}x{% endfor %}",
    "comment": "{# gone #}",
    "include": "{% include '/etc/passwd' %}",
    "secret": "{{ secret('x') }}",
    "nested": "{{ '{{ 7*7 }}' }}",
}
