"""Which relaxations suffice for an instance: their bounds alone, without a search."""
