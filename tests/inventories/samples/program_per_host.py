#!/usr/bin/env python3
"""An inventory of the old kind: lists of hosts, and one more run for each host."""

import json
import sys

if sys.argv[1] == "--list":
    print(json.dumps({"web": ["w1", "w2"], "db": {"hosts": ["d1"], "vars": {"engine": "pg"}}}))
elif sys.argv[2] == "d1":
    print()
else:
    print(json.dumps({"name": sys.argv[2], "port": 80}))
