"""What EC2 says of its instances, in plain values. Needs `statectl[aws]`; boto3 finds the credentials."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from statectl.problems import did_you_mean
from statectl.targets.sources import SourceFailed

CONNECT_S, READ_S = 10, 30
AT_ONCE = 8  # regions
CODE = "E168"
RIGHT = "allow ec2:DescribeInstances for these credentials"
CREDENTIALS = "set AWS_PROFILE, or run aws configure or aws sso login"


@dataclass(frozen=True, slots=True)
class Question:
    """`filters`: of DescribeInstances, {name: values}. '' for what boto3 finds by itself."""

    regions: tuple[str, ...]
    filters: Mapping[str, tuple[str, ...]]
    states: tuple[str, ...]
    profile: str = ""
    endpoint_url: str = ""


def instances(asked: Question) -> list[dict[str, Any]]:
    """[{id, region, zone, state, type, image, vpc, private_ip, public_ip, private_dns, public_dns, tags}], by region as asked, then id.

    Of all regions or none. Raises SourceFailed.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise SourceFailed(
            CODE, "EC2 needs a library that is not installed", "install statectl[aws]: pip install 'statectl[aws]'"
        ) from None
    config = Config(
        connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"max_attempts": 3, "mode": "standard"},
        max_pool_connections=2,
    )  # fmt: skip
    try:
        session = boto3.Session(profile_name=asked.profile or None)
        clients = [
            session.client("ec2", region_name=region, config=config, endpoint_url=asked.endpoint_url or None)
            for region in asked.regions
        ]
    except (BotoCoreError, ValueError) as error:
        raise SourceFailed(CODE, f"EC2 cannot be asked: {_words(error)}", CREDENTIALS) from None
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda client, region: _region(client, region, asked, session), clients, asked.regions))
    return [one for region in found for one in sorted(region, key=lambda one: str(one["id"]))]


def _region(client: Any, region: str, asked: Question, session: Any) -> list[dict[str, Any]]:
    from botocore import exceptions
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
        SSOError,
        TokenRetrievalError,
    )

    filters = [{"Name": name, "Values": list(values)} for name, values in asked.filters.items()]
    filters.append({"Name": "instance-state-name", "Values": list(asked.states)})
    try:
        pages = client.get_paginator("describe_instances").paginate(Filters=filters)
        return [
            _plain(one, region)
            for page in pages
            for reservation in page["Reservations"]
            for one in reservation["Instances"]
        ]
    except ClientError as error:
        raise _refused(error.response.get("Error", {}), region) from None
    except (
        NoCredentialsError,
        PartialCredentialsError,
        CredentialRetrievalError,
        SSOError,
        TokenRetrievalError,
    ) as error:
        raise SourceFailed(CODE, f"EC2 of {region}: no credentials: {_words(error)}", CREDENTIALS) from None
    except (exceptions.ConnectionError, HTTPClientError) as error:
        parts = session.get_available_partitions()
        known = {name for part in parts for name in session.get_available_regions("ec2", part)}
        if region not in known and not asked.endpoint_url:
            near = did_you_mean(region, known)
            raise SourceFailed(CODE, f"EC2: there is no region {region}", near or "aws ec2 describe-regions") from None
        hint = "look at the network, the proxy (HTTPS_PROXY), or endpoint_url"
        raise SourceFailed(CODE, f"EC2 of {region} does not answer: {_words(error)}", hint) from None
    except (BotoCoreError, ValueError) as error:
        raise SourceFailed(CODE, f"EC2 of {region} cannot be asked: {_words(error)}") from None


def _refused(error: Mapping[str, Any], region: str) -> SourceFailed:
    code = str(error.get("Code") or "error")
    if code in ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException"):
        return SourceFailed(CODE, f"EC2 of {region}: these credentials have no right to list instances", RIGHT)
    if code in ("AuthFailure", "InvalidClientTokenId", "ExpiredToken", "RequestExpired", "SignatureDoesNotMatch"):
        return SourceFailed(CODE, f"EC2 of {region} does not accept these credentials: {code}", CREDENTIALS)
    if code == "OptInRequired":
        return SourceFailed(
            CODE, f"EC2 of {region}: this account has not switched the region on", "take it out of regions"
        )
    if code in ("InvalidParameterValue", "FilterLimitExceeded", "InvalidParameter"):
        return SourceFailed(CODE, f"EC2 of {region} refuses the filters: {_line(str(error.get('Message') or code))}")
    return SourceFailed(CODE, f"EC2 of {region} refuses to list instances: {code}")


def _plain(one: Mapping[str, Any], region: str) -> dict[str, Any]:
    tags: Sequence[Mapping[str, str]] = one.get("Tags") or ()
    return {
        "id": one["InstanceId"],
        "region": region,
        "zone": (one.get("Placement") or {}).get("AvailabilityZone") or "",
        "state": (one.get("State") or {}).get("Name") or "",
        "type": one.get("InstanceType") or "",
        "image": one.get("ImageId") or "",
        "vpc": one.get("VpcId") or "",
        "private_ip": one.get("PrivateIpAddress") or "",
        "public_ip": one.get("PublicIpAddress") or "",
        "private_dns": one.get("PrivateDnsName") or "",
        "public_dns": one.get("PublicDnsName") or "",
        "tags": {tag["Key"]: tag["Value"] for tag in tags},
    }


def _words(error: Exception) -> str:
    text = _line(str(error).rstrip("."))
    return text[:1].lower() + text[1:]


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
