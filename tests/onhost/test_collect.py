"""Collected inventory on the host: what is there is told as it is, what hangs or is broken costs itself alone, and all of it is bounded."""

# ruff: noqa: PT009, PT027, SIM117, B905  runs on Python 3.6 without pytest

import base64
import json
import os
import shutil
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from statectl.onhost import collect
from statectl.onhost.collect import application, custom, der, listener, process, rows, service
from statectl.onhost.host import Host
from statectl.onhost.process import Ran

PEM = """-----BEGIN CERTIFICATE-----
MIIB8DCCAZagAwIBAgIDGis8MAoGCCqGSM49BAMCMDoxCzAJBgNVBAYTAk5PMRAw
DgYDVQQKDAdFeGFtcGxlMRkwFwYDVQQDDBBzaG9wLmV4YW1wbGUub3JnMCAXDTI2
MTEyMzIzNTgxMloYDzIwODEwODI2MjM1ODEyWjA6MQswCQYDVQQGEwJOTzEQMA4G
A1UECgwHRXhhbXBsZTEZMBcGA1UEAwwQc2hvcC5leGFtcGxlLm9yZzBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABDtkrIoMBrflEc4c/hsN/lIQAbU8tMSSAqTkmmUw
Sq/lmO889BT1ntbQKHSKfGhgOQ3FmXH4giFE5KrS90ccZcijgYgwgYUwHQYDVR0O
BBYEFHGaeW8gC/psx04QAD5f6+n32DfaMB8GA1UdIwQYMBaAFHGaeW8gC/psx04Q
AD5f6+n32DfaMA8GA1UdEwEB/wQFMAMBAf8wMgYDVR0RBCswKYIQc2hvcC5leGFt
cGxlLm9yZ4IPd3d3LmV4YW1wbGUub3JnhwTAAAIHMAoGCCqGSM49BAMCA0gAMEUC
IBTR4zHSNV0/sLX1tTfpCEYOJ0PYBmTpGdoW1Hq6qBGWAiEA8cCLrWb0VHuqMv05
KozYBGzW59ty0d66ybo6iyzh6C8=
-----END CERTIFICATE-----
"""
STATUS = b"""Package: openssl
Status: install ok installed
Maintainer: Debian OpenSSL Team <team@example.org>
Architecture: amd64
Version: 3.0.11-1~deb12u2
Conffiles:
 /etc/ssl/openssl.cnf 0123
Description: Secure Sockets Layer toolkit
 Version: 9.9 is not the version
Homepage: https://www.openssl.org/

Package: libc6
Status: install ok installed
Maintainer: GNU Libc Maintainers <libc@example.org>
Architecture: amd64
Multi-Arch: same
Source: glibc (2.36-9)
Version: 2.36-9+deb12u4
Description: GNU C Library

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1.0

Package: half
Status: install reinstreq half-installed
Architecture: all
Version: 1.0
"""


class Machine(unittest.TestCase):
    """A machine of a few files."""

    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.host = Host(root=self.root)

    def put(self, path, content):
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        with open(self.root + path, "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode("utf-8"))

    def told(self, asked=None, known=None):
        """{type: message} of a pass over this machine."""
        found = {}
        for payload in collect.read_all(collect.parts(self.host, asked or {}), known or {}):
            message = json.loads(payload.data.decode("ascii"))
            self.assertNotIn(message["name"], found)
            self.assertEqual(payload.state, message["state"])
            found[message["name"]] = message
        return found

    def rows_of(self, name, asked=None):
        message = self.told(dict(asked or {}, types=[name]))[name]
        self.assertEqual(message["state"], "content", message)
        return [dict(zip(message["columns"], row)) for row in message["rows"]]


class Pass(Machine):
    def parts(self, *gathers):
        return [("T%d" % place, 0.1, gather) for place, gather in enumerate(gathers)]

    @staticmethod
    def fine():
        yield rows.Found("Fine", ("Name",), [["b"], ["a"]])

    @staticmethod
    def hangs():
        time.sleep(60)
        yield rows.Found("Never", (), [])

    @staticmethod
    def dies():
        os._exit(3)

    @staticmethod
    def raises():
        raise RuntimeError("odd")

    def test_what_hangs_dies_or_fails_costs_itself_alone(self):
        """Each part has a deadline of its own: the others are told as if it were not there."""
        with mock.patch.object(collect, "GRACE_S", 0.2):
            wanted = self.parts(self.hangs, self.fine, self.dies, self.fine, self.raises, self.hangs, self.fine)
            began = time.monotonic()
            told = [json.loads(one.data.decode("ascii")) for one in collect.read_all(wanted, {})]
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(
            [(one["name"], one["state"]) for one in told],
            [
                ("T0", "timed out"), ("Fine", "content"), ("T2", "failed"), ("Fine", "content"), ("T4", "failed"),
                ("T5", "timed out"), ("Fine", "content"),
            ],
        )  # fmt: skip
        self.assertIn("odd", told[4]["reason"])

    def test_nothing_that_was_started_stays(self):
        """The child that hung is dead and collected."""
        with mock.patch.object(collect, "GRACE_S", 0.1):
            list(collect.read_all(self.parts(self.hangs), {}))
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

    def test_stop_ends_the_pass(self):
        """A controller that lets go is heard while a type is being read."""
        began = time.monotonic()
        told = list(collect.read_all([("T", 60.0, self.hangs)], {}, lambda: "let go"))
        self.assertEqual(told, [])
        self.assertLess(time.monotonic() - began, 5)

    def test_what_is_known_is_not_told_again(self):
        """The hash of unchanged rows is answered by `same`; rows in another order are the same rows."""
        (first,) = [json.loads(one.data.decode("ascii")) for one in collect.read_all(self.parts(self.fine), {})]
        self.assertEqual(first["rows"], [["a"], ["b"]])

        def turned():
            yield rows.Found("Fine", ("Name",), [["a"], ["b"]])

        def other():
            yield rows.Found("Fine", ("Name",), [["a"], ["c"]])

        known = {"Fine": first["hash"]}
        again = [json.loads(one.data.decode("ascii")) for one in collect.read_all(self.parts(turned, other), known)]
        self.assertEqual([one["state"] for one in again], ["same", "content"])
        self.assertNotIn("rows", again[0])

    def test_bounds(self):
        """Texts are cut and made one line, numbers are bounded, rows are counted."""
        long = [["x" * 5000, 2**80, "a\nb\x1b[31m", float("nan"), b"\xff".decode("utf-8", "surrogateescape")]] * 3
        data = rows.encoded_message(rows.Found("T", "abcde", long, 2), {}, 0)
        message = json.loads(data.decode("ascii"))
        self.assertEqual(message["left_out"], 1)
        self.assertEqual(message["rows"][0][0], "x" * 256)
        self.assertEqual(message["rows"][0][1], 2**53)
        self.assertNotIn("\n", message["rows"][0][2])
        self.assertIsNone(message["rows"][0][3])
        self.assertEqual(message["rows"][0][4], "\\xff")

    def test_every_type_reads_an_empty_machine(self):
        """A machine without any of it is no error: each type says content or absent, and nothing is made up."""
        told = self.told()
        states = {name: one["state"] for name, one in told.items()}
        self.assertEqual({name: state for name, state in states.items() if state not in ("content", "absent")}, {})
        self.assertEqual(states["Application"], "absent")
        self.assertEqual(states["Service"], "absent")
        self.assertEqual(len(told), len(collect.TYPES))


class Types(Machine):
    def test_dpkg(self):
        """What is installed and nothing else, with whole versions, source and the time of its list of files."""
        self.put("/var/lib/dpkg/status", STATUS)
        self.put("/var/lib/dpkg/info/libc6:amd64.list", "")
        os.utime(self.root + "/var/lib/dpkg/info/libc6:amd64.list", (1700000000, 1700000000))
        found = {row["Name"]: row for row in self.rows_of("Application")}
        self.assertEqual(sorted(found), ["libc6", "openssl"])
        self.assertEqual(found["openssl"]["Version"], "3.0.11-1~deb12u2")
        self.assertEqual(found["openssl"]["Source"], "openssl")
        self.assertIsNone(found["openssl"]["InstalledTime"])
        self.assertEqual(found["libc6"]["Source"], "glibc")
        self.assertEqual(found["libc6"]["InstalledTime"], "2023-11-14T22:13:20Z")
        self.assertEqual(found["openssl"]["URL"], "https://www.openssl.org/")

    def test_rpm(self):
        """Epoch, version and release are one version; keys in the database are no packages."""
        out = (
            "bash\tx86_64\t0\t5.1.8\t9.el9\t1700000000\tRed Hat\tbash-5.1.8-9.el9.src.rpm\tThe shell\thttps://gnu.org\n"
            "bind\tx86_64\t32\t9.16\t1\t1700000000\t(none)\t(none)\tDNS\t(none)\n"
            "gpg-pubkey\t(none)\t0\tfd431d51\t4ae0493b\t1\t(none)\t(none)\tkey\t(none)\n"
        )
        with mock.patch.object(self.host, "run", return_value=Ran(0, out, "")):
            found = application.rpm(self.host)
        self.assertEqual([row[2] for row in found], ["5.1.8-9.el9", "32:9.16-1"])
        self.assertEqual([row[6] for row in found], ["bash", ""])

    def test_rpm_that_hangs_is_told_as_timed_out(self):
        """The database may be held by somebody else for ever."""
        self.put("/var/lib/rpm/rpmdb.sqlite", "")
        with mock.patch.object(self.host, "run", return_value=Ran(None, "", "", timed_out=True)):
            with mock.patch.object(self.host, "which", lambda name: "/usr/bin/" + name):
                message = self.told({"types": ["Application"]})["Application"]
        self.assertEqual(message["state"], "timed out")

    def test_services(self):
        """What systemd has loaded, and beside it what is only installed."""
        out = (
            "nginx.service loaded active running A web server\n\u25cf sick.service loaded failed failed Sick\n"
            "gone.service not-found inactive dead gone.service\ngetty@tty1.service loaded active running Getty on tty1\n"
            "once.service loaded active exited Once\nodd\n"
        )
        self.put("/usr/lib/systemd/system/idle.service", "[Unit]\n[Install]\nWantedBy=x\n")
        self.put("/usr/lib/systemd/system/nginx.service", "[Install]\n")
        self.put("/usr/lib/systemd/system/getty@.service", "")
        self.put("/usr/lib/systemd/system/boots.service", "")
        self.put("/etc/systemd/system/multi-user.target.wants/boots.service", "")
        self.put("/etc/systemd/system/multi-user.target.wants/nginx.service", "")
        self.put("/run/systemd/generator/sysv.service", "")
        self.put("/run/systemd/system/x", "")
        os.symlink("/dev/null", self.root + "/etc/systemd/system/off.service")
        os.symlink("/usr/lib/systemd/system/nginx.service", self.root + "/etc/systemd/system/www.service")
        with mock.patch.object(self.host, "run", return_value=Ran(0, out, "")):
            found = {row[0]: row[2:4] for row in service.gather(self.host, {})}
        self.assertEqual(
            found,
            {
                "nginx": ["running", "enabled"],
                "sick": ["failed", "static"],
                "getty@tty1": ["running", "static"],
                "once": ["exited", "static"],
                "idle": ["stopped", "disabled"],
                "boots": ["stopped", "enabled"],
                "off": ["stopped", "masked"],
                "sysv": ["stopped", "generated"],
            },
        )

    def test_arguments_of_processes_are_not_told(self):
        """A password in an argument list stays on the host."""
        self.put("/proc/stat", "btime 1700000000\n")
        self.put("/proc/uptime", "1000.0 1.0\n")
        fields = ["S", "1"] + ["0"] * 9 + ["500", "100"] + ["0"] * 4 + ["3", "0", "100", "1", "25600"] + ["0"] * 20
        self.put("/proc/77/stat", "77 (odd) name) " + " ".join(fields))
        self.put("/proc/77/cmdline", "mysqld\0--password=hunter2\0")
        self.put("/proc/78/stat", "broken")
        os.symlink("/usr/sbin/mysqld", self.root + "/proc/77/exe")
        data = json.dumps(self.told({"types": ["Process"]}))
        self.assertNotIn("hunter2", data)
        (row,) = self.rows_of("Process")
        self.assertEqual((row["Name"], row["FileName"], row["Pid"]), ("odd) name", "/usr/sbin/mysqld", 77))
        self.assertEqual(row["StartTime"], "2023-11-14T22:13:21Z")
        self.assertEqual(process.LASTING, False)

    def test_listeners(self):
        """Addresses of both families, the process behind an inode, and no port of a question under way."""
        head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        self.put(
            "/proc/net/tcp",
            head
            + "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 4242 1\n"
            + "   1: 0100007F:1539 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 4243 1\n",
        )
        self.put(
            "/proc/net/udp6",
            head
            + "  0: 00000000000000000000000001000000:0035 0:0 07 00000000:00000000 00:00000000 00000000 0 0 5 1\n"
            + "  1: 00000000000000000000000001000000:EA5F 0:0 07 00000000:00000000 00:00000000 00000000 0 0 6 1\n",
        )
        self.put("/proc/9/comm", "postgres\n")
        os.makedirs(self.root + "/proc/9/fd")
        os.symlink("socket:[4242]", self.root + "/proc/9/fd/3")
        found = {tuple(row[:4]) for row in listener.gather(self.host, {})}
        self.assertEqual(found, {("tcp", "127.0.0.1", 5432, "postgres"), ("udp", "::1", 53, "")})

    def test_accounts(self):
        """Files as they stand: lines of NIS and broken ones are left out, and no password's hash is read."""
        self.put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n+nis::::::\nbroken\nnn:x:n:0:::\n")
        self.put("/etc/group", "adm:x:4:root,joe\nroot:x:0:\n")
        (row,) = self.rows_of("User")
        self.assertEqual((row["Name"], row["Uid"], row["Groups"]), ("root", 0, "adm"))
        self.assertEqual([row["Members"] for row in self.rows_of("Group")], ["joe root", ""])

    def test_language_packages(self):
        """By the names of directories and files alone."""
        top = "/usr/lib/python3/dist-packages"
        for name in ("PyYAML-6.0.2.dist-info/METADATA", "six-1.16.0-py3.egg-info/PKG-INFO", "json/__init__.py"):
            self.put("%s/%s" % (top, name), "")
        self.put("/usr/lib/node_modules/npm/package.json", '{"version": "9.2.0"}')
        self.put("/usr/lib/node_modules/@types/node/package.json", '{"version": "20.1.0"}')
        self.put("/usr/lib/node_modules/bad/package.json", "[" * 100000)
        self.put("/var/lib/gems/3.1.0/specifications/rack-test-2.0.1.gemspec", "")
        found = {(row["Name"], row["Version"], row["Language"]) for row in self.rows_of("LanguagePackage")}
        self.assertEqual(
            found,
            {
                ("PyYAML", "6.0.2", "python"), ("six", "1.16.0", "python"), ("npm", "9.2.0", "node"),
                ("@types/node", "20.1.0", "node"), ("rack-test", "2.0.1", "ruby"),
            },
        )  # fmt: skip

    def test_files(self):
        """By pattern and depth; links are not followed; a hash where one is asked for; no more than 500."""
        self.put("/etc/a.conf", "one")
        self.put("/etc/d/b.conf", "two")
        self.put("/etc/d/e/c.conf", "three")
        self.put("/etc/a.txt", "")
        os.symlink("a.txt", self.root + "/etc/link.conf")
        os.symlink("e", self.root + "/etc/d/loop")
        asked = {"files": [{"path": "/etc", "pattern": ["*.conf"], "depth": 2, "hash": True}]}
        found = {row["InstalledDir"] + "/" + row["Name"]: row for row in self.rows_of("File", asked)}
        self.assertEqual(sorted(found), ["/etc/a.conf", "/etc/d/b.conf"])
        self.assertTrue(found["/etc/a.conf"]["Sha256"].startswith("7692c3ad3540bb80"))
        self.assertEqual(found["/etc/a.conf"]["Size"], 3)
        for number in range(600):
            self.put("/many/%d.x" % number, "")
        told = self.told({"types": ["File"], "files": [{"path": "/many", "pattern": ["*"]}]})["File"]
        self.assertEqual((len(told["rows"]), told["left_out"] > 0), (500, True))
        scanned = self.told({"types": ["File"], "files": [{"path": "/many", "pattern": ["*"], "scan": 7}]})["File"]
        self.assertEqual(len(scanned["rows"]), 7)

    def test_a_removed_kernel_is_not_the_newest(self):
        """Restart is needed for a newer kernel of the same flavour that is still there, and when the system says so."""
        self.host.facts = {"kernel": {"release": "6.1.0-9-amd64"}, "virtualization": "none"}
        for name in ("6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-12-cloud-amd64"):
            self.put("/lib/modules/%s/modules.order" % name, "")
        os.makedirs(self.root + "/lib/modules/6.1.0-99-amd64")
        (row,) = self.rows_of("Kernel")
        self.assertEqual((row["Newest"], row["RebootRequired"]), ("6.1.0-10-amd64", True))
        self.host.facts["kernel"]["release"] = "6.1.0-10-amd64"
        self.assertIs(self.rows_of("Kernel")[0]["RebootRequired"], False)
        self.put("/run/reboot-required", "")
        self.put("/run/reboot-required.pkgs", "libc6\n")
        (row,) = self.rows_of("Kernel")
        self.assertEqual((row["RebootRequired"], row["RebootPackages"]), (True, "libc6"))


class Certificates(Machine):
    def test_what_a_certificate_says(self):
        """Dates, serial number, names: as openssl shows them."""
        self.put("/etc/tls/shop.pem", "text before\n" + PEM + PEM)
        found = self.rows_of("Certificate", {"certificates": ["/etc/tls/*.pem"]})
        self.assertEqual([row["Position"] for row in found], [1, 2])
        row = found[0]
        self.assertEqual((row["NotBefore"], row["NotAfter"]), ("2026-11-23T23:58:12Z", "2081-08-26T23:58:12Z"))
        self.assertEqual((row["Subject"], row["Serial"]), ("C=NO, O=Example, CN=shop.example.org", "1a2b3c"))
        self.assertEqual(row["Names"], "shop.example.org www.example.org 192.0.2.7")

    def test_damage_is_told_and_nothing_else(self):
        """Every shortened or altered certificate is read or refused as damaged: never another exception, never for ever."""
        data = base64.b64decode("".join(PEM.splitlines()[1:-1]))
        for end in range(len(data)):
            with self.assertRaises(ValueError):
                der.certificate(data[:end])
        with self.assertRaises(ValueError):
            der.certificate(data + b"\0")
        for place in range(len(data)):
            for byte in (0, 0x80, 0xFF, data[place] ^ 1):
                try:
                    der.certificate(data[:place] + bytes([byte]) + data[place + 1 :])
                except ValueError:
                    continue

    def test_a_file_that_is_broken_hides_no_other(self):
        """It has a row of its own with what is wrong."""
        self.put("/etc/tls/a.pem", PEM.replace("MIIB8DCC", "AAAA", 1))
        self.put("/etc/tls/b.pem", PEM)
        found = self.rows_of("Certificate", {"certificates": ["/etc/tls/*.pem"]})
        self.assertEqual([bool(row["Problem"]) for row in found], [True, False])


class Custom(Machine):
    def drop(self, name, value):
        text = value if isinstance(value, (str, bytes)) else json.dumps(value)
        self.put("%s/%s" % (collect.CUSTOM_DIRECTORY, name), text)

    def test_bad_files_are_told_and_good_ones_taken(self):
        """One mistake costs its own file; what stands in a bad file is not repeated."""
        good = {"SchemaVersion": "1.0", "TypeName": "Custom:Rack", "Content": {"Name": "r4", "Unit": 12}}
        self.drop("a.json", good)
        bad = {
            "syntax.json": "{secret",
            "nan.json": '{"SchemaVersion": "1.0", "TypeName": "Nan", "Content": {"a": NaN}}',
            "deep.json": "[" * 100000,
            "latin.json": b"\xff",
            "list.json": [1],
            "version.json": dict(good, SchemaVersion=1, TypeName="V"),
            "missing.json": {"SchemaVersion": "1.0", "TypeName": "M"},
            "name.json": dict(good, TypeName="rack; rm"),
            "twice.json": dict(good),
            "nested.json": dict(good, TypeName="Nested", Content={"a": {"secret": 1}}),
            "attribute.json": dict(good, TypeName="Attr", Content={"a b": 1}),
            "wide.json": dict(good, TypeName="Wide", Content={"a%d" % n: 1 for n in range(51)}),
            "large.json": " " * (custom.LIMIT + 1),
            "declared.json": dict(good, TypeName="Mine"),
        }
        for name, value in bad.items():
            self.drop(name, value)
        os.mkfifo(self.root + collect.CUSTOM_DIRECTORY + "/fifo.json")
        found = {one.name: one for one in custom.dropped(self.host, collect.CUSTOM_DIRECTORY, {"Mine": {}})}
        self.assertEqual(sorted(found), ["Custom", "Custom:Rack"])
        self.assertEqual((found["Custom:Rack"].columns, found["Custom:Rack"].rows), (["Name", "Unit"], [["r4", 12]]))
        for name in [*bad, "fifo.json"]:
            self.assertIn(name, found["Custom"].reason)
        self.assertNotIn("secret", found["Custom"].reason)

    def test_no_more_types_than_there_may_be(self):
        for number in range(25):
            self.drop("%02d.json" % number, {"SchemaVersion": "1.0", "TypeName": "T%d" % number, "Content": []})
        told = self.told({"types": ["Custom"]})
        self.assertEqual(sum(name.startswith("Custom:") for name in told), 20)
        self.assertIn("more than 20 types", told["Custom"]["reason"])

    def test_commands_of_the_project(self):
        """What they print is held to the same; one that fails or hangs costs itself."""
        declared = {
            "Good": {"argv": ["echo", '[{"Name": "x"}, {"Size": 2}]'], "timeout_s": 5},
            "Bad": {"argv": ["echo", "no"], "timeout_s": 5},
            "Fails": {"argv": ["false"], "timeout_s": 5},
            "Hangs": {"argv": ["sleep", "30"], "timeout_s": 0.2},
        }
        host = Host()
        told = {}
        for name, command in declared.items():
            part = ("Custom:" + name, 1.0, lambda name=name, command=command: custom.declared(host, name, command))
            for payload in collect.read_all([part], {}):
                told[name] = json.loads(payload.data.decode("ascii"))
        self.assertEqual(
            {name: one["state"] for name, one in told.items()},
            {"Good": "content", "Bad": "failed", "Fails": "failed", "Hangs": "timed out"},
        )
        self.assertEqual(told["Good"]["rows"], [[None, 2], ["x", None]])


if __name__ == "__main__":
    unittest.main()
