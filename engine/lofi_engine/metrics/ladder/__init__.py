"""The degradation ladder: which metric sees what, tried on sound made worse step by step."""
