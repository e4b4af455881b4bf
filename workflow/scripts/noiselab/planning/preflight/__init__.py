"""Whether a plan can be carried out here, asked before hours are spent on it."""
