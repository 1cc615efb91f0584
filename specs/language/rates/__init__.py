"""Requirements that bound how likely an event is, and what is learned for them."""
