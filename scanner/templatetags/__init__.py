"""Filters of templates: the functions of `scanner.formatting`, registered by name."""
