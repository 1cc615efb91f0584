"""Readers and writers of specifications: spec.yaml and VNN-LIB, compiled to `specs.problem.Problem`."""
