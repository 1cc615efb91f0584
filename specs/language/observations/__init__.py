"""What models are shown in the place of inputs: channels and abstractions."""
