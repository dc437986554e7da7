"""What the controller remembers: runs, results, plans, copies of the hosts' memories, and the audit chain.

The hosts' own memories are the truth; this is a copy, completed at every contact.
"""
