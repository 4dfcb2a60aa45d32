"""Damage planted in a real tree, and the verdict that the rule table demands for each path."""
