"""Compile, plan, roll out, record: where the parts are composed into one run."""
