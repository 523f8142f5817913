"""What a bundle's graphs are really given: inputs from the pipeline, for quantizing by them."""
