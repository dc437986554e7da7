"""Long sweeps over generated cases: each a command of its own, with a sample among the tests."""
