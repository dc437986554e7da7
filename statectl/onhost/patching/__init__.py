"""What patching asks of a host: a scan of its packages, told with `ready`. It reads; the host's own indexes and caches stay as they are.

A package manager's module defines

    usable(host)                  -> is its tool here?
    scan(host, asked)             -> the parts of the message that are its own: archives, installed, available, new, advisories, held,
                                     broken, stale, trouble
    Prepared(host, want)          context manager: the manager told to see want.sources alone where there are any, want.contents as files
      .look()                     -> Foreseen: what installing `want` would do to the whole system, nothing done
      .install()                  do just that in one transaction; raises Failed
    current(host, names)          -> {(name, arch): version} of what is installed now

`asked` is `patching` of the order, the answer `patches` of `ready`: the fields of `baselines/scan.py`, as JSON. Rows are short:

    archives     [{"key", "suite", "codename", "origin", "label", "component", "security", "date", "fetched", "uri"}, ...]
    installed    [[name, arch, version, section, priority, source, [archive, ...], [advisory, ...], built], ...]
    available    [[name, arch, version, section, priority, source, [archive, ...], [advisory, ...], built, sha256, size], ...]
    new          [[name, arch], ...]
    advisories   {id: {"classification", "severity", "title", "issued", "updated", "cves", "bugs"}}
    needs        {"reboot", "reasons", "services": {unit: [path, ...]}, "processes": [text, ...]}
    changelogs   {"name arch version": text}   of those that were asked for and can be had
"""
