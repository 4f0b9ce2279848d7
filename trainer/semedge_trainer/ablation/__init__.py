"""Tables 51-55 of the thesis, cell by cell."""
