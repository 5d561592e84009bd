"""Labelled images: the manifest, its splits, its checks, and the cache of prepared pictures.

``on_progress`` is called with the number of items done and of all items.
"""
