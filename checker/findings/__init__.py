"""What a person should look at: when a finding opens, what closes it, and in which words it is told."""
