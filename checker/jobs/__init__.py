"""Do what the task cluster runs: make comparisons, verify runs, forget what nobody needs any more."""
