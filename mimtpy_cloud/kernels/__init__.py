"""Pure numerical kernels: numpy blocks in, numpy blocks out."""
