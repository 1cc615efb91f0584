"""The sets that inputs are quantified over, and what is written into layers."""
