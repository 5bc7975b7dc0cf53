"""Screens in front of the dashboard: each asks for one thing, and gives it back when it closes."""
