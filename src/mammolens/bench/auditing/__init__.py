"""Groups that fare worse, remedies, altered pictures, and whether the source can be told."""
