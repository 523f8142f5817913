"""Published bundles: what a repository offers, pulling one, and what is installed here."""
