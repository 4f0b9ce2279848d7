"""What every room uses: frames, events, errors, files, the console and the clock."""
