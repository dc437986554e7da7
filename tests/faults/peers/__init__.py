"""The same rows for other tools: the same hosts, workload, faults and moments, judged by the oracles that a foreign tool can be asked."""
