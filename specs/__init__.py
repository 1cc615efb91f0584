"""The question: networks, sets and properties, composed into one problem. No solver, no search."""
