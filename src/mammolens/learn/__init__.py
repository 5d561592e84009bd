"""Training of networks and classifiers; the only package that imports torch.

``on_progress`` is called with the number of items done and of all items, or with lines of text.
"""
