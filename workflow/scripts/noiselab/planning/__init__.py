"""From the configuration to runs, their cost and what they lack."""
