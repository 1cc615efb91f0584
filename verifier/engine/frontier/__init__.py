"""The frontier of proof systems: every relaxation measured on one question."""
