"""What the core's effects need from the world, as small protocols, each with a fake."""
