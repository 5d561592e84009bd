"""Compressed streams and their headers: `jpeg` (also JPEG-LS, JPEG 2000), `rle`, `pvrg`, `tiff`.

Each module checks the size and the completeness of a stream, and decodes it with imagecodecs.
"""
