"""Hosts from EC2, asked of moto's server: instances of several regions are one inventory; what goes wrong is one line with its fix."""

import builtins
import socket
import urllib.request

import pytest

from statectl.cli.offline import yaml_tools
from statectl.targets import ec2_api
from statectl.targets.inventory import load_inventory
from statectl.targets.matching import select
from statectl.targets.sources import Keeping
from tests.unit.test_parameter_key_services import moto_server

REGIONS = ("eu-north-1", "eu-west-1")


@pytest.fixture(scope="module")
def server():
    with moto_server() as url:
        yield url


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Nothing of the one who runs the tests, and credentials that moto takes."""
    import os

    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return monkeypatch


@pytest.fixture
def cloud(server, environment):
    """`cloud(region, name, **tags)` starts an instance -> its description."""
    import boto3

    urllib.request.urlopen(urllib.request.Request(f"{server}/moto-api/reset", method="POST")).close()

    def start(region, name, **tags):
        client = boto3.client("ec2", region_name=region, endpoint_url=server)
        image = client.describe_images()["Images"][0]["ImageId"]
        tags = {**({"Name": name} if name else {}), **tags}
        spec = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        more = {"TagSpecifications": spec} if tags else {}
        (made,) = client.run_instances(ImageId=image, MinCount=1, MaxCount=1, **more)["Instances"]
        start.clients[region] = client
        return made

    start.clients = {}
    return start


@pytest.fixture
def ask(server, tmp_path):
    """`ask("user: admin")` -> (inventory, [code and summary of each problem])."""

    def load_it(more="", *, allow=True, url=server, regions=REGIONS, **keeping):
        endpoint = f"endpoint_url: {url}\n" if url else ""
        (tmp_path / "inventory").mkdir(exist_ok=True)
        text = f"source: ec2\nregions: [{', '.join(regions)}]\n{endpoint}{more}\n"
        (tmp_path / "inventory" / "ec2.yml").write_text(text)
        found, problems = load_inventory(
            tmp_path / "inventory", root=tmp_path, yaml=yaml_tools(), allow_executables=allow,
            keeping=lambda: Keeping(tmp_path / "kept", **keeping),
        )  # fmt: skip
        load_it.problems = problems
        return found, [f"{one.code} {one.summary}" for one in problems]

    return load_it


def test_instances_are_hosts(cloud, ask):
    """Two regions in one inventory: names by tag, addresses, the user, tags, and groups by stack, region and network."""
    web = cloud("eu-north-1", "web1", env="prod")
    cloud.clients["eu-north-1"].create_tags(
        Resources=[web["InstanceId"]], Tags=[{"Key": "aws:cloudformation:stack-name", "Value": "shop"}]
    )
    bare = cloud("eu-west-1", "")
    found, problems = ask("user: admin")
    assert problems == []
    assert sorted(found.hosts) == sorted(["web1", bare["InstanceId"]])
    host = found.hosts["web1"]
    assert (host.address, host.connection.user) == (web["PrivateIpAddress"], "admin")
    assert (host.tags["env"], host.variables["ec2_id"].value) == ("prod", web["InstanceId"])
    assert set(host.groups) == {"shop", "eu-north-1", web["VpcId"]}
    for text, hosts in (
        ("group:shop and env=prod", ("web1",)),
        ("group:eu-west-1", (bare["InstanceId"],)),
        ("aws:cloudformation:stack-name=shop", ("web1",)),
    ):
        assert select(text, found).hosts == hosts, text
    assert [one.kind for one in found.answered] == ["ec2"]
    public, _ = ask("address: public\nhostname: id")
    assert public.hosts[web["InstanceId"]].address not in ("", web["PrivateIpAddress"], web["InstanceId"])


def test_states_and_filters(cloud, ask):
    """Stopped instances are no hosts unless they are asked for; filters are EC2's own."""
    one, other = cloud("eu-north-1", "one", env="prod"), cloud("eu-north-1", "other", env="dev")
    cloud.clients["eu-north-1"].stop_instances(InstanceIds=[other["InstanceId"]])
    assert list(ask()[0].hosts) == ["one"]
    assert list(ask("states: [running, stopped]")[0].hosts) == ["one", "other"]
    assert list(ask('states: [running, stopped]\nfilters: {"tag:env": dev}')[0].hosts) == ["other"]
    assert list(ask(f"filters: {{instance-id: [{one['InstanceId']}]}}")[0].hosts) == ["one"]


def test_names_that_are_taken_or_none(cloud, ask):
    """Instances of one name get their ids behind it; what is no name of a host gives way to the id. Both are said."""
    first, second = cloud("eu-north-1", "web"), cloud("eu-west-1", "web")
    odd = cloud("eu-west-1", "my web server; rm")
    found, problems = ask()
    ids = [one["InstanceId"] for one in (first, second)]
    assert sorted(found.hosts) == sorted([*(f"web-{one}" for one in ids), odd["InstanceId"]])
    assert problems == [
        f"W162 EC2: not valid as names of hosts, their ids are used: my web server; rm ({odd['InstanceId']})",
        "W162 EC2: several instances are called web: their ids are behind the name",
    ]


def closed_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_nobody_answers(cloud, ask):
    """Without a connection it is one error; with an answer that is kept, its hosts and a warning that says its age."""
    cloud("eu-north-1", "web1")
    nowhere = f"http://127.0.0.1:{closed_port()}"
    found, problems = ask(url=nowhere, regions=REGIONS[:1])
    assert not found.hosts
    assert len(problems) == 1
    assert problems[0].startswith("E168 EC2 of eu-north-1 does not answer: ")
    assert list(ask(if_failing_s=3600)[0].hosts) == ["web1"]


def test_a_kept_answer(cloud, ask, environment):
    """Kept as for programs: a young one is used without asking, an older one when EC2 fails; another question is asked anew."""
    cloud("eu-north-1", "web1")
    ask(cache_s=600)
    cloud("eu-north-1", "web2")
    assert list(ask("user: other", cache_s=600)[0].hosts) == ["web1"]
    assert list(ask("states: [running, stopped]", cache_s=600)[0].hosts) == ["web1", "web2"]
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    found, problems = ask(cache_s=600, anew=True)
    assert list(found.hosts) == ["web1"]
    assert problems[0].startswith("W160 EC2 of eu-north-1: no credentials: ")
    assert problems[0].endswith("s ago is used")
    assert ask()[1][0].startswith("E168 EC2 of eu-north-1: no credentials: ")


def test_validate_asks_nobody(cloud, ask):
    """Its hosts are unknown there, or those of what is kept."""
    cloud("eu-north-1", "web1")
    assert ask(allow=None)[1] == ["W157 EC2: not asked, its hosts are unknown here"]
    ask(cache_s=600)
    found, problems = ask(allow=None, cache_s=600)
    assert list(found.hosts) == ["web1"]
    assert problems[0].startswith("W160 not asked: its answer of ")


def test_an_address_of_the_project_needs_trust(ask):
    """Where credentials go, and which, a project decides only when the user trusts it."""
    _, problems = ask(allow=False)
    assert problems == ["E165 `endpoint_url` decides what your credentials are used for: not asked"]
    _, problems = ask("profile: admin", allow=False, url="")
    assert problems == ["E165 `profile` decides what your credentials are used for: not asked"]


REFUSALS = [
    ("UnauthorizedOperation", "EC2 of eu-north-1: these credentials have no right to list instances", "ec2:DescribeInstances"),
    ("ExpiredToken", "EC2 of eu-north-1 does not accept these credentials: ExpiredToken", "aws sso login"),
    ("OptInRequired", "EC2 of eu-north-1: this account has not switched the region on", "take it out of regions"),
    ("InvalidParameterValue", "EC2 of eu-north-1 refuses the filters: The filter 'x' is invalid", ""),
    ("Throttled", "EC2 of eu-north-1 refuses to list instances: Throttled", ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "summary", "hint"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_what_ec2_refuses(ask, environment, code, summary, hint):
    """Each refusal is one line that says what to do."""
    from botocore.client import BaseClient
    from botocore.exceptions import ClientError

    def refuse(self, operation, arguments):
        raise ClientError({"Error": {"Code": code, "Message": "The filter 'x' is invalid"}}, operation)

    environment.setattr(BaseClient, "_make_api_call", refuse)
    _, problems = ask(regions=REGIONS[:1])
    assert problems == [f"E168 {summary}"]
    assert hint in ask.problems[0].hint


def test_a_region_that_is_none(ask, environment):
    """A name that no partition has, and that nobody answers for: the nearest one is named."""
    from botocore.client import BaseClient
    from botocore.exceptions import EndpointConnectionError

    def nowhere(self, operation, arguments):
        raise EndpointConnectionError(endpoint_url="https://ec2.eu-nrth-1.amazonaws.com/")

    environment.setattr(BaseClient, "_make_api_call", nowhere)
    _, problems = ask(url="", regions=["eu-nrth-1"])
    assert problems == ["E168 EC2: there is no region eu-nrth-1"]
    assert ask.problems[0].hint == "did you mean `eu-north-1`?"
    assert ask(url="", regions=["eu-north-1"])[1][0].startswith("E168 EC2 of eu-north-1 does not answer: ")


def test_without_the_library(ask, environment):
    """boto3 is optional: the message says what to install."""
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name.split(".")[0] in ("boto3", "botocore"):
            raise ImportError(name)
        return real(name, *arguments, **named)

    environment.setattr(builtins, "__import__", without)
    _, problems = ask()
    assert problems == ["E168 EC2 needs a library that is not installed"]
    assert "statectl[aws]" in ask.problems[0].hint


def test_a_profile_that_is_none(ask, environment):
    """A profile that the configuration of AWS does not have."""
    _, problems = ask("profile: nobody")
    assert problems == ["E168 EC2 cannot be asked: the config profile (nobody) could not be found"]


WRONG = [
    ("source: ec3\nregions: [eu-north-1]", ["E108 1:9 `source`: expected ec2, the only kind there is"]),
    ("source: ec2", ["E109 1:1 an inventory source of EC2 needs `regions`"]),
    ("source: ec2\nregions: []", ["E108 2:10 `regions`: expected at least one region"]),
    ("source: ec2\nregions: [eu-north-1, Oslo]", ["E108 2:23 `regions`: expected a region such as eu-north-1"]),
    ("source: ec2\nregion: [eu-north-1]", ["E101 2:1 unknown key `region` in an inventory source", "E109 1:1 an inventory source of EC2 needs `regions`"]),
    ("source: ec2\nregions: eu-north-1\nstates: [runing]", ["E108 3:10 `states`: expected one of pending, running, shutting-down, stopping, stopped, terminated"]),
    ("source: ec2\nregions: eu-north-1\naddress: lan", ["E108 3:10 `address`: expected one of private, public, private_dns, public_dns"]),
    ("source: ec2\nregions: eu-north-1\nhostname: tag", ["E108 3:11 `hostname`: expected tag:KEY, id or private_dns"]),
    ("source: ec2\nregions: eu-north-1\nfilters: [x]", ["E108 3:10 `filters`: expected a map of names and values"]),
    ("source: ec2\nregions: eu-north-1\nuser: 'a b'", ["E108 3:7 `user`: user name not valid: it may hold letters, digits, . _ - @ and must start with a letter or _"]),
    ("source: ec2\nregions: eu-north-1\nendpoint_url: ftp://x", ["E108 3:15 `endpoint_url`: expected an address that begins with https:// or http://"]),
    ('source: ec2\nregions: "{{ x }}"', ["E108 2:10 `regions`: expected text without expressions"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_mistakes_in_the_file(tmp_path, monkeypatch, text, expected):
    """Each with its place, and nobody is asked."""
    monkeypatch.setattr(ec2_api, "instances", None)
    (tmp_path / "ec2.yml").write_text(text + "\n")
    _, problems = load_inventory(tmp_path / "ec2.yml", root=tmp_path, yaml=yaml_tools(), allow_executables=True)
    assert [f"{one.code} {one.span.line}:{one.span.column} {one.summary}" for one in problems] == expected
