"""One file a step; `down_revision` puts them in order."""
