"""What is published beside the graphs: manifests, model card, prompting guide; and where to."""
