"""Certificate: one row a certificate in the PEM files that the project names, by what it says of itself. Nothing is verified."""

import base64
import glob
import os
import re
from typing import TYPE_CHECKING

from statectl.onhost.collect import der
from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Certificate"
COLUMNS = ("Path", "Position", "Subject", "Issuer", "Names", "NotBefore", "NotAfter", "Serial", "Sha256", "Problem")
DEADLINE_S = 10.0
MAX_ROWS = 500
PATTERNS = ("/etc/letsencrypt/live/*/cert.pem",)  # when the project names none
LIMIT = 1024 * 1024  # bytes of one file
MAX_FILES = 500
_PEM = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----\s(.*?)-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL)


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    import hashlib

    patterns = asked.get("certificates")
    paths = set()
    for pattern in PATTERNS if patterns is None else patterns:
        paths.update(glob.glob(host.root + pattern))
    rows: "List[List[JSON]]" = []
    for path in sorted(paths)[:MAX_FILES]:
        if os.path.isdir(path):
            continue
        own = path[len(host.root) :]
        try:
            data = host.read_file(own, LIMIT) or b""
        except Failed as error:
            rows.append([own, 1, "", "", "", None, None, "", "", error.message])
            continue
        for place, body in enumerate(_PEM.findall(data), 1):
            try:
                encoded = base64.b64decode(b"".join(body.split()), validate=True)
                found = der.certificate(encoded)
            except ValueError as error:
                rows.append([own, place, "", "", "", None, None, "", "", "cannot be read: %s" % error])
                continue
            digest = hashlib.sha256(encoded).hexdigest()
            names = " ".join(found.names)
            rows.append(
                [
                    own,
                    place,
                    found.subject,
                    found.issuer,
                    names,
                    found.not_before,
                    found.not_after,
                    found.serial,
                    digest,
                    "",
                ]
            )
    return rows
