"""How the fleet stands, judged from stored results. Contacts nothing."""
