"""ACE-Step v1: modules, loading, the built-in tiny base, and the graphs of a bundle.

Parameter names and shapes are the published checkpoint's, so that it loads with no renaming.
Architecture: Gong et al., "ACE-Step: A Step Towards Music Generation Foundation Model", 2025.
"""
