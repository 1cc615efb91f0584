"""What may stand in a specification: sections, their keys and values; the page and the JSON Schema made of them."""
