"""How well a file with a truth is linked: its measures, and a page that shows them."""
