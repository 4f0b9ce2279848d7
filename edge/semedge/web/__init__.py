"""The live page; its packages are imported when it is opened."""
