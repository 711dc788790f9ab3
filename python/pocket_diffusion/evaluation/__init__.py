"""How good a model's pictures are."""
