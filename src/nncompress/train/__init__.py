"""One training loop for every paper, with three seams: objective, constraint, callback."""
