"""How a bundle scores a frame."""
