"""The pages of checker, a module for each noun."""
