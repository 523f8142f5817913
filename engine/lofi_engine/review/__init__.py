"""Human review: a page on this machine to hear, tag, score and accept tracks."""
