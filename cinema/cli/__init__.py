"""The commands; larger ones are imported only when they are called."""
