"""How strong an adversary is that writes into a layer."""
