"""Two commands on the same instances, one after the other, and what tells them apart."""
