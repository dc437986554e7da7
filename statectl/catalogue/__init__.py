"""What one host should be: from a checked project and an inventory to a catalogue with an order, contents and a hash.

`compile.py` is the way in. Nothing here talks to a host or to the store; what it needs of them is passed in.
"""
