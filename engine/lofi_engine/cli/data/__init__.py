"""`lofi-recipe data`: one file a verb, registered in `app`."""
