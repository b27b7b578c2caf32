"""One module per task noun: thin functions that wire the library together."""
