"""Writing certificates and having them checked in a process of their own."""
