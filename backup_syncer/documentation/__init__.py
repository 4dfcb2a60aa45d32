"""Serve the documentation: the Markdown files of `docs/` become pages in the reader's language.

In come the files beside the project (see `backup_syncer.bundled`) and the name of a page; out goes HTML with a table of
contents. `render` knows Markdown and nothing of requests; `views` knows requests and nothing of Markdown. Only the
project's map of addresses imports this package.
"""
