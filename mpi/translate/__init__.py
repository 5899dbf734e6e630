"""Wire ⇄ domain, pure, both ways."""
