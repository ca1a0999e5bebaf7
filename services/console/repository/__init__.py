"""Where the page's data comes from: the owners over HTTP, and the copy of the areas."""
