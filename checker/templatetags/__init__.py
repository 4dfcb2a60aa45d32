"""Offer the words of `checker` to templates: labels, signs and counts of what the pages list. Templates load these."""
