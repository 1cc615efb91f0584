"""What an overseer is worth: its size, its errors, which planted failures it sees, and what it is blind to."""
