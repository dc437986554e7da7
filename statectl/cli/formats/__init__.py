"""One module per way of showing a result. None of them decides anything."""
