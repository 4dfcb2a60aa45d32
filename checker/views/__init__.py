"""Serve the pages of `checker`, one module for each noun.

A view reads the request through a form of `checker.forms` or a list query, calls one function of `checker.pages` or of
a neighbouring directory, and renders a template of `templates/checker`. Only `checker.urls` imports from here.
"""
