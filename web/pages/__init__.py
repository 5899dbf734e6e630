"""The pages of the workbench, found by being here."""
