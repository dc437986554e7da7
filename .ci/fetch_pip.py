"""Fetch pip's own wheel, pinned by its hash, from the package index that PIP_INDEX_URL names. For machines without ensurepip."""

import hashlib
import html.parser
import os
import sys
import urllib.parse
import urllib.request

WHEEL = "pip-26.3-py3-none-any.whl"
SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"


class Links(html.parser.HTMLParser):
    """Collects the address of the wheel from a simple-index page."""

    def __init__(self) -> None:
        super().__init__()
        self.found = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href") or ""
        if tag == "a" and urllib.parse.urlparse(href).path.endswith("/" + WHEEL):
            self.found = href


def main() -> int:
    index = os.environ.get("PIP_INDEX_URL", "").rstrip("/")
    if not index.startswith("https://"):
        print("setup: install the package python3-venv (Debian, Ubuntu) or set PIP_INDEX_URL", file=sys.stderr)
        return 1
    page = f"{index}/pip/"
    links = Links()
    with urllib.request.urlopen(page, timeout=60) as answer:  # noqa: S310 - https only, checked above
        links.feed(answer.read().decode())
    if not links.found:
        print(f"setup: {page} does not list {WHEEL}", file=sys.stderr)
        return 1
    with urllib.request.urlopen(urllib.parse.urljoin(page, links.found), timeout=60) as answer:  # noqa: S310 - the index's own link, its hash decides
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != SHA256:
        print(f"setup: {WHEEL} has another hash than expected; not used", file=sys.stderr)
        return 1
    with open(sys.argv[1], "wb") as file:
        file.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
