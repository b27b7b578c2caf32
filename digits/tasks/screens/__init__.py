"""What tasks end with on the screen: what came out, where it is, what to type next."""
