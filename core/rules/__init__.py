"""Decisions, pure: states and what may follow, back-off, settings, filters, units, what a job may be."""
