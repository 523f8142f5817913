"""The page of a measurement: figures with their intervals, the sounds side by side, a map."""
