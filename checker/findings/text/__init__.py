"""Put findings into words: title, proofs, meaning and next steps, in the language of the reader."""
