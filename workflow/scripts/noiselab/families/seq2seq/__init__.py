"""Family seq2seq."""
