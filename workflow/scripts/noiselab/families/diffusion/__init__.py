"""Family diffusion."""
