"""Family language_model."""
