"""Format values for people, in the language of the page: numbers, sizes and times, names, entries.

Takes plain values and returns text or safe HTML. Knows no template: `scanner.templatetags` registers the functions as
filters. Imported by pages, commands, exports and the texts of findings.
"""
