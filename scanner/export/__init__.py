"""A complete run in the forms of other tools, so that others can check it without this project."""
