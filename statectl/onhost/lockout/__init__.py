"""A change that may lock the controller out is undone by the host itself, unless the controller comes back by a new login.

module          what
ways            which resources, paths and programs the way in depends on
images          files as they were, and back again
account_lines   users of the local account files as they were
units           services as they were, and what has to be started again
firewall        the live packet filter as it was
record          what is armed here, durable, and how it was settled
arming          during an apply: what is armed, before it is changed
keeping         the images and the record of one run, and the watchdog with them
program         the executor as a program of its own, and how the watchdog is started
watchdog        the process that waits
undo            back to the images, and the memory with them
contact         what a later contact does about it

    armed ----- confirmed by a new login ----------------> the change stays
      |
      +-------- nobody came within the time, a reboot ---> undone: the run has failed, and a plan shows the change again

Whoever settles holds the lock of the host, so it is settled once.
"""
