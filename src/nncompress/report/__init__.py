"""Tables, figures and verdicts from `results/` alone: pandas and matplotlib, never torch."""
