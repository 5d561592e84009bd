"""Labelled images: the manifest, its splits, and the cache of prepared pictures."""
