"""Groups with worse figures, remedies, altered pictures, and whether the source shows."""
