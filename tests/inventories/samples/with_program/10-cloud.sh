#!/bin/sh
case "$1" in
--list) echo '{"cloud": {"hosts": ["c1", "c2"], "vars": {"v": "program"}}, "_meta": {"hostvars": {"c1": {"id": "i-1"}}}}' ;;
--host) echo '{}' ;;
esac
