"""All rows; importing this registers them."""

from tests.faults.rows import controller, disk, environment, network, packages, patches, patches_apt, server, volume

__all__ = ["controller", "disk", "environment", "network", "packages", "patches", "patches_apt", "server", "volume"]
