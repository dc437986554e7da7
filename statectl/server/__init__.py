"""What runs by itself: associations on their schedules, and what is told of it over HTTP on loopback."""
