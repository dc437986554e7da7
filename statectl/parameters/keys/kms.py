"""kms:KEY: a key of AWS KMS (id, ARN or alias/NAME), which never leaves it. Needs `statectl[aws]`; boto3 finds region and credentials."""

import re
from pathlib import Path
from typing import Any

from statectl.errors import Failed, Refused

TIMEOUT_S = 10


class KmsKey:
    remote = True

    def __init__(self, key: str, root: Path) -> None:
        del root
        self._key = key
        self._made: Any = None

    def _client(self) -> Any:
        if self._made is None:
            try:
                import boto3
                from botocore.config import Config
                from botocore.exceptions import BotoCoreError
            except ImportError:
                raise Refused(
                    "keys of AWS KMS need a library that is not installed", code="E619", hint="install statectl[aws]"
                ) from None
            region = re.fullmatch(r"arn:[a-z-]+:kms:([a-z0-9-]+):.*", self._key)
            config = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"max_attempts": 3})
            try:
                self._made = boto3.client("kms", region_name=region[1] if region else None, config=config)
            except (BotoCoreError, ValueError) as error:
                raise Refused(f"AWS KMS cannot be used: {_words(error)}", code="E621") from None
        return self._made

    def exists(self) -> bool:
        return True  # KMS says otherwise when it is asked to wrap

    def create(self) -> str:
        raise Refused(f"{self.shown()}: keys of KMS are made there", code="E619", hint="aws kms create-key")

    def holds(self, key_id: str) -> bool:
        return key_id.startswith("kms:")  # the ciphertext names its key, and KMS says whether we may

    def current(self) -> str:
        return f"kms:{self._key}"

    def wrap(self, data_key: bytes, name: str) -> tuple[str, bytes]:
        answer = self._ask("encrypt", KeyId=self._key, Plaintext=data_key, EncryptionContext=_about(name))
        return self.current(), bytes(answer["CiphertextBlob"])

    def unwrap(self, key_id: str, wrapped: bytes, name: str) -> bytes:
        del key_id
        answer = self._ask("decrypt", CiphertextBlob=wrapped, EncryptionContext=_about(name))
        return bytes(answer["Plaintext"])

    def renew(self) -> str:
        return f"wraps with {self.shown()}; KMS rotates what is inside of a key by itself"

    def drop_old(self) -> int:
        raise Refused("keys of KMS are dropped there", code="E619", hint="aws kms schedule-key-deletion")

    def shown(self) -> str:
        return f"the key is {self._key} of AWS KMS"

    def _ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        client = self._client()
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(client, verb)(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "error")
            raise Refused(
                f"AWS KMS refuses to {verb} with {self._key}: {code}",
                code="E621",
                hint="look at the key's policy and region, and at the credentials",
            ) from None
        except BotoCoreError as error:
            raise Failed(f"AWS KMS cannot be asked: {_words(error)}", code="E621", hint="try again") from None
        return answer


def _about(name: str) -> dict[str, str]:
    return {"statectl:parameter": name}


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
