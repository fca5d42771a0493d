"""What reads and writes rows: small transformers, their decoding and their likelihoods."""
