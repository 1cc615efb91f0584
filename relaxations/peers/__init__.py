"""Other bounding libraries as a second opinion. Nothing else depends on them, and importing this imports none of them."""
