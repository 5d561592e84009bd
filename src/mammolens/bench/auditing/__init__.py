"""The audit: subgroups with worse figures, remedies, altered pictures, and the source probe."""
