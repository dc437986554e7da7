"""What may be declared: one module per type, the controller's half. The host's half is `onhost/resources/`, same file name."""
