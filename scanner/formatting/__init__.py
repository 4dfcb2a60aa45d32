"""Format numbers, times, names and entries for people. Knows no template; `scanner.templatetags` registers it."""
