"""Training of networks and classifiers; the only package that imports torch."""
