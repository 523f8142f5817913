"""The 38 styles as data, and the words made from them. Importing this package is cheap."""
