"""Read what the pages show. Each module is the read model of one page; views render it and nothing else."""
