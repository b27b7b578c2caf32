"""Networks, and the one LightningModule that trains any of them."""
