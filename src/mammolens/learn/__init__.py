"""Where models are made: the only room that imports torch."""
