"""Family vision_transformer."""
