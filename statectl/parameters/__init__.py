"""The parameter store: named values in versions, with labels, tags, policies, rights and an audit row for each write and decryption.

`store.py` is the whole of what others call; every idea behind it has a file.
"""
