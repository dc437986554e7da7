#!/usr/bin/env python3
"""An inventory that prints its host variables with the list."""

import json
import sys

if "--list" in sys.argv:
    print(
        json.dumps(
            {
                "_meta": {
                    "hostvars": {
                        "vm1": {"ansible_host": "192.0.2.1", "n": 1, "f": 2.0, "t": "{{ x }}"},
                        "other": {"a": 1},
                    }
                },
                "web": {
                    "hosts": ["vm1", "vm2"],
                    "vars": {"role": "web", "list": [1, "b", None]},
                    "children": ["extra"],
                },
                "extra": {"hosts": ["vm3"]},
                "empty": {},
                "site": {"children": ["web"], "vars": {"role": "site", "site": True}},
            }
        )
    )
else:
    print("{}")
