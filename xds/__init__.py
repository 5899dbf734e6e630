"""Document and imaging registry and repository: what exists, and where can it be fetched?"""
