"""From the configuration to runs and the graph of jobs, their cost and what they lack."""
