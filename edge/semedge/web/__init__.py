"""The live page; its libraries are imported when it is opened."""
