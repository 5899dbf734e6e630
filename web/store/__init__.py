"""What the workbench itself keeps: sessions."""
