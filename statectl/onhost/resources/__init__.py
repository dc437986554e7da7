"""How each type is read and made so on a host: one module per type, the host's half; the words are in `statectl/resources/`.

A module defines `Desired`, `read(host, wanted)` and `apply(host, want, found, differing)`; docs/writing-a-resource.md holds the whole
contract. The engine decides whether anything is written: no module here has a dry run, keeps state, or prints.
"""
