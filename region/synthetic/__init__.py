"""An invented region: patients, their ADT messages, studies and documents, the same for the same seed.

Nothing here is true of anyone. Names are drawn from lists of common ones, identity numbers have an order number that
is never attributed (000), images and reports have no clinical content.
"""
