"""Family classifier."""
