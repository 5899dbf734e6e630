"""Protocols and values of IHE transactions; knows no patients and no documents."""
