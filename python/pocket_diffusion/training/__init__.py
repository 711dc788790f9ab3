"""Training of class-conditional diffusion networks."""
