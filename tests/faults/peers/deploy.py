"""The workload of tests/faults/scene.py as pyinfra's documentation would write it."""

from io import StringIO

from pyinfra import host
from pyinfra.facts.files import File
from pyinfra.operations import apt, files, server, systemd

apt.packages(packages=["lab-service-01", "lab-tool-01"])
server.group(group="crew")
server.user(user="sailor", groups=["crew"], home="/srv/sailor", create_home=True)
files.directory(path="/etc/work", mode="750")
files.put(src=StringIO(f"new {host.name}\n"), dest="/etc/work/adopted.conf", user="daemon", group="daemon", mode="640")
files.put(src=StringIO("a line of some length, many times\n" * 6000), dest="/etc/work/large.conf", mode="644")
files.put(src=StringIO(host.data.canary + "\n"), dest="/etc/work/secret.conf", mode="600")
configuration = files.put(src=StringIO("one\n"), dest="/etc/work/service.conf", mode="644")
files.link(path="/etc/work/link", target="adopted.conf")
systemd.service(service="lab-service-01.service", running=True, enabled=True)
systemd.service(service="lab-service-01.service", restarted=True, _if=configuration.did_change)
if host.data.extra == "small":
    files.directory(path="/small")
    files.put(src=StringIO("x" * 3000000), dest="/small/first.conf")
    files.put(src=StringIO("short\n"), dest="/small/other.conf")
if host.data.extra == "work" and not host.get_fact(File, path="/srv/worked"):
    server.shell(commands=["/usr/local/bin/work"], _timeout=3)
