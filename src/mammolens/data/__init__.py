"""Labelled images: the manifest, its splits, its checks, and the cache of prepared pictures."""
