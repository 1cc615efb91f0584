"""Answers and evidence: the engine, attacks, certificates, the independent checker, reports and the command line."""
