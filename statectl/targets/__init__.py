"""Who: the hosts of an inventory, and the expressions that choose among them."""
