"""The workload as pyinfra's documentation would write it: plain loops of operations, packages in one."""

from io import StringIO

from pyinfra import host
from pyinfra.operations import apt, files, server, systemd

files.directory(path="/etc/bench", mode="755")
apt.packages(
    packages=[f"lab-tool-{number:02}" for number in range(1, 21)]
    + [f"lab-service-{number:02}" for number in range(1, 6)]
)
for number in range(1, 6):
    server.group(group=f"benchgroup{number}")
    server.user(user=f"bench{number}", group=f"benchgroup{number}", shell="/bin/sh", comment=f"bench user {number}")
for number in range(1, 51):
    files.template(
        src="app.conf.j2",
        dest=f"/etc/bench/app-{number}.conf",
        user="root",
        group="root",
        mode="644",
        app={"name": f"app-{number}", "port": int(f"8{number}")},
        workers=4,
        host_name=host.name,
    )
for number in range(1, 6):
    files.line(
        path="/etc/security/limits.conf",
        line=f"^bench{number} soft nofile.*$",
        replace=f"bench{number} soft nofile {1000 + number}",
    )
    files.put(
        src=StringIO(f"# bench {number}\n{number} 3 * * * root /bin/true {number}\n"),
        dest=f"/etc/cron.d/bench-{number}",
        mode="644",
    )
    systemd.service(service=f"lab-service-0{number}.service", running=True, enabled=True)
