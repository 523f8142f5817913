"""Where tracks come from and what may be done with them. Importing this package is cheap."""
