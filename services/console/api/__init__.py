"""HTTP door: pages, their parts, the stream, sign-in, files; with templates and words beside."""
