"""Master patient index: who is this patient?"""
