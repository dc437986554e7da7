"""What testinfra must see on the hosts of each example, by the example's own host names."""

from collections.abc import Mapping
from typing import Any

from tests.lab import LabHost

FETCH = """
import base64, sys, urllib.request as u
request = u.Request(sys.argv[1])
if sys.argv[2:]:
    request.add_header("Authorization", "Basic " + base64.b64encode(("numbers:" + sys.argv[2]).encode()).decode())
answer = u.urlopen(request, timeout=10)
print(answer.headers.get("X-Served-By"))
print(answer.read().decode())
"""


def fetched(seen: Any, url: str, password: str = "") -> tuple[str, str]:
    """X-Served-By and body of a page, as the host itself gets it."""
    arguments = [url, password] if password else [url]
    served, _, body = seen.check_output(f"python3 -c %s {'%s ' * len(arguments)}", FETCH, *arguments).partition("\n")
    return served, body


def patching(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    """Scanned: neither lists nor packages of the host's own are newer than the host's first contact with us."""
    for name in hosts:
        config = seen[name].file("/etc/apt/apt.conf.d/99-patching")
        assert config.content_string == 'APT::Periodic::Unattended-Upgrade "0";\n'
        since = "/var/lib/statectl/identity.json"
        newer = f"find /var/lib/apt/lists /var/lib/dpkg /var/lib/rpm -newer {since} ! -name '*lock*'"
        assert seen[name].run(newer).stdout == ""


def load_balanced(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    apps = sorted(name for name in seen if name.startswith("app"))
    balancers = [name for name in seen if name.startswith("lb")]
    for name in balancers:
        lb = seen[name]
        assert lb.service("haproxy").is_running
        pages = [fetched(lb, "http://127.0.0.1/") for _ in range(3 * len(apps))]
        assert {served for served, _ in pages} == set(apps)  # all take their share
        assert f"Served by one of {', '.join(apps)}." in pages[0][1]
        config = lb.file("/etc/haproxy/haproxy.cfg")
        assert (config.mode, config.group) == (0o640, "haproxy")
        assert f"server app2 {hosts['app2'].address}:8080 weight 2" in config.content_string
        assert lb.sysctl("net.core.somaxconn") == 4096
    lb = seen[balancers[0]]
    for name in apps:
        app = seen[name]
        assert app.service("nginx").is_running
        assert app.file("/srv/shop").listdir() == ["404.html", "assets", "index.html"]
        assert app.file("/srv/shop/assets/style.css").mode == 0o644
        assert app.file("/etc/nginx/status.htpasswd").mode == 0o640
        address = f"http://{hosts[name].address}"
        assert "401" in lb.run("python3 -c %s %s", FETCH, f"{address}:8081/").stderr
        assert fetched(lb, f"{address}:8081/", "lab-password")[1].strip() == f"{name} in prod"
        assert fetched(lb, f"{address}:8080/")[0] == name
        assert "403" in app.run("python3 -c %s %s", FETCH, f"{address}:8080/").stderr  # only balancers may ask
        assert app.sysctl("net.core.somaxconn") == 1024
        assert "/var/tmp/uploads" in app.file("/etc/cron.d/statectl-old-uploads").content_string
        assert app.file("/etc/nginx/conf.d/cache.conf").user == "root"
    for one in seen.values():
        assert "operators" in one.user("ada").groups
        assert "operators" not in one.user("grace").groups
        assert one.file("/home/ada/.ssh/authorized_keys").content_string.endswith("ada@example.org\n")
        assert not one.user("mallory").exists
        assert one.run("runuser -u ada -- sudo -n true").rc == 0


def fleet_baseline(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    notice = "{} belongs to the company. Questions: {}\n"
    teams = {  # the first letters of a host's name: who to ask, and what the team adds
        "shop": ("operations@example.org", "The shop team deploys on Tuesdays.\n"),
        "data": ("data@example.org", "The data team's jobs run from 01:00 to 05:00.\n"),
        "buil": ("build@example.org", ""),
    }
    managed = {name: one for name, one in seen.items() if name[:4] in teams}
    assert set(seen) - set(managed) == {"legacy1"}
    for name, one in managed.items():
        contact, added = teams[name[:4]]
        data = name.startswith("data")
        assert one.file("/etc/motd").content_string == notice.format(name, contact) + added
        assert one.file("/etc/apt/sources.list.d/company.sources").contains("/srv/lab/apt/extra")
        assert one.package("lab-extra-01").is_installed
        assert one.sysctl("net.ipv4.conf.all.accept_redirects") == 0
        assert one.sysctl("net.ipv4.tcp_keepalive_time") == (240 if data else 7200)  # the override
        watched = "/etc\n/usr/local\n" + ("/srv/lake\n" if data else "")
        assert one.file("/etc/baseline/watched").content_string == watched
        effective = one.run("/usr/sbin/sshd -T").stdout
        assert "allowtcpforwarding {}\n".format("local" if data else "no") in effective
        assert "maxauthtries 4\n" in effective
    assert seen["build1"].file("/etc/security/limits.d/40-admins.conf").content_string == (
        "linus hard nofile 65536\ndennis hard nofile 4096\nmargaret hard nofile 8192\n"
    )
    assert seen["build1"].run("rpm -q lab-alpha").rc == 0
    # audit: nothing of it
    legacy = seen["legacy1"]
    assert not legacy.file("/etc/baseline").exists
    assert not legacy.file("/etc/apt/sources.list.d/company.sources").exists
    assert "belongs to the company" not in legacy.file("/etc/motd").content_string


def trial(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    """The same checks for one machine that is everything, and for six."""

    def having(part: str) -> list[str]:
        return [name for name in seen if name.startswith((part, "dev"))]

    primary = "pg1" if "pg1" in seen else "dev1"
    for name in having("web"):
        # nginx asks the applications, on other hosts or here
        assert "shop," in fetched(seen[name], "http://127.0.0.1:8080/")[1]
        assert "shop," in fetched(seen[name], "http://127.0.0.1:8081/")[1]
        assert "requests.html?host=" in fetched(seen[name], "http://127.0.0.1:8080/dashboards/index.html")[1]
    for name in having("app"):
        environment = seen[name].file("/etc/shop/environment")
        assert (environment.mode, environment.group) == (0o640, "shop")
        assert "DATABASE_PASSWORD=lab-password\n" in environment.content_string
        assert f"DATABASE_HOST={hosts[primary].address}\n" in environment.content_string
        assert "DATABASE_URL=postgresql://shop@" in environment.content_string
        assert seen[name].service("shop").is_enabled
    for name in having("pg"):
        server = seen[name]
        assert server.service("postgresql").is_running
        broken = "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL"
        assert server.check_output("runuser -u postgres -- psql -Atc %s", broken) == "0"
        roles = "SELECT rolreplication FROM pg_roles WHERE rolname = 'replication'"
        assert server.check_output("runuser -u postgres -- psql -Atc %s", roles) == ("t" if name == primary else "")
    for one in seen.values():
        hardened(one)
        assert one.sysctl("net.ipv4.ip_forward") == 0


def hardened(one: Any) -> None:
    assert "x11forwarding no\n" in one.run("/usr/sbin/sshd -T").stdout
    assert one.package("unattended-upgrades").is_installed


def trial_prod(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    """Routers forward, by an override of the baseline; the data team's machines let tunnels through, by a variable."""
    for name, one in seen.items():
        hardened(one)
        router = name.startswith("gate")
        assert one.sysctl("net.ipv4.ip_forward") == int(router)
        assert one.sysctl("net.ipv4.conf.all.rp_filter") == (2 if router else 1)
        effective = one.run("/usr/sbin/sshd -T").stdout
        assert ("allowtcpforwarding no\n" in effective) == router
        assert ("allowgroups data\n" in effective) != router


def nginx(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for one in seen.values():
        assert one.service("nginx").is_running
        assert one.run("nginx -t").rc == 0
        assert one.file("/etc/nginx/sites-enabled").listdir() == ["api.example.org.conf", "www.example.org.conf"]


def ntp(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for one in seen.values():
        assert "server 0.no.pool.ntp.org iburst" in one.file("/etc/chrony/chrony.conf").content_string
        assert one.file("/etc/localtime").linked_to == "/usr/share/zoneinfo/Europe/Oslo"
        assert one.service("chrony").is_running
        assert one.service("chrony").is_enabled
        assert one.file("/etc/timezone").content_string == "Europe/Oslo\n"


def security(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for name, one in seen.items():
        effective = one.run("/usr/sbin/sshd -T").stdout
        assert "permitrootlogin no\n" in effective
        assert "passwordauthentication no\n" in effective
        assert "Journal matches" in one.check_output("fail2ban-client status sshd")
        assert one.file("/etc/sudoers.d/deploy").mode == 0o440
        assert one.run("visudo -c").rc == 0
        assert hosts[name].ssh(["true"], user="root", check=False).code == 255
        assert hosts[name].ssh(["true"], user="admin").code == 0


def ssh_hardening(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for name, one in seen.items():
        effective = one.run("/usr/sbin/sshd -T").stdout
        assert "allowtcpforwarding {}\n".format("yes" if name == "bastion" else "no") in effective
        assert "permitrootlogin no\n" in effective
        assert "maxauthtries 2\n" in effective
        assert one.run("awk '$5 < 2047' /etc/ssh/moduli").stdout == ""


def node_exporter(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for one in seen.values():
        assert one.service("node_exporter").is_running
        assert one.service("node_exporter").is_enabled
        assert one.file("/var/lib/node_exporter").user == "node-exp"
