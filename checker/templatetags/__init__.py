"""Filters and tags of the checker's templates. They format what a page has read already."""
