"""The trainer's commands; each imports TensorFlow only when it runs."""
